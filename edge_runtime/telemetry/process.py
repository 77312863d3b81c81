"""What this process takes: memory, processor, threads, open files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.clock import now_ns


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """One look at the process; None for what the system does not tell."""

    rss_bytes: int | None
    peak_rss_bytes: int | None
    cpu_percent: float | None  # of one core, since the look before: 250.0 is two cores and a half
    threads: int | None
    open_fds: int | None


class ProcessProbe:
    """Looks at this process.

    Args:
        proc_root: where procfs is.
        clock: monotonic nanoseconds.
        cpu_clock: nanoseconds of processor time that this process has used in all its threads.
        process: a ``psutil.Process``; None makes one for this process.
    """

    def __init__(
        self,
        *,
        proc_root: Path = Path("/proc"),
        clock: Callable[[], int] = now_ns,
        cpu_clock: Callable[[], int] = time.process_time_ns,
        process: Any = None,
    ) -> None:
        self._status = proc_root / str(os.getpid()) / "status"
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._process = process
        self._first = self._last = (clock(), cpu_clock())

    def read(self) -> ProcessFacts:
        """Return the facts now; the processor share since the last call."""
        before, self._last = self._last, (self._clock(), self._cpu_clock())
        return self._facts(before)

    def read_run(self) -> ProcessFacts:
        """Return the facts now; the processor share since this probe was made. Does not count as a look."""
        return self._facts(self._first)

    def _facts(self, since: tuple[int, int]) -> ProcessFacts:
        import psutil  # here, because it is not needed before the first report

        if self._process is None:
            self._process = psutil.Process()
        elapsed_ns, used_ns = self._clock() - since[0], self._cpu_clock() - since[1]
        cpu_percent = round(100 * used_ns / elapsed_ns, 1) if elapsed_ns > 0 else None
        try:
            with self._process.oneshot():
                memory_bytes: int | None = self._process.memory_info().rss
                threads: int | None = self._process.num_threads()
                open_fds: int | None = self._process.num_fds()
        except psutil.Error:  # /proc hidden from us, as hidepid and some containers do
            memory_bytes = threads = open_fds = None
        return ProcessFacts(memory_bytes, self._peak_rss_bytes(), cpu_percent, threads, open_fds)

    def _peak_rss_bytes(self) -> int | None:
        """Return VmHWM; psutil does not have it, and getrusage counts the parent's before exec, too."""
        try:
            text = self._status.read_text(encoding="ascii", errors="replace")
        except OSError:
            return None
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        words = fields.get("VmHWM", "").split()
        return int(words[0]) * 1024 if len(words) == 2 and words[0].isdecimal() else None
