"""The annotated video."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime import filelock
from edge_runtime.errors import ConfigError, OutputError
from edge_runtime.outputs import OUTPUTS, video
from edge_runtime.outputs.video import COUNTED_PICTURES, VideoOutput, fit
from edge_runtime.storage.store import Storage

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def feed(make_result):
    """Return a function that writes frames of these grey levels, so many milliseconds apart."""

    def write(output, levels, *, step_ms=40.0, size_wh=(64, 48)):
        for number, level in enumerate(levels):
            result = make_result(number, at_ms=number * step_ms, size_wh=size_wh, level=level)
            output.write(result, result.frame.image.copy())

    return write


def read(path):
    """Return the mean grey of every frame, their (height, width), and the rate."""
    reader = cv2.VideoCapture(str(path))
    assert reader.isOpened()
    levels, shapes = [], set()
    while True:
        is_there, image = reader.read()
        if not is_there:
            break
        levels.append(float(image.mean()))
        shapes.add(image.shape[:2])
    fps = reader.get(cv2.CAP_PROP_FPS)
    reader.release()
    return levels, shapes, fps


def test_the_table_of_outputs_names_this_one(tmp_path):
    """The table is what the command line goes by."""
    assert OUTPUTS["video"].endswith(f":{VideoOutput.__name__}")
    assert VideoOutput(tmp_path / "a.mp4", 25.0).needs_drawing


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "A.MP4"])
def test_every_frame_of_a_file_comes_back_in_order(tmp_path, feed, name):
    """A video that was analysed must show the same frames in the same time."""
    output = VideoOutput(tmp_path / name, lambda: 12.5)
    output.open()
    levels = [20, 60, 100, 140, 180, 220]
    feed(output, levels)
    output.close()
    output.close()
    got, shapes, fps = read(tmp_path / name)
    assert got == pytest.approx(levels, abs=6)
    assert shapes == {(48, 64)}
    assert fps == pytest.approx(12.5)


def test_the_name_appears_only_when_the_video_is_complete(tmp_path, feed):
    """A crash must not leave half a file that is taken for a whole one."""
    output = VideoOutput(tmp_path / "a.mp4", 25.0)
    output.open()
    feed(output, [50, 60])
    assert [path.name for path in tmp_path.iterdir()] == [".a.partial.mp4"]
    output.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_video_that_exists_is_refused_and_stays(tmp_path):
    """Yesterday's recording must survive the same command typed again."""
    path = tmp_path / "a.mp4"
    path.write_bytes(b"x" * 2000)
    with pytest.raises(OutputError) as caught:
        VideoOutput(path, 25.0).open()
    assert str(caught.value) == f"{path}: exists (2,000 bytes); add --overwrite to replace it"
    assert path.read_bytes() == b"x" * 2000


def test_overwrite_replaces_only_when_the_new_video_is_complete(tmp_path, feed):
    """A run that dies at once would otherwise cost the old video."""
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    output = VideoOutput(path, 25.0, overwrite=True)
    output.open()
    feed(output, [50])
    assert path.read_bytes() == b"old"
    output.close()
    assert read(path)[0] == pytest.approx([50], abs=6)


def test_a_file_that_took_the_name_meanwhile_is_not_lost(tmp_path, feed):
    """Two runs may have been told the same name."""
    path = tmp_path / "a.mp4"
    output = VideoOutput(path, 25.0)
    output.open()
    feed(output, [50])
    path.write_bytes(b"other")
    with pytest.raises(OutputError, match=r"exists .*what there is stays in .*\.a\.partial\.mp4"):
        output.close()
    assert path.read_bytes() == b"other"
    assert len(read(tmp_path / ".a.partial.mp4")[0]) == 1


def test_no_frame_leaves_no_file_and_a_warning(tmp_path, caplog):
    """An empty video would open in no player."""
    output = VideoOutput(tmp_path / "a.mp4", 25.0)
    output.open()
    output.close()
    assert list(tmp_path.iterdir()) == []
    assert "no video, there was no frame" in caplog.text


def test_two_runs_cannot_write_one_video(tmp_path, feed):
    """The second would empty the file under the first, which is not finished and has no name yet."""
    first, second = VideoOutput(tmp_path / "a.mp4", 25.0), VideoOutput(tmp_path / "a.mp4", 25.0)
    first.open()
    feed(first, [50])
    with pytest.raises(OutputError, match="another run is writing it"):
        second.open()
    first.close()
    assert read(tmp_path / "a.mp4")[0] == pytest.approx([50], abs=6)


def test_a_file_system_without_locks_takes_a_video_all_the_same(tmp_path, feed, monkeypatch):
    """Some network shares have none; the lock guards against a rare mistake only."""

    def refuse(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock.fcntl, "flock", refuse)
    output = VideoOutput(tmp_path / "a.mp4", 25.0)
    output.open()
    feed(output, [50])
    output.close()
    assert read(tmp_path / "a.mp4")[0] == pytest.approx([50], abs=6)


def test_what_an_earlier_crash_left_is_replaced_with_a_warning(tmp_path, feed, caplog):
    """It has no index and cannot be played, and it must not pile up."""
    (tmp_path / ".a.partial.mp4").write_bytes(b"half")
    output = VideoOutput(tmp_path / "a.mp4", 25.0)
    output.open()
    feed(output, [50])
    output.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert "never finished" in caplog.text


def test_frames_of_another_size_are_fitted_undistorted(tmp_path, feed, make_result):
    """A folder of pictures has all sizes; a video has one."""
    output = VideoOutput(tmp_path / "a.avi", 25.0)
    output.open()
    feed(output, [200], size_wh=(64, 48))
    other = make_result(1, size_wh=(200, 50), level=200)
    output.write(other, other.frame.image)
    output.close()
    reader = cv2.VideoCapture(str(tmp_path / "a.avi"))
    reader.read()
    _, second = reader.read()
    reader.release()
    assert second.shape == (48, 64, 3)
    assert second[24].mean() > 180
    assert second[2].mean() < 20
    assert second[45].mean() < 20


def test_fitting_fills_one_direction_and_centres_the_other():
    """The rule of a letterbox, to the pixel."""
    wide = fit(np.full((10, 40, 3), 255, np.uint8), (20, 20))
    assert wide.shape == (20, 20, 3)
    assert [int(row.mean()) for row in wide] == [0] * 7 + [255] * 5 + [0] * 8
    same = np.zeros((20, 20, 3), np.uint8)
    assert fit(same, (20, 20)) is same


@pytest.mark.parametrize("size_wh", [(3, 3), (1, 40), (161, 121)])
@pytest.mark.parametrize("name", ["a.mp4", "a.avi"])
def test_odd_and_tiny_frames_make_a_video_too(tmp_path, feed, size_wh, name):
    """FFmpeg ends the whole process over an MPEG-4 frame of 3 x 3."""
    output = VideoOutput(tmp_path / name, 25.0)
    output.open()
    feed(output, [90, 90], size_wh=size_wh)
    output.close()
    assert len(read(tmp_path / name)[0]) == 2


def test_a_source_without_a_rate_gives_one_picture_a_second(tmp_path, feed):
    """A folder of pictures becomes something one can look at."""
    output = VideoOutput(tmp_path / "a.mp4", lambda: None)
    output.open()
    feed(output, [50, 100])
    output.close()
    assert read(tmp_path / "a.mp4")[2] == pytest.approx(1.0)


def test_a_live_video_takes_as_long_as_the_world_did(tmp_path, feed):
    """Detection at 5 a second from a camera of 30: 20 frames are 4 seconds, not two thirds of one."""
    output = VideoOutput(tmp_path / "a.mp4", lambda: 30.0, keep_time=True)
    output.open()
    feed(output, [100] * 20, step_ms=200.0)
    output.close()
    levels, _, fps = read(tmp_path / "a.mp4")
    assert fps == pytest.approx(5.0)
    assert len(levels) == 20


def test_a_live_video_fills_what_detection_missed(tmp_path, make_result):
    """The frame before stands until the next one comes."""
    output = VideoOutput(tmp_path / "a.avi", 10.0, keep_time=True)
    output.open()
    for number, (at_ms, level) in enumerate([(0, 40), (100, 80), (200, 120), (300, 160), (600, 200)]):
        result = make_result(number, at_ms=at_ms, level=level)
        output.write(result, result.frame.image)
    output.close()
    assert read(tmp_path / "a.avi")[0] == pytest.approx([40, 80, 120, 160, 160, 160, 200], abs=6)


def test_a_live_video_shorter_than_the_measurement_is_written_all_the_same(tmp_path, feed):
    """``--max-frames 2`` asks for two frames."""
    output = VideoOutput(tmp_path / "a.mp4", 10.0, keep_time=True)
    output.open()
    feed(output, [40, 80], step_ms=100.0)
    output.close()
    assert read(tmp_path / "a.mp4")[0] == pytest.approx([40, 80], abs=6)


@pytest.mark.parametrize("name", ["a.txt", "a", "a.mkv"])
def test_an_unknown_ending_names_those_that_are_known(tmp_path, name):
    """It is a mistake in the command, so it is said before anything is opened."""
    with pytest.raises(ConfigError, match=r"use \.mp4 or \.avi"):
        VideoOutput(tmp_path / name, 25.0)


def test_a_missing_folder_is_named(tmp_path):
    """The name of the folder is what has to be corrected."""
    with pytest.raises(OutputError, match=r"the folder .*no does not exist; create it first"):
        VideoOutput(tmp_path / "no" / "a.mp4", 25.0).open()


def test_a_folder_in_the_place_of_the_video_is_said(tmp_path):
    """Also with --overwrite, which must not mean a whole folder."""
    (tmp_path / "a.mp4").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        VideoOutput(tmp_path / "a.mp4", 25.0, overwrite=True).open()


def test_a_size_the_codec_refuses_names_the_other_kind(tmp_path, feed):
    """MPEG-4 ends at 8191 pixels; a panorama is wider."""
    output = VideoOutput(tmp_path / "a.mp4", 25.0)
    output.open()
    with pytest.raises(OutputError, match=r"cannot write 9000x32 as mp4v or avc1; try \.avi"):
        feed(output, [90], size_wh=(9000, 32))
    output.close()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_ends_the_video_and_keeps_it_under_a_name_that_says_so(
    tmp_path, feed, make_result, monkeypatch
):
    """OpenCV says nothing when it cannot write; the index at the end would be lost with everything before it.

    Under its own name it would pass for the whole video; and a video that has that name, or an earlier half, stays.
    """
    (tmp_path / "a.mp4").write_bytes(b"yesterday's")
    (tmp_path / "a.incomplete.mp4").write_bytes(b"an earlier half")
    output = VideoOutput(tmp_path / "a.mp4", 25.0, overwrite=True)
    output.open()
    feed(output, [50, 60, 70])

    def refuse(path):
        raise OutputError(f"{path}: 3 MiB are free on its disk")

    monkeypatch.setattr(video, "check_room", refuse)
    with pytest.raises(OutputError, match=r"3 MiB are free .*; what there is stays in .*/a\.incomplete-1\.mp4"):
        output.write(make_result(3), make_result(3).frame.image)
    assert len(read(tmp_path / "a.incomplete-1.mp4")[0]) == 3
    assert (tmp_path / "a.mp4").read_bytes() == b"yesterday's"
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.raises(OutputError, match="is not open"):
        output.write(make_result(4), make_result(4).frame.image)


def test_a_file_that_cannot_be_read_back_is_not_passed_off_as_a_video(tmp_path, feed):
    """A disk that filled up leaves a file without its index."""
    output = VideoOutput(tmp_path / "a.mp4", 25.0)
    output.open()
    feed(output, [50])

    class Broken:
        def release(self):
            (tmp_path / ".a.partial.mp4").write_bytes(b"")

    output._writer.release()
    output._writer = Broken()
    with pytest.raises(
        OutputError, match="could not be finished, 1 of 1 pictures are missing in it; what there is stays in"
    ):
        output.close()
    assert not (tmp_path / "a.mp4").exists()


LIMIT_PROGRAM = """
import resource, signal, sys
sys.path.insert(0, {root!r})
from pathlib import Path
import numpy as np
from edge_runtime.capture.replay import ReplaySource
from edge_runtime.detections import Detections
from edge_runtime.errors import OutputError
from edge_runtime.outputs.video import VideoOutput
from edge_runtime.result import Result

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
output = VideoOutput(Path({path!r}), 25.0)
output.open()
nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))
noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
for frame in ReplaySource([noise], 40):
    output.write(Result(frame, nothing, (), {{}}, frame.captured_ns), noise)
try:
    output.close()
except OutputError as exc:
    print(exc)
"""


@pytest.mark.parametrize("name", ["a.mp4", "a.avi"])
def test_a_disk_that_fills_up_unseen_makes_no_video_of_a_torn_file(tmp_path, name):
    """Another program can fill it between two looks. OpenCV says nothing, and an AVI of that kind even opens."""
    program = LIMIT_PROGRAM.format(root=str(ROOT), path=str(tmp_path / name))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "could not be finished, 40 of 40 pictures are missing in it" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == [f".a.partial{name[1:]}"]


def test_a_video_whose_writing_broke_off_does_not_get_its_name(tmp_path, feed):
    """A defect in the middle leaves as little of the whole as a full disk does."""
    output = VideoOutput(tmp_path / "a.mp4", 25.0)
    output.open()
    feed(output, [50, 60])
    with pytest.raises(AttributeError):
        output.write(None, np.zeros((48, 64, 3), np.uint8))
    output.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.incomplete.mp4"]


def test_a_second_size_is_said_once(tmp_path, feed, caplog):
    """A folder of pictures: the first one sets the size of the video, by chance of its name."""
    caplog.set_level("INFO", logger="edge_runtime")
    output = VideoOutput(tmp_path / "a.mp4", 25.0)
    output.open()
    feed(output, [50, 60])
    assert "one size" not in caplog.text
    feed(output, [70, 80], size_wh=(32, 48))
    output.close()
    assert caplog.text.count("one size, that of its first frame") == 1
    assert "size=64x48 other=32x48" in caplog.text


def test_a_frame_smaller_than_the_smallest_video_is_no_second_size(tmp_path, feed, caplog):
    """It is the first one, only put on a larger ground."""
    caplog.set_level("INFO", logger="edge_runtime")
    output = VideoOutput(tmp_path / "a.mp4", 25.0)
    output.open()
    feed(output, [50, 60], size_wh=(8, 8))
    output.close()
    assert "one size" not in caplog.text


def test_states_are_not_for_a_video(tmp_path, change):
    """It only shows frames."""
    VideoOutput(tmp_path / "a.mp4", 25.0).write_state(change)
    assert list(tmp_path.iterdir()) == []


def test_what_a_video_takes_counts_as_written(tmp_path, make_result):
    """A card wears out by it like by anything else."""
    storage = Storage()
    output = VideoOutput(tmp_path / "a.avi", 10.0, storage=storage)
    output.open()
    for number in range(COUNTED_PICTURES * 2 + 1):
        output.write(make_result(number), make_result(number, level=number).frame.image)
    output.close()
    assert storage.written_today == (tmp_path / "a.avi").stat().st_size > 0
