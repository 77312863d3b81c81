"""The layers that stay float: those that do the damage, and no more of them than it takes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("ai_edge_quantizer", reason="the extra [optimize] is not installed")

from edge_runtime.errors import OptimizeError
from edge_runtime.optimize import mixed
from edge_runtime.optimize.calibration import Feed, resolve_feed
from edge_runtime.optimize.mixed import Group, choose_mix, groups_of
from edge_runtime.optimize.quantize import inspect, quantize, quantized_bytes
from edge_runtime.optimize.ranges import Ranges, measure_ranges
from edge_runtime.optimize.rules import Scheme, exactly
from tests.optimize.graphs import net_weights, write_net
from tests.optimize.material import picture

READERS = [partial(picture, number) for number in range(6)]
INT8 = Scheme("int8", "int8", "int8")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a network whose pointwise layer has one channel that is a hundred times as large as the others."""
    weights = net_weights()
    weights["pointwise"][3] *= 100
    weights["head"][:, 3::16] /= 100
    return write_net(tmp_path_factory.mktemp("net") / "net.tflite", weights=weights)


@pytest.fixture(scope="module")
def feed(net: Path) -> Feed:
    return resolve_feed(net, input_range=(0.0, 1.0))


@pytest.fixture(scope="module")
def ranges(net: Path, feed: Feed) -> Ranges:
    return measure_ranges(net, feed.tensors(READERS), feed.span)


def test_the_layer_that_does_the_damage_stays_float(net: Path, feed: Feed, ranges: Ranges, tmp_path: Path) -> None:
    ticks: list[int] = []
    mix = choose_mix(
        net, INT8, ranges, feed, READERS[:3], tmp_path, most_float=0.6, tick=lambda _, done, __: ticks.append(done)
    )
    assert mix.kept[0].names in (("pointwise",), ("head",))  # the two beside the tensor of that channel
    assert mix.error <= 0.5 * mix.error_int8
    assert ticks == list(range(mix.groups))
    found = quantize(net, tmp_path / "q.tflite", mix.scheme, ranges=ranges)
    assert 0 < found.quantised < found.weighted
    said = mix.explain()
    assert f"of {mix.groups} groups stay float" in said
    assert f"{mix.error_int8:.4f} as int8, {mix.error:.4f} mixed" in said


def test_no_more_layers_stay_float_than_the_target_takes(net: Path, feed: Feed, ranges: Ranges, tmp_path: Path) -> None:
    easy = choose_mix(net, INT8, ranges, feed, READERS[:3], tmp_path, target=0.99)
    assert len(easy.kept) == 1


def test_the_share_of_float_layers_has_a_limit(net: Path, feed: Feed, ranges: Ranges, tmp_path: Path) -> None:
    """With everything float the error is nothing, and so is the gain."""
    mix = choose_mix(net, INT8, ranges, feed, READERS[:3], tmp_path, target=0.0, most_float=0.5)
    assert 1 <= len(mix.kept) <= mix.groups // 2


def test_float_layers_that_help_nothing_are_an_error() -> None:
    ranked = [Group(("a",), 0.2), Group(("b",), 0.1)]
    with pytest.raises(
        OptimizeError, match=r"keeping the 1 worst of 2 groups of layers float leaves the error at 0\.3"
    ):
        mixed._fewest(INT8, ranked, 0.3, lambda _: 0.3, target=0.5, most=1)


def test_the_best_try_counts_where_none_reaches_the_target() -> None:
    errors = iter([0.25, 0.2, 0.22])
    ranked = [Group((name,), 0.1) for name in "abcd"]
    mix = mixed._fewest(INT8, ranked, 0.3, lambda _: next(errors), target=0.1, most=3)
    assert (mix.error, len(mix.kept)) == (0.2, 2)


def test_large_graphs_are_measured_in_groups_of_neighbours(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each measurement quantises and runs the model; one for each of hundreds of layers takes too long."""
    every = groups_of(net)
    assert [group.names for group in every] == [("stem",), ("depthwise",), ("pointwise",), ("flat",), ("head",)]
    monkeypatch.setattr(mixed, "MOST_GROUPS", 2)
    assert [group.names for group in groups_of(net)] == [("stem", "depthwise", "pointwise"), ("flat", "head")]
    assert str(groups_of(net)[0]) == "stem to pointwise"


def test_measuring_a_layer_alone_quantises_no_other(net: Path, ranges: Ranges, tmp_path: Path) -> None:
    path = tmp_path / "alone.tflite"
    path.write_bytes(quantized_bytes(net, Scheme("int8", "int8", "float", only=exactly(["stem"])), ranges))
    assert inspect(path).quantised == 1
