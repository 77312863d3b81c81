"""The structs of V4L2, as a driver fills them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from edge_runtime.doctor.v4l2 import (
    ENUM_FMT,
    ENUM_FRAMESIZES,
    MOST,
    QUERYCAP,
    Capability,
    Format,
    formats,
    fourcc_text,
    open_device,
    query,
)
from tests.doctor.camera import CAPTURE, DEVICE_CAPS, META, MPLANE, Driver

MJPG, YUYV = (int.from_bytes(name, "little") for name in (b"MJPG", b"YUYV"))


def test_the_numbers_of_the_requests_are_the_kernels() -> None:
    """Printed by a C program from linux/videodev2.h; a struct one byte too long makes another number."""
    assert (QUERYCAP, ENUM_FMT, ENUM_FRAMESIZES) == (0x80685600, 0xC0405602, 0xC02C564A)


def test_the_fields_lie_where_the_kernels_header_puts_them() -> None:
    """Bytes of the structs as a C program filled them, field by field, with linux/videodev2.h."""
    capability = (
        "757663766964656f0000000000000000433932300000000000000000000000000000000000000000000000000000000"
        "07573622d31000000000000000000000000000000000000000000000000000000010000000100808001000000"
        "000000000000000000000000"
    )
    capture_format = (
        "0100000009000000010000004d6f74696f6e2d4a5045470000000000000000000000000000000000000000004d4a5047"
        "00000000000000000000000000000000"
    )
    size = "0200000059555956030000000100000002000000030000000400000005000000060000000000000000000000"
    answers = {QUERYCAP: [capability], ENUM_FMT: [capture_format], ENUM_FRAMESIZES: [size]}

    def ask(request: int, data: bytes) -> bytes | None:
        return bytes.fromhex(answers[request].pop()) if answers[request] else None

    found = query(ask)
    assert found == Capability("uvcvideo", "C920", "usb-1", 1)
    assert formats(ask, found) == (Format("MJPG", "Motion-JPEG", ((1, 4), (2, 5)), True),)


def test_a_camera_says_its_name_driver_and_formats() -> None:
    """What a C920 answers: two formats, one of them compressed."""
    driver = Driver(formats={MJPG: ("Motion-JPEG", [(1920, 1080), (640, 480)]), YUYV: ("YUYV 4:2:2", [(640, 480)])})
    capability = query(driver.ask)
    assert capability is not None
    assert (capability.driver, capability.card, capability.bus) == ("uvcvideo", "HD Pro Webcam C920", "usb-1.2")
    assert capability.kind == "camera"
    found = formats(driver.ask, capability)
    assert found == (
        Format("MJPG", "Motion-JPEG", ((1920, 1080), (640, 480)), False),
        Format("YUYV", "YUYV 4:2:2", ((640, 480),), False),
    )
    assert found[0].largest_wh == (1920, 1080)
    assert [found[0].offers(wh) for wh in ((640, 480), (800, 600))] == [True, False]


def test_a_range_of_sizes_is_its_two_ends() -> None:
    """Virtual cameras and the Pi's own driver tell steps and no list."""
    driver = Driver(formats={YUYV: ("YUYV", [(32, 32, 2592, 1944)])})
    capability = query(driver.ask)
    assert capability is not None
    (found,) = formats(driver.ask, capability)
    assert found == Format("YUYV", "YUYV", ((32, 32), (2592, 1944)), True)
    assert [found.offers(wh) for wh in ((640, 480), (3000, 480), (16, 16))] == [True, False, False]


@pytest.mark.parametrize(
    ("whole", "node", "kind"),
    [
        (DEVICE_CAPS | CAPTURE | META, CAPTURE, "camera"),
        (DEVICE_CAPS | CAPTURE | META, META, "metadata"),
        (CAPTURE, 0, "camera"),  # an old driver, which fills the first word only
        (DEVICE_CAPS | CAPTURE, MPLANE, "camera"),
        (DEVICE_CAPS, 0x4000, "codec"),
        (DEVICE_CAPS, 0x8000 | CAPTURE, "codec"),
        (DEVICE_CAPS, 0x2, "output"),
        (DEVICE_CAPS, 0x10, "other"),
    ],
)
def test_the_word_of_the_node_tells_a_camera_from_its_second_node(whole: int, node: int, kind: str) -> None:
    """Every webcam has two nodes of one name; the one for metadata never gives a picture."""
    capability = query(Driver(whole=whole, node=node).ask)
    assert capability is not None
    assert capability.kind == kind


def test_multiplanar_cameras_are_asked_for_their_own_kind_of_formats() -> None:
    driver = Driver(node=MPLANE, formats={YUYV: ("YUYV", [(64, 48)])})
    capability = query(driver.ask)
    assert capability is not None
    assert len(formats(driver.ask, capability)) == 1
    assert {kind for request, kind in driver.asked if request == ENUM_FMT} == {9}


def test_a_driver_that_never_ends_its_list_does_not_hold_us() -> None:
    """Seen in the field: the index is ignored and the first entry comes for ever."""
    driver = Driver(formats={YUYV: ("YUYV", [(64, 48)])}, is_endless=True)
    capability = query(driver.ask)
    assert capability is not None
    found = formats(driver.ask, capability)
    assert (len(found), len(found[0].sizes_wh)) == (MOST, MOST)


def test_what_is_no_video_device_answers_nothing(tmp_path: Path) -> None:
    """An ordinary file knows none of these questions."""
    file = tmp_path / "video0"
    file.write_bytes(b"")
    with open_device(file) as ask:
        assert query(ask) is None
    with pytest.raises(FileNotFoundError), open_device(tmp_path / "none"):
        pass


def test_a_fourcc_is_its_letters() -> None:
    """Big-endian variants set the highest bit; a code of nought must not break a terminal."""
    assert [fourcc_text(code) for code in (MJPG, MJPG | 1 << 31, 0)] == ["MJPG", "MJPG", "????"]
    assert fourcc_text(int.from_bytes(b"Y16 ", "little")) == "Y16"


def test_a_format_without_sizes_has_no_largest() -> None:
    assert Format("YUYV", "", (), False).largest_wh is None
    assert struct.calcsize("=16s32s32s6I") == 104
