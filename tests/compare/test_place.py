"""The processor by a name, also where the kernel gives numbers alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime import __version__
from edge_runtime.compare.place import describe_cpu, describe_software

PI5 = "processor\t: 0\nBogoMIPS\t: 108.00\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd0b\n\n"
BIG, SMALL = PI5, PI5.replace("d0b", "d05")
OLD_PI = "processor\t: 0\nmodel name\t: ARMv7 Processor rev 4 (v7l)\nCPU implementer\t: 0x41\nCPU part\t: 0xd03\n\n"
PC = "processor\t: 0\nmodel name\t: AMD Ryzen 7  PRO\nflags\t: fpu\n\n"


@pytest.mark.parametrize(
    ("text", "machine", "expected"),
    [(PI5 * 4, "aarch64", "Cortex-A76, 4 cores, aarch64"), (OLD_PI * 4, "armv7l", "Cortex-A53, 4 cores, armv7l"),
     (SMALL * 2 + BIG * 2, "aarch64", "Cortex-A55 and Cortex-A76, 4 cores, aarch64"),
     (PC * 8, "x86_64", "AMD Ryzen 7 PRO, 4 cores, x86_64"),
     (PI5.replace("d0b", "fff"), "aarch64", "Arm part 0xfff, 4 cores, aarch64"),
     (PI5.replace("0x41", "0x51"), "aarch64", "core 0x51/0xd0b, 4 cores, aarch64"),
     (PI5.replace("0xd0b", "?"), "aarch64", "4 cores, aarch64"), ("", "riscv64", "4 cores, riscv64")],
)  # fmt: skip
def test_the_processor_has_a_name(tmp_path: Path, text: str, machine: str, expected: str) -> None:
    """A 64-bit Pi OS tells the part number and no name; two reports would look alike."""
    (tmp_path / "cpuinfo").write_text(text)
    assert describe_cpu(tmp_path, cores=4, machine=machine) == expected


def test_a_system_that_says_nothing_has_cores_at_least(tmp_path: Path) -> None:
    assert describe_cpu(tmp_path, cores=1, machine="x86_64") == "1 core, x86_64"
    assert "core" in describe_cpu()


def test_versions_are_named() -> None:
    assert f"edge-runtime {__version__}, Python 3." in describe_software()
