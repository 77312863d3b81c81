"""JSON lines: one record a line, to a file or to stdout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from edge_runtime.linefile import json_line
from edge_runtime.outputs.records import detections_record, state_record
from edge_runtime.result import Result, StateChange
from edge_runtime.storage.lines import StoredLines
from edge_runtime.storage.recovery import Tell
from edge_runtime.storage.store import Storage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class JsonLinesOutput:
    """Writes the record of every result and every change of state.

    Without a batch of `storage` each line goes to the system at once, so that a reader sees it at once and a crash of
    ours loses nothing. A change of state never waits.

    Args:
        path: the file; None is stdout.
        append: continue a file that holds something.
        overwrite: replace a file that holds something.
        stream: where to write instead of to stdout, when `path` is None.
        storage: the disk budget that all outputs share; None has no limits.
    """

    name = "jsonl"
    needs_drawing = False

    def __init__(
        self,
        path: Path | None,
        *,
        append: bool = False,
        overwrite: bool = False,
        stream: BinaryIO | None = None,
        storage: Storage | None = None,
    ) -> None:
        self._storage = storage or Storage()
        self._lines = StoredLines(
            path,
            f"output:{self.name}",
            storage=self._storage,
            append=append,
            overwrite=overwrite,
            stream=stream,
        )

    @property
    def lost(self) -> int:
        """Results that were not written: the disk was full, or the day's budget."""
        return self._lines.recovery.lost

    @property
    def is_failing(self) -> bool:
        """True while it cannot write and tries again."""
        return self._lines.recovery.is_failing

    def watch(self, tell: Tell, *, keeps_trying: bool) -> None:
        """Tell of changes of state; keep trying where writing fails, instead of raising."""
        self._storage.watch(tell)
        if keeps_trying:
            self._lines.watch(tell)

    def open(self) -> None:
        self._lines.open()

    def write(self, result: Result, drawn: NDArray[np.uint8] | None) -> None:
        del drawn
        self._lines.write(json_line(detections_record(result)))

    def write_state(self, change: StateChange) -> None:
        self._lines.write(json_line(state_record(change)), is_urgent=True)

    def close(self) -> None:
        self._lines.close()
