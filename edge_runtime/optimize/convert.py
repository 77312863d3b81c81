"""A model of another framework as a float .tflite, compared with the original before it is kept.

An ``.onnx`` file goes through onnx2tf, an exported torch program (``.pt2``) through litert-torch. Neither is believed:
the original and the file answer the same noise and the same pictures, and a file that answers otherwise is not kept.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge_runtime.errors import ModelError, OptimizeError, OutputError
from edge_runtime.inference.engine import load_engine, quiet_stderr
from edge_runtime.optimize import beside, layers, modelfile
from edge_runtime.optimize.folder import no_empty_folder
from edge_runtime.optimize.modelfile import brief
from edge_runtime.optimize.original import Array, Image, Original, Shape, is_channels_first, samples
from edge_runtime.wholefile import write_whole

SUFFIXES = (".onnx", ".pt2")
TOLERANCE = 1e-3
"""Most that an output may differ from the original's, as a share of its greatest magnitude."""

_LEAST = 1e-5  # smaller differences are those of another order of sums
_WEIGHTS_ALONE = (".pt", ".pth", ".ckpt", ".safetensors")
_SIGNATURE = "serving_default"


@dataclass(frozen=True, slots=True)
class Converted:
    """What came out."""

    path: Path
    source: Path
    converter: str
    size_bytes: int
    difference: float  # the greatest of all output values, over all inputs that were tried
    magnitude: float  # the greatest output value of the original
    tried: int  # inputs

    def explain(self) -> str:
        """Return in one line what was made and how near it is."""
        return (
            f"{self.source.name} is now {self.path} ({self.size_bytes:,} bytes, by {self.converter}): its outputs "
            f"differ by at most {self.difference:.2g} on {self.tried} inputs, and reach {self.magnitude:.4g}"
        )


def is_foreign(model: Path) -> bool:
    """Return whether the name is that of a model to be converted first (or of one that cannot be)."""
    return model.suffix.lower() in (*SUFFIXES, *_WEIGHTS_ALONE)


def convert(
    source: str | Path,
    output: str | Path,
    *,
    input_shape: Sequence[int] | None = None,
    pictures: Sequence[Callable[[], Image]] = (),
    overwrite: bool = False,
) -> Converted:
    """Write ``<stem>.tflite`` to a folder, and its sidecar where the source has one.

    Args:
        source: an .onnx file, or a program as torch.export.save writes it.
        output: the folder; made if it does not exist.
        input_shape: as the source has it, where it leaves sides open: (1, 3, 416, 416).
        pictures: to compare on, BGR; drawn ones where there are none.
        overwrite: replace files that exist.

    Raises:
        ConfigError: the shape is missing or does not fit, or the sidecar is wrong.
        ModelError: the source is not what its name says, or takes something else than one picture.
        OptimizeError: the converter is missing or does not take it, or the file answers otherwise.
        OutputError: a file exists or cannot be written.
    """
    source = Path(source)
    original = _open(source, None if input_shape is None else tuple(input_shape))
    return keep(original, source, Path(output), pictures=pictures, overwrite=overwrite)


def keep(
    original: Original,
    source: Path,
    folder: Path,
    *,
    pictures: Sequence[Callable[[], Image]] = (),
    overwrite: bool = False,
) -> Converted:
    """Write what the converter makes of a model that is open already, if it answers as the model does.

    Raises:
        As `convert`.
    """
    with no_empty_folder(folder):
        return _keep(original, source, folder / f"{source.stem}.tflite", pictures, overwrite=overwrite)


def _keep(
    original: Original, source: Path, target: Path, pictures: Sequence[Callable[[], Image]], *, overwrite: bool
) -> Converted:
    table = _sidecar_to_write(source, target)
    _check_targets(target, table, overwrite=overwrite)
    inputs = samples(original.input_shape, pictures)
    expected = [original.answer(one) for one in inputs]
    with tempfile.TemporaryDirectory(prefix="edge-runtime-") as work:
        edited = modelfile.parse(original.convert(Path(work)), target)
    data = _like_the_original(edited, original, inputs[-1], expected[-1])
    difference = _compare(data, original, inputs, expected)
    if table:
        write_whole(target.with_suffix(".toml"), beside.sidecar_bytes(table, source, target.parent))
    write_whole(target, data)
    reach = max(_reach(one) for outputs in expected for one in outputs)
    return Converted(target, source, original.converter, len(data), difference, reach, len(inputs))


def _open(source: Path, shape: Shape | None) -> Original:
    if source.suffix.lower() in _WEIGHTS_ALONE:
        raise ModelError(
            f"{source}: {source.suffix} is the weights without the network; where the network is, run "
            "torch.export.save(torch.export.export(model.eval(), (sample,)), 'model.pt2') and give that file"
        )
    if not source.is_file():
        raise ModelError(f"{source}: does not exist or is no file; give the path of an .onnx or .pt2 file")
    if source.suffix.lower() == ".onnx":
        from edge_runtime.optimize.onnxfile import open_onnx

        return open_onnx(source, shape)
    from edge_runtime.optimize.torchfile import open_torch

    return open_torch(source, shape)


def _sidecar_to_write(source: Path, target: Path) -> dict[str, Any]:
    """Return the sidecar of the source as a table with absolute names; empty where the file finds it by itself."""
    table = beside.own_sidecar(source)
    own = source.with_suffix(".toml")
    if own.exists() and target.with_suffix(".toml").exists() and own.samefile(target.with_suffix(".toml")):
        return {}
    named = {key: table[key] for key in ("labels", "anchors") if isinstance(table.get(key), str)}
    return {**table, **{key: str((source.parent / name).resolve()) for key, name in named.items()}}


def _check_targets(target: Path, table: dict[str, Any], *, overwrite: bool) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"{target.parent}: is no folder and cannot be made one ({exc.strerror})") from exc
    for path in (target, *([target.with_suffix(".toml")] if table else [])):
        if path.exists() and not overwrite:
            raise OutputError(f"{path}: exists; add --overwrite to replace it, or give another --output")


def _like_the_original(
    edited: modelfile.EditableModel, original: Original, sample: Array, wanted: list[Array]
) -> bytes:
    """Return the file with the names, the order and the shapes of outputs that the original has.

    Raises:
        OptimizeError: it has more than one graph or input, other outputs, or does not load.
    """
    graph = edited.graph
    found = [modelfile.text(graph.tensors[index].name) for index in layers.indices(graph.outputs)]
    if (len(edited.model.subgraphs), len(graph.inputs), len(found)) != (1, 1, len(wanted)):
        raise OptimizeError(
            f"{edited.path.name}: was converted to {len(edited.model.subgraphs)} graphs, {len(graph.inputs)} inputs "
            f"and {len(found)} outputs; wanted are 1, 1 and {len(wanted)}; the file is not kept"
        )
    order = original.output_names if set(original.output_names or ()) == set(found) else tuple(found)
    ends = [graph.outputs[found.index(name)] for name in order or ()]
    modelfile.refuse_unless_it_runs(modelfile.to_bytes(edited.model), edited.path)
    answers = dict(_answers(modelfile.to_bytes(edited.model), original, sample))
    for position, (name, one) in enumerate(zip(order or (), wanted, strict=True)):
        axes = _axes_between(answers[name], one)
        if axes is not None:
            ends[position] = _append_transpose(edited, ends[position], axes)
    names = original.output_names or order or ()
    graph.outputs = ends
    for index, name in [(graph.inputs[0], original.input_name), *zip(ends, names, strict=True)]:
        graph.tensors[index].name = name
    entries = [[schema.TensorMapT(original.input_name, graph.inputs[0])],
               [schema.TensorMapT(name, index) for name, index in zip(names, ends, strict=True)]]  # fmt: skip
    edited.model.signatureDefs = [schema.SignatureDefT(*entries, _SIGNATURE, 0)]
    return modelfile.to_bytes(edited.model)


def _axes_between(found: NDArray[Any], wanted: Array) -> tuple[int, ...] | None:
    """Return the order of axes that brings the one nearest to the other; None where it is as it should be.

    onnx2tf keeps channels last, also where the original has them elsewhere at its end.
    """
    if found.ndim != wanted.ndim or _is_near(found, wanted):
        return None
    orders = [axes for axes in itertools.permutations(range(found.ndim)) if found.transpose(axes).shape == wanted.shape]
    best = min(orders, key=lambda axes: np.nan_to_num(_distance(found.transpose(axes), wanted), nan=np.inf), default=())
    return None if best in ((), tuple(range(found.ndim))) else best


def _is_near(found: NDArray[Any], wanted: Array) -> bool:
    return found.shape == wanted.shape and _distance(found, wanted) <= TOLERANCE * _reach(wanted) + _LEAST


def _distance(found: NDArray[Any], wanted: Array) -> float:
    return float(np.abs(found.astype(np.float32) - wanted).max(initial=0.0))


def _reach(values: Array) -> float:
    return float(np.abs(values).max(initial=0.0))


def _append_transpose(edited: modelfile.EditableModel, index: int, axes: Sequence[int]) -> int:
    """Turn an output of the graph; return the index of the tensor that takes its place."""
    model, graph = edited.model, edited.graph
    before = graph.tensors[index]
    name, kinds = modelfile.text(before.name), schema.BuiltinOperator
    before.name = f"{name}/turned"
    model.buffers.append(schema.BufferT(data=np.asarray(axes, np.int32).view(np.uint8)))
    model.operatorCodes.append(schema.OperatorCodeT(kinds.TRANSPOSE, builtinCode=kinds.TRANSPOSE))
    order = schema.TensorT([len(axes)], schema.TensorType.INT32, len(model.buffers) - 1, f"{name}/axes")
    after = schema.TensorT([before.shape[axis] for axis in axes], before.type, 0, name)
    graph.tensors += [order, after]
    inputs, outputs = [index, len(graph.tensors) - 2], [len(graph.tensors) - 1]
    graph.operators.append(schema.OperatorT(
        len(model.operatorCodes) - 1, inputs, outputs,
        schema.BuiltinOptions.TransposeOptions, schema.TransposeOptionsT(),
    ))  # fmt: skip
    return outputs[0]


def _answers(data: bytes, original: Original, tensor: Array) -> list[tuple[str, NDArray[Any]]]:
    """Return name and values of each output of the file for an input of the original."""
    with quiet_stderr():
        interpreter = load_engine("litert").interpreter(model_content=data, num_threads=1)
        interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]
    wanted = tuple(int(side) for side in entry["shape"])
    if wanted != tensor.shape and is_channels_first(original.input_shape):
        tensor = np.ascontiguousarray(tensor.transpose(0, 2, 3, 1))
    if wanted != tensor.shape or entry["dtype"] != np.float32:
        raise OptimizeError(
            f"input {brief(original.input_name)}: became {np.dtype(entry['dtype'])} {list(wanted)}, it was float32 "
            f"{list(original.input_shape)}; {original.converter} took one layout for another, the file is not kept"
        )
    interpreter.set_tensor(entry["index"], tensor)
    interpreter.invoke()
    return [(one["name"], interpreter.get_tensor(one["index"])) for one in interpreter.get_output_details()]


def _compare(data: bytes, original: Original, inputs: Sequence[Array], expected: Sequence[list[Array]]) -> float:
    """Return the greatest difference of any output.

    Raises:
        OptimizeError: it is too great, or the shapes differ.
    """
    worst = 0.0
    wrong = list[tuple[float, str, float]]()
    for tensor, wanted in zip(inputs, expected, strict=True):
        for (name, found), one in zip(_answers(data, original, tensor), wanted, strict=True):
            if found.shape != one.shape:
                raise OptimizeError(
                    f"output {brief(name)}: has the shape {list(found.shape)}, in {original.framework} "
                    f"{list(one.shape)}; the file is not kept"
                )
            difference = _distance(found, one)
            worst = max(worst, difference)
            if not _is_near(found, one):
                wrong.append((difference, name, _reach(one)))
    if wrong:
        difference, name, reach = max(wrong)
        raise OptimizeError(
            f"output {brief(name)}: differs from {original.framework} by {difference:.3g} where it reaches "
            f"{reach:.3g}, allowed is {TOLERANCE:.1%} of that; {original.converter} took something for something else, "
            "the file is not kept"
        )
    return worst
