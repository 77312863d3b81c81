"""Delegates at the boundary itself: a small library of our own, loaded by ctypes and by the installed engine."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import BackendError, BackendMissingError, InvokeError, ModelError
from edge_runtime.inference import edgetpu
from edge_runtime.inference.edgetpu import LIBRARY, open_edgetpu
from edge_runtime.inference.edgetpu_devices import USB_IDS
from edge_runtime.inference.isolated import IsolatedBackend
from edge_runtime.inference.isolated_deadline import Deadline
from edge_runtime.inference.opening import Order
from edge_runtime.inference.select import open_backend
from edge_runtime.inference.tflite import open_cpu
from tests.factory.broken import write_broken
from tests.factory.models import write_ssd
from tests.inference.test_edgetpu_devices import plug_in_stick
from tests.inference.test_edgetpu_runtime import package

SOURCE = Path(__file__).with_name("standin.c")


def right_outputs(model: Path) -> bytes:
    """Return what the CPU computes, which is the same for each input of these models."""
    opened = open_cpu(model)
    return b"".join(one.tobytes() for one in opened.invoke([np.zeros(one.shape, one.dtype) for one in opened.inputs]))


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


@pytest.mark.parametrize(("mode", "count"), [("some", 1), ("all", 8)])
def test_the_nodes_that_were_claimed_are_counted(
    model: Path, library: Path, monkeypatch: pytest.MonkeyPatch, mode: str, count: int
) -> None:
    monkeypatch.setenv("STANDIN_MODE", mode)
    info = open_edgetpu(model, device="usb", library=str(library)).describe()
    assert (info.nodes, info.delegated_nodes) == (8, count)


def test_what_the_device_computes_is_what_comes_out(
    model: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CPU's kernels must not run in the place of a delegate that claimed the nodes."""
    outputs = tmp_path / "outputs"
    monkeypatch.setenv("STANDIN_MODE", "all")
    monkeypatch.setenv("STANDIN_OUTPUT", str(outputs))
    opened = open_edgetpu(model, library=str(library))
    count = sum(math.prod(spec.shape) for spec in opened.outputs)
    outputs.write_bytes(np.arange(1, count + 1, dtype=np.float32).tobytes())
    answer = opened.invoke([np.zeros(spec.shape, spec.dtype) for spec in opened.inputs])
    assert sorted(np.concatenate([one.ravel() for one in answer])) == list(range(1, count + 1))


def test_a_failing_invoke_is_an_error_with_the_device_s_reason(
    model: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_MODE", "fail-invoke")
    monkeypatch.setenv("STANDIN_AFTER", "2")
    opened = open_edgetpu(model, library=str(library))
    inputs = [np.zeros(spec.shape, spec.dtype) for spec in opened.inputs]
    opened.invoke(inputs)
    opened.invoke(inputs)
    with pytest.raises(InvokeError, match=r"m\.tflite: invoke failed on .*: the stick has gone"):
        opened.invoke(inputs)


def test_a_model_for_a_newer_runtime_is_told_by_the_library_s_message(
    model: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is sound; to convert it again would change nothing."""
    monkeypatch.setenv("STANDIN_MODE", "newer")
    with pytest.raises(ModelError, match=r"runtime 14, and .* is runtime 13; update libedgetpu, or compile"):
        open_edgetpu(model, library=str(library))


def test_a_model_for_a_newer_runtime_is_found_before_the_device_is_opened(
    model: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = tmp_path / "options"
    monkeypatch.setenv("STANDIN_FILE", str(opened))
    monkeypatch.setenv("STANDIN_VERSION", "BuildLabel(COMPILER=x), RuntimeVersion(11)")
    model.write_bytes(model.read_bytes() + package(12))
    with pytest.raises(ModelError, match=r"runtime 12, and .* is runtime 11; update libedgetpu"):
        open_edgetpu(model, library=str(library))
    assert not opened.exists()


def test_each_of_several_devices_can_be_asked_for(
    model: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = tmp_path / "options"
    monkeypatch.setenv("STANDIN_MODE", "all")
    monkeypatch.setenv("STANDIN_FILE", str(got))
    monkeypatch.setenv("STANDIN_DEVICES", "usb /sys/bus/usb/devices/2-1;usb /sys/bus/usb/devices/2-2;pci /dev/apex_0")
    for device in ("usb:1", "pci:0", ":2"):
        info = open_edgetpu(model, device=device, library=str(library)).describe()
        assert info.delegate == f"{library} {device}"
        assert got.read_text() == f"device={device}\n"
    with pytest.raises(BackendMissingError, match=r"no Edge TPU usb:2 .*2-1; usb .*2-2; pci /dev/apex_0\)"):
        open_edgetpu(model, device="usb:2", library=str(library))


def test_a_stick_in_a_usb_2_port_is_warned_about_with_the_number(
    model: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It works, three times slower, and nothing else would ever say so."""
    monkeypatch.setenv("STANDIN_MODE", "all")
    plug_in_stick(tmp_path, "2-1", USB_IDS[1], speed=480)
    open_edgetpu(model, library=str(library), root=tmp_path)
    assert "edgetpu: usb /sys/bus/usb/devices/2-1 runs at USB 2 (480 Mbit/s, USB 3 is 5000)" in caplog.text
    caplog.clear()
    (tmp_path / "sys/bus/usb/devices/2-1/speed").write_text("5000\n")
    open_edgetpu(model, library=str(library), root=tmp_path)
    assert "USB 2" not in caplog.text


def test_a_refusal_of_a_device_that_is_in_use_names_its_user(
    model: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_MODE", "silent")
    plug_in_stick(tmp_path, "2-1", USB_IDS[1], number=3)
    fds = tmp_path / "proc/99/fd"
    fds.mkdir(parents=True)
    (fds / "7").symlink_to("/dev/bus/usb/002/003")
    (tmp_path / "proc/99/comm").write_text("python3\n")
    with pytest.raises(BackendError, match=r"2-1 is in use by python3 \(process 99\); stop that"):
        open_edgetpu(model, library=str(library), root=tmp_path)


def test_pypi_s_pycoral_is_warned_about_and_not_in_the_way(
    model: Path, library: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STANDIN_MODE", "all")
    monkeypatch.setattr(edgetpu, "pycoral_kind", lambda: "other")
    open_edgetpu(model, library=str(library))
    assert "python -m pip uninstall pycoral" in caplog.text


@pytest.mark.parametrize("is_right", [True, False])
def test_results_that_are_not_those_of_the_cpu_twin_are_warned_about(
    tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_right: bool
) -> None:
    """A warning only: which file is the twin is known from its name alone."""
    twin = write_ssd(tmp_path / "m.tflite")
    compiled = write_broken("edgetpu", tmp_path / "m_edgetpu.tflite")
    outputs = tmp_path / "outputs"
    outputs.write_bytes(right_outputs(twin) if is_right else b"")
    monkeypatch.setenv("STANDIN_MODE", "all")
    monkeypatch.setenv("STANDIN_OUTPUT", str(outputs))
    open_edgetpu(compiled, library=str(library))
    assert ("the results are not those of the CPU" in caplog.text) is not is_right
    assert "m.tflite" in caplog.text or is_right


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


@pytest.fixture
def installed(tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have child processes find the stand-in as libedgetpu, as if it were installed."""
    folder = tmp_path / "lib"
    folder.mkdir()
    shutil.copy(library, folder / LIBRARY)
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{folder}:{os.environ.get('LD_LIBRARY_PATH', '')}")


def child(model: Path, limit_s: float = 30) -> IsolatedBackend:
    return IsolatedBackend(Order(model, "edgetpu", "usb"), deadline=Deadline(limit_s))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("mode", ["crash-open", "crash-invoke"])
def test_a_library_that_crashes_costs_a_child_and_is_called_what_it_is(
    model: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """Google's own build crashes in newer engines: the model is not to blame, and another build helps."""
    monkeypatch.setenv("STANDIN_MODE", mode)
    with pytest.raises(BackendError, match=r"crashes \(SIGSEGV\): libedgetpu was most likely built for another"):
        child(model).open()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("mode", ["hang-open", "hang-invoke"])
def test_a_library_that_hangs_costs_a_child(model: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """It holds the GIL, so that not even a signal handler of Python's would run in its process."""
    monkeypatch.setenv("STANDIN_MODE", mode)
    hanging = child(model)
    with pytest.raises(BackendError, match=r"opening m\.tflite took more than 3 s; the device or its driver hangs"):
        hanging.open(within_s=3)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("mode", ["crash-open", "crash-invoke"])
def test_a_child_tries_it_first_where_it_is_to_run_in_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """Without isolation the crash would be ours, at each start."""
    monkeypatch.setenv("STANDIN_MODE", mode)
    compiled = write_broken("edgetpu", tmp_path / "m_edgetpu.tflite")
    with pytest.raises(BackendError, match=r"crashes \(SIGSEGV\): libedgetpu was most likely built for another"):
        open_backend(compiled, "edgetpu", is_edgetpu=True, isolation="thread", cache=tmp_path / "cache")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("crash-invoke", r"the child died in an invoke \(SIGSEGV"),
        ("hang-invoke", r"an invoke did not end within 0\.5 s"),
        ("fail-invoke", "the stick has gone"),
    ],
)
def test_a_device_lost_between_two_invokes_is_an_error_of_the_invoke(
    model: Path, monkeypatch: pytest.MonkeyPatch, mode: str, said: str
) -> None:
    monkeypatch.setenv("STANDIN_MODE", mode)
    monkeypatch.setenv("STANDIN_AFTER", "1")  # the one that proves the opening
    opened = child(model, limit_s=0.5).open()
    assert opened.describe().delegated_nodes == 8
    with pytest.raises(InvokeError, match=said):
        opened.invoke([np.zeros(spec.shape, spec.dtype) for spec in opened.inputs])
    opened.close()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("mode", ["crash-invoke", "hang-invoke", "fail-invoke"])
def test_the_cpu_twin_serves_when_the_device_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """The whole way, from the request to the first result after the loss."""
    write_ssd(tmp_path / "m.tflite")
    compiled = write_broken("edgetpu", tmp_path / "m_edgetpu.tflite")
    monkeypatch.setenv("STANDIN_MODE", mode)
    monkeypatch.setenv("STANDIN_AFTER", "5")
    opened = open_backend(compiled, "edgetpu:usb", is_edgetpu=True, cache=tmp_path / "cache", invoke_timeout_s=0.5)
    try:
        inputs = [np.zeros(spec.shape, spec.dtype) for spec in opened.inputs]
        from_device, *later = [opened.invoke(inputs) for _ in range(10)]
        assert not any(one.any() for one in from_device)  # zeros are what the stand-in computes
        assert any(one.any() for answer in later for one in answer)  # not the last one: the device may be back by then
    finally:
        opened.close()
