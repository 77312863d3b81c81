"""Why a network camera sends no video, found by asking it once more: FFmpeg does not say."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from edge_runtime.capture.redact import redact
from edge_runtime.errors import CaptureError, LoginError

_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_REQUESTS = {
    "rtsp": "DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n",
    "http": "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
}
_MOST_BYTES = 4096


def why_no_stream(url: str, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> CaptureError:
    """Return the error for an address that gave no stream; of the kind `LoginError` if the camera wants another login.

    User and password are not sent again: a wrong one counts towards a lock.

    Args:
        url: the address.
        timeout_s: seconds the camera has for the connection, and again for its answer.
        clock: monotonic seconds.
    """
    parts = urlsplit(url)
    said = f"network camera {redact(url)}: "
    try:
        host, port = parts.hostname, parts.port or _PORTS[parts.scheme.lower()]
    except ValueError:
        host, port = None, 0
    if not host or ("@" not in parts.netloc and "@" in url):
        return CaptureError(
            f"{said}no host and port can be read from the address; in a password write / ? # @ as %2F %3F %23 %40"
        )
    try:
        with socket.create_connection((host, port), timeout_s) as connection:
            status = _status(connection, parts, host, clock() + timeout_s, clock)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        return CaptureError(
            f"{said}{host} does not answer at port {port} ({reason}); check the address and the network"
        )
    where = f"{said}{host} answers at port {port}"
    if status in (401, 403):
        return LoginError(f"{where} but {_about_login(url, status)}")
    return CaptureError(f"{where} but {_about(status)}")


def _about_login(url: str, status: int) -> str:
    if redact(url) == url:
        return f"wants user and password ({status}); write them before the host as USER:PASSWORD@"
    return f"refuses user or password ({status}); check them, then the path"


def _about(status: int | None) -> str:
    if status is None:
        return "sends no video; check path, user and password"
    if status == 0:
        return "then says nothing; restart the camera, or another service is at this port"
    if 200 <= status < 300:
        return "sends no video that can be read; check the path"
    return f"has no video at this path ({status}); check the path, user and password"


def _status(
    connection: socket.socket, parts: SplitResult, host: str, deadline_s: float, clock: Callable[[], float]
) -> int | None:
    """Return the status the camera answers with, 0 if it says nothing, None if it cannot be asked or understood."""
    request = _REQUESTS.get(parts.scheme.lower())
    if request is None or redact(parts.path) != parts.path:  # encrypted, or with the password in the path
        return None
    query = f"?{parts.query}" if parts.query and redact(f"?{parts.query}") == f"?{parts.query}" else ""
    path = (parts.path or "/") + query
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"
    answer = b""
    try:
        connection.sendall(request.format(url=address, path=path, host=host).encode("utf-8"))
        while b"\n" not in answer and len(answer) < _MOST_BYTES and (left_s := deadline_s - clock()) > 0:
            connection.settimeout(left_s)
            received = connection.recv(1024)
            if not received:
                break
            answer += received
    except OSError:  # the time is over, or it has hung up
        return 0 if not answer else None
    words = answer.split(b"\n")[0].split()
    if not words:
        return 0
    is_status = len(words) > 1 and words[0].startswith((b"RTSP/", b"HTTP/")) and words[1].isdigit()
    return int(words[1]) if is_status else None
