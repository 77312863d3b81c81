"""Whether a classifier puts out probabilities or what comes before them; its shape does not tell."""

from __future__ import annotations

from edge_runtime.errors import ConfigError
from edge_runtime.model.families import FAMILIES, Roles
from edge_runtime.model.roles import OutputFacts
from edge_runtime.model.stored import stored_range

_PROBABILITIES = {"softmax", "logistic", "sigmoid"}
_LOGITS = {"fullyconnected", "conv2d", "gemm", "conv", "matmul"}
_PASS_ON = {"dequantize", "quantize", "reshape", "squeeze", "cast", "flatten", "dequantizelinear", "quantizelinear"}


def resolve_score_kind(facts: OutputFacts, decoder: str, roles: Roles) -> tuple[str | None, str]:
    """Return "probabilities" or "logits", None where only the values will tell, and where that comes from.

    Raises:
        ConfigError: the sidecar gives it for a decoder that does not ask.
    """
    sidecar = facts.sidecar
    if FAMILIES[decoder].task != "classify":
        if sidecar and sidecar.score_kind:
            source = sidecar.source("score_kind")
            raise ConfigError(f"{source}: score_kind is for classify, this model is {decoder}; remove it")
        return None, "not needed"
    if sidecar and sidecar.score_kind:
        return sidecar.score_kind, sidecar.origin("score_kind")
    last = next((one for one in reversed(facts.file.operators) if _plain(one) not in _PASS_ON), "")
    if _plain(last) in _PROBABILITIES:
        return "probabilities", f"operator {last}"
    stored = stored_range(facts, roles["scores"])
    if stored and stored.lowest < -stored.step:
        return "logits", f"quantisation, from {stored.lowest:.3g}"
    if _plain(last) in _LOGITS:
        return "logits", f"operator {last}"
    return None, "the values"


def _plain(operator: str) -> str:
    return operator.lower().replace("_", "")
