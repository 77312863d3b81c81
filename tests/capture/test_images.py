"""Still pictures from a folder, a pattern or one file."""

from __future__ import annotations

import errno
import logging
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.capture import PICTURES
from edge_runtime.capture.images import ImageSource, find_images, read_image
from edge_runtime.errors import CaptureError
from tests.capture.fakes import image


def save(path: Path, value: int = 128, size_wh: tuple[int, int] = (32, 24)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image(value, size_wh))
    return path


def test_a_folder_is_read_in_the_order_people_count(tmp_path: Path) -> None:
    """img2 before img10, whatever the file system says."""
    for number in (10, 2, 1):
        save(tmp_path / f"img{number}.png", number)
    save(tmp_path / "IMG3.PNG", 3)

    with ImageSource(tmp_path) as source:
        frames = list(source)

    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 2, 3, 10]
    assert [frame.sequence for frame in frames] == [0, 1, 2, 3]
    assert frames[0].source == str(tmp_path / "img1.png")
    assert (source.is_live, source.resolution, source.fps) == (False, None, None)


def test_a_name_comes_before_one_that_goes_on(tmp_path: Path) -> None:
    """The ending is no part of the name: a.tiff, then a1x1.png; the dot would sort by chance of what follows."""
    for name in ("a1x1.png", "a.tiff", "ab.png", "a10.png", "a9.png", "A.png"):
        save(tmp_path / name)

    assert [Path(one).name for one in find_images(str(tmp_path))] == [
        "A.png", "a.tiff", "a1x1.png", "a9.png", "a10.png", "ab.png",
    ]  # fmt: skip


def test_the_folders_of_a_pattern_are_counted_too(tmp_path: Path) -> None:
    """day2 before day10, each with its pictures together."""
    for name in ("day10/a.png", "day2/b2.png", "day2/b10.png", "z.png"):
        save(tmp_path / name)

    found = find_images(str(tmp_path / "**" / "*.png"))

    assert [str(Path(one).relative_to(tmp_path)) for one in found] == [
        "z.png", "day2/b2.png", "day2/b10.png", "day10/a.png",
    ]  # fmt: skip


def test_hidden_files_are_left_alone(tmp_path: Path) -> None:
    """A Mac puts a ._photo.jpg beside each photo on a stick, which is no picture."""
    save(tmp_path / "photo.jpg")
    (tmp_path / "._photo.jpg").write_bytes(b"Mac OS X")
    save(tmp_path / ".photo.jpg.partial.jpg")

    assert find_images(str(tmp_path)) == [str(tmp_path / "photo.jpg")]


def test_folders_inside_and_other_files_are_left_alone(tmp_path: Path) -> None:
    """A folder of pictures often holds a folder of results."""
    save(tmp_path / "a.jpg")
    save(tmp_path / "results" / "b.jpg")
    (tmp_path / "notes.txt").write_text("no picture")

    assert find_images(str(tmp_path)) == [str(tmp_path / "a.jpg")]


@pytest.mark.parametrize(
    ("pattern", "names"), [("*.png", ["b.png"]), ("[ab].*", ["a.jpg", "b.png"]), ("**/c.jpg", ["c.jpg"])]
)
def test_a_pattern_gives_the_files_it_fits(tmp_path: Path, pattern: str, names: list[str]) -> None:
    """Quoted on the command line, it comes to us as it is."""
    save(tmp_path / "a.jpg")
    save(tmp_path / "b.png")
    save(tmp_path / "deep" / "c.jpg")

    assert [Path(path).name for path in find_images(str(tmp_path / pattern))] == names


def test_a_file_with_brackets_in_its_name_is_that_file(tmp_path: Path) -> None:
    """Browsers save downloads as `picture[1].jpg`."""
    path = save(tmp_path / "picture[1].png")

    assert find_images(str(path)) == [str(path)]


def test_a_damaged_picture_among_others_is_skipped_once_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One bad file must not end a run over ten thousand."""
    save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    (tmp_path / "c.jpg").write_bytes(b"")
    save(tmp_path / "d.jpg")

    with caplog.at_level(logging.WARNING), ImageSource(tmp_path) as source:
        frames = list(source)

    assert [Path(frame.source).name for frame in frames] == ["a.jpg", "d.jpg"]
    assert [frame.sequence for frame in frames] == [0, 1]
    assert len([record for record in caplog.records if "picture skipped" in record.message]) == 2
    assert "read=2 skipped=2" in caplog.text


def test_a_folder_in_which_nothing_can_be_read_is_an_error(tmp_path: Path) -> None:
    """Ending as if all had been seen would be a lie."""
    (tmp_path / "a.jpg").write_bytes(b"no picture")

    with ImageSource(tmp_path) as source, pytest.raises(CaptureError, match="none of the 1 files"):
        list(source)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    """It is a wrong path, most of the time."""
    with pytest.raises(CaptureError, match="none found"):
        ImageSource(tmp_path).__enter__()


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_picture_that_is_cut_off_is_an_error_when_it_was_named(tmp_path: Path, ending: str) -> None:
    """A decoder that fills the missing part with grey would invent an observation."""
    path = tmp_path / f"half{ending}"
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    data = cv2.imencode(ending, noise)[1].tobytes()
    path.write_bytes(data[: len(data) // 2])

    with ImageSource(path) as source, pytest.raises(CaptureError, match=rf"half{ending}: damaged, cut off"):
        list(source)


def test_a_file_that_cannot_be_opened_is_named_with_the_reason(tmp_path: Path) -> None:
    """The system knows why."""
    with pytest.raises(CaptureError, match=r"none.png: cannot be read \(No such file or directory\); give another"):
        read_image(tmp_path / "none.png")


def test_a_picture_this_user_may_not_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root, who runs tests in containers, may read all; so numpy says what it says to others."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(np, "fromfile", refuse)
    with pytest.raises(CaptureError, match=r"cannot be read \(Permission denied\); let this user read it"):
        read_image(save(tmp_path / "a.png"))


def test_a_picture_beyond_opencvs_limit_is_an_error_of_ours(tmp_path: Path) -> None:
    """OpenCV throws an exception of its own at it."""
    path = tmp_path / "huge.bmp"
    header = struct.pack("<2sIHHI", b"BM", 54, 0, 0, 54) + struct.pack(
        "<IiiHHIIiiII", 40, 2**20, 2**20, 1, 24, 0, 0, 0, 0, 0, 0
    )
    path.write_bytes(header)

    with pytest.raises(CaptureError, match=r"huge.bmp: too large or damaged"):
        read_image(path)


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((24, 32), 90, np.uint8),
        np.full((24, 32, 4), 90, np.uint8),
        np.full((24, 32, 3), 90 * 257, np.uint16),
    ],
    ids=["grey", "transparent", "16 bits"],
)
def test_grey_transparent_and_deep_pictures_come_as_bgr(tmp_path: Path, pixels: np.ndarray) -> None:
    """Models know three channels of eight bits."""
    path = tmp_path / "picture.png"
    assert cv2.imwrite(str(path), pixels)

    read = read_image(path)

    assert (read.shape, read.dtype) == ((24, 32, 3), np.uint8)
    assert np.unique(read).tolist() == [90]


def test_a_picture_taken_sideways_comes_upright(tmp_path: Path) -> None:
    """Phones store the sensor's rows and note the turn; a detector trained on upright people sees none otherwise."""
    path = tmp_path / "phone.jpg"
    data = cv2.imencode(".jpg", image(50, (32, 24)))[1].tobytes()
    turned_right = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)  # EXIF orientation 6
    exif = b"Exif\x00\x00" + turned_right
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])

    assert read_image(path).shape == (32, 24, 3)


def test_the_folder_of_real_pictures_is_read_whole(shared: Path) -> None:
    """Among them grey ones and one in BMP."""
    with ImageSource(shared / "images" / "reference") as source:
        frames = {Path(frame.source).name: frame.size_wh for frame in source}

    assert len(frames) == 5
    assert frames["cat_720p.jpg"] == (1280, 720)


def test_every_kind_of_picture_that_can_be_read_is_found_in_a_folder(tmp_path: Path) -> None:
    """A folder of WebP pictures is no empty folder."""
    for ending in PICTURES:
        (tmp_path / f"a{ending}").touch()
    assert len(find_images(str(tmp_path))) == len(PICTURES)
