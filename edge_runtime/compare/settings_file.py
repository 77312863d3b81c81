"""Writes the chosen model, backend and threads into the settings file of the service, and nothing else of it."""

from __future__ import annotations

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_runtime.compare.choose import Setting
from edge_runtime.config import load
from edge_runtime.errors import ConfigError, OutputError
from edge_runtime.wholefile import write_whole

REMARK = "# edge-runtime tune: "
"""How a comment of ours begins: the next choice replaces it, too."""
UNSTEADY_REMARK = f"{REMARK}the rates were unsteady, other programs ran; tune again on a quiet board with --fresh\n"


def chosen_values(chosen: Setting, file: Path | None, labels: Path | None) -> dict[str, Any]:
    """Return the keys to set. Paths are as seen from the file, where they lie in its folder; else absolute."""
    values: dict[str, Any] = {"model": _seen_from(file, chosen.path)}
    if labels is not None:
        values["labels"] = _seen_from(file, labels)
    return values | {"backend": chosen.backend, "num_threads": chosen.num_threads}


def _seen_from(file: Path | None, path: Path) -> str:
    absolute = path.absolute()
    return absolute.name if file is not None and absolute.parent == file.absolute().parent else str(absolute)


def lines_of(values: Mapping[str, Any], *, is_unsteady: bool = False) -> str:
    """Return the keys as TOML, below a remark where they were chosen by unsteady rates.

    TOML's strings are those of JSON, but for DEL. Source: toml.io, v1.0.0, String.
    """
    escaped = {key: json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") for key, value in values.items()}
    lines = "".join(f"{key} = {value}\n" for key, value in escaped.items())
    return f"{UNSTEADY_REMARK if is_unsteady else ''}{lines}"


def changed(text: str, values: Mapping[str, Any], file: Path, *, is_unsteady: bool = False) -> str:
    """Return the text of a settings file with these keys set; all else, stays, comments on lines of their own included.

    Raises:
        ConfigError: the text is no TOML, or so written that a key cannot be replaced without touching others.
    """
    before = _parsed(text, file)
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    is_ours = [line.startswith(REMARK) or any(_sets(line, key) for key in values) for line in lines]
    at = is_ours.index(True) if True in is_ours else len(lines)
    head = "".join(lines[:at])
    if head and not head.endswith("\n"):
        head += "\n"
    rest = (line for line, ours in zip(lines[at:], is_ours[at:], strict=True) if not ours)
    after = f"{head}{lines_of(values, is_unsteady=is_unsteady)}{''.join(rest)}"
    wanted = {key: value for key, value in before.items() if key.replace("-", "_") not in values} | dict(values)
    if _parsed(after, file) != wanted:
        raise ConfigError(
            f"--write-config: {file} is written so that {', '.join(values)} cannot be replaced alone; set them by "
            "hand, or give the name of a new file"
        )
    return after


def _sets(line: str, key: str) -> bool:
    return re.match(rf"\s*[\"']?{key.replace('_', '[-_]')}[\"']?\s*=", line) is not None


def _parsed(text: str, file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(
            f"--write-config: {file} is not TOML ({exc}); mend it, or give the name of a new file"
        ) from exc


def check_target(file: Path, *, overwrite: bool) -> None:
    """Raise where the settings could not be written later: before minutes of measuring, not after.

    Raises:
        ConfigError: the file exists and does not load.
        OutputError: it exists and may not be changed, or its folder is missing.
    """
    if file.is_dir():
        raise OutputError(f"--write-config: {file} is a folder; give the name of a file")
    if not file.parent.is_dir():
        raise OutputError(f"--write-config: the folder {file.parent} does not exist; create it first")
    if file.exists():
        if not overwrite:
            raise OutputError(
                f"--write-config: {file} exists; add --overwrite to set model, backend and num_threads in it (all "
                "else stays), or give another name"
            )
        load({}, {}, file)


def write_settings(file: Path, values: Mapping[str, Any], *, is_unsteady: bool = False) -> None:
    """Set the keys in a settings file, or begin one; whole or not at all, and only if the service would load it.

    Raises:
        ConfigError: the result would not load.
        OutputError: it cannot be written.
    """
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        text = changed(before, values, file, is_unsteady=is_unsteady)
        _check(file, text)
    except OSError as exc:
        reason = exc.strerror or exc
        raise OutputError(
            f"--write-config: {file} cannot be written ({reason}); choose a place this user may write to"
        ) from exc
    write_whole(file, text.encode())


def _check(file: Path, text: str) -> None:
    """Load the text as the service would, from a file in the same folder."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as trial:
            trial.write(text)
        load({}, {}, Path(name))
    finally:
        Path(name).unlink(missing_ok=True)
