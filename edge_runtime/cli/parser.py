"""The parser of one command: errors of one line that say what comes next, and help in our own layout."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from edge_runtime.cli.help import render, terminal_width
from edge_runtime.cli.streams import show
from edge_runtime.errors import ConfigError

VERBOSITY = ("-v", "--verbose", "-q", "--quiet")
_SOURCES = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
_ARGPARSE = (
    # What argparse says, in every version since 3.11, and how we say it.
    (r"argument (\S+): expected one argument", r"\1: needs a value"),
    (r"argument (\S+): ignored explicit argument (.*)", r"\1: takes no value, but \2 was given"),
    (r"the following arguments are required: (.*)", r"\1: is missing"),
    (r"argument (\S+): (.*)", r"\1: \2"),
)


class OneLineParser(argparse.ArgumentParser):
    """A parser that raises its errors, and suggests what may have been meant."""

    def error(self, message: str) -> NoReturn:
        for pattern, replacement in _ARGPARSE:
            if re.fullmatch(pattern, message):
                message = re.sub(pattern, replacement, message)
                break
        raise ConfigError(f"{message}; see {self.prog} --help")

    def format_help(self) -> str:
        return render(self, terminal_width())

    def print_help(self, file: object = None) -> None:
        del file  # argparse itself never gives one
        show(self.format_help().rstrip())

    def parse_all(self, args: Sequence[str]) -> argparse.Namespace:
        """Return the parsed arguments.

        Raises:
            ConfigError: one is unknown, or has no value.
        """
        # Names may stand before and after flags; what comes after -- is lost on the way, so that goes the older one.
        found, left = self.parse_known_args(args) if "--" in args else self.parse_known_intermixed_args(args)
        words = args[args.index("--") + 1 :] if "--" in args else ()
        unknown = [one for one in left if one.startswith("-") and one != "--" and one not in words]
        if unknown:
            raise ConfigError(f"{unknown[0].partition('=')[0]}: is no flag of {self.prog}{self._near(unknown[0])}")
        extra = [one for one in left if one != "--"]
        if extra:
            raise ConfigError(f"{extra[0]!r}: is one argument too many; {self._advice(extra[0], found)}")
        return found

    def _advice(self, extra: str, found: argparse.Namespace) -> str:
        if getattr(found, "image", None) is not None:
            return "detect takes one picture; a folder or a pattern goes to edge-runtime run --source"
        if "--source" not in self._option_string_actions:
            return f"leave it out, or see {self.prog} --help"
        if getattr(found, "source", None) is not None:
            return "there is one source; put a pattern in quotes, as in --source '*.png'"
        return f"if it is the source, write --source {extra}"

    def _near(self, unknown: str) -> str:
        flag = unknown.partition("=")[0]
        near = difflib.get_close_matches(flag, self._option_string_actions, 1)
        return f"; did you mean {near[0]}?" if near else f"; see {self.prog} --help"


class ShowVersion(argparse.Action):
    """Prints its constant and ends."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        show(str(self.const))
        parser.exit()


def split_command(argv: Sequence[str], commands: Mapping[str, str]) -> tuple[str | None, list[str]]:
    """Return the command and its arguments: ``run`` where none is named, None for help and version of the whole.

    A flag may be written with underscores, and how much to say may come before the command.

    Raises:
        ConfigError: the first word is no command.
    """
    args = _with_dashes(argv)
    count = next((at for at, arg in enumerate(args) if arg not in VERBOSITY), len(args))
    leading, rest = args[:count], args[count:]
    if rest and rest[0] in commands:
        return rest[0], [*leading, *rest[1:]]
    if rest and rest[0] in ("-h", "--help", "--version"):
        return None, rest
    if rest and not rest[0].startswith("-"):
        raise ConfigError(_no_command(rest[0], commands))
    return "run", args


def _with_dashes(argv: Sequence[str]) -> list[str]:
    """Return the arguments with ``--num_threads`` as ``--num-threads``; values and all after ``--`` stay."""
    args: list[str] = []
    for position, arg in enumerate(argv):
        if arg == "--":
            return [*args, *argv[position:]]
        flag, equals, value = arg.partition("=")
        args.append(flag.replace("_", "-") + equals + value if flag.startswith("--") else arg)
    return args


def _no_command(word: str, commands: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(word, commands, 1)
    if near:
        return f"{word!r}: is no command; did you mean {near[0]}?"
    suffix = Path(word).suffix.lower()
    if suffix in (".tflite", ".onnx"):
        return f"{word!r}: is no command; a model is named with --model {word}"
    if suffix in _SOURCES or Path(word).exists():
        return f"{word!r}: is no command; a video, a picture or a folder is named with --source {word}"
    return f"{word!r}: is no command; choose from {', '.join(commands)}, or see edge-runtime --help"
