"""The ports of this machine, by the kernel's own list of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_runtime.doctor.machine import text_of

SUPER_SPEED_MBIT = 5000
"""Of USB 3; USB 2 has 480."""


def has_super_speed(sysfs: Path) -> bool:
    """Return whether this machine has a USB 3 port at all."""
    speeds = (text_of(root / "speed") for root in sysfs.glob("bus/usb/devices/usb*"))
    return any(int(one) >= SUPER_SPEED_MBIT for one in speeds if one.isdecimal())


def pci_devices(sysfs: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (address, vendor, device) of every PCI device, both as four hexadecimal digits."""
    for folder in sorted(sysfs.glob("bus/pci/devices/*")):
        vendor, device = (text_of(folder / name).lower().removeprefix("0x") for name in ("vendor", "device"))
        if vendor:
            yield folder.name, vendor, device
