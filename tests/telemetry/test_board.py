"""What the board says of itself, from trees of files as boards have them."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from edge_runtime.telemetry.board import (
    UNKNOWN,
    VCGENCMD,
    BoardFacts,
    BoardProbe,
    ThrottleFlags,
    Throttling,
    decode_throttled,
    run_program,
)

FINE = ThrottleFlags(False, False, False, False)


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


class Vcgencmd:
    """The program, with an answer that a test sets; None is a program that is missing."""

    def __init__(self, answer=None):
        self.answer = answer
        self.calls = 0

    def __call__(self, command):
        assert command == VCGENCMD
        self.calls += 1
        return self.answer


@pytest.fixture
def board(tmp_path):
    """Return a function that writes files below an empty root and makes a probe of it."""

    def make(files=(), *, run=None, clock=None):
        for name, text in dict(files).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return BoardProbe(
            sys_root=tmp_path / "sys", proc_root=tmp_path / "proc", run=run or Vcgencmd(), clock=clock or Clock()
        )

    return make


def zones(**temperatures):
    """Return the files of thermal zones: name, then millidegrees."""
    files = {}
    for number, (name, text) in enumerate(temperatures.items()):
        files[f"sys/class/thermal/thermal_zone{number}/type"] = f"{name}\n"
        files[f"sys/class/thermal/thermal_zone{number}/temp"] = text
    return files


def test_a_machine_that_says_nothing_gives_none_for_everything(board):
    """A container. Nothing may be invented, nothing may raise."""
    assert board().read() == BoardFacts(None, None, None)
    assert board().model() == platform.machine()


def test_a_raspberry_pi_is_read_as_a_whole(board):
    """The files of a Pi 5."""
    files = zones(cpu_thermal="61250\n") | {
        "proc/device-tree/model": b"Raspberry Pi 5 Model B Rev 1.0\0",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000\n",
        "sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq": "2400000\n",
        "sys/class/dmi/id/product_name": "not this\n",
    }
    probe = board(files, run=Vcgencmd("throttled=0x50000\n"))
    assert probe.model() == "Raspberry Pi 5 Model B Rev 1.0"
    assert probe.read() == BoardFacts(61.2, 2_400_000_000, Throttling(FINE, ThrottleFlags(True, False, True, False)))


def test_a_pc_has_the_name_of_its_firmware(board):
    """Where people develop."""
    assert board({"sys/class/dmi/id/product_name": "NUC7i5BNH\n"}).model() == "NUC7i5BNH"


@pytest.mark.parametrize(
    ("files", "celsius"),
    [
        (zones(acpitz="27800", cpu_thermal="50000"), 50.0),
        (zones(gpu_thermal="70000", soc_thermal="51000"), 51.0),
        (zones(acpitz="27800", x86_pkg_temp="44000"), 44.0),
        (zones(**{"gpu-thermal": "70000", "cpu-thermal": "50500"}), 50.5),
        (zones(bigcpu_thermal="52000", soc_thermal="48000"), 48.0),
        (zones(CPU_therm="53000"), 53.0),
        (zones(acpitz="27800"), None),
        (zones(cpu_thermal="-274000"), None),
        (zones(cpu_thermal="not now"), None),
        (zones(cpu_thermal="", soc_thermal="49000"), 49.0),
        (zones(cpu_thermal="-12500"), -12.5),
    ],
)
def test_the_temperature_is_the_processors_or_none(board, files, celsius):
    """The one of a battery or of the air inside would be taken for the chip's."""
    assert board(files).read().temperature_celsius == celsius


def test_a_sensor_that_cannot_be_read_is_passed_over(board):
    """A sleeping sensor answers with an error; a folder in its place does the same to a reader."""
    files = zones(cpu_thermal="1", soc_thermal="49000")
    probe = board({name: text for name, text in files.items() if not name.endswith("zone0/temp")})
    (probe._sys / "class/thermal/thermal_zone0/temp").mkdir()
    assert probe.read().temperature_celsius == 49.0


@pytest.mark.parametrize(
    ("bits", "now", "since_boot"),
    [
        (0x0, FINE, FINE),
        (0x1, ThrottleFlags(True, False, False, False), FINE),
        (0x2, ThrottleFlags(False, True, False, False), FINE),
        (0x4, ThrottleFlags(False, False, True, False), FINE),
        (0x8, ThrottleFlags(False, False, False, True), FINE),
        (0x10000, FINE, ThrottleFlags(True, False, False, False)),
        (0x20000, FINE, ThrottleFlags(False, True, False, False)),
        (0x40000, FINE, ThrottleFlags(False, False, True, False)),
        (0x80000, FINE, ThrottleFlags(False, False, False, True)),
        (0xE0008, ThrottleFlags(False, False, False, True), ThrottleFlags(False, True, True, True)),
    ],
)
def test_every_bit_of_the_firmwares_word_is_decoded(bits, now, since_boot):
    """A mix-up of two of them sends people to buy a power supply for a missing fan."""
    assert decode_throttled(bits) == Throttling(now, since_boot)


def test_flags_that_are_up_have_names():
    """What the log shows; unknown is not up."""
    assert ThrottleFlags(True, None, True, False).names() == ("under_voltage", "throttled")


def test_vcgencmd_is_asked_at_most_every_five_seconds(board):
    """It starts a process; a reporting period of 0.1 s must not start ten a second."""
    clock, program = Clock(), Vcgencmd("throttled=0x4\n")
    probe = board(run=program, clock=clock)
    for tenth in range(50):
        clock.now = tenth * 100_000_000
        assert probe.read().throttling.now.throttled
    assert program.calls == 1
    clock.now = 5_000_000_000
    program.answer = "throttled=0x0\n"
    assert not probe.read().throttling.now.throttled
    assert program.calls == 2


@pytest.mark.parametrize(
    "answer", [None, "", "VCHI initialization failed\n", 'error=1 error_msg="Command not registered"']
)
def test_a_program_that_fails_leaves_the_word_to_sysfs_and_is_tried_again_later(board, answer):
    """Under a service's sandbox it may not open its device; it must not be started every period for nothing."""
    clock, program = Clock(), Vcgencmd(answer)
    probe = board({"sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n"}, run=program, clock=clock)
    expected = Throttling(ThrottleFlags(True, False, True, False), ThrottleFlags(True, False, True, False))
    for second in range(0, 60, 5):
        clock.now = second * 1_000_000_000
        assert probe.read().throttling == expected
    assert program.calls == 1
    clock.now = 60_000_000_000
    program.answer = "throttled=0x0"
    assert probe.read().throttling == Throttling(FINE, FINE)


def test_the_voltage_sensor_alone_tells_of_voltage_alone(board):
    """Newer kernels have only that; the other flags are unknown, not fine."""
    files = {
        "sys/class/hwmon/hwmon0/name": "cpu_thermal\n",
        "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
        "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n",
    }
    assert board(files).read().throttling == Throttling(ThrottleFlags(True, None, None, None), UNKNOWN)


def test_a_word_that_is_no_number_is_no_word(board):
    """A file that answers nonsense is as good as none."""
    assert board({"sys/devices/platform/soc/soc:firmware/get_throttled": "zz\n"}).read().throttling is None


def test_a_real_program_is_run_and_its_failures_are_none(monkeypatch):
    """Missing, failing and hanging programs all exist on boards in the field."""
    assert run_program([sys.executable, "-c", "print('throttled=0x0')"]) == "throttled=0x0\n"
    assert run_program(["edge-runtime-no-such-program"]) is None
    assert run_program([sys.executable, "-c", "raise SystemExit(1)"]) is None
    assert run_program([sys.executable, "-c", "import sys; sys.stdout.buffer.write(b'\\xff')"]) is None

    def hang(command, **options):
        assert options["timeout"] == 2.0
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    assert run_program(["vcgencmd"]) is None


def test_this_very_machine_is_read_without_a_failure():
    """Whatever it is; every value is either absent or possible."""
    facts = BoardProbe().read()
    assert facts.temperature_celsius is None or -55 <= facts.temperature_celsius <= 150
    assert facts.frequency_hz is None or facts.frequency_hz > 10_000_000
    assert BoardProbe().model()
