"""JSON lines: one record a line, to a file or to stdout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from edge_runtime.linefile import LineFile, json_line
from edge_runtime.outputs.records import detections_record, state_record
from edge_runtime.result import Result, StateChange

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class JsonLinesOutput:
    """Writes the record of every result and every change of state.

    Each line goes to the system at once, so that a reader sees it at once and a crash of ours loses nothing.

    Args:
        path: the file; None is stdout.
        append: continue a file that holds something.
        overwrite: replace a file that holds something.
        stream: where to write instead of to stdout, when `path` is None.
    """

    name = "jsonl"
    needs_drawing = False

    def __init__(
        self, path: Path | None, *, append: bool = False, overwrite: bool = False, stream: BinaryIO | None = None
    ) -> None:
        self._lines = LineFile(path, append=append, overwrite=overwrite, stream=stream)

    def open(self) -> None:
        self._lines.open()

    def write(self, result: Result, drawn: NDArray[np.uint8] | None) -> None:
        del drawn
        self._lines.write(json_line(detections_record(result)))

    def write_state(self, change: StateChange) -> None:
        self._lines.write(json_line(state_record(change)))

    def close(self) -> None:
        self._lines.close()
