"""Why a camera at an address sends nothing: asked over real connections, answered by a line each."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from edge_runtime.capture.knock import why_no_stream
from edge_runtime.errors import LoginError

Answering = Callable[[bytes], int]


@pytest.fixture
def answering() -> Iterator[Answering]:
    """Return what starts a server that gives one answer and hangs up; its port. Empty: it hangs up at once."""
    listeners, threads = [], []
    asked.clear()

    def start(answer: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                if answer:
                    asked.append(connection.recv(4096).decode())
                    connection.sendall(answer)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        listeners.append(listener)
        port: int = listener.getsockname()[1]
        return port

    yield start
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    for listener in listeners:
        listener.close()


asked: list[str] = []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"RTSP/1.0 404 Not Found\r\n\r\n", "has no video at this path (404); check the path"),
        (b"RTSP/1.0 200 OK\r\n\r\n", "sends no video that can be read"),
        (b"RTSP/1.0 503 Service Unavailable\r\n\r\n", "has no video at this path (503)"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "sends no video; check path, user and password"),
        (b"RTSP/1.0", "sends no video; check path, user and password"),
        (b"\r\n", "then says nothing"),
        (b"", "then says nothing"),
    ],
)
def test_what_the_camera_answers_is_told(answering: Answering, answer: bytes, said: str) -> None:
    """FFmpeg gives one and the same empty handle for all of them."""
    port = answering(answer)
    error = why_no_stream(f"rtsp://127.0.0.1:{port}/live", 2.0)
    assert f"answers at port {port} but {said}" in str(error)
    assert not isinstance(error, LoginError)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_login_is_its_own_kind_of_error(answering: Answering, status: int) -> None:
    """It is tried again much later than a cable that was pulled."""
    port = answering(f"HTTP/1.1 {status} No\r\n\r\n".encode())
    error = why_no_stream(f"http://me:geheim@127.0.0.1:{port}/x", 2.0)
    assert isinstance(error, LoginError)
    assert error.retry_after_s > 60
    assert f"refuses user or password ({status})" in str(error)
    assert "geheim" not in str(error)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://me:geheim@127.0.0.1:{port}/live?channel=1", "GET /live?channel=1 HTTP/1.1"),
        ("http://127.0.0.1:{port}/live?user=me&password=geheim", "GET /live HTTP/1.1"),
        ("rtsp://me:geheim@127.0.0.1:{port}/live", "DESCRIBE rtsp://127.0.0.1:{port}/live RTSP/1.0"),
        ("rtsp://127.0.0.1:{port}", "DESCRIBE rtsp://127.0.0.1:{port}/ RTSP/1.0"),
    ],
)
def test_the_password_is_not_sent_a_second_time(answering: Answering, url: str, path: str) -> None:
    """A wrong one would count towards the lock of the account."""
    port = answering(b"RTSP/1.0 401 Unauthorized\r\n\r\n")
    why_no_stream(url.format(port=port), 2.0)
    assert asked[0].splitlines()[0] == path.format(port=port)
    assert "geheim" not in asked[0]


@pytest.mark.parametrize("url", ["rtsp://127.0.0.1:{port}/user=me&password=geheim&x.sdp", "https://127.0.0.1:{port}/"])
def test_what_cannot_be_asked_without_the_password_or_a_key_is_not(answering: Answering, url: str) -> None:
    """Some cameras want the password within the path."""
    error = why_no_stream(url.format(port=answering(b"")), 2.0)
    assert "sends no video; check path, user and password" in str(error)
    assert "geheim" not in str(error)


def test_a_camera_that_drips_its_answer_has_only_its_time(answering: Answering) -> None:
    """Each byte would start the wait anew."""
    seconds = iter(range(100))
    error = why_no_stream(f"rtsp://127.0.0.1:{answering(b'RTSP')}/live", 2.0, lambda: float(next(seconds)))
    assert "answers at port" in str(error)
    assert next(seconds) <= 5
