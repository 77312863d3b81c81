"""What can be set on a board, and how its rate is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_runtime.compare import tune
from edge_runtime.compare.measure import Bench
from edge_runtime.compare.tune import Candidate, Rate, candidates, measure_rates, settings_of
from edge_runtime.compare.variants import Variant, read_variant
from edge_runtime.errors import BackendMissingError, ModelError
from tests.compare.made import Memory
from tests.factory.models import write_echo, write_ssd

A, B = (Variant(name, Path(f"{name}.tflite"), name, 100) for name in "ab")


def bench(state: Memory) -> Bench:
    return Bench(state, "litert", "2", "board", "4 cores", lambda *_: None)


def test_every_number_of_threads_worth_a_try_is_one(tmp_path: Path) -> None:
    model = read_variant("parent", write_echo(tmp_path / "m.tflite"))
    found = candidates([model], cores=4, has_edgetpu=False, has_gpu=False)
    assert [(one.backend, one.num_threads) for one in found] == [("cpu", 1), ("cpu", 2), ("cpu", 4)]
    assert found[1].label == "parent cpu 2"


def test_accelerators_count_only_where_they_are(tmp_path: Path) -> None:
    """A compiled model runs nowhere else, so without a stick there is nothing to measure."""
    plain = read_variant("parent", write_echo(tmp_path / "m.tflite"))
    compiled = read_variant("edgetpu", write_ssd(tmp_path / "m_edgetpu.tflite", custom_op="edgetpu-custom-op"))
    torn = Variant("torn", tmp_path / "none.tflite", "x", 1)
    nowhere = candidates([plain, compiled, torn], cores=1, has_edgetpu=False, has_gpu=False)
    assert [one.label for one in nowhere] == ["parent cpu 1", "torn cpu 1"]
    everywhere = candidates([plain, compiled], cores=1, has_edgetpu=True, has_gpu=True)
    assert [one.label for one in everywhere] == ["parent cpu 1", "parent gpu 1", "edgetpu edgetpu 1"]


def test_rates_are_medians_and_memory_is_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([{"fps": 10.0, "rss_bytes": 50}, {"fps": 2.0, "rss_bytes": 90}, {"fps": 11.0, "rss_bytes": 60}])
    monkeypatch.setattr(tune, "ask", lambda *_, **__: next(answers))
    state, one = Memory(), Candidate(A, "cpu", 1)
    for _ in range(2):  # the second time nothing is left to ask
        rates, failed = measure_rates(bench(state), [one], labels=Path("names.txt"), num_frames=60)
        assert (rates, failed) == ({one: Rate(10.0, 90, 5.5)}, {})


def test_one_that_fails_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(_task: str, model: Path, **_: Any) -> dict[str, Any]:
        if model.stem == "b":
            raise ModelError("is no detector")
        return {"fps": 5.0, "rss_bytes": None}

    monkeypatch.setattr(tune, "ask", ask)
    both = [Candidate(A, "cpu", 1), Candidate(B, "cpu", 1)]
    rates, failed = measure_rates(bench(Memory()), both, labels=None, num_frames=5)
    assert rates == {both[0]: Rate(5.0, None)}
    assert failed == {both[1]: "is no detector"}


def test_settings_know_the_loss_of_their_variant() -> None:
    rates = {Candidate(A, "cpu", 1): Rate(5.0, 50, 1.3), Candidate(B, "cpu", 2): Rate(6.0, None)}
    first, second = settings_of(rates, {"a": 0.0})
    assert (first.drop, first.fps, first.rss_bytes, first.is_unsteady) == (0.0, 5.0, 50, True)
    assert (second.drop, second.num_threads, second.rss_bytes) == (None, 2, None)
    assert not second.is_unsteady


@pytest.mark.parametrize("has_vulkan", [False, True])
def test_a_gpu_counts_where_vulkan_is(monkeypatch: pytest.MonkeyPatch, has_vulkan: bool) -> None:
    """Without the classic delegate, too: LiteRT brings an accelerator of its own."""
    from edge_runtime.inference import edgetpu, gpu, webgpu

    def require_vulkan() -> None:
        if not has_vulkan:
            raise BackendMissingError("no Vulkan here")

    monkeypatch.setattr(edgetpu, "LIBRARY", "libnone-of-these.so")
    monkeypatch.setattr(gpu, "LIBRARY", "libnor-these.so")
    monkeypatch.setattr(webgpu, "require_vulkan", require_vulkan)
    assert tune.present_accelerators() == (False, has_vulkan)
