"""What becomes of a model's numbers, and the same in ai-edge-quantizer's own words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

ENDS = ("INPUT", "OUTPUT")
"""What the package calls the two ends of a model."""

_NEVER_DYNAMIC = "DEPTHWISE_CONV_2D"  # leaves XNNPACK's fast path then, 2.8 times slower, and costs accuracy


@dataclass(frozen=True, slots=True)
class Scheme:
    """What becomes of weights, activations, input and outputs."""

    weights: str  # "int8" or "float16"
    activations: str = "float"  # "int8", "int16" or "float"
    io: str = "float"  # "int8", "uint8" or "float"
    float_operators: tuple[str, ...] = ()  # operators that stay float: "LOGISTIC"
    float_layers: tuple[str, ...] = ()  # regular expressions; a layer one of them finds in its name stays float
    only: str = ".*"  # the layers to quantise, a regular expression

    @property
    def needs_ranges(self) -> bool:
        """True where activations are integers."""
        return self.activations != "float"


def rules(scheme: Scheme) -> list[dict[str, Any]]:
    """Return the scheme in ai-edge-quantizer's own words; of two rules for one operator the later counts."""
    floats = list(scheme.float_operators)
    if scheme.weights == "float16":
        found = [_rule(scheme.only, "*", "float_casting", _config(16, kind="FLOAT"))]
    elif scheme.activations == "float":
        found = [_rule(scheme.only, "*", "min_max_uniform_quantize", _config(8))]
        floats.append(_NEVER_DYNAMIC)
    else:
        found = [_rule(scheme.only, "*", "min_max_uniform_quantize", _static(scheme.activations))]
        found += [_boundary(scheme, end) for end in ENDS if end not in floats]
    found += [_rule(".*", operator, "no_quantize") for operator in dict.fromkeys(floats)]
    return found + [_rule(f"(?:{layer})", "*", "no_quantize") for layer in scheme.float_layers]


def _boundary(scheme: Scheme, end: str) -> dict[str, Any]:
    if scheme.io == "float":
        return _rule(".*", end, "no_quantize")
    activations = scheme.activations if scheme.io == "int8" else scheme.io
    return _rule(".*", end, "min_max_uniform_quantize", _static(activations))


def _rule(regex: str, operation: str, algorithm: str, config: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"regex": regex, "operation": operation, "algorithm_key": algorithm, "op_config": config or {}}


def _config(bits: int, *, kind: str = "INT") -> dict[str, Any]:
    """Return the settings for weights alone; floats are written as such and widened when the model is loaded."""
    is_float = kind == "FLOAT"
    return {
        "weight_tensor_config": {
            "num_bits": bits,
            "symmetric": True,
            "granularity": "TENSORWISE" if is_float else "CHANNELWISE",
            "dtype": kind,
        },
        "compute_precision": "FLOAT" if is_float else "INTEGER",
        "explicit_dequantize": is_float,
    }


def _static(activations: str) -> dict[str, Any]:
    """Return the settings for weights of 8 bits and activations; the kernels want those of 16 bits symmetric."""
    bits, dtype = (16, "INT") if activations == "int16" else (8, "UINT" if activations == "uint8" else "INT")
    wanted = {"num_bits": bits, "symmetric": bits == 16, "granularity": "TENSORWISE", "dtype": dtype}
    return {"activation_tensor_config": wanted, **_config(8)}


def exactly(names: Iterable[str]) -> str:
    """Return a regular expression for layers of exactly these names (each the name of the layer's output)."""
    return "|".join(rf"(?:^|;){re.escape(name)};" for name in names)
