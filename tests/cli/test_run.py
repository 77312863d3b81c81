"""``edge-runtime run``, the default command, from the arguments to the files it leaves."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.capture.servers import MjpegServer
from tests.cli.program import (
    PATIENCE_S,
    VIDEO_FRAMES,
    VIDEO_WH,
    Done,
    checked_records,
    found_in,
    frame_sizes,
    frames_of,
)

Edge = Callable[..., Done]


def test_a_video_gives_an_annotated_video_and_a_log_of_every_frame_in_order(
    edge: Edge, model: Path, video: Path, tmp_path: Path
) -> None:
    """The first example of the README; a lost or doubled frame fails here."""
    done = edge("--model", model, "--source", video, "--output", "annotated.mp4", "--log", "detections.jsonl")
    assert (done.code, done.out) == (0, "")
    records = checked_records((tmp_path / "detections.jsonl").read_text())
    assert frames_of(records) == list(range(VIDEO_FRAMES))
    assert [found_in(record) for record in records] == [["person", "car"]] * VIDEO_FRAMES
    assert records[0]["detections"][0]["box"] == pytest.approx([12.8, 4.8, 38.4, 24.0], abs=0.1)
    assert frame_sizes(tmp_path / "annotated.mp4") == [VIDEO_WH] * VIDEO_FRAMES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["annotated.mp4", "detections.jsonl"]


def test_a_folder_goes_to_stdout_in_name_order_and_the_log_to_stderr(edge: Edge, model: Path, pictures: Path) -> None:
    """stdout is for the next program in the pipe: every line is a record, and nothing else is said there."""
    done = edge("--model", model, "--source", f"{pictures}/", "--log", "-")
    assert done.code == 0
    assert [Path(record["source"]).name for record in done.records] == [f"shot{n}.png" for n in (1, 2, 9, 10)]
    assert "run started" in done.err
    assert "captured 4, processed 4, dropped 0" in done.err
    assert "edge-runtime: error" not in done.err


def test_a_pattern_is_a_source(edge: Edge, model: Path, pictures: Path) -> None:
    done = edge("--model", model, "--source", f"{pictures}/shot*.png", "--log", "-", "-q")
    assert (done.code, len(done.records), done.err) == (0, 4, "")


def test_a_live_source_ends_when_its_time_is_over(edge: Edge, model: Path) -> None:
    """And without a named output, on a machine without a display, the records go to stdout."""
    done = edge("--model", model, "--source", "scene", "--duration", "1", "-q")
    assert (done.code, done.err) == (0, "")
    assert [record["to"] for record in done.records if record["type"] == "state"] == ["ok"]
    numbers = frames_of(done.records)
    assert numbers == sorted(set(numbers))
    assert len(numbers) > 1


@pytest.mark.parametrize("source", ["scene", "video"])
def test_the_number_of_frames_is_kept_exactly(edge: Edge, model: Path, video: Path, source: str) -> None:
    done = edge("--model", model, "--source", video if source == "video" else source, "--max-frames", 7, "-q")
    assert (done.code, len(frames_of(done.records)), done.err) == (0, 7, "")


def test_a_network_camera_is_read_and_its_password_is_told_to_nobody(edge: Edge, model: Path) -> None:
    """Logs are sent around; the address is in every record."""
    server = MjpegServer(login="me:geheim")
    try:
        done = edge("--model", model, "--source", server.url("me:geheim"), "--max-frames", 5, "-v")
    finally:
        server.kill()
    assert (done.code, len(frames_of(done.records))) == (0, 5)
    assert done.records[-1]["source"] == server.url()
    assert "geheim" not in done.out + done.err


@pytest.mark.parametrize("name", ["t.jsonl", "t.csv"])
def test_telemetry_is_written_while_it_runs_and_at_the_end(edge: Edge, model: Path, tmp_path: Path, name: str) -> None:
    """A period each 0.2 s, then the whole run; the counts of the periods do not exceed those of the run."""
    done = edge(
        "--model", model, "--source", "scene", "--duration", "1.2", "--log", "found.jsonl",
        "--telemetry", name, "--telemetry-interval", "0.2",
    )  # fmt: skip
    assert done.code == 0
    text = (tmp_path / name).read_text()
    if name.endswith(".csv"):
        rows = list(csv.DictReader(text.splitlines()))
        scopes, processed = [row["scope"] for row in rows], int(rows[-1]["processed"])
    else:
        records = checked_records(text)
        scopes, processed = [record["scope"] for record in records], records[-1]["frames"]["processed"]
    assert scopes[0] == "period"
    assert scopes[-1] == "run"
    assert scopes.count("run") == 1
    assert processed == len(frames_of(checked_records((tmp_path / "found.jsonl").read_text())))
    assert "summary" in done.err


def test_snapshots_are_pictures_in_a_folder_that_is_made(
    edge: Edge, model: Path, pictures: Path, tmp_path: Path
) -> None:
    done = edge("--model", model, "--source", pictures, "--snapshots", "shots/today", "-q")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert len(list((tmp_path / "shots" / "today").glob("*.jpg"))) == 4


def test_classes_and_threshold_choose_what_is_reported(edge: Edge, model: Path, pictures: Path) -> None:
    one = ("--model", model, "--source", pictures / "shot1.png", "-q")
    assert found_in(edge(*one, "--classes", "Person, bicycle").records[0]) == ["person"]
    assert found_in(edge(*one, "--threshold", "0.7").records[0]) == ["person"]
    assert found_in(edge(*one, "--max-detections", "1").records[0]) == ["person"]
    assert found_in(edge(*one, "--classes", "bicycle").records[0]) == []


def test_a_label_file_names_what_the_model_finds(edge: Edge, model: Path, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("Mensch\nRad\nAuto\n")
    done = edge("--model", model, "--source", pictures / "shot1.png", "--labels", "names.txt", "-q")
    assert found_in(done.records[0]) == ["Mensch", "Auto"]


def test_flags_may_be_written_with_underscores(edge: Edge, model: Path, pictures: Path) -> None:
    """That is how the tools of TensorFlow spell them."""
    done = edge("--model", model, "--source", pictures, "--num_threads", "1", "--max_frames=2")
    assert (done.code, len(done.records)) == (0, 2)
    assert "1 thread" in done.err


def test_quiet_says_nothing_and_verbose_says_more(edge: Edge, model: Path, pictures: Path) -> None:
    args = ("--model", model, "--source", pictures, "--log", "-")
    plain, quiet, verbose = (edge(*args, *flag) for flag in ((), ("-q",), ("-v",)))
    assert quiet.err == ""
    assert 0 < len(plain.err) < len(verbose.err)
    assert " DEBUG " in verbose.err
    assert " DEBUG " not in plain.err
    assert len(quiet.records) == len(plain.records) == len(verbose.records) == 4


def test_the_command_may_be_named_and_the_installed_script_is_the_same(edge: Edge, model: Path, pictures: Path) -> None:
    script = shutil.which("edge-runtime", path=str(Path(sys.executable).parent))
    args = ("--model", model, "--source", pictures, "-q")
    assert [found_in(record) for record in edge("run", *args).records] == [["person", "car"]] * 4
    if script is None:
        pytest.skip("the package is not installed, there is no script edge-runtime")
    assert len(edge(*args, program=[script]).records) == 4


def test_nothing_behind_two_dashes_is_a_flag(edge: Edge, model: Path, pictures: Path) -> None:
    assert edge("--model", model, "--source", pictures, "-q", "--").code == 0
    assert "'--my_file': is one argument too many" in edge("--model", model, "--", "--my_file").err


def test_a_video_played_as_a_camera_may_drop_frames_but_ends(edge: Edge, model: Path, video: Path) -> None:
    done = edge("--model", model, "--source", video, "--realtime", "--fps", "200", "-q")
    numbers = frames_of(done.records)
    assert (done.code, done.err) == (0, "")
    assert numbers == sorted(set(numbers))
    assert set(numbers) <= set(range(VIDEO_FRAMES))


@pytest.mark.parametrize(
    ("flag", "name"), [("--log", "found.jsonl"), ("--telemetry", "found.jsonl"), ("--output", "v.mp4")]
)
def test_a_file_that_exists_is_left_alone(
    edge: Edge, model: Path, video: Path, tmp_path: Path, flag: str, name: str
) -> None:
    """A day of detections must not be lost to a second start."""
    (tmp_path / name).write_text("what was there\n")
    done = edge("--model", model, "--source", video, flag, name, "-q")
    assert done.code == 6
    assert done.err.startswith(f"edge-runtime: error: {name}: exists (15 bytes); add ")
    assert done.err.count("\n") == 1
    assert (tmp_path / name).read_text() == "what was there\n"


def test_append_continues_and_overwrite_replaces(edge: Edge, model: Path, pictures: Path, tmp_path: Path) -> None:
    log = tmp_path / "found.jsonl"
    args = ("--model", model, "--source", pictures, "--log", log.name, "-q")
    assert edge(*args).code == 0
    first = log.read_text()
    assert edge(*args, "--append").code == 0
    assert log.read_text().startswith(first)
    assert len(checked_records(log.read_text())) == 8
    assert edge(*args, "--overwrite").code == 0
    assert len(checked_records(log.read_text())) == 4


def test_a_video_is_replaced_only_when_asked(edge: Edge, model: Path, video: Path, tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_text("what was there\n")
    args = ("--model", model, "--source", video, "--output", "v.mp4", "-q")
    refused = edge(*args, "--append")
    assert (refused.code, "a video cannot be continued" in refused.err) == (2, True)
    assert edge(*args, "--overwrite").code == 0
    assert len(frame_sizes(tmp_path / "v.mp4")) == VIDEO_FRAMES


@pytest.mark.parametrize("flag", ["--log", "--telemetry", "--output"])
def test_what_is_read_is_never_written_over(edge: Edge, model: Path, video: Path, tmp_path: Path, flag: str) -> None:
    """--overwrite is meant for the results of the last run, not for the film they came from."""
    shutil.copy(video, tmp_path / "mine.mp4")
    done = edge("--model", model, "--source", "mine.mp4", flag, "./mine.mp4", "--overwrite")
    assert (done.code, "is the same file as source" in done.err) == (2, True)
    assert (tmp_path / "mine.mp4").read_bytes() == video.read_bytes()


def test_two_outputs_may_not_share_a_file(edge: Edge, model: Path) -> None:
    done = edge("--model", model, "--source", "scene", "--log", "x.jsonl", "--telemetry", "x.jsonl")
    assert (done.code, "telemetry: x.jsonl is the same file as log" in done.err) == (2, True)
    assert edge("config", "--log", "/dev/null", "--telemetry", "/dev/null").code == 0


def test_settings_come_from_a_file_too(edge: Edge, model: Path, pictures: Path, tmp_path: Path) -> None:
    """Paths in it are seen from it, patterns as well: a service starts in another folder."""
    (tmp_path / "etc").mkdir()
    shutil.copytree(pictures, tmp_path / "etc" / "shots")
    shutil.copy(model, tmp_path / "etc" / "m.tflite")
    (tmp_path / "etc" / "edge.toml").write_text('model = "m.tflite"\nsource = "shots/*.png"\nlog = "found.jsonl"\n')
    done = edge("--config", "etc/edge.toml", "-q")
    assert (done.code, done.err) == (0, "")
    assert len(checked_records((tmp_path / "etc" / "found.jsonl").read_text())) == 4


def test_a_real_model_on_a_real_video(edge: Edge, shared: Path, tmp_path: Path) -> None:
    """Every frame of this video shows cars."""
    done = edge(
        "--model", shared / "models" / "detect.tflite", "--labels", shared / "models" / "labels" / "labelmap_90.txt",
        "--source", shared / "videos" / "traffic_frames.mp4", "--output", "a.mp4", "--log", "-", "-q",
        "--num-threads", "1",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert frames_of(done.records) == list(range(20))
    assert all("car" in found_in(record) for record in done.records)
    assert frame_sizes(tmp_path / "a.mp4") == [(960, 540)] * 20


def test_the_summary_counts_what_the_log_holds(edge: Edge, model: Path, video: Path, tmp_path: Path) -> None:
    done = edge("--model", model, "--source", video, "--log", "-", "--telemetry", "t.jsonl")
    last = json.loads((tmp_path / "t.jsonl").read_text().splitlines()[-1])
    assert last["frames"] == {"captured": VIDEO_FRAMES, "dropped": 0, "processed": VIDEO_FRAMES}
    assert len(done.records) == VIDEO_FRAMES


def test_two_runs_with_one_log_do_not_tear_it(
    start: Callable[..., subprocess.Popen[str]],
    edge: Edge,
    model: Path,
    pictures: Path,
    tmp_path: Path,
) -> None:
    """The same command in two terminals: the second must not empty the file under the first."""
    log = ("--log", "same.jsonl", "--overwrite")
    first = start("--model", model, "--source", "scene", *log)
    assert first.stderr is not None
    while "run started" not in first.stderr.readline():
        assert first.poll() is None
    while not (tmp_path / "same.jsonl").exists() or not (tmp_path / "same.jsonl").stat().st_size:
        assert first.poll() is None
    second = edge("--model", model, "--source", pictures, *log, "-q")
    first.send_signal(signal.SIGTERM)
    first.stderr.read()
    assert second.code == 6
    assert "same.jsonl: another run is writing it; give another name" in second.err
    assert first.wait(PATIENCE_S) == 0
    frames = frames_of(checked_records((tmp_path / "same.jsonl").read_text()))
    assert frames == list(range(len(frames)))


def test_a_window_that_cannot_be_is_said_before_the_model_is_loaded(edge: Edge, model: Path, pictures: Path) -> None:
    """Loading takes seconds on a small board; whether there is a window is known at once."""
    done = edge("--model", model, "--source", pictures, "--display")
    assert done.code == 2
    assert "window: " in done.err
    assert "backend" not in done.err
