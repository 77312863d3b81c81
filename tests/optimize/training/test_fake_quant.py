"""Floats rounded as integer kernels round them."""

# ruff: noqa: E402 (what needs torch comes after the question whether it is there)

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'edge-runtime[train]'")

from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edge_runtime.errors import OptimizeError
from edge_runtime.optimize.training.fake_quant import FakeQuant, Quantising, WeightGrid
from edge_runtime.optimize.training.fold import fold_batch_norms
from edge_runtime.optimize.training.techniques import Qat
from tests.optimize.training import nets


@settings(max_examples=25)
@given(low=st.floats(-20, 0), width=st.floats(0.01, 40), seed=st.integers(0, 1000))
def test_activations_lie_on_256_steps_of_which_zero_is_one(low: float, width: float, seed: int) -> None:
    """Padding is zero; a range in which zero falls between two steps would shift every border."""
    quant = FakeQuant()
    x = torch.rand(200, generator=torch.Generator().manual_seed(seed)) * width + low
    x[0] = 0.0
    y = quant(x)
    step = (max(float(x.max()), 0.0) - min(float(x.min()), 0.0)) / 255
    assert len(y.unique()) <= 256
    assert y[0] == 0
    assert float((y - x).abs().max()) <= step * 1.01


@settings(max_examples=25)
@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3)),
    axis=st.integers(0, 1),
    seed=st.integers(0, 1000),
)
def test_weights_lie_on_127_steps_to_each_side_of_each_channel(
    shape: tuple[int, int, int, int], axis: int, seed: int
) -> None:
    """Symmetric and without -128: that is what the kernels multiply; the largest of a channel and zero are exact."""
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    weight.movedim(axis, 0)[0] = 0.0  # a dead channel divides by nothing
    rounded = WeightGrid(axis)(weight).movedim(axis, 0)
    for channel, found in zip(weight.movedim(axis, 0), rounded, strict=True):
        largest = float(channel.abs().max())
        steps = found / (largest / 127 if largest else 1.0)
        torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-3)
        assert float(found.abs().max()) == pytest.approx(largest, rel=1e-6)
        assert float((found - channel).abs().max()) <= largest / 254 * 1.001


def test_gradients_pass_where_values_are_in_range_and_stop_outside() -> None:
    """Rounding has no slope of its own; without a stand-in nothing would be learned."""
    quant = FakeQuant((0.0, 1.0))
    x = torch.tensor([0.25, 0.7, 3.0], requires_grad=True)
    quant(x).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 0.0]


def test_a_range_moves_in_training_only() -> None:
    """What is evaluated in between must not shift what is trained."""
    quant = FakeQuant()
    quant(torch.tensor([0.0, 1.0]))
    quant.eval()
    quant(torch.tensor([0.0, 100.0]))
    assert float(quant.high) == 1.0
    quant.train()
    quant(torch.tensor([0.0, 2.0]))
    assert float(quant.high) == pytest.approx(1.05)


def test_what_is_no_float_tensor_goes_through() -> None:
    """Traced methods count rows and compare shapes with the same operators that add pictures."""
    quant = FakeQuant()
    whole = torch.tensor([1, 2])
    assert quant(7) == 7
    assert quant(whole) is whole


def placed(module: nn.Module, method: str = "forward") -> set[str]:
    """Return behind which nodes of the method there is a rounding."""
    quantising = Quantising(module.train(), Qat(methods=(method,)))
    names = {name.removeprefix(f"{method}_") for name in module._fake_quants}
    quantising.remove()
    return names


def test_roundings_stand_where_integer_kernels_end() -> None:
    """Behind a fused ReLU6, not before it; behind additions, the input, and boxes and scores each on their own."""
    folded = fold_batch_norms(nets.detector())
    assert placed(folded, "raw") == {"image", "stem_2", "relu6", "add", "boxes", "scores"}


def test_a_sigmoid_has_the_range_its_kernel_has() -> None:
    """Integer kernels give scores in steps of 1/256, whatever was seen."""
    folded = fold_batch_norms(nets.detector()).train()
    Quantising(folded, Qat())
    scores = folded(torch.rand(2, 3, nets.SIDE, nets.SIDE))[1] * 256
    torch.testing.assert_close(scores, scores.round(), rtol=0, atol=1e-4)


def test_removal_leaves_the_module_as_it_was() -> None:
    """What is exported is plain: no rounding, no attribute more."""
    folded = fold_batch_norms(nets.detector())
    x = torch.rand(1, 3, nets.SIDE, nets.SIDE)
    before, attributes = copy.deepcopy(folded)(x), set(vars(folded))
    Quantising(folded, Qat(methods=("forward", "raw"))).remove()
    for layer in (folded.stem[0], folded.conv, folded.boxes, folded.scores):
        nn.utils.parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert set(vars(folded)) == attributes
    for found, wanted in zip(folded(x), before, strict=True):
        assert torch.equal(found, wanted)


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x) if x.sum() > 0 else x


def test_a_method_that_branches_on_values_is_named() -> None:
    """Half of it would be rounded; the user must know why it is not done."""
    with pytest.raises(OptimizeError, match=r"^Qat: Branching\.forward cannot be traced"):
        Quantising(Branching(), Qat())


def test_a_method_that_is_not_there_is_named() -> None:
    """A slip of the pen in a name would else be training without rounding."""
    with pytest.raises(OptimizeError, match="has no method 'raws'"):
        Quantising(nets.detector(), Qat(methods=("raws",)))
