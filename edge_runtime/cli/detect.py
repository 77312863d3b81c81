"""``edge-runtime detect``: one picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.cli.settings import GROUPS, add_settings, checked, load_settings
from edge_runtime.cli.streams import show, tell
from edge_runtime.errors import ConfigError, OutputError
from edge_runtime.values import path
from edge_runtime.wholefile import check_output, write_whole

if TYPE_CHECKING:
    from edge_runtime.result import Result

USAGE = "[--model FILE] [FLAG ...] IMAGE"
SETTINGS = (*GROUPS["model"], *GROUPS["detection"])
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    picture = parser.add_argument_group("picture")
    picture.add_argument("image", metavar="IMAGE", help="the picture: JPEG, PNG, BMP, WebP, TIFF")
    # Not the settings of the same name: a file of settings says where a run goes, not where one picture does.
    picture.add_argument("--output", metavar="FILE", help="annotated picture, .jpg or .png")
    picture.add_argument("--overwrite", action="store_true", help="replace that file if it exists")
    picture.add_argument("--json", action="store_true", help="print one JSON line instead of a table")
    add_settings(parser, SETTINGS)


def execute(args: argparse.Namespace) -> int:
    """Print what is in the picture and write the annotated copy if one is asked for."""
    config = load_settings(args, SETTINGS).config
    image = checked("IMAGE", path, args.image)
    output = None if args.output is None else checked("--output", path, args.output)
    _check_image(image)
    if output is not None:
        _check_output(output, image, overwrite=args.overwrite)
    from edge_runtime.capture.images import ImageSource
    from edge_runtime.clock import now_ns
    from edge_runtime.linefile import json_line
    from edge_runtime.outputs.records import detections_record
    from edge_runtime.result import Result
    from edge_runtime.service import build_detector, require_model

    model = require_model(config)
    with ImageSource(image) as source:
        frame = next(iter(source))
    if config.model is None and not args.quiet:
        tell(f"no model was named, so this is the bundled {model.name}, which finds drawn shapes", level=6)
    with build_detector(config) as detector:
        found, stages_ns = detector.detect_timed(frame.image)
        result = Result(frame, found, detector.names_of(found), stages_ns, now_ns(), detector.task)
    if output is not None:
        write_annotated(result, output)
        if not args.quiet:
            tell(f"wrote {output}", level=6)
    show(json_line(detections_record(result)) if args.json else table(result))
    return 0


def _check_image(image: Path) -> None:
    if image.is_dir():
        raise ConfigError(f"{image}: is a folder, detect takes one picture; use edge-runtime run --source {image}")
    if not image.exists():
        raise ConfigError(f"{image}: there is no such picture; give the path of one file")


def _check_output(output: Path, image: Path, *, overwrite: bool) -> None:
    """Raise what can be known before the model is loaded, which takes seconds on a small board."""
    if output.suffix.lower() not in ENDINGS:
        raise ConfigError(f"{output}: cannot be told as a picture by its ending; use one of {', '.join(ENDINGS)}")
    if output.exists() and output.samefile(image):
        raise ConfigError(f"{output}: is the picture itself; give the annotated one another name")
    check_output(output, overwrite=overwrite)


def table(result: Result) -> str:
    """Return one line for each detection: label, score and, unless it is of the whole picture, box."""
    found = result.detections
    if not len(found):
        return "nothing found; --threshold sets the lowest score to report"
    width = max(len(label) for label in result.labels)
    if result.task == "classify":  # the box of each is the picture
        return "\n".join(
            f"{label:<{width}}  {score:.2f}" for label, score in zip(result.labels, found.scores.tolist(), strict=True)
        )
    return "\n".join(
        f"{label:<{width}}  {score:.2f}  {' '.join(f'{side:7.1f}' for side in box)}"
        for label, score, box in zip(result.labels, found.scores.tolist(), found.boxes.tolist(), strict=True)
    )


def write_annotated(result: Result, output: Path) -> None:
    """Write the annotated picture; it has its name only when it is complete.

    Raises:
        OutputError: the folder or the format does not take it.
    """
    import cv2

    from edge_runtime.drawing import draw_result

    try:
        done, data = cv2.imencode(output.suffix, draw_result(result))
    except cv2.error as exc:
        raise OutputError(f"{output}: cannot be written as {output.suffix} ({exc.err}); use another ending") from exc
    if not done:
        raise OutputError(f"{output}: this OpenCV cannot write {output.suffix}; use .png")
    write_whole(output, data.tobytes())
