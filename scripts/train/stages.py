"""The stages by which the bundled models come about, each from the files of the one before to its own."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import nn

from edge_runtime.capture.sprites import SHAPES
from edge_runtime.evaluate.dataset import Dataset, scenes
from edge_runtime.optimize.run import optimize
from edge_runtime.optimize.training.export import export
from edge_runtime.optimize.training.finetune import finetune
from edge_runtime.optimize.training.techniques import Cluster, Prune, Qat, Technique
from scripts.train.fit import fit
from scripts.train.loss import detection_loss
from scripts.train.network import INPUT_WH, ShapeDetector
from scripts.train.scenes import FILL, HELD_OUT_SEED, Pictures, batches, training_pictures
from scripts.train.table import measure_folder, put_table

NAME = "shapes"
BATCH = 48
SIDECAR = f"""\
decoder = "fcos"
labels = [{", ".join(f'"{shape}"' for shape in SHAPES)}]
color = "rgb"
mean = 0
std = 255
fit = "letterbox"
fill = {FILL[0]:g}
"""

_QAT = Qat(methods=("raw", "forward"))


class Finetuning(NamedTuple):
    """Techniques and how long and how fast the trained network goes on with them."""

    techniques: tuple[Technique, ...]
    epochs: int = 2
    learning_rate: float = 5e-4


FINETUNED = {
    # Rounding changes little, and a network that learns fast would lose what it has.
    "qat": Finetuning((_QAT,), epochs=1, learning_rate=1e-4),
    "trained_prune": Finetuning((Prune(0.5),)),
    "trained_cluster": Finetuning((Cluster(32),)),
    "pqat": Finetuning((Prune(0.5), _QAT)),
    "cqat": Finetuning((Cluster(32), _QAT)),
    "pcqat": Finetuning((Prune(0.5), Cluster(32), _QAT)),
}
"""Variants that training makes, by name; those with `Qat` end as int8 files."""

FINETUNE_PICTURES = 9_600
QAT_SEEDS = (0, 1, 2)


def train(args: argparse.Namespace) -> None:
    """Draw the scenes and train the network; leaves its weights."""
    weights = args.output / "weights.pt"
    if weights.exists():
        return
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    pictures = training_pictures(args.scenes, args.output, processes=2)
    network = ShapeDetector().to(memory_format=torch.channels_last)
    rng = np.random.default_rng(args.seed)
    average = fit(
        network,
        partial(_loss, network),
        (batches(pictures, BATCH, rng) for _ in range(args.epochs)),
        steps=args.epochs * (len(pictures.images) // BATCH),
    )
    torch.save(average.state_dict(), weights)


def _loss(module: nn.Module, batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> torch.Tensor:
    images, boxes, class_ids = batch
    return detection_loss(module.raw(images.contiguous(memory_format=torch.channels_last)), boxes, class_ids)


def trained_network(folder: Path) -> ShapeDetector:
    """Return the network with the weights that `train` left in this folder."""
    network = ShapeDetector()
    network.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    return network.eval()


def export_parent(args: argparse.Namespace) -> None:
    """Write the float model that all variants come from."""
    if not (args.models / f"{NAME}.tflite").exists():
        export_network(trained_network(args.output), args.models / f"{NAME}.tflite")


def export_network(network: nn.Module, path: Path) -> Path:
    """Write the network as a float model of the bundled kind; return the path."""
    sample = torch.rand(1, 3, INPUT_WH[1], INPUT_WH[0], generator=torch.Generator().manual_seed(0))
    return export(network, sample, path, output_names=("boxes", "scores"), sidecar=SIDECAR)


def make_variants(args: argparse.Namespace) -> None:
    """Make every variant that needs no training."""
    if not (args.models / f"{NAME}.int8.tflite").exists():
        optimize(args.models / f"{NAME}.tflite", "all", args.models, calibration="scene", overwrite=True)


def finetune_variants(args: argparse.Namespace) -> None:
    """Make every variant that training makes."""
    for name in FINETUNED:
        target = args.models / f"{NAME}.{name}.tflite"
        if not target.exists():
            finetuned(args, name, seed=args.seed, target=target)


def finetuned(args: argparse.Namespace, name: str, *, seed: int, target: Path) -> None:
    """Fine-tune the trained network with the techniques of this name and write the model to `target`."""
    torch.set_num_threads(args.threads)
    pictures = training_pictures(args.scenes, args.output, processes=2)
    some = Pictures(*(column[:FINETUNE_PICTURES] for column in pictures))
    rng = np.random.default_rng(seed)
    how = FINETUNED[name]
    module = finetune(
        trained_network(args.output).to(memory_format=torch.channels_last),
        lambda: batches(some, BATCH, rng),
        _loss,
        techniques=how.techniques,
        epochs=how.epochs,
        learning_rate=how.learning_rate,
        seed=seed,
        steps=len(some.images) // BATCH,
    )
    if not any(isinstance(one, Qat) for one in how.techniques):
        export_network(module, target)
        return
    parent = args.output / f"{target.stem}.float.tflite"
    parent.unlink(missing_ok=True)
    export_network(module, parent)
    (made,) = optimize(parent, "int8", args.output / "int8", calibration="scene", overwrite=True)
    made.path.rename(target)


def compare_seeds(args: argparse.Namespace) -> None:
    """Make the quantisation-aware variant again from other seeds, to see what of its accuracy is luck."""
    folder = args.output / "seeds"
    folder.mkdir(exist_ok=True)
    for seed in QAT_SEEDS:
        target = folder / f"{NAME}.qat_seed{seed}.tflite"
        if not target.exists():
            finetuned(args, "qat", seed=seed, target=target)


def measure(args: argparse.Namespace) -> None:
    """Measure every model on held-out scenes and write the table into the card."""
    folder = args.output / "held-out"
    annotations = folder / "annotations.json"
    if not annotations.exists():
        write_coco(scenes(args.held_out, seed=HELD_OUT_SEED), folder)
    put_table(args.models / "README.md", measure_folder(args.models, folder, annotations))


def write_coco(dataset: Dataset, folder: Path) -> None:
    """Write the pictures of a data set, lossless, and ``annotations.json`` once all are there."""
    folder.mkdir(parents=True, exist_ok=True)
    for item in dataset.items:
        cv2.imwrite(str(folder / item.file_name), dataset.read(item))
    listed = {
        "images": [
            {"id": item.id, "file_name": item.file_name, "width": item.width, "height": item.height}
            for item in dataset.items
        ],
        "categories": [{"id": one.id, "name": one.name} for one in dataset.categories],
        "annotations": dataset.annotations,
    }
    part = folder / "annotations.part"
    part.write_text(json.dumps(listed))
    part.rename(folder / "annotations.json")
