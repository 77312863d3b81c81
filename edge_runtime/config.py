"""Settings: one table that makes the flags, the environment variables and the keys of the TOML file.

Flags beat environment beats file beats default. Every error names the key, where it was set, the value and what is
allowed.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_runtime.errors import ConfigError
from edge_runtime.values import (
    Parser,
    backend,
    byte_count,
    names,
    number,
    one_of,
    or_auto,
    path,
    size,
    switch,
    sync,
    text,
    whole,
)  # fmt: skip

ENV_PREFIX = "EDGE_RUNTIME_"
ISOLATION_NAMES = ("auto", "thread", "process")
FALLBACK_NAMES = ("none", "cpu")
ENGINE_NAMES = ("auto", "litert", "tflite-runtime")
TASKS = ("detect", "classify")
STDOUT = Path("-")
EXCLUSIVE = (("headless", "display"), ("append", "overwrite"))
READ, WRITTEN = ("model", "labels", "source"), ("log", "output", "telemetry")
"""The settings that name a file, by what happens to it."""


def setting(default: Any, parse: Parser, metavar: str, text: str) -> Any:
    """Return a dataclass field that also knows how to read its value and how to explain itself."""
    return field(default=default, metadata={"parse": parse, "metavar": metavar, "help": text})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every setting of ``run``. A field ``num_threads`` is ``--num-threads`` and ``EDGE_RUNTIME_NUM_THREADS``."""

    model: Path | None = setting(None, path, "FILE", "the .tflite model; without it the bundled one, which finds "
                                 "drawn shapes")  # fmt: skip
    labels: Path | None = setting(None, path, "FILE", "label file, where the model has none or a wrong one")
    task: str = setting("detect", one_of(*TASKS), "NAME", "detect, or classify: labels of the whole picture, for "
                        "a classifier")  # fmt: skip
    source: str | None = setting(
        None, or_auto(text), "NAME", "camera number or /dev/videoN, picamera, rtsp:// or http:// address, video file, "
        "folder or glob of pictures, scene (drawn shapes), or auto: camera 0, and without a model the first camera "
        "that opens, else the scene"
    )  # fmt: skip
    size: tuple[int, int] | None = setting(None, size, "WxH", "picture size to ask the camera for, as in 1280x720")
    fps: float | None = setting(
        None, number(0.1, 1000), "N", "frames per second to ask the camera for; for --realtime the pace"
    )
    realtime: bool = setting(False, switch, "", "play a video file at its own speed, dropping frames like a camera")
    exit_on_source_loss: bool = setting(False, switch, "", "end with exit code 4 when a camera is lost; "
                                        "without it the camera is waited for")  # fmt: skip
    backend: str = setting("auto", backend, "NAME", "auto, cpu, edgetpu[:usb:N|:pci:N], gpu[:LIBRARY], "
                           "onnx[:cuda|:tensorrt] or remote:grpc://HOST:8001/MODEL")  # fmt: skip
    engine: str = setting("auto", one_of(*ENGINE_NAMES), "NAME", "auto, litert or tflite-runtime")
    num_threads: int | None = setting(None, or_auto(whole(1, 256)), "N", "threads of the model, or auto: measured once")
    isolation: str = setting("auto", one_of(*ISOLATION_NAMES), "HOW", "where the model runs: in a thread, in a process "
                             "that may hang or crash, or auto: a process for accelerators")  # fmt: skip
    fallback: str = setting("none", one_of(*FALLBACK_NAMES), "WHAT", "cpu: where the backend cannot be opened the CPU "
                            "serves until it can; none: that is an error")  # fmt: skip
    invoke_timeout: float | None = setting(None, or_auto(number(0.05, 3600, "seconds")), "S", "seconds after which an "
                                           "invoke in a process counts as hung, or auto: learned")  # fmt: skip
    explain: bool = setting(False, switch, "", "say how the backend was chosen, and why not another")
    threshold: float = setting(0.4, number(0, 1), "SCORE", "lowest score to report, 0 to 1")
    iou: float | None = setting(None, or_auto(number(0, 1)), "IOU", "overlap above which the lower score of one class "
                                "goes, 0 to 1; auto: what the model family needs")  # fmt: skip
    max_detections: int = setting(100, whole(1, 1000), "N", "most detections of one frame")
    classes: tuple[str, ...] = setting((), names, "NAMES", "only these classes, as in person,car")
    headless: bool = setting(False, switch, "", "no window, even where there is a display")
    display: bool = setting(False, switch, "", "a window, or an error that says why not")
    log: Path | None = setting(None, path, "FILE", "JSON lines, one a frame; - is stdout")
    output: Path | None = setting(None, path, "FILE", "annotated video, .mp4 or .avi")
    snapshots: Path | None = setting(None, path, "DIR", "annotated pictures of frames with detections")
    telemetry: Path | None = setting(None, path, "FILE", "measurements, JSON lines or .csv")
    telemetry_interval: float = setting(10.0, number(0.1, 86400, "seconds"), "S", "seconds between two measurements")
    append: bool = setting(False, switch, "", "continue files that exist")
    overwrite: bool = setting(False, switch, "", "replace files that exist")
    storage_max_bytes: int | None = setting(None, byte_count, "SIZE", "most that log, telemetry and snapshots keep on "
                                            "the disk, as in 2 GB; the oldest go first")  # fmt: skip
    storage_max_bytes_per_day: int | None = setting(None, byte_count, "SIZE", "most that is written in one day, UTC; "
                                                    "then only changes of state are")  # fmt: skip
    storage_min_free_bytes: int | None = setting(None, byte_count, "SIZE", "room to leave on the disk; the oldest "
                                                 "files go for it")  # fmt: skip
    storage_keep_days: int | None = setting(None, whole(1, 36500), "N", "days after which old files go")
    storage_fsync: str | float = setting("never", sync, "WHEN", "wait for the disk: never, always, or seconds between "
                                         "two waits")  # fmt: skip
    storage_flush_seconds: float = setting(0.0, number(0, 3600, "seconds"), "S", "seconds that lines are collected "
                                           "before they are written together; 0 writes each at once")  # fmt: skip
    max_frames: int | None = setting(None, whole(1, 10**12), "N", "end after so many frames")
    duration: float | None = setting(None, number(0.001, 10**9, "seconds"), "S", "end after so many seconds")

    def __post_init__(self) -> None:
        if self.telemetry == STDOUT:
            raise ConfigError("telemetry: stdout is for the log alone; give the name of a file")
        for one, other in EXCLUSIVE:
            if getattr(self, one) and getattr(self, other):
                raise ConfigError(f"{one} and {other}: both are on; they exclude one another, leave one out")
        if self.append and self.output is not None and self.output.exists():
            raise ConfigError(
                f"append: a video cannot be continued, {self.output} exists; use --overwrite or a new name"
            )
        self._check_files()

    def _check_files(self) -> None:
        """Raise where a file would be written that is read, or is written already."""
        taken: dict[Path, str] = {}
        for name in (*READ, *WRITTEN):
            value = getattr(self, name)
            if value in (None, STDOUT) or (name == "source" and not names_files(value)):
                continue
            file = Path(value).resolve()
            if name in WRITTEN and file in taken and (file.is_file() or not file.exists()):
                raise ConfigError(f"{name}: {value} is the same file as {taken[file]}; give each a file of its own")
            taken[file] = name


def names_files(source: str) -> bool:
    """Return whether a source is a path or a pattern, and not a camera's number, a name or an address."""
    return re.fullmatch(r"\s*(\d{1,3}|(picamera|scene)(:\d+)?|[a-z][a-z0-9+.-]*://.*)\s*", source, re.I | re.S) is None


FIELDS: dict[str, dataclasses.Field[Any]] = {one.name: one for one in dataclasses.fields(Config)}
SECTIONS = ("storage",)
"""The sections to be named to users; any other beginning of a setting's name works the same."""
PATH_FIELDS = frozenset(name for name, one in FIELDS.items() if one.metadata["parse"] is path)


@dataclass(frozen=True, slots=True)
class Effective:
    """The settings in force and where each value came from."""

    config: Config
    origins: Mapping[str, str]  # field -> "flag --threshold", "environment EDGE_RUNTIME_THRESHOLD", "file x", "default"


def load(flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None = None) -> Effective:
    """Return the settings in force.

    Args:
        flags: field -> value as typed, only those that were given.
        environment: the process's variables; only EDGE_RUNTIME_ ones are looked at.
        file: the TOML file; None takes EDGE_RUNTIME_CONFIG, or none.

    Raises:
        ConfigError: an unknown key, a value that is not allowed, or a file that cannot be read.
    """
    variables = _from_environment(environment)
    named = variables.pop("config", None)
    if file is None and named is not None:
        file = Path(named).expanduser()
    layers: list[tuple[str, Mapping[str, Any], Path | None]] = [
        (f"file {file}", _from_file(file) if file else {}, file),
        ("environment", variables, None),
        ("flag", flags, None),
    ]
    values: dict[str, Any] = {}
    origins = dict.fromkeys(FIELDS, "default")
    for layer, given, home in layers:
        for partner in {one for name in given for one in _partners(name)} - set(given):
            values.pop(partner, None)  # --headless beats a file's display = true
            origins[partner] = "default"
        for name, raw in given.items():
            values[name] = _parse(name, raw, _origin(layer, name), home)
            origins[name] = _origin(layer, name)
    return Effective(Config(**values), origins)


def _partners(name: str) -> list[str]:
    return [other for pair in EXCLUSIVE if name in pair for other in pair if other != name]


def _origin(layer: str, name: str) -> str:
    if layer == "flag":
        return f"flag --{name.replace('_', '-')}"
    if layer == "environment":
        return f"environment {ENV_PREFIX}{name.upper()}"
    return layer


def _parse(name: str, raw: Any, origin: str, file: Path | None) -> Any:
    try:
        parsed = FIELDS[name].metadata["parse"](raw)
    except ValueError as exc:
        raise ConfigError(f"{name}: {raw!r} is not allowed (from {origin}); give {exc}") from None
    return parsed if file is None else _beside(file, name, parsed)


def _beside(file: Path, name: str, parsed: Any) -> Any:
    """Return a path of the file as seen from the file: a service starts in another folder than the file's author."""
    if name in PATH_FIELDS and parsed != STDOUT:
        return file.parent / parsed
    if name == "source" and parsed is not None and names_files(parsed):
        return str(file.parent / Path(parsed).expanduser())
    return parsed


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return field -> text for every EDGE_RUNTIME_ variable; an empty one counts as not set."""
    found = {}
    for key, value in environment.items():
        if key.startswith(ENV_PREFIX) and value:
            name = key.removeprefix(ENV_PREFIX).lower()
            if name not in (*FIELDS, "config"):
                raise ConfigError(f"environment {key}: is unknown{_closest(name, '', ENV_PREFIX)}")
            found[name] = value
    return found


def _from_file(file: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"config: {file} does not exist; give the path of a TOML file") from None
    except IsADirectoryError:
        raise ConfigError(f"config: {file} is a folder; give the path of a TOML file") from None
    except UnicodeDecodeError as exc:
        raise ConfigError(f"config: {file} is no text in UTF-8; give the path of a TOML file") from exc
    except OSError as exc:
        raise ConfigError(f"config: {file} cannot be read ({exc.strerror}); let this user read it") from exc
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"config: {file} is not TOML ({exc}); write key = value, texts in quotes") from exc
    found: dict[str, Any] = {}
    for section, key, value in _flattened(file, table):
        name = f"{section}{key.replace('-', '_')}"
        if name in found:
            raise ConfigError(f"config: {file}: {name} is set twice; leave one out")
        if name not in FIELDS:
            where = f" in [{section[:-1]}]" if section else ""
            raise ConfigError(f"config: {file}: key {key!r}{where} is unknown{_closest(name, section)}")
        found[name] = value
    return found


def _flattened(file: Path, table: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Give sections, keys and values; a section is the beginning of its keys' names: ``storage_`` of ``keep_days``."""
    for key, value in table.items():
        prefix = f"{key.replace('-', '_')}_"
        if not isinstance(value, dict) or prefix[:-1] in FIELDS:
            yield "", key, value
        elif any(name.startswith(prefix) for name in FIELDS):
            yield from ((prefix, inner, one) for inner, one in value.items())
        else:
            sections = ", ".join(f"[{one}]" for one in SECTIONS)
            raise ConfigError(f"config: {file}: [{key}] is a section, known are {sections}; leave its line out")


def _closest(name: str, written: str, variable: str = "") -> str:
    """Return what may have been meant; the beginning that all settings of a section share makes none of them near.

    Args:
        name: of a setting that there is not.
        written: the part of it that stands in the line of its section, and not with the key.
        variable: how its name begins where it is a variable's.
    """
    section = written or next((f"{one}_" for one in SECTIONS if name.startswith(f"{one}_")), "")
    known = [one.removeprefix(section) for one in FIELDS if one.startswith(section)]
    near = difflib.get_close_matches(name.removeprefix(section).lower(), known, 1)
    if not near:
        return "; leave it out, edge-runtime config lists all"
    meant = f"{section}{near[0]}".removeprefix(written)
    return f"; did you mean {variable}{meant.upper() if variable else meant}?"
