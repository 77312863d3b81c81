"""The account of a choice."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from edge_runtime.inference import BACKENDS
from edge_runtime.inference.engine import load_engine
from edge_runtime.inference.explain import explanation
from edge_runtime.inference.opening import Order
from edge_runtime.inference.select import open_backend
from tests.factory.models import write_ssd

NOTHING = Path("/nonexistent")


def lines(order: Order, twin: Order | None = None, *, is_edgetpu: bool = False, is_child: bool = False) -> list[str]:
    return explanation(
        order, "as asked", twin, is_edgetpu=is_edgetpu, is_child=is_child, root=NOTHING, library=lambda name: None
    )


def test_every_backend_is_accounted_for_and_one_is_taken() -> None:
    said = lines(Order(Path("m.tflite"), "cpu"))
    for name in BACKENDS:
        assert len([line for line in said if line.startswith(f"backend {name}: ")]) == 1
    assert [line.split(":")[0] for line in said if ": taken, " in line] == ["backend cpu"]
    assert not any("nothing looked at" in line for line in said)


def test_the_engine_is_named_with_its_version() -> None:
    engine = load_engine()
    assert f"engines {engine.name} {engine.version}" in lines(Order(Path("m.tflite"), "cpu"))[1]


@pytest.mark.parametrize(
    ("order", "is_edgetpu", "said"),
    [
        (Order(Path("m.tflite"), "cpu"), False, "edgetpu: not taken, the model is not compiled for it (no library"),
        (Order(Path("m.tflite"), "cpu"), False, "onnx: not taken, it does not run this kind of file"),
        (Order(Path("m.tflite"), "cpu"), False, "gpu: not taken, only by name: --backend gpu"),
        (Order(Path("m_edgetpu.tflite"), "edgetpu"), True, "cpu: not taken, the model holds the Edge TPU's operator"),
        (Order(Path("m.onnx"), "onnx"), False, "cpu: not taken, it does not run this kind of file"),
        (Order(Path("m.tflite"), "gpu"), False, "cpu: not taken, gpu was asked for"),
    ],
)
def test_what_was_not_taken_has_its_reason(order: Order, is_edgetpu: bool, said: str) -> None:
    assert any(said in line for line in lines(order, is_edgetpu=is_edgetpu))


def test_isolation_and_fallback_are_explained() -> None:
    order, twin = Order(Path("m_edgetpu.tflite"), "edgetpu"), Order(Path("m.tflite"), "cpu")
    said = lines(order, twin, is_edgetpu=True, is_child=True)[-2:]
    assert said[0].startswith("isolation process: a hang or crash of edgetpu costs a child")
    assert said[1] == "fallback: m.tflite on cpu serves while edgetpu is away"
    assert "does not lie beside it" in lines(order, is_edgetpu=True)[-1]


def test_sticks_and_cards_are_found_where_the_kernel_lists_them(tmp_path: Path) -> None:
    """Without their library, which may be what is missing."""
    for name, vendor, product in (("1-1", "1d6b", "0002"), ("1-2", "1a6e", "089a"), ("2-1", "18d1", "9302")):
        device = tmp_path / "sys/bus/usb/devices" / name
        device.mkdir(parents=True)
        (device / "idVendor").write_text(f"{vendor}\n")
        (device / "idProduct").write_text(f"{product}\n")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/apex_0").touch()
    order = Order(Path("m.tflite"), "cpu")
    said = explanation(order, "", None, is_edgetpu=False, is_child=False, root=tmp_path, library=lambda name: None)
    line = next(line for line in said if line.startswith("backend edgetpu"))
    assert all(one in line for one in ("1-2", "2-1", "apex_0"))
    assert "1-1" not in line
    assert any("plugged in: none seen" in line for line in lines(order))


def test_it_is_said_also_where_little_else_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """`detect` and `bench` log warnings only; who asks for an explanation gets it."""
    logging.getLogger("edge_runtime").setLevel(logging.WARNING)
    model = write_ssd(tmp_path / "m.tflite")
    open_backend(model, "cpu", num_threads=1, cache=tmp_path / "cache", explain=True).close()
    assert "explain backend cpu: taken, it was asked for" in caplog.text
    assert "backend ready" not in caplog.text
