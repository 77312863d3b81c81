"""Where pulled models live, and the way from a name to the file: ``--model yolox-nano`` without a path.

`edge-runtime models` fills the folder; everything else only looks into it.
"""

from __future__ import annotations

import logging
import os
import pwd
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge_runtime.bundled import FOLDERS
from edge_runtime.errors import ModelError

log = logging.getLogger(__name__)

REGISTRY = "registry.toml"
SUFFIXES = (".tflite", ".onnx")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
"""What a model may be called: a file name on every system, and never a path."""


def store_folder(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return where pulled models live: systemd's StateDirectory, else $XDG_DATA_HOME/edge-runtime, else ~/.local/share.

    None where there is no home either, as for a user that a container made up.
    """
    if folders := environment.get("STATE_DIRECTORY"):
        return Path(folders.split(":")[0]) / "models"
    base = Path(environment.get("XDG_DATA_HOME", ""))
    if base.is_absolute():
        return base / "edge-runtime" / "models"
    home = environment.get("HOME") or _home_of_user()
    return Path(home) / ".local" / "share" / "edge-runtime" / "models" if home else None


def _home_of_user() -> str | None:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return None


def pulled(name: str, folder: Path | None) -> Path | None:
    """Return the file of the pulled model of this name; None where there is none."""
    if folder is None or not NAME.fullmatch(name):
        return None
    return next((path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").is_file()), None)


def find_model(model: Path, environment: Mapping[str, str] = os.environ, folders: Sequence[Path] = FOLDERS) -> Path:
    """Return the file that `model` names: itself, or where there is no such file the pulled model of that name.

    A settings file makes a path of its own folder from a bare name, so the name alone counts, and only one without
    the ending of a model file.

    Args:
        model: a path, or a name.
        environment: tells where pulled models live.
        folders: where the registry that comes along is looked for.

    Raises:
        ModelError: it is the name of a model in that registry, which is not pulled.
    """
    if model.suffix.lower() in SUFFIXES or model.exists():
        return model
    found = pulled(model.name, store_folder(environment))
    if found is not None:
        log.info("model found among those pulled name=%s path=%s", model.name, found)
        return found
    if NAME.fullmatch(model.name) and model.name in _registered(folders):
        raise ModelError(f"{model.name}: is a model of the registry, not pulled; edge-runtime models pull {model.name}")
    return model


def _registered(folders: Sequence[Path]) -> set[str]:
    """Return the names in the registry that comes along; none where it cannot be read, which `models` tells."""
    import tomllib  # only for a name that is no file

    for folder in folders:
        try:
            table = tomllib.loads((folder / REGISTRY).read_text(encoding="utf-8"))
            return {str(one["name"]) for one in table["model"]}
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return set()
