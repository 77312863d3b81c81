"""One request for a file over HTTP, and what its answer means for a download."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, build_opener

from edge_runtime import __version__
from edge_runtime.errors import ConfigError, EdgeRuntimeError, ModelError
from edge_runtime.registry.entries import check_url, is_loopback

MOST_REDIRECTS = 5
_WORTH_ANOTHER_TRY = (408, 425, 429, 500, 502, 503, 504)


class BrokenOffError(Exception):
    """The transfer ended before its end; another try may do better."""

    def __init__(self, reason: str, *, wait_s: float | None = None, is_first_word: bool = False) -> None:
        super().__init__(reason)
        self.wait_s = wait_s  # what the server asks for
        self.is_first_word = is_first_word  # True: no connection came about at all


@dataclass(frozen=True, slots=True)
class Answer:
    """An open answer that sends the file from `offset` on."""

    read: Callable[[int], bytes]  # at most so many bytes, as they come; b"" at the end
    offset: int
    validator: str | None  # what tells this state of the file from another: a strong ETag, or a date


@contextmanager
def request(url: str, offset: int, validator: str | None, *, size: int, timeout_s: float) -> Iterator[Answer]:
    """Open the file at `url` from `offset` on, or from its start where the server does as it likes.

    Args:
        url: https, or http on this machine.
        offset: bytes that are there already.
        validator: of these bytes; the server is to start anew if the file has changed since.
        size: what the whole file is to have.
        timeout_s: without a sign of life.

    Raises:
        BrokenOffError: another try may do better.
        ModelError: it will not: there is no such file, or it is another one.
    """
    wanted = Request(url, headers={"User-Agent": f"edge-runtime/{__version__}", "Accept-Encoding": "identity"})  # noqa: S310 (the scheme is checked)
    if offset:
        wanted.add_header("Range", f"bytes={offset}-")
        if validator:
            wanted.add_header("If-Range", validator)
    with _named_errors(url):
        response: Any = _opener(url).open(wanted, timeout=timeout_s)
        with response:
            yield Answer(response.read1, _start(response, url, offset, size), _validator(response))


def _opener(url: str) -> OpenerDirector:
    handlers: list[Any] = [HTTPSHandler(context=ssl.create_default_context()), _CheckedRedirects(url)]
    if is_loopback(urlsplit(url).hostname or ""):
        handlers.append(ProxyHandler({}))  # a proxy's own loopback is another one
    return build_opener(*handlers)


class _CheckedRedirects(HTTPRedirectHandler):
    """Follows a few redirects, and never from the net to this machine or away from https."""

    max_redirections = MOST_REDIRECTS

    def __init__(self, url: str) -> None:
        self._is_local = is_loopback(urlsplit(url).hostname or "")

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        try:
            check_url(newurl, "redirect")
        except ConfigError as exc:
            raise ModelError(f"{req.full_url}: leads to an address that is not followed: {exc}") from exc
        if is_loopback(urlsplit(newurl).hostname or "") and not self._is_local:
            raise ModelError(f"{req.full_url}: leads to this machine itself ({newurl}), which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def _named_errors(url: str) -> Iterator[None]:
    """Turn the many ways of the network to fail into two."""
    try:
        yield
    except EdgeRuntimeError:  # some of ours are OSErrors too
        raise
    except HTTPError as exc:
        exc.close()
        raise _of_status(url, exc) from exc
    except URLError as exc:
        raise _of_connection(url, exc.reason) from exc
    except ssl.SSLError as exc:
        raise BrokenOffError(f"the connection broke ({exc.reason or exc})") from exc
    except TimeoutError as exc:
        raise BrokenOffError("the server sent nothing for too long") from exc
    except (http.client.HTTPException, OSError) as exc:
        raise BrokenOffError(f"the connection broke ({str(exc) or type(exc).__name__})") from exc


def _of_status(url: str, error: HTTPError) -> Exception:
    if error.code in _WORTH_ANOTHER_TRY:
        return BrokenOffError(f"the server answers {error.code} {error.reason}", wait_s=_retry_after(error))
    if error.code == 416:
        return _StaleError()
    if 300 <= error.code < 400:
        return ModelError(f"{url}: leads to an address that is not followed ({error.code} {error.reason})")
    what = "there is no such file any more" if error.code in (404, 410) else "the server does not give it out"
    return ModelError(f"{url}: {what} ({error.code} {error.reason}); a newer edge-runtime may know where it is")


class _StaleError(BrokenOffError):
    def __init__(self) -> None:
        super().__init__("the server has no such part of the file")


def is_stale(error: BrokenOffError) -> bool:
    """Return whether what is there already cannot be continued."""
    return isinstance(error, _StaleError)


def _retry_after(error: HTTPError) -> float | None:
    said = error.headers.get("Retry-After", "") if error.headers else ""
    return float(said) if said.isdecimal() else None


def _of_connection(url: str, reason: str | BaseException) -> Exception:
    host = urlsplit(url).hostname
    if isinstance(reason, ssl.SSLCertVerificationError):
        return ModelError(
            f"{url}: the certificate of {host} is not accepted ({reason.verify_message}); is the clock of this machine "
            "right (timedatectl)?"
        )
    if isinstance(reason, TimeoutError):
        return BrokenOffError(f"{host} does not answer", is_first_word=True)
    if isinstance(reason, socket.gaierror):
        return BrokenOffError(f"the name {host} cannot be resolved", is_first_word=True)
    said = getattr(reason, "strerror", None) or str(reason)
    return BrokenOffError(f"no connection to {host} ({said})", is_first_word=True)


def _start(response: Any, url: str, offset: int, size: int) -> int:
    """Return at which byte of the file the answer starts.

    Raises:
        BrokenOffError: it starts elsewhere than asked for.
        ModelError: the whole file has another size.
    """
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise ModelError(f"{url}: the server sends the file packed, which was not asked for; try again later")
    if response.status == 206:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not found or int(found[1]) != offset:
            raise _StaleError
        if found[3] != "*":
            _check_size(url, int(found[3]), size)
        return offset
    length = response.headers.get("Content-Length", "")
    if length.isdecimal():
        _check_size(url, int(length), size)
    return 0


def _check_size(url: str, found: int, size: int) -> None:
    if found != size:
        raise ModelError(
            f"{url}: the file there has {found} bytes, the registry says {size}: it is another one; "
            "nothing was kept, a newer edge-runtime may know it"
        )


def _validator(response: Any) -> str | None:
    """Return what If-Range may be given; a weak ETag says too little. Source: RFC 9110, 13.1.5."""
    tag, date = response.headers.get("ETag", ""), response.headers.get("Last-Modified")
    if tag.startswith('"'):
        return str(tag)
    return str(date) if date else None
