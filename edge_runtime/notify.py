"""What systemd is told: ready, how it goes, and that the watchdog need not bite.

Source: sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping

from edge_runtime.clock import NS_PER_S, now_ns

log = logging.getLogger(__name__)

FEEDS = 4
"""So often within the time systemd waits; one or two may come late on a busy board."""


def notify_systemd(message: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Tell systemd something; return False where nobody listens.

    One datagram goes to the socket named by NOTIFY_SOCKET, "@" standing for the abstract namespace.
    """
    address = environment.get("NOTIFY_SOCKET")
    if not address:
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.connect("\0" + address[1:] if address.startswith("@") else address)
            sender.sendall(message.encode())
    except OSError as exc:
        log.warning("systemd could not be told message=%s reason=%s", message, exc)
        return False
    return True


def watchdog_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """Return after how many seconds of silence systemd kills this process; None where it does not."""
    told, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not told.isdecimal() or not int(told) or (process and process != str(os.getpid())):
        return None
    return int(told) / 1e6


class Heartbeat:
    """Tells systemd that this run is ready and alive, from what the run has done since it was last asked.

    Alive means: a frame went through since the last beat, or a part is known to be down and is being waited for. A run
    that does neither is left to the watchdog, whatever it hangs in.

    Args:
        environment: of the process.
        send: tells systemd.
        clock_ns: monotonic.
    """

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        send: Callable[[str], object] | None = None,
        clock_ns: Callable[[], int] = now_ns,
    ) -> None:
        self._send = send or (lambda message: notify_systemd(message, environment))
        self._clock_ns = clock_ns
        allowed_s = watchdog_s(environment)
        self._period_ns = None if allowed_s is None else int(allowed_s / FEEDS * NS_PER_S)
        self._fed_ns = clock_ns()
        self._processed = 0
        self._is_ready = False
        self._trouble: str | None = None

    def tick(self, processed: int, trouble: str | None) -> None:
        """Look at the run; called every moment.

        Args:
            processed: frames that have been through the model since the start.
            trouble: which part is down and waited for, as in "camera: lost"; None where all is well.
        """
        if not self._is_ready and (processed or trouble):
            # A camera that is absent at boot must not hold up the boot: the service is there, and says it waits.
            self._is_ready = True
            self._send("READY=1")
        if trouble != self._trouble:
            self._trouble = trouble
            self.say("running" if trouble is None else f"{trouble}, waiting")
        if self._period_ns is None or self._clock_ns() - self._fed_ns < self._period_ns:
            return
        if processed > self._processed or trouble is not None:
            self._send("WATCHDOG=1")
            self._fed_ns = self._clock_ns()
        self._processed = processed

    def say(self, status: str) -> None:
        """Show a line in systemctl status."""
        self._send(f"STATUS={_one_line(status)}")

    def stopping(self) -> None:
        """Say that the run is coming to its end."""
        self._send("STOPPING=1")


def _one_line(text: str) -> str:
    return " ".join(text.split())
