"""The loop that trains the network: AdamW, one cycle of the learning rate, a moving average of the weights."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from time import monotonic

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)

AVERAGE_DECAY = 0.998

Batch = tuple[Tensor, Tensor, Tensor]


def fit(
    network: nn.Module,
    loss: Callable[[Batch], Tensor],
    epochs: Iterator[Iterator[Batch]],
    *,
    steps: int,
    learning_rate: float = 3e-3,
    on_epoch: Callable[[nn.Module], None] = lambda _: None,
) -> nn.Module:
    """Train the network in place; return the moving average of it, which is the better one.

    Args:
        network: its parameters are changed.
        loss: of a batch.
        epochs: of batches.
        steps: batches in all of them.
        learning_rate: at its highest, after a tenth of the steps.
        on_epoch: is given the average after each epoch.
    """
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.1)
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGE_DECAY), use_buffers=True
    )
    start, step = monotonic(), 0
    for number, batches in enumerate(epochs, 1):
        total, count = 0.0, 0
        for batch in batches:
            value = loss(batch)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimizer.step()
            schedule.step()
            average.update_parameters(network)
            total, count, step = total + float(value.detach()), count + 1, step + 1
        on_epoch(average.module)
        log.info("epoch=%d loss=%.4f steps=%d/%d seconds=%.0f", number, total / count, step, steps, monotonic() - start)
    averaged: nn.Module = average.module
    return averaged.eval()
