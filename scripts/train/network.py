"""The bundled detector: a small single-stage network made for integer arithmetic.

Dense 3x3 convolutions and 1x1 convolutions only, every activation a ReLU6 that folds into its convolution, channels
in multiples of 8: the shapes for which integer kernels pay. Depthwise convolutions would need a third of the
multiplications and run slower as integers than as floats on small CPUs.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

INPUT_WH = (192, 160)
STRIDE = 8
GRID_WH = (INPUT_WH[0] // STRIDE, INPUT_WH[1] // STRIDE)


class ConvBlock(nn.Sequential):
    """Convolution, batch norm, ReLU6."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU6(),
        )


class Residual(nn.Module):
    """Half the channels through a 3x3, added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = ConvBlock(channels, channels // 2, kernel=1)
        self.expand = ConvBlock(channels // 2, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.expand(self.squeeze(x))


class ShapeDetector(nn.Module):
    """Boxes and scores for each cell of a grid of 8 pixels.

    From (B, 3, H, W) RGB, 0 to 1, to boxes (B, N, 4): how far left, top, right and bottom side lie from the middle of
    the cell, in cells; and scores (B, N, classes), 0 to 1. Cells run along rows.

    Source: the outputs are those of Tian et al., FCOS (2019), without its centre-ness.
    """

    def __init__(self, num_classes: int = 6) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvBlock(3, 16, stride=2), ConvBlock(16, 24, stride=2), ConvBlock(24, 48, stride=2))
        self.fine = nn.Sequential(Residual(48), Residual(48))
        self.coarse = nn.Sequential(ConvBlock(48, 96, stride=2), Residual(96), Residual(96), Residual(96))
        self.lateral = ConvBlock(96, 48, kernel=1)
        self.merge = Residual(48)
        self.score_head = nn.Sequential(ConvBlock(48, 32), nn.Conv2d(32, num_classes, 1))
        self.box_head = nn.Sequential(ConvBlock(48, 32), nn.Conv2d(32, 4, 1))
        nn.init.constant_(self.score_head[1].bias, -math.log((1 - 0.01) / 0.01))  # few cells hold a shape
        nn.init.constant_(self.box_head[1].bias, 2.0)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        boxes, logits = self.raw(image)
        return boxes, logits.sigmoid()

    def raw(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes (B, N, 4) and logits (B, N, classes): what the loss is made of."""
        fine = self.fine(self.stem(image))
        coarse = nn.functional.interpolate(self.lateral(self.coarse(fine)), scale_factor=2.0, mode="nearest")
        merged = self.merge(fine + coarse)
        return _rows(self.box_head(merged)), _rows(self.score_head(merged))


def _rows(grid: Tensor) -> Tensor:
    """Return (B, N, C) from (B, C, rows, columns)."""
    return grid.permute(0, 2, 3, 1).reshape(grid.shape[0], -1, grid.shape[1])
