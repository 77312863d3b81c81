"""The Edge TPU, with a stand-in for libedgetpu: no stick is needed."""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_runtime.errors import BackendMissingError, ConfigError
from edge_runtime.inference.edgetpu import LIBRARY, _Device, list_devices, open_edgetpu, require_device

USB = "usb /sys/bus/usb/devices/2-1"
PCI = "pci /dev/apex_0"


class FakeLibrary:
    """The two C functions that list devices."""

    def __init__(self, devices: list[tuple[int, bytes]]) -> None:
        array = (_Device * len(devices))(*[_Device(kind, path) for kind, path in devices])
        self.freed = 0
        self.edgetpu_list_devices = _callable(lambda count: self._fill(count, array))
        self.edgetpu_free_devices = _callable(self._free)

    def _fill(self, count: Any, array: Any) -> Any:
        count._obj.value = len(array)
        return ctypes.cast(array, ctypes.POINTER(_Device))

    def _free(self, devices: Any) -> None:
        self.freed += 1


def _callable(function: Any) -> Any:
    """Return a function object that takes the attributes ctypes' functions have."""
    return type("Function", (SimpleNamespace,), {"__call__": lambda self, *args: function(*args)})()


def test_devices_are_listed_by_libedgetpu_s_own_functions_and_freed() -> None:
    """pycoral is not needed to see a stick."""
    library = FakeLibrary([(1, b"/sys/bus/usb/devices/2-1"), (0, b"/dev/apex_0")])
    assert list_devices(library) == [USB, PCI]
    assert library.freed == 1


@pytest.mark.parametrize(
    ("found", "device"),
    [([USB], ""), ([USB], "usb"), ([USB], "usb:0"), ([USB, PCI], "pci"), ([USB, USB], "usb:1"), ([USB], ":0")],
)
def test_a_device_that_is_there_is_accepted(found: list[str], device: str) -> None:
    require_device(found, device)


@pytest.mark.parametrize(("found", "device"), [([], ""), ([USB], "pci"), ([USB], "usb:1"), ([USB], ":1")])
def test_a_device_that_is_absent_is_named_with_those_found(found: list[str], device: str) -> None:
    """A missing stick must never become a silent run on the CPU."""
    with pytest.raises(BackendMissingError, match="no Edge TPU") as caught:
        require_device(found, device)
    assert (found[0] if found else "none") in str(caught.value)


@pytest.mark.parametrize("device", ["usb0", "0", "usb:", "gpu", "usb:x"])
def test_a_device_of_another_form_lists_the_forms(device: str) -> None:
    with pytest.raises(ConfigError, match="usb:N"):
        open_edgetpu(Path("m.tflite"), device=device)


def test_a_missing_library_gives_the_package_to_install() -> None:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        pass
    else:
        pytest.skip("libedgetpu is installed here")
    with pytest.raises(BackendMissingError, match="libedgetpu1-std"):
        open_edgetpu(Path("m.tflite"))
