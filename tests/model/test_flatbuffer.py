"""The facts of a model file, and every way in which a file is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.errors import ModelError
from edge_runtime.model.flatbuffer import Quantization, parse_model, read_model
from edge_runtime.model.operators import operator_name
from tests.factory.broken import BROKEN, write_broken
from tests.factory.engines import open_interpreter
from tests.factory.graph import Graph
from tests.factory.metadata import embedded_metadata
from tests.factory.models import (
    SSD_ROLES,
    TF2_NAMES,
    TF2_SIGNATURE,
    Scripted,
    write_echo,
    write_model,
    write_postprocess_ssd,
    write_raw_ssd,
    write_ssd,
)


def error_of(call):
    """Return the ModelError a call ends in, None where it returns; anything else fails the test."""
    try:
        call()
    except ModelError as error:
        return error
    return None


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return one file of each kind, as bytes; they are mutated below."""
    folder = tmp_path_factory.mktemp("models")
    files = [
        write_ssd(folder / "tf2.tflite", names=TF2_NAMES, signature_names=TF2_SIGNATURE, metadata=embedded_metadata()),
        write_postprocess_ssd(folder / "post.tflite", num_classes=3),
        write_raw_ssd(folder / "raw.tflite", np.zeros((6, 4), np.uint8), np.zeros((6, 3), np.uint8)),
        write_echo(folder / "echo.tflite"),
        write_broken("edgetpu", folder / "edgetpu.tflite"),
    ]
    return [file.read_bytes() for file in files]


def test_tensors_are_told_as_the_interpreter_tells_them(tmp_path):
    """The file is read before any engine is loaded, so both must say the same."""
    outputs = [
        Scripted("b", np.zeros((1, 5), np.int8), (0.25, -7), "second"),
        Scripted("a", np.zeros((1, 5, 4), np.float32), None, "first"),
    ]
    path = write_model(
        tmp_path / "m.tflite", input_shape=(1, 3, 8, 6), input_dtype="int16", outputs=outputs, signature="serve"
    )
    file, interpreter = read_model(path), open_interpreter(path)
    told = interpreter.get_input_details() + interpreter.get_output_details()
    for mine, theirs in zip(file.inputs + file.outputs, told, strict=True):
        assert mine.name == theirs["name"]
        assert list(mine.shape) == theirs["shape"].tolist()
        assert mine.dtype == theirs["dtype"]
        scale, zero_point = theirs["quantization"]
        assert mine.quantization == (Quantization(scale, zero_point) if scale else None)
    assert file.signature == "serve"
    assert [tensor.signature_name for tensor in file.outputs] == ["second", "first"]
    assert file.size_bytes == path.stat().st_size
    assert file.description == "written by tests/factory"


def test_operators_are_listed_in_the_order_they_run(tmp_path):
    """`inspect` shows them, and an Edge TPU model is known by one of them."""
    file = read_model(write_ssd(tmp_path / "m.tflite"))
    assert file.operators == ("CAST", "REDUCE_MAX", "RESHAPE", "MUL", "ADD", "ADD", "ADD", "ADD")
    assert file.custom_operators == ()
    assert not file.is_edgetpu


def test_an_edge_tpu_model_is_known_before_it_is_opened(tmp_path):
    """On the CPU it loads and fails late, with a message about an operator."""
    file = read_model(write_broken("edgetpu", tmp_path / "m.tflite"))
    assert file.is_edgetpu
    assert file.custom_operators == ("edgetpu-custom-op",)
    assert not read_model(write_broken("unknown-custom-op", tmp_path / "m.tflite")).is_edgetpu


@pytest.mark.parametrize("order", [SSD_ROLES, ("count", "scores", "boxes", "classes")])
def test_the_detection_operator_tells_its_outputs_whatever_their_order(tmp_path, order):
    """What is wired to the operator is certain; names and order are not."""
    file = read_model(write_postprocess_ssd(tmp_path / "m.tflite", num_classes=7, rows=12, order=order))
    assert file.detection_outputs == {role: order.index(role) for role in SSD_ROLES}
    assert file.detection_options.num_classes == 7
    assert file.detection_options.scales == (10, 10, 5, 5)
    # The file leaves these shapes out, the engine fills them in from the options.
    assert file.outputs[order.index("boxes")].shape == (1, 12, 4)
    assert file.outputs[order.index("count")].shape == (1,)


def test_shapes_that_the_file_does_give_are_kept(tmp_path):
    """Newer converters write them."""
    graph = Graph()
    source = graph.tensor("image", (1, 2, 2, 3), "uint8")
    ends = [graph.tensor(role, (1, 3), "float32") for role in SSD_ROLES]
    graph.custom("TFLite_Detection_PostProcess", [source], ends, {"max_detections": 9, "num_classes": 2})
    graph.set_ends([source], ends)
    file = read_model(graph.write(tmp_path / "m.tflite"))
    assert [tensor.shape for tensor in file.outputs] == [(1, 3)] * 4
    assert file.detection_options.max_detections == 9


def test_metadata_is_found_by_its_name(tmp_path):
    """Converters put other things into the same list."""
    data = embedded_metadata()
    assert read_model(write_ssd(tmp_path / "m.tflite", metadata=data)).metadata == data
    assert read_model(write_ssd(tmp_path / "m.tflite")).metadata is None


def test_an_open_side_of_a_shape_is_kept(tmp_path):
    """The engine reports it as 1, which looks like a real size."""
    (tensor,) = read_model(write_broken("dynamic-shape", tmp_path / "m.tflite")).inputs
    assert tensor.shape == (1, 1, 1, 3)
    assert tensor.shape_signature == (1, -1, -1, 3)


def test_numbers_of_operators_have_names():
    """A newer operator than the table knows is shown by its number."""
    assert operator_name(3, "") == "CONV_2D"
    assert operator_name(161, "") == "RIGHT_SHIFT"
    assert operator_name(32, "mine") == "mine"
    assert operator_name(900, "") == "BUILTIN_900"
    assert operator_name(-1, "") == "BUILTIN_-1"


@pytest.mark.parametrize("kind", ["truncated", "bit-flipped"])
def test_a_damaged_file_is_refused(tmp_path, kind):
    """One engine dies of it, so it must not get that far."""
    with pytest.raises(ModelError, match=r"is damaged or cut short: .*; copy or download it again"):
        read_model(write_broken(kind, tmp_path / "m.tflite"))


def test_a_path_without_a_model_is_named_with_what_is_there(tmp_path):
    """The commonest mistakes: a wrong path, a folder, an empty file, something else."""
    (tmp_path / "here.tflite").write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF\0")
    with pytest.raises(ModelError, match=r"gone\.tflite: no such file; give the path"):
        read_model(tmp_path / "gone.tflite")
    with pytest.raises(ModelError, match=r"is a directory; give the path of a .tflite model, for example here\.tflite"):
        read_model(tmp_path)
    with pytest.raises(ModelError, match="not a TFLite model, it looks like a JPEG picture"):
        read_model(tmp_path / "here.tflite")
    with pytest.raises(ModelError, match=r"is empty \(0 bytes\)"):
        read_model(write_broken("empty", tmp_path / "m.tflite"))
    with pytest.raises(ModelError, match="not a TFLite model"):
        read_model(write_broken("wrong-identifier", tmp_path / "m.tflite"))
    with pytest.raises(ModelError, match=r"cannot be read: Not a directory"):
        read_model(tmp_path / "here.tflite" / "m.tflite")
    (tmp_path / "none").mkdir()
    with pytest.raises(ModelError, match=r"is a directory; give the path of a .tflite model$"):
        read_model(tmp_path / "none")


def test_every_cut_through_the_weights_is_noticed(tmp_path):
    """A download that stopped leaves the graph whole and the weights short: the engine would read beyond them."""
    data = write_model(
        tmp_path / "m.tflite", outputs=[Scripted("x", np.ones((1, 50), np.float32))], heavy=3
    ).read_bytes()
    for length in range(1, len(data) - 512, 37):
        with pytest.raises(ModelError):
            parse_model(data[:length], tmp_path / "m.tflite")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_file_gives_facts_or_a_model_error(written, tmp_path_factory, data):
    """Nothing but ModelError may come out, however the bytes are damaged; one line, so that it fits a log."""
    content = bytearray(data.draw(st.sampled_from(written)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(8, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    path = tmp_path_factory.getbasetemp() / "changed.tflite"
    error = error_of(lambda: parse_model(bytes(content[:cut]), path))
    assert error is None or str(error).startswith(str(path))
    assert "\n" not in str(error)


def test_references_to_what_is_not_there_are_refused(tmp_path):
    """An engine that does not check them reads foreign memory."""

    def written(spoil):
        graph = Graph()
        source = graph.tensor("image", (1, 2, 2, 3), "uint8")
        end = graph.tensor("echo", (1, 2, 2, 3), "uint8")
        graph.operator("RESHAPE", [source, graph.constant("shape", (1, 2, 2, 3), "int32")], [end])
        graph.set_ends([source], [end])
        spoil(graph)
        return read_model(graph.write(tmp_path / "m.tflite"))

    assert written(lambda graph: None).operators == ("RESHAPE",)
    for spoil, message in (
        (lambda graph: setattr(graph._graph.operators[0], "inputs", [0, 9]), "an operator names tensor 9 of 3"),
        (lambda graph: setattr(graph._graph.operators[0], "opcodeIndex", 4), "an operator has the code 4 of 1"),
        (lambda graph: setattr(graph._graph.tensors[1], "buffer", 8), "a tensor names buffer 8 of 2"),
        (lambda graph: setattr(graph._graph, "outputs", [5]), "the graph names tensor 5 of 3"),
        (lambda graph: setattr(graph._model, "subgraphs", []), "it holds no graph"),
        (lambda graph: graph._model.metadata.append(named_metadata(graph, 77)), "the metadata names buffer 77 of 2"),
        (lambda graph: set_far_weights(graph), "are needed, there are"),
    ):
        with pytest.raises(ModelError, match=message):
            written(spoil)


def named_metadata(graph, buffer):
    entry = graph.schema.MetadataT()
    entry.name = "TFLITE_METADATA"
    entry.buffer = buffer
    return entry


def set_far_weights(graph):
    graph._model.buffers[1].offset = 1 << 33
    graph._model.buffers[1].size = 16


def test_old_files_with_only_the_one_byte_code_are_understood(tmp_path):
    """TF1 files number operators in a field that later ones keep for compatibility."""
    graph = Graph()
    source, end = graph.tensor("a", (1, 2), "float32"), graph.tensor("b", (1, 2), "float32")
    graph.operator("MUL", [source, source], [end])
    graph.custom("mine", [source], [end], {})
    graph.set_ends([source], [end])
    for code in graph._model.operatorCodes:
        code.builtinCode = 0
    file = read_model(graph.write(tmp_path / "m.tflite"))
    assert file.operators == ("MUL", "mine")
    assert file.custom_operators == ("mine",)


def test_a_type_numpy_does_not_know_is_void(tmp_path):
    """Text tensors exist in files nobody detects with; they must not end in a KeyError."""
    graph = Graph()
    source = graph.tensor("words", (1,), "string")
    graph.set_ends([source], [source])
    assert read_model(graph.write(tmp_path / "m.tflite")).inputs[0].dtype == np.dtype("V")


@pytest.mark.parametrize("kind", sorted(set(BROKEN) - {"truncated", "bit-flipped", "wrong-identifier", "empty"}))
def test_models_of_the_wrong_kind_are_still_read(tmp_path, kind):
    """What is wrong with them is for the spec to say."""
    assert len(read_model(write_broken(kind, tmp_path / "m.tflite")).inputs) >= 1


def test_scales_per_channel_are_not_taken_for_one(tmp_path):
    """One scale of many would be wrong for the whole; and a scale of zero stands for none."""
    graph = Graph()
    source = graph.tensor("a", (1, 2), "int8", quantization=(0.5, 3))
    graph.set_ends([source], [source])
    quantization = graph._graph.tensors[0].quantization
    assert read_model(graph.write(tmp_path / "m.tflite")).inputs[0].quantization == Quantization(0.5, 3)
    quantization.zeroPoint = None
    assert read_model(graph.write(tmp_path / "m.tflite")).inputs[0].quantization == Quantization(0.5, 0)
    for scales in ([0.5, 0.25], [0.0], []):
        quantization.scale = scales
        assert read_model(graph.write(tmp_path / "m.tflite")).inputs[0].quantization is None


def test_a_signature_of_another_graph_is_not_taken_for_ours(tmp_path):
    """Models with training or decoding steps have several graphs; only the first is run here."""
    path = write_ssd(tmp_path / "m.tflite", names=TF2_NAMES, signature_names=TF2_SIGNATURE)
    assert read_model(path).signature == "serving_default"
    graph = Graph()
    source = graph.tensor("a", (1, 2), "float32")
    graph.set_ends([source], [source])
    graph.add_signature("other", {"x": source}, {"y": source})
    graph._model.signatureDefs[0].subgraphIndex = 1
    file = read_model(graph.write(tmp_path / "n.tflite"))
    assert (file.signature, file.outputs[0].signature_name) == (None, None)


def test_the_real_files_are_told_as_they_are(shared):
    """Written by TOCO, MLIR and the Edge TPU compiler over six years."""
    models = shared / "models"
    detect = read_model(models / "detect.tflite")
    assert detect.inputs[0].quantization == Quantization(1 / 128, 128)
    assert detect.inputs[0].shape == (1, 300, 300, 3)
    assert [tensor.shape for tensor in detect.outputs] == [(1, 10, 4), (1, 10), (1, 10), (1,)]
    assert detect.detection_options.num_classes == 90
    assert len(detect.operators) == 64
    assert read_model(models / "face-detector-quantized_edgetpu.tflite").is_edgetpu
    assert read_model(models / "mobilenet_v1_0.25_128_quant_edgetpu.tflite").is_edgetpu
    assert read_model(models / "model_invoking_error.tflite").custom_operators == ("fake-op-double",)
    tf2 = read_model(models / "ssd_mobilenet_v2_fpnlite_320_coco_float_io.tflite")
    assert [tensor.signature_name for tensor in tf2.outputs] == ["output_3", "output_2", "output_1", "output_0"]
    assert tf2.signature == "serving_default"
    with pytest.raises(ModelError, match="it looks like an ONNX model"):
        parse_model((models / "yolox_nano_416.onnx").read_bytes(), models / "yolox_nano_416.tflite")
