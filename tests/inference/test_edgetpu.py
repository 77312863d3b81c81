"""The Edge TPU's opening, with a stand-in for libedgetpu: no stick is needed."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from edge_runtime.errors import BackendError, BackendMissingError, ConfigError
from edge_runtime.inference.delegate import NO_REASON
from edge_runtime.inference.edgetpu import (
    LIBRARY,
    check_permission,
    explain_refusal,
    how_to_grant,
    open_edgetpu,
    require_device,
)
from edge_runtime.inference.edgetpu_devices import USB_IDS, EdgeTpu
from tests.inference.test_edgetpu_devices import plug_in_card, plug_in_stick

USB = EdgeTpu("usb", "/sys/bus/usb/devices/2-1")
USB_2 = EdgeTpu("usb", "/sys/bus/usb/devices/2-2")
PCI = EdgeTpu("pci", "/dev/apex_0")


@pytest.mark.parametrize(
    ("found", "device", "fitting"),
    [
        ([USB], "", [USB]),
        ([USB, PCI], "usb", [USB]),
        ([USB], "usb:0", [USB]),
        ([USB, PCI], "pci", [PCI]),
        ([USB, PCI], "pci:0", [PCI]),
        ([USB, USB_2], "usb", [USB, USB_2]),
        ([USB, USB_2], "usb:1", [USB_2]),
        ([PCI, USB], ":1", [USB]),
    ],
)
def test_the_device_asked_for_is_picked_among_several(
    found: list[EdgeTpu], device: str, fitting: list[EdgeTpu]
) -> None:
    """Two programs share a board with two sticks by naming one each."""
    assert require_device(found, device) == fitting


@pytest.mark.parametrize(("found", "device"), [([], ""), ([USB], "pci"), ([USB], "usb:1"), ([USB], ":1")])
def test_a_device_that_is_absent_is_named_with_those_found(found: list[EdgeTpu], device: str) -> None:
    """A missing stick must never become a silent run on the CPU."""
    with pytest.raises(BackendMissingError, match="no Edge TPU") as caught:
        require_device(found, device)
    assert f"(found: {found[0] if found else 'none'})" in str(caught.value)


@pytest.mark.parametrize("device", ["usb0", "0", "usb:", "gpu", "usb:x"])
def test_a_device_of_another_form_lists_the_forms(device: str) -> None:
    with pytest.raises(ConfigError, match="usb:N"):
        open_edgetpu(Path("m.tflite"), device=device)


def test_a_missing_library_gives_the_package_to_install(tmp_path: Path) -> None:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        pass
    else:
        pytest.skip("libedgetpu is installed here")
    with pytest.raises(BackendMissingError, match="libedgetpu1-std") as caught:
        open_edgetpu(Path("m.tflite"), root=tmp_path)
    assert "plugged in" not in str(caught.value)


def test_a_stick_without_its_library_is_seen_all_the_same(tmp_path: Path) -> None:
    """Else somebody would go on changing cables."""
    plug_in_stick(tmp_path, "2-1", USB_IDS[0])
    with pytest.raises(
        BackendMissingError, match=r"usb .*2-1 is plugged in, its library is missing: .*libedgetpu1-std"
    ):
        open_edgetpu(Path("m.tflite"), library="libabsent.so.1", root=tmp_path)


def test_a_device_this_user_may_not_use_names_the_rule_and_the_file(tmp_path: Path) -> None:
    """libedgetpu itself says nothing there, as if the stick were absent."""
    device = plug_in_stick(tmp_path, "2-1", USB_IDS[0], number=7)
    with pytest.raises(BackendError, match=r"may not use .*/dev/bus/usb/002/007; run: sudo cp .*usermod -aG plugdev"):
        check_permission([device], tmp_path, is_allowed=lambda _: False)
    check_permission([device], tmp_path, is_allowed=lambda _: True)


def test_the_rule_that_the_message_names_is_there() -> None:
    words = how_to_grant().split()
    rules = Path(words[words.index("cp") + 1])
    text = rules.read_text()
    for one in USB_IDS:
        vendor, product = one.split(":")
        assert f'ATTR{{idVendor}}=="{vendor}", ATTR{{idProduct}}=="{product}"' in text
    assert 'SUBSYSTEM=="apex"' in text


def test_one_device_that_may_be_used_is_enough(tmp_path: Path) -> None:
    """Where any will do, the runtime takes the one that opens."""
    stick, card = plug_in_stick(tmp_path, "2-1", USB_IDS[0]), plug_in_card(tmp_path)
    check_permission([stick, card], tmp_path, is_allowed=lambda node: "apex" in str(node))
    check_permission([EdgeTpu("usb", "/sys/of/another/kernel")], tmp_path, is_allowed=lambda _: False)


def test_a_device_in_use_names_who_uses_it(tmp_path: Path) -> None:
    """The usual end of an evening: the program from before is still running."""
    card = plug_in_card(tmp_path)
    fds = tmp_path / "proc/812/fd"
    fds.mkdir(parents=True)
    (fds / "5").symlink_to("/dev/apex_0")
    (tmp_path / "proc/812/comm").write_text("frigate\n")
    error = explain_refusal(BackendError(f"delegate x: {NO_REASON}"), [card], tmp_path)
    assert str(error).startswith("backend edgetpu: pci /dev/apex_0 is in use by frigate (process 812); stop that")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Error in libusb: LIBUSB_ERROR_ACCESS", "may not use it; run: sudo cp"),
        ("Failed to open /dev/apex_0: Permission denied", "may not use it; run: sudo cp"),
        ("LIBUSB_ERROR_BUSY", "is in use by another program; stop that"),
        ("device or resource busy", "is in use by another program; stop that"),
        ("the stick is asleep", "the stick is asleep"),
        (NO_REASON, NO_REASON),
    ],
)
def test_what_the_library_says_becomes_what_to_do(tmp_path: Path, said: str, meant: str) -> None:
    """Each trouble has a message of its own; what is not known stays as it was said."""
    assert meant in str(explain_refusal(BackendError(f"delegate x: {said}"), [USB], tmp_path))
