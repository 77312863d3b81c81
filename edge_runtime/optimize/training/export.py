"""A torch module as a .tflite file of floats, compared with the module before it is kept."""

from __future__ import annotations

import copy
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edge_runtime.errors import OptimizeError, OutputError
from edge_runtime.inference.engine import quiet_stderr
from edge_runtime.optimize import archive, modelfile
from edge_runtime.wholefile import write_whole

log = logging.getLogger(__name__)

LAYOUTS = ("nhwc", "nchw")
SIDECAR_NAME = "edge-runtime.toml"
SIGNATURE = "serving_default"


def export(
    module: torch.nn.Module,
    sample: torch.Tensor,
    path: Path,
    *,
    input_layout: str = "nhwc",
    input_name: str = "image",
    output_names: Sequence[str] | None = None,
    sidecar: str | None = None,
    tolerance: float = 1e-3,
    overwrite: bool = False,
) -> Path:
    """Write the module as a .tflite file and return its path. The module stays as it is.

    Args:
        module: of one input and one or several outputs; exported as in evaluation.
        sample: (1, C, H, W), in the value range the model is made for; the file is tried with it.
        path: of the file; written whole or not at all.
        input_layout: what the file takes, "nhwc" or "nchw".
        input_name: of the input tensor and in the signature.
        output_names: of the outputs in the order the module returns them; None keeps what the converter chose.
        sidecar: text of a sidecar, kept inside the file.
        tolerance: most that an output may differ from torch's, as a share of its largest magnitude (at least of 1).
        overwrite: replace a file that is there.

    Raises:
        OptimizeError: the module cannot be converted, or the file computes something else.
        OutputError: the file is there already, or cannot be written.
    """
    if input_layout not in LAYOUTS:
        raise OptimizeError(f"input_layout: {input_layout!r} is unknown; choose from {', '.join(LAYOUTS)}")
    if sample.dim() != 4 or sample.shape[0] != 1:
        raise OptimizeError(f"sample: has shape {tuple(sample.shape)}; give one picture, (1, C, H, W)")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists; add overwrite to replace it, or choose another name")
    # The converter reads weights as if they lay in rows, also those of a module that was trained as channels_last.
    still = copy.deepcopy(module).cpu().eval().to(memory_format=torch.contiguous_format)
    sample = sample.detach().cpu().float()
    expected = _outputs(still, sample)
    names = _checked_names(output_names, len(expected))
    data = _named(_converted(still, sample, input_layout), path, input_name, names)
    difference = _difference(data, _as_input(sample, input_layout), expected, tolerance)
    if sidecar is not None:
        data = archive.join(data, archive.with_files(b"", {SIDECAR_NAME: sidecar}), str(path))
    write_whole(path, data)
    log.info("export path=%s bytes=%d max_difference=%.2g", path, path.stat().st_size, difference)
    return path


def _outputs(module: torch.nn.Module, sample: torch.Tensor) -> list[NDArray[np.float32]]:
    with torch.inference_mode():
        found = module(sample)
    tensors = [found] if isinstance(found, torch.Tensor) else found
    if not isinstance(tensors, tuple | list) or not all(isinstance(one, torch.Tensor) for one in tensors):
        raise OptimizeError(
            f"module: returns {type(found).__name__}; let forward return a tensor or a tuple of tensors"
        )
    return [one.float().numpy() for one in tensors]


def _checked_names(names: Sequence[str] | None, count: int) -> Sequence[str] | None:
    if names is not None and (len(names) != count or len(set(names)) != count):
        raise OptimizeError(f"output_names: {list(names)} for {count} outputs; give each output one name of its own")
    return names


def _as_input(sample: torch.Tensor, layout: str) -> torch.Tensor:
    return sample.permute(0, 2, 3, 1).contiguous() if layout == "nhwc" else sample


def _converted(module: torch.nn.Module, sample: torch.Tensor, layout: str) -> bytes:
    """Return the bytes of the file as the converter makes it.

    Raises:
        OptimizeError: the converter does not take the module.
    """
    with _quiet():
        import litert_torch

        if layout == "nhwc":
            module = litert_torch.to_channel_last_io(module, args=[0]).eval()
        try:
            found: bytes = litert_torch.convert(module, (_as_input(sample, layout),)).model_content()
        except Exception as exc:  # it raises whatever torch.export and its own passes raise
            reason = next((line.strip() for line in str(exc).splitlines() if line.strip()), type(exc).__name__)
            raise OptimizeError(
                f"{type(module).__name__}: cannot be converted ({reason}); forward must be free of branches on values"
            ) from exc
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the converter's progress and the warnings of its own parts off the terminal."""
    shown = os.environ.get("LITERT_TORCH_SHOW_PROGRESS")
    os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")
    # Both tell, at each start, of matters inside torch: CUDA kernels that are not there, a call that will change.
    talkers = [logging.getLogger(name) for name in ("torchao", "torch.utils._pytree")]
    levels = [talker.level for talker in talkers]
    try:
        for talker in talkers:
            talker.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for talker, level in zip(talkers, levels, strict=True):
            talker.setLevel(level)
        if shown is None:
            os.environ.pop("LITERT_TORCH_SHOW_PROGRESS", None)


def _named(data: bytes, path: Path, input_name: str, output_names: Sequence[str] | None) -> bytes:
    """Return the file with these names on its inputs and outputs, in the tensors and in the signature."""
    edited = modelfile.parse(data, path)
    graph, signature = edited.graph, edited.model.signatureDefs[0]
    signature.signatureKey = SIGNATURE
    # The converter numbers outputs in the order the module returns them: output_0, output_1 ...
    outputs = sorted(signature.outputs, key=lambda entry: int(modelfile.text(entry.name).rpartition("_")[2]))
    named = [(signature.inputs[0], input_name), *zip(outputs, output_names or (), strict=output_names is not None)]
    for entry, name in named:
        entry.name = graph.tensors[entry.tensorIndex].name = name
    graph.outputs = [entry.tensorIndex for entry in outputs]
    signature.outputs = outputs
    return modelfile.to_bytes(edited.model)


def _difference(data: bytes, image: torch.Tensor, expected: Sequence[NDArray[np.float32]], tolerance: float) -> float:
    """Return the largest difference between the file's outputs and the module's.

    Raises:
        OptimizeError: it is above the tolerance.
    """
    from ai_edge_litert.interpreter import Interpreter

    with quiet_stderr():
        interpreter = Interpreter(model_content=data, num_threads=1)
        interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image.numpy())
    interpreter.invoke()
    worst = 0.0
    for detail, wanted in zip(interpreter.get_output_details(), expected, strict=True):
        found = interpreter.get_tensor(detail["index"])
        if found.shape != wanted.shape:
            raise OptimizeError(f"{detail['name']}: has shape {found.shape} in the file, {wanted.shape} in torch")
        difference = float(np.abs(found - wanted).max(initial=0.0))
        if not difference <= tolerance * max(1.0, float(np.abs(wanted).max(initial=0.0))):
            raise OptimizeError(
                f"{detail['name']}: differs from torch by {difference:.3g}, allowed is {tolerance:g} of its range; "
                "the converter took something in forward for something else"
            )
        worst = max(worst, difference)
    return worst
