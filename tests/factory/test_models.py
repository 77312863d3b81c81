"""The written models do what their scripts say on the real interpreter that is installed."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import numpy as np
import pytest

from tests.factory.broken import BROKEN, NOT_A_MODEL, UNRESOLVED, write_broken
from tests.factory.engines import interpreter_module, open_interpreter, run_once
from tests.factory.metadata import embedded_metadata, ultralytics_dictionary
from tests.factory.models import (
    NAMELESS,
    SSD_ROLES,
    TF2_NAMES,
    TF2_SIGNATURE,
    Scripted,
    ssd_arrays,
    write_classifier,
    write_echo,
    write_model,
    write_postprocess_ssd,
    write_raw_ssd,
    write_ssd,
)

DTYPES = ("uint8", "int8", "int16", "float32")


def picture(shape, dtype, seed=0):
    low, high = (0, 256) if dtype == "uint8" else (-128, 128)
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_echo_returns_every_pixel_as_it_went_in(tmp_path, dtype):
    """With it a test sees what preprocessing really put into the tensor."""
    sent = picture((1, 4, 6, 3), dtype)
    (received,) = run_once(write_echo(tmp_path / "echo.tflite", (1, 4, 6, 3), dtype), sent)
    assert received.dtype == sent.dtype
    np.testing.assert_array_equal(received, sent)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 8, 6, 3), (1, 3, 8, 6)])
def test_scripted_outputs_come_out_whatever_goes_in(tmp_path, dtype, shape):
    """A test of the pipeline must know what the model finds, for every input type and axis order."""
    kinds = ("uint8", "int8", "int16", "int32", "int64", "float32")
    outputs = [Scripted(kind, np.arange(100, 110).astype(kind).reshape(1, 10)) for kind in kinds]
    path = write_model(tmp_path / "m.tflite", input_shape=shape, input_dtype=dtype, outputs=outputs)
    for seed in range(2):
        found = run_once(path, picture(shape, dtype, seed))
        for array, wanted in zip(found, outputs, strict=True):
            assert array.dtype == wanted.array.dtype
            np.testing.assert_array_equal(array, wanted.array)


def test_outputs_are_made_by_invoke_and_not_before(tmp_path):
    """Constants would come out without any node running, and an invoke that does nothing would pass."""
    values = np.linspace(3, 9, 10, dtype=np.float32).reshape(1, 10)
    interpreter = open_interpreter(write_model(tmp_path / "m.tflite", outputs=[Scripted("x", values)]))
    index = interpreter.get_output_details()[0]["index"]
    assert not np.array_equal(interpreter.get_tensor(index), values)
    interpreter.invoke()
    np.testing.assert_array_equal(interpreter.get_tensor(index), values)


def test_quantisation_and_signature_reach_the_interpreter(tmp_path):
    """Decoders read the scale of an output, roles the names in the signature."""
    output = Scripted("raw", np.zeros((1, 5), np.int8), (0.25, -7), "scores")
    path = write_model(
        tmp_path / "m.tflite", input_quantization=(0.5, 3), outputs=[output], signature="serving_default"
    )
    interpreter = open_interpreter(path)
    assert interpreter.get_input_details()[0]["quantization"] == (0.5, 3)
    assert interpreter.get_output_details()[0]["quantization"] == (0.25, -7)
    assert interpreter.get_signature_list()["serving_default"]["outputs"] == ["scores"]


@pytest.mark.parametrize("order", [SSD_ROLES, ("scores", "boxes", "count", "classes"), SSD_ROLES[::-1]])
def test_an_ssd_has_its_outputs_in_the_order_asked_for(tmp_path, order):
    """Exports differ in the order, so tests need every one."""
    path = write_ssd(tmp_path / "m.tflite", order=order, names=TF2_NAMES, signature_names=TF2_SIGNATURE, scores=(0.7,))
    wanted = ssd_arrays([(0.1, 0.2, 0.5, 0.6)], [0], [0.7])
    details = open_interpreter(path).get_output_details()
    assert [detail["name"] for detail in details] == [TF2_NAMES[role] for role in order]
    for role, array in zip(order, run_once(path, picture((1, 32, 32, 3), "uint8")), strict=True):
        np.testing.assert_array_equal(array, wanted[role])


def test_the_real_postprocess_operator_finds_what_is_scripted(tmp_path):
    """Its options and its missing shapes are what real files have."""
    boxes, classes, scores = [[0.1, 0.2, 0.5, 0.6], [0.5, 0.5, 0.9, 0.8]], [17, 0], [0.4, 0.9]
    path = write_postprocess_ssd(tmp_path / "m.tflite", boxes, classes, scores, rows=5)
    found = dict(zip(SSD_ROLES, run_once(path, picture((1, 32, 32, 3), "uint8")), strict=True))
    assert found["count"].tolist() == [2]
    assert found["classes"][0, :2].tolist() == [0, 17]
    np.testing.assert_allclose(found["scores"][0, :2], [0.9, 0.4], atol=1e-6)
    np.testing.assert_allclose(found["boxes"][0, :2], boxes[::-1], atol=1e-6)
    assert found["boxes"].shape == (1, 5, 4)


def test_a_raw_ssd_comes_with_its_anchors(tmp_path):
    """The anchors lie beside the model, as converters leave them."""
    encodings, scores = np.full((6, 4), 191, np.uint8), np.full((6, 3), 20, np.uint8)
    anchors = np.linspace(0, 1, 24).reshape(6, 4)
    path = write_raw_ssd(
        tmp_path / "raw.tflite", encodings, scores, encodings_quantization=(0.08, 191),
        scores_quantization=(1 / 256, 0), anchors=anchors,
    )  # fmt: skip
    found = run_once(path, picture((1, 32, 32, 3), "uint8"))
    np.testing.assert_array_equal(found[0][0], encodings)
    np.testing.assert_array_equal(found[1][0], scores)
    lines = (tmp_path / "raw_anchors.csv").read_text().splitlines()
    assert lines[0] == "ycenter,xcenter,height,width"
    np.testing.assert_allclose(np.loadtxt(lines[1:], delimiter=","), anchors, atol=1e-6)


def test_a_classifier_has_one_flat_output(tmp_path):
    """It is what people give by mistake."""
    (found,) = run_once(write_classifier(tmp_path / "c.tflite", best=7), picture((1, 32, 32, 3), "uint8"))
    assert found.shape == (1, 1001)
    assert found.argmax() == 7


def test_a_heavy_model_runs_its_convolutions(tmp_path):
    """Tests of shutdown need an invoke that takes a while, without sleeping."""
    outputs = [Scripted("x", np.ones((1, 2), np.float32))]
    path = write_model(tmp_path / "m.tflite", outputs=outputs, heavy=5)
    names = [step["op_name"] for step in open_interpreter(path)._get_ops_details()]
    assert names.count("CONV_2D") == 5
    (found,) = run_once(path, picture((1, 32, 32, 3), "uint8"))
    assert found.tolist() == [[1, 1]]


def test_metadata_and_packed_files_do_not_disturb_the_interpreter(tmp_path):
    """Both forms of metadata lie in or behind a model that must still run."""
    for packed in ({"labelmap.txt": "a\nb\n"}, ultralytics_dictionary(["a", "b"])):
        path = write_ssd(tmp_path / "m.tflite", metadata=embedded_metadata(), packed=packed, names=NAMELESS)
        assert len(run_once(path, picture((1, 32, 32, 3), "uint8"))) == 4
        with zipfile.ZipFile(path) as archive:
            assert archive.namelist() == list(packed)


@pytest.mark.parametrize("kind", NOT_A_MODEL)
def test_a_damaged_file_is_refused_by_the_engine(tmp_path, kind):
    """In a child process: the older engine may die of a damaged file instead of raising."""
    path = write_broken(kind, tmp_path / "m.tflite")
    code = f"import sys; from {interpreter_module()} import Interpreter; Interpreter(sys.argv[1]).allocate_tensors()"
    child = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, timeout=60, check=False)
    assert child.returncode != 0


@pytest.mark.parametrize("kind", UNRESOLVED)
def test_an_unknown_operator_fails_when_tensors_are_allocated(tmp_path, kind):
    """Loading such a file works, which is what makes the mistake hard to see."""
    with pytest.raises(RuntimeError, match="unresolved custom op"):
        open_interpreter(write_broken(kind, tmp_path / "m.tflite"))


@pytest.mark.parametrize("kind", sorted(set(BROKEN) - {*NOT_A_MODEL, *UNRESOLVED, "zero-sized"}))
def test_models_of_the_wrong_kind_are_valid_files(tmp_path, kind):
    """The engine accepts them; it is the runtime that must refuse them."""
    interpreter = open_interpreter(write_broken(kind, tmp_path / "m.tflite"))
    assert len(interpreter.get_output_details()) == 4
    shapes = [detail["shape"].tolist() for detail in interpreter.get_input_details()]
    wanted = {
        "two-inputs": [[1, 32, 32, 3], [1, 8, 8, 4]],
        "batch-of-two": [[2, 32, 32, 3]],
        "dynamic-shape": [[1, 1, 1, 3]],
    }
    assert shapes == wanted[kind]


def test_a_zero_sized_input_gets_past_the_engine(tmp_path):
    """No engine says that there is no pixel in it, so the runtime must."""
    interpreter = open_interpreter(write_broken("zero-sized", tmp_path / "m.tflite"))
    assert interpreter.get_input_details()[0]["shape"].tolist() == [1, 0, 32, 3]
