"""What the kernel's own files say about cameras."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.capture.v4l import Nodes


def make_nodes(root: Path, *devices: tuple[int, str, str], allowed: bool = True) -> Nodes:
    """Build a /dev and a /sys/class/video4linux with devices of (number, name, index)."""
    nodes = Nodes(root / "dev", root / "sys", lambda path, mode: allowed)
    nodes.dev.mkdir()
    nodes.sysfs.mkdir()
    for number, name, index in devices:
        (nodes.dev / f"video{number}").touch()
        folder = nodes.sysfs / f"video{number}"
        folder.mkdir()
        (folder / "name").write_text(name + "\n")
        (folder / "index").write_text(index + "\n")
    return nodes


def test_cameras_are_listed_by_number_with_their_names(tmp_path: Path) -> None:
    """`video10` comes after `video2`, and people know their camera by its name."""
    nodes = make_nodes(tmp_path, (10, "Logitech C270", "0"), (2, "HD Pro Webcam C920", "0"))

    assert nodes.cameras() == (f"there is {nodes.dev}/video2 (HD Pro Webcam C920), {nodes.dev}/video10 (Logitech C270)")


def test_nodes_that_are_no_cameras_are_left_out(tmp_path: Path) -> None:
    """A Pi has a dozen video nodes for codecs, and every webcam has a second one for metadata."""
    nodes = make_nodes(
        tmp_path,
        (0, "C920", "0"),
        (1, "C920", "1"),
        (10, "bcm2835-codec-decode", "0"),
        (13, "bcm2835-isp", "0"),
        (19, "rpi-hevc-dec", "0"),
        (20, "pispbe-input", "0"),
    )

    assert list(nodes.names().values()) == ["C920"]


def test_a_machine_without_cameras_says_so(tmp_path: Path) -> None:
    """Also where the kernel has no video support at all and the folder is missing."""
    assert Nodes(tmp_path, tmp_path / "none").cameras() == "this machine has no camera at /dev/video*"


def test_a_missing_device_names_those_that_are_there(tmp_path: Path) -> None:
    """The number of a camera changes when it is plugged in elsewhere."""
    nodes = make_nodes(tmp_path, (2, "C920", "0"))

    why = nodes.why_not(str(nodes.dev / "video0"))

    assert why.startswith("no such device; there is ")
    assert "video2 (C920)" in why
    assert "--source picamera" in why


def test_a_forbidden_device_tells_the_command_that_helps(tmp_path: Path) -> None:
    """The commonest first error on a fresh system."""
    nodes = make_nodes(tmp_path, (0, "C920", "0"), allowed=False)

    assert "sudo usermod -aG video $USER" in nodes.why_not(str(nodes.dev / "video0"))


@pytest.mark.parametrize("name", ["unicam-image", "rp1-cfe-csi2_ch0"])
def test_the_pis_own_connector_is_told_from_a_webcam(tmp_path: Path, name: str) -> None:
    """On Bookworm the CSI camera has a /dev/video0 that opens and never sends a picture."""
    nodes = make_nodes(tmp_path, (0, name, "0"))
    link = tmp_path / "by-path"
    link.symlink_to(nodes.dev / "video0")

    assert "use --source picamera" in nodes.why_not(str(link))
    assert "use --source picamera" in nodes.why_silent(str(link))


def test_a_device_that_is_there_and_allowed_is_probably_busy(tmp_path: Path) -> None:
    """The user can find out who holds it."""
    nodes = make_nodes(tmp_path, (0, "C920", "0"))

    path = str(nodes.dev / "video0")
    assert f"`sudo fuser -v {path}`" in nodes.why_not(path)
