"""Where the models are that come with this package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_runtime.errors import ModelError

NAME = "shapes"
DEFAULT = "int8"
"""The variant that is taken where no model is named."""

_PACKAGE = Path(__file__).resolve().parent
FOLDERS = (_PACKAGE / "models", _PACKAGE.parent / "models")
"""In a wheel the models lie inside the package, in a checkout beside it."""


def bundled_model(variant: str = DEFAULT, folders: Sequence[Path] = FOLDERS) -> Path:
    """Return the file of the bundled model, a detector of drawn shapes.

    Args:
        variant: "int8", "float16", "dynamic" or another that was made of it; "" is the float model itself.
        folders: where to look, in this order.

    Raises:
        ModelError: there is no such variant; the message lists those there are.
    """
    file = f"{NAME}.{variant}.tflite" if variant else f"{NAME}.tflite"
    for folder in folders:
        if (folder / file).is_file():
            return folder / file
    there = [path.name for folder in folders if folder.is_dir() for path in sorted(folder.glob(f"{NAME}*.tflite"))]
    found = f"only {', '.join(there)}" if there else f"{folders[-1]} has none"
    raise ModelError(
        f"{file}: the bundled model is not there, {found}; name a model with --model FILE.tflite, or install "
        "edge-runtime anew"
    )
