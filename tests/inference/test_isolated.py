"""A backend in a child process: everything that may happen there, and nothing of it here."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.testing import assert_array_equal

from edge_runtime.errors import BackendError, BackendMissingError, InvokeError, ModelError
from edge_runtime.inference import BACKENDS
from edge_runtime.inference.engine import load_engine
from edge_runtime.inference.isolated import PROVEN_ANSWERS, IsolatedBackend
from edge_runtime.inference.isolated_deadline import Deadline
from edge_runtime.inference.opening import Order, open_here
from tests.factory.models import write_ssd
from tests.inference import misbehaving
from tests.inference.misbehaving import BABBLE, CRASH, DEFECT, ECHO, FAIL, HANG, LEAVE, LIE, RESHAPE, SPEC

ROOT = Path(__file__).parents[2]
MODEL = Path("m.tflite")


def order(opener: str = "open_well", backend: str = "cpu", device: str = "") -> Order:
    return Order(MODEL, backend, device, opener=f"{misbehaving.__name__}:{opener}")


def asking_for(what: int) -> list[Any]:
    return [np.array([[what, 20, 30, 255]], np.uint8)]


@pytest.fixture
def opening() -> Iterator[Callable[..., IsolatedBackend]]:
    """Return a function that opens a misbehaving backend in a child; each is closed after the test."""
    opened: list[IsolatedBackend] = []

    def open_isolated(opener: str = "open_well", *, device: str = "", limit_s: float | None = 20) -> IsolatedBackend:
        opened.append(IsolatedBackend(order(opener, device=device), deadline=Deadline(limit_s)))
        return opened[-1].open()

    yield open_isolated
    for one in opened:
        one.close()


def open_fds() -> set[str]:
    """Return every open file descriptor but that of the folder they are listed from."""
    return {fd.name for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()}


def has_ended(pid: int) -> bool:
    """Wait until a process that was told to end has ended."""
    try:
        its_end = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([its_end], [], [], 30)[0])
    finally:
        os.close(its_end)


def test_what_the_child_has_is_what_we_see(opening: Callable[..., IsolatedBackend]) -> None:
    """Decoding relies on names, shapes, types and scales to the last bit."""
    backend = opening(device="usb:0")
    assert backend.inputs == backend.outputs == (SPEC,)
    info = backend.describe()
    assert (info.delegate, info.nodes, info.delegated_nodes, info.is_isolated) == ("of usb:0", 2, 1, True)
    assert str(info).endswith(", in a child process")


def test_answers_are_copies_of_our_own(opening: Callable[..., IsolatedBackend]) -> None:
    """The results thread decodes one answer while the next invoke runs."""
    backend = opening()
    first = backend.invoke(asking_for(ECHO))
    second = backend.invoke([np.array([[0, 1, 2, 3]], np.uint8)])
    assert_array_equal(first[0], [[0, 20, 30, 255]])
    assert_array_equal(second[0], [[0, 1, 2, 3]])
    assert first[0].flags.owndata
    assert first[0].flags.writeable


def test_a_real_model_answers_in_the_child_as_it_does_here(tmp_path: Path) -> None:
    """To the bit: it is the same engine on the same board."""
    model = write_ssd(tmp_path / "m.tflite")
    here, there = open_here(Order(model, "cpu")), IsolatedBackend(Order(model, "cpu")).open()
    picture = np.random.default_rng(0).integers(0, 255, here.inputs[0].shape, np.uint8)
    for one, other in zip(here.invoke([picture]), there.invoke([picture]), strict=True):
        assert_array_equal(one, other)
        assert one.dtype == other.dtype
    assert (here.inputs, here.outputs) == (there.inputs, there.outputs)
    there.close()


def test_the_engine_is_not_loaded_here(tmp_path: Path) -> None:
    """It would take the memory twice, and the parent is what must not crash."""
    write_ssd(tmp_path / "m.tflite")
    code = (
        "import sys, pathlib; from edge_runtime.inference.select import open_backend;"
        f"folder = pathlib.Path({str(tmp_path)!r});"
        "open_backend(folder / 'm.tflite', 'cpu', isolation='process', cache=folder).close();"
        "print(*(m for m in ('ai_edge_litert', 'tflite_runtime') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == ""


def test_outputs_of_another_shape_than_declared_come_all_the_same(opening: Callable[..., IsolatedBackend]) -> None:
    """A model with NMS inside may find as many things as it likes."""
    backend = opening()
    assert_array_equal(backend.invoke(asking_for(RESHAPE))[0], np.arange(10, dtype=np.uint8).reshape(5, 2))
    assert_array_equal(backend.invoke(asking_for(ECHO))[0], asking_for(ECHO)[0])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (CRASH, r"died in an invoke \(SIGSEGV: free\(\): invalid pointer\)"),
        (LEAVE, r"died in an invoke \(exit status 3: out of patience\)"),
        (FAIL, "m.tflite: invoke failed on fake: no"),
        (DEFECT, "KeyError: 'nobody thought of it'"),
        (LIE, "answers nonsense .*outputs float32, declared are uint8"),
        (BABBLE, "answers nonsense"),
    ],
)
def test_whatever_happens_in_the_child_is_an_error_of_one_line_here(
    opening: Callable[..., IsolatedBackend], asked: int, said: str
) -> None:
    """The service goes on; and what the library last said is what tells why."""
    backend = opening()
    with pytest.raises(InvokeError, match=said) as caught:
        backend.invoke(asking_for(asked))
    assert "\n" not in str(caught.value)
    assert has_ended(backend.pid)


def test_a_hang_that_holds_the_gil_ends_at_the_deadline(opening: Callable[..., IsolatedBackend]) -> None:
    """A hung delegate listens to nothing: only the kernel ends it."""
    backend = opening(limit_s=0.2)
    with pytest.raises(InvokeError, match=r"cpu: m\.tflite: an invoke did not end within 0\.2 s"):
        backend.invoke(asking_for(HANG))
    assert has_ended(backend.pid)


@pytest.mark.parametrize(("answers", "limit_s"), [(0, 0.4), (PROVEN_ANSWERS, 0.2)])
def test_a_limit_that_was_never_kept_is_relaxed_and_one_that_was_stays(answers: int, limit_s: float) -> None:
    """A limit too short for real frames heals; a device that hangs now and then is found out as fast each time."""
    deadline = Deadline(shortest_s=0.2)
    deadline.learn([0.01])
    backend = IsolatedBackend(order(), deadline=deadline).open()
    for _ in range(answers):
        backend.invoke(asking_for(ECHO))
    with pytest.raises(InvokeError, match=r"did not end within 0\.2 s"):
        backend.invoke(asking_for(HANG))
    backend.close()
    assert deadline.limit_s == pytest.approx(limit_s)


def test_killed_from_outside_it_is_told_at_the_next_invoke(opening: Callable[..., IsolatedBackend]) -> None:
    """As the kernel does where memory runs out."""
    backend = opening()
    os.kill(backend.pid, signal.SIGKILL)
    with pytest.raises(InvokeError, match=r"died in an invoke \(SIGKILL\)"):
        backend.invoke(asking_for(ECHO))


def test_wrong_inputs_are_refused_and_cost_no_child(opening: Callable[..., IsolatedBackend]) -> None:
    """They are a mistake of ours and no failure of the device."""
    backend = opening()
    for wrong in ([], [np.zeros((1, 5), np.uint8)], [np.zeros((1, 4), np.float32)]):
        with pytest.raises(InvokeError, match=r"m\.tflite: (got 0 inputs|x wants uint8 \(1, 4\), got)"):
            backend.invoke(wrong)
    assert_array_equal(backend.invoke(asking_for(ECHO))[0], asking_for(ECHO)[0])


def test_what_the_child_writes_reaches_no_terminal(tmp_path: Path) -> None:
    """Native libraries chatter; one line of it may be a secret of the address it was given."""
    code = (
        "import numpy as np; from edge_runtime.errors import InvokeError;"
        "from tests.inference.test_isolated import *; backend = IsolatedBackend(order()).open()\n"
        "try: backend.invoke(asking_for(CRASH))\nexcept InvokeError: pass"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("", "")


def test_an_error_of_opening_is_of_the_class_it_has_there() -> None:
    """Its exit code tells systemd whether to try again, and its line what to do."""
    with pytest.raises(BackendMissingError, match="backend usb:7: no such device; plug one in"):
        IsolatedBackend(order("open_refusing", device="usb:7")).open()


def test_a_missing_package_is_named_as_here() -> None:
    """The command line knows what to tell pip."""
    with pytest.raises(ImportError) as caught:
        IsolatedBackend(order("open_unimportable")).open()
    assert caught.value.name == "tritonclient_is_not_here"


@pytest.mark.parametrize(
    ("backend", "kind", "said"),
    [
        ("cpu", ModelError, r"crashes the engine auto \(SIGSEGV\); the file is damaged"),
        ("edgetpu", BackendError, r"crashes \(SIGSEGV\): libedgetpu was most likely built for another TensorFlow"),
        ("gpu", BackendError, r"crashes \(SIGSEGV\): its library or the driver"),
    ],
)
def test_a_crash_on_opening_names_what_it_is_likely_to_be(backend: str, kind: type[Exception], said: str) -> None:
    """Of a plain model the file is to blame, of an accelerator its library."""
    with pytest.raises(kind, match=said):
        IsolatedBackend(order("open_crashing", backend)).open()


def test_a_child_killed_on_opening_is_short_of_memory() -> None:
    """A sound file is not to be called damaged."""
    with pytest.raises(ModelError, match=r"killed \(SIGKILL\), most likely for lack of memory"):
        IsolatedBackend(order("open_crashing", device=str(int(signal.SIGKILL)))).open()


def test_a_child_that_leaves_on_opening_gives_its_last_words() -> None:
    with pytest.raises(BackendError, match=r"ended before the model was open \(exit status 7: no such thing\)"):
        IsolatedBackend(order("open_leaving")).open()


def test_a_child_that_does_not_start_does_not_blame_the_model() -> None:
    """A broken installation must not send people to convert their model again."""
    with pytest.raises(BackendError, match=r"no process can be started"):
        IsolatedBackend(order(), command=["/nonexistent/python"])
    broken = [sys.executable, "-c", "raise SystemExit('no module named edge_runtime')"]
    with pytest.raises(BackendError, match=r"exit status 1: no module named edge_runtime"):
        IsolatedBackend(order(), command=broken).open()


@pytest.mark.parametrize(("backend", "kind"), [("cpu", ModelError), ("edgetpu", BackendError)])
def test_a_hang_on_opening_ends_in_time(backend: str, kind: type[Exception]) -> None:
    """The GIL that it holds is the child's own."""
    before = psutil.Process().children()
    with pytest.raises(kind, match=r"took more than 1 s"):
        IsolatedBackend(order("open_hanging", backend)).open(within_s=1)
    assert psutil.Process().children() == before


def test_the_child_has_a_session_of_its_own_and_ignores_what_is_meant_for_us(
    opening: Callable[..., IsolatedBackend],
) -> None:
    """Ctrl-C and systemd's SIGTERM reach us; we end the child in order, and its device with it."""
    backend = opening()
    assert os.getsid(backend.pid) == backend.pid
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(backend.pid, number)
    assert_array_equal(backend.invoke(asking_for(ECHO))[0], asking_for(ECHO)[0])


@pytest.mark.parametrize("state", ["idle", "opening", "invoking"])
def test_the_child_does_not_outlive_a_parent_that_was_killed(state: str) -> None:
    """Whatever it does: a device would stay taken, and nobody would be left to end it."""
    opener = "open_hanging" if state == "opening" else "open_well"
    then = {"idle": "", "opening": "", "invoking": "backend.invoke(asking_for(HANG));"}[state]
    code = (
        "import sys, threading; from tests.inference.test_isolated import *;"
        f"backend = IsolatedBackend(order({opener!r}), deadline=Deadline(3600));"
        "print(backend.pid, flush=True); backend.open();"
        f"print('open', flush=True); {then} threading.Event().wait()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout is not None
    with parent.stdout:
        child = psutil.Process(int(parent.stdout.readline()))
        if state != "opening":
            assert parent.stdout.readline() == "open\n"
        parent.kill()
        parent.wait()
    assert has_ended(child.pid)


def test_the_end_of_the_thread_that_started_it_is_not_its_end(opening: Callable[..., IsolatedBackend]) -> None:
    """Replacements are started by a thread that ends when they are there."""
    opened: list[IsolatedBackend] = []
    thread = threading.Thread(target=lambda: opened.append(opening()))
    thread.start()
    thread.join(60)
    assert_array_equal(opened[0].invoke(asking_for(ECHO))[0], asking_for(ECHO)[0])


def test_close_lets_the_device_go_and_leaves_no_process(
    tmp_path: Path, opening: Callable[..., IsolatedBackend]
) -> None:
    """In order where that is possible: a stick that is cut off in a transfer may need to be plugged in again."""
    note = tmp_path / "note"
    backend = opening(device=str(note))
    backend.close()
    backend.close()
    assert note.read_text() == "closed"
    assert backend.pid not in {child.pid for child in psutil.Process().children()}
    with pytest.raises(InvokeError, match="invoke after close"):
        backend.invoke(asking_for(ECHO))


def test_close_ends_an_invoke_that_hangs_in_another_thread(opening: Callable[..., IsolatedBackend]) -> None:
    """The end of a run must not wait for a device."""
    backend = opening(limit_s=3600)
    failures: list[Exception] = []

    def hang() -> None:
        try:
            backend.invoke(asking_for(HANG))
        except InvokeError as exc:
            failures.append(exc)

    thread = threading.Thread(target=hang)
    thread.start()
    while not backend._lock.locked():
        thread.join(0.001)
    backend.close()
    thread.join(30)
    assert not thread.is_alive()
    assert "died in an invoke" in str(failures[0]) or "after close" in str(failures[0])


def test_fifty_replacements_leak_nothing() -> None:
    """A delegate that crashes every hour must not end the service after a month."""
    before = open_fds()
    threads, children = threading.active_count(), psutil.Process().children()
    for number in range(50):
        backend = IsolatedBackend(order(), deadline=Deadline(20)).open()
        if number % 2:
            with pytest.raises(InvokeError):
                backend.invoke(asking_for(CRASH))
        backend.close()
    assert open_fds() == before
    assert (threading.active_count(), psutil.Process().children()) == (threads, children)


def test_what_is_logged_on_opening_is_logged_here(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """How many threads were measured is of the same interest wherever that happened."""
    model = write_ssd(tmp_path / "m.tflite")
    with caplog.at_level("INFO", "edge_runtime"):
        backend = IsolatedBackend(Order(model, "cpu", num_threads=None, cache=tmp_path / "cache")).open()
        backend.close()
    engine = load_engine()
    assert (backend.describe().engine, backend.describe().engine_version) == (engine.name, engine.version)
    if backend.describe().threads > 1 or (os.cpu_count() or 1) > 1:
        assert "threads measured num_threads=" in caplog.text


def test_the_table_of_backends_is_what_the_child_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that is put into the table here is known to the child, too."""
    monkeypatch.setitem(BACKENDS, "edgetpu", f"{misbehaving.__name__}:open_well")
    backend = IsolatedBackend(Order(MODEL, "edgetpu", "usb:1")).open()
    backend.close()
    assert backend.describe().delegate == "of usb:1"
