"""The child process that a model is tried in first."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from edge_runtime.errors import BackendError, ModelError
from edge_runtime.inference.engine import load_engine
from edge_runtime.inference.isolated_process import COMMAND
from edge_runtime.inference.opening import Order
from edge_runtime.inference.probe import probe, probe_once, trust
from edge_runtime.inference.verdicts import FILE_NAME
from tests.factory.broken import write_broken
from tests.factory.graph import Graph
from tests.factory.models import write_echo
from tests.inference import misbehaving

ENGINE = load_engine()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.tflite"
    path.write_bytes(b"not opened by the children of these tests")
    return path


def order(model: Path, opener: str, device: str = "", cache: Path | None = None) -> Order:
    return Order(model, "cpu", device, "tflite-runtime", 1, cache, f"{misbehaving.__name__}:{opener}")


@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGSEGV, "SIGSEGV"), (signal.SIGABRT, "SIGABRT"), (40, "signal 40")]
)
def test_a_child_that_dies_names_the_signal_and_the_file(model: Path, number: int, name: str) -> None:
    """The engine's crash becomes an error like any other, instead of the end of the service."""
    with pytest.raises(ModelError, match=rf"crashes the engine tflite-runtime \({name}\)") as caught:
        probe(order(model, "open_crashing", str(int(number))))
    assert str(caught.value).startswith(f"{model}: ")
    assert "\n" not in str(caught.value)


def test_a_hang_ends_after_the_timeout_and_so_does_the_child(model: Path) -> None:
    """A damaged file may send the engine into a loop that no signal of Python's gets through to."""
    before = psutil.Process().children()
    with pytest.raises(ModelError, match=r"m\.tflite: opening it took more than 0\.5 s on tflite-runtime"):
        probe(order(model, "open_hanging"), within_s=0.5)
    assert psutil.Process().children() == before


def test_ctrl_c_during_the_probe_leaves_no_child_behind(tmp_path: Path) -> None:
    """The terminal's Ctrl-C does not reach the child, which has a session of its own: we must end it."""
    asking = (
        "import psutil, sys, threading; from pathlib import Path; from edge_runtime.inference.probe import probe;"
        "from tests.inference.test_probe import order\n"
        "def tell():\n"
        "    while not psutil.Process().children(): pass\n"
        "    print(psutil.Process().children()[0].pid, flush=True)\n"
        "threading.Thread(target=tell).start()\n"
        "probe(order(Path('m'), 'open_hanging'))"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", asking],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert parent.stdout is not None
    its_end = os.pidfd_open(int(parent.stdout.readline()))
    parent.send_signal(signal.SIGINT)
    _, said = parent.communicate(timeout=60)
    assert parent.returncode == -signal.SIGINT
    assert b"KeyboardInterrupt" in said
    assert select.select([its_end], [], [], 30)[0]  # it was told to end, and a busy system takes its time
    os.close(its_end)


def test_a_good_model_passes_and_leaves_no_process(model: Path) -> None:
    before = psutil.Process().children()
    probe(Order(write_echo(model), "cpu", engine=ENGINE.name))
    assert psutil.Process().children() == before


def test_a_model_the_engine_refuses_is_refused_with_the_engines_reason(model: Path) -> None:
    """The child's error is passed on as it would have been raised here."""
    write_broken("unknown-custom-op", model)
    with pytest.raises(ModelError, match=r"m\.tflite: .*unresolved custom op: fake-op-double") as caught:
        probe(Order(model, "cpu", engine=ENGINE.name))
    assert "\n" not in str(caught.value)


def test_a_model_that_opens_and_does_not_run_is_refused(tmp_path: Path) -> None:
    """A shape that is only known at run time is only found wrong at run time."""
    graph = Graph()
    source, shape = graph.tensor("image", (2,), "uint8"), graph.tensor("shape", (2,), "int32")
    end = graph.tensor("end", (2, 2), "float32")
    graph.operator("CAST", [source], [shape])
    graph.operator("RESHAPE", [graph.constant("four", [1.0, 1.0, 1.0, 1.0], "float32"), shape], [end])
    graph.set_ends([source], [end])
    with pytest.raises(ModelError, match=r"m\.tflite: opens but does not run \(.*invoke failed on"):
        probe(Order(graph.write(tmp_path / "m.tflite"), "cpu", engine=ENGINE.name))


def test_a_child_that_fails_before_the_model_does_not_blame_the_model(model: Path) -> None:
    """A broken installation must not send people to convert their model again."""
    with pytest.raises(BackendError, match="exit status 1: ImportError: no numpy"):
        probe(Order(model, "cpu"), command=[sys.executable, "-c", "raise ImportError('no numpy')"])


def test_the_child_imports_from_where_we_do_and_not_from_the_folder_it_starts_in(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A numpy.py that lies beside somebody's pictures is not the numpy we run on."""
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    monkeypatch.chdir(tmp_path)
    probe(Order(write_echo(model), "cpu", engine=ENGINE.name))


def counting(runs: Path) -> list[str]:
    """Return a command that leaves a mark for each start, and is the child after that."""
    code = (
        f"open({str(runs)!r}, 'a').write('x'); import os, sys;"
        f"os.execv(sys.executable, {list(COMMAND)!r} + sys.argv[1:])"
    )
    return [sys.executable, "-c", code]


def test_a_model_that_passed_is_not_tried_again_until_it_changes(model: Path, tmp_path: Path) -> None:
    """A probe costs each start a second on a small board."""
    runs, wanted = tmp_path / "runs", order(model, "open_well", cache=tmp_path / "cache")
    for _ in range(2):
        probe_once(wanted, ENGINE, command=counting(runs))
    assert runs.read_text() == "x"
    model.write_bytes(b"another")
    probe_once(wanted, ENGINE, command=counting(runs))
    assert runs.read_text() == "xx"


def test_a_model_that_failed_is_tried_again(model: Path, tmp_path: Path) -> None:
    """Memory was short, the file was still being copied: what failed once is no verdict."""
    runs, cache = tmp_path / "runs", tmp_path / "cache"
    with pytest.raises(ModelError):
        probe_once(order(model, "open_crashing", cache=cache), ENGINE)
    probe_once(order(model, "open_well", cache=cache), ENGINE, command=counting(runs))
    assert runs.read_text() == "x"


def test_without_a_folder_to_remember_in_each_start_probes(model: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for _ in range(2):
        probe_once(order(model, "open_well"), ENGINE, command=counting(runs))
    assert runs.read_text() == "xx"


def test_what_a_child_has_opened_anyway_needs_no_probe(model: Path, tmp_path: Path) -> None:
    """Where the model runs in a child, its first start is the probe; the card is not written at each start."""
    runs, wanted = tmp_path / "runs", order(model, "open_well", cache=tmp_path / "cache")
    trust(wanted, ENGINE)
    written = (tmp_path / "cache" / FILE_NAME).stat().st_mtime_ns
    trust(wanted, ENGINE)
    probe_once(wanted, ENGINE, command=counting(runs))
    assert not runs.exists()
    assert (tmp_path / "cache" / FILE_NAME).stat().st_mtime_ns == written
