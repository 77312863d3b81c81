"""Delegates at the boundary itself: a small library of our own, loaded by ctypes and by the installed engine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.errors import BackendError, BackendMissingError, ModelError
from edge_runtime.inference.edgetpu import open_edgetpu
from edge_runtime.inference.gpu import open_gpu
from tests.factory.broken import write_broken
from tests.factory.models import write_ssd

SOURCE = Path(__file__).with_name("standin.c")


def compile_to(path: Path, *options: str) -> Path:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed")
    subprocess.run([compiler, "-shared", "-fPIC", *options, "-o", str(path), str(SOURCE)], check=True)
    return path


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_to(tmp_path_factory.mktemp("standin") / "libstandin.so")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_ssd(tmp_path / "m.tflite")


@pytest.mark.parametrize(("device", "options"), [("usb:0", "device=usb:0\n"), ("usb", "device=usb\n"), ("", "")])
def test_the_device_reaches_the_library_and_its_reason_reaches_the_user(
    model: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, options: str
) -> None:
    """The engine puts a line of its own before the reason, and a reason that is lost costs somebody an evening."""
    got = tmp_path / "options"
    monkeypatch.setenv("STANDIN_MODE", "refuse")
    monkeypatch.setenv("STANDIN_FILE", str(got))
    with pytest.raises(BackendError) as caught:
        open_edgetpu(model, device=device, library=str(library))
    given = options.strip() or "no options"
    assert str(caught.value) == f"delegate {library}: refused to start with {given}: the stick is asleep"
    assert got.read_text() == options


def test_a_refusal_without_a_reason_gets_a_likely_one(
    model: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libedgetpu says nothing where the stick is in use elsewhere."""
    monkeypatch.setenv("STANDIN_MODE", "silent")
    with pytest.raises(BackendError, match=r"it gave no reason; the device may be in use by another program$"):
        open_edgetpu(model, library=str(library))


@pytest.mark.parametrize("device", ["pci", "usb:1"])
def test_the_devices_that_are_there_are_listed_where_the_one_asked_for_is_not(
    model: Path, library: Path, device: str
) -> None:
    with pytest.raises(BackendMissingError, match=rf"no Edge TPU {device} .*found: usb /sys/bus/usb/devices/2-1"):
        open_edgetpu(model, device=device, library=str(library))


def test_what_xnnpack_takes_is_not_said_to_run_on_the_delegate(
    model: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine adds XNNPACK to every delegate; its share on the bill would hide that the stick does nothing."""
    monkeypatch.setenv("STANDIN_MODE", "idle")
    info = open_edgetpu(model, device="usb", library=str(library)).describe()
    assert (info.backend, info.delegate) == ("edgetpu", f"{library} usb")
    assert (info.nodes, info.delegated_nodes) == (8, 0)


def test_a_gpu_that_takes_nothing_is_an_error_and_no_run_on_the_cpu(
    model: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_MODE", "idle")
    with pytest.raises(BackendError, match=r"took none of the operators of m\.tflite; use --backend cpu"):
        open_gpu(model, device=str(library))


def test_an_edge_tpu_model_its_delegate_leaves_alone_says_what_to_do(
    tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not be sent to --backend edgetpu, where it is already."""
    monkeypatch.setenv("STANDIN_MODE", "idle")
    with pytest.raises(ModelError, match="its delegate does not take it; compile it with"):
        open_edgetpu(write_broken("edgetpu", tmp_path / "m.tflite"), library=str(library))


def test_a_library_that_is_not_libedgetpu_is_named_so(model: Path, tmp_path: Path) -> None:
    other = compile_to(tmp_path / "libother.so", "-Dedgetpu_list_devices=something_else")
    with pytest.raises(BackendMissingError, match="it is not libedgetpu; install the Edge TPU runtime"):
        open_edgetpu(model, library=str(other))


TRIES = """
import sys
from pathlib import Path
from edge_runtime.errors import BackendError
from edge_runtime.inference.edgetpu import open_edgetpu
for library in sys.argv[2:]:
    try:
        open_edgetpu(Path(sys.argv[1]), library=library)
    except BackendError as exc:
        print(exc)
"""


@pytest.mark.parametrize("mode", ["refuse", "silent"])
def test_no_way_to_fail_leaves_a_traceback_on_stderr(
    model: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """The engine's half-made delegate prints one when Python takes it away, after our error has been shown."""
    monkeypatch.setenv("STANDIN_MODE", mode)
    (tmp_path / "text.so").write_text("not ELF")
    half = compile_to(tmp_path / "libhalf.so", "-Dtflite_plugin_destroy_delegate=something_else")
    libraries = [str(library), "libabsent.so.1", str(tmp_path / "text.so"), "libm.so.6", str(half)]
    done = subprocess.run(
        [sys.executable, "-c", TRIES, str(model), *libraries],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == len(libraries)
    assert "refused to start" in lines[0]
    assert ["does not load" in line for line in lines] == [False, True, True, False, False]
    assert ["is a library but no TFLite delegate" in line for line in lines] == [False, False, False, True, True]
