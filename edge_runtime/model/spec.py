"""What a model needs around it, resolved once at start, each field with where it came from.

In order of weight: the flag --labels, the sidecar, the sidecar packed in the model, the embedded metadata, the
signature and tensors, the defaults of the family. Nothing is guessed: what these leave open is an error that names the
setting, with one exception, the classes and scores of an SSD, which the decoder tells apart by their values.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_runtime.errors import ModelError
from edge_runtime.model.anchors import resolve_anchors
from edge_runtime.model.box_unit import resolve_box_unit
from edge_runtime.model.class_names import resolve_labels
from edge_runtime.model.flatbuffer import ModelFile, read_model
from edge_runtime.model.labels import Labels
from edge_runtime.model.layout import read_layout
from edge_runtime.model.metadata import parse_metadata
from edge_runtime.model.picture import resolve_picture
from edge_runtime.model.ranking import choose_family
from edge_runtime.model.roles import OutputFacts, choose_roles
from edge_runtime.model.score_kind import resolve_score_kind
from edge_runtime.model.sidecar import load_sidecar
from edge_runtime.model.stored import shared_range_warning
from edge_runtime.model.strides import resolve_strides
from edge_runtime.model.task import check_task
from edge_runtime.model.tensor import Tensor

log = logging.getLogger(__name__)

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What is done to a frame before the model and to its outputs after it."""

    decoder: str  # key of FAMILIES
    size_wh: tuple[int, int]  # of the input
    is_nchw: bool
    color: str  # "rgb", "bgr" or "grey", what the input wants
    mean: Triple | None  # real = (pixel - mean) / std, in the order of `color`; None: pixels go in as they are
    std: Triple | None
    fit: str  # "stretch", "letterbox" or "letterbox-topleft"
    fill: Triple  # 0 to 255, the borders of a letterbox, in the order of a frame (BGR)
    roles: Mapping[str, int]  # role of an output -> its index; a role nothing tells apart is left out
    labels: Labels | None = None
    class_offset: int = 0  # class i is line i + class_offset of the labels
    num_classes: int | None = None  # without background; None where the model does not say
    anchors: Path | None = None
    anchor_recipe: str | None = None  # a key of RECIPES, where no file has the anchors
    strides: tuple[int, ...] = ()  # pixels from cell to cell of each grid; empty where the decoder needs none
    box_unit: str | None = None  # "pixels" or "normalized"; None where the family has only one
    score_kind: str | None = None  # of a classifier: "probabilities" or "logits"; None where the values tell
    origins: Mapping[str, str] = field(default_factory=dict)  # field -> where it came from


def resolve_spec(
    path: Path,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    *,
    labels_file: Path | None = None,
    model_file: ModelFile | None = None,
    task: str = "detect",
) -> ModelSpec:
    """Return what the model at `path` needs.

    Args:
        path: the model; its sidecar and anchors are looked for beside it.
        inputs: as the engine reports them.
        outputs: as the engine reports them, in its order.
        labels_file: what --labels names; outweighs all other labels.
        model_file: the facts of the file, where they have been read already.
        task: "detect" or "classify", what is wanted of the model.

    Raises:
        ModelError: the model is of a kind nothing here decodes, or is damaged.
        ConfigError: the sidecar or the labels are wrong for it.
    """
    file = model_file or read_model(path)
    metadata = parse_metadata(file.metadata, str(path)) if file.metadata else None
    layout = read_layout(inputs, file)
    facts = OutputFacts(outputs, file, metadata, load_sidecar(path), layout.size_wh, task, labels_file)
    decoder, decoder_origin = choose_family(facts)
    roles, roles_origin = choose_roles(decoder, facts)
    check_task(facts, decoder, roles)
    if decoder == "ssd_postprocess":
        _check_boxes(facts, roles)
    picture, origins = resolve_picture(facts, decoder, inputs[0].dtype.name, layout.channels)
    found, label_origins = resolve_labels(facts, decoder, roles, labels_file)
    (anchors, recipe), origins["anchors"] = resolve_anchors(facts, decoder, roles)
    origins["anchor_recipe"] = origins["anchors"]
    score_kind, origins["score_kind"] = resolve_score_kind(facts, decoder, roles)
    strides, origins["strides"] = resolve_strides(facts, decoder, roles)
    box_unit, origins["box_unit"] = resolve_box_unit(facts, decoder, roles)
    warning = shared_range_warning(facts, decoder, roles)
    if warning:
        log.warning("%s model=%s", warning, path)
    shapes = "tensor shapes"
    origins |= {"decoder": decoder_origin, "roles": roles_origin, "size_wh": shapes, "is_nchw": shapes, **label_origins}
    return ModelSpec(
        decoder=decoder,
        size_wh=layout.size_wh,
        is_nchw=layout.is_nchw,
        color=picture.color,
        mean=picture.mean,
        std=picture.std,
        fit=picture.fit,
        fill=picture.fill,
        roles=roles,
        labels=found.labels,
        class_offset=found.offset,
        num_classes=found.num_classes,
        anchors=anchors,
        anchor_recipe=recipe,
        strides=strides,
        box_unit=box_unit,
        score_kind=score_kind,
        origins=origins,
    )


def _check_boxes(facts: OutputFacts, roles: Mapping[str, int]) -> None:
    """Raise ModelError where the metadata says that boxes are not y1, x1, y2, x2 from 0 to 1.

    Not asked where the operator itself gives them, or the user says which decoder it is.
    """
    is_sure = "boxes" in facts.file.detection_outputs or (facts.sidecar and facts.sidecar.decoder)
    if is_sure or not facts.metadata or len(facts.metadata.outputs) != len(facts.tensors):
        return
    boxes = facts.metadata.outputs[roles["boxes"]].boxes
    if boxes and (boxes.is_pixels or boxes.kind not in (None, "boundaries") or boxes.order not in ((), (1, 0, 3, 2))):
        unit = "pixels" if boxes.is_pixels else "0 to 1"
        raise ModelError(
            f"{facts.file.path}: embedded metadata: boxes are {boxes.kind} in the order {list(boxes.order)}, {unit}; "
            f"decoded are boundaries in the order [1, 0, 3, 2], 0 to 1; if the metadata is wrong, "
            f'write in {facts.sidecar_path}: decoder = "ssd_postprocess"'
        )
