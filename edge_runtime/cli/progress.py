"""How far a long command is: a bar on a terminal, lines of plain text elsewhere, and a last word at Ctrl-C."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from edge_runtime.cli.streams import tell

PACE_S = 10.0
"""A step of many small parts says anew how far it is after this long."""

Tick = Callable[[str, int, int], None]
"""Takes what is being done, how many parts of it are done, and of how many."""


@contextmanager
def progress(*, quiet: bool) -> Iterator[Tick]:
    """Yield what takes word of each step and shows it on stderr.

    A terminal gets a bar that goes when the work is done. A file or a pipe gets a line for each step, without colours
    and such: who looks into the log of a build sees that the program lives. So does a terminal without the package
    that draws the bar.
    """
    if quiet or sys.stderr is None:
        yield lambda *_: None
    elif sys.stderr.isatty() and find_spec("rich"):
        with _bar() as tick:
            yield tick
    else:
        yield Lines()


@contextmanager
def _bar() -> Iterator[Tick]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task("", total=None)
        yield lambda what, done, total: drawn.update(task, description=what, completed=done, total=total or None)


class Lines:
    """Prints a line when another step begins, and from time to time within one."""

    def __init__(self, say: Callable[[str], None] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Say nothing yet.

        Args:
            say: prints a line; None prints it on stderr.
            clock: gives seconds.
        """
        self._say = say or (lambda line: tell(line, level=6))
        self._clock = clock
        self._what: str | None = None
        self._said_s = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take word of a step."""
        now_s = self._clock()
        if what == self._what and now_s - self._said_s < PACE_S:
            return
        self._what, self._said_s = what, now_s
        self._say(f"[{done}/{total}] {what}" if total else what)


@contextmanager
def interruptible(last_word: Callable[[], str] | None = None) -> Iterator[None]:
    """Let Ctrl-C, and what a service or a closed terminal sends, raise: what is half done is then put away.

    Outside of this block they end the process on the spot, with nothing said.

    Args:
        last_word: returns the line that says what is kept and how to go on; None says nothing.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(one, signal.default_int_handler) for one in numbers]
    try:
        yield
    except KeyboardInterrupt:
        if last_word is not None:
            tell(last_word(), level=5)
        raise
    finally:
        for one, handler in zip(numbers, before, strict=True):
            signal.signal(one, handler)
