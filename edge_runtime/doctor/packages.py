"""The packages: whether each one loads, and whether they fit one another."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from edge_runtime.config import Config
from edge_runtime.doctor.finding import Finding, error, ok, skipped, warning
from edge_runtime.doctor.machine import Interpreter, Machine, Settings
from edge_runtime.doctor.trials import DIED, DONE, FAILED, Trial

IMPORTED = {"numpy": "numpy", "cv2": "opencv-python-headless", "psutil": "psutil", "imutils": "imutils"}
"""Module that every run imports -> package that brings it."""
OPENCV_BUILDS = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
"""Builds of OpenCV that all write into the folder cv2."""
NOT_CORALS = "0."
"""How the releases of another project begin that PyPI calls pycoral; Coral's own begin with 1 or 2."""


def check_packages(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """Yield what there is to say of the packages this program imports."""
    pip = pip_of(machine.interpreter)
    trials = machine.trials()
    for module, package in imported(settings.config).items():
        yield check_import(module, package, trials.get(f"import {module}"), machine.packages, pip)
    yield from check_opencv_builds(machine.packages, pip)
    yield from check_numpy(machine.packages, pip)
    yield from check_pycoral(machine.packages, pip)


def imported(config: Config) -> dict[str, str]:
    """Return module -> package of what a run with these settings imports."""
    backend = config.backend.partition(":")[0]
    is_onnx = backend == "onnx" or (config.model is not None and config.model.suffix == ".onnx")
    extra = {"onnxruntime": "edge-runtime[onnx]"} if is_onnx else {}
    return {**IMPORTED, **extra, **({"tritonclient": "edge-runtime[remote]"} if backend == "remote" else {})}


def pip_of(one: Interpreter) -> str:
    """Return what starts the pip that belongs to this Python."""
    return f"{shlex.quote(one.executable)} -m pip"


def check_import(module: str, package: str, trial: Trial | None, packages: Mapping[str, str], pip: str) -> Finding:
    """Return whether a module loads in a child process."""
    if trial is not None and trial.state == DONE:
        version, file = trial.facts["version"], trial.facts["file"]
        build = ""
        if "has_windows" in trial.facts:
            build = ", with windows" if trial.facts["has_windows"] else ", without windows (headless)"
        return ok(module, f"{version}{build}", facts={"version": version, "file": file})
    if trial is None or trial.state not in (FAILED, DIED):
        return skipped(module, f"not tried: {trial.said if trial else 'the child process did not come to it'}")
    what = f"ends the process with {trial.said}" if trial.state == DIED else f"cannot be imported ({trial.said})"
    if module == "cv2":
        others = " ".join(one for one in OPENCV_BUILDS if one in packages and one != package)
        first = f"{pip} uninstall -y {others} && " if others else ""
        advice = "the build of OpenCV without windows needs no libraries of a desktop" if ".so" in trial.said else ""
        return error(module, what, advice, f"{first}{pip} install --force-reinstall --no-deps {package}")
    return error(module, what, "", f"{pip} install --force-reinstall {shlex.quote(package)}")


def check_opencv_builds(packages: Mapping[str, str], pip: str) -> Iterator[Finding]:
    """Yield a warning where two builds of OpenCV lie in one folder: what runs is a mixture of both."""
    found = [f"{name} {packages[name]}" for name in OPENCV_BUILDS if name in packages]
    if len(found) > 1:
        names = " ".join(name for name in OPENCV_BUILDS if name in packages)
        yield warning(
            "two OpenCVs",
            f"{' and '.join(found)} share the folder cv2; the one installed last has overwritten parts of the other",
            "keep one: the headless build, or opencv-python for windows on a desktop",
            f"{pip} uninstall -y {names} && {pip} install opencv-python-headless",
        )


def check_numpy(packages: Mapping[str, str], pip: str) -> Iterator[Finding]:
    """Yield what is wrong where tflite-runtime meets numpy 2: it imports, and dies in its first interpreter."""
    numpy = packages.get("numpy", "")
    if "tflite-runtime" not in packages or not numpy or int(numpy.split(".")[0]) < 2:
        return
    said = f"tflite-runtime {packages['tflite-runtime']} crashes with numpy {numpy}; it needs numpy 1.26"
    if "ai-edge-litert" in packages:
        yield warning("numpy and tflite-runtime", f"{said}. ai-edge-litert is there too, and is what runs",
                      "remove the engine that cannot run", f"{pip} uninstall -y tflite-runtime")  # fmt: skip
    else:
        yield error("numpy and tflite-runtime", said, "", f"{pip} install 'numpy<2' 'opencv-python-headless<4.12'")


def check_pycoral(packages: Mapping[str, str], pip: str) -> Iterator[Finding]:
    """Yield a warning for PyPI's pycoral, which has nothing to do with Coral's Edge TPU."""
    found = packages.get("pycoral", "")
    if found.startswith(NOT_CORALS):
        yield warning(
            "pycoral",
            f"pycoral {found} from PyPI is the tool of another project, not Google's library for the Edge TPU",
            "edge-runtime needs no pycoral: it talks to libedgetpu itself",
            f"{pip} uninstall -y pycoral",
        )
