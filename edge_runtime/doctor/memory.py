"""Memory: enough for a model, swap, and whether limits on services have any effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edge_runtime.doctor.board import is_raspberry_pi
from edge_runtime.doctor.finding import Finding, error, ok, skipped, warning
from edge_runtime.doctor.machine import Machine, Settings

MIB = 1024**2
LEAST_BYTES, ENOUGH_BYTES = 80 * MIB, 200 * MIB
"""A run with a small model takes some 90 MiB, the larger models and cameras with many buffers twice that."""
COMMAND_LINES = ("/boot/firmware/cmdline.txt", "/boot/cmdline.txt")


def check_memory(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """Yield what memory there is, and what happens when it ends."""
    del settings
    amounts = read_meminfo(machine.text("/proc/meminfo"))
    yield check_available(amounts)
    yield check_swap(amounts)
    yield check_killed(machine.text("/proc/vmstat"))
    yield check_limits(machine)


def read_meminfo(text: str) -> dict[str, int]:
    """Return name -> bytes of /proc/meminfo. Source: proc_meminfo(5): "name:  number kB"."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[0].isdecimal():
            found[name] = int(words[0]) * 1024
    return found


def check_available(amounts: Mapping[str, int]) -> Finding:
    """Return whether a run fits into what is free."""
    if "MemTotal" not in amounts or "MemAvailable" not in amounts:
        return skipped("memory", "this machine does not tell")
    total, free = amounts["MemTotal"], amounts["MemAvailable"]
    said = f"{free / MIB:,.0f} MiB of {total / MIB:,.0f} MiB are free"
    facts = {"total_bytes": total, "available_bytes": free}
    if free >= ENOUGH_BYTES:
        return ok("memory", said, facts=facts)
    advice = "end what takes most of it; on a board for one purpose leave the desktop off"
    command = "ps -eo rss,pid,comm --sort=-rss | head"
    said = f"{said}; a run takes 90 to 200 MiB"
    return (error if free < LEAST_BYTES else warning)("memory", said, advice, command, facts=facts)


def check_swap(amounts: Mapping[str, int]) -> Finding:
    """Return how much swap is in use."""
    total, free = amounts.get("SwapTotal"), amounts.get("SwapFree")
    if total is None or free is None:
        return skipped("swap", "this machine does not tell")
    facts = {"total_bytes": total, "used_bytes": total - free}
    if not total:
        return ok("swap", "none", facts=facts)
    said = f"{(total - free) / MIB:,.0f} MiB of {total / MIB:,.0f} MiB are in use"
    if total - free > total / 2:
        return warning("swap", said, "the memory is too small for what runs here; frames will come late", facts=facts)
    return ok("swap", said, facts=facts)


def check_killed(text: str) -> Finding:
    """Return whether the kernel has ended programs for lack of memory since the start, by /proc/vmstat."""
    counts = dict(line.split(maxsplit=1) for line in text.splitlines() if len(line.split()) == 2)
    killed = counts.get("oom_kill", "")
    if not killed.isdecimal():
        return skipped("ended programs", "this kernel does not count them")
    if int(killed):
        return warning(
            "ended programs",
            f"the kernel has ended {int(killed)} since the start, for lack of memory",
            "see which ones",
            "sudo journalctl -k -g 'Out of memory|oom-kill'",
            facts={"oom_kills": int(killed)},
        )
    return ok("ended programs", "none for lack of memory since the start", facts={"oom_kills": 0})


def check_limits(machine: Machine) -> Finding:
    """Return whether the kernel keeps to MemoryMax of a service: Raspberry Pi OS may boot with that switched off."""
    controllers = machine.text("/sys/fs/cgroup/cgroup.controllers").split()
    older = [line.split() for line in machine.text("/proc/cgroups").splitlines() if line.startswith("memory\t")]
    if "memory" in controllers or any(row[-1] == "1" for row in older):
        return ok("memory limits", "the kernel keeps to those of services")
    if not controllers and not older:
        return skipped("memory limits", "this kernel does not tell")
    said = "the memory controller is off: MemoryMax of a service has no effect"
    file = next((one for one in COMMAND_LINES if machine.path(one).exists()), None)
    if file is None or not is_raspberry_pi(machine):
        return warning("memory limits", said, "boot the kernel with cgroup_enable=memory")
    return warning("memory limits", said, "only needed where services have memory limits",
                   f"sudo sed -i '1 s/$/ cgroup_enable=memory/' {file} && sudo reboot")  # fmt: skip
