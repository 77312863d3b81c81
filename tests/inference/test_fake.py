"""The backend with prepared outputs refuses and copies as an engine does, or tests on it would prove nothing."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.errors import InvokeError
from edge_runtime.inference import TensorSpec
from edge_runtime.inference.fake import FakeBackend

SPEC = TensorSpec("x", (1, 2), np.dtype("uint8"))
GOOD = np.zeros((1, 2), np.uint8)


@pytest.mark.parametrize("inputs", [[], [GOOD, GOOD], [GOOD.astype(np.int8)], [GOOD[0]]])
def test_inputs_an_engine_would_refuse_are_refused_with_the_same_error(inputs: list[np.ndarray]) -> None:
    backend = FakeBackend([SPEC], [SPEC], lambda given: given)
    with pytest.raises(InvokeError, match="fake: "):
        backend.invoke(inputs)
    assert backend.invokes == 0


def test_invoke_after_close_is_refused() -> None:
    backend = FakeBackend([SPEC], [SPEC], lambda given: given)
    backend.close()
    with pytest.raises(InvokeError, match="after close"):
        backend.invoke([GOOD])


def test_an_output_is_the_callers_own() -> None:
    """Drawing into it must not change what the script answers next."""
    backend = FakeBackend([SPEC], [SPEC], lambda given: [GOOD])
    backend.invoke([GOOD])[0][:] = 9
    assert backend.invoke([GOOD])[0].tolist() == [[0, 0]]


def test_an_answer_of_another_type_than_declared_is_an_error() -> None:
    backend = FakeBackend([SPEC], [SPEC], lambda given: [GOOD.astype(np.float32)])
    with pytest.raises(InvokeError, match="x should be uint8, the script returned float32"):
        backend.invoke([GOOD])
