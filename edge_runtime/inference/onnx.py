"""ONNX Runtime as a backend: on the CPU, on CUDA, or on TensorRT."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import BackendMissingError, ConfigError, InvokeError, ModelError
from edge_runtime.inference import BackendInfo, Quantization, TensorSpec
from edge_runtime.inference.checks import check_call
from edge_runtime.inference.engine import one_line, quiet_stderr
from edge_runtime.inference.verdicts import cache_folder

ENGINE = "onnxruntime"
CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
PROVIDERS = {"cpu": (CPU,), "cuda": (CUDA, CPU), "tensorrt": (TENSORRT, CUDA, CPU)}
"""Device -> the providers asked for: each takes what the ones before it leave."""

_DEVICE = re.compile(r"(cpu|cuda|tensorrt)?|(cuda|tensorrt):(\d+)")
_SAME_NAME = ("float16", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_NUMPY_NAMES = {"float": "float32", "double": "float64"} | {name: name for name in _SAME_NAME}
_TYPES = {f"tensor({name})": np.dtype(dtype) for name, dtype in _NUMPY_NAMES.items()}
_WITH_A_SCALE = ("int8", "int16", "uint8", "uint16")
_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from .* failed: ?")
GPU_WHEEL = (
    "run: python -m pip uninstall -y onnxruntime, then python -m pip install onnxruntime-gpu "
    "(on a Jetson the onnxruntime-gpu wheel that NVIDIA builds for its JetPack)"
)


def open_onnx(model: Path, *, engine: str = "auto", num_threads: int = 1, device: str = "") -> OnnxBackend:
    """Return the model opened by ONNX Runtime.

    Args:
        model: an .onnx file.
        engine: not looked at: there is one.
        num_threads: for the operators that run on the CPU.
        device: "cpu" or "", "cuda", "cuda:1", "tensorrt", "tensorrt:0".

    Raises:
        ConfigError: the device is not of these forms.
        BackendMissingError: onnxruntime is missing, or its build or this machine has no such device.
        ModelError: ONNX Runtime refuses the file, or a side of its input is open.
    """
    del engine
    kind, index = parse_device(device)
    return OnnxBackend(model, load_onnxruntime(), kind, index, num_threads)


def parse_device(device: str) -> tuple[str, int]:
    """Return (key of PROVIDERS, number of the GPU).

    Raises:
        ConfigError: the device is not of the known forms.
    """
    match = _DEVICE.fullmatch(device)
    if match is None:
        raise ConfigError(f"backend: ONNX device {device!r} is unknown; use cpu, cuda, cuda:N, tensorrt or tensorrt:N")
    return match[1] or match[2] or "cpu", int(match[3] or 0)


def load_onnxruntime() -> Any:
    """Return the package onnxruntime.

    Raises:
        BackendMissingError: it is missing or does not load.
    """
    try:
        import onnxruntime
        from onnxruntime import InferenceSession  # noqa: F401 - a folder left over of it is a package, too
    except (ImportError, OSError) as exc:
        raise BackendMissingError(
            f"engine: onnxruntime cannot be imported ({one_line(exc)}); run: python -m pip install 'edge-runtime[onnx]'"
        ) from exc
    return onnxruntime


class OnnxBackend:
    """One session. One thread at a time; only `close` and the attributes may be used beside."""

    def __init__(self, model: Path, runtime: Any, device: str, index: int, num_threads: int) -> None:
        self._model = model
        wanted = PROVIDERS[device]
        _require_build(runtime, device, wanted[0])
        session = _open_session(model, runtime, [(one, _options(one, index)) for one in wanted], num_threads)
        _require_started(runtime, device, wanted, session.get_providers())
        scales = _scales(model, (*session.get_inputs(), *session.get_outputs()))
        self.inputs = tuple(_input_spec(model, one, scales) for one in session.get_inputs())
        self._session: Any = session  # None once closed
        self._input_names = [one.name for one in self.inputs]
        self._output_names = [one.name for one in session.get_outputs()]
        self.outputs = self._output_specs(scales)
        name = None if device == "cpu" else f"{wanted[0].removesuffix('ExecutionProvider')} {device}:{index}"
        nodes, delegated = _count_nodes(session)
        version = str(runtime.__version__)
        self._info = BackendInfo("onnx", ENGINE, version, num_threads, name, nodes, delegated)

    def invoke(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the outputs, which the engine allocates anew for each invoke."""
        session = self._session
        check_call(self._model.name, self.inputs, inputs, is_closed=session is None)
        try:
            found: list[NDArray[Any]] = session.run(
                self._output_names, dict(zip(self._input_names, inputs, strict=True))
            )
        except Exception as exc:  # its errors share no base class
            raise InvokeError(f"{self._model.name}: invoke failed on {ENGINE}: {_reason(exc)}") from exc
        return found

    def describe(self) -> BackendInfo:
        return self._info

    def close(self) -> None:
        """Free the session. It has no close of its own: letting go of it is the way."""
        self._session = None

    def _output_specs(self, scales: Mapping[str, Quantization]) -> tuple[TensorSpec, ...]:
        """Return the outputs; sides that the file leaves open are taken from an invoke on zeros."""
        described = self._session.get_outputs()
        shapes = [tuple(one.shape) for one in described]
        if not all(isinstance(side, int) and side > 0 for shape in shapes for side in shape):
            shapes = [one.shape for one in self.invoke([np.zeros(one.shape, one.dtype) for one in self.inputs])]
        specs = tuple(
            TensorSpec(one.name, shape, _dtype(self._model, one), scales.get(one.name))
            for one, shape in zip(described, shapes, strict=True)
        )
        for spec in specs:
            if 0 in spec.shape:
                raise ModelError(
                    f"{self._model}: output {spec.name!r} has as many rows as it finds; export the model without its "
                    "own non-maximum suppression, or with a fixed number of boxes"
                )
            if spec.quantization is None and spec.dtype.name in _WITH_A_SCALE:
                raise ModelError(
                    f"{self._model}: output {spec.name!r} is {spec.dtype.name}, and nothing in the file says what its "
                    "numbers stand for; export the model with outputs of float"
                )
        return specs


def _options(provider: str, index: int) -> dict[str, str]:
    """Return the options of a provider, as text.

    Source: onnxruntime.ai, execution providers CUDA and TensorRT. Engines of TensorRT take minutes to build: kept.
    """
    if provider == CPU:
        return {}
    options = {"device_id": str(index)}
    folder = cache_folder()
    if provider == TENSORRT and folder:
        options |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(folder / "tensorrt")}
    return options


def _open_session(model: Path, runtime: Any, providers: list[tuple[str, dict[str, str]]], num_threads: int) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised as well
    # Threads that wait for work by spinning take the cores from the camera and the decoder.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    try:
        with quiet_stderr():
            session = runtime.InferenceSession(str(model), options, providers=providers, enable_fallback=0)
    except Exception as exc:  # its errors share no base class
        raise ModelError(
            f"{model}: {ENGINE} {runtime.__version__} refuses this file, it may be damaged or newer than it "
            f"({_reason(exc)}); copy or export it again"
        ) from exc
    session.disable_fallback()
    return session


def _require_build(runtime: Any, device: str, provider: str) -> None:
    """Raise BackendMissingError where this build has no such provider: it would run on the CPU with a mere warning."""
    available = runtime.get_available_providers()
    if provider not in available:
        raise BackendMissingError(
            f"backend onnx:{device}: this onnxruntime {runtime.__version__} is built without {provider} "
            f"(it has {', '.join(available)}); {GPU_WHEEL}"
        )


def _require_started(runtime: Any, device: str, wanted: Sequence[str], started: Sequence[str]) -> None:
    """Raise BackendMissingError where a provider did not start: without a word the ones behind it take its work."""
    missing = [one for one in wanted if one not in started]
    if missing:
        raise BackendMissingError(
            f"backend onnx:{device}: {missing[0]} of onnxruntime {runtime.__version__} did not start, left are "
            f"{', '.join(started)}; it needs the GPU, its driver (nvidia-smi shows both) and the releases of CUDA, "
            "cuDNN and TensorRT it was built for (-v shows which it missed); or use --backend onnx:cpu"
        )


def _count_nodes(session: Any) -> tuple[int, int]:
    """Return how many operators were given out, and how many of these not to the CPU; zeros where it does not tell."""
    try:
        parts = session.get_provider_graph_assignment_info()
    except Exception:  # noqa: BLE001 - releases before it was there, and builds that do not record it
        return 0, 0
    counts = [(one.ep_name, len(one.get_nodes())) for one in parts]
    return sum(count for _, count in counts), sum(count for name, count in counts if name != CPU)


def _scales(model: Path, tensors: Sequence[Any]) -> dict[str, Quantization]:
    """Return tensor -> quantisation, read from the file, as the session does not tell; only where one may have any."""
    if not any(_TYPES.get(one.type, np.dtype("V")).name in _WITH_A_SCALE for one in tensors):
        return {}
    from edge_runtime.onnxgraph import read_graph

    graph = read_graph(model.read_bytes(), str(model))
    return {one.name: Quantization(*one.quantization) for one in (*graph.inputs, *graph.outputs) if one.quantization}


def _input_spec(model: Path, tensor: Any, scales: Mapping[str, Quantization]) -> TensorSpec:
    sides = [side if isinstance(side, int) and side > 0 else str(side or "?") for side in tensor.shape]
    shape = [1 if position == 0 and isinstance(side, str) else side for position, side in enumerate(sides)]
    fixed = tuple(side for side in shape if isinstance(side, int))
    if len(fixed) < len(shape):
        listed = ",".join(str(side) for side in sides)
        raise ModelError(
            f"{model}: input {tensor.name!r} has shape [{listed}], which leaves its size open; export it with a fixed "
            f"size, or run: python -m onnxruntime.tools.make_dynamic_shape_fixed --input_name {tensor.name} "
            f"--input_shape 1,3,HEIGHT,WIDTH {model.name} fixed.onnx"
        )
    return TensorSpec(tensor.name, fixed, _dtype(model, tensor), scales.get(tensor.name))


def _dtype(model: Path, tensor: Any) -> np.dtype[Any]:
    if tensor.type not in _TYPES:
        raise ModelError(f"{model}: {tensor.name!r} is of type {tensor.type}, allowed are {', '.join(_TYPES)}")
    return _TYPES[tensor.type]


def _reason(error: Exception) -> str:
    return one_line(_PREFIX.sub("", one_line(error)))
