"""Disks: room for what is written, and how long a card will bear it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edge_runtime.config import STDOUT, Config
from edge_runtime.doctor.board import is_raspberry_pi
from edge_runtime.doctor.finding import Finding, error, ok, skipped, warning
from edge_runtime.doctor.machine import Machine, Settings
from edge_runtime.doctor.mounts import Disk, Mount, disk_of, mount_of, read_mounts
from edge_runtime.inference.verdicts import cache_folder

GIB = 1024**3
RESERVE_BYTES, RESERVE_SHARE = 256 * 1024**2, 0.05
"""As in `edge_runtime.outputs.disk`, whose import would need a numpy that works."""
LITTLE_BYTES = GIB
DAY_S = 86400
LEAST_UPTIME_S = 3600.0
"""The writing of the start itself says nothing about a day."""
ENOUGH_DAYS = 15.0
"""Days in which a card may be written as often as it is large, to last five years. A plain card bears some 500 writes
of each cell and writes four times what it is given: 125 times its size."""
WORN_TENTHS = 9
IN_MEMORY = ("tmpfs", "ramfs")


def check_storage(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """Yield what there is to say of each disk that is written to."""
    mounts = read_mounts(machine.text("/proc/self/mountinfo"))
    by_mount: dict[Mount, list[str]] = {}
    for name, folder in places(settings.config, machine.environment).items():
        mount = mount_of(str(nearest(machine, folder)), mounts)
        if mount is not None:
            by_mount.setdefault(mount, []).append(name)
    if not by_mount:
        yield skipped("disks", "this machine does not tell what is mounted")
    seen: set[str] = set()
    for mount, what in by_mount.items():
        yield check_room(machine, mount, what)
        disk = disk_of(machine, mount.device)
        if disk is not None and disk.name not in seen:
            seen.add(disk.name)
            yield check_wear(disk, machine.text("/proc/uptime"))


def places(config: Config, environment: Mapping[str, str]) -> dict[str, Path]:
    """Return what is written, by its name, and the folder it goes to."""
    found = {"system": Path("/")}
    for name in ("log", "telemetry", "output"):
        file: Path | None = getattr(config, name)
        if file is not None and file != STDOUT:
            found[name] = file.absolute().parent
    if config.snapshots is not None:
        found["snapshots"] = config.snapshots.absolute()
    cache = cache_folder(environment)
    return found if cache is None else {**found, "cache": cache.absolute()}


def nearest(machine: Machine, folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there and may be seen."""
    for one in (folder, *folder.parents):
        try:
            if machine.path(one).is_dir():
                return one
        except OSError:  # a folder on the way that this user may not enter
            continue
    return Path("/")


def check_room(machine: Machine, mount: Mount, what: Sequence[str]) -> Finding:
    """Return whether a file system has room, takes what is written, and keeps it."""
    written = [name for name in what if name not in ("system", "cache")]
    for_what = f"for {', '.join(what)}"
    try:
        status = machine.statvfs(machine.path(mount.point))
    except OSError as exc:
        return skipped(mount.point, f"does not tell its room ({exc.strerror}), {for_what}")
    free, size = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
    said = f"{free / GIB:,.1f} of {size / GIB:,.1f} GiB are free, {mount.kind}, {for_what}"
    facts = {"free_bytes": free, "size_bytes": size, "kind": mount.kind, "read_only": mount.is_read_only,
             "used_for": list(what)}  # fmt: skip
    if mount.is_read_only:
        remount = f"sudo mount -o remount,rw {mount.point}"
        if written:
            return error(
                mount.point,
                f"is mounted read-only, and {', '.join(written)} is to be written there",
                "a card that fails turns read-only by itself: see sudo dmesg",
                remount,
                facts=facts,
            )
        return ok(mount.point, f"{said}, read-only", facts=facts)
    find = f"sudo du -xh --max-depth=3 {mount.point} | sort -h | tail"
    if size and free < min(RESERVE_BYTES, size * RESERVE_SHARE):
        return (error if written or "system" in what else warning)(
            mount.point, f"is full: {said}", "outputs stop before the last 256 MiB; make room", find, facts=facts
        )
    if status.f_files and not status.f_favail:
        return error(mount.point, f"has no room for another file, though {said}", "many small files fill it", find,
                     facts=facts)  # fmt: skip
    if written and (mount.kind in IN_MEMORY or (mount.kind == "overlay" and is_raspberry_pi(machine))):
        return warning(mount.point, f"{', '.join(written)} lies in memory ({mount.kind}) and is gone after a restart",
                       "name a folder on a disk, if it is to last", facts=facts)  # fmt: skip
    if size and free < LITTLE_BYTES and mount.kind not in IN_MEMORY:
        return warning(mount.point, f"little room: {said}", "make room", find, facts=facts)
    return ok(mount.point, said, facts=facts)


def check_wear(disk: Disk, uptime: str) -> Finding:
    """Return how long a disk will bear what is written to it."""
    kind = {"SD": "an SD card", "MMC": "soldered flash (eMMC)"}.get(disk.card, "no card")
    words = uptime.split()
    seconds = float(words[0]) if words and words[0].replace(".", "", 1).isdecimal() else 0.0
    per_day = int(disk.written_bytes / seconds * DAY_S) if seconds >= LEAST_UPTIME_S else None
    facts = {"disk": disk.name, "card": disk.card, "written_bytes": disk.written_bytes, "bytes_per_day": per_day}
    name = f"wear of {disk.name}"
    if disk.worn is not None and disk.worn >= WORN_TENTHS:
        return warning(name, f"{kind}: it says that {(disk.worn - 1) * 10} % or more of its life is gone",
                       "copy what is on it, and replace it in time", facts=facts)  # fmt: skip
    if not disk.card:
        return ok(name, kind if per_day is None else f"{kind}; {_per_day(per_day)}", facts=facts)
    if per_day is None:
        return skipped(name, f"{kind}; it has not run for an hour yet, so a day cannot be foretold", facts=facts)
    days = disk.size_bytes / per_day if per_day else float("inf")
    said = f"{kind} of {disk.size_bytes / GIB:.0f} GiB; {_per_day(per_day)}"
    if days < ENOUGH_DAYS:
        return warning(
            name,
            f"{said}: its whole size in {days:.1f} days, more than a plain card bears for five years",
            "write less (fewer snapshots, a longer telemetry_interval), to another disk, or to a card of high "
            "endurance; this shows who writes",
            "sudo iotop -obtqqq -n 5 -d 10",
            facts=facts,
        )
    return ok(name, said, facts=facts)


def _per_day(written: int) -> str:
    return f"{written / GIB:,.1f} GiB are written a day, at the rate since the start"
