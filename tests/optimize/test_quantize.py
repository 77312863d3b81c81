"""Quantisation: what comes out is what was asked for, and what goes silently wrong elsewhere is an error here."""

from __future__ import annotations

import inspect as introspection
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

pytest.importorskip("ai_edge_quantizer", reason="the extra [optimize] is not installed")

from edge_runtime.errors import ConfigError, OptimizeError
from edge_runtime.model.flatbuffer import read_model
from edge_runtime.optimize import ranges as module
from edge_runtime.optimize.quantize import inspect, missing_int8, quantize
from edge_runtime.optimize.ranges import Ranges, mean_range, measure_ranges, output_chain
from edge_runtime.optimize.rules import Scheme, exactly, rules
from edge_runtime.optimize.weights import weights
from tests.optimize.graphs import edit, run_net, use_old_codes, write_net
from tests.optimize.material import write_detector

INT8 = Scheme("int8", "int8", "int8")


def inputs(count: int = 4, scale: float = 0.9) -> Iterator[NDArray[Any]]:
    """Yield inputs that never reach the ends of -1 to 1."""
    random = np.random.default_rng(0)
    for _ in range(count):
        yield random.uniform(-scale, scale, (1, 8, 8, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_net(tmp_path_factory.mktemp("net") / "net.tflite")


@pytest.fixture(scope="module")
def ranges(net: Path) -> Ranges:
    return measure_ranges(net, inputs(), (-1.0, 1.0))


def run_on(path: Path, tensor: NDArray[Any], name: str = "head") -> NDArray[Any]:
    """Return what a tensor of the model holds for this input."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        str(path),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensor)
    interpreter.invoke()
    index = next(one["index"] for one in interpreter.get_tensor_details() if one["name"] == name)
    found: NDArray[Any] = interpreter.get_tensor(index)
    return found


def kinds(path: Path) -> dict[str, str]:
    """Return layer -> how its weights are stored; biases and shapes are left out."""
    return {one.layer: one.dtype for one in weights(path) if "bias" not in one.name and len(one.shape) > 1}


def test_int8_weights_activations_and_ends_are_integers(net: Path, ranges: Ranges, tmp_path: Path) -> None:
    target = tmp_path / "q.tflite"
    found = quantize(net, target, INT8, ranges=ranges)
    assert (found.quantised, found.weighted, found.float_operators) == (4, 4, ())
    file = read_model(target)
    assert [one.dtype.name for one in (*file.inputs, *file.outputs)] == ["int8", "int8"]
    assert set(kinds(target).values()) == {"int8"}
    assert target.stat().st_size < net.stat().st_size / 2


def test_weights_have_a_scale_for_each_channel(net: Path, ranges: Ranges, tmp_path: Path) -> None:
    """One scale for all channels of a folded convolution loses the small ones."""
    from edge_runtime.optimize import modelfile

    target = tmp_path / "q.tflite"
    quantize(net, target, INT8, ranges=ranges)
    loaded = modelfile.load(target)
    scales = {
        modelfile.text(tensor.name): len(tensor.quantization.scale)
        for tensor in loaded.graph.tensors
        if tensor.quantization is not None and tensor.quantization.scale is not None
    }
    assert (scales["stem/weights"], scales["depthwise/weights"], scales["pointwise/weights"]) == (8, 8, 16)


@pytest.mark.parametrize(
    ("span", "scale", "zero_point"),
    [((0.0, 1.0), 1 / 255, -128), ((0.0, 255.0), 1.0, -128), ((-1.0, 1.0), 2 / 255, -1)],
)
def test_the_range_of_the_input_is_what_pixels_can_be(
    net: Path, tmp_path: Path, span: tuple[float, float], scale: float, zero_point: int
) -> None:
    """The pictures reach 0.9 only. From 0 to 1 the scale must be exactly 1/255, so that x - 128 is the pixel."""
    target = tmp_path / "q.tflite"
    quantize(net, target, INT8, ranges=measure_ranges(net, inputs(), span))
    quantization = read_model(target).inputs[0].quantization
    assert quantization is not None
    assert quantization.scale == np.float32(scale)
    assert abs(quantization.zero_point - zero_point) <= (span[0] < 0)


def test_ranges_do_not_depend_on_the_order_of_the_pictures(net: Path) -> None:
    """The package's moving average gives the first of ten pictures 63 % of the weight."""
    given = [*inputs(9, 0.1), np.ones((1, 8, 8, 3), np.float32)]
    one, other = (measure_ranges(net, order, (-1.0, 1.0)) for order in (given, given[::-1]))
    assert len(one) > 4
    for name, found in one.items():
        assert_allclose(found["max"], other[name]["max"], rtol=1e-4, atol=1e-5)
        assert_allclose(found["min"], other[name]["min"], rtol=1e-4, atol=1e-5)


def test_the_mean_of_ranges_weighs_each_the_same() -> None:
    found: dict[str, Any] = {"min": np.array(-1.0), "max": np.array(3.0)}
    for low, high in ((-3.0, 1.0), (-2.0, 5.0)):
        found = mean_range(found, {"min": np.array(low), "max": np.array(high)})
    assert (float(found["min"]), float(found["max"]), found["count"]) == (-2.0, 3.0, 3)
    assert (float(found["lowest"]), float(found["highest"])) == (-3.0, 5.0)


def test_outputs_are_not_clipped_to_the_mean(net: Path, tmp_path: Path) -> None:
    """The boxes of the largest things would come out too small, in every picture that shows one."""
    given = [*inputs(9, 0.1), *inputs(1, 1.0)]
    ranges = measure_ranges(net, given, (-1.0, 1.0))
    highest = max(answer.max() for answer in (run_on(net, one) for one in given))
    assert_allclose(float(np.max(ranges["head"]["max"])), highest, rtol=1e-4)
    assert float(np.max(ranges["stem"]["max"])) < 0.9 * max(run_on(net, one, "stem").max() for one in given)


def test_tensors_that_only_move_to_an_output_belong_to_it(tmp_path: Path) -> None:
    """A reshape has the scale of its input, so that is where clipping would happen."""
    found = output_chain(write_detector(tmp_path / "m.tflite"))
    assert {"boxes", "boxes/grid", "scores", "scores/grid"} <= found
    assert "image" not in found


def test_calibration_runs_on_one_thread(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package takes 16 by default, on a machine that may have four."""
    from ai_edge_quantizer.quantizer import Quantizer

    seen: list[int] = []
    real = module.calibrator.Calibrator

    def watched(*args: Any, **options: Any) -> Any:
        seen.append(options["num_threads"])
        return real(*args, **options)

    assert introspection.signature(Quantizer.calibrate).parameters["num_threads"].default > 1
    monkeypatch.setattr(module, "calibrator", SimpleNamespace(Calibrator=watched))
    measure_ranges(net, inputs(1), (-1.0, 1.0))
    assert seen == [1]


def test_no_picture_at_all_is_an_error(net: Path) -> None:
    with pytest.raises(OptimizeError, match="no picture at all"):
        measure_ranges(net, (), (-1.0, 1.0))


@pytest.mark.parametrize(("io", "dtype"), [("int8", "int8"), ("uint8", "uint8"), ("float", "float32")])
def test_input_and_outputs_are_of_the_type_asked_for(
    net: Path, ranges: Ranges, tmp_path: Path, io: str, dtype: str
) -> None:
    target = tmp_path / "q.tflite"
    quantize(net, target, Scheme("int8", "int8", io), ranges=ranges)
    file = read_model(target)
    assert {one.dtype.name for one in (*file.inputs, *file.outputs)} == {dtype}


def test_dynamic_never_touches_depthwise_convolutions(net: Path, tmp_path: Path) -> None:
    """Quantised this way they leave the fast path of the engine, 2.8 times slower, whatever a recipe says."""
    target = tmp_path / "q.tflite"
    quantize(net, target, Scheme("int8"))
    assert kinds(target) == {"stem": "int8", "depthwise": "float32", "pointwise": "int8", "head": "int8"}


def test_float16_halves_the_weights_and_keeps_the_answers(net: Path, tmp_path: Path) -> None:
    target = tmp_path / "q.tflite"
    quantize(net, target, Scheme("float16"))
    assert target.stat().st_size < 0.7 * net.stat().st_size
    assert_allclose(run_net(target)[0], run_net(net)[0], rtol=1e-2, atol=1e-2)


def test_int16_activations_are_closer_than_int8(net: Path, ranges: Ranges, tmp_path: Path) -> None:
    expected, errors = run_net(net)[0], []
    for activations in ("int8", "int16"):
        target = tmp_path / f"{activations}.tflite"
        quantize(net, target, Scheme("int8", activations, "float"), ranges=ranges)
        errors.append(np.abs(run_net(target)[0] - expected).max())
    assert errors[1] < errors[0] < 0.4 * np.abs(expected).max()


def test_layers_and_operators_stay_float_by_name(net: Path, ranges: Ranges, tmp_path: Path) -> None:
    target = tmp_path / "q.tflite"
    found = quantize(net, target, Scheme("int8", "int8", "int8", float_layers=(exactly(["stem"]),)), ranges=ranges)
    assert kinds(target)["stem"] == "float32"
    assert (found.quantised, found.float_operators) == (3, (("CONV_2D", 1),))
    quantize(net, target, Scheme("int8", "int8", "int8", float_operators=("CONV_2D",)), ranges=ranges)
    assert kinds(target) == {"stem": "float32", "depthwise": "int8", "pointwise": "float32", "head": "int8"}


@pytest.mark.parametrize(
    ("scheme", "answer"),
    [
        (
            Scheme("int8", float_operators=("CONV",)),
            "'CONV' is not in this model; its operators are CONV_2D, DEPTHWISE",
        ),
        (Scheme("int8", float_layers=("stm",)), "'stm' is found in no name of a layer; there is stem, depthwise"),
        (Scheme("int8", float_layers=("(",)), r"'\(' is no regular expression"),
    ],
)
def test_what_is_to_stay_float_must_be_there(net: Path, tmp_path: Path, scheme: Scheme, answer: str) -> None:
    """A mistyped name would quantise the very layer that was to stay as it is."""
    with pytest.raises(ConfigError, match=answer):
        quantize(net, tmp_path / "q.tflite", scheme)


def test_a_name_is_meant_as_a_whole() -> None:
    """Layers are called conv_1 and conv_10."""
    import re

    assert re.search(exactly(["conv_1"]), "conv_1;")
    assert not re.search(exactly(["conv_1"]), "conv_10;")
    assert not re.search(exactly(["conv_1"]), "my/conv_1;".replace("/", "_"))
    assert not re.search(exactly(["a.b"]), "axb;")


def test_a_file_from_before_2020_is_not_handed_on_unchanged(tmp_path: Path) -> None:
    """Its operator codes stand in the old field, and the package finds nothing to do, without a word."""
    old = edit(write_net(tmp_path / "old.tflite"), use_old_codes)
    with pytest.raises(OptimizeError, match="changed nothing"):
        quantize(old, tmp_path / "q.tflite", Scheme("int8"))


def test_a_float16_file_is_not_handed_on_unchanged(tmp_path: Path) -> None:
    half = write_net(tmp_path / "half.tflite", float16=True)
    with pytest.raises(OptimizeError, match="changed nothing"):
        quantize(half, tmp_path / "q.tflite", Scheme("float16"))


def test_activations_without_calibration_are_an_error(net: Path, tmp_path: Path) -> None:
    with pytest.raises(OptimizeError, match="need calibration; give pictures"):
        quantize(net, tmp_path / "q.tflite", INT8)


def test_what_the_package_raises_is_one_line_of_ours(net: Path, tmp_path: Path) -> None:
    with pytest.raises(OptimizeError, match="ai-edge-quantizer cannot quantise it") as caught:
        quantize(net, tmp_path / "q.tflite", INT8, ranges={"image": {}})
    assert "\n" not in str(caught.value)


def test_operators_without_an_integer_form_are_named() -> None:
    """They stay float in the middle of a quantised model, and each boundary costs a conversion."""
    given = ["CONV_2D", "SQUEEZE", "LEAKY_RELU", "PRELU", "ADD", "RELU6", "EXP", "DEPTH_TO_SPACE", "TRANSPOSE_CONV",
             "TFLite_Detection_PostProcess", "SQUEEZE", "QUANTIZE"]  # fmt: skip
    assert missing_int8(given) == (
        "SQUEEZE", "LEAKY_RELU", "PRELU", "RELU6", "EXP", "DEPTH_TO_SPACE", "TFLite_Detection_PostProcess",
    )  # fmt: skip


def test_no_rule_has_four_bits() -> None:
    for scheme in (INT8, Scheme("int8"), Scheme("float16"), Scheme("int8", "int16")):
        for rule in rules(scheme):
            assert rule["op_config"].get("weight_tensor_config", {}).get("num_bits") in (None, 8, 16)


def test_nothing_is_printed(net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The package draws bars and prints a report; stdout is for the table or JSON alone."""
    quantize(net, tmp_path / "q.tflite", INT8, ranges=measure_ranges(net, inputs(1), (-1.0, 1.0)))
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_quantised_file_tells_what_is_quantised_in_it(net: Path) -> None:
    assert inspect(net).quantised == 0
    assert dict(inspect(net).float_operators) == {
        "CONV_2D": 2,
        "DEPTHWISE_CONV_2D": 1,
        "FULLY_CONNECTED": 1,
        "RESHAPE": 1,
    }
