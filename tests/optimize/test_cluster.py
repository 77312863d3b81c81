"""Clustered layers hold few values, keep their zeros, and say what may undo it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="the toolchain needs ai-edge-litert")

from edge_runtime.errors import ConfigError, ModelError, OptimizeError
from edge_runtime.optimize.cluster import cluster, share_values
from edge_runtime.optimize.prune import prune
from edge_runtime.optimize.weights import weights
from tests.optimize.graphs import equal, net_weights, run_net, write_net


@pytest.fixture
def net(tmp_path):
    return write_net(tmp_path / "net.tflite")


@pytest.fixture
def target(tmp_path):
    return tmp_path / "clustered.tflite"


def by_layer(path):
    return {weight.layer: weight for weight in weights(path) if weight.name.endswith("/weights")}


def test_chosen_layers_hold_no_more_values_than_asked_for(net, target):
    """The first convolution and the depthwise ones hold few weights and mind each change."""
    before = net.read_bytes()
    found = cluster(net, target, clusters=16)
    assert [(one.name, one.operator, one.distinct) for one in found] == [
        ("pointwise", "CONV_2D", 16),
        ("head", "FULLY_CONNECTED", 16),
    ]
    assert all(one.distinct_before > 100 and 0 < one.largest_change < 0.5 and not one.warnings for one in found)
    layers, old = by_layer(target), by_layer(net)
    assert (layers["pointwise"].distinct, layers["head"].distinct) == (16, 16)
    assert (layers["stem"], layers["depthwise"]) == (old["stem"], old["depthwise"])
    assert net.read_bytes() == before


def test_a_clustered_model_computes_what_its_weights_say(net, target, tmp_path):
    """The same weights, clustered before the model is written, give the same answer."""
    cluster(net, target, clusters=8, layers="head")
    head = share_values(net_weights()["head"], 8, keep_zeros=True, seed=0)
    assert equal(run_net(target), run_net(write_net(tmp_path / "by_hand.tflite", weights={"head": head})))
    assert not equal(run_net(target), run_net(net))


def test_the_answers_stay_close(net, target):
    """With 64 values for a layer the error is a small part of what the layer gives."""
    cluster(net, target, clusters=64)
    clustered, exact = run_net(target)[0], run_net(net)[0]
    assert np.abs(clustered - exact).max() < 0.05 * np.abs(exact).max()


def test_zeros_of_a_pruned_model_stay_zero_and_count_as_one_value(net, target, tmp_path):
    """Else clustering takes back what pruning gave: a mean near zero is no zero."""
    prune(net, tmp_path / "pruned.tflite", sparsity=0.75)
    found = cluster(tmp_path / "pruned.tflite", target, clusters=16)
    assert [one.sparsity for one in found] == [0.75, 0.75]
    assert [one.distinct for one in found] == [16, 16]
    assert by_layer(target)["head"].sparsity == 0.75


def test_zeros_may_be_given_up(net, target, tmp_path):
    """For those who want all values where the weights are."""
    prune(net, tmp_path / "pruned.tflite", sparsity=0.5)
    found = cluster(tmp_path / "pruned.tflite", target, clusters=4, keep_zeros=False)
    assert all(one.distinct == 4 for one in found)


@pytest.mark.parametrize("clusters", [2, 3, 16])
@pytest.mark.parametrize("values", [[0, 0, 0, 1], [0, -1, 0, 1], [0, 0, 0, 0], [1, 2, 2, 1], [0, 1, 2, 3]])
def test_layers_of_few_values_are_handled(values, clusters):
    """A layer pruned to almost nothing has fewer weights than there are clusters; other tools give up on it."""
    weights = np.array(values, np.float32)
    shared = share_values(weights, clusters, keep_zeros=True, seed=0)
    assert len(np.unique(shared)) <= clusters
    assert (shared[weights == 0] == 0).all()
    if len(set(values)) <= clusters:
        assert np.array_equal(shared, weights)


def test_a_layer_with_few_values_stays_beside_one_that_is_clustered(tmp_path, target):
    """It is reported as it is, and is no reason to stop."""
    few = np.resize(np.array([-1, 0, 1], np.float32), (16, 1, 1, 8))
    found = cluster(write_net(tmp_path / "net.tflite", weights={"pointwise": few}), target, clusters=8)
    assert [(one.distinct_before, one.distinct) for one in found] == [(3, 3), (found[1].distinct_before, 8)]
    assert found[0].largest_change == 0


def test_clustering_what_is_clustered_already_is_an_error(net, target, tmp_path):
    """A copy under a new name would pass for a variant."""
    cluster(net, target, clusters=8)
    with pytest.raises(OptimizeError, match="expected 32 clusters to change weights of 2 layers, and none changed"):
        cluster(target, tmp_path / "again.tflite")
    assert not (tmp_path / "again.tflite").exists()


def test_the_same_seed_gives_the_same_file(net, target, tmp_path):
    """A variant that cannot be made again cannot be checked."""
    cluster(net, target, seed=3)
    cluster(net, tmp_path / "twin.tflite", seed=3)
    assert (tmp_path / "twin.tflite").read_bytes() == target.read_bytes()


def test_a_batch_normalisation_that_is_not_folded_is_a_warning(tmp_path, target):
    """Folding it later multiplies each channel by another number, and the few values are many again."""
    found = cluster(write_net(tmp_path / "net.tflite", batch_norm=True), target)
    assert [len(one.warnings) for one in found] == [1, 0]
    assert found[0].warnings[0].startswith("layer 'pointwise': 'scaled' multiplies its channels by constants")


def test_arguments_and_models_that_do_not_fit_are_refused(net, tmp_path, target):
    """One value would be no network, and float16 has no float32 weights in the file."""
    with pytest.raises(ConfigError, match="clusters: 1 is not allowed; allowed is 2 to 65536"):
        cluster(net, target, clusters=1)
    with pytest.raises(ModelError, match="is FLOAT16, allowed is float32"):
        cluster(write_net(tmp_path / "half.tflite", float16=True), target)


def test_a_clustered_real_model_packs_better(shared, target):
    """That is what it is for: MobileNet to less than a third, packed."""
    zstandard = pytest.importorskip("zstandard", reason="needs edge-runtime[evaluate]")
    source = shared / "models" / "mobilenet_v1_0.25_224_float32.tflite"
    assert all(one.distinct == 32 for one in cluster(source, target))
    packed, before = (len(zstandard.compress(path.read_bytes(), 9)) for path in (target, source))
    assert packed < before / 3
