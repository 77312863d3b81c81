"""GPU: the WebGPU accelerator that LiteRT brings (Dawn over Vulkan), through its CompiledModel.

It is built for ARMv8.1 and dies on older cores, some models make it abort, and its invoke holds the GIL: it belongs
into a child process, which is where `select` opens it unless told otherwise.
"""

from __future__ import annotations

import ctypes
import math
import os
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import BackendError, BackendMissingError, InvokeError
from edge_runtime.inference import Backend, BackendInfo, TensorSpec
from edge_runtime.inference.agreement import Ranked, compare_backends
from edge_runtime.inference.checks import check_tensors
from edge_runtime.inference.engine import one_line, quiet_stderr
from edge_runtime.inference.tflite import TfliteBackend, open_cpu
from edge_runtime.inference.verdicts import board_name

ACCELERATOR = "libLiteRtWebGpuAccelerator.so"
VULKAN = "libvulkan.so.1"
DRIVERS = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")
"""Variables that name a Vulkan driver. Source: Vulkan-Loader, LoaderDriverInterface.md."""
TYPES = ("float32", "float16", "int32", "int8", "uint8", "bool")
"""What its buffers hold. Source: ai_edge_litert.tensor_buffer."""

_ADAPTER = re.compile(r"Selected adapter: (.+?), arch=")
_SHARE = re.compile(r"(\d+) operations will run on the GPU, and the remaining (\d+) operations will run on the CPU")


def has_webgpu() -> bool:
    """Return whether the LiteRT that is installed brings the accelerator."""
    spec = find_spec("ai_edge_litert")
    folders = spec.submodule_search_locations if spec is not None else None
    return any((Path(folder) / ACCELERATOR).is_file() for folder in folders or ())


def open_webgpu(
    model: Path,
    *,
    num_threads: int = 1,
    root: Path = Path("/"),
    environment: Mapping[str, str] = os.environ,
    load: Callable[[str], Any] = ctypes.CDLL,
) -> WebGpuBackend:
    """Return the model opened on the GPU, when its results on one picture are those of the CPU.

    Args:
        model: a .tflite file.
        num_threads: for the operators that stay on the CPU.
        root: of the system's files.
        environment: the variables that may name a Vulkan driver.
        load: loads a library.

    Raises:
        BackendMissingError: there is no accelerator, no Vulkan, or no device that it runs on.
        BackendError: it takes none of the operators, refuses the model, or computes something else than the CPU.
        ModelError: the engine refuses the file.
    """
    require_vulkan(root, environment, load)
    reference = open_cpu(model, engine="litert", num_threads=num_threads)
    try:
        opened = WebGpuBackend(model, reference, num_threads=num_threads)
        refuse_wrong(reference, opened, reference.ranked, model)
    finally:
        reference.close()
    return opened


def require_vulkan(
    root: Path = Path("/"),
    environment: Mapping[str, str] = os.environ,
    load: Callable[[str], Any] = ctypes.CDLL,
) -> None:
    """Raise BackendMissingError where the accelerator cannot run on this board, before it is tried."""
    if not has_webgpu():
        raise BackendMissingError(
            "backend gpu: the GPU accelerator comes with ai-edge-litert 2.1 or later, which is not installed; "
            "run: python -m pip install 'ai-edge-litert>=2.1,<3', or use --backend cpu"
        )
    board = board_name(root)
    if board.startswith("Raspberry Pi") and not any(environment.get(name) for name in DRIVERS):
        raise BackendMissingError(
            f"backend gpu: the GPU of a {board} cannot run LiteRT's accelerator: its Vulkan driver (v3dv) lacks the "
            "indexing of buffers in shaders that it needs; use --backend cpu, which is fast there with an int8 model"
        )
    try:
        load(VULKAN)
    except OSError as exc:
        raise BackendMissingError(
            f"backend gpu: Vulkan is not installed ({one_line(exc)}); run: sudo apt install libvulkan1 "
            "mesa-vulkan-drivers (or the driver of the GPU's maker), or use --backend cpu"
        ) from exc


def refuse_wrong(reference: Backend, opened: Backend, ranked: Ranked | None, model: Path) -> None:
    """Close the opened backend and raise BackendError where its results are not those of the reference."""
    try:
        difference = compare_backends(reference, opened, ranked)
    except BaseException:
        opened.close()
        raise
    if difference is not None and difference.is_wrong:
        on = opened.describe().delegate
        opened.close()
        raise BackendError(
            f"backend gpu: {model.name} comes out wrong on {on}: output {difference} from the CPU; "
            "use --backend cpu, or another variant of the model (float16 is what GPUs are built for)"
        )


class WebGpuBackend:
    """A compiled model with its buffers. One thread at a time."""

    def __init__(self, model: Path, reference: TfliteBackend, *, num_threads: int) -> None:
        """Open the model; its tensors are described as the interpreter on the CPU reports them."""
        self._name = model.name
        self.inputs, self.outputs = reference.inputs, reference.outputs
        _check_types(model, (*self.inputs, *self.outputs))
        compiled, printed = _compile(model, num_threads)
        self._compiled: Any = compiled
        signature = next(iter(compiled.get_signature_list()))
        inputs = compiled.get_input_tensor_details(signature)
        # Before the buffers are made: without this call they come out too small, and the engine writes beyond them.
        outputs = compiled.get_output_tensor_details(signature)
        order_in, order_out = _order(model, self.inputs, inputs), _order(model, self.outputs, outputs)
        with quiet_stderr():
            self._buffers_in, self._buffers_out = compiled.create_input_buffers(0), compiled.create_output_buffers(0)
        self._to_write = [self._buffers_in[index] for index in order_in]
        self._to_read = [self._buffers_out[index] for index in order_out]
        nodes = reference.describe().nodes
        taken = nodes if compiled.is_fully_accelerated() else _count_taken(printed)
        if taken == 0:
            self.close()
            raise BackendError(f"backend gpu: it takes none of the operators of {model.name}; use --backend cpu")
        delegate = f"WebGPU ({_adapter(printed)})"
        self._info = BackendInfo(
            "gpu", "litert", version("ai-edge-litert"), num_threads, delegate, nodes, min(taken, nodes)
        )

    def invoke(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return copies of the outputs."""
        compiled = self._compiled
        check_tensors(self._name, self.inputs, inputs, is_closed=compiled is None)
        try:
            for buffer, tensor in zip(self._to_write, inputs, strict=True):
                buffer.write(np.ascontiguousarray(tensor))
            compiled.run_by_index(0, self._buffers_in, self._buffers_out)
            return [
                np.array(buffer.read(math.prod(spec.shape), spec.dtype)).reshape(spec.shape)
                for buffer, spec in zip(self._to_read, self.outputs, strict=True)
            ]
        except (RuntimeError, ValueError) as exc:
            raise InvokeError(f"{self._name}: invoke failed on the GPU: {_reason(exc)}") from exc

    def describe(self) -> BackendInfo:
        return self._info

    def close(self) -> None:
        """Free the buffers, then the model; the engine reports on stderr that it does."""
        with quiet_stderr():
            self._to_write, self._to_read, self._buffers_in, self._buffers_out = [], [], [], []
            self._compiled = None


def _compile(model: Path, num_threads: int) -> tuple[Any, list[str]]:
    """Return the compiled model and what the engine printed, which is the only place where it says what runs where."""
    from ai_edge_litert.compiled_model import CompiledModel, CpuOptions, HardwareAccelerator, Options

    options = Options(
        hardware_accelerators=HardwareAccelerator.GPU | HardwareAccelerator.CPU,
        cpu_options=CpuOptions(num_threads=num_threads),
    )
    refused = ""
    compiled: Any = None
    with quiet_stderr() as printed:
        try:
            compiled = CompiledModel.from_file(str(model), options=options)
        except (RuntimeError, ValueError) as exc:
            refused = _reason(exc)
            traceback.clear_frames(exc.__traceback__)  # what they hold reports on stderr when it goes
    if compiled is None:
        raise _refusal(model, refused, printed)
    return compiled, printed


def _refusal(model: Path, reason: str, printed: Sequence[str]) -> BackendError:
    said = "\n".join(printed)
    if "No adapters found" in said or "No supported adapters" in said:
        return BackendMissingError(
            "backend gpu: Vulkan finds no GPU that LiteRT's accelerator can use, or this user may not use it (group "
            "render); see what there is with: vulkaninfo --summary; or use --backend cpu"
        )
    errors = [line for line in printed if line.startswith(("ERROR", "E0000"))]
    return BackendError(
        f"backend gpu: LiteRT's accelerator refuses {model.name}: {one_line(errors[0] if errors else reason)}; "
        "use --backend cpu"
    )


def _reason(error: Exception) -> str:
    """Return the last line of the engine's message: the ones above only say through which of its files it came."""
    return one_line(str(error).strip().splitlines()[-1]) if str(error).strip() else type(error).__name__


def _count_taken(printed: Sequence[str]) -> int:
    found = _SHARE.search("\n".join(printed))
    return int(found[1]) if found else 0


def _adapter(printed: Sequence[str]) -> str:
    found = _ADAPTER.search("\n".join(printed))
    return found[1] if found else "unknown device"


def _check_types(model: Path, specs: Sequence[TensorSpec]) -> None:
    for spec in specs:
        if spec.dtype.name not in TYPES or math.prod(spec.shape) == 0 or min(spec.shape, default=1) < 0:
            raise BackendError(
                f"backend gpu: {model.name}: tensor {spec.name!r} is {spec.dtype} {spec.shape}; LiteRT's accelerator "
                f"takes {', '.join(TYPES)} of fixed sizes; use --backend cpu"
            )


def _order(model: Path, specs: Sequence[TensorSpec], details: Mapping[str, Mapping[str, Any]]) -> list[int]:
    """Return for each tensor of the interpreter where it is among the compiled model's.

    Raises:
        BackendError: it is not there, or of another shape.
    """
    names = [str(detail["name"]) for detail in details.values()]
    shapes = [tuple(detail["shape"]) for detail in details.values()]
    for spec in specs:
        if spec.name not in names or shapes[names.index(spec.name)] != spec.shape:
            raise BackendError(
                f"backend gpu: {model.name}: LiteRT's compiled model has no tensor {spec.name!r} {spec.shape}, it has "
                f"{', '.join(names)}; use --backend cpu"
            )
    return [names.index(spec.name) for spec in specs]
