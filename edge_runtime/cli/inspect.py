"""``edge-runtime inspect``: what a model is, what it costs, and the sidecar that says so."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.cli.settings import checked
from edge_runtime.cli.streams import show, tell
from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.values import path
from edge_runtime.wholefile import check_output, write_whole

if TYPE_CHECKING:
    from edge_runtime.inspect.report import Inspection

USAGE = "MODEL [FLAG ...]"
_BESIDE = ""
_MODELS = (".tflite", ".onnx")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", help="a .tflite or .onnx file, or the name of a pulled one"
    )
    group = parser.add_argument_group("inspection")
    group.add_argument("--labels", metavar="FILE", help="label file, where the model has none or a wrong one")
    group.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    group.add_argument("--tensors", action="store_true", help="list every tensor inside, too")
    group.add_argument("--no-measure", action="store_true", help="do not open the model to measure its memory")
    group.add_argument("--write-sidecar", metavar="[FILE]", nargs="?", const=_BESIDE,
                       help="write what was found to FILE, without one to MODEL's own sidecar beside it")  # fmt: skip
    group.add_argument("--overwrite", action="store_true", help="replace a sidecar that exists")


def execute(args: argparse.Namespace) -> int:
    """Print what is found. A model that is no detector is no error here; a damaged one is."""
    model, sidecar = _which(args.model, args.write_sidecar)
    labels = None if args.labels is None else Path(checked("--labels", path, args.labels))
    from edge_runtime.inspect.memory import measure_memory
    from edge_runtime.inspect.report import inspect_model
    from edge_runtime.inspect.sidecar import sidecar_target
    from edge_runtime.model.flatbuffer import read_model
    from edge_runtime.model.store import find_model

    file = find_model(model)
    target = None
    if sidecar is not None:
        read_model(file)  # what is no model is told first
        target = sidecar_target(file) if sidecar == _BESIDE else Path(checked("--write-sidecar", path, sidecar))
        _check_target(target, file, args.overwrite)
    found = inspect_model(file, labels_file=labels, measure=None if args.no_measure else measure_memory)
    show(_printed(found, is_json=args.json, has_tensors=args.tensors))
    if target is not None:
        _write(found, target)
    return 0


def _which(model: str | None, sidecar: str | None) -> tuple[Path, str | None]:
    """Return the model and where the sidecar goes; ``--write-sidecar m.tflite`` took the model for that."""
    if model is None and sidecar and Path(sidecar).suffix.lower() in _MODELS:
        model, sidecar = sidecar, _BESIDE
    if model is None:
        raise ConfigError("MODEL: is missing; see edge-runtime inspect --help")
    return Path(checked("MODEL", path, model)), sidecar


def _check_target(target: Path, model: Path, may_replace: bool) -> None:
    if target.suffix.lower() in _MODELS or (target.exists() and model.exists() and target.samefile(model)):
        raise ConfigError(f"--write-sidecar: {target} is a model; give the name of a .toml file")
    check_output(target, overwrite=may_replace)


def _printed(found: Inspection, *, is_json: bool, has_tensors: bool) -> str:
    if is_json:
        from edge_runtime.inspect.record import as_record

        return json.dumps(as_record(found, has_tensors=has_tensors), indent=1)
    from edge_runtime.inspect.text import as_text

    return as_text(found, has_tensors=has_tensors)


def _write(found: Inspection, target: Path) -> None:
    from edge_runtime.inspect.sidecar import sidecar_text

    decoding = found.decoding
    if decoding.spec is None:
        raise ModelError(f"{found.file.path}: no sidecar is written, for {decoding.problem}")
    write_whole(target, sidecar_text(found.file, decoding.spec, target).encode())
    tell(f"sidecar written: {target}", level=5)
