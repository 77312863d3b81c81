"""A server in reach as a backend, by the KServe v2 protocol over gRPC, as Triton and OpenVINO Model Server speak it.

Source: github.com/kserve/open-inference-protocol, specification/protocol/inference_grpc.md.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import BackendError, BackendMissingError, InvokeError
from edge_runtime.inference import BackendInfo, TensorSpec
from edge_runtime.inference.checks import check_call
from edge_runtime.inference.engine import one_line
from edge_runtime.inference.onnx import open_onnx
from edge_runtime.inference.remote_address import RemoteAddress, parse_address
from edge_runtime.inference.remote_tensors import Wire, match_tensors
from edge_runtime.inference.tflite import open_cpu

log = logging.getLogger(__name__)

ASK_S = 5.0
"""For each question at the start, answered without the model."""
FIRST_INVOKE_S = 60.0
"""Servers load a model, or build its engine, when it is first invoked."""
LEAST_S, MOST_S = 2.0, 10.0
"""The limit of each later invoke: four times the first one, within these."""
_OF_AN_ANSWER = ("NOT_FOUND", "UNKNOWN", "INTERNAL", "INVALID_ARGUMENT", "UNIMPLEMENTED")
"""How servers say that they do not have a model; they differ in it."""
_CHANNEL = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),  # or a new client would share how long the lost one is to wait
)


def open_remote(model: Path, *, engine: str = "auto", num_threads: int = 1, device: str = "") -> RemoteBackend:
    """Return the model of a server, after one invoke on zeros.

    The file is opened here too, once and on one thread: its shapes and scales are what the server must have, which
    tells of scales nothing.

    Args:
        model: the same model as a file.
        engine: of the file; the server has its own.
        num_threads: not looked at: the server decides.
        device: "grpc://host:8001/MODEL", "grpcs://..." for TLS; "MODEL/2" names a version.

    Raises:
        ConfigError: the address is not of this form.
        ModelError: the engine refuses the file.
        BackendMissingError: the client or the engine is missing.
        BackendError: the server is not ready, has no such model, or has another one.
        InvokeError: the server fails at the first invoke.
    """
    del num_threads
    address = parse_address(device)
    client = load_client()
    opener: Callable[..., Any] = open_onnx if model.suffix.lower() == ".onnx" else open_cpu
    if address.headers and not address.is_secure:
        log.warning("user and password are sent in the clear server=%s; use grpcs", address.server)
    local = opener(model, engine=engine, num_threads=1)
    inputs, outputs = local.inputs, local.outputs
    local.close()
    return RemoteBackend(model, address, inputs, outputs, client)


def load_client() -> Any:
    """Return the module tritonclient.grpc.

    Raises:
        BackendMissingError: it is missing or does not load.
    """
    try:
        import tritonclient.grpc
    except ImportError as exc:
        raise BackendMissingError(
            f"backend remote: tritonclient cannot be imported ({one_line(exc)}); "
            "run: python -m pip install 'edge-runtime[remote]'"
        ) from exc
    return tritonclient.grpc


class RemoteBackend:
    """A model of a server. A lost connection costs the invoke; the next one connects anew."""

    def __init__(
        self,
        model: Path,
        address: RemoteAddress,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        library: Any,
        *,
        invoke_s: float | None = None,
    ) -> None:
        self._model = model
        self._address = address
        self._library = library
        self._client: Any = None
        self._is_closed = False
        self._limit_s = FIRST_INVOKE_S
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        try:
            self._info, self._sent, self._wanted = self._introduce()
            start = time.monotonic()
            self.invoke([np.zeros(spec.shape, spec.dtype) for spec in self.inputs])
            learned = max(LEAST_S, min(4 * (time.monotonic() - start), MOST_S))
        except BaseException:
            self.close()
            raise
        self._limit_s = learned if invoke_s is None else invoke_s

    def invoke(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the server's answer.

        Raises:
            InvokeError: it took too long, the connection was lost, or the server failed.
        """
        check_call(self._model.name, self.inputs, inputs, is_closed=self._is_closed)
        try:
            answer = self._connected().infer(
                self._address.model,
                [self._input(wire, tensor) for wire, tensor in zip(self._sent, inputs, strict=True)],
                model_version=self._address.version,
                outputs=[self._library.InferRequestedOutput(wire.name) for wire in self._wanted],
                client_timeout=self._limit_s,
                headers=self._address.headers,
            )
            return [self._output(answer, wire) for wire in self._wanted]
        except InvokeError:
            raise
        except Exception as exc:  # of the client, of gRPC below it, and of numpy for a reply that is no tensor
            self._disconnect()
            raise InvokeError(
                f"backend remote: {self._address}: the invoke failed ({_reason(exc)}) within {self._limit_s:g} s; "
                "is the server still there, and not overloaded?"
            ) from exc

    def describe(self) -> BackendInfo:
        return self._info

    def close(self) -> None:
        self._is_closed = True
        self._disconnect()

    def _introduce(self) -> tuple[BackendInfo, list[Wire], list[Wire]]:
        """Return who the server is, and its inputs and outputs in the order of the file's."""
        address = self._address
        if not self._ask(lambda client, **limits: client.is_server_ready(**limits)):
            raise BackendError(f"backend remote: {address.server} is there but not ready; try again when it is")
        server = self._ask(lambda client, **limits: client.get_server_metadata(**limits))
        asked = (address.model, address.version)
        if not self._ask(lambda client, **limits: client.is_model_ready(*asked, **limits), of_model=True):
            raise self._no_model("it says so")
        model = self._ask(lambda client, **limits: client.get_model_metadata(*asked, **limits), of_model=True)
        name, version = server.name or "an unnamed server", server.version or "of unknown version"
        info = BackendInfo("remote", name, version, threads=0, delegate=str(address), nodes=0, delegated_nodes=0)
        sent = match_tensors("input", model.inputs, self.inputs, str(address), self._model)
        return info, sent, match_tensors("output", model.outputs, self.outputs, str(address), self._model)

    def _ask(self, question: Callable[..., Any], *, of_model: bool = False) -> Any:
        try:
            return question(self._connected(), headers=self._address.headers, client_timeout=ASK_S)
        except Exception as exc:  # of the client and of gRPC below it
            self._disconnect()
            if of_model and _code(exc) in _OF_AN_ANSWER:
                raise self._no_model(_reason(exc)) from exc
            raise BackendError(
                f"backend remote: {self._address.server} does not answer ({_reason(exc)}); check host and gRPC port, "
                "and that the server runs"
            ) from exc

    def _no_model(self, why: str) -> BackendError:
        wanted = self._address.model_and_version
        return BackendError(
            f"backend remote: {self._address.server} has no model {wanted!r}, or has not loaded it ({why}); "
            "name one that it has behind the last slash"
        )

    def _connected(self) -> Any:
        """Return the client; a new one where the last was given up, as gRPC would wait longer after each failure."""
        if self._client is None:
            self._client = self._library.InferenceServerClient(
                self._address.host_and_port, ssl=self._address.is_secure, channel_args=list(_CHANNEL)
            )
        return self._client

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):  # it is given up, in whatever state it is
                client.close()

    def _input(self, wire: Wire, tensor: NDArray[Any]) -> Any:
        sent = self._library.InferInput(wire.name, list(tensor.shape), wire.datatype)
        sent.set_data_from_numpy(np.ascontiguousarray(tensor))
        return sent

    def _output(self, answer: Any, wire: Wire) -> NDArray[Any]:
        found = answer.as_numpy(wire.name)
        if found is None or found.shape != wire.shape or found.dtype != wire.dtype:
            shown = "nothing" if found is None else f"{found.dtype} {list(found.shape)}"
            raise InvokeError(
                f"backend remote: {self._address}: output {wire.name!r} is {shown}, the model has "
                f"{wire.dtype} {list(wire.shape)}; has the server loaded another model?"
            )
        return np.array(found)  # the reply's own bytes cannot be written to


def _code(error: Exception) -> str:
    """Return "NOT_FOUND" and the like; empty for what is no answer of gRPC."""
    status = getattr(error, "status", None)
    return str(status() or "").removeprefix("StatusCode.") if callable(status) else ""


def _reason(error: Exception) -> str:
    said = getattr(error, "message", None)
    words = one_line((said() if callable(said) else None) or error)
    return f"{_code(error)}: {words}" if _code(error) else words
