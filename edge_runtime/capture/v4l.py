"""What the kernel says about the cameras of this machine, for messages that help."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.capture.holders import holders
from edge_runtime.openfiles import PROC

# Codecs, scalers and image processors of the Pi's chips have /dev/video nodes too, a dozen of them.
_NO_CAMERA = re.compile(r"codec|isp|hevc|rpivid|pispbe|jpeg", re.IGNORECASE)
# Receivers of the CSI connector. libcamera drives what hangs on them; a plain read of the node gives nothing.
_CSI = re.compile(r"unicam|rp1-cfe", re.IGNORECASE)

_USE_PICAMERA = "this is the Pi's own camera connector, which libcamera drives; use --source picamera"


@dataclass(frozen=True, slots=True)
class Nodes:
    """Where the kernel shows its video devices."""

    dev: Path = Path("/dev")
    sysfs: Path = Path("/sys/class/video4linux")
    access: Callable[[str, int], bool] = os.access
    proc: Path = PROC

    def names(self) -> dict[str, str]:
        """Return the name of every video device that may be a camera, by path: ``{"/dev/video0": "C920"}``."""
        found = {}
        for node in sorted(self.sysfs.glob("video*"), key=_number):
            name = _first_line(node / "name")
            # index 1 and up are the metadata and second nodes of a camera that is already listed
            if _first_line(node / "index") in ("", "0") and not _NO_CAMERA.search(name):
                found[str(self.dev / node.name)] = name
        return found

    def is_csi(self, path: str) -> bool:
        """Return whether a camera on the board's CSI connector, which needs libcamera, is behind this path."""
        return bool(_CSI.search(self.model(path)))

    def model(self, path: str) -> str:
        """Return what the kernel calls the camera behind this path; empty where it does not say."""
        return _first_line(self.sysfs / Path(path).resolve().name / "name")

    def all_links(self, kind: str) -> list[str]:
        """Return the links in /dev/v4l/by-id or /dev/v4l/by-path that lead to a device, in order."""
        return [str(link) for link in sorted((self.dev / "v4l" / kind).glob("*")) if link.exists()]

    def links(self, kind: str, path: str) -> list[str]:
        """Return those of them that lead to this node."""
        node = Path(path).resolve()
        return [link for link in self.all_links(kind) if Path(link).resolve() == node]

    def target(self, link: str) -> str | None:
        """Return the node to which a link leads, None where it leads nowhere."""
        return str(Path(link).resolve()) if Path(link).exists() else None

    def cameras(self) -> str:
        """Return one line: the cameras there are, or that there is none."""
        names = self.names()
        if not names:
            return "this machine has no camera at /dev/video*"
        return "there is " + ", ".join(f"{path} ({name})" for path, name in names.items())

    def allows(self, path: str) -> bool:
        """Return whether this user may use the device."""
        return self.access(path, os.R_OK | os.W_OK)

    def why_not(self, path: str) -> str:
        """Return one line: why this device gives no pictures, and what to do."""
        if not Path(path).exists():
            return f"no such device; {self.cameras()}; a camera of the Pi's own connector is --source picamera"
        if not self.allows(path):
            return "no permission; run `sudo usermod -aG video $USER` and log in again"
        if self.is_csi(path):
            return _USE_PICAMERA
        node = str(Path(path).resolve())
        if programs := holders(lambda target: target == node, self.proc):
            return f"it is in use by {programs}; end that, or use another camera; {self.cameras()}"
        return f"it is busy, or no camera; `sudo fuser -v {path}` shows who holds it; {self.cameras()}"

    def why_silent(self, path: str) -> str:
        """Return one line: why this device opens and sends no picture, and what to do."""
        return _USE_PICAMERA if self.is_csi(path) else "reconnect it, or check its cable"


def _number(node: Path) -> int:
    return int(re.sub(r"\D", "", node.name) or 0)


def _first_line(path: Path) -> str:
    """Return the file's first line without its end; empty if the kernel has no such file, or not any more."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip().split("\n")[0]
    except OSError:
        return ""
