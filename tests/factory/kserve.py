"""A server that speaks KServe v2 over gRPC, in this process: every way to fail that a real one is asked for in vain."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype

Arrays = Mapping[str, NDArray[Any]]


@dataclass
class Served:
    """A model of the server: its ends as (name, datatype, shape), and what it answers."""

    inputs: Sequence[tuple[str, str, Sequence[int]]]
    outputs: Sequence[tuple[str, str, Sequence[int]]]
    answer: Callable[[Arrays], Arrays]


@dataclass
class KserveServer(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Runs while the block of its `with` does; `stop` and `start` make it go away and come back on its port."""

    models: dict[str, Served] = field(default_factory=dict)
    is_ready: bool = True
    absent_is_an_error: bool = False  # as some servers have it, where Triton says that it is not ready
    name: str = "standin"
    port: int = 0
    headers: list[dict[str, str]] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)  # an answer waits while `is_held`
    is_held: bool = False

    def start(self) -> None:
        # A port that is reused would have two servers answer in turn.
        self._server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()

    def stop(self) -> None:
        self.hold.set()
        self._server.stop(None).wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def address(self, model: str, user: str = "") -> str:
        return f"grpc://{user}127.0.0.1:{self.port}/{model}"

    # What the protocol asks for, under its names.

    def ServerReady(self, request: Any, context: Any) -> Any:
        self.headers.append(dict(context.invocation_metadata()))
        return service_pb2.ServerReadyResponse(ready=self.is_ready)

    def ServerMetadata(self, request: Any, context: Any) -> Any:
        return service_pb2.ServerMetadataResponse(name=self.name, version="1.5" if self.name else "")

    def ModelReady(self, request: Any, context: Any) -> Any:
        if request.name not in self.models and self.absent_is_an_error:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Model {request.name} not found")
        return service_pb2.ModelReadyResponse(ready=request.name in self.models)

    def ModelMetadata(self, request: Any, context: Any) -> Any:
        model = self.models[request.name]
        tensor = service_pb2.ModelMetadataResponse.TensorMetadata
        return service_pb2.ModelMetadataResponse(
            name=request.name,
            inputs=[tensor(name=name, datatype=kind, shape=shape) for name, kind, shape in model.inputs],
            outputs=[tensor(name=name, datatype=kind, shape=shape) for name, kind, shape in model.outputs],
        )

    def ModelInfer(self, request: Any, context: Any) -> Any:
        self.headers.append(dict(context.invocation_metadata()))
        if self.is_held:
            self.hold.wait()
        sent = {
            one.name: np.frombuffer(data, triton_to_np_dtype(one.datatype)).reshape(tuple(one.shape))
            for one, data in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        try:
            found = self.models[request.model_name].answer(sent)
        except ValueError as exc:
            context.abort(grpc.StatusCode.INTERNAL, str(exc))
        wanted = [one.name for one in request.outputs]
        answer = service_pb2.ModelInferResponse(model_name=request.model_name)
        for name, values in found.items():
            if name in wanted:
                answer.outputs.add(name=name, datatype=np_to_triton_dtype(values.dtype), shape=values.shape)
                answer.raw_output_contents.append(values.tobytes())
        return answer
