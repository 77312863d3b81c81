"""Video files: short ones written here, and real ones where they are at hand."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.capture.video import VideoSource
from edge_runtime.clock import now_ns
from edge_runtime.errors import CaptureError


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A clip of 12 grainy frames whose brightness is 20, 35, 50, ..."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 12.5, (64, 48))
    grain = np.random.default_rng(0).integers(0, 40, (48, 64, 3), np.uint8)
    for number in range(12):
        writer.write(grain + np.uint8(15 * number))
    writer.release()
    return path


def test_every_frame_comes_in_order(clip: Path) -> None:
    """A file loses no frame, however slow its reader is."""
    before = now_ns()

    with VideoSource(clip) as source:
        assert (source.resolution, source.fps, source.is_live) == ((64, 48), 12.5, False)
        frames = list(source)

    assert [frame.sequence for frame in frames] == list(range(12))
    assert [round(float(frame.image.mean())) for frame in frames] == pytest.approx(
        [20 + 15 * n for n in range(12)], abs=2
    )
    assert frames[0].source == str(clip)
    times = [before, *(frame.captured_ns for frame in frames), now_ns()]
    assert times == sorted(times)


def test_frames_are_independent_and_read_only(clip: Path) -> None:
    """The pipeline keeps several at once."""
    with VideoSource(clip) as source:
        frames = list(source)

    assert len({frame.image.__array_interface__["data"][0] for frame in frames}) == 12
    assert not any(frame.image.flags.writeable for frame in frames)


def test_a_video_can_be_entered_again_and_starts_anew(clip: Path) -> None:
    """Entering opens the file."""
    source = VideoSource(clip)

    counts = []
    for _ in range(2):
        with source:
            counts.append(len(list(source)))

    assert counts == [12, 12]


def test_a_video_cut_off_in_the_middle_gives_what_is_there_and_says_so(
    clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a recording is worth having; taking it for the whole one is not."""
    data = clip.read_bytes()
    first, last = data.index(b"00dc"), data.rindex(b"idx1")  # the first picture, and the index after the last one
    clip.write_bytes(data[: (first + last) // 2])

    with caplog.at_level(logging.WARNING), VideoSource(clip) as source:
        frames = list(source)

    assert 0 < len(frames) < 12
    assert f"frames={len(frames)} promised=12" in caplog.text


def test_a_video_left_early_is_not_called_cut_off(clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever has seen enough may leave."""
    with caplog.at_level(logging.WARNING):
        source = VideoSource(clip).__enter__()
        frames = iter(source)
        next(frames)
        source.__exit__(None, None, None)
        assert list(frames) == []

    assert caplog.text == ""


def test_a_whole_video_causes_no_warning(clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The container's count and ours agree."""
    with caplog.at_level(logging.WARNING), VideoSource(clip) as source:
        list(source)

    assert caplog.text == ""


@pytest.mark.parametrize("content", [b"", b"this is no video\n" * 100, b"\x00\x00\x00\x18ftypmp42" + bytes(500)])
def test_what_is_no_video_is_one_clear_error(tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    """And nothing of FFmpeg's own beside it."""
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)

    with pytest.raises(CaptureError, match=r"video .*broken.mp4: not readable as a video, .*; give one"):
        VideoSource(path).__enter__()

    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "message"),
    [("notes.txt", "is a text; give a video"), ("release.nfo", "is a text"), ("notes", "not readable as a video")],
)
def test_a_text_is_no_video(tmp_path: Path, name: str, message: str) -> None:
    """FFmpeg would play some of them: a film of a terminal, in which a detector even finds things."""
    path = tmp_path / name
    path.write_text("hello world\n" * 100)

    with pytest.raises(CaptureError, match=message):
        VideoSource(path).__enter__()


def test_what_can_be_read_only_once_is_said_to_be_no_file(tmp_path: Path) -> None:
    """`--source <(program)`: to say that it does not exist would be wrong."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(CaptureError, match="is no file one can read twice; copy the video to a file"):
        VideoSource(tmp_path / "pipe").__enter__()


def test_a_missing_video_is_said_to_be_missing(tmp_path: Path) -> None:
    """Not to be damaged."""
    with pytest.raises(CaptureError, match="no such file"):
        VideoSource(tmp_path / "none.mp4").__enter__()


def test_iterating_without_entering_is_an_error(clip: Path) -> None:
    """Leaving without having entered is none."""
    source = VideoSource(clip)
    source.__exit__(None, None, None)

    with pytest.raises(CaptureError, match="not open"):
        next(iter(source))


@pytest.mark.parametrize(
    ("name", "frames", "size_wh", "fps"),
    [("traffic_frames.mp4", 20, (960, 540), 30.0), ("desk_laptop_1080p.mp4", 96, (1920, 1080), 25.0)],
)
def test_real_videos_give_as_many_frames_as_they_have(
    shared: Path, name: str, frames: int, size_wh: tuple[int, int], fps: float
) -> None:
    """H.264, which delays frames inside the decoder: the last ones are the ones that get lost."""
    with VideoSource(shared / "videos" / name) as source:
        assert (source.resolution, source.fps) == (size_wh, fps)
        assert sum(1 for _ in source) == frames
