"""A machine into which cameras are plugged and out of which they are pulled."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from edge_runtime.capture.opencv import CameraSource
from edge_runtime.capture.v4l import Nodes
from tests.capture.fakes import Clock, FakeCapture, image


class Machine:
    """A made /dev and /sys into which cameras are plugged; `opener` opens what is at a node at that moment.

    A camera is (model, serial number or "", brightness of its pictures). udev's habits are kept: the lowest free
    number, a by-path link for the socket, a by-id link that the newest of several equal cameras gets.
    """

    def __init__(self, root: Path) -> None:
        self.nodes = Nodes(root / "dev", root / "sys", proc=root / "proc")
        for folder in ("by-id", "by-path"):
            (self.nodes.dev / "v4l" / folder).mkdir(parents=True)
        self.nodes.sysfs.mkdir()
        self.plugged: dict[str, tuple[int, tuple[str, str, int]]] = {}  # by socket, in order of plugging
        self.scripts: dict[int, list[Any]] = {}

    def plug(self, socket: str, camera: tuple[str, str, int], *, number: int | None = None) -> None:
        taken = {number for number, _ in self.plugged.values()}
        given = next(n for n in itertools.count() if n not in taken) if number is None else number
        self.plugged[socket] = given, camera
        (self.nodes.sysfs / f"video{given}").mkdir()  # before the node, as the kernel does; the links come last
        (self.nodes.sysfs / f"video{given}" / "name").write_text(camera[0] + "\n")
        (self.nodes.dev / f"video{given}").touch()
        self._link()

    def pull(self, socket: str) -> None:
        number, _ = self.plugged.pop(socket)
        (self.nodes.dev / f"video{number}").unlink()
        (self.nodes.sysfs / f"video{number}" / "name").unlink()
        (self.nodes.sysfs / f"video{number}").rmdir()
        self._link()

    def _link(self) -> None:
        for link in (self.nodes.dev / "v4l").glob("*/*"):
            link.unlink()
        for socket, (number, (model, serial, _)) in self.plugged.items():
            by_id = self.nodes.dev / "v4l" / "by-id" / f"usb-{model}{serial and '_'}{serial}-video-index0"
            by_id.unlink(missing_ok=True)
            by_id.symlink_to(f"../../video{number}")
            for bus in ("usb", "usbv2"):  # udev makes both
                (self.nodes.dev / "v4l" / "by-path" / f"pci-{bus}-{socket}-video-index0").symlink_to(
                    f"../../video{number}"
                )

    def opener(self, path: str) -> FakeCapture:
        number = int(Path(path).resolve().name.removeprefix("video"))
        brightness = next(camera[2] for given, camera in self.plugged.values() if given == number)
        return FakeCapture([image(brightness), *self.scripts.pop(brightness, [])])

    def camera(self, device: int | str = 0, **options: Any) -> CameraSource:
        clock = Clock()
        return CameraSource(
            device, opener=self.opener, nodes=self.nodes, environ={}, clock=clock, pause=clock.pause, **options
        )
