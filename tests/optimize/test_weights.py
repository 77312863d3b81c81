"""What the constants of a model are said to be is what they are."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="the toolchain needs ai-edge-litert")

from edge_runtime.optimize.weights import weight_bytes, weights
from tests.factory.schema import load_schema
from tests.optimize.graphs import edit, net_weights, write_net


def by_name(path):
    return {weight.name: weight for weight in weights(path)}


def test_each_constant_is_listed_with_the_layer_that_uses_it(tmp_path):
    """Before pruning or clustering it says where the weights are, afterwards whether it took."""
    head = net_weights()["head"]
    head[:, ::2] = 0
    head[:, 1::2] = 0.25
    net = write_net(tmp_path / "net.tflite", weights={"head": head})
    found = by_name(net)
    assert list(found)[:3] == ["stem/weights", "stem/bias", "depthwise/weights"]
    one = found["head/weights"]
    assert (one.operator, one.layer, one.shape, one.dtype) == ("FULLY_CONNECTED", "head", (4, 1024), "float32")
    assert (one.size_bytes, one.sparsity, one.distinct) == (4 * 4096, 0.5, 2)
    assert (found["shape"].dtype, found["shape"].distinct) == ("int32", 2)
    assert weight_bytes(net) == sum(weight.size_bytes for weight in found.values())


def test_constants_that_share_their_bytes_count_once(tmp_path):
    """They are in the file once."""

    def share(model):
        tensors = {tensor.name: tensor for tensor in model.subgraphs[0].tensors}
        tensors[b"depthwise/bias"].buffer = tensors[b"stem/bias"].buffer

    net = write_net(tmp_path / "net.tflite")
    before = weight_bytes(net)
    assert weight_bytes(edit(net, share)) == before - 4 * 8


@pytest.mark.parametrize(
    ("dtype", "values", "scales", "points", "sparsity", "distinct"),
    [
        ("INT8", np.tile(np.array([0, 0, 1, -5], np.int8), 1024), [0.1], [0], 0.5, 3),
        ("UINT8", np.tile(np.array([128, 0, 1, 2], np.uint8), 1024), [0.1], [128], 0.25, 4),
        ("INT8", np.repeat(np.array([7, 1, 2, 3], np.int8), 1024), [0.1] * 4, [7, 0, 0, 3], 0.5, 4),
        ("INT4", np.tile(np.array([0xF0, 0x07], np.uint8), 1024), [0.1], [0], 0.5, 3),
        ("FLOAT16", np.tile(np.array([0, 1], np.float16), 2048), None, None, 0.5, 2),
    ],
    ids=["int8", "zero point", "per channel", "int4", "float16"],
)
def test_stored_types_are_read_as_what_they_stand_for(tmp_path, dtype, values, scales, points, sparsity, distinct):
    """A zero of a quantised weight is its zero point, and two int4 share a byte."""

    def quantize(model):
        schema = load_schema()
        tensor = next(one for one in model.subgraphs[0].tensors if one.name == b"head/weights")
        tensor.type = getattr(schema.TensorType, dtype)
        if scales:
            tensor.quantization = schema.QuantizationParametersT(scale=scales, zeroPoint=points, quantizedDimension=0)
        model.buffers[tensor.buffer].data = np.frombuffer(values.tobytes(), np.uint8)

    one = by_name(edit(write_net(tmp_path / "net.tflite"), quantize))["head/weights"]
    assert (one.dtype, one.size_bytes, one.sparsity, one.distinct) == (dtype.lower(), values.nbytes, sparsity, distinct)


def test_constants_without_a_name_are_numbered(tmp_path):
    """Stripped models have none."""

    def strip(model):
        for tensor in model.subgraphs[0].tensors:
            tensor.name = None

    net = edit(write_net(tmp_path / "net.tflite"), strip)
    assert [weight.name for weight in weights(net)][:2] == ["tensor_4", "tensor_5"]
