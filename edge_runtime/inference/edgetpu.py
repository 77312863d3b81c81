"""Coral Edge TPU: libedgetpu as a delegate of the TFLite interpreter."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_runtime.errors import BackendError, BackendMissingError, ConfigError, EdgeRuntimeError
from edge_runtime.inference.agreement import compare_backends
from edge_runtime.inference.delegate import NO_REASON, load_delegate, load_library
from edge_runtime.inference.edgetpu_devices import (
    USB_2_MBIT,
    WRONG_PYCORAL,
    EdgeTpu,
    find_edge_tpus,
    from_library,
    from_system,
    lists_devices,
    may_use,
    node_of,
    port_speed,
    pycoral_kind,
    users_of,
)
from edge_runtime.inference.edgetpu_runtime import check_runtime
from edge_runtime.inference.engine import load_engine
from edge_runtime.inference.tflite import TfliteBackend, open_cpu

log = logging.getLogger(__name__)

LIBRARY = "libedgetpu.so.1"
ADVICE = (
    "install the Edge TPU runtime (Debian package libedgetpu1-std, from Coral's repository or, for TensorFlow 2.14 and "
    "later, from https://github.com/feranick/libedgetpu/releases), or use --backend cpu with a model for the CPU"
)
RULES = "systemd/99-edge-runtime-edgetpu.rules"
"""The udev rule that lets the group plugdev use Edge TPUs: beside the package in a checkout, inside it in a wheel."""
_DEVICE = re.compile(r"(usb|pci)?(:\d+)?")
_DENIED = re.compile(r"LIBUSB_ERROR_ACCESS|permission denied|not permitted", re.IGNORECASE)
_BUSY = re.compile(r"LIBUSB_ERROR_BUSY|resource busy|in use", re.IGNORECASE)


def open_edgetpu(
    model: Path,
    *,
    engine: str = "auto",
    num_threads: int = 1,
    device: str = "",
    library: str = LIBRARY,
    root: Path = Path("/"),
) -> TfliteBackend:
    """Return the model opened on an Edge TPU.

    Args:
        model: a file that edgetpu_compiler made.
        engine: key of ENGINES, or "auto".
        num_threads: for the operators that stay on the CPU.
        device: "", "usb", "usb:0", "pci", "pci:1" or ":0"; "" takes any.
        library: name or path of libedgetpu.
        root: of the system's files.

    Raises:
        ConfigError: the device is not of these forms.
        BackendMissingError: libedgetpu or the device is absent.
        BackendError: the device may not be used, is in use, or refused.
        ModelError: the engine refuses the file, or it is for a newer libedgetpu.
    """
    if not _DEVICE.fullmatch(device):
        raise ConfigError(f"backend: Edge TPU device {device!r} is unknown; use usb, usb:N, pci, pci:N or :N")
    if pycoral_kind() == "other":
        log.warning("edgetpu: %s", WRONG_PYCORAL)
    loaded = _load(library, root)
    fitting = require_device(find_edge_tpus(loaded, root), device)
    check_permission(fitting, root)
    check_runtime(model, loaded)
    vendor = load_engine(engine)
    try:
        delegate = load_delegate(vendor.load_delegate, library, {"device": device} if device else {})
    except BackendMissingError:
        raise
    except BackendError as exc:
        raise explain_refusal(exc, fitting, root) from exc
    for slow in _on_usb_2(fitting, root):
        log.warning("%s", slow)
    name = f"{library} {device or 'any device'}"
    opened = TfliteBackend("edgetpu", model, vendor, num_threads=num_threads, delegate=delegate, delegate_name=name)
    _compare_with_twin(opened, model, engine)
    return opened


def list_devices(library: Any) -> list[str]:
    """Return the Edge TPUs that libedgetpu lists, as "usb /sys/..." or "pci /dev/apex_0".

    Raises:
        BackendMissingError: the library is not libedgetpu.
    """
    return [str(one) for one in from_library(library)]


def require_device(found: list[EdgeTpu], device: str) -> list[EdgeTpu]:
    """Return the devices that were asked for: those of the kind, or the one of the number.

    Raises:
        BackendMissingError: there is none among those found.
    """
    kind, _, index = device.partition(":")
    fitting = [one for one in found if one.kind.startswith(kind)]
    if len(fitting) <= int(index or 0):
        listing = "; ".join(map(str, found)) if found else "none"
        raise BackendMissingError(
            f"backend edgetpu: no Edge TPU {device or 'of any kind'} is plugged in (found: {listing}); "
            "check the plug, the cable and the power, or use --backend cpu with a model for the CPU"
        )
    return [fitting[int(index)]] if index else fitting


def check_permission(
    devices: list[EdgeTpu], root: Path = Path("/"), is_allowed: Callable[[Path], bool] = may_use
) -> None:
    """Raise BackendError where none of these devices may be used by this user; unknown ones are let pass."""
    nodes = [node_of(one, root) for one in devices]
    if nodes and all(node is not None and not is_allowed(node) for node in nodes):
        raise _no_permission(devices[0], nodes[0])


def explain_refusal(error: BackendError, devices: list[EdgeTpu], root: Path = Path("/")) -> BackendError:
    """Return the error of a device that is there and does not start, with the reason that the system knows."""
    said = str(error)
    nodes = [node for one in devices if (node := node_of(one, root)) is not None]
    if _DENIED.search(said):
        return _no_permission(devices[0], nodes[0] if nodes else None)
    users = [user for node in nodes for user in users_of(node, root)]
    if _BUSY.search(said.removesuffix(NO_REASON)) or users:
        by = f" by {', '.join(users)}" if users else " by another program"
        return BackendError(
            f"backend edgetpu: {devices[0]} is in use{by}; stop that, or name another device, as in edgetpu:usb:1"
        )
    return error


def how_to_grant() -> str:
    """Return the commands that let this user use Edge TPUs."""
    package = Path(__file__).resolve().parents[1]
    rules = next((one for one in (package / RULES, package.parent / RULES) if one.is_file()), RULES)
    return (
        f"run: sudo cp {rules} /etc/udev/rules.d/ && sudo udevadm control --reload-rules && sudo udevadm trigger && "
        'sudo usermod -aG plugdev "$USER", and log in again'
    )


def _no_permission(device: EdgeTpu, node: Path | None) -> BackendError:
    return BackendError(f"backend edgetpu: {device}: this user may not use {node or 'it'}; {how_to_grant()}")


def _load(library: str, root: Path) -> Any:
    """Return libedgetpu; where it is missing, and a device is not, the error says so."""
    try:
        loaded = load_library(library, ADVICE)
    except BackendMissingError as exc:
        if plugged_in := from_system(root):
            raise BackendMissingError(
                f"backend edgetpu: {plugged_in[0]} is plugged in, its library is missing: {exc}"
            ) from exc
        raise
    if not lists_devices(loaded):
        raise BackendMissingError(f"backend edgetpu: {library} cannot list Edge TPUs, it is not libedgetpu; {ADVICE}")
    return loaded


def _on_usb_2(devices: list[EdgeTpu], root: Path) -> list[str]:
    """Return a warning for each stick in a slow port. Source of the times: aallan/benchmarking-ml-on-the-edge."""
    slow = [(one, speed) for one in devices if (speed := port_speed(one, root)) is not None and speed <= USB_2_MBIT]
    return [
        f"edgetpu: {one} runs at USB 2 ({speed} Mbit/s, USB 3 is 5000): an SSD takes about 50 ms there instead of 15; "
        "use a USB 3 port (blue) and its own cable"
        for one, speed in slow
    ]


def _compare_with_twin(opened: TfliteBackend, model: Path, engine: str) -> None:
    """Warn where the device and the CPU see different things in one picture.

    No error: the compiler may have rounded otherwise, and the twin is known by its name alone.
    """
    from edge_runtime.inference.select import cpu_twin  # select imports every backend's home, some day this one

    twin = cpu_twin(model)
    if twin is None:
        return
    try:
        reference = open_cpu(twin, engine=engine)
        try:
            if _tensors(reference) != _tensors(opened):
                log.warning("edgetpu: %s has other tensors than %s and is no CPU twin of it", twin.name, model.name)
                return
            difference = compare_backends(reference, opened, reference.ranked)
        finally:
            reference.close()
    except EdgeRuntimeError as exc:
        log.warning("edgetpu: not compared with the CPU reason=%s", exc)
        return
    if difference is not None and difference.is_wrong:
        log.warning(
            "edgetpu: the results are not those of the CPU: %s against %s; compile that one again",
            difference,
            twin.name,
        )


def _tensors(backend: TfliteBackend) -> list[tuple[object, ...]]:
    return [(one.shape, one.dtype) for one in (*backend.inputs, *backend.outputs)]
