"""Accelerators: Coral's Edge TPU on USB and PCI, the libraries that drive it and the GPU, and who may use them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edge_runtime.doctor.finding import ERROR, WARNING, Finding, error, ok, skipped, warning
from edge_runtime.doctor.holders import find_holders
from edge_runtime.doctor.machine import Machine, Settings, text_of
from edge_runtime.doctor.trials import DIED, DONE, Trial
from edge_runtime.doctor.usb import has_super_speed, pci_devices
from edge_runtime.inference.edgetpu_devices import USB_2_MBIT, EdgeTpu, from_system, node_of, port_speed

EDGETPU_LIBRARY = "libedgetpu.so.1"
PCI_ID = ("1ac1", "089a")
RULE_FOLDERS = ("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")
RULES = "systemd/99-edge-runtime-edgetpu.rules"
_PACKAGE = Path(__file__).resolve().parents[1]


def check_accelerators(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """Yield what there is to say of every accelerator and its library."""
    sysfs, backend = machine.path("/sys"), settings.config.backend
    devices = from_system(machine.root)
    sticks = [one for one in devices if one.kind == "usb"]
    cards = [one for one in devices if one.kind == "pci"]
    silent = [address for address, *identity in pci_devices(sysfs) if tuple(identity) == PCI_ID]
    yield from (look_at_stick(machine, one) for one in sticks)
    yield from (look_at_card(machine, one) for one in cards)
    if silent and not cards:
        yield error("Edge TPU card", f"at PCI {', '.join(silent)}, and its driver (gasket, apex) is not loaded",
                    "install Coral's driver for this kernel", "sudo apt install gasket-dkms")  # fmt: skip
    is_there, is_wanted = bool(sticks or cards or silent), backend.startswith("edgetpu")
    if not is_there:
        none = error if is_wanted else skipped
        yield none("Edge TPU", "none is plugged in" + (f", and the settings say backend {backend}" * is_wanted))
    yield check_edgetpu_library(machine.trials().get(EDGETPU_LIBRARY), is_there=is_there, is_wanted=is_wanted)
    library = gpu_library(backend)
    if library:
        yield check_gpu_library(library, machine.trials().get(library))
    renderers = sorted(one.name for one in machine.path("/dev/dri").glob("renderD*"))
    yield ok("GPU", f"{', '.join(renderers)} in /dev/dri") if renderers else skipped("GPU", "none in /dev/dri")


def gpu_library(backend: str) -> str:
    """Return the delegate library that a backend as in "gpu:/usr/lib/libdelegate.so" names; "" if it names none."""
    name, _, device = backend.partition(":")
    return device if name == "gpu" and ".so" in device else ""


def look_at_stick(machine: Machine, one: EdgeTpu) -> Finding:
    """Return whether a Coral USB stick may be used, by whom it is held, and how fast its port is."""
    name, speed = f"Edge TPU {one.path.rpartition('/')[2]}", port_speed(one, machine.root)
    said = "Coral USB" + (f", {speed} Mbit/s" if speed else "")
    node, has_rule = node_of(one, machine.root), has_udev_rule(machine)
    facts = {"kind": one.kind, "path": one.path, "speed_mbit": speed, "has_udev_rule": has_rule}
    if node is None:
        return warning(name, f"{said}: its device file is not here", "give /dev/bus/usb to the container", facts=facts)
    if not machine.access(node, os.R_OK | os.W_OK):
        return error(name, f"{said}: this user may not use it", *permission(has_rule=has_rule), facts=facts)
    device = f"/{node.relative_to(machine.root)}"
    others = [one for one in find_holders(machine.path("/proc"), [device]).by_device[device] if not one.is_ours]
    if others:
        advice = "an Edge TPU serves one program at a time"
        return warning(name, f"{said}; held by {others[0]}", advice, others[0].stop_command, facts=facts)
    if speed is not None and speed <= USB_2_MBIT:
        is_mendable = has_super_speed(machine.path("/sys"))
        advice = "plug it into a blue USB 3 port, with its own cable" if is_mendable else "this board has no USB 3 port"
        return warning(name, f"{said}: a USB 2 port, several times slower for large models", advice, facts=facts)
    return ok(name, said, facts=facts)


def look_at_card(machine: Machine, one: EdgeTpu) -> Finding:
    """Return whether a Coral card may be used."""
    millidegrees = machine.text(f"/sys/class/apex/{one.path.rpartition('/')[2]}/temp")
    facts = {"celsius": int(millidegrees) / 1000} if millidegrees.isdecimal() else {}
    if not machine.access(machine.path(one.path), os.R_OK | os.W_OK):
        said = "a Coral card that this user may not use"
        return error(one.path, said, *permission(has_rule=has_udev_rule(machine, "apex")), facts=facts)
    return ok(one.path, "a Coral card" + (f", {facts['celsius']:.0f} °C" if facts else ""), facts=facts)


def has_udev_rule(machine: Machine, word: str = "18d1") -> bool:
    """Return whether some rule of udev holds this word: the maker of a stick that has its firmware, or "apex"."""
    files = (file for folder in RULE_FOLDERS for file in machine.path(folder).glob("*.rules"))
    return any(word in text_of(file) for file in files)


def permission(*, has_rule: bool) -> tuple[str, str]:
    """Return advice and command for an Edge TPU that this user may not use."""
    join = 'sudo usermod -aG plugdev "$USER"'
    if has_rule:
        return "log in again afterwards, and plug it in anew", join
    rules = next((file for file in (_PACKAGE / RULES, _PACKAGE.parent / RULES) if file.is_file()), Path(RULES))
    reload = "sudo udevadm control --reload-rules && sudo udevadm trigger"
    return (
        "no udev rule lets anybody but root use it; log in again afterwards",
        f"sudo cp {rules} /etc/udev/rules.d/ && {reload} && {join}",
    )


def check_edgetpu_library(trial: Trial | None, *, is_there: bool, is_wanted: bool) -> Finding:
    """Return whether libedgetpu loads, in a child process, and which version it is."""
    name = EDGETPU_LIBRARY
    if trial is not None and trial.state == DONE:
        if not trial.facts["is_delegate"]:
            return error(name, "is a library but no TFLite delegate", *_INSTALL)
        return ok(name, trial.facts["version"] or "loads, and tells no version", facts=trial.facts)
    if trial is not None and trial.state == DIED:
        return Finding(name, ERROR if is_wanted else WARNING, f"ends the process that loads it ({trial.said})",
                       "it is built for another system; take one built for this one", _INSTALL[1])  # fmt: skip
    said = "is not installed" if trial is None or "cannot open shared object" in trial.said else trial.said
    if is_there or is_wanted:
        return (error if is_wanted else warning)(name, f"{said}; no Edge TPU runs without it", *_INSTALL)
    return skipped(name, f"{said}; only an Edge TPU needs it")


_INSTALL = (
    "from Coral's package repository, or a newer build of it for current systems (github.com/feranick/libedgetpu)",
    "sudo apt install libedgetpu1-std",
)


def check_gpu_library(library: str, trial: Trial | None) -> Finding:
    """Return whether the GPU delegate that the settings name loads in a child process."""
    if trial is not None and trial.state == DONE and trial.facts["is_delegate"]:
        return ok("GPU delegate", f"{library} loads")
    reason = "is no TFLite delegate" if trial is None or trial.state == DONE else f"does not load ({trial.said})"
    return error("GPU delegate", f"{library} {reason}", 'build it from TensorFlow Lite, or use backend = "cpu"')
