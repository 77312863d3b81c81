"""Fine-tuning: what is promised of the weights holds in what comes back, alone and in every combination."""

# ruff: noqa: E402 (what needs torch comes after the question whether it is there)

from __future__ import annotations

from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'edge-runtime[train]'")

from torch import Tensor, nn

from edge_runtime.errors import OptimizeError
from edge_runtime.optimize.training.finetune import Epoch, finetune
from edge_runtime.optimize.training.fold import fold_batch_norms
from edge_runtime.optimize.training.layers import layers_with_weights
from edge_runtime.optimize.training.techniques import Cluster, Prune, Qat, Technique
from tests.optimize.training import nets

QAT = Qat(methods=("raw",))
ALL = {
    "qat": [QAT],
    "pruned": [Prune(0.5)],
    "clustered": [Cluster(8)],
    "pqat": [Prune(0.5), QAT],
    "cqat": [Cluster(8), QAT],
    "pcqat": [Prune(0.5), Cluster(8), QAT],
    "2:4 and qat": [QAT, Prune(pattern="2:4")],
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors on a busy machine: threads only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=ALL, ids=str)
def tuned(request: pytest.FixtureRequest) -> tuple[nn.Module, list[Technique]]:
    """Return a fine-tuned detector with what was done to it."""
    techniques = ALL[request.param]
    return finetune(nets.detector(), nets.pictures, nets.pull, techniques=techniques, epochs=2), techniques


def test_what_comes_back_is_a_plain_module(tuned: tuple[nn.Module, list[Technique]]) -> None:
    """It goes on to export: the user's own class, folded, with ordinary weights and nothing beside them."""
    module, _ = tuned
    assert type(module) is nets.Detector
    assert not module.training
    assert set(module.state_dict()) == set(fold_batch_norms(nets.detector()).state_dict())
    assert "forward" not in vars(module)
    assert all(type(layer).__module__.startswith("torch.nn.modules") for layer in layers_with_weights(module).values())


def test_the_weights_were_trained(tuned: tuple[nn.Module, list[Technique]]) -> None:
    """A gradient that does not flow through rounding, masks or clusters leaves a network worse than it was."""
    module, _ = tuned
    images = next(nets.pictures())
    before = fold_batch_norms(nets.detector())
    assert float(nets.pull(module, images).detach()) < float(nets.pull(before, images).detach())


def test_zeros_and_shared_values_are_kept(tuned: tuple[nn.Module, list[Technique]]) -> None:
    """Each technique alone and beside the others: quantisation undoes neither zeros nor clusters."""
    module, techniques = tuned
    kinds = {type(one): one for one in techniques}
    for name, layer in layers_with_weights(module).items():
        weight = layer.weight.detach()
        if Prune in kinds and not (kinds[Prune].pattern and name == "stem.0"):
            assert int((weight == 0).sum()) >= weight.numel() // 2
        if Cluster in kinds:
            assert len(weight.unique()) <= 8


def test_two_of_every_four_input_channels_are_zero() -> None:
    """Hardware for this pattern takes no weaker one; a layer that cannot have it keeps its weights."""
    module = finetune(nets.detector(), nets.pictures, nets.pull, techniques=[Prune(pattern="2:4")], epochs=1)
    for layer in (module.conv, module.boxes, module.scores):
        fours = layer.weight.detach().movedim(1, -1).reshape(-1, 4)
        assert bool(((fours == 0).sum(dim=1) == 2).all())
    assert not bool((module.stem[0].weight == 0).any())


def test_a_pruned_module_keeps_the_same_zeros_when_more_is_done_to_it() -> None:
    """Pruning and quantisation-aware training may be runs of their own, days apart."""
    pruned = finetune(nets.detector(), nets.pictures, nets.pull, techniques=[Prune(0.5)], epochs=1)
    again = finetune(
        pruned, nets.pictures, nets.pull, techniques=[Prune(0.5, start=0, end=0), Cluster(8), QAT], epochs=1
    )
    for name, layer in layers_with_weights(pruned).items():
        assert torch.equal(layer.weight == 0, layers_with_weights(again)[name].weight == 0)


def test_layers_are_chosen_by_name() -> None:
    """First and last layers bear least; users leave them out."""
    module = finetune(nets.detector(), nets.pictures, nets.pull, techniques=[Prune(0.5, layers="conv|boxes")], epochs=1)
    sparse = {name for name, layer in layers_with_weights(module).items() if bool((layer.weight == 0).any())}
    assert sparse == {"conv", "boxes"}


def test_a_name_that_matches_no_layer_is_an_error() -> None:
    """Nothing pruned would look like pruning without a cost."""
    with pytest.raises(OptimizeError, match=r"matches no convolution.*there are stem\.0, conv, boxes, scores"):
        finetune(nets.detector(), nets.pictures, nets.pull, techniques=[Prune(layers="head")])


def test_the_module_given_is_as_it_was() -> None:
    """Training goes wrong at times; the module it began with must not."""
    module = nets.detector()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    finetune(module, nets.pictures, nets.pull, techniques=ALL["pcqat"], epochs=1)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not module.training
    assert all(parameter.grad is None for parameter in module.parameters())


def test_the_same_seed_gives_the_same_module_and_leaves_others_random_numbers_alone() -> None:
    """A variant that cannot be made again cannot be compared; and the user's own numbers are theirs."""
    state = torch.random.get_rng_state()
    one, other = (finetune(nets.detector(), nets.pictures, nets.pull, techniques=[QAT], epochs=1) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
    torch.random.set_rng_state(state)
    module = nets.detector()
    state = torch.random.get_rng_state()
    finetune(module, nets.pictures, nets.pull, techniques=[QAT], epochs=1)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_each_epoch_is_told_of() -> None:
    """Hours pass; whoever waits wants to see the loss fall."""
    told: list[Epoch] = []
    finetune(nets.detector(), nets.pictures, nets.pull, techniques=[Cluster(8)], epochs=3, on_epoch=told.append)
    assert [(one.number, one.of, one.steps) for one in told] == [(1, 3, 4), (2, 3, 4), (3, 3, 4)]
    assert told[-1].loss < told[0].loss


def test_a_loader_that_gives_nothing_is_one_clear_error() -> None:
    """A folder mistyped gives an empty loader, and a division by zero tells nobody so."""
    with pytest.raises(OptimizeError, match=r"^batches: gave none"):
        finetune(nets.detector(), list, nets.pull, techniques=[QAT])


def test_a_loader_that_is_used_up_after_an_epoch_is_an_error() -> None:
    """A generator instead of a function that makes one is the mistake everyone makes once."""
    once = nets.pictures()
    with pytest.raises(OptimizeError, match="in epoch 2; return a fresh iterable at each call"):
        finetune(nets.detector(), lambda: once, nets.pull, techniques=[QAT], epochs=2, steps=4)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (
            lambda module, images: module.raw(images)[0].sum() * torch.nan,
            "is nan at epoch 1, step 1; lower learning_rate",
        ),
        (lambda module, images: module.raw(images)[0].sum() * torch.inf, "inf at epoch 1, step 1"),
        (lambda module, images: module.raw(images)[0], r"returned shape \(2, 64, 4\)"),
        (lambda module, images: 0.5, "returned float"),
        (lambda module, images: torch.tensor(1.0), "return one number that has a gradient"),
    ],
)
def test_a_loss_that_cannot_be_trained_with_is_one_clear_error(loss: object, said: str) -> None:
    """NaN spreads through all weights in one step; hours later nothing tells where it began."""
    with pytest.raises(OptimizeError, match=said):
        finetune(nets.detector(), nets.pictures, loss, techniques=[Prune(0.5)])


def test_a_loss_that_goes_past_the_rounding_is_an_error() -> None:
    """Training would run, and be no quantisation-aware one."""
    with pytest.raises(OptimizeError, match="the loss called none of forward"):
        finetune(nets.detector(), nets.pictures, nets.pull, techniques=[Qat()])


@pytest.mark.parametrize("techniques", [[], [Prune(), Prune(0.7)], ["qat"]])
def test_techniques_that_make_no_sense_together_are_an_error(techniques: list[Technique]) -> None:
    """Two prunings would each undo the other's masks."""
    with pytest.raises(OptimizeError, match=r"^techniques: "):
        finetune(nets.detector(), nets.pictures, nets.pull, techniques=techniques)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Prune(1.0), "sparsity is 1.0"),
        (lambda: Prune(start=0.6, end=0.5), "start is 0.6, end 0.5"),
        (lambda: Prune(pattern="4:8"), "pattern '4:8' is unknown"),
        (lambda: Prune(0.7, pattern="2:4"), "sparsity is 0.7"),
        (lambda: Prune(layers="("), "no regular expression"),
        (lambda: Cluster(1), "clusters is 1"),
        (lambda: Cluster(start=2), "start is 2"),
        (lambda: Qat(input_range=(1, 0)), "input_range"),
        (lambda: Qat(methods="raw"), "give a tuple"),
    ],
)
def test_a_setting_out_of_bounds_is_named_at_once(make: object, said: str) -> None:
    """Before the hours of training, not after."""
    with pytest.raises(OptimizeError, match=said):
        make()


def test_the_gradient_of_a_shared_value_is_the_sum_of_its_weights() -> None:
    """So a cluster moves as all its members together want it."""
    from edge_runtime.optimize.training.clusters import SharedValues

    weight = torch.tensor([0.0, 1.0, 1.1, -2.0])
    shared = SharedValues(weight, 3)
    values = shared.assign(weight)
    torch.testing.assert_close(values.detach(), torch.tensor([-2.0, 1.05]))
    factors: Tensor = torch.tensor([5.0, 2.0, 3.0, 7.0])
    (shared(weight) * factors).sum().backward()
    assert values.grad.tolist() == [7.0, 5.0]
