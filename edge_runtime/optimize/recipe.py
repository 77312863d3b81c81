"""Recipes: which steps make a variant, in which order, with which options. Data, not code.

A technique is a file in the folder `recipes`: what kind of step it is, its options with their defaults, and what is
allowed. A recipe is an ordered list of techniques, from the command line ("prune,int8") or from a TOML file::

    [[step]]
    technique = "prune"
    sparsity = 0.6

    [[step]]
    technique = "int8"
    io = "float"
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from edge_runtime.errors import ConfigError

ALL = ("float16", "dynamic", "int8", "int16x8", "mixed", "prune", "prune-int8", "cluster", "cluster-int8", "edgetpu")
"""The variants of ``--technique all``; a dash joins the steps of one."""

QUANTIZING = ("quantize", "mixed", "edgetpu")
"""The kinds of step after which the weights are no longer float32, so nothing can follow."""

_FLAG = "--technique"
"""What is to blame for a recipe that stands in no file."""

_TRAINED = ("qat", "pqat", "cqat", "pcqat", "finetune")
_FOUR_BITS = ("int4", "4bit", "w4", "wi4", "dynamic4")
_FOLDER = Path(__file__).parent / "recipes"
_MAX_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Technique:
    """One file of the folder `recipes`."""

    name: str
    kind: str  # "quantize", "mixed", "edgetpu", "prune" or "cluster"
    summary: str
    options: Mapping[str, Any]  # with their defaults
    allowed: Mapping[str, Sequence[Any]]  # option -> its values, where they can be listed
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A technique with its options filled in."""

    technique: str
    kind: str
    options: Mapping[str, Any]

    @property
    def needs_pictures(self) -> bool:
        """True where the ranges of activations are taken from pictures."""
        return self.kind in QUANTIZING and self.options["activations"] != "float"


@dataclass(frozen=True, slots=True)
class Recipe:
    """The steps that make one variant."""

    name: str  # its part of the file name
    steps: tuple[Step, ...]
    source: str = _FLAG  # where it stands, for messages

    @property
    def needs_pictures(self) -> bool:
        """True where a step cannot do without calibration."""
        return any(step.needs_pictures for step in self.steps)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is to be said of its techniques whatever the model is."""
        return tuple(said for step in self.steps if (said := techniques()[step.technique].warning))


@cache
def techniques() -> dict[str, Technique]:
    """Return the techniques that need no training, by the name a user types."""
    return {file.stem: _read_technique(file) for file in sorted(_FOLDER.glob("*.toml"))}


def _read_technique(file: Path) -> Technique:
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    return Technique(
        file.stem, table["kind"], table["summary"], table["options"], table["allowed"], table.get("warning")
    )


def choose_recipes(
    technique: str | Sequence[str], recipe: str | Path | None, options: Mapping[str, Any]
) -> tuple[Recipe, ...]:
    """Return the recipes that were asked for, by name or as a file.

    Raises:
        ConfigError: one is unknown or impossible.
    """
    if recipe is not None:
        return override((load_recipe(Path(recipe)),), options)
    return parse_recipes([technique] if isinstance(technique, str) else list(technique), options)


def parse_recipes(words: Sequence[str], options: Mapping[str, Any]) -> tuple[Recipe, ...]:
    """Return a recipe for each word: "all", a technique, or some joined by commas or dashes, in order.

    Args:
        words: as typed.
        options: they go to every step that has such an option.

    Raises:
        ConfigError: a technique or option is unknown, an order is impossible, or an option fits none of them.
    """
    names = [name for word in words for name in (ALL if word.strip() == "all" else (word,))]
    recipes = tuple(_parse(name) for name in dict.fromkeys(names))
    return override(recipes, options)


def _parse(word: str) -> Recipe:
    parts = [part.strip() for part in word.replace("-", ",").split(",")]
    if not all(parts):
        raise ConfigError(f"{_FLAG}: {word!r} lacks a name; give one of {', '.join(techniques())}, or all")
    return Recipe("-".join(parts), _ordered([make_step(part, {}, _FLAG) for part in parts], _FLAG))


def override(recipes: Sequence[Recipe], options: Mapping[str, Any]) -> tuple[Recipe, ...]:
    """Return the recipes with these options, which were given as flags, in every step that takes them.

    Raises:
        ConfigError: no step takes one of them, or not this value.
    """
    for key, value in options.items():
        takers = [step for recipe in recipes for step in recipe.steps if _takes(step, key, value)]
        if not takers:
            raise ConfigError(f"{flag_of(key)}: {_who_takes(key, value, recipes)}")
        _check_value(flag_of(key), key, value, techniques()[takers[0].technique])
    return tuple(
        replace(recipe, steps=tuple(_with_options(step, options) for step in recipe.steps)) for recipe in recipes
    )


def _takes(step: Step, key: str, value: Any) -> bool:
    allowed = techniques()[step.technique].allowed.get(key)
    return key in step.options and (allowed is None or value in allowed)


def flag_of(key: str) -> str:
    """Return the flag that sets an option."""
    return f"--{key.replace('_', '-')}"


def _who_takes(key: str, value: Any, recipes: Sequence[Recipe]) -> str:
    step = next((step for recipe in recipes for step in recipe.steps if key in step.options), None)
    if step is None:
        takers = " and ".join(name for name, one in techniques().items() if key in one.options)
        asked = ", ".join(recipe.name for recipe in recipes)
        return f"is for {takers or 'no technique'}, asked for is {asked}; leave it out, or name another technique"
    allowed = " or ".join(str(one) for one in techniques()[step.technique].allowed[key] if one != "")
    return f"{value!r} is not allowed for {step.technique}; give {allowed}, or leave it out"


def _with_options(step: Step, options: Mapping[str, Any]) -> Step:
    """Return the step with the options it takes: one for another technique of the same run is none of its business."""
    taken = {key: value for key, value in options.items() if _takes(step, key, value)}
    return replace(step, options={**step.options, **taken})


def load_recipe(path: Path) -> Recipe:
    """Return the recipe in a TOML file; its name is that of the file.

    Raises:
        ConfigError: the file cannot be read, or something in it is wrong.
    """
    try:
        with path.open("rb") as file:
            table = tomllib.loads(file.read(_MAX_BYTES).decode("utf-8"))
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror or exc}; give the path of a recipe") from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f'{path}: is not TOML: {exc}; write [[step]] and then: technique = "int8"') from exc
    steps = table.get("step")
    if set(table) - {"step"} or not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise ConfigError(f'{path}: a recipe is a list of steps; write [[step]] and then: technique = "int8"')
    return Recipe(path.stem, _ordered([_file_step(step, path) for step in steps], str(path)), str(path))


def _file_step(step: dict[str, Any], path: Path) -> Step:
    name = step.get("technique")
    if not isinstance(name, str):
        raise ConfigError(f"{path}: a step has no technique; choose from {', '.join(techniques())}")
    return make_step(name, {key: value for key, value in step.items() if key != "technique"}, str(path))


def make_step(name: str, options: Mapping[str, Any], source: str) -> Step:
    """Return the technique with these options over its defaults; `source` is what to blame in a message.

    Raises:
        ConfigError: there is no such technique or option, or a value is of the wrong kind.
    """
    found = techniques().get(name)
    if found is None:
        raise ConfigError(f"{source}: {name!r} {_why_not(name)}")
    for key, value in options.items():
        if key not in found.options:
            raise ConfigError(f"{source}: {name} has no option {key!r}; {_near(key, found.options)}")
        _check_value(f"{source}: {name}: {key}", key, value, found)
    return Step(name, found.kind, {**found.options, **options})


def _why_not(name: str) -> str:
    if name.lower() in _TRAINED:
        return (
            "needs training, so it is a call from Python: see edge_runtime.optimize.training (extra [train]) "
            "and docs/training.md"
        )
    if name.lower() in _FOUR_BITS:
        return "is not offered: 4-bit weights ruin small networks with depthwise convolutions; use int8"
    return f"is no technique; {_near(name, (*techniques(), 'all'))}"


def _near(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, 1)
    return f"did you mean {near[0]}?" if near else f"choose from {', '.join(names)}"


def _check_value(what: str, key: str, value: Any, technique: Technique) -> None:
    default, allowed = technique.options[key], technique.allowed.get(key)
    said = f"{what}: {_toml(value)} is not allowed"
    if allowed is not None and value not in allowed:
        listed = " or ".join(f"{_toml(one)}{' for none' if one == '' else ''}" for one in allowed)
        raise ConfigError(f"{said}; give {listed}")
    kind: Any = (int, float) if isinstance(default, float) else type(default)
    if not isinstance(value, kind) or isinstance(value, bool) != isinstance(default, bool):
        like = '"conv|head", a regular expression' if default == "" else _toml(default)
        raise ConfigError(f"{said}; give a list of texts" if default == [] else f"{said}; give a value like {like}")
    if isinstance(value, list) and not all(isinstance(one, str) for one in value):
        raise ConfigError(f"{said}; give a list of texts")
    for pattern in {"layers": [value], "float_layers": value}.get(key, []):
        try:
            re.compile(pattern)
        except re.error as exc:
            raise ConfigError(f"{what}: {_toml(pattern)} is no regular expression ({exc}); one is: conv|head") from exc


def _toml(value: Any) -> str:
    """Return a value as it would stand in a file."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _ordered(steps: Sequence[Step], source: str) -> tuple[Step, ...]:
    """Return the steps; raise where one could not work on what the one before leaves."""
    if not steps:
        raise ConfigError(f"{source}: no step is given; choose from {', '.join(techniques())}")
    for position, step in enumerate(steps[:-1]):
        if step.kind in QUANTIZING:
            after = steps[position + 1].technique
            raise ConfigError(
                f"{source}: {after} after {step.technique} is not possible, it needs float weights; "
                f"put {step.technique} last"
            )
    names = [step.technique for step in steps]
    if len(set(names)) < len(names):
        raise ConfigError(f"{source}: {', '.join(names)} names a technique twice; name each once")
    return tuple(steps)
