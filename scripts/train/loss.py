"""What the detector is trained towards: which cell answers for which shape, and how wrong its answer is."""

from __future__ import annotations

import torch
from torch import Tensor

from scripts.train.network import GRID_WH, STRIDE

REACH = 1.5  # cells around the middle of a shape that answer for it


def cell_middles() -> Tensor:
    """Return the middle of each cell, (N, 2) x, y in pixels of the input."""
    columns, rows = GRID_WH
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return (torch.stack([x, y], dim=-1).reshape(-1, 2) + 0.5) * STRIDE


def assign(boxes: Tensor, valid: Tensor, middles: Tensor) -> Tensor:
    """Return which box each cell answers for, (B, N): its index, or -1.

    A cell answers for a box if its middle lies inside and near the box's own middle; of several the smallest box.

    Args:
        boxes: (B, M, 4), xyxy, pixels of the input.
        valid: (B, M), which of them exist.
        middles: (N, 2).
    """
    x, y = middles[:, 0], middles[:, 1]
    left, top, right, bottom = boxes[..., None].unbind(2)  # each (B, M, 1)
    inside = (x > left) & (x < right) & (y > top) & (y < bottom)
    near = ((x - (left + right) / 2).abs() < REACH * STRIDE) & ((y - (top + bottom) / 2).abs() < REACH * STRIDE)
    area = ((right - left) * (bottom - top)).expand_as(inside)
    area = area.masked_fill(~(inside & near & valid[..., None]), torch.inf)
    smallest, index = area.min(dim=1)
    return torch.where(smallest < torch.inf, index, -1)


def to_xyxy(distances: Tensor, middles: Tensor) -> Tensor:
    """Return boxes (..., 4) xyxy in pixels from distances (..., 4) left, top, right, bottom in cells."""
    pixels = distances * STRIDE
    return torch.cat([middles - pixels[..., :2], middles + pixels[..., 2:]], dim=-1)


def giou_and_iou(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Return generalised IoU and IoU of pairs of boxes (n, 4) xyxy.

    Source: Rezatofighi et al., Generalized Intersection over Union (2019).
    """
    top_left, bottom_right = torch.maximum(one[:, :2], other[:, :2]), torch.minimum(one[:, 2:], other[:, 2:])
    shared = (bottom_right - top_left).clamp(min=0).prod(dim=1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=1) for boxes in (one, other)]
    union = (areas[0] + areas[1] - shared).clamp(min=1e-6)
    hull = (torch.maximum(one[:, 2:], other[:, 2:]) - torch.minimum(one[:, :2], other[:, :2])).clamp(min=0).prod(dim=1)
    iou = shared / union
    return iou - (hull - union) / hull.clamp(min=1e-6), iou


def detection_loss(outputs: tuple[Tensor, Tensor], boxes: Tensor, class_ids: Tensor) -> Tensor:
    """Return the loss of a batch: scores towards the IoU reached, boxes towards the truth.

    Args:
        outputs: `ShapeDetector.raw` of the images.
        boxes: (B, M, 4), xyxy, pixels of the input.
        class_ids: (B, M); -1 where there is no box.

    Source: Li et al., Generalized Focal Loss (2020), equation 2, for the scores.
    """
    distances, logits = outputs
    middles = cell_middles().to(boxes)
    owner = assign(boxes, class_ids >= 0, middles)
    image, cell = torch.nonzero(owner >= 0, as_tuple=True)
    target = torch.zeros_like(logits)
    box_loss = distances.sum() * 0
    if len(image):
        truth = boxes[image, owner[image, cell]]
        found = to_xyxy(distances[image, cell], middles[cell])
        giou, iou = giou_and_iou(found, truth)
        target[image, cell, class_ids[image, owner[image, cell]]] = iou.detach().clamp(min=0)
        smooth = torch.nn.functional.smooth_l1_loss(found / STRIDE, truth / STRIDE, reduction="none").sum(dim=1)
        box_loss = (2 * (1 - giou) + 0.1 * smooth).mean()
    distance = (logits.sigmoid() - target).abs().square()
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (distance * entropy).sum() / max(1, len(image)) + box_loss
