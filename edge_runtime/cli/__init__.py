"""The command line: one module for each command, errors to one line and an exit code."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import TextIO

from edge_runtime import __version__
from edge_runtime.cli.parser import OneLineParser, ShowVersion, split_command
from edge_runtime.cli.streams import set_up_logging, tell
from edge_runtime.errors import ConfigError, EdgeRuntimeError

COMMANDS = {
    "run": "detect in a camera, stream or files (the default)",
    "detect": "detect in one picture",
    "bench": "measure a model here: alone, and in the pipeline",
    "evaluate": "measure how much a model finds, in pictures with known truth",
    "compare": "measure the variants of a model side by side",
    "tune": "find the variant and threads that reach a frame rate here",
    "advise": "say which variants to make for which hardware, and why",
    "optimize": "make the variants of a float model: quantised, pruned, clustered",
    "selftest": "check model, colours, orientation and speed against what is known",
    "log": "read what a run has written: verify, cat, stats, report",
    "service": "run as a systemd service: install, uninstall, status, logs",
    "doctor": "look at board, packages, cameras and settings, and say what mends them",
    "inspect": "tell what a model is, what it costs, and write its sidecar",
    "models": "fetch public models, checked: list, pull, verify, remove",
    "config": "print the settings and where each one came from",
}
INTERRUPTED = 130
REMEDIES = {
    # The two builds of OpenCV share their folder, so one has to go before the other comes.
    "cv2": "uninstall -y opencv-python && python -m pip install --force-reinstall --no-deps opencv-python-headless",
    "numpy": "install --force-reinstall numpy",
    "psutil": "install psutil",
    "imutils": "install imutils",
    "matplotlib": "install 'edge-runtime[evaluate]'",
    "zstandard": "install 'edge-runtime[evaluate]'",
    "rich": "install 'edge-runtime[evaluate]'",
    "pycocotools": "install 'edge-runtime[evaluate]'",
    "ai_edge_quantizer": "install 'edge-runtime[optimize]'",
    "flatbuffers": "install 'edge-runtime[optimize]'",
    "onnx": "install 'edge-runtime[onnx]'",
    "onnxruntime": "install 'edge-runtime[onnx]'",
    "tritonclient": "install 'edge-runtime[remote]'",
    "grpc": "install 'edge-runtime[remote]'",
    "torch": "install 'edge-runtime[train]'",
    "litert_torch": "install 'edge-runtime[train]'",
    "tensorflow": "install 'edge-runtime[tfmot]'",
    "tf_keras": "install 'edge-runtime[tfmot]'",
    "tensorflow_model_optimization": "install 'edge-runtime[tfmot]'",
}
"""What to tell pip when a package does not load."""

EPILOG = """\
examples:
  edge-runtime                                            the bundled model
  edge-runtime selftest                                   is all in order?
  edge-runtime --model detect.tflite                      camera 0
  edge-runtime --model detect.tflite --source street.mp4 --output boxes.mp4
  edge-runtime --model detect.tflite --source photos/ --log found.jsonl
  edge-runtime detect --model detect.tflite photo.jpg --output boxes.jpg

"edge-runtime run --help" lists the flags, "edge-runtime COMMAND --help" those
of another command. A command line without a command means run.

exit codes: 0 done, 1 a check failed or a service is not running, 2 wrong flag
or setting, 3 model, or nothing meets tune's target, 4 source, 5 backend,
6 output, 70 defect of edge-runtime, 130 interrupted
"""


def build_parser(command: str | None = None) -> OneLineParser:
    """Return the parser of a command, or what explains them all."""
    if command is None:
        return _overview()
    module = import_module(f"edge_runtime.cli.{command}")
    summary = COMMANDS[command]
    parser = OneLineParser(
        prog=f"edge-runtime {command}",
        usage=f"edge-runtime {command} {module.USAGE}",
        description=f"{summary[0].upper()}{summary[1:]}.",
        allow_abbrev=False,
        add_help=False,
    )
    module.add_arguments(parser)
    general = parser.add_argument_group("general")
    general.add_argument("-v", "--verbose", action="store_true", help="say more, and show tracebacks")
    general.add_argument("-q", "--quiet", action="store_true", help="say only what is wrong")
    general.add_argument("-h", "--help", action="help", help="show this help")
    parser.set_defaults(execute=module.execute)
    return parser


def _overview() -> OneLineParser:
    parser = OneLineParser(
        prog="edge-runtime",
        usage="edge-runtime [COMMAND] [FLAG ...]",
        description="Real-time object detection on small boards.",
        epilog=EPILOG,
        allow_abbrev=False,
        add_help=False,
    )
    commands = parser.add_argument_group("commands")
    for name, summary in COMMANDS.items():
        commands.add_argument(name, metavar=name, nargs="?", help=summary)
    general = parser.add_argument_group("general")
    general.add_argument("--version", action=ShowVersion, nargs=0, const=f"edge-runtime {__version__}",
                         help="show the version")  # fmt: skip
    general.add_argument("-h", "--help", action="help", help="show this help")
    return parser


def main() -> int:
    """Run the command line of this process; return its exit code.

    Ctrl-C ends the process on the spot until a run takes it over: raised as an exception in the middle of loading
    numpy or an engine, native code would make another error of it. SIGTERM ends a run in the same way, and it counts as
    an end in order, as it does later.
    A thread that still sits in a driver would wake while Python takes itself down, and crash: the process ends here.
    """
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    if _is_run(sys.argv[1:]):
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    code = run_command(sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to interrupt, and the exit code stays what it is
    if threading.active_count() > 1:
        for stream in (sys.stdout, sys.stderr):
            _flush(stream)
        os._exit(code)
    return code


def _is_run(argv: Sequence[str]) -> bool:
    try:
        return split_command(argv, COMMANDS)[0] == "run"
    except ConfigError:
        return False  # told when the command line is carried out


def _flush(stream: TextIO | None) -> None:
    try:
        if stream is not None:
            stream.flush()
    except OSError:
        return  # nobody reads it any more


def run_command(argv: Sequence[str]) -> int:
    """Run a command line; return its exit code. Errors become one line on stderr."""
    verbose = bool({"-v", "--verbose"} & set(argv))
    try:
        return _execute(argv)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read stdout has gone: `| head`
        return 0
    except EdgeRuntimeError as exc:
        return _failed(exc, _without_secrets(str(exc)), exc.exit_code, verbose)
    except ImportError as exc:
        return _failed(exc, _missing_package(exc), ConfigError.exit_code, verbose)
    except Exception as exc:  # noqa: BLE001 (whatever it is, the user gets a line and an exit code)
        said = f"{type(exc).__name__}: {exc}; this is a defect of edge-runtime, please report it with the lines above"
        return _failed(exc, _without_secrets(said), EdgeRuntimeError.exit_code, True)


def _execute(argv: Sequence[str]) -> int:
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name need not be text
    command, rest = split_command(argv, COMMANDS)
    try:
        args = build_parser(command).parse_all(rest)
    except SystemExit:  # --help and --version
        return 0
    set_up_logging(_level(args, command))
    code: int = args.execute(args)
    return code


def _level(args: argparse.Namespace, command: str | None) -> int:
    """Return the lowest level to log: a command that answers and ends needs no account of what it does."""
    if args.verbose:
        return logging.DEBUG
    return logging.WARNING if args.quiet or command != "run" else logging.INFO


def _failed(exc: Exception, said: str, code: int, verbose: bool) -> int:
    if verbose:
        tell(_without_secrets("".join(traceback.format_exception(exc)).rstrip()))
    tell(f"edge-runtime: error: {' '.join(said.split())}")
    return code


def _without_secrets(said: str) -> str:
    """Return the text without passwords; only an address has any, and only then the import is worth its time."""
    if "://" not in said:
        return said
    from edge_runtime.capture.redact import redact

    return redact(said)


def _missing_package(exc: ImportError) -> str:
    name = (exc.name or "").partition(".")[0]
    remedy = REMEDIES.get(name, "install --force-reinstall edge-runtime")
    reason = next((line.strip() for line in str(exc).splitlines() if line.strip()), "no reason given")
    return f"{name or 'a package'}: cannot be imported ({reason}); run: python -m pip {remedy}"
