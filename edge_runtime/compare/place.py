"""What measured times depend on beside the model: the processor, and the programs."""

from __future__ import annotations

import platform
import re
from pathlib import Path

from edge_runtime import __version__
from edge_runtime.compare.rows import counted
from edge_runtime.inference.threads import available_cores

ARM_PARTS = {
    0xB76: "ARM1176", 0xC07: "Cortex-A7", 0xC08: "Cortex-A8", 0xC09: "Cortex-A9", 0xC0F: "Cortex-A15",
    0xD03: "Cortex-A53", 0xD04: "Cortex-A35", 0xD05: "Cortex-A55", 0xD07: "Cortex-A57", 0xD08: "Cortex-A72",
    0xD09: "Cortex-A73", 0xD0A: "Cortex-A75", 0xD0B: "Cortex-A76", 0xD0D: "Cortex-A77", 0xD41: "Cortex-A78",
    0xD42: "Cortex-A78AE", 0xD46: "Cortex-A510", 0xD47: "Cortex-A710",
}  # fmt: skip
"""Arm's own cores by their part number. Source: Linux, arch/arm64/include/asm/cputype.h, arch/arm/include/asm."""
ARM = 0x41


def describe_cpu(proc_root: Path = Path("/proc"), *, cores: int | None = None, machine: str | None = None) -> str:
    """Return kind and number of the cores this process may use: "Cortex-A76, 4 cores, aarch64".

    Args:
        proc_root: where procfs is.
        cores: how many; None asks the system.
        machine: "x86_64"; None asks the system.
    """
    try:
        text = (proc_root / "cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    parts = [" and ".join(_kinds(text)), counted(cores or available_cores(), "core"), machine or platform.machine()]
    return ", ".join(filter(None, parts))


def _kinds(cpuinfo: str) -> list[str]:
    """Return each kind of core once; a board may have two. A kernel for 64-bit Arm gives numbers and no name."""
    makers, parts = (_values(cpuinfo, key) for key in ("CPU implementer", "CPU part"))
    found = [
        ARM_PARTS.get(int(part, 16), f"Arm part {part}") if int(maker, 16) == ARM else f"core {maker}/{part}"
        for maker, part in zip(makers, parts, strict=False)
        if _is_hex(maker) and _is_hex(part)
    ]
    return list(dict.fromkeys(found or _values(cpuinfo, "model name")))


def _values(cpuinfo: str, key: str) -> list[str]:
    return [" ".join(one.split()) for one in re.findall(rf"^{key}\s*:(.*)$", cpuinfo, re.MULTILINE) if one.strip()]


def _is_hex(text: str) -> bool:
    return re.fullmatch(r"0x[0-9a-fA-F]{1,8}", text) is not None


def describe_software() -> str:
    """Return what ran, but for the engine: "edge-runtime 1.0.0, Python 3.13.5, Linux 6.12.20"."""
    kernel = platform.release().partition("-")[0]
    return f"edge-runtime {__version__}, Python {platform.python_version()}, {platform.system()} {kernel}"
