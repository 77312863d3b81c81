"""The comparison: everything measured of every variant, put together row by row."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_runtime.compare.accuracy import Accuracy, Pictures, measure_accuracy
from edge_runtime.compare.measure import Bench, measure_errors, measure_sizes, measure_times, thread_counts
from edge_runtime.compare.place import describe_software
from edge_runtime.compare.rows import UNSTEADY, Comparison, Row, as_record, is_unsteady, with_drops
from edge_runtime.compare.variants import Variant
from edge_runtime.errors import ModelError
from edge_runtime.model.flatbuffer import read_model
from edge_runtime.telemetry.board import BoardProbe

LAST = "comparison"
"""The key under which the state keeps the last whole comparison, for ``edge-runtime advise``."""
NOT_DECODED = "no accuracy"


def compare(
    bench: Bench, variants: Sequence[Variant], *, pictures: Pictures | None, labels: Path | None = None, num_runs: int
) -> Comparison:
    """Return everything about every variant; what is known already is not measured again.

    Args:
        bench: where to keep results.
        variants: the parent first.
        pictures: what to measure accuracy on; None measures the error of the outputs instead.
        labels: a label file for all of them.
        num_runs: invokes to time, for each variant and number of threads.

    Raises:
        ModelError: not one of them runs here.
        OutputError: results cannot be kept.
    """
    threads = thread_counts()
    times = measure_times(bench, variants, threads=threads, num_runs=num_runs)
    running = [one for one in variants if not isinstance(times[one.name], str)]
    if not running:
        first = variants[0]
        raise ModelError(f"{none_of(len(variants))}; {first.path.name}: {times[first.name]}")
    accuracies = measure_accuracy(bench, running, pictures, labels=labels) if pictures else {}
    errors = measure_errors(bench, running) if not pictures and running[0] is variants[0] else {}
    sizes = {one.name: measure_sizes(bench, one) for one in variants}
    rows = [
        _row(one, sizes[one.name], times[one.name], accuracies.get(one.name), errors.get(one.name)) for one in variants
    ]
    rows = with_drops(rows)
    comparison = Comparison(
        rows=rows,
        board=bench.board,
        cpu=bench.cpu,
        engine=f"{bench.engine} {bench.engine_version}",
        software=describe_software(),
        dataset=pictures.name if pictures else None,
        threads=threads,
        num_runs=num_runs,
        made=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        notes=notes(rows, held_back_by(), count=threads[0]),
    )
    bench.state.add(LAST, as_record(comparison))
    return comparison


def none_of(models: int) -> str:
    """Return what is said where not one of so many models runs."""
    return "the model does not run here" if models == 1 else f"none of the {models} models runs here"


def _row(
    variant: Variant,
    zstd_bytes: int,
    times: dict[str, Any] | str,
    accuracy: Accuracy | str | None,
    error: float | str | None,
) -> Row:
    reasons = [one for one in (times, accuracy, error) if isinstance(one, str)]
    measured = {} if isinstance(times, str) else times
    return Row(
        name=variant.name,
        file=variant.path.name,
        sha256=variant.sha256,
        size_bytes=variant.size_bytes,
        zstd_bytes=zstd_bytes,
        input=_input_type(variant.path),
        map=accuracy.map if isinstance(accuracy, Accuracy) else None,
        map50=accuracy.map50 if isinstance(accuracy, Accuracy) else None,
        output_error=error if isinstance(error, float) else None,
        reason=" ".join("; ".join(reasons).split()),
        **measured,
    )


def _input_type(path: Path) -> str | None:
    try:
        return read_model(path).inputs[0].dtype.name
    except (ModelError, IndexError):
        return None


def held_back_by() -> tuple[str, ...]:
    """Return what the firmware says holds the board back now."""
    throttling = BoardProbe().read().throttling
    return throttling.now.names() if throttling else ()


def notes(rows: Sequence[Row], throttled: Sequence[str], *, count: int = 1) -> list[str]:
    """Return what a reader should know before believing the times, those of this number of threads."""
    found = []
    timed = [row for row in rows if row.is_measured]
    noisy = [row.name for row in timed if is_unsteady(row, count)]
    if noisy:
        whose = f"all {len(noisy)} models" if 1 < len(noisy) == len(timed) else ", ".join(noisy)
        found.append(
            f"Times of {whose} differ by more than {UNSTEADY - 1:.0%} between rounds: other programs ran; "
            "measure again on a quiet board with --fresh."
        )
    if throttled:
        found.append(f"The board is held back ({', '.join(throttled).replace('_', ' ')}): times are too long.")
    if rows[0].map is not None and rows[0].map < 0.01:
        found.append("The parent finds nearly nothing in these pictures, so drops mean nothing: give fitting ones.")
    return found
