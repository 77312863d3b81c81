"""``edge-runtime detect``: one picture."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.cli.settings import add_settings, load_settings
from edge_runtime.errors import CaptureError, ConfigError, OutputError

if TYPE_CHECKING:
    from edge_runtime.result import Result

SETTINGS = (
    "model", "labels", "backend", "engine", "num_threads", "threshold", "iou", "max_detections", "classes",
    "output", "overwrite",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.add_argument("image", type=Path, metavar="IMAGE", help="the picture: JPEG, PNG, BMP, WebP, TIFF")
    parser.add_argument("--json", action="store_true", help="print one JSON line instead of a table")
    add_settings(parser, SETTINGS)


def execute(args: argparse.Namespace) -> int:
    """Print what is in the picture and write the annotated copy if one is asked for."""
    config = load_settings(args).config
    if config.model is None:
        raise ConfigError("model: none was given; use --model FILE.tflite")
    if not args.image.is_file():
        raise CaptureError(f"{args.image}: there is no such picture; give the path of one file")
    if config.output and config.output.exists() and not config.overwrite:
        raise OutputError(f"{config.output}: exists; add --overwrite to replace it")
    from edge_runtime.capture.open import open_source
    from edge_runtime.clock import now_ns
    from edge_runtime.outputs.records import detections_record
    from edge_runtime.result import Result
    from edge_runtime.service import build_detector

    with open_source(str(args.image)) as source, build_detector(config) as detector:
        frame = next(iter(source))
        found, stages_ns = detector.detect_shrunk(detector.shrink(frame.image))
        result = Result(frame, found, detector.names_of(found), stages_ns, now_ns())
    print(json.dumps(detections_record(result)) if args.json else table(result))
    if config.output:
        write_annotated(result, config.output)
    return 0


def table(result: Result) -> str:
    """Return one line for each detection: label, score, box."""
    found = result.detections
    if not len(found):
        return "nothing found; --threshold sets the lowest score to report"
    width = max(len(label) for label in result.labels)
    return "\n".join(
        f"{label:<{width}}  {score:.2f}  {' '.join(f'{side:7.1f}' for side in box)}"
        for label, score, box in zip(result.labels, found.scores.tolist(), found.boxes.tolist(), strict=True)
    )


def write_annotated(result: Result, path: Path) -> None:
    """Write the annotated picture under a temporary name first, so that no half file is ever left.

    Raises:
        OutputError: the folder or the format does not take it.
    """
    import cv2

    from edge_runtime.drawing import draw

    found = result.detections
    drawn = draw(result.frame.image, found.boxes, result.labels, found.scores, found.class_ids, overlay=None)
    partial = path.with_name(f".{path.stem}.{time.time_ns()}.partial{path.suffix}")
    try:
        if not cv2.imwrite(str(partial), drawn):
            raise OutputError(f"{path}: cannot be written; is there a folder {path.parent} that you may write to?")
        partial.replace(path)
    except (cv2.error, OSError) as exc:
        raise OutputError(f"{path}: cannot be written; use a name that ends in .jpg or .png ({_first(exc)})") from exc


def _first(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]
