"""A file server on this machine that behaves as it is told, one request after the other."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TAG = '"v1"'


@dataclass(frozen=True)
class Serve:
    """How one request is answered; by default as a good server does."""

    status: int | None = None  # an error
    location: str | None = None  # of a redirect
    cut_after: int | None = None  # bytes of the answer after which the connection is closed
    stall_after: int | None = None  # bytes after which nothing more comes
    ignores_range: bool = False
    changes: bool = False  # some bytes are not those of the file
    extra: bytes = b""
    length: int | None = None  # what it says, where that is not true
    says_length: bool = True
    content_range: str | None = None  # the same for a part
    tag: str | None = TAG
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FileServer:
    """What is served, the answers in their order, and the requests that came."""

    data: bytes
    plan: list[Serve] = field(default_factory=list)  # what is left of it; after that all goes well
    requests: list[dict[str, str]] = field(default_factory=list)
    port: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/model.tflite"

    def next(self) -> Serve:
        return self.plan.pop(0) if self.plan else Serve()


@contextmanager
def serving(data: bytes) -> Iterator[FileServer]:
    """Serve these bytes until the block ends."""
    state = FileServer(data)

    class Handler(_Handler):
        server_state = state

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="file server")
    thread.start()
    try:
        yield state
    finally:
        state.ended.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    server_state: FileServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing: stderr belongs to the tests."""

    def do_GET(self) -> None:
        state = self.server_state
        state.requests.append(dict(self.headers.items()))
        serve = state.next()
        self.close_connection = True
        if serve.status or serve.location:
            self._refuse(serve)
            return
        start = self._start(serve)
        body = (bytes(byte ^ 1 for byte in state.data) if serve.changes else state.data)[start:] + serve.extra
        self.send_response(206 if start else 200)
        if start:
            whole = f"bytes {start}-{len(state.data) - 1}/{len(state.data)}"
            self.send_header("Content-Range", serve.content_range or whole)
        if serve.says_length:
            self.send_header("Content-Length", str(len(body) if serve.length is None else serve.length))
        if serve.tag:
            self.send_header("ETag", serve.tag)
        self._headers(serve)
        self._send(body, serve)

    def _start(self, serve: Serve) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        is_same = self.headers.get("If-Range") in (None, serve.tag)
        return int(asked[1]) if asked and is_same and not serve.ignores_range else 0

    def _refuse(self, serve: Serve) -> None:
        self.send_response(302 if serve.location else serve.status or 500)
        if serve.location:
            self.send_header("Location", serve.location)
        self.send_header("Content-Length", "0")
        self._headers(serve)

    def _headers(self, serve: Serve) -> None:
        for name, value in serve.headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, body: bytes, serve: Serve) -> None:
        if serve.cut_after is not None:
            self.wfile.write(body[: serve.cut_after])
        elif serve.stall_after is not None:
            self.wfile.write(body[: serve.stall_after])
            self.wfile.flush()
            self.server_state.ended.wait(30)  # until the test is over
        else:
            self.wfile.write(body)
