"""The command line: one module for each command, errors to one line and an exit code."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from edge_runtime import __version__
from edge_runtime.errors import ConfigError, EdgeRuntimeError

COMMANDS = {
    "run": "detect in a camera, a stream or files until it ends (the default command)",
    "detect": "detect in one picture",
    "bench": "measure a model on this board: invoke alone and the whole pipeline",
    "config": "print the settings in force and where each one came from",
}

EPILOG = """\
examples:
  edge-runtime --model detect.tflite                      camera 0
  edge-runtime --model detect.tflite --source street.mp4 --output boxes.mp4
  edge-runtime --model detect.tflite --source photos/ --log found.jsonl
  edge-runtime detect --model detect.tflite photo.jpg --output boxes.jpg

"edge-runtime COMMAND --help" lists the flags of a command. A command line without a command means run.
"""

log = logging.getLogger("edge_runtime")


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{self.prog}: {message}; see {self.prog} --help")


def build_parser() -> OneLineParser:
    """Return the parser of every command."""
    parser = OneLineParser(
        prog="edge-runtime",
        description="Real-time object detection on small boards.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"edge-runtime {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=_sentence(summary), allow_abbrev=False)
        command.add_argument("-v", "--verbose", action="store_true", help="say more, and show tracebacks")
        command.add_argument("-q", "--quiet", action="store_true", help="say only what is wrong")
        module = import_module(f"edge_runtime.cli.{name}")
        module.add_arguments(command)
        command.set_defaults(execute=module.execute)
    return parser


def _sentence(summary: str) -> str:
    return summary[0].upper() + summary[1:] + "."


def normalize(argv: Sequence[str]) -> list[str]:
    """Return the arguments with ``run`` where no command was named, and ``--num_threads`` as ``--num-threads``."""
    args: list[str] = []
    for position, arg in enumerate(argv):
        if arg == "--":
            args.extend(argv[position:])
            break
        flag, equals, value = arg.partition("=")
        args.append(flag.replace("_", "-") + equals + value if flag.startswith("--") else arg)
    if not args or (args[0] not in COMMANDS and args[0] not in ("-h", "--help", "--version")):
        args.insert(0, "run")
    return args


def set_up_logging(*, verbose: bool, quiet: bool) -> None:
    """Send the log to stderr: with the time on a terminal, with systemd's level marks where journald reads."""
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    handler = logging.StreamHandler()
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(JournalFormatter("%(name)s %(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    log.setLevel(level)


class JournalFormatter(logging.Formatter):
    """Leads each line with ``<4>`` or the like. Source: sd-daemon(3)."""

    MARKS = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))

    def format(self, record: logging.LogRecord) -> str:
        mark = next((mark for level, mark in self.MARKS if record.levelno >= level), 7)
        return "\n".join(f"<{mark}>{line}" for line in super().format(record).splitlines())


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; return its exit code."""
    verbose = False
    try:
        args = build_parser().parse_args(normalize(sys.argv[1:] if argv is None else argv))
        verbose = args.verbose
        set_up_logging(verbose=verbose, quiet=args.quiet)
        code: int = args.execute(args)
        return code
    except KeyboardInterrupt:
        return 130
    except EdgeRuntimeError as exc:
        if verbose:
            log.debug("traceback", exc_info=True)
        print(f"edge-runtime: error: {exc}", file=sys.stderr)
        return exc.exit_code
    except BrokenPipeError:  # whoever read our output has gone: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:
        log.exception("a defect of edge-runtime, please report it with these lines")
        return EdgeRuntimeError.exit_code
