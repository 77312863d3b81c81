"""Which layers a pass works on, and which models it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="the toolchain needs ai-edge-litert")

from edge_runtime.errors import ConfigError, ModelError, OptimizeError
from edge_runtime.optimize.layers import (
    choose,
    constant,
    layers_of,
    refuse_unless_float32,
    set_constant,
    short_name,
    weights_of,
)
from edge_runtime.optimize.modelfile import load
from tests.factory.models import write_ssd
from tests.optimize.graphs import LAYERS, edit, net_weights, use_old_codes, write_net


def names(layers):
    return [layer.name for layer in layers]


@pytest.fixture
def net(tmp_path):
    return write_net(tmp_path / "net.tflite")


def test_layers_come_in_the_order_they_run_with_their_weights(net):
    """Also from files whose operators are numbered as in TF1."""
    edit(net, use_old_codes)
    model = load(net)
    layers = layers_of(model)
    assert names(layers) == list(LAYERS)
    assert [layer.operator for layer in layers] == ["CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "FULLY_CONNECTED"]
    for layer in layers:
        assert np.array_equal(weights_of(model, layer), net_weights()[layer.name])


@pytest.mark.parametrize(
    ("pattern", "depthwise", "expected"),
    [
        (None, False, ["pointwise", "head"]),
        (None, True, ["depthwise", "pointwise", "head"]),
        ("^stem$", False, ["stem"]),
        ("CONV_2D", False, ["stem", "pointwise"]),
        ("CONV_2D|depth", True, ["stem", "depthwise", "pointwise"]),
        ("FULLY_CONNECTED", False, ["head"]),
    ],
)
def test_layers_are_chosen_by_name_or_operator(net, pattern, depthwise, expected):
    """The first convolution is spared only where nobody names layers."""
    assert names(choose(layers_of(load(net)), pattern, include_depthwise=depthwise)) == expected


def test_a_choice_of_nothing_says_what_there_is(net):
    """Else the pass would be a copy with a proud name."""
    layers = layers_of(load(net))
    with pytest.raises(ConfigError, match=r"layers: 'neck' matches no name .+; there is stem \(CONV_2D\), depthwise"):
        choose(layers, "neck", include_depthwise=False)
    with pytest.raises(ConfigError, match=r"layers: 'depth' matches depthwise layers alone, which are left"):
        choose(layers, "depth", include_depthwise=False)
    with pytest.raises(OptimizeError, match=r"no layer is left; .+ there is stem \(CONV_2D\)"):
        choose(layers[:2], None, include_depthwise=False)
    with pytest.raises(ConfigError, match=r"layers: '\(' is no regular expression \(.+\); for example"):
        choose(layers, "(", include_depthwise=False)


def test_a_weight_that_shares_its_bytes_is_changed_alone(net):
    """Converters store equal constants once; a layer nobody chose must stay what it was."""

    def share(model):
        tensors = model.subgraphs[0].tensors
        by_name = {tensor.name: tensor for tensor in tensors}
        by_name[b"depthwise/bias"].buffer = by_name[b"stem/bias"].buffer

    model = load(edit(net, share))
    by_name = {tensor.name: index for index, tensor in enumerate(model.graph.tensors)}
    old = constant(model, by_name[b"depthwise/bias"])
    set_constant(model, by_name[b"stem/bias"], np.zeros(8, np.float32))
    assert not constant(model, by_name[b"stem/bias"]).any()
    assert np.array_equal(constant(model, by_name[b"depthwise/bias"]), old)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    """A training that diverged; sorting and averaging NaN gives a model that answers nonsense."""
    head = net_weights()["head"]
    head[0, 0] = np.nan
    model = load(write_net(tmp_path / "nan.tflite", weights={"head": head}))
    with pytest.raises(ModelError, match="layer 'head': its weights hold NaN or infinity; train or export it again"):
        weights_of(model, layers_of(model)[-1])


def test_models_that_are_not_float32_are_refused_with_what_was_found(tmp_path):
    """Tools hand such files on unchanged, without a word."""
    refuse_unless_float32(load(write_net(tmp_path / "float.tflite")))
    half = load(write_net(tmp_path / "half.tflite", float16=True))
    with pytest.raises(
        ModelError, match="tensor 'stem/half' is FLOAT16, allowed is float32; normalise the model first"
    ):
        refuse_unless_float32(half)
    whole = load(write_ssd(tmp_path / "uint8.tflite"))
    with pytest.raises(ModelError, match=r"is quantised already \(tensor 'image' is UINT8 with a scale\)"):
        refuse_unless_float32(whole)


def test_a_model_of_several_graphs_is_refused(net):
    """The weights in the others would be left out in silence."""

    def double(model):
        model.subgraphs = [model.subgraphs[0], model.subgraphs[0]]

    with pytest.raises(
        ModelError, match=r"has 2 graphs \(several signatures\), one is allowed; export the model without"
    ):
        refuse_unless_float32(load(edit(net, double)))


@pytest.mark.parametrize(
    "file", ["detect.tflite", "yolox_nano_416_dynamic_range.tflite", "yolox_nano_416_int8_BROKEN.tflite"]
)
def test_real_quantised_models_are_refused(shared, file):
    """TF1 uint8, dynamic range with float activations, and int8 in parts."""
    with pytest.raises(ModelError, match="is quantised already"):
        refuse_unless_float32(load(shared / "models" / file))


def test_a_long_name_is_told_by_its_end() -> None:
    """Exporters write the path of every module into it; a message of a thousand characters tells nothing."""
    name = "a.Wrapper/train.net.Net_wrapped/torch.nn.Sequential_stem/train.net.Block_0/torch.nn.Conv2d_1;;a.Wrapper/x;1"
    assert short_name(name) == "Sequential_stem/Block_0/Conv2d_1"
    assert short_name("conv1") == "conv1"
    assert len(short_name("x" * 1000)) < 80


def test_a_message_is_no_flood_whatever_a_model_calls_its_layers(net) -> None:
    """A network of fifty layers with names of a thousand characters each."""
    layers = [replace(layer, name=f"{layer.step}{'a' * 1000}") for layer in layers_of(load(net))] * 12
    with pytest.raises(ConfigError) as caught:
        choose(layers, "b" * 1000, include_depthwise=True)
    assert len(str(caught.value)) < 600
    assert "aaa...aaa" in str(caught.value)
    assert str(caught.value).endswith(" and 44 more")
