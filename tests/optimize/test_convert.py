"""Models of other frameworks: what becomes a file, what is turned, and what is refused before it is one."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="converted models are read and run by ai-edge-litert")
pytest.importorskip("ai_edge_quantizer", reason="the extra [optimize] is not installed")

from edge_runtime.capture.images import read_image
from edge_runtime.cli import run_command
from edge_runtime.errors import ConfigError, ModelError, OptimizeError, OutputError
from edge_runtime.model.flatbuffer import read_model
from edge_runtime.model.sidecar import load_sidecar
from edge_runtime.optimize import onnxfile
from edge_runtime.optimize.convert import convert, is_foreign, keep
from edge_runtime.optimize.original import Array, Original, fixed_shape, samples
from tests.factory.graph import Graph
from tests.optimize.onnx_bytes import write_onnx

FIRST, LAST = (1, 3, 8, 6), (1, 8, 6, 3)  # channels first, and last


@pytest.fixture(autouse=True)
def unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give each test its own folder for unfinished work, and see that nothing stays in it."""
    folder = tmp_path / "unfinished"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert [one for one in folder.iterdir() if not one.name.startswith("torchinductor")] == []  # torch's own, kept


def doubling(path: Path, *, factor: float = 2.0, custom: bool = False, outputs: int = 1) -> Path:
    """Write what a converter makes of a model that doubles its input: channels last at both ends."""
    graph = Graph()
    image = graph.tensor("image", LAST, "float32")
    ends = [graph.tensor("twice" if not number else f"twice{number}", LAST, "float32") for number in range(outputs)]
    for end in ends:
        if custom:
            graph.custom("ONNX_UNIQUE", [image], [end], {})
        else:
            graph.operator("MUL", [image, graph.constant("factor", [factor], "float32")], [end])
    graph.set_ends([image], ends)
    graph.write(path)
    return path


@pytest.fixture
def original(tmp_path: Path) -> Original:
    (tmp_path / "net.onnx").write_bytes(b"open already")
    made = doubling(tmp_path / "made.tflite").read_bytes()
    return Original(
        framework="Numbers",
        converter="by hand",
        input_name="pixels",
        input_shape=FIRST,
        output_names=("doubled",),
        answer=lambda tensor: [tensor * 2],
        convert=lambda _: made,
    )


def run(path: Path, tensor: Array) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensor)
    interpreter.invoke()
    found: np.ndarray = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return found


def test_what_is_kept_has_the_names_and_the_output_shape_of_the_original(original: Original, tmp_path: Path) -> None:
    """The converter left channels last in the output, too: a decoder would read rows for columns."""
    made = keep(original, tmp_path / "net.onnx", tmp_path / "out")
    file = read_model(made.path)
    assert made.path == tmp_path / "out" / "net.tflite"
    assert [(one.name, one.signature_name, one.shape) for one in (*file.inputs, *file.outputs)] == [
        ("pixels", "pixels", LAST),
        ("doubled", "doubled", FIRST),
    ]
    tensor = np.random.default_rng(1).random(LAST, np.float32)
    assert np.array_equal(run(made.path, tensor), tensor.transpose(0, 3, 1, 2) * 2)
    assert (made.difference, made.tried, made.size_bytes) == (0.0, 6, made.path.stat().st_size)
    assert made.magnitude == 510.0


def test_an_output_that_is_laid_out_alike_is_left_alone(original: Original, tmp_path: Path) -> None:
    last = replace(original, input_shape=LAST)
    assert read_model(keep(last, tmp_path / "net.onnx", tmp_path / "out").path).operators == ("MUL",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"answer": lambda tensor: [tensor * 2.01]}, r"'doubled': differs from Numbers by 2\.55 where it reaches 513"),
        ({"answer": lambda tensor: [np.full(FIRST, np.nan, np.float32)]}, "differs from Numbers by nan"),
        ({"answer": lambda tensor: [tensor[:, :2]]}, r"has the shape \[1, 8, 6, 3\], in Numbers \[1, 2, 8, 6\]"),
        ({"answer": lambda tensor: [tensor * 2, tensor], "output_names": ("a", "b")}, "1 inputs and 1 outputs; wanted"),
    ],
)
def test_what_answers_otherwise_is_not_kept(
    original: Original, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    """A converter that takes one operator for another says nothing; the file would find nonsense on a board."""
    with pytest.raises(OptimizeError, match=said):
        keep(replace(original, **change), tmp_path / "net.onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_difference_on_one_input_alone_is_enough(original: Original, tmp_path: Path) -> None:
    def answer(tensor: Array) -> list[Array]:
        return [tensor * 2 if tensor.max() > 1 else tensor * 2 + 0.1]

    with pytest.raises(OptimizeError, match=r"differs from Numbers by 0\.1 where it reaches [12]\.\d"):
        keep(replace(original, answer=answer), tmp_path / "net.onnx", tmp_path / "out")


def test_the_sidecar_goes_along_with_the_files_it_names(original: Original, tmp_path: Path) -> None:
    """The variants are read by it, and it is looked for beside the .tflite."""
    (tmp_path / "names.txt").write_text("cup\n")
    (tmp_path / "net.toml").write_text('decoder = "fcos"\nstrides = [8]\nlabels = "names.txt"\n')
    made = keep(original, tmp_path / "net.onnx", tmp_path / "out")
    sidecar = load_sidecar(made.path)
    assert sidecar is not None
    assert (sidecar.decoder, sidecar.labels and sidecar.labels.names) == ("fcos", ("cup",))


def test_a_sidecar_that_lies_there_already_is_left_alone(original: Original, tmp_path: Path) -> None:
    sidecar = tmp_path / "net.toml"
    sidecar.write_text('color = "bgr"  # as trained\n')
    keep(original, tmp_path / "net.onnx", tmp_path)
    assert sidecar.read_text() == 'color = "bgr"  # as trained\n'


@pytest.mark.parametrize("name", ["net.tflite", "net.toml"])
def test_a_file_in_the_way_is_an_error_and_stays(original: Original, tmp_path: Path, name: str) -> None:
    (tmp_path / "net.toml").write_text('color = "bgr"\n')
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("mine")
    with pytest.raises(OutputError, match=f"{name}: exists; add --overwrite"):
        keep(original, tmp_path / "net.onnx", out)
    assert [(one.name, one.read_text()) for one in out.iterdir()] == [(name, "mine")]
    assert keep(original, tmp_path / "net.onnx", out, overwrite=True).path.stat().st_size > 4


@pytest.mark.parametrize(
    ("found", "given", "error", "said"),
    [
        ((1, 3, "h", "w"), None, ConfigError, r"has the shape \[1, 3, \?, \?\], .* --input-shape 1,3,416,416"),
        ((1, 3, 32, 32), (1, 3, 64, 64), ConfigError, r"does not fit net.onnx, whose input is \[1, 3, 32, 32\]"),
        ((1, 3, None, None), (1, 3, 64), ConfigError, "1,3,64 does not fit"),
        ((2, 3, 32, 32), None, ModelError, r"shape \[2, 3, 32, 32\]; needed is one picture"),
        ((1, 10), None, ModelError, "needed is one picture"),
        ((1, 7, 32, 32), None, ModelError, "needed is one picture"),
    ],
)  # fmt: skip
def test_a_shape_that_cannot_be_converted_is_named(
    found: tuple[object, ...], given: tuple[int, ...] | None, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        fixed_shape(Path("net.onnx"), "image", found, given)


def test_an_open_side_takes_what_is_given() -> None:
    assert fixed_shape(Path("net.onnx"), "image", (-1, 3, "h", None), (1, 3, 64, 48)) == (1, 3, 64, 48)


def test_models_are_tried_with_noise_and_pictures_in_both_ranges() -> None:
    """What is wrong at one range may pass at the other: a clipped activation, a scale left out."""
    tried = samples(FIRST, [])
    assert [one.shape for one in tried] == [FIRST] * 6
    assert all(one.max() <= (1 if number % 2 == 0 else 255) for number, one in enumerate(tried))
    assert all(one.std() > 0 for one in tried)
    assert len({one.tobytes() for one in tried}) == 6
    (_, _, _, shown, *_) = samples(LAST, [lambda: np.full((16, 12, 3), (10, 20, 30), np.uint8)])
    assert np.array_equal(shown, np.broadcast_to(np.float32([10, 20, 30]), LAST))


def test_weights_without_a_network_are_refused_with_the_way_to_export_it(tmp_path: Path) -> None:
    assert is_foreign(Path("best.pt"))
    with pytest.raises(ModelError, match=r"\.pt is the weights without the network; .*torch\.export\.save"):
        convert(tmp_path / "best.pt", tmp_path)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"net\.onnx: does not exist"):
        convert(tmp_path / "net.onnx", tmp_path)


# ONNX


@pytest.fixture
def runtime() -> None:
    pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")


Program = Callable[[str], Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return what puts a program named onnx2tf into PATH; it notes what it was called with beside itself."""

    def install(body: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        script = folder / "onnx2tf"
        noting = "(pathlib.Path(__file__).parent / 'called').write_text(' '.join(sys.argv[1:]))"
        script.write_text(f"#!{sys.executable}\nimport pathlib, shutil, sys\n{noting}\n{body}\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        return folder / "called"

    return install


def copying(made: Path) -> str:
    return (
        "pathlib.Path('converted').mkdir()\n"
        "pathlib.Path(sys.argv[2]).write_bytes(b'simplified')\n"
        f"shutil.copy({str(made)!r}, 'converted/model_float32.tflite')"
    )


@pytest.mark.usefixtures("runtime")
def test_an_onnx_file_is_converted_on_a_copy_and_compared_with_onnx_runtime(program: Program, tmp_path: Path) -> None:
    """The converter writes to its input; the user's file is not its to change."""
    source = write_onnx(tmp_path / "net.onnx")
    before = source.read_bytes()
    called = program(copying(doubling(tmp_path / "made.tflite")))
    made = convert(source, tmp_path / "out")
    assert source.read_bytes() == before
    assert [(one.name, one.shape) for one in read_model(made.path).outputs] == [("twice", FIRST)]
    assert called.read_text() == "-i model.onnx -o converted -tb flatbuffer_direct"


@pytest.mark.usefixtures("runtime")
def test_a_wrong_conversion_of_an_onnx_file_is_refused(program: Program, tmp_path: Path) -> None:
    program(copying(doubling(tmp_path / "made.tflite", factor=2.1)))
    with pytest.raises(OptimizeError, match=r"'twice': differs from ONNX Runtime by 25\.5 where it reaches 510"):
        convert(write_onnx(tmp_path / "net.onnx"), tmp_path / "out")


@pytest.mark.usefixtures("runtime")
def test_channels_last_and_open_sides_are_told_to_the_converter(program: Program, tmp_path: Path) -> None:
    called = program(copying(doubling(tmp_path / "made.tflite")))
    convert(write_onnx(tmp_path / "net.onnx", shape=(1, "h", "w", 3)), tmp_path / "out", input_shape=LAST)
    assert called.read_text().endswith("-kat image -ois image:1,8,6,3")


@pytest.mark.usefixtures("runtime")
def test_an_operator_without_a_counterpart_is_named(program: Program, tmp_path: Path) -> None:
    """onnx2tf ends well and leaves a place-holder, which fails only when the engine loads it."""
    program(copying(doubling(tmp_path / "made.tflite", custom=True)))
    with pytest.raises(
        OptimizeError, match=r"net\.onnx: \.tflite has no operator for UNIQUE; export the model without"
    ):
        convert(write_onnx(tmp_path / "net.onnx"), tmp_path / "out")


@pytest.mark.usefixtures("runtime")
def test_a_converter_that_fails_says_its_last_error(program: Program, tmp_path: Path) -> None:
    program("print('\\x1b[31mERROR: the axis is not supported\\x1b[0m\\nbye'); sys.exit(7)")
    with pytest.raises(
        OptimizeError, match=r"no model, exit code 7 \(ERROR: the axis is not supported\); run it by hand"
    ):
        convert(write_onnx(tmp_path / "net.onnx"), tmp_path / "out")


@pytest.mark.usefixtures("runtime")
def test_a_missing_converter_is_named_with_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(OptimizeError, match=r"onnx2tf is not installed; .*pip install onnx2tf==2\.6\.9"):
        convert(write_onnx(tmp_path / "net.onnx"), tmp_path / "out")


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"operator": "Addd"}, "ONNX Runtime cannot load it .*Addd"),
        ({"inputs": ("image", "mask")}, "its inputs are 'image' tensor.float., 'mask' tensor.float.; needed is one"),
        ({"kind": 7}, "'image' tensor.int64.; needed is one of float, a picture"),
    ],
)
def test_an_onnx_file_that_cannot_be_taken_says_why(tmp_path: Path, bad: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        convert(write_onnx(tmp_path / "net.onnx", **bad), tmp_path / "out")  # type: ignore[arg-type]


@pytest.mark.usefixtures("runtime")
def test_what_is_no_onnx_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_text("<html>not found</html>")
    with pytest.raises(ModelError, match=r"is it a whole \.onnx file"):
        convert(tmp_path / "net.onnx", tmp_path / "out")


def test_weights_beside_an_onnx_file_are_found_from_its_copy(tmp_path: Path) -> None:
    """Large models keep them in another file, named inside; a name that leads elsewhere is not followed."""
    source, work = tmp_path / "net.onnx", tmp_path / "work"
    work.mkdir()
    (tmp_path / "net.data").write_bytes(b"weights")
    for name in (b"net.data", b"../secret", b"absent.data"):
        source.write_bytes(
            (source.read_bytes() if source.exists() else b"") + b"\x0a\x08location\x12" + bytes([len(name)]) + name
        )
    (tmp_path.parent / "secret").write_bytes(b"other")
    onnxfile.copy_of(source, work)
    assert sorted(one.name for one in work.iterdir()) == ["model.onnx", "net.data"]
    assert (work / "net.data").read_bytes() == b"weights"


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(
    ("name", "outputs", "first", "most"),
    [("yolox_nano_416", 1, (1, 3549, 85), 1e-3), ("yunet_n_320_320", 12, (1, 1600, 1), 1e-4)],
)
def test_public_models_answer_as_in_onnx_runtime(
    shared: Path, tmp_path: Path, name: str, outputs: int, first: tuple[int, ...], most: float
) -> None:
    if onnxfile.find_converter() is None:
        pytest.skip("onnx2tf is not installed")
    picture = shared / "images" / "reference" / "dog.jpg"
    made = convert(shared / "models" / f"{name}.onnx", tmp_path / "out", pictures=[lambda: read_image(picture)])
    file = read_model(made.path)
    assert made.difference < most
    assert (len(file.outputs), file.outputs[0].shape, file.custom_operators) == (outputs, first, ())


# the command


def test_what_would_stop_the_variants_is_said_before_the_conversion(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = write_onnx(tmp_path / "net.onnx")
    assert run_command(["optimize", str(source), "--technique", "int8", "--output", str(tmp_path / "out")]) == 2
    assert "--calibration: is missing; the ranges of int8 come from pictures" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--technique", "float"], "--technique float: is for .onnx and .pt2 files"),
        (["--input-shape", "1,3,8,8", "--technique", "float16"], "--input-shape: is for .onnx and .pt2 files"),
        (["--input-shape", "8x8"], "--input-shape: '8x8' is not allowed; give four whole numbers"),
    ],
)
def test_flags_of_a_conversion_are_refused_where_none_is_needed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    parent = doubling(tmp_path / "net.tflite")
    assert run_command(["optimize", str(parent), "--output", str(tmp_path), "--calibration", "scene", *flags]) == 2
    assert said in capfd.readouterr().err


@pytest.mark.usefixtures("runtime")
def test_float_converts_and_makes_no_variant(
    program: Program, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program(copying(doubling(tmp_path / "made.tflite")))
    source, out = write_onnx(tmp_path / "net.onnx"), tmp_path / "out"
    asked = ["optimize", str(source), "--technique", "float", "--output", str(out)]
    assert run_command(asked) == 0
    assert [one.name for one in out.iterdir()] == ["net.tflite"]
    assert capfd.readouterr().out.startswith(f"net.onnx is now {out}/net.tflite (")
    assert run_command([*asked, "--overwrite", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["variants"], found["converted"]["source"]) == ([], str(source))


@pytest.mark.usefixtures("runtime")
def test_what_stops_the_variants_after_the_conversion_says_that_it_is_kept(
    program: Program, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It took minutes; the next call need not do it again, and would else be refused for the file that is there."""
    program(copying(doubling(tmp_path / "made.tflite")))
    source, out = write_onnx(tmp_path / "net.onnx"), tmp_path / "out"
    assert run_command(["optimize", str(source), "--technique", "float16", "--output", str(out)]) == 2
    assert [one.name for one in out.iterdir()] == ["net.tflite"]
    error = capfd.readouterr().err.splitlines()[-1]
    assert "nothing says how its input is scaled" in error
    assert error.endswith(f"; net.onnx is converted and {out}/net.tflite kept, so give that the next time")


# torch


def exported(path: Path, *, is_open: bool = False, inputs: int = 1, broken: bool = False) -> Path:
    """Write a small torch program; return `path`."""
    torch = pytest.importorskip("torch", reason="the extra [train] is not installed")
    pytest.importorskip("litert_torch", reason="the extra [train] is not installed")

    class Net(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.stem = torch.nn.Conv2d(3, 4, 3, padding=1)

        def forward(self, image: object) -> object:
            grid = self.stem(image)
            if broken:
                return torch.linalg.svd(grid)[1]
            return grid.flatten(2).transpose(1, 2), torch.sigmoid(grid).mean((2, 3))

    class Two(Net):
        def forward(self, image: object, mask: object) -> object:
            return self.stem(image * mask)

    sample = torch.rand(FIRST)
    sides = {"image": {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}} if is_open else None
    model = Two() if inputs == 2 else Net()
    torch.export.save(torch.export.export(model.eval(), (sample,) * inputs, dynamic_shapes=sides), path)
    return path


@pytest.mark.filterwarnings("ignore")  # torch and its exporter warn about parts of their own
class TestTorch:
    def test_a_program_is_converted_with_channels_last_and_compared_with_torch(self, tmp_path: Path) -> None:
        made = convert(exported(tmp_path / "net.pt2"), tmp_path / "out")
        file = read_model(made.path)
        assert [(one.name, one.shape) for one in file.inputs] == [("image", LAST)]
        assert [one.shape for one in file.outputs] == [(1, 48, 4), (1, 4)]
        assert made.difference <= 1e-3 * made.magnitude

    def test_open_sides_are_asked_for_and_taken(self, tmp_path: Path) -> None:
        source = exported(tmp_path / "net.pt2", is_open=True)
        with pytest.raises(ConfigError, match=r"'image' has the shape \[1, 3, \?, \?\]"):
            convert(source, tmp_path / "out")
        made = convert(source, tmp_path / "out", input_shape=(1, 3, 16, 12))
        assert read_model(made.path).inputs[0].shape == (1, 16, 12, 3)

    def test_an_operator_that_cannot_be_converted_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(OptimizeError, match=r"net\.pt2: .*svd"):
            convert(exported(tmp_path / "net.pt2", broken=True), tmp_path / "out")

    def test_more_than_one_picture_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="its inputs are 'image', 'mask'; needed is one of float32"):
            convert(exported(tmp_path / "net.pt2", inputs=2), tmp_path / "out")

    def test_what_is_no_program_is_refused_without_a_traceback(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        pytest.importorskip("torch", reason="the extra [train] is not installed")
        pytest.importorskip("litert_torch", reason="the extra [train] is not installed")
        (tmp_path / "net.pt2").write_text("hello")
        with pytest.raises(ModelError, match="is no exported torch program"):
            convert(tmp_path / "net.pt2", tmp_path / "out")
        assert caplog.text == ""
