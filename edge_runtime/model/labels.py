"""Class names: the forms label files come in, and the one rule by which their lines fit the classes of a model.

Labels that are shifted by one against the model look right and are wrong in every line. So the number of lines must
fit the number of classes of the model exactly; a leading placeholder for the background is the only thing that may
be counted or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from edge_runtime.errors import ConfigError

_HOLES = {"", "???", "n/a"}
_BACKGROUNDS = {"background", "__background__", "_background_"}
_MOST_CLASSES = 100_000

_NUMBERED = re.compile(r"(\d{1,9})(?:\s*:\s*|\s+)(\S.*)")
_MAP_ITEM = re.compile(r"\bitem\s*\{([^{}]*)\}")
_MAP_FIELD = re.compile(r"\b(id|name|display_name)\s*:\s*(?:(\d{1,9})|\"([^\"\n]*)\"|'([^'\n]*)')")
_UNNAMED = re.compile(r"class (\d{1,9})")


@dataclass(frozen=True, slots=True)
class Labels:
    """The names of the classes: class i is called ``names[i + offset]``."""

    names: tuple[str | None, ...] = ()  # None for a number that no class has
    offset: int = 0

    @property
    def has_background(self) -> bool:
        """True when the first line stands for no class, but for the background."""
        first = self.names[0] if self.names else "-"
        return first is None or first.casefold() in _BACKGROUNDS

    def name_of(self, class_id: int) -> str:
        """Return the name of a class; ``class 17`` where there is none."""
        line = class_id + self.offset
        name = self.names[line] if 0 <= line < len(self.names) else None
        return name or f"class {class_id}"

    def ids_of(self, names: Iterable[str]) -> tuple[int, ...]:
        """Return the ids of the classes called so, ascending; case does not matter, ``class 17`` names a nameless one.

        Raises:
            ConfigError: a name is unknown; says which come close.
        """
        wanted = [name.strip() for name in names]
        by_name = self._ids_by_name()
        found: set[int] = set()
        for name in wanted:
            unnamed = _UNNAMED.fullmatch(name.casefold())
            if name.casefold() in by_name:
                found.update(by_name[name.casefold()])
            elif unnamed and self.name_of(int(unnamed[1])) == f"class {int(unnamed[1])}":
                found.add(int(unnamed[1]))
            else:
                raise ConfigError(f"classes: {name!r} is unknown; {self._choices(name, by_name)}")
        return tuple(sorted(found))

    def _ids_by_name(self) -> dict[str, list[int]]:
        by_name: dict[str, list[int]] = {}
        for line, name in enumerate(self.names):
            if name and line >= self.offset:
                by_name.setdefault(name.casefold(), []).append(line - self.offset)
        return by_name

    def _choices(self, name: str, known: Mapping[str, object]) -> str:
        if not known:
            return "this model has no labels, so give --labels, or a number as 'class 17'"
        close = get_close_matches(name.casefold(), known, n=3, cutoff=0.6)
        if close:
            return f"did you mean {' or '.join(close)}?"
        return f"choose from the {len(known)} names in the labels: {', '.join(list(known)[:5])}, ..."


def parse_labels(text: str, name: str) -> Labels:
    """Return the labels in a text: plain lines, numbered lines (``0 person``, ``0: person``) or a pbtxt label map.

    A plain line counts even when empty, because its place is its number. ``???`` and ``n/a`` are numbers no class has.

    Args:
        text: what the file holds.
        name: what to call it in a message.

    Raises:
        ConfigError: it holds no names, or two names for one number.
    """
    text = text.removeprefix("\ufeff")
    lines = text.rstrip().splitlines()
    filled = [line.strip() for line in lines if line.strip()]
    if not filled:
        raise ConfigError(f"{name}: holds no labels; one name a line is needed")
    if "\0" in text:
        raise ConfigError(f"{name}: is not a text file; one name a line is needed")
    if _MAP_ITEM.search(text):
        return _from_pairs(_map_pairs(text, name), name)
    numbered = [_NUMBERED.fullmatch(line) for line in filled]
    if all(numbered):
        return _from_pairs([(int(match[1]), match[2]) for match in numbered if match], name)
    return labels_from_names(lines)


def labels_from_names(names: Sequence[str | None]) -> Labels:
    """Return labels from names in order of their number; blank ones and ``???`` become holes."""
    return Labels(tuple(_cleaned(name) for name in names))


def fit_labels(labels: Labels, num_classes: int | None, source: str, *, class_offset: int | None = None) -> Labels:
    """Return `labels` with the offset that fits the model: class i is line ``i + offset``.

    As many lines as classes fit as they are. One line more fits when the first stands for the background (``???``,
    ``background``, or number 0 left out): it is skipped. Where the model does not say how many classes it has, a
    first line that stands for the background is skipped, because no detection is ever of the background.

    Args:
        labels: as parsed.
        num_classes: classes of the model without background; None where unknown.
        source: where the labels come from, for the message.
        class_offset: set by the user: taken as it is, and only the end is checked.

    Raises:
        ConfigError: the labels cannot be those of this model.
    """
    lines = len(labels.names)
    if class_offset is not None:
        if num_classes is not None and lines < num_classes + class_offset:
            raise ConfigError(
                f"{source}: {lines} labels, but the model has {num_classes} classes and class_offset is "
                f"{class_offset}; give {num_classes + class_offset} labels or change class_offset"
            )
        return replace(labels, offset=class_offset)
    has_background = labels.has_background
    if num_classes is None:
        return replace(labels, offset=1 if has_background else 0)
    if lines == num_classes:
        return replace(labels, offset=0)
    if lines == num_classes + 1 and has_background:
        return replace(labels, offset=1)
    raise ConfigError(
        f"{source}: {lines} labels, but the model has {num_classes} classes; {_advice(lines, num_classes)}"
    )


def _advice(lines: int, num_classes: int) -> str:
    if (lines, num_classes) == (80, 90):
        return "give the 90-line COCO map, in which ??? stands for the numbers COCO does not use"
    if (lines, num_classes) == (90, 80):
        return "give the 80-line COCO list, without ??? lines"
    return (
        f"give {num_classes} lines, or {num_classes + 1} of which the first is ??? or background; "
        "where the model counts differently, set class_offset in its sidecar"
    )


def _cleaned(name: str | None) -> str | None:
    stripped = (name or "").strip()
    return None if stripped.casefold() in _HOLES else stripped


def _from_pairs(pairs: Sequence[tuple[int, str]], source: str) -> Labels:
    by_id: dict[int, str] = {}
    for class_id, name in pairs:
        if class_id >= _MOST_CLASSES:
            raise ConfigError(f"{source}: the number {class_id} is too large, allowed is 0 to {_MOST_CLASSES - 1}")
        if class_id in by_id:
            raise ConfigError(f"{source}: the number {class_id} stands for {by_id[class_id]!r} and {name!r}; keep one")
        by_id[class_id] = name
    return labels_from_names([by_id.get(class_id) for class_id in range(max(by_id) + 1)])


def _map_pairs(text: str, source: str) -> list[tuple[int, str]]:
    pairs = []
    for item in _MAP_ITEM.findall(re.sub(r"(?m)^\s*#.*", "", text)):
        fields = {key: number or double or single for key, number, double, single in _MAP_FIELD.findall(item)}
        name = fields.get("display_name") or fields.get("name")
        if not fields.get("id", "").isdecimal() or name is None:
            raise ConfigError(f"{source}: item {{{' '.join(item.split())}}} has no id or no name; both are needed")
        pairs.append((int(fields["id"]), name))
    return pairs
