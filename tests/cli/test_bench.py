"""``edge-runtime bench``: the keys other tools read, and that the figures are figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.program import VIDEO_FRAMES, Done

Edge = Callable[..., Done]
KEYS = (
    "avg_ms", "min_ms", "max_ms", "stddev_ms", "median_ms", "p5_ms", "p90_ms", "p95_ms", "p99_ms", "init_ms",
    "first_inference_ms", "peak_mem_mb",
)  # fmt: skip


def test_json_has_the_keys_of_other_benchmarks(edge: Edge, model: Path) -> None:
    """They stand at the top, so that a script for another tool's file reads ours."""
    done = edge("bench", "--model", model, "--json", "--num_runs", "30", "--warmup_runs", "2")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    assert all(isinstance(found[key], float) for key in KEYS)
    ordered = [found[key] for key in ("min_ms", "p5_ms", "median_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms")]
    assert ordered == sorted(ordered)
    assert found["min_ms"] <= found["avg_ms"] <= found["max_ms"]
    assert (found["runs"], found["pipeline"]["frames"]) == (30, 30)
    assert found["init_ms"] > 0
    assert found["peak_mem_mb"] > 10


def test_the_table_names_model_backend_and_source(edge: Edge, model: Path, video: Path) -> None:
    done = edge("bench", "--model", model, "--num-runs", "100", "--source", video, "--num-threads", "1")
    assert (done.code, done.err) == (0, "")
    lines = dict(reversed([line.split(maxsplit=1) for line in done.out.splitlines() if line]))
    assert lines["model"] == model.name
    assert "1 thread" in lines["backend"]
    assert lines["source"] == str(video)
    assert lines["frames"].split() == ["100", str(VIDEO_FRAMES)]


def test_the_camera_of_a_service_is_not_measured(edge: Edge, model: Path, tmp_path: Path) -> None:
    """A camera's own pace says nothing about the board, nor does what is left out of its report."""
    (tmp_path / "edge.toml").write_text(f'model = "{model}"\nsource = "/dev/video99"\nclasses = ["no such class"]\n')
    done = edge("bench", "--config", "edge.toml", "--num-runs", "5", "--json")
    assert (done.code, json.loads(done.out)["source"]) == (0, "replay")


def test_a_source_without_a_frame_is_an_error(edge: Edge, model: Path) -> None:
    done = edge("bench", "--model", model, "--source", "/dev/video99", "--max-secs", "0.3", "-q")
    assert (done.code, done.out) == (4, "")
    assert done.err.splitlines()[-1].startswith("edge-runtime: error: ")
    assert "/dev/video99" in done.err
