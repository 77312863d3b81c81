"""The mAP of each variant, by the code of ``edge-runtime evaluate``, kept like every other result."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.compare.measure import Bench
from edge_runtime.compare.rows import counted
from edge_runtime.compare.variants import Variant
from edge_runtime.errors import EdgeRuntimeError, OutputError
from edge_runtime.inference.threads import available_cores

if TYPE_CHECKING:
    from edge_runtime.evaluate.dataset import Dataset

SCORE_THRESHOLD = 0.001
"""Low, because what a detector leaves out counts as not found."""
SCENES_SEED = 2


@dataclass(frozen=True, slots=True)
class Pictures:
    """What to measure accuracy on, loaded when it is needed."""

    name: str
    key: str  # changes when the pictures do
    load: Callable[[], Dataset]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What a detector is worth on the pictures."""

    map: float
    map50: float


def coco_pictures(images: Path, annotations: Path, limit: int | None = None) -> Pictures:
    """Return the pictures of an annotation file. Their key is that file's content, and name and size of each picture.

    Raises:
        ConfigError, CaptureError: see `load_coco`.
    """
    from edge_runtime.evaluate.dataset import load_coco

    dataset = load_coco(images, annotations, limit)
    digest = hashlib.sha256(annotations.read_bytes())
    for item in dataset.items:
        digest.update(f"{item.file_name} {(images / item.file_name).stat().st_size}\n".encode(errors="surrogateescape"))
    count = len(dataset.items)
    return Pictures(
        f"{counted(count, 'picture')} of {annotations.name}", f"coco {count} {digest.hexdigest()}", lambda: dataset
    )


def scene_pictures(count: int) -> Pictures:
    """Return drawn scenes of shapes; scene i is always the same.

    Raises:
        ConfigError: see `scenes`.
    """
    from edge_runtime.evaluate.dataset import scenes

    dataset = scenes(count, seed=SCENES_SEED)
    return Pictures(counted(count, "drawn scene"), f"scenes {count} seed {SCENES_SEED}", lambda: dataset)


def measure_accuracy(
    bench: Bench, variants: Sequence[Variant], pictures: Pictures, *, labels: Path | None = None
) -> dict[str, Accuracy | str]:
    """Return by name of the variant its accuracy, or why it has none. The models have run here before.

    Raises:
        OutputError: a result cannot be kept.
    """
    found: dict[str, Accuracy | str] = {}
    for variant in variants:
        key = bench.key("accuracy", variant, pictures.key, "beside", _beside(variant.path, labels))
        known = bench.state.get(key)
        if "map" in known:
            found[variant.name] = Accuracy(known["map"], known["map50"])
            continue
        try:
            accuracy = _evaluate(bench, variant, pictures, labels)
        except OutputError:
            raise
        except EdgeRuntimeError as exc:
            found[variant.name] = str(exc)
            continue
        bench.state.add(key, {"map": accuracy.map, "map50": accuracy.map50})
        found[variant.name] = accuracy
    return found


def _evaluate(bench: Bench, variant: Variant, pictures: Pictures, labels: Path | None) -> Accuracy:
    from edge_runtime.detector import Detector
    from edge_runtime.evaluate.run import evaluate

    said = f"accuracy: {variant.name}"
    dataset = pictures.load()
    bench.tick(said, 0, len(dataset.items))
    with Detector(
        variant.path, labels=labels, engine=bench.engine, num_threads=available_cores(), score_threshold=SCORE_THRESHOLD
    ) as detector:
        found = evaluate(detector, dataset, on_progress=lambda done, total: bench.tick(said, done, total))
    return Accuracy(found.map, found.map50)


def _beside(model: Path, labels: Path | None) -> str:
    """Return a digest of the files beside a model that change what it finds: sidecar, anchors, labels."""
    digest = hashlib.sha256()
    around = (model.with_suffix(".toml"), Path(f"{model}.toml"), model.with_name(f"{model.stem}_anchors.csv"))
    for path in (*around, *([labels] if labels else [])):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def losses(
    bench: Bench, variants: Sequence[Variant], pictures: Pictures, *, parent: Variant, labels: Path | None = None
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return by name how much mAP each variant loses against the parent, and why some have no accuracy.

    Without the parent's accuracy nothing is known of the others either.

    Raises:
        OutputError: a result cannot be kept.
    """
    together = [parent, *(one for one in variants if one is not parent)]
    found = measure_accuracy(bench, together, pictures, labels=labels)
    base = found[parent.name]
    reasons = {f"{name} accuracy": one for name, one in found.items() if isinstance(one, str)}
    if isinstance(base, str):
        return dict.fromkeys(found), reasons
    return {name: None if isinstance(one, str) else base.map - one.map for name, one in found.items()}, reasons
