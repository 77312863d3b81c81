"""A graph that is put together tensor by tensor and written as a .tflite file.

Only operators, versions and codes are used that TensorFlow 2.14 knows, so both engines run what is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.factory.schema import load_schema

CUSTOM = 32


class Graph:
    """A model with one subgraph. Tensors are named by their index, as in the file."""

    def __init__(self, description: str = "written by tests/factory") -> None:
        self.schema = load_schema()
        self._model = self.schema.ModelT()
        self._model.version = 3
        self._model.description = description
        self._model.operatorCodes = []
        self._model.buffers = [self.schema.BufferT()]  # buffer 0 is empty by convention
        self._model.metadata = []
        self._model.signatureDefs = []
        self._graph = self.schema.SubGraphT()
        self._graph.name = "main"
        self._graph.tensors = []
        self._graph.operators = []
        self._graph.inputs = []
        self._graph.outputs = []
        self._model.subgraphs = [self._graph]
        self._codes: dict[tuple[int, str | None], int] = {}

    def tensor(
        self,
        name: str,
        shape: Sequence[int] | None,
        dtype: str,
        *,
        quantization: tuple[float, int] | None = None,
        shape_signature: Sequence[int] | None = None,
        data: NDArray[Any] | None = None,
    ) -> int:
        """Return the index of a new tensor; with `data` it is a constant."""
        tensor = self.schema.TensorT()
        tensor.name = name
        tensor.shape = None if shape is None else list(shape)
        tensor.shapeSignature = None if shape_signature is None else list(shape_signature)
        tensor.type = getattr(self.schema.TensorType, dtype.upper())
        tensor.buffer = 0 if data is None else self.buffer(data.tobytes())
        if quantization is not None:
            tensor.quantization = self.schema.QuantizationParametersT()
            tensor.quantization.scale = [quantization[0]]
            tensor.quantization.zeroPoint = [quantization[1]]
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def constant(self, name: str, values: Any, dtype: str) -> int:
        """Return the index of a constant tensor."""
        array = np.asarray(values, dtype)
        return self.tensor(name, array.shape, dtype, data=array)

    def buffer(self, data: bytes) -> int:
        """Return the index of a new buffer."""
        buffer = self.schema.BufferT()
        buffer.data = np.frombuffer(data, np.uint8)
        self._model.buffers.append(buffer)
        return len(self._model.buffers) - 1

    def operator(self, name: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any) -> None:
        """Append a builtin operator; keywords are fields of its options."""
        step = self._step(getattr(self.schema.BuiltinOperator, name), None, inputs, outputs)
        kind = _OPTIONS[name]
        step.builtinOptionsType = getattr(self.schema.BuiltinOptions, kind)
        step.builtinOptions = getattr(self.schema, f"{kind}T")()
        for field, value in options.items():
            setattr(step.builtinOptions, field, value)

    def custom(self, name: str, inputs: Sequence[int], outputs: Sequence[int], options: Mapping[str, Any]) -> None:
        """Append a custom operator; `options` become its flexbuffer."""
        from flatbuffers import flexbuffers

        step = self._step(CUSTOM, name, inputs, outputs)
        step.customOptions = np.frombuffer(bytes(flexbuffers.Dumps(dict(options))), np.uint8)

    def _step(self, code: int, custom: str | None, inputs: Sequence[int], outputs: Sequence[int]) -> Any:
        step = self.schema.OperatorT()
        step.opcodeIndex = self._code(code, custom)
        step.inputs = list(inputs)
        step.outputs = list(outputs)
        self._graph.operators.append(step)
        return step

    def _code(self, code: int, custom: str | None) -> int:
        if (code, custom) not in self._codes:
            entry = self.schema.OperatorCodeT()
            entry.builtinCode = code
            entry.deprecatedBuiltinCode = min(code, 127)
            entry.customCode = custom
            entry.version = 1
            self._model.operatorCodes.append(entry)
            self._codes[code, custom] = len(self._model.operatorCodes) - 1
        return self._codes[code, custom]

    def set_ends(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """Name the inputs and outputs of the model, in this order."""
        self._graph.inputs = list(inputs)
        self._graph.outputs = list(outputs)

    def add_signature(self, key: str, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> None:
        """Give the inputs and outputs their names in a signature."""
        signature = self.schema.SignatureDefT()
        signature.signatureKey = key
        signature.subgraphIndex = 0
        signature.inputs = [self._entry(name, index) for name, index in inputs.items()]
        signature.outputs = [self._entry(name, index) for name, index in outputs.items()]
        self._model.signatureDefs.append(signature)

    def _entry(self, name: str, index: int) -> Any:
        entry = self.schema.TensorMapT()
        entry.name = name
        entry.tensorIndex = index
        return entry

    def add_metadata(self, name: str, data: bytes) -> None:
        """Put bytes into the model under a name."""
        entry = self.schema.MetadataT()
        entry.name = name
        entry.buffer = self.buffer(data)
        self._model.metadata.append(entry)

    def write(self, path: Path) -> Path:
        """Write the model and return where it is."""
        from flatbuffers import Builder

        builder = Builder(1024)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path


_OPTIONS = {
    "ADD": "AddOptions",
    "CAST": "CastOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "DEQUANTIZE": "DequantizeOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "MUL": "MulOptions",
    "REDUCE_MAX": "ReducerOptions",
    "RESHAPE": "ReshapeOptions",
}
