"""Small torch modules of the kinds that users have, with batch norms that do something."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 8


def stir(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give the batch norms statistics as of a trained network, and return the module ready for use."""
    generator = torch.Generator().manual_seed(seed)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            if norm.running_mean is not None:
                norm.running_mean.normal_(generator=generator)
                norm.running_var.uniform_(0.5, 2.0, generator=generator)
            if norm.affine:
                norm.weight.data.uniform_(0.5, 1.5, generator=generator)
                norm.bias.data.normal_(generator=generator)
    return module.eval()


class Detector(nn.Module):
    """A residual block, an upsampling, boxes and scores apart, and the logits by a method of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.conv = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.boxes = nn.Conv2d(8, 4, 1)
        self.scores = nn.Conv2d(8, 2, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        boxes, logits = self.raw(image)
        return boxes, logits.sigmoid()

    def raw(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(image)
        x = x + F.relu6(self.norm(self.conv(x)))
        x = F.interpolate(x, scale_factor=2.0)
        return tuple(y.flatten(2).transpose(1, 2) for y in (self.boxes(x), self.scores(x)))


def detector() -> Detector:
    torch.manual_seed(0)
    module = stir(Detector())
    assert isinstance(module, Detector)
    return module


def pictures() -> Iterator[Tensor]:
    """Yield four batches of two pictures."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        yield torch.rand(2, 3, SIDE, SIDE, generator=generator)


def pull(module: nn.Module, images: Tensor) -> Tensor:
    """Return a loss that calls `raw`, as the bundled detector's does."""
    boxes, logits = module.raw(images)
    return (boxes - 1).square().mean() + (logits + 1).square().mean()
