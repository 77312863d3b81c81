"""Exported torch programs (``torch.export.save``): run by torch, converted by litert-torch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from edge_runtime.errors import ModelError, OptimizeError
from edge_runtime.inference.engine import one_line, quiet_stderr
from edge_runtime.optimize.original import Array, Original, Shape, fixed_shape, is_channels_first
from edge_runtime.optimize.training.export import export

_HOW_TO_WRITE_ONE = "torch.export.save(torch.export.export(model.eval(), (sample,)), 'model.pt2')"


def open_torch(source: Path, shape: Shape | None) -> Original:
    """Return a .pt2 file ready to run and to be converted.

    Raises:
        ConfigError: a side of its input is open, or `shape` does not fit.
        ModelError: it is no exported program, or takes something else than one picture.
    """
    program = _load(source)
    names = program.graph_signature.user_inputs
    values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    value = values.get(names[0]) if len(names) == 1 else None
    if not isinstance(value, torch.Tensor) or value.dtype != torch.float32:
        raise ModelError(
            f"{source}: its inputs are {', '.join(map(repr, names)) or 'none'}; needed is one of float32, a picture"
        )
    fixed = fixed_shape(source, names[0], value.shape, shape)
    module = Program(program)
    outputs = tuple(str(name) for name in program.graph_signature.user_outputs)
    return Original(
        framework="torch",
        converter="litert-torch",
        input_name=names[0],
        input_shape=fixed,
        output_names=outputs if len(set(outputs)) == len(outputs) else None,
        answer=lambda tensor: _answer(source, module, tensor),
        convert=lambda work: _convert(source, module, names[0], outputs, fixed, work),
    )


def _load(source: Path) -> Any:
    try:
        with _quiet():
            return torch.export.load(source)
    except Exception as exc:  # a damaged archive raises whatever its parts raise
        raise ModelError(
            f"{source}: is no exported torch program ({one_line(exc)}); write it with {_HOW_TO_WRITE_ONE}"
        ) from exc


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep a traceback that torch logs before it raises, and warnings about its own parts, off the terminal."""
    said = logging.getLogger("torch.export")
    level, said.level = said.level, logging.CRITICAL
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        said.level = level


class Program(torch.nn.Module):  # type: ignore[misc]
    """An exported program as a module."""

    def __init__(self, program: Any) -> None:
        super().__init__()
        self.inner = program.module()

    def forward(self, image: torch.Tensor) -> Any:
        """Return what the program returns."""
        return self.inner(image)

    def train(self, mode: bool = True) -> Program:  # noqa: ARG002 (the signature is torch's)
        """Return the module as it is: a program is as it was exported, and raises where it is told to switch."""
        return self


def _answer(source: Path, module: Program, tensor: Array) -> list[Array]:
    try:
        with torch.inference_mode(), _quiet():
            found = module(torch.from_numpy(tensor))
    except Exception as exc:  # its operators and the checks of its shapes raise as they like
        raise ModelError(f"{source}: torch cannot run it on {list(tensor.shape)} ({one_line(exc)})") from exc
    tensors = [found] if isinstance(found, torch.Tensor) else found
    if not isinstance(tensors, tuple | list) or not all(isinstance(one, torch.Tensor) for one in tensors):
        raise ModelError(f"{source}: returns {type(found).__name__}; export a forward that returns tensors in a tuple")
    return [one.float().numpy() for one in tensors]


def _convert(
    source: Path, module: Program, input_name: str, output_names: tuple[str, ...], shape: Shape, work: Path
) -> bytes:
    target = work / "converted.tflite"
    sample = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    layout = "nhwc" if is_channels_first(shape) else "nchw"  # the second leaves the input as it is
    try:
        with quiet_stderr():
            export(module, sample, target, input_layout=layout, input_name=input_name, output_names=output_names)
    except OptimizeError as exc:
        raise OptimizeError(f"{source}: {exc}") from exc
    return target.read_bytes()
