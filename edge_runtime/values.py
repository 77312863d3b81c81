"""From what a user wrote to a value: each parser raises ValueError with what is allowed, as part of a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

BACKEND_NAMES = ("auto", "cpu", "edgetpu", "gpu", "onnx", "remote")
WITH_DEVICE = ("edgetpu", "gpu", "onnx", "remote")
SMALLEST_BUDGET_BYTES = 10**6
UNITS = {"": 1, "b": 1, **{f"{one}b": 1000**power for power, one in enumerate("kmgt", 1)},
         **{f"{one}ib": 1024**power for power, one in enumerate("kmgt", 1)}}  # fmt: skip
SIZES = "a size as in 500 MB or 2 GiB, at least 1 MB; or 0 for no limit"

Parser = Callable[[Any], Any]


def text(value: Any) -> str:
    """Return a non-empty string; a number is taken as the text it was written as."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("a text")
    if not str(value).strip():
        raise ValueError("a text that is not empty")
    if "\0" in str(value):
        raise ValueError("a text without the character NUL")
    return str(value)


def path(value: Any) -> Path:
    """Return a path, with ~ as the home folder."""
    return Path(text(value)).expanduser()


def switch(value: Any) -> bool:
    """Return a truth value: TOML's own, or 1/0, true/false, yes/no, on/off."""
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if str(value).lower() in words:
        return words[str(value).lower()]
    raise ValueError("true or false")


def number(low: float, high: float, unit: str = "") -> Parser:
    """Return a parser of a finite number from low to high."""
    allowed = f"a number from {low:.12g} to {high:.12g}{' ' + unit if unit else ''}"

    def parse(value: Any) -> float:
        try:
            parsed = float(value)
        except (TypeError, ValueError):
            raise ValueError(allowed) from None
        if isinstance(value, bool) or not low <= parsed <= high:
            raise ValueError(allowed)
        return parsed

    return parse


def whole(low: int, high: int) -> Parser:
    """Return a parser of a whole number from low to high."""
    allowed = f"a whole number from {low} to {high}"

    def parse(value: Any) -> int:
        try:
            parsed = int(str(value))
        except ValueError:
            raise ValueError(allowed) from None
        if isinstance(value, bool) or not low <= parsed <= high:
            raise ValueError(allowed)
        return parsed

    return parse


def or_auto(parser: Parser) -> Parser:
    """Return a parser that also takes "auto", as None."""

    def parse(value: Any) -> Any:
        if value == "auto":
            return None
        try:
            return parser(value)
        except ValueError as exc:
            raise ValueError(f"auto, or {exc}") from None

    return parse


def one_of(*choices: str) -> Parser:
    """Return a parser of one of these words."""

    def parse(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return str(value)

    return parse


def backend(value: Any) -> str:
    """Return a backend with an optional device: "cpu", "edgetpu:usb:0", "gpu:/usr/lib/lib.so", "onnx:cuda"."""
    name, colon, device = str(value).partition(":")
    if name not in BACKEND_NAMES or (colon and (name not in WITH_DEVICE or not device)):
        raise ValueError(f"one of {', '.join(BACKEND_NAMES)}; a device may follow as in edgetpu:usb:0 or onnx:cuda")
    return str(value)


def names(value: Any) -> tuple[str, ...]:
    """Return a list of names: a TOML array, or words with commas between."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError("names with commas between, as in person,car")
    found = tuple(item.strip() for item in items if item.strip())
    if not found:
        raise ValueError("at least one name, as in person,car")
    return found


def size(value: Any) -> tuple[int, int]:
    """Return (width, height) of "1280x720"."""
    width, _, height = str(value).lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and 16 <= int(width) <= 8192 and 16 <= int(height) <= 8192):
        raise ValueError("a size as in 1280x720, each side 16 to 8192")
    return int(width), int(height)


def byte_count(value: Any) -> int | None:
    """Return the bytes of a size such as 500000000, "500 MB" or "2 GiB"; None for 0, which is no limit."""
    found = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([a-z]*)\s*", str(value), re.I | re.A)
    if isinstance(value, bool) or found is None or found[2].lower() not in UNITS:
        raise ValueError(SIZES)
    parsed = int(float(found[1]) * UNITS[found[2].lower()])
    if parsed and not SMALLEST_BUDGET_BYTES <= parsed <= 10**18:
        raise ValueError(SIZES)
    return parsed or None


def sync(value: Any) -> str | float:
    """Return "never", "always", or the seconds between."""
    if value in ("never", "always"):
        return str(value)
    try:
        return float(number(0.1, 86400)(value))
    except ValueError:
        raise ValueError("never, always, or the seconds between, 0.1 to 86400") from None
