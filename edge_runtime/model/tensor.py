"""What this package needs to know of an input or output; the backends' TensorSpec and our own TensorInfo have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np


class Tensor(Protocol):
    """One input or output of a model."""

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def quantization(self) -> Any: ...

    @property
    def signature_name(self) -> str | None: ...
