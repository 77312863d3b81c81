"""Python, packages and engine: what fits and what does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from edge_runtime.config import Config
from edge_runtime.doctor.engine import check_engine, check_trial
from edge_runtime.doctor.machine import Machine, Settings, installed_packages
from edge_runtime.doctor.packages import check_packages, imported
from edge_runtime.doctor.python import check_python
from edge_runtime.doctor.trials import DIED, DONE, FAILED, HUNG, UNTRIED, Trial
from tests.doctor.conftest import PYTHON, by_name, only

MakeMachine = Callable[..., Machine]
PIP = "/opt/edge/bin/python -m pip"
AGAIN = f"{PIP} install --force-reinstall ai-edge-litert"
SETTINGS = Settings(Config())
LOADED = Trial(DONE, facts={"version": "2.4.6", "file": "/x"})


@pytest.mark.parametrize(
    ("changes", "statuses"),
    [
        ({}, {"version": "ok"}),
        ({"version": (3, 10, 12)}, {"version": "error"}),
        ({"version": (3, 13, 5), "bits": 32, "machine": "armv7l"}, {"version": "ok", "32-bit": "error"}),
        ({"version": (3, 11, 2), "bits": 32, "machine": "armv7l"}, {"version": "ok", "32-bit": "ok"}),
        ({"version": (3, 11, 2), "bits": 32, "machine": "aarch64"}, {"version": "ok", "32-bit": "warning"}),
        ({"is_venv": False}, {"version": "ok"}),
    ],
)
def test_python_is_judged_by_version_and_width(
    make_machine: MakeMachine, changes: dict[str, object], statuses: dict[str, str]
) -> None:
    """32-bit Trixie installs everything but an engine, and says so nowhere."""
    found = by_name(check_python(make_machine(interpreter=replace(PYTHON, **changes)), SETTINGS))  # type: ignore[arg-type]
    assert {name: one.status for name, one in found.items()} == statuses


def packages_of(machine: Machine) -> Mapping[str, tuple[str, str]]:
    return {name: (one.status, one.command) for name, one in by_name(check_packages(machine, SETTINGS)).items()}


def trials_with(**changes: Trial) -> Callable[[], dict[str, Trial]]:
    return lambda: (
        {f"import {name}": LOADED for name in imported(Config())}
        | {f"import {name}": trial for name, trial in changes.items()}
    )


def test_packages_that_load_are_in_order(make_machine: MakeMachine) -> None:
    found = packages_of(make_machine(trials=trials_with()))
    assert set(found.values()) == {("ok", "")}
    assert list(found) == ["numpy", "cv2", "psutil", "imutils"]


def test_the_opencv_that_wants_a_desktop_is_swapped_by_one_command(make_machine: MakeMachine) -> None:
    """libGL is missing on every headless board; installing it brings forty packages."""
    missing = Trial(FAILED, "libGL.so.1: cannot open shared object file: No such file or directory", "ImportError")
    machine = make_machine(trials=trials_with(cv2=missing), packages={"opencv-python": "4.12.0"})
    assert packages_of(machine)["cv2"] == (
        "error",
        f"{PIP} uninstall -y opencv-python && {PIP} install --force-reinstall --no-deps opencv-python-headless",
    )


def test_a_package_that_kills_the_process_is_named(make_machine: MakeMachine) -> None:
    found = by_name(check_packages(make_machine(trials=trials_with(numpy=Trial(DIED, "SIGILL"))), SETTINGS))["numpy"]
    assert (found.status, found.said) == ("error", "ends the process with SIGILL")
    assert found.command == f"{PIP} install --force-reinstall numpy"


def test_what_was_not_tried_is_no_fault(make_machine: MakeMachine) -> None:
    """A slow board must not be told that its numpy is broken."""
    machine = make_machine(trials=trials_with(numpy=Trial(UNTRIED, "no time"), cv2=Trial(HUNG, "busy")))
    found = packages_of(machine)
    assert (found["numpy"][0], found["cv2"][0]) == ("skipped", "skipped")
    assert {one.status for one in check_packages(make_machine(), SETTINGS)} == {"skipped"}


@pytest.mark.parametrize(
    ("packages", "name", "status", "command"),
    [
        ({"opencv-python": "4.12", "opencv-python-headless": "5.0"}, "two OpenCVs", "warning",
         f"{PIP} uninstall -y opencv-python opencv-python-headless && {PIP} install opencv-python-headless"),
        ({"tflite-runtime": "2.14.0", "numpy": "2.4.6"}, "numpy and tflite-runtime", "error",
         f"{PIP} install 'numpy<2' 'opencv-python-headless<4.12'"),
        ({"tflite-runtime": "2.14.0", "numpy": "2.4.6", "ai-edge-litert": "2.3.0"}, "numpy and tflite-runtime",
         "warning", f"{PIP} uninstall -y tflite-runtime"),
        ({"pycoral": "0.2.0"}, "pycoral", "warning", f"{PIP} uninstall -y pycoral"),
    ],
)  # fmt: skip
def test_packages_that_do_not_fit_one_another(
    make_machine: MakeMachine, packages: dict[str, str], name: str, status: str, command: str
) -> None:
    """Each of these installs without a word and fails later, elsewhere."""
    assert packages_of(make_machine(trials=trials_with(), packages=packages))[name] == (status, command)


@pytest.mark.parametrize("packages", [{"pycoral": "2.0.3"}, {"tflite-runtime": "2.14.0", "numpy": "1.26.4"},
                                      {"opencv-python": "4.12"}])  # fmt: skip
def test_packages_that_fit_are_not_spoken_of(make_machine: MakeMachine, packages: dict[str, str]) -> None:
    assert set(packages_of(make_machine(trials=trials_with(), packages=packages))) == set(imported(Config()))


def test_a_backend_of_its_own_package_is_looked_at() -> None:
    """And only then: nobody else has it."""
    assert "onnxruntime" in imported(Config(model=Path("yolox.onnx")))
    assert "onnxruntime" in imported(Config(backend="auto", model=Path("m.onnx")))
    assert list(imported(Config())) == ["numpy", "cv2", "psutil", "imutils"]


def test_installed_packages_are_read_from_what_pip_leaves(tmp_path: Path) -> None:
    """Names come in many spellings; the first copy on the path is the one that runs."""
    for place, version in (("one", "2.3.0"), ("two", "1.0")):
        folder = tmp_path / place / "Ai_Edge.LiteRT.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: Ai_Edge.LiteRT\nVersion: {version}\n")
    assert installed_packages([str(tmp_path / "one"), str(tmp_path / "two")]) == {"ai-edge-litert": "2.3.0"}


def test_both_engines_are_told_and_which_one_runs(make_machine: MakeMachine) -> None:
    packages = {"ai-edge-litert": "2.3.0", "tflite-runtime": "2.14.0"}
    ran = Trial(DONE, facts={"text": "cpu on litert 2.3.0"})
    machine = make_machine(packages=packages, trials=lambda: {"engine litert": ran})
    found = by_name(check_engine(machine, SETTINGS))
    assert found["engine"].said == (
        "litert 2.3.0 is used, the preferred one; tflite-runtime 2.14.0 is there too (--engine chooses)"
    )
    assert found["engine runs"].said == "the bundled model: cpu on litert 2.3.0"
    chosen = by_name(check_engine(machine, Settings(Config(engine="tflite-runtime"))))
    assert chosen["engine"].said.startswith("tflite-runtime 2.14.0 is used, as the settings say")
    assert chosen["engine runs"].status == "skipped"


@pytest.mark.parametrize(
    ("packages", "engine", "interpreter", "command"),
    [
        ({}, "auto", {}, f"{PIP} install ai-edge-litert"),
        ({"tflite-runtime": "2.14.0"}, "litert", {}, f"{PIP} install ai-edge-litert"),
        ({}, "auto", {"bits": 32, "version": (3, 11, 2)}, f"{PIP} install tflite-runtime==2.14.0 'numpy<2'"),
        ({}, "auto", {"bits": 32}, ""),
    ],
)
def test_a_missing_engine_names_the_one_for_this_machine(
    make_machine: MakeMachine, packages: dict[str, str], engine: str, interpreter: dict[str, object], command: str
) -> None:
    machine = make_machine(packages=packages, interpreter=replace(PYTHON, **interpreter))  # type: ignore[arg-type]
    found = only(check_engine(machine, Settings(Config(engine=engine))))
    assert (found.status, found.command) == ("error", command)


def test_an_old_c_library_is_the_reason_why_pip_finds_no_engine(make_machine: MakeMachine) -> None:
    """pip says "no matching distribution", which nobody can act on."""
    found = by_name(check_engine(make_machine(interpreter=replace(PYTHON, glibc=(2, 31))), SETTINGS))
    assert (found["glibc"].status, found["engine"].status) == ("error", "error")
    assert "2.31 is older than 2.34" in found["glibc"].said


@pytest.mark.parametrize(
    ("trial", "status", "phrase", "command"),
    [
        (None, "skipped", "not tried", ""),
        (Trial(UNTRIED, "no time"), "skipped", "no time", ""),
        (Trial(HUNG, "no answer within 7 s"), "warning", "no answer within 7 s", "edge-runtime doctor --max-secs 60"),
        (Trial(DIED, "SIGILL"), "error", "does not fit this processor", AGAIN),
        (Trial(DIED, "SIGSEGV"), "error", "SIGSEGV", AGAIN),
        (Trial(FAILED, "no numpy", "ImportError"), "error", "no numpy", AGAIN),
        (Trial(FAILED, "run: x", "BackendMissingError"), "error", "run: x", ""),
    ],
)  # fmt: skip
def test_an_engine_is_believed_when_it_has_run(trial: Trial | None, status: str, phrase: str, command: str) -> None:
    """tflite-runtime under numpy 2 imports well, and dies in its first interpreter."""
    found = check_trial("litert", trial, PIP)
    assert (found.status, phrase in found.said, found.command) == (status, True, command)


def test_onnx_models_need_no_tflite_engine(make_machine: MakeMachine) -> None:
    assert only(check_engine(make_machine(), Settings(Config(model=Path("m.onnx"))))).status == "skipped"
