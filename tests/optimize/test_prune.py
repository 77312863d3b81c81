"""Pruning sets what it says to zero, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

pytest.importorskip("ai_edge_litert", reason="the toolchain needs ai-edge-litert")

from edge_runtime.errors import ConfigError, ModelError, OptimizeError
from edge_runtime.optimize.prune import keep_two_of_four, prune, zero_smallest
from edge_runtime.optimize.weights import weights
from tests.optimize.graphs import equal, net_weights, run_net, write_net

NUMBERS = st.floats(-4, 4, width=32)


@pytest.fixture
def net(tmp_path):
    return write_net(tmp_path / "net.tflite", packed={"labels.txt": "person"})


@pytest.fixture
def target(tmp_path):
    return tmp_path / "pruned.tflite"


def sparsities(path):
    found = {weight.layer: weight.sparsity for weight in weights(path) if weight.name.endswith("/weights")}
    return {name: round(share, 3) for name, share in found.items()}


def test_each_layer_loses_the_same_share_and_the_sensitive_ones_none(net, target):
    """The first convolution and the depthwise ones hold few weights and mind each."""
    before = net.read_bytes()
    found = prune(net, target)
    assert [(one.name, one.operator, one.shape, one.sparsity_before, one.sparsity) for one in found] == [
        ("pointwise", "CONV_2D", (16, 1, 1, 8), 0.0, 0.5),
        ("head", "FULLY_CONNECTED", (4, 1024), 0.0, 0.5),
    ]
    assert sparsities(target) == {"stem": 0, "depthwise": 0, "pointwise": 0.5, "head": 0.5}
    assert net.read_bytes() == before


def test_a_pruned_model_computes_what_its_weights_say(net, target, tmp_path):
    """And not something stale: the same weights, pruned before the model is written, give the same answer."""
    prune(net, target, sparsity=0.8, layers=".", include_depthwise=True)
    assert list(sparsities(target).values()) == pytest.approx([0.8] * 4, abs=0.01)
    pruned = {name: zero_smallest(values, 0.8) for name, values in net_weights().items()}
    assert equal(run_net(target), run_net(write_net(tmp_path / "by_hand.tflite", weights=pruned)))
    assert not equal(run_net(target), run_net(net))


def test_layers_can_be_named(net, target):
    """For a model whose head must stay exact."""
    assert [one.name for one in prune(net, target, layers="stem|CONV_2D")] == ["stem", "pointwise"]


def test_two_of_four_counts_along_the_input_channels(net, target):
    """Accelerators that make use of it multiply four channels at a time."""
    found = prune(net, target, pattern="2:4")
    assert [one.sparsity for one in found] == [0.5, 0.5]
    assert sparsities(target) == {"stem": 0, "depthwise": 0, "pointwise": 0.5, "head": 0.5}


@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=4, max_side=9), elements=NUMBERS))
def test_of_each_four_channels_the_two_largest_stay(values):
    """In a rest of fewer than four, two stay as well."""
    kept = keep_two_of_four(values)
    assert kept.shape == values.shape
    assert np.array_equal(kept[kept != 0], values[kept != 0])
    for start in range(0, values.shape[-1], 4):
        four, was = kept[..., start : start + 4], values[..., start : start + 4]
        assert (np.count_nonzero(four, axis=-1) <= 2).all()
        largest = np.sort(np.abs(was), axis=-1)[..., -2:]
        assert np.array_equal(np.sort(np.abs(four), axis=-1)[..., -2:], largest)


@given(arrays(np.float32, array_shapes(max_dims=4, max_side=9), elements=NUMBERS), st.floats(0, 1))
def test_the_smallest_weights_go_and_the_rest_is_untouched(values, share):
    """Whatever the shape."""
    kept = zero_smallest(values, share)
    gone = round(share * values.size)
    assert np.count_nonzero(kept == 0) >= gone
    assert np.array_equal(kept[kept != 0], values[kept != 0])
    assert np.array_equal(np.sort(np.abs(kept), axis=None)[gone:], np.sort(np.abs(values), axis=None)[gone:])


def test_of_equal_weights_the_first_go():
    """The same model gives the same file on every machine."""
    ones = np.ones((2, 4), np.float32)
    assert zero_smallest(ones, 0.5).tolist() == [[0, 0, 0, 0], [1, 1, 1, 1]]
    assert keep_two_of_four(ones).tolist() == [[0, 0, 1, 1], [0, 0, 1, 1]]


def test_pruning_what_is_pruned_already_is_an_error(net, target, tmp_path):
    """A copy under a new name would pass for a variant."""
    prune(net, target)
    with pytest.raises(OptimizeError, match="expected 50% zeros to change weights of 2 layers, and none changed"):
        prune(target, tmp_path / "again.tflite")
    assert not (tmp_path / "again.tflite").exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sparsity": 0}, "sparsity: 0 is not allowed; allowed is a share between 0 and 1"),
        ({"sparsity": 50}, "sparsity: 50 is not allowed"),
        ({"pattern": "4:8"}, "pattern: '4:8' is not allowed; give 2:4, or leave it out"),
        ({"pattern": "2:4", "sparsity": 0.6}, "sparsity: 0.6 does not go with 2:4"),
        ({"pattern": "2:4", "include_depthwise": True}, "include_depthwise: does not go with 2:4"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(net, target, wrong, said):
    """Before a large model is read."""
    with pytest.raises(ConfigError, match=said):
        prune(net, target, **wrong)


def test_a_float16_model_is_refused(tmp_path, target):
    """Its float32 tensors are computed when it loads, so there is nothing to prune in the file."""
    with pytest.raises(ModelError, match="is FLOAT16, allowed is float32; normalise the model first"):
        prune(write_net(tmp_path / "half.tflite", float16=True), target)


def test_a_pruned_real_model_packs_better(shared, tmp_path, target):
    """That is what it is for: MobileNet, from 1.7 to about 1 MB packed."""
    zstandard = pytest.importorskip("zstandard", reason="needs edge-runtime[evaluate]")
    source = shared / "models" / "mobilenet_v1_0.25_224_float32.tflite"
    found = prune(source, target)
    assert len(found) == 14
    assert all(one.sparsity == 0.5 for one in found)
    packed, before = (len(zstandard.compress(path.read_bytes(), 9)) for path in (target, source))
    assert packed < 0.62 * before
