"""The interpreter as a backend, on the engine that is installed."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from edge_runtime.errors import InvokeError, ModelError
from edge_runtime.inference import Quantization, TensorSpec
from edge_runtime.inference.agreement import Ranked
from edge_runtime.inference.engine import MAX_MESSAGE, load_engine
from edge_runtime.inference.select import open_backend
from edge_runtime.inference.tflite import TfliteBackend, open_cpu
from tests.factory.broken import NOT_A_MODEL, UNRESOLVED, write_broken
from tests.factory.graph import Graph
from tests.factory.models import TF2_NAMES, TF2_SIGNATURE, Scripted, write_echo, write_model, write_ssd

LAYOUTS = {"NHWC": (1, 4, 6, 3), "NCHW": (1, 3, 4, 6)}
INTEGERS = ("uint8", "int8", "int16")
ENGINE = load_engine()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "m.tflite"


def pixels(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    """Return values over the whole range of an integer type, or around zero for floats."""
    random = np.random.default_rng(seed)
    if dtype.startswith("float"):
        return random.normal(size=shape).astype(dtype)
    limits = np.iinfo(dtype)
    return random.integers(limits.min, limits.max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("dtype", [*INTEGERS, "float16", "float32"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_type_and_layout_goes_in_and_comes_out_bit_for_bit(model: Path, dtype: str, layout: str) -> None:
    """Each of these exists among the models people have; none may be cast on the way."""
    shape = LAYOUTS[layout]
    backend = open_cpu(write_echo(model, shape, dtype))
    assert [(one.name, one.shape, one.dtype) for one in backend.inputs] == [("image", shape, np.dtype(dtype))]
    for seed in range(2):
        sent = pixels(shape, dtype, seed)
        (received,) = backend.invoke([sent])
        assert received.dtype == sent.dtype
        assert_array_equal(received, sent)


@pytest.mark.parametrize("dtype", [*INTEGERS, "int32", "int64", "float32"])
def test_every_type_of_output_comes_out_as_it_is_stored(model: Path, dtype: str) -> None:
    """Decoders compare stored values: nothing may be dequantised before they see it."""
    values = np.arange(90, 110).astype(dtype).reshape(1, 5, 4)
    backend = open_cpu(write_model(model, outputs=[Scripted("x", values, (0.5, 3) if dtype in INTEGERS else None)]))
    (found,) = backend.invoke([pixels((1, 32, 32, 3), "uint8")])
    assert found.dtype == values.dtype
    assert_array_equal(found, values)


def test_a_spec_tells_name_shape_type_and_scale(model: Path) -> None:
    """Everything after the backend believes these and asks no engine again."""
    output = Scripted("raw", np.zeros((1, 5), np.int8), (0.25, -7))
    backend = open_cpu(write_model(model, input_quantization=(0.5, 3), outputs=[output]))
    assert backend.inputs == (TensorSpec("image", (1, 32, 32, 3), np.dtype("uint8"), Quantization(0.5, 3)),)
    assert backend.outputs == (TensorSpec("raw", (1, 5), np.dtype("int8"), Quantization(0.25, -7)),)
    assert all(type(side) is int for side in backend.inputs[0].shape)


def test_a_float_tensor_has_no_scale(model: Path) -> None:
    """A scale of zero would divide by zero later."""
    backend = open_cpu(write_ssd(model, input_dtype="float32"))
    assert {spec.quantization for spec in (*backend.inputs, *backend.outputs)} == {None}


def test_outputs_carry_their_names_in_the_signature(model: Path) -> None:
    """In a TF2 export the signature alone says which output is what, and its order is not that of the file."""
    order = ("scores", "boxes", "count", "classes")
    backend = open_cpu(write_ssd(model, order=order, names=TF2_NAMES, signature_names=TF2_SIGNATURE))
    assert [one.name for one in backend.outputs] == [TF2_NAMES[role] for role in order]
    assert [one.signature_name for one in backend.outputs] == [TF2_SIGNATURE[role] for role in order]
    assert backend.inputs[0].signature_name == "image"


def test_a_model_without_a_signature_has_no_signature_names(model: Path) -> None:
    backend = open_cpu(write_ssd(model))
    assert {one.signature_name for one in (*backend.inputs, *backend.outputs)} == {None}


def test_a_signature_without_a_name_is_passed_over(model: Path) -> None:
    """Some converters leave the key empty, and the engines cannot look into those: no reason to refuse the model."""
    backend = open_cpu(write_ssd(model, signature=""))
    assert backend.outputs[0].signature_name is None
    assert len(backend.invoke([pixels((1, 32, 32, 3), "uint8")])) == 4


GOOD = np.zeros((1, 4, 6, 3), np.uint8)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([], "got 0 inputs, allowed is 1"),
        ([GOOD, GOOD], "got 2 inputs, allowed is 1"),
        ([GOOD[0]], "Got 3 but expected 4"),
        ([GOOD[:, :2]], "Got 2 but expected 4 for dimension 1"),
        ([GOOD.astype(np.float32)], "FLOAT32 but expected type UINT8"),
        ([GOOD.astype(np.int8)], "INT8 but expected type UINT8"),
        ([None], "expected type UINT8"),
    ],
    ids=["none", "two", "three-sides", "too-small", "float", "int8", "no-array"],
)
def test_wrong_inputs_are_one_line_with_both_sides_of_the_mistake(model: Path, inputs: list, said: str) -> None:
    """And the backend goes on: one bad frame is no reason to open the model again."""
    backend = open_cpu(write_echo(model))
    with pytest.raises(InvokeError, match=said) as caught:
        backend.invoke(inputs)
    assert str(caught.value).startswith("m.tflite: ")
    assert "\n" not in str(caught.value)
    assert_array_equal(backend.invoke([GOOD + 7])[0], GOOD + 7)


def test_arrays_in_any_memory_order_are_read_right(model: Path) -> None:
    """A mirrored or transposed view is not laid out as the tensor is."""
    picture = pixels((1, 4, 6, 3), "uint8")
    backend = open_cpu(write_echo(model))
    for view in (picture[:, :, ::-1], picture[..., ::-1], np.asfortranarray(picture)):
        assert_array_equal(backend.invoke([view])[0], view)


def test_an_output_that_is_kept_stays_as_it_was_and_hinders_nothing(model: Path) -> None:
    """A view into the engine's memory would change with the next frame, or make the next invoke raise."""
    backend = open_cpu(write_echo(model))
    kept = [backend.invoke([GOOD + step])[0] for step in range(3)]
    assert [int(one[0, 0, 0, 0]) for one in kept] == [0, 1, 2]
    kept[0][:] = 99
    assert_array_equal(backend.invoke([GOOD + 5])[0], GOOD + 5)


def test_an_input_may_be_overwritten_after_the_invoke(model: Path) -> None:
    """The preprocessor has one buffer for all frames."""
    backend, buffer = open_cpu(write_echo(model)), GOOD.copy()
    (first,) = backend.invoke([buffer])
    buffer[:] = 200
    assert_array_equal(first, GOOD)


def test_invoke_after_close_says_so(model: Path) -> None:
    """At shutdown a late frame may still arrive."""
    backend = open_cpu(write_echo(model))
    facts = backend.describe(), backend.outputs
    backend.close()
    backend.close()
    with pytest.raises(InvokeError, match=r"m\.tflite: invoke after close"):
        backend.invoke([GOOD])
    assert (backend.describe(), backend.outputs) == facts


def test_close_lets_go_of_the_interpreter_at_once(model: Path) -> None:
    """A device is free for the next one when its interpreter is gone, and not when the collector comes by."""
    backend = open_cpu(write_echo(model))
    interpreter = weakref.ref(backend._interpreter)
    gc.disable()
    try:
        backend.close()
        assert interpreter() is None
    finally:
        gc.enable()


def test_a_refused_model_leaves_no_interpreter_behind(model: Path) -> None:
    """A cycle through the error would keep a device busy until the collector comes by."""
    engine, made = load_engine(), []

    def remembering(**options: Any) -> Any:
        interpreter = engine.interpreter(**options)
        made.append(weakref.ref(interpreter))
        return interpreter

    write_broken("unknown-custom-op", model)
    gc.disable()
    try:
        with pytest.raises(ModelError):
            TfliteBackend("cpu", model, replace(engine, interpreter=remembering), num_threads=1)
        assert [interpreter() for interpreter in made] == [None]
    finally:
        gc.enable()


def test_a_float_model_is_counted_node_by_node(model: Path) -> None:
    """Two additions of floats run on XNNPACK, the casts between them do not."""
    graph = Graph()
    first, second = graph.tensor("first", (1, 4), "float32"), graph.tensor("second", (1, 4), "float32")
    whole, real = graph.tensor("whole", (1, 4), "int32"), graph.tensor("real", (1, 4), "float32")
    end, one = graph.tensor("end", (1, 4), "float32"), graph.constant("one", [1.0], "float32")
    graph.operator("ADD", [first, one], [second])
    graph.operator("CAST", [second], [whole])
    graph.operator("CAST", [whole], [real])
    graph.operator("ADD", [real, one], [end])
    graph.set_ends([first], [end])
    info = open_cpu(graph.write(model), num_threads=2).describe()
    assert (info.delegate, info.nodes, info.delegated_nodes) == ("XNNPACK", 4, 2)
    assert str(info) == f"cpu on {ENGINE.name} {ENGINE.version}, 2 threads, XNNPACK runs 2 of 4 nodes"


def test_a_node_that_no_output_needs_is_not_said_to_be_delegated(model: Path) -> None:
    """Models whose last operator was cut off have such leftovers."""
    graph = Graph()
    start, end = graph.tensor("start", (1, 4), "float32"), graph.tensor("end", (1, 4), "float32")
    leftover = graph.tensor("leftover", (1, 4), "int32")
    graph.operator("CAST", [start], [leftover])
    graph.operator("ADD", [start, graph.constant("one", [1.0], "float32")], [end])
    graph.set_ends([start], [end])
    info = open_cpu(graph.write(model)).describe()
    assert (info.nodes, info.delegated_nodes) == (2, 1)


def test_a_quantised_model_is_on_xnnpack_in_litert_alone(model: Path) -> None:
    """tflite-runtime says in its log that XNNPACK is there, and then runs quantised models without it."""
    info = open_cpu(write_echo(model, dtype="int8")).describe()
    expected = ("XNNPACK", 1) if ENGINE.name == "litert" else (None, 0)
    assert (info.nodes, info.delegate, info.delegated_nodes) == (1, *expected)
    assert (str(info).endswith("no delegate")) == (ENGINE.name == "tflite-runtime")


def write_failing(path: Path) -> Path:
    """Write a model that opens and then fails in each invoke but those of the pixels 2, 2."""
    graph = Graph()
    source, shape = graph.tensor("image", (2,), "uint8"), graph.tensor("shape", (2,), "int32")
    end = graph.tensor("end", (2, 2), "float32")
    graph.operator("CAST", [source], [shape])
    graph.operator("RESHAPE", [graph.constant("four", np.ones(4), "float32"), shape], [end])
    graph.set_ends([source], [end])
    return graph.write(path)


def test_a_failed_invoke_is_one_bounded_line_however_often_it_fails(model: Path) -> None:
    """The engines append each failure to the text of the last, without end."""
    backend = open_cpu(write_failing(model))
    for _ in range(50):
        with pytest.raises(InvokeError, match=r"m\.tflite: invoke failed on .*num_input_elements") as caught:
            backend.invoke([np.zeros(2, np.uint8)])
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < MAX_MESSAGE + 100
    assert backend.invoke([np.full(2, 2, np.uint8)])[0].tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize("kind", [*NOT_A_MODEL, *UNRESOLVED])
def test_a_model_no_engine_takes_is_one_line_that_names_the_file(tmp_path: Path, model: Path, kind: str) -> None:
    """tflite-runtime dies of some of these, so they are opened as a user would open them, through the probe."""
    with pytest.raises(ModelError) as caught:
        open_backend(write_broken(kind, model), num_threads=1, cache=tmp_path / "cache")
    assert str(caught.value).startswith(f"{model}: ")
    assert "\n" not in str(caught.value)
    assert ("edgetpu" in kind) == ("Edge TPU" in str(caught.value))
    assert not (tmp_path / "cache").exists()


@pytest.mark.skipif(ENGINE.name != "litert", reason="tflite-runtime may die of a damaged file")
@pytest.mark.parametrize("kind", NOT_A_MODEL)
def test_litert_raises_for_a_damaged_file(model: Path, kind: str) -> None:
    """So it needs no probe, which would cost each first start half a second."""
    with pytest.raises(ModelError, match=r"m\.tflite: the engine refuses this file"):
        open_cpu(write_broken(kind, model))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent\.tflite: "):
        open_backend(tmp_path / "absent.tflite", num_threads=1, cache=tmp_path / "cache")


@pytest.mark.parametrize("name", ["shapes.tflite", "shapes.float16.tflite", "shapes.int8.tflite"])
def test_the_share_of_xnnpack_is_counted_for_float_and_quantised_models(name: str) -> None:
    """Without XNNPACK an int8 model takes nine times as long; tflite-runtime has it for float models only."""
    info = open_cpu(Path(__file__).parents[2] / "models" / name).describe()
    if ENGINE.name == "litert" or "int8" not in name:
        assert (info.delegate, info.delegated_nodes) == ("XNNPACK", info.nodes - 1)  # all but one
    else:
        assert (info.delegate, info.delegated_nodes) == (None, 0)


def test_built_in_post_processing_is_found_with_its_outputs(shared: Path) -> None:
    """Its rows are in the order of their scores and cannot be compared one by one."""
    assert open_cpu(shared / "models/detect.tflite").ranked == Ranked(boxes=0, classes=1, scores=2)
    assert open_cpu(shared / "models/ssd_mobilenet_v1_coco_quant_raw.tflite").ranked is None
