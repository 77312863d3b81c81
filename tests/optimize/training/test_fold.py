"""Batch norms folded away: the same numbers, or an error that names the layer."""

# ruff: noqa: E402 (what needs torch comes after the question whether it is there)

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'edge-runtime[train]'")

from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edge_runtime.errors import OptimizeError
from edge_runtime.optimize.training.fold import fold_batch_norms
from tests.optimize.training import nets


def norms_in(module: nn.Module) -> list[nn.Module]:
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)]


@settings(max_examples=30)
@given(
    channels_in=st.integers(1, 6),
    channels_out=st.integers(1, 6),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    bias=st.booleans(),
    affine=st.booleans(),
    kind=st.sampled_from(["conv", "depthwise", "transposed", "linear"]),
)
def test_a_folded_layer_computes_what_both_did(
    channels_in: int, channels_out: int, kernel: int, stride: int, bias: bool, affine: bool, kind: str
) -> None:
    """Folding is arithmetic, not training: whatever the shapes, nothing is lost but rounding."""
    torch.manual_seed(channels_in * 7 + channels_out)
    layer: nn.Module
    if kind == "linear":
        layer, norm = nn.Linear(channels_in, channels_out, bias), nn.BatchNorm1d(channels_out, affine=affine)
    elif kind == "transposed":
        groups = 2 if channels_in % 2 == 0 else 1
        channels_out *= groups
        layer = nn.ConvTranspose2d(channels_in, channels_out, kernel, stride, groups=groups, bias=bias)
        norm = nn.BatchNorm2d(channels_out, affine=affine)
    else:
        groups = channels_in if kind == "depthwise" else 1
        channels_out = channels_in * 2 if kind == "depthwise" else channels_out
        layer = nn.Conv2d(channels_in, channels_out, kernel, stride, groups=groups, bias=bias)
        norm = nn.BatchNorm2d(channels_out, affine=affine)
    module = nets.stir(nn.Sequential(layer, norm))
    x = torch.randn(3, channels_in) if kind == "linear" else torch.randn(3, channels_in, 6, 5)
    folded = fold_batch_norms(module)
    assert not norms_in(folded)
    torch.testing.assert_close(folded(x), module(x), rtol=1e-4, atol=1e-5)


def test_attributes_and_other_methods_are_folded_too() -> None:
    """A detector's loss calls a method of its own; it must see the folded layers, and names must not change."""
    module = nets.detector()
    folded = fold_batch_norms(module)
    x = torch.rand(2, 3, nets.SIDE, nets.SIDE)
    assert type(folded) is type(module)
    assert not norms_in(folded)
    for found, wanted in zip((*folded(x), *folded.raw(x)), (*module(x), *module.raw(x)), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_module_given_keeps_its_batch_norms() -> None:
    """Folding is for a copy: the user may want to go on training what they have."""
    module = nets.detector()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    fold_batch_norms(module)
    assert len(norms_in(module)) == 2
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])


class Twice(nn.Module):
    """One convolution for two sizes, and its batch norm with it, as in the heads of detectors."""

    def __init__(self, norms: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(norms))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        small = x[..., ::2, ::2]
        return self.norms[0](self.conv(x)).sum() + self.norms[-1](self.conv(small)).sum()


def test_a_shared_layer_folds_with_the_batch_norm_it_always_has() -> None:
    """Heads are shared among sizes; one factor serves all of them."""
    module = nets.stir(Twice(1))
    x = torch.rand(1, 3, 4, 4)
    torch.testing.assert_close(fold_batch_norms(module)(x), module(x), rtol=1e-4, atol=1e-4)


def test_a_shared_layer_with_two_batch_norms_is_refused() -> None:
    """Two factors for one weight: any choice would be wrong at one of the sizes."""
    with pytest.raises(OptimizeError, match=r"^norms\.0: "):
        fold_batch_norms(nets.stir(Twice(2)))


class Forked(nn.Module):
    """What the convolution gives goes past the batch norm as well."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return y + self.norm(y)


@pytest.mark.parametrize(
    "module",
    [Forked(), nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1)), nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3))],
)
def test_a_batch_norm_without_a_layer_of_its_own_is_named(module: nn.Module) -> None:
    """Folding it anyway would change what the network says."""
    with pytest.raises(OptimizeError, match=r"BatchNorm2d follows no convolution") as caught:
        fold_batch_norms(module)
    assert str(caught.value).partition(":")[0] in dict(module.named_modules())


def test_a_batch_norm_without_statistics_is_named() -> None:
    """It computes with the batch at hand; no weight can stand for that."""
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False))
    with pytest.raises(OptimizeError, match=r"^1: keeps no running mean"):
        fold_batch_norms(module)


class Branching(nn.Module):
    """A forward that looks at values, around a part that does not."""

    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.part(x) if x.sum() > 0 else self.part(-x)


def test_parts_of_a_module_that_cannot_be_traced_are_folded() -> None:
    """Models of real projects have branches somewhere; their blocks are plain."""
    module = nets.stir(Branching())
    folded = fold_batch_norms(module)
    x = torch.rand(1, 3, 4, 4)
    assert not norms_in(folded)
    torch.testing.assert_close(folded(x), module(x), rtol=1e-4, atol=1e-5)
