"""The disk budget, from the settings to the files a run leaves."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

from edge_runtime.config import load
from edge_runtime.service import build_storage
from edge_runtime.storage.limits import Limits
from tests.cli.program import VIDEO_FRAMES, Done, checked_records, frames_of

Edge = Callable[..., Done]
YESTERYEAR_S = 1_577_859_000  # 2020-01-01T06:10:00Z


def test_the_settings_become_the_budget() -> None:
    """Each one arrives at its place."""
    given = {"max_bytes": "2 MB", "max_bytes_per_day": "3 MB", "min_free_bytes": "4 MB", "keep_days": "5",
             "fsync": "always", "flush_seconds": "6"}  # fmt: skip
    storage = build_storage(load({f"storage_{name}": value for name, value in given.items()}, {}).config)
    assert storage.limits == Limits(2_000_000, 3_000_000, 4_000_000, 5)
    assert (storage.flush_s, storage.sync_s) == (6.0, 0.0)
    assert build_storage(load({}, {}).config).limits == Limits()
    assert build_storage(load({"storage_fsync": "30"}, {}).config).sync_s == 30.0


def test_a_log_of_an_earlier_day_is_rotated_and_compressed_and_the_measurements_say_what_was_written(
    edge: Edge, model: Path, video: Path, tmp_path: Path
) -> None:
    """The next file of the same name holds this run alone, and nothing of the other one is lost."""
    log, old = tmp_path / "found.jsonl", b'{"schema":1}\n' * 1000
    log.write_bytes(old)
    os.utime(log, (YESTERYEAR_S, YESTERYEAR_S))
    (tmp_path / "edge.toml").write_text(
        'log = "found.jsonl"\ntelemetry = "t.jsonl"\nappend = true\n[storage]\nmax_bytes = "1 GB"\n'
    )
    assert edge("--model", model, "--source", video, "--config", "edge.toml").code == 0
    assert frames_of(checked_records(log.read_text())) == list(range(VIDEO_FRAMES))
    rotated = tmp_path / "found.2020-01-01T061000Z.jsonl"
    packed = rotated.with_name(f"{rotated.name}.gz")
    assert rotated.exists() != packed.exists(), "compressed, or left for the next run that lasts longer"
    assert (rotated.read_bytes() if rotated.exists() else gzip.decompress(packed.read_bytes())) == old
    last = checked_records((tmp_path / "t.jsonl").read_text())[-1]
    assert last["written_bytes_today"] >= log.stat().st_size


def test_a_torn_log_is_continued_and_every_line_of_it_can_be_read(
    edge: Edge, model: Path, video: Path, tmp_path: Path
) -> None:
    """A power cut costs the line that was being written, and not even that: it is kept beside."""
    log = tmp_path / "found.jsonl"
    log.write_text('{"schema":1,"type":"det')
    done = edge("--model", model, "--source", video, "--log", "found.jsonl", "--append")
    assert done.code == 0
    assert "a last line was cut in the middle" in done.err
    assert (tmp_path / "found.jsonl.torn").read_text() == '{"schema":1,"type":"det\n'
    assert [json.loads(line)["type"] for line in log.read_text().splitlines()] == ["detections"] * VIDEO_FRAMES
