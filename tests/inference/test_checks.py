"""What every backend refuses before its engine sees it."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.errors import InvokeError
from edge_runtime.inference import TensorSpec
from edge_runtime.inference.checks import check_call, check_tensors

SPECS = (TensorSpec("x", (1, 2), np.dtype("int8")),)
GOOD, LONGER = np.zeros((1, 2), np.int8), np.zeros((1, 3), np.int8)


@pytest.mark.parametrize(
    ("inputs", "is_closed", "said"),
    [
        ([GOOD], True, "^m: invoke after close; open the model again$"),
        ([], True, "after close"),
        ([], False, "^m: got 0 inputs, allowed is 1$"),
        ([GOOD, GOOD], False, "got 2 inputs"),
        ([LONGER], False, r"^m: x wants int8 \(1, 2\), got int8 \(1, 3\)$"),
        ([GOOD.astype(np.uint8)], False, "wants int8 .* got uint8"),
    ],
)
def test_what_a_model_does_not_take_is_refused(inputs: list[np.ndarray], is_closed: bool, said: str) -> None:
    """Engines answer a wrong tensor with a riddle, or with memory that is not theirs."""
    with pytest.raises(InvokeError, match=said):
        check_tensors("m", SPECS, inputs, is_closed=is_closed)


def test_what_fits_passes_and_a_call_alone_leaves_shapes_to_the_engine() -> None:
    """Some engines name the tensor that does not fit themselves."""
    check_tensors("m", SPECS, [GOOD], is_closed=False)
    check_call("m", SPECS, [LONGER], is_closed=False)
