"""Outputs: where results go, the table of them and what each one offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge_runtime.result import Result, StateChange

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OUTPUTS = {
    "jsonl": "edge_runtime.outputs.jsonl:JsonLinesOutput",
    "video": "edge_runtime.outputs.video:VideoOutput",
    "window": "edge_runtime.outputs.window:WindowOutput",
    "snapshots": "edge_runtime.outputs.snapshots:SnapshotOutput",
}


class Output(Protocol):
    """A place for results. It may fail alone: the pipeline says so once and goes on without it."""

    @property
    def name(self) -> str:
        """Its key in the table of outputs, used in states and messages."""

    @property
    def needs_drawing(self) -> bool:
        """True when it shows frames; the pipeline then draws each result once for all who look."""

    def open(self) -> None:
        """Get ready, before the first result.

        Raises:
            OutputError: the place cannot be written, or holds something that would be lost.
        """

    def write(self, result: Result, drawn: NDArray[np.uint8] | None) -> None:
        """Take one result; ``drawn`` is its annotated (H, W, 3) BGR copy, None if `needs_drawing` is False.

        Raises:
            OutputError: the result could not be written.
        """

    def write_state(self, change: StateChange) -> None:
        """Take a change of state; an output that only shows frames does nothing.

        Raises:
            OutputError: it could not be written.
        """

    def close(self) -> None:
        """Write what is left and free the place. Allowed more than once."""
