"""The Edge TPUs that are plugged in, and what the system says of each: who may use it, who does, how fast its port is.

Sources: google-coral/libedgetpu, tflite/public/edgetpu_c.h (three C functions list the devices without pycoral);
coral.ai/docs/accelerator/get-started (the two USB ids); kernel documentation, ABI/stable/sysfs-bus-usb.
"""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge_runtime.errors import BackendMissingError
from edge_runtime.openfiles import open_files, processes, program_of

log = logging.getLogger(__name__)

USB_IDS = ("1a6e:089a", "18d1:9302")
"""A stick before its first use, and after: the runtime sends it a program, and it comes back as another device."""
USB_2_MBIT = 480
PYCORAL = "pycoral.utils.edgetpu"
WRONG_PYCORAL = (
    "the pycoral that is installed is PyPI's, a tool about coral reefs, and not Google's; none is needed here, run: "
    "python -m pip uninstall pycoral (Coral's, for other programs, is the wheel for this Python from "
    "https://github.com/feranick/pycoral/releases)"
)
_KINDS = {0: "pci", 1: "usb"}


@dataclass(frozen=True, slots=True)
class EdgeTpu:
    """One device."""

    kind: str  # "usb" or "pci"
    path: str  # "/sys/bus/usb/devices/2-1", "/dev/apex_0"

    def __str__(self) -> str:
        return f"{self.kind} {self.path}"


class _Device(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("path", ctypes.c_char_p)]


def find_edge_tpus(library: Any = None, root: Path = Path("/")) -> list[EdgeTpu]:
    """Return what is plugged in, as pycoral lists it where Coral's is installed, else libedgetpu, else the system.

    Args:
        library: libedgetpu, loaded; None where it is not installed.
        root: of the system's files.
    """
    if (found := from_pycoral()) is not None:
        return found
    if library is not None and lists_devices(library):
        return from_library(library)
    return from_system(root)


def from_pycoral(import_: Callable[[str], Any] = import_module) -> list[EdgeTpu] | None:
    """Return what pycoral lists; None where Coral's pycoral is not installed or does not work."""
    if pycoral_kind() != "coral":
        return None
    try:
        return [EdgeTpu(one["type"], one["path"]) for one in import_(PYCORAL).list_edge_tpus()]
    except (ImportError, OSError, RuntimeError, AttributeError, KeyError) as exc:  # it wants an engine of its own
        log.debug("pycoral not used reason=%s", exc)
        return None


def pycoral_kind(find: Callable[[str], Any] = find_spec) -> str:
    """Return "coral" for Google's pycoral or a fork of it, "other" for PyPI's package of that name, "" for none."""
    with suppress(ImportError, ValueError):  # no pycoral.utils, or one that fails
        if find(PYCORAL) is not None:
            return "coral"
    return "other" if find("pycoral") is not None else ""


def lists_devices(library: Any) -> bool:
    """Return whether the library has libedgetpu's functions that list devices."""
    return hasattr(library, "edgetpu_list_devices") and hasattr(library, "edgetpu_free_devices")


def from_library(library: Any) -> list[EdgeTpu]:
    """Return what libedgetpu itself lists.

    Raises:
        BackendMissingError: the library is not libedgetpu.
    """
    if not lists_devices(library):
        raise BackendMissingError("backend edgetpu: the library cannot list Edge TPUs, it is not libedgetpu")
    library.edgetpu_list_devices.restype = ctypes.POINTER(_Device)
    library.edgetpu_list_devices.argtypes = [ctypes.POINTER(ctypes.c_size_t)]
    library.edgetpu_free_devices.argtypes = [ctypes.POINTER(_Device)]
    count = ctypes.c_size_t(0)
    devices = library.edgetpu_list_devices(ctypes.byref(count))
    try:
        return [
            EdgeTpu(_KINDS.get(devices[i].kind, "?"), (devices[i].path or b"").decode(errors="replace"))
            for i in range(count.value)
        ]
    finally:
        if devices:
            library.edgetpu_free_devices(devices)


def from_system(root: Path = Path("/")) -> list[EdgeTpu]:
    """Return what the kernel lists: sticks by their USB ids, cards by their nodes. Needs no library."""
    cards = [EdgeTpu("pci", f"/dev/{node.name}") for node in sorted((root / "dev").glob("apex_*"))]
    folder = root / "sys/bus/usb/devices"
    sticks = [
        EdgeTpu("usb", f"/sys/bus/usb/devices/{one.name}")
        for one in sorted(folder.glob("*"))
        if f"{_text(one / 'idVendor')}:{_text(one / 'idProduct')}" in USB_IDS
    ]
    return sticks + cards


def node_of(device: EdgeTpu, root: Path = Path("/")) -> Path | None:
    """Return the file under /dev that the runtime opens for this device; None where the system does not say."""
    if device.kind == "pci":
        node = root / device.path.lstrip("/")
    else:
        folder = root / device.path.lstrip("/")
        bus, number = _text(folder / "busnum"), _text(folder / "devnum")
        if not (bus.isdigit() and number.isdigit()):
            return None
        node = root / f"dev/bus/usb/{int(bus):03d}/{int(number):03d}"
    return node if node.exists() else None


def may_use(node: Path) -> bool:
    """Return whether this process may read and write the device's file."""
    return os.access(node, os.R_OK | os.W_OK)


def users_of(node: Path, root: Path = Path("/")) -> list[str]:
    """Return who holds the device's file open, as "python3 (process 812)"; of others' processes only root is told."""
    held = "/" + str(node.relative_to(root))
    return [
        f"{program_of(process) or '?'} (process {process.name})"
        for process in processes(root / "proc")
        if held in (open_files(process) or ())
    ]


def port_speed(device: EdgeTpu, root: Path = Path("/")) -> int | None:
    """Return the speed of its USB connection in Mbit/s; None for cards and where the system does not say."""
    speed = _text(root / device.path.lstrip("/") / "speed") if device.kind == "usb" else ""
    return int(speed) if speed.isdigit() else None


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""
