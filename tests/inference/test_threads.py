"""The choice of a thread count."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.inference import TensorSpec
from edge_runtime.inference.engine import Engine
from edge_runtime.inference.fake import FakeBackend
from edge_runtime.inference.threads import available_cores, choose_threads, cpu_quota, pick, thread_choices

ENGINE = Engine("litert", "2.3.0", FakeBackend, FakeBackend)
ROOT = Path(__file__).parents[2]
SPEC = TensorSpec("x", (1, 2), np.dtype("uint8"))


@pytest.mark.parametrize(
    ("medians", "chosen"),
    [
        ({1: 100.0, 2: 50.0, 4: 25.0}, 4),
        ({1: 100.0, 2: 95.0}, 1),
        ({1: 100.0, 2: 60.0, 4: 58.0}, 2),
        ({1: 40.0, 2: 43.0}, 1),
        ({1: 100.0, 2: 99.0, 4: 50.0}, 4),
        ({1: 7.0}, 1),
    ],
)
def test_more_threads_must_be_worth_their_cores(medians: dict[int, float], chosen: int) -> None:
    """Capture and outputs need cores too: a gain of two percent is none."""
    assert pick(medians) == chosen


@pytest.mark.parametrize(("cores", "counts"), [(1, [1]), (2, [1, 2]), (4, [1, 2, 4]), (6, [1, 2, 4, 6])])
def test_the_counts_tried_are_powers_of_two_and_all_cores(cores: int, counts: list[int]) -> None:
    assert thread_choices(cores) == counts


def machine(root: Path, group: str, **limits: str) -> Path:
    """Write the files of the kernel for a process in this control group; limits are group -> cpu.max."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "self" / "cgroup").write_text(f"1:cpuset:/x\n0::/{group}\n")
    for name, limit in limits.items():
        folder = root / "sys" / "fs" / "cgroup" / name.replace("__", "/").removeprefix("top")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cpu.max").write_text(limit)
    return root


@pytest.mark.parametrize(
    ("group", "limits", "quota"),
    [
        ("", {"top": "150000 100000\n"}, 1.5),
        ("system/unit", {"system__unit": "400000 100000"}, 4),
        ("system/unit", {"system__unit": "400000 100000", "system": "50000 100000"}, 0.5),
        ("system/unit", {"system__unit": "max 100000", "other": "1000 100000"}, None),
        ("system/unit", {}, None),
        ("system/unit", {"system__unit": "nonsense"}, None),
        ("system/unit", {"system__unit": "1 0"}, None),
    ],
)
def test_the_narrowest_control_group_above_a_process_counts(
    tmp_path: Path, group: str, limits: dict[str, str], quota: float | None
) -> None:
    """A unit's CPUQuota and a container's --cpus are not seen in the number of cores."""
    assert cpu_quota(machine(tmp_path, group, **limits)) == quota


def test_a_machine_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None


def test_cores_are_those_the_process_may_run_on_and_its_time_allows(tmp_path: Path) -> None:
    """More threads than that wait for one another at the end of each period."""
    may_run_on = len(os.sched_getaffinity(0))
    assert available_cores(tmp_path) == may_run_on
    assert available_cores(machine(tmp_path, "unit", unit="50000 100000")) == 1
    (tmp_path / "sys/fs/cgroup/unit/cpu.max").write_text("99900000 100000")
    assert available_cores(tmp_path) == may_run_on


def test_a_process_bound_to_one_core_has_one() -> None:
    """taskset, systemd's CPUAffinity and a cpuset are all seen here."""
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from edge_runtime.inference.threads import available_cores; print(available_cores())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "1\n"


@pytest.mark.skipif(available_cores() == 1, reason="one core: there is no choice to measure")
def test_a_measurement_is_made_once_for_a_model_and_remembered(tmp_path: Path) -> None:
    """The second start pays nothing, and another model is measured anew."""
    model = tmp_path / "m.tflite"
    model.write_bytes(b"one")
    opened: list[int] = []

    def reopen(count: int) -> FakeBackend:
        opened.append(count)
        return FakeBackend([SPEC], [SPEC], lambda inputs: inputs)

    first = choose_threads(model, ENGINE, reopen, tmp_path / "cache")
    assert opened == thread_choices(available_cores())
    assert choose_threads(model, ENGINE, reopen, tmp_path / "cache") == first
    assert len(opened) == len(thread_choices(available_cores()))
    model.write_bytes(b"another")
    choose_threads(model, ENGINE, reopen, tmp_path / "cache")
    assert len(opened) == 2 * len(thread_choices(available_cores()))
