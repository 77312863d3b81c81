"""The list of Edge TPUs, from each of its sources, and what the system says about one."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_runtime.errors import BackendMissingError
from edge_runtime.inference import edgetpu_devices
from edge_runtime.inference.edgetpu_devices import (
    USB_IDS,
    EdgeTpu,
    _Device,
    find_edge_tpus,
    from_library,
    from_pycoral,
    from_system,
    node_of,
    port_speed,
    pycoral_kind,
    users_of,
)

USB = EdgeTpu("usb", "/sys/bus/usb/devices/2-1")
PCI = EdgeTpu("pci", "/dev/apex_0")


def plug_in_stick(root: Path, port: str, ids: str, *, speed: int = 5000, number: int = 3) -> EdgeTpu:
    """Make the files that the kernel shows for a USB device."""
    folder = root / "sys/bus/usb/devices" / port
    folder.mkdir(parents=True)
    facts = {"speed": speed, "busnum": port[0], "devnum": number}
    facts["idVendor"], facts["idProduct"] = ids.split(":")
    for name, fact in facts.items():
        (folder / name).write_text(f"{fact}\n")
    node = root / f"dev/bus/usb/{int(port[0]):03d}/{number:03d}"
    node.parent.mkdir(parents=True, exist_ok=True)
    node.touch()
    return EdgeTpu("usb", f"/sys/bus/usb/devices/{port}")


def plug_in_card(root: Path, number: int = 0) -> EdgeTpu:
    """Make the node of a PCI card."""
    node = root / f"dev/apex_{number}"
    node.parent.mkdir(parents=True, exist_ok=True)
    node.touch()
    return EdgeTpu("pci", f"/dev/apex_{number}")


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
    library = FakeLibrary([(1, USB.path.encode()), (0, PCI.path.encode())])
    assert from_library(library) == [USB, PCI]
    assert library.freed == 1


def test_a_library_without_these_functions_is_not_libedgetpu() -> None:
    with pytest.raises(BackendMissingError, match="it is not libedgetpu"):
        from_library(object())


@pytest.mark.parametrize("ids", USB_IDS)
def test_a_stick_is_known_before_and_after_its_first_use(tmp_path: Path, ids: str) -> None:
    """It changes its USB id when the runtime has sent it its program."""
    stick = plug_in_stick(tmp_path, "2-1", ids)
    plug_in_stick(tmp_path, "1-4", "046d:0825")  # a camera
    assert from_system(tmp_path) == [stick]


def test_several_sticks_and_cards_are_listed_in_order(tmp_path: Path) -> None:
    expected = [plug_in_stick(tmp_path, "2-1", USB_IDS[1]), plug_in_stick(tmp_path, "2-2", USB_IDS[0], number=4)]
    expected += [plug_in_card(tmp_path), plug_in_card(tmp_path, 1)]
    assert from_system(tmp_path) == expected
    assert from_system(tmp_path / "nothing") == []


def test_the_best_source_that_is_there_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pycoral, then libedgetpu, then the system: the first knows the numbers that the runtime counts by."""
    plug_in_card(tmp_path, 7)
    assert [one.path for one in find_edge_tpus(None, tmp_path)] == ["/dev/apex_7"]
    assert [one.path for one in find_edge_tpus(object(), tmp_path)] == ["/dev/apex_7"]
    library = FakeLibrary([(1, USB.path.encode())])
    assert find_edge_tpus(library, tmp_path) == [USB]
    monkeypatch.setattr(edgetpu_devices, "from_pycoral", lambda: [PCI])
    assert find_edge_tpus(library, tmp_path) == [PCI]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder on the import path; what was imported from it is forgotten afterwards."""
    if pycoral_kind():
        pytest.skip("a pycoral is installed here")
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "pycoral"]:
        del sys.modules[name]


def write_package(site: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)


CORAL = {"pycoral/__init__.py": "", "pycoral/utils/__init__.py": ""}
LISTS = "def list_edge_tpus():\n    return [{'type': 'usb', 'path': '/sys/bus/usb/devices/2-1'}]\n"


def test_coral_s_own_pycoral_lists_the_devices(site: Path) -> None:
    write_package(site, {**CORAL, "pycoral/utils/edgetpu.py": LISTS})
    assert pycoral_kind() == "coral"
    assert from_pycoral() == [USB]


@pytest.mark.parametrize(
    "text", ["import no_such_engine", "def list_edge_tpus(): raise RuntimeError('engine')", "", "raise OSError('ABI')"]
)
def test_a_pycoral_that_does_not_work_here_is_passed_over(site: Path, text: str) -> None:
    """It wants an engine of its own version, and libedgetpu can list the devices as well."""
    write_package(site, {**CORAL, "pycoral/utils/edgetpu.py": text})
    assert from_pycoral() is None


@pytest.mark.parametrize("files", [{"pycoral/__init__.py": ""}, {"pycoral/__init__.py": "", "pycoral/utils.py": ""}])
def test_pypi_s_pycoral_is_known_for_what_it_is(site: Path, files: dict[str, str]) -> None:
    """It is a tool about coral reefs, and pip install pycoral brings it."""
    write_package(site, files)
    assert pycoral_kind() == "other"
    assert from_pycoral() is None


def test_without_any_pycoral_there_is_nothing_to_say() -> None:
    assert pycoral_kind(lambda name: None) == ""


def test_the_file_of_a_device_is_found(tmp_path: Path) -> None:
    """It is what permissions are set on, and what tells who uses the device."""
    stick, card = plug_in_stick(tmp_path, "2-1", USB_IDS[0], number=12), plug_in_card(tmp_path)
    assert node_of(stick, tmp_path) == tmp_path / "dev/bus/usb/002/012"
    assert node_of(card, tmp_path) == tmp_path / "dev/apex_0"
    assert node_of(EdgeTpu("usb", "/sys/gone"), tmp_path) is None
    assert node_of(EdgeTpu("pci", "/dev/apex_5"), tmp_path) is None


def test_who_holds_a_file_is_found_among_the_processes(tmp_path: Path) -> None:
    """Read from the real /proc: this process holds the file open."""
    file = tmp_path / "apex_0"
    file.touch()
    me = f"(process {os.getpid()})"
    with file.open():
        assert [user for user in users_of(file) if user.endswith(me)]
    assert not [user for user in users_of(file) if user.endswith(me)]


def test_the_speed_of_a_port_is_what_the_kernel_says(tmp_path: Path) -> None:
    slow = plug_in_stick(tmp_path, "1-1", USB_IDS[0], speed=480)
    assert port_speed(slow, tmp_path) == 480
    assert port_speed(plug_in_card(tmp_path), tmp_path) is None
    assert port_speed(EdgeTpu("usb", "/sys/gone"), tmp_path) is None
