"""Python itself: its version, its width, and whether an engine exists for the two."""

from __future__ import annotations

from collections.abc import Iterator

from edge_runtime.doctor.finding import Finding, error, ok, warning
from edge_runtime.doctor.machine import Interpreter, Machine, Settings

OLDEST = (3, 11)
OLDER_ENGINE_ENDS = (3, 12)
"""tflite-runtime 2.14, the only engine for 32-bit ARM, has no build for this Python or a later one."""


def check_python(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """Yield what there is to say of the Python that runs this."""
    del settings
    one = machine.interpreter
    yield check_version(one)
    if one.bits == 32:
        yield check_32_bit(one)


def check_version(one: Interpreter) -> Finding:
    """Return whether this Python is new enough, and where it lives."""
    place = f"in the virtual environment {one.prefix}" if one.is_venv else f"of the system, {one.executable}"
    said = f"Python {'.'.join(map(str, one.version))}, {one.bits}-bit, {place}"
    if one.version < OLDEST:
        least = ".".join(map(str, OLDEST))
        return error("version", said, f"{least} is the oldest that works; take a newer Python or system",
                     "sudo apt install python3", facts={"version": list(one.version), "bits": one.bits})  # fmt: skip
    return ok("version", said, facts={"version": list(one.version), "bits": one.bits})


def check_32_bit(one: Interpreter) -> Finding:
    """Return whether a 32-bit Python has an engine: ai-edge-litert has none, tflite-runtime ends at Python 3.11."""
    if one.version[:2] >= OLDER_ENGINE_ENDS:
        return error(
            "32-bit",
            f"no TFLite engine was ever built for 32-bit Python {one.version[0]}.{one.version[1]}, which 32-bit "
            "Raspberry Pi OS Trixie brings",
            "write the 64-bit Raspberry Pi OS to the card; a board before the Pi 3 stays on 32-bit Bookworm",
        )
    if one.machine == "aarch64":
        return warning(
            "32-bit",
            "a 32-bit system on a 64-bit kernel: only tflite-runtime 2.14 runs here, several times slower on quantised "
            "models than ai-edge-litert",
            "write the 64-bit Raspberry Pi OS to the card",
        )
    return ok("32-bit", "tflite-runtime 2.14 is the engine here; ai-edge-litert has no 32-bit build")
