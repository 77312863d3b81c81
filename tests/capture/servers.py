"""Network cameras on the loopback address, with faults on demand: MJPEG over HTTP, and RTSP with RFC 2435 JPEG."""

from __future__ import annotations

import base64
import re
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress

import cv2
import numpy as np

WIDTH, HEIGHT = 160, 120
PERIOD_S = 0.02


def picture(number: int) -> np.ndarray:
    """Return a picture that tells its number by its brightness: 40, 48, 56, ... and back to 40 after 20 of them."""
    return np.full((HEIGHT, WIDTH, 3), 40 + number % 20 * 8, np.uint8)


def jpeg(number: int) -> bytes:
    return cv2.imencode(".jpg", picture(number), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


class CameraServer(ABC):
    """A camera at 127.0.0.1 that answers every connection in a thread of its own.

    `stall` keeps connections open and sends nothing more; `kill` ends all of them and stops listening, `listen`
    starts again at the same port. With `login` ("user:password") it wants HTTP basic authentication.
    """

    def __init__(self, login: str | None = None, limit: int | None = None) -> None:
        self.login = login
        self.limit = limit  # pictures per connection, then the connection ends
        self.requests: list[str] = []
        self.connections = 0
        self._stalled = threading.Event()
        self._killed = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self.port = 0
        self.listen()

    def listen(self) -> None:
        self._killed.clear()
        self._stalled.clear()
        listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False)
        self.port = listener.getsockname()[1]
        self._sockets = [listener]
        self._start(self._accept, listener)

    def stall(self) -> None:
        self._stalled.set()

    def kill(self) -> None:
        self._killed.set()
        for open_socket in self._sockets:
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
            open_socket.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(5)
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        assert not self._threads, "a thread of the test camera did not end"

    def _start(self, target, *arguments) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while not self._killed.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:  # kill has closed it
                return
            self.connections += 1
            self._sockets.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:  # the client has gone, or kill has closed it
            self.answer(connection)

    @abstractmethod
    def answer(self, connection: socket.socket) -> None:
        """Serve one client until it has gone or `kill` has closed the connection."""

    def is_allowed(self, request: str) -> bool:
        if self.login is None:
            return True
        found = re.search(r"^authorization: basic (\S+)", request, re.IGNORECASE | re.MULTILINE)
        return found is not None and base64.b64decode(found[1]).decode() == self.login

    def numbers(self) -> Iterator[int]:
        """Count the pictures to send, one each 20 ms; wait for good when stalled, end when killed."""
        number = 0
        while not self._killed.wait(PERIOD_S) and (self.limit is None or number < self.limit):
            if not self._stalled.is_set():
                yield number
                number += 1


def read_request(connection: socket.socket, buffer: bytearray) -> str | None:
    """Return the next request with its headers; None when the client has gone. Skips interleaved RTCP packets."""
    while True:
        while buffer[:1] == b"$" and len(buffer) >= 4 and len(buffer) >= 4 + int.from_bytes(buffer[2:4], "big"):
            del buffer[: 4 + int.from_bytes(buffer[2:4], "big")]
        end = buffer.find(b"\r\n\r\n")
        if end >= 0 and buffer[:1] != b"$":
            text = buffer[:end].decode()
            del buffer[: end + 4]
            return text
        data = connection.recv(4096)
        if not data:
            return None
        buffer += data


class MjpegServer(CameraServer):
    """MJPEG over HTTP, as cheap cameras and mjpg-streamer send it."""

    def url(self, login: str = "") -> str:
        return f"http://{login}{'@' if login else ''}127.0.0.1:{self.port}/stream.mjpg"

    def answer(self, connection: socket.socket) -> None:
        request = read_request(connection, bytearray())
        if request is None:
            return
        self.requests.append(request)
        if not self.is_allowed(request):
            connection.sendall(
                b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="camera"\r\n'
                b"Content-Length: 0\r\nConnection: close\r\n\r\n"
            )
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
        for number in self.numbers():
            data = self.encoded(number)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            connection.sendall(head.encode() + data + b"\r\n")

    def encoded(self, number: int) -> bytes:
        return jpeg(number)


class ResizingServer(MjpegServer):
    """Halves its pictures after the fifth, as a camera does whose setting somebody changes at its own page."""

    def encoded(self, number: int) -> bytes:
        if number < 5:
            return jpeg(number)
        return cv2.imencode(".jpg", cv2.resize(picture(number), (WIDTH // 2, HEIGHT // 2)))[1].tobytes()


class SilentServer(CameraServer):
    """Accepts connections and says nothing: a camera that hangs, whose kernel still answers."""

    def answer(self, connection: socket.socket) -> None:
        connection.recv(4096)
        self._killed.wait()


class Wire(CameraServer):
    """A cable to another server at 127.0.0.1. Once it is `cut`, nothing goes through it and nobody is told."""

    def __init__(self, port: int) -> None:
        self.is_cut = threading.Event()
        self._far_port = port
        super().__init__()

    def answer(self, connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._far_port)) as far:
            self._start(self._carry, far, connection)
            self._carry(connection, far)
            self._killed.wait()  # open until then, at both ends
            far.shutdown(socket.SHUT_RDWR)  # wakes the other thread, which closing would not

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while (data := source.recv(65536)) and not self.is_cut.is_set():
                sink.sendall(data)


class RtspServer(CameraServer):
    """RTSP with JPEG pictures over the same TCP connection (RFC 2326 interleaved, RFC 2435)."""

    def url(self, login: str = "") -> str:
        return f"rtsp://{login}{'@' if login else ''}127.0.0.1:{self.port}/live"

    def answer(self, connection: socket.socket) -> None:
        buffer = bytearray()
        while (request := read_request(connection, buffer)) is not None:
            self.requests.append(request)
            method = request.split(" ", 1)[0]
            sequence = re.search(r"^cseq: *(\d+)", request, re.IGNORECASE | re.MULTILINE)[1]
            if method != "OPTIONS" and not self.is_allowed(request):
                status, headers, body = "401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"\r\n', ""
            else:
                status, (headers, body) = "200 OK", self._reply(method)
            length = f"Content-Length: {len(body)}\r\n" if body else ""
            connection.sendall(f"RTSP/1.0 {status}\r\nCSeq: {sequence}\r\n{headers}{length}\r\n{body}".encode())
            if method == "PLAY" and status.startswith("200"):
                self._start(self._send_pictures, connection)

    def _reply(self, method: str) -> tuple[str, str]:
        if method == "OPTIONS":
            return "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n", ""
        if method == "DESCRIBE":
            return "Content-Type: application/sdp\r\n", (
                f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
                f"m=video 0 RTP/AVP 26\r\na=control:track1\r\na=framerate:{1 / PERIOD_S:.0f}\r\n"
            )
        if method == "SETUP":
            return "Session: 1;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n", ""
        return "Session: 1\r\n", ""

    def _send_pictures(self, connection: socket.socket) -> None:
        packets = 0
        with suppress(OSError):
            for number in self.numbers():
                for packet in rtp_packets(jpeg(number), number, packets):
                    connection.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                    packets += 1
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def rtp_packets(data: bytes, number: int, first: int) -> Iterator[bytes]:
    """Cut one baseline 4:2:0 JPEG into RTP packets; its quantisation tables travel in the first one."""
    tables, scan = split_jpeg(data)
    timestamp = round(number * PERIOD_S * 90000)
    chunk = 1200
    for index, offset in enumerate(range(0, len(scan), chunk)):
        part = scan[offset : offset + chunk]
        last = offset + chunk >= len(scan)
        head = struct.pack(">BBHII", 0x80, 26 | (last << 7), (first + index) & 0xFFFF, timestamp, 0x1234)
        # type-specific 0, offset in 24 bits, type 1 (4:2:0), Q 255 (tables follow), size in blocks of 8
        main = struct.pack(">IBBBB", offset, 1, 255, WIDTH // 8, HEIGHT // 8)
        quantisation = struct.pack(">BBH", 0, 0, len(tables)) + tables if offset == 0 else b""
        yield head + main + quantisation + part


def split_jpeg(data: bytes) -> tuple[bytes, bytes]:
    """Return the quantisation tables and the entropy-coded scan of a baseline JPEG."""
    tables, at = b"", 2
    while True:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        if marker == 0xDB:
            for start in range(0, len(body), 65):  # one byte of precision and number, then 64 steps
                tables += body[start + 1 : start + 65]
        at += 2 + length
        if marker == 0xDA:
            return tables, data[at : data.rindex(b"\xff\xd9")]
