"""Opens mutated copies of models as the product opens a new one, and looks for what that must never cost.

    python scripts/fuzz_models.py FOLDER [--count 2000] [--seed 0] [--engine auto] [--probe-every 20] [--timeout 20]

Each copy is truncated, has bits flipped or stretches zeroed, by a seeded choice, and is opened and invoked once in a
child. Most go first through few children that open one copy after the other, because starting Python is what costs
time; what these open, and each N-th, goes through `probe`, the whole of what a user meets, and is then opened here, as
the product does. A child that dies or hangs is what it is there for. This process must not: it ends with 1 where it has
lost a process, a file descriptor, a thread or a temporary file, or where an error was no error of ours of one line.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from edge_runtime.errors import BackendMissingError, EdgeRuntimeError
from edge_runtime.inference.engine import ENGINES, is_installed
from edge_runtime.inference.isolated import IsolatedBackend
from edge_runtime.inference.isolated_deadline import Deadline
from edge_runtime.inference.opening import Order, open_here
from edge_runtime.inference.probe import probe
from edge_runtime.model.flatbuffer import read_model

OUTCOMES = ("opens", "refused", "crashes", "hangs", "other")
PER_CHILD = 50
"""Copies that one child opens at most: what one of them has done to its memory must not be told of another."""


def truncate(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def flip(data: bytes, chance: random.Random) -> bytes:
    mutated = bytearray(data)
    for at in places(len(data), chance, chance.choice((1, 2, 8, 64))):
        mutated[at] ^= 1 << chance.randrange(8)
    return bytes(mutated)


def zero(data: bytes, chance: random.Random) -> bytes:
    mutated = bytearray(data)
    for at in places(len(data), chance, chance.choice((1, 4))):
        length = min(chance.choice((1, 4, 16, 256)), len(data) - at)
        mutated[at : at + length] = bytes(length)
    return bytes(mutated)


def places(size: int, chance: random.Random, count: int) -> Iterator[int]:
    """Yield positions: half of them near either end, where the structure of a model lies, not its weights."""
    for _ in range(count):
        near = min(size, 4096)
        yield chance.choice(
            (chance.randrange(size), chance.randrange(near), size - 1 - chance.randrange(near), chance.randrange(size))
        )


MUTATIONS: dict[str, Callable[[bytes, random.Random], bytes]] = {"truncated": truncate, "flipped": flip, "zeroed": zero}


class Opener:
    """Opens one file after the other in a child, and starts another child where that is needed."""

    def __init__(self, engine: str, timeout_s: float) -> None:
        self._engine = engine
        self._timeout_s = timeout_s
        self._child: IsolatedBackend | None = None
        self._served = 0
        self.children = 0

    def open(self, model: Path) -> None:
        """Return when the child has opened the model and invoked it once; the errors are those of the product."""
        order = Order(model, "cpu", engine=self._engine)
        if self._child is None:
            self._child = IsolatedBackend(order, deadline=Deadline(self._timeout_s))
            self._served = 0
            self.children += 1
        self._served += 1
        try:
            self._child.try_other(order, self._timeout_s)
        finally:
            if self._child.has_ended or self._served == PER_CHILD:
                self.close()

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None


def outcome(open_it: Callable[[], None]) -> tuple[str, str]:
    """Return what became of an opening, and the error."""
    try:
        open_it()
    except BackendMissingError:
        raise
    except EdgeRuntimeError as exc:
        said = str(exc)
        if "\n" in said:
            raise AssertionError(f"an error of several lines: {said!r}") from exc
        for word, found in (("crashes", "crashes"), ("took more than", "hangs"), ("SIGKILL", "crashes")):
            if word in said:
                return found, said
        return ("refused" if type(exc).__name__ == "ModelError" else "other"), said
    return "opens", ""


def read_here(model: Path, result: str, said: str, engine: str) -> tuple[str, str]:
    """Do with a copy what else this process does with one: read its tables, and open what a child has opened."""
    read, read_said = outcome(lambda: (read_model(model), None)[1])
    if result != "opens":
        return ("other", read_said) if read == "other" else (result, said)
    order = Order(model, "cpu", engine=engine)
    here, here_said = outcome(lambda: open_here(order).close())
    return (result, said) if here == "opens" else ("other", f"opens in a child and not here: {here_said}")


def resources() -> dict[str, object]:
    """Return what this process holds."""
    return {
        "children": [child.pid for child in psutil.Process().children(recursive=True)],
        "file descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        "temporary files": sorted(one.name for one in Path(tempfile.gettempdir()).glob("*edge-runtime*")),
    }


def run(args: argparse.Namespace, folder: Path) -> tuple[dict[str, Counter[str]], int]:
    """Return the outcomes for each kind of mutation, and how many children that took."""
    models = sorted(args.folder.glob("*.tflite"))
    if not models:
        sys.exit(f"{args.folder}: holds no .tflite file")
    contents = {model: model.read_bytes() for model in models}
    chance = random.Random(args.seed)
    opener = Opener(args.engine, args.timeout)
    found: dict[str, Counter[str]] = {name: Counter() for name in MUTATIONS}
    copy = folder / "copy.tflite"
    start, probes = time.monotonic(), 0
    for number in range(args.count):
        model, kind = chance.choice(models), list(MUTATIONS)[number % len(MUTATIONS)]
        copy.write_bytes(MUTATIONS[kind](contents[model], chance))
        result, said = ("opens", "") if number % args.probe_every == 0 else outcome(lambda: opener.open(copy))
        if result == "opens":  # in a child that has a past; what it means for a user a fresh one says
            probes += 1
            order = Order(copy, "cpu", engine=args.engine)
            result, said = outcome(lambda order=order: probe(order, within_s=args.timeout))
        result, said = read_here(copy, result, said, args.engine)
        found[kind][result] += 1
        if args.verbose or result == "other":
            print(f"{number} {model.name} {kind}: {result} {said}", flush=True)
        if sys.stderr.isatty():
            print(f"\r{number + 1}/{args.count} {time.monotonic() - start:.0f} s", end="", file=sys.stderr)
    opener.close()
    return found, opener.children + probes


def table(found: dict[str, Counter[str]]) -> str:
    lines = [f"{'mutation':<12}" + "".join(f"{one:>9}" for one in OUTCOMES) + f"{'all':>9}"]
    for name, counts in [*found.items(), ("all", sum(found.values(), Counter()))]:
        lines.append(f"{name:<12}" + "".join(f"{counts[one]:>9}" for one in OUTCOMES) + f"{counts.total():>9}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", default="auto", help=f"auto, {', '.join(ENGINES)}")
    parser.add_argument("--probe-every", type=int, default=20)
    parser.add_argument("--timeout", type=float, default=20.0)
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    if args.engine == "auto":
        args.engine = next(name for name in ENGINES if is_installed(name))
    before, start = resources(), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        found, children = run(args, Path(name))
    print(f"engine {args.engine}, seed {args.seed}, {args.count} copies, {children} children, "
          f"{time.monotonic() - start:.0f} s\n\n{table(found)}\n")  # fmt: skip
    after = resources()
    lost = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
    print(f"left behind: {lost}" if lost else f"left behind: nothing; pid {os.getpid()} lives")
    return 1 if lost or sum(found.values(), Counter())["other"] else 0


if __name__ == "__main__":
    sys.exit(main())
