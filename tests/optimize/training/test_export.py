"""A torch module as a .tflite file: named, checked, whole; and integers as training imagined them."""

from __future__ import annotations

# ruff: noqa: E402 (what needs torch comes after the question whether it is there)
import warnings
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'edge-runtime[train]'")
pytest.importorskip("ai_edge_quantizer", reason="not installed: pip install 'edge-runtime[optimize]'")
if not __import__("importlib.util").util.find_spec("litert_torch"):
    pytest.skip("litert-torch is not installed: pip install 'edge-runtime[train]'", allow_module_level=True)

from ai_edge_litert.interpreter import Interpreter
from torch import nn

from edge_runtime.errors import OptimizeError, OutputError
from edge_runtime.optimize.training.export import export
from edge_runtime.optimize.training.finetune import finetune
from edge_runtime.optimize.training.techniques import Qat
from tests.optimize.training import nets

SAMPLE = (1, 3, nets.SIDE, nets.SIDE)
SIDECAR = 'decoder = "fcos"\n'


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(
        nets.detector(),
        torch.rand(SAMPLE, generator=torch.Generator().manual_seed(3)),
        tmp_path_factory.mktemp("exported") / "net.tflite",
        output_names=("boxes", "scores"),
        sidecar=SIDECAR,
    )


def outputs_of(path: Path, image: np.ndarray) -> dict[str, np.ndarray]:
    runner = Interpreter(str(path), num_threads=1).get_signature_runner()
    return dict(runner(image=image))


def test_a_file_computes_what_the_module_does(exported: Path) -> None:
    """Channels last in, the same numbers out, under the names that were asked for."""
    x = torch.rand(SAMPLE, generator=torch.Generator().manual_seed(4))
    found = outputs_of(exported, x.permute(0, 2, 3, 1).contiguous().numpy())
    for name, wanted in zip(("boxes", "scores"), nets.detector()(x), strict=True):
        np.testing.assert_allclose(found[name], wanted.detach().numpy(), atol=1e-4)


def test_tensors_and_signature_bear_the_names(exported: Path) -> None:
    """Roles are recognised by name; tools that know no signature see the tensors' own."""
    interpreter = Interpreter(str(exported))
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["image"], "outputs": ["boxes", "scores"]}
    }
    assert [one["name"] for one in interpreter.get_output_details()] == ["boxes", "scores"]
    assert interpreter.get_input_details()[0]["name"] == "image"


def test_the_sidecar_is_inside(exported: Path) -> None:
    """One file is copied to the board, and it says how it is to be decoded."""
    with ZipFile(exported) as archive:
        assert archive.read("edge-runtime.toml").decode() == SIDECAR


def test_no_operator_is_left_that_a_kernel_could_have_taken_in(exported: Path) -> None:
    """Batch norms, activations and changes of layout cost time on the board if the converter leaves them."""
    interpreter = Interpreter(str(exported))
    names = {one["op_name"] for one in interpreter._get_ops_details()}
    assert not names & {"MUL", "RELU6", "SUB"}
    assert {"CONV_2D", "ADD", "LOGISTIC", "RESIZE_NEAREST_NEIGHBOR"} <= names


def test_a_file_that_is_there_is_kept(exported: Path) -> None:
    """It may be the only copy of a model that took a night."""
    before = exported.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        export(nets.detector(), torch.rand(SAMPLE), exported)
    assert exported.read_bytes() == before


def test_a_wrong_number_of_names_writes_nothing(tmp_path: Path) -> None:
    """Scores taken for boxes would show only on the board."""
    with pytest.raises(OptimizeError, match=r"output_names: \['boxes'\] for 2 outputs"):
        export(nets.detector(), torch.rand(SAMPLE), tmp_path / "net.tflite", output_names=("boxes",))
    assert not list(tmp_path.iterdir())


def test_more_than_one_picture_is_refused(tmp_path: Path) -> None:
    """The runtime feeds one picture at a time."""
    with pytest.raises(OptimizeError, match=r"sample: has shape \(2, 3, 8, 8\)"):
        export(nets.detector(), torch.rand(2, *SAMPLE[1:]), tmp_path / "net.tflite")


def test_an_unknown_layout_is_refused(tmp_path: Path) -> None:
    """An error lists what there is."""
    with pytest.raises(OptimizeError, match="'chw' is unknown; choose from nhwc, nchw"):
        export(nets.detector(), torch.rand(SAMPLE), tmp_path / "net.tflite", input_layout="chw")


class Named(nn.Module):
    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"boxes": x}


def test_outputs_without_an_order_are_refused(tmp_path: Path) -> None:
    """Names are given by position."""
    with pytest.raises(OptimizeError, match="returns dict"):
        export(Named(), torch.rand(SAMPLE), tmp_path / "net.tflite")


class Branching(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1 if x.sum() > 0 else x


def test_what_the_converter_refuses_is_one_line_and_no_file(tmp_path: Path) -> None:
    """Its own report runs over a hundred lines."""
    with pytest.raises(OptimizeError, match="Branching: cannot be converted") as caught:
        export(Branching(), torch.rand(SAMPLE), tmp_path / "net.tflite", input_layout="nchw")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_integers_are_what_training_imagined(tmp_path: Path) -> None:
    """Fake quantisation is of use only if the kernels round in the same places: boxes within few steps."""
    from ai_edge_quantizer import quantizer, recipe

    from edge_runtime.optimize.training.fake_quant import Quantising

    images = list(nets.pictures())
    tuned = finetune(nets.detector(), nets.pictures, nets.pull, techniques=[Qat(methods=("raw",))], epochs=2)
    path = export(tuned, images[0][:1], tmp_path / "net.tflite", output_names=("boxes", "scores"))
    quantising = quantizer.Quantizer(str(path))
    quantising.load_quantization_recipe(recipe.static_wi8_ai8())
    given = [{"image": one[None].permute(0, 2, 3, 1).contiguous().numpy()} for batch in images for one in batch]
    small = tmp_path / "int8.tflite"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks into every tensor, and is warned that this takes memory
        ranges = quantising.calibrate({"serving_default": given * 20}, num_threads=1)
        quantising.quantize(ranges).export_model(str(small))

    Quantising(tuned.train(), Qat())
    with torch.no_grad():
        for _ in range(100):
            for batch in images:
                tuned(batch)
        tuned.eval()
        imagined = tuned(images[0][:1])
    interpreter = Interpreter(str(small), num_threads=1)
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]
    scale, zero = entry["quantization"]
    pixels = images[0][:1].permute(0, 2, 3, 1).numpy()
    interpreter.set_tensor(entry["index"], np.clip(np.round(pixels / scale) + zero, -128, 127).astype(np.int8))
    interpreter.invoke()
    for detail, wanted in zip(interpreter.get_output_details(), imagined, strict=True):
        scale, zero = detail["quantization"]
        found = (interpreter.get_tensor(detail["index"]).astype(np.float32) - zero) * scale
        apart = np.abs(found - wanted.numpy())
        assert float(np.median(apart)) <= scale
        assert float(apart.max()) <= 4 * scale


def test_a_module_trained_with_channels_last_computes_the_same(tmp_path: Path) -> None:
    """Training on a CPU wants that layout of the weights; the converter takes them for rows and scrambles them."""
    x = torch.rand(SAMPLE, generator=torch.Generator().manual_seed(4))
    module = nets.detector()
    file = export(module.to(memory_format=torch.channels_last), x, tmp_path / "net.tflite", output_names=("b", "s"))
    found = outputs_of(file, x.permute(0, 2, 3, 1).contiguous().numpy())
    for name, wanted in zip(("b", "s"), module(x), strict=True):
        np.testing.assert_allclose(found[name], wanted.detach().numpy(), atol=1e-4)
