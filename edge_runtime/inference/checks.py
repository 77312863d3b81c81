"""What every backend refuses before it asks its engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edge_runtime.errors import InvokeError
from edge_runtime.inference import TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray


def check_call(name: str, specs: Sequence[TensorSpec], inputs: Sequence[NDArray[Any]], *, is_closed: bool) -> None:
    """Raise InvokeError where the model of this name is closed, or does not take so many tensors."""
    if is_closed:
        raise InvokeError(f"{name}: invoke after close; open the model again")
    if len(inputs) != len(specs):
        raise InvokeError(f"{name}: got {len(inputs)} inputs, allowed is {len(specs)}")


def check_tensors(name: str, specs: Sequence[TensorSpec], inputs: Sequence[NDArray[Any]], *, is_closed: bool) -> None:
    """Raise InvokeError as `check_call` does, and where a tensor has another shape or type than the model takes."""
    check_call(name, specs, inputs, is_closed=is_closed)
    for tensor, spec in zip(inputs, specs, strict=True):
        if tensor.shape != spec.shape or tensor.dtype != spec.dtype:
            raise InvokeError(f"{name}: {spec.name} wants {spec.dtype} {spec.shape}, got {tensor.dtype} {tensor.shape}")
