"""Numbers of a tensor: thresholds on what is stored, real values only for the rows that pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.decoding import OutputSpec


def at_least(stored: NDArray[Any], spec: OutputSpec, threshold: float) -> NDArray[np.bool_]:
    """Return where the real value is at least the threshold, compared as stored: nothing is dequantised.

    A NaN, which a damaged float model can give, is never at least anything.
    """
    quantization = spec.quantization
    if quantization is None:
        return np.asarray(stored >= threshold)
    lowest = math.ceil(round(threshold / quantization.scale + quantization.zero_point, 6))
    return np.asarray(stored >= lowest) if lowest <= np.iinfo(stored.dtype).max else np.zeros(stored.shape, bool)


def real(stored: NDArray[Any], spec: OutputSpec) -> NDArray[np.float32]:
    """Return the real values as float32."""
    if spec.quantization is None:
        return np.asarray(stored, np.float32)
    steps = stored.astype(np.float32) - np.float32(spec.quantization.zero_point)
    values: NDArray[np.float32] = steps * np.float32(spec.quantization.scale)
    return values
