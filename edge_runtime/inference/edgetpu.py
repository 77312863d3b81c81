"""Coral Edge TPU: libedgetpu as a delegate of the TFLite interpreter.

Google's own runtime has these three C functions; they list the sticks without pycoral.
Source: google-coral/libedgetpu, tflite/public/edgetpu_c.h.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

from edge_runtime.errors import BackendMissingError, ConfigError
from edge_runtime.inference.delegate import load_delegate, load_library
from edge_runtime.inference.engine import load_engine
from edge_runtime.inference.tflite import TfliteBackend

LIBRARY = "libedgetpu.so.1"
ADVICE = (
    "install the Edge TPU runtime (Debian package libedgetpu1-std from Coral's repository), "
    "or use --backend cpu with a model for the CPU"
)
_DEVICE = re.compile(r"(usb|pci)?(:\d+)?")
_KINDS = {0: "pci", 1: "usb"}


class _Device(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("path", ctypes.c_char_p)]


def open_edgetpu(
    model: Path, *, engine: str = "auto", num_threads: int = 1, device: str = "", library: str = LIBRARY
) -> TfliteBackend:
    """Return the model opened on an Edge TPU.

    Args:
        model: a file that edgetpu_compiler made.
        engine: key of ENGINES, or "auto".
        num_threads: for the operators that stay on the CPU.
        device: "", "usb", "usb:0", "pci", "pci:1" or ":0"; "" takes any.
        library: name or path of libedgetpu.

    Raises:
        ConfigError: the device is not of these forms.
        BackendMissingError: libedgetpu or the device is absent.
        BackendError: the device refused.
        ModelError: the engine refuses the file.
    """
    if not _DEVICE.fullmatch(device):
        raise ConfigError(f"backend: Edge TPU device {device!r} is unknown; use usb, usb:N, pci, pci:N or :N")
    require_device(list_devices(load_library(library, ADVICE)), device)
    vendor = load_engine(engine)
    delegate = load_delegate(vendor.load_delegate, library, {"device": device} if device else {})
    name = f"{library} {device or 'any device'}"
    return TfliteBackend("edgetpu", model, vendor, num_threads=num_threads, delegate=delegate, delegate_name=name)


def list_devices(library: Any) -> list[str]:
    """Return the Edge TPUs that are plugged in, as "usb /sys/..." or "pci /dev/apex_0".

    Raises:
        BackendMissingError: the library is not libedgetpu.
    """
    if not hasattr(library, "edgetpu_list_devices"):
        raise BackendMissingError(f"backend edgetpu: the library cannot list Edge TPUs, it is not libedgetpu; {ADVICE}")
    library.edgetpu_list_devices.restype = ctypes.POINTER(_Device)
    library.edgetpu_list_devices.argtypes = [ctypes.POINTER(ctypes.c_size_t)]
    library.edgetpu_free_devices.argtypes = [ctypes.POINTER(_Device)]
    count = ctypes.c_size_t(0)
    devices = library.edgetpu_list_devices(ctypes.byref(count))
    try:
        return [
            f"{_KINDS.get(devices[i].kind, '?')} {(devices[i].path or b'').decode(errors='replace')}"
            for i in range(count.value)
        ]
    finally:
        if devices:
            library.edgetpu_free_devices(devices)


def require_device(found: list[str], device: str) -> None:
    """Raise BackendMissingError unless the device that was asked for is among those found."""
    kind, _, index = device.partition(":")
    fitting = [one for one in found if one.startswith(kind)]
    if len(fitting) <= int(index or 0):
        listing = "; ".join(found) if found else "none"
        raise BackendMissingError(
            f"backend edgetpu: no Edge TPU {device or 'of any kind'} is plugged in (found: {listing}); "
            "check the plug and the udev rule (group plugdev), or use --backend cpu with a model for the CPU"
        )
