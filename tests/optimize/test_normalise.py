"""Files that the quantiser would hand on unchanged, or die on, become ones it works on."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="the toolchain needs ai-edge-litert")

from edge_runtime.errors import ModelError, OptimizeError
from edge_runtime.model.flatbuffer import read_model
from edge_runtime.model.packed import read_packed_text
from edge_runtime.optimize.modelfile import load
from edge_runtime.optimize.normalise import check, normalise, unique
from edge_runtime.optimize.strip import strip
from edge_runtime.optimize.weights import weight_bytes, weights
from tests.factory.graph import Graph
from tests.factory.models import write_ssd
from tests.factory.schema import load_schema
from tests.optimize.graphs import edit, equal, read_objects, run_net, use_old_codes, write_net


@pytest.fixture
def target(tmp_path):
    return tmp_path / "normal.tflite"


def test_a_normal_model_passes_through_and_computes_the_same(tmp_path, target):
    """Nothing to do is no error: every quantisation begins with this step."""
    net = write_net(tmp_path / "net.tflite", metadata=b"said by the maker", packed={"labels.txt": "person"})
    before = net.read_bytes()
    assert normalise(net, target) == ()
    assert equal(run_net(target), run_net(net))
    assert read_model(target).metadata == b"said by the maker"
    assert read_packed_text(target, ["labels.txt"]) == ("labels.txt", "person")
    assert net.read_bytes() == before


def test_operator_codes_of_tf1_are_copied_to_the_field_read_today(tmp_path, target):
    """Else the quantiser takes every operator for an ADD and changes nothing."""
    net = edit(write_net(tmp_path / "net.tflite"), use_old_codes)
    assert {code.builtinCode for code in read_objects(net).operatorCodes} == {0}
    assert normalise(net, target) == ("copied 4 operator codes to the field that is read today",)
    assert [code.builtinCode for code in read_objects(target).operatorCodes] == [3, 4, 22, 9]
    assert equal(run_net(target), run_net(net))


def test_float16_constants_become_float32_and_leave_nothing_behind(tmp_path, target):
    """So a float16 file can be a parent, although its own parent is lost."""
    half = write_net(tmp_path / "half.tflite", float16=True)
    assert normalise(half, target) == ("turned 4 float16 constants into float32",)
    full = write_net(tmp_path / "full.tflite")
    assert equal(run_net(target), run_net(half))
    assert equal(run_net(target), run_net(full))
    assert "DEQUANTIZE" not in read_model(target).operators
    assert {weight.dtype for weight in weights(target)} == {"float32", "int32"}
    assert weight_bytes(target) == weight_bytes(full)
    model, plain = read_objects(target), read_objects(full)
    assert len(model.subgraphs[0].tensors) == len(plain.subgraphs[0].tensors)
    assert len(model.buffers) == len(plain.buffers)
    assert len(model.operatorCodes) == len(plain.operatorCodes)


def test_metadata_in_the_form_of_tf1_still_finds_its_bytes(tmp_path, target):
    """A list of buffer numbers without names: taking buffers out must move these numbers, too."""

    def add(model):
        model.buffers.append(load_schema().BufferT(data=np.frombuffer(b"old metadata", np.uint8)))
        model.metadataBuffer = [len(model.buffers) - 1]

    net = edit(write_net(tmp_path / "half.tflite", float16=True), add)
    normalise(net, target)
    model = read_objects(target)
    assert bytes(model.buffers[model.metadataBuffer[0]].data) == b"old metadata"


def test_float16_that_is_computed_is_refused(tmp_path, target):
    """Only constants can be folded; the rest would stay float16 and be left out later."""
    graph = Graph()
    image, half = graph.tensor("image", (1, 4), "float32"), graph.tensor("half", (1, 4), "float16")
    end = graph.tensor("end", (1, 4), "float32")
    graph.operator("CAST", [image], [half])
    graph.operator("CAST", [half], [end])
    graph.set_ends([image], [end])
    with pytest.raises(ModelError, match="tensor 'half' is FLOAT16, allowed is float32"):
        normalise(graph.write(tmp_path / "net.tflite"), target)
    assert not target.exists()


def test_a_signature_is_added_where_there_is_none(tmp_path, target):
    """Calibration names inputs through it, and the runtime tells outputs apart by it."""
    net = write_net(tmp_path / "net.tflite", signature=None)
    assert normalise(net, target) == ("added the signature serving_default",)
    facts = read_model(target)
    assert facts.signature == "serving_default"
    assert [end.signature_name for end in (*facts.inputs, *facts.outputs)] == ["image", "head"]
    assert equal(run_net(target), run_net(net))


def test_a_signature_of_another_key_is_kept(tmp_path, target):
    """It is the maker's word for the inputs and outputs."""
    assert normalise(write_net(tmp_path / "net.tflite", signature="detect"), target) == ()
    assert read_model(target).signature == "detect"
    assert read_model(target).outputs[0].signature_name == "scores"


def test_tensors_without_a_name_of_their_own_get_one(tmp_path, target):
    """The quantiser keeps its figures by name: two tensors of one name would share a scale."""
    net = write_net(tmp_path / "net.tflite")
    strip(net, tmp_path / "bare.tflite")

    def same(model):
        for tensor in model.subgraphs[0].tensors[1:3]:
            tensor.name = "image"

    changes = normalise(edit(tmp_path / "bare.tflite", same), target)
    tensors = read_objects(target).subgraphs[0].tensors
    assert changes == (f"named {len(tensors) - 2} tensors that had no name of their own",)
    names = [tensor.name.decode() for tensor in tensors]
    assert len(set(names)) == len(names)
    assert names[:4] == ["image", "image_1", "image_2", "tensor_3"]
    assert [end.name for end in (*read_model(target).inputs, *read_model(target).outputs)] == ["image", "head"]


def test_a_name_is_made_unique_with_the_next_free_number():
    """The second of two equal names may meet a third that is called so already."""
    taken = {"a", "a_1"}
    assert [unique("a", taken), unique("b", taken), unique("b", taken)] == ["a_2", "b", "b_1"]


def test_several_inputs_are_fine(tmp_path, target):
    """Trackers hand a state around."""
    inputs = [("state", (1, 2), "float32")]
    net = write_ssd(tmp_path / "two.tflite", input_dtype="float32", extra_inputs=inputs)
    normalise(net, target)
    assert [one.signature_name for one in read_model(target).inputs] == ["image", "state"]
    assert equal(run_net(target), run_net(net))


def test_a_result_that_is_not_normal_after_all_is_an_error(tmp_path):
    """The guard behind each of the above: what would pass through the quantiser untouched is never written."""
    check(load(write_net(tmp_path / "fine.tflite")))
    wrong = edit(write_net(tmp_path / "wrong.tflite", signature=None), use_old_codes)
    with pytest.raises(OptimizeError, match="expected none, found operator codes in the old field only, no signature"):
        check(load(wrong))


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("blazeface_front_float32", ("copied 7 operator codes", "added the signature")),
        ("mobilenet_v1_0.25_224_float32", ("copied 5 operator codes", "added the signature")),
        ("yolox_nano_416_float16", ("turned 226 float16 constants",)),
        ("blazeface_short_range", ("copied 8 operator codes", "turned 74 float16 constants", "added the signature")),
    ],
)
def test_real_models_give_the_same_answers_when_normalised_and_stripped(shared, tmp_path, target, file, expected):
    """Bit for bit, float16 parents included."""
    source = shared / "models" / f"{file}.tflite"
    changes = normalise(source, target)
    assert len(changes) == len(expected)
    assert all(change.startswith(start) for change, start in zip(changes, expected, strict=True))
    strip(target, tmp_path / "stripped.tflite")
    answers = run_net(source)
    assert equal(run_net(target), answers)
    assert equal(run_net(tmp_path / "stripped.tflite"), answers)


@pytest.mark.parametrize("form", ["old codes", "float16"])
def test_the_quantiser_does_nothing_before_and_its_work_after(tmp_path, target, form):
    """The reason for all of this; should the quantiser learn it, this module can go."""
    quantizer = pytest.importorskip("ai_edge_quantizer.quantizer", reason="needs edge-runtime[optimize]")
    recipe = pytest.importorskip("ai_edge_quantizer.recipe", reason="needs edge-runtime[optimize]")
    net = write_net(tmp_path / "net.tflite", float16=form == "float16")
    if form == "old codes":
        edit(net, use_old_codes)
    normalise(net, target)

    def types_after(path):
        quantized = path.with_name(f"quantized_{path.name}")
        tool = quantizer.Quantizer(str(path), recipe.dynamic_wi8_afp32())
        tool.quantize().export_model(str(quantized))
        return {weight.dtype for weight in weights(quantized)}

    assert "int8" not in types_after(net)
    assert "int8" in types_after(target)
