"""A camera is found again by its lasting names, whatever number it has now, and no other is taken for it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_runtime.capture.opencv import CameraSource
from edge_runtime.errors import CaptureError
from tests.capture.fakes import FakeCapture
from tests.capture.machine import Machine

C920, TWIN_A, TWIN_B, C270 = ("C920", "AB12", 1), ("C310", "", 2), ("C310", "", 3), ("C270", "77", 4)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def seen(source: CameraSource) -> int:
    """Return the brightness of the first picture, by which cameras are told apart here."""
    with source:
        return int(next(iter(source)).image[0, 0, 0])


def while_running(machine: Machine, source: CameraSource, brightness: int, event: Callable[[], None]) -> CaptureError:
    """Return the error with which a run ends when this happens between two pictures."""
    machine.scripts[brightness] = [event]
    with source, pytest.raises(CaptureError) as caught:
        list(source)
    return caught.value


def test_a_camera_replugged_under_another_number_is_found(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """The kernel keeps the old number while anybody has the dead device open, and this program is one of them."""
    machine.plug("1", C920)
    source = machine.camera(0)
    error = while_running(machine, source, 1, lambda: machine.pull("1"))
    assert "unplugged" in str(error)
    with pytest.raises(CaptureError, match="usb-C920_AB12-video-index0 is not there; plug it in again"):
        source.__enter__()
    machine.plug("1", C920, number=1)

    with caplog.at_level(logging.WARNING):
        assert seen(source) == 1
        assert seen(source) == 1
    assert source.name == str(machine.nodes.dev / "video0"), "results keep the name that the user gave"
    assert [record.message for record in caplog.records] == [
        f"camera has another number now name={source.name} before={source.name} now={machine.nodes.dev}/video1"
    ]


def test_one_with_a_serial_number_is_found_in_another_socket(machine: Machine) -> None:
    """Somebody pulls both plugs to clean behind the board."""
    machine.plug("1", C920)
    machine.plug("2", C270)
    first, second = machine.camera(0), machine.camera(1)
    assert (seen(first), seen(second)) == (1, 4)
    machine.pull("1")
    machine.pull("2")
    machine.plug("1", C270)
    machine.plug("2", C920)

    assert (seen(first), seen(second)) == (1, 4), "two cameras swapped are not mixed up"


def test_another_camera_under_the_number_is_not_taken(machine: Machine) -> None:
    """The zones and the name of the entrance would silently be those of the garage."""
    machine.plug("1", C920)
    source = machine.camera(0)
    assert seen(source) == 1
    machine.pull("1")
    machine.plug("1", C270)

    with pytest.raises(CaptureError, match=r"usb-C920_AB12.* is not there; .*there is .*video0 \(C270\)"):
        source.__enter__()


def test_twins_without_serial_numbers_are_told_by_their_sockets(machine: Machine) -> None:
    """They share one by-id link, which leads to the one that was plugged in last."""
    machine.plug("1", TWIN_A)
    machine.plug("2", TWIN_B)
    first, second = machine.camera(0), machine.camera(1)
    assert (seen(first), seen(second)) == (2, 3)
    machine.pull("1")
    machine.pull("2")
    machine.plug("2", TWIN_B)
    machine.plug("1", TWIN_A)

    assert (seen(first), seen(second)) == (2, 3)


def test_the_twin_that_stayed_is_not_taken_for_the_one_that_went(machine: Machine) -> None:
    """The by-id link of the lost one leads to the other at that moment."""
    machine.plug("1", TWIN_A)
    source = machine.camera(0)
    assert seen(source) == 2
    machine.plug("2", TWIN_B)
    while_running(machine, source, 2, lambda: machine.pull("1"))

    with pytest.raises(CaptureError, match="is not there"):
        source.__enter__()
    machine.plug("1", TWIN_A, number=5)
    assert seen(source) == 2


def test_one_without_a_serial_number_is_found_in_another_socket_too(machine: Machine) -> None:
    """With no second of its kind about, there is nothing to mix it up with."""
    machine.plug("1", TWIN_A)
    source = machine.camera(0)
    while_running(machine, source, 2, lambda: machine.pull("1"))
    machine.plug("3", TWIN_A, number=4)

    assert seen(source) == 2


def test_a_stall_does_not_make_a_camera_its_own_stranger(machine: Machine) -> None:
    """Its links were all there when it failed; they are its own."""
    machine.plug("1", TWIN_A)
    source = machine.camera(0, frame_timeout_s=1.0)
    error = while_running(machine, source, 2, lambda: None)
    assert "no frame for 1.0 s" in str(error)

    assert seen(source) == 2


def test_the_new_socket_is_remembered(machine: Machine) -> None:
    """A second move is a move from there."""
    machine.plug("1", TWIN_A)
    source = machine.camera(0)
    for socket, number in (("2", 3), ("3", 6), ("4", 0)):
        while_running(machine, source, 2, lambda: machine.pull(next(iter(machine.plugged))))
        machine.plug(socket, TWIN_A, number=number)
    assert seen(source) == 2


def test_a_camera_named_by_its_link_is_opened_by_it(machine: Machine) -> None:
    """What the user wrote is what is looked for, before the first time and after."""
    machine.plug("1", C920)
    link = str(machine.nodes.dev / "v4l" / "by-id" / "usb-C920_AB12-video-index0")
    source = machine.camera(link)
    assert seen(source) == 1
    machine.pull("1")
    with pytest.raises(CaptureError, match="no such device"):
        source.__enter__()
    machine.plug("2", C920, number=9)
    assert (seen(source), source.name) == (1, link)


def test_without_links_the_number_is_all_there_is(machine: Machine) -> None:
    """Containers get a node and nothing else."""
    machine.plug("1", C920)
    for link in (machine.nodes.dev / "v4l").glob("*/*"):
        link.unlink()
    source = machine.camera(0)
    assert seen(source) == 1
    assert seen(source) == 1


def test_a_camera_absent_at_boot_is_opened_when_it_comes(machine: Machine) -> None:
    """USB is slower than systemd."""
    source = machine.camera(0)
    with pytest.raises(CaptureError, match="no such device; this machine has no camera"):
        source.__enter__()
    machine.plug("1", C920)

    assert seen(source) == 1


def test_a_busy_camera_names_the_program_that_has_it(machine: Machine) -> None:
    """Two programs want one camera: the second one says which to end."""
    machine.plug("1", C920)
    node = machine.nodes.dev / "video0"
    (machine.nodes.proc / "812" / "fd").mkdir(parents=True)
    (machine.nodes.proc / "812" / "comm").write_text("ffmpeg\n")
    (machine.nodes.proc / "812" / "fd" / "3").symlink_to(os.path.realpath(node))
    source = CameraSource(0, opener=lambda path: FakeCapture(opened=False), nodes=machine.nodes, environ={})

    with pytest.raises(CaptureError, match=r"it is in use by ffmpeg \(process 812\); end that, or use another camera"):
        source.__enter__()
