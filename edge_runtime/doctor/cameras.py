"""Cameras: what they offer, who holds them, who may use them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_runtime.capture.v4l import Nodes
from edge_runtime.doctor.board import is_raspberry_pi
from edge_runtime.doctor.finding import ERROR, OK, WARNING, Finding, error, ok, skipped, warning
from edge_runtime.doctor.holders import Holder, find_holders
from edge_runtime.doctor.machine import Machine, Settings, User, group_members
from edge_runtime.doctor.v4l2 import Format, formats, query

JOIN = "sudo usermod -aG video $USER"
_SYSTEM_PYTHON = Path("/usr/lib/python3/dist-packages")


def check_cameras(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """Yield what there is to say of every camera, and of the way to it."""
    nodes = Nodes(sysfs=machine.path("/sys/class/video4linux"))
    names = nodes.names()
    if not names:
        yield skipped("cameras", "none at /dev/video*; plug one in, or name a stream, a video or pictures as source")
    held = find_holders(machine.path("/proc"), names)
    for device, name in names.items():
        if nodes.is_csi(device):
            yield ok(device, f"{name}: the board's own camera connector; use --source picamera", facts={"name": name})
        else:
            yield look_at(machine, device, name, held.by_device[device])
    yield from other_nodes(machine, set(names))
    if names and held.hidden and not machine.user.is_root:
        yield skipped("other users", f"{held.hidden} of their processes hide what they hold; sudo shows them too")
    is_kept_out = any(not machine.access(machine.path(device), os.R_OK | os.W_OK) for device in names)
    yield check_group(machine.user, group_members(machine, "video"), is_kept_out=is_kept_out)
    has_connector = any(nodes.is_csi(device) for device in names)
    is_wanted = (settings.config.source or "").startswith("picamera")
    if is_raspberry_pi(machine) or is_wanted:
        yield check_picamera(machine, has_connector=has_connector, is_wanted=is_wanted)


def look_at(machine: Machine, device: str, name: str, holders: Sequence[Holder]) -> Finding:
    """Return what a camera at a V4L2 node offers, and who holds it."""
    path = machine.path(device)
    facts: dict[str, Any] = {"name": name, "held_by": [asdict(one) for one in holders]}
    if not machine.access(path, os.R_OK | os.W_OK):
        return error(device, f"{name}: this user may not use it", "log in again afterwards", JOIN, facts=facts)
    try:
        with machine.open_device(path) as ask:
            capability = query(ask)
            found = formats(ask, capability) if capability is not None else ()
    except OSError as exc:
        return error(device, f"{name}: does not open ({exc.strerror})", "reconnect it, and look for what the kernel "
                     "says of it", "sudo dmesg | grep -iE 'usb|uvc' | tail", facts=facts)  # fmt: skip
    if capability is None:
        return warning(device, f"{name}: does not answer as a camera", "reconnect it", facts=facts)
    said = f"{name}, driver {capability.driver}: {offered(found)}"
    facts |= {"driver": capability.driver, "bus": capability.bus, "formats": [asdict(one) for one in found]}
    if not found:
        return warning(device, said, "no format can be read from it; it may be no camera", facts=facts)
    return held_by(device, said, holders, facts)


def held_by(device: str, said: str, holders: Sequence[Holder], facts: Mapping[str, Any]) -> Finding:
    """Return the finding of a camera that works, and may be another program's at the moment."""
    others = [one for one in holders if not one.is_ours]
    if others:
        who = ", ".join(map(str, others))
        return Finding(device, WARNING, f"{said}; held by {who}", "a camera serves one program at a time",
                       others[0].stop_command, facts)  # fmt: skip
    ours = f"; held by {holders[0].unit}, as it should be" if holders else ""
    return Finding(device, OK, f"{said}{ours}", facts=facts)


def offered(found: Sequence[Format]) -> str:
    """Return "MJPG up to 1920x1080 (7 sizes), YUYV up to 640x480 (1 size)"."""
    return ", ".join(map(_format_text, found)) or "no formats"


def _format_text(one: Format) -> str:
    if one.largest_wh is None:
        return f"{one.fourcc} (its sizes are not told)"
    largest = "x".join(map(str, one.largest_wh))
    if one.is_range:
        return f"{one.fourcc} any size up to {largest}"
    return f"{one.fourcc} up to {largest} ({len(one.sizes_wh)} size{'' if len(one.sizes_wh) == 1 else 's'})"


def other_nodes(machine: Machine, cameras: set[str]) -> Iterator[Finding]:
    """Yield one line of the video nodes that give no pictures, so that nobody tries them one by one."""
    folder = machine.path("/sys/class/video4linux")
    names = sorted((node.name for node in folder.glob("video*")), key=lambda name: (len(name), name))
    kinds: dict[str, list[str]] = {}
    for name in names:
        if f"/dev/{name}" not in cameras:
            kinds.setdefault(_kind(machine, f"/dev/{name}"), []).append(name)
    if kinds:
        said = "; ".join(f"{kind} {', '.join(those)}" for kind, those in kinds.items())
        yield ok("other nodes", f"{said} (they give no pictures)", facts=kinds)


def _kind(machine: Machine, device: str) -> str:
    try:
        with machine.open_device(machine.path(device)) as ask:
            capability = query(ask)
    except OSError:
        return "other"
    if capability is None:
        return "other"
    return "second node" if capability.kind == "camera" else capability.kind


def check_group(user: User, group: tuple[int, frozenset[str]] | None, *, is_kept_out: bool) -> Finding:
    """Return whether the user is in the group that may use cameras.

    Args:
        user: who runs the doctor.
        group: number and members of "video"; None if there is no such group.
        is_kept_out: whether a camera is there that this user may not use.
    """
    if user.is_root:
        return ok("group video", "root needs no group")
    if group is None:
        return skipped("group video", "there is no such group here")
    number, members = group
    if number in user.groups:
        return ok("group video", f"{user.name} is in it")
    if user.name in members:
        return (error if is_kept_out else warning)(
            "group video", f"{user.name} is in it since this session began", "log out and in again", "newgrp video"
        )
    if is_kept_out:
        return error(
            "group video", f"{user.name} is not in it and may not use the camera", "log in again afterwards", JOIN
        )
    return warning(
        "group video", f"{user.name} is not in it; a camera may refuse this user", "log in again afterwards", JOIN
    )


def check_picamera(machine: Machine, *, has_connector: bool, is_wanted: bool) -> Finding:
    """Return whether picamera2 and libcamera can be imported, which a camera on the board's own connector needs."""
    missing = [name for name in ("libcamera", "picamera2") if not machine.has_module(name)]
    if not missing:
        return ok("picamera2", "libcamera and picamera2 are there")
    status = ERROR if is_wanted else WARNING if has_connector else None
    said = f"{' and '.join(missing)} cannot be imported"
    if status is None:
        return skipped("picamera2", f"{said}; only a camera on the board's own connector needs it")
    one = machine.interpreter
    is_hidden = all(machine.path(_SYSTEM_PYTHON / name).exists() for name in missing)
    if is_hidden and one.is_venv:
        key = "include-system-site-packages"
        return Finding("picamera2", status, f"{said}: installed in the system, and this virtual environment hides it",
                       "its Python has to be the system's, too",
                       f"sed -i 's/^{key}.*/{key} = true/' {one.prefix}/pyvenv.cfg")  # fmt: skip
    return Finding("picamera2", status, said, "a virtual environment sees it if made with --system-site-packages",
                   "sudo apt install python3-picamera2")  # fmt: skip
