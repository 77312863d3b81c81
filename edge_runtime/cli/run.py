"""``edge-runtime run``: the main job."""

from __future__ import annotations

import argparse

from edge_runtime.cli.settings import add_settings, load_settings
from edge_runtime.cli.streams import tell
from edge_runtime.errors import OutputError

USAGE = "[--model FILE] [--source NAME] [FLAG ...]"
INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    add_settings(parser)


def execute(args: argparse.Namespace) -> int:
    """Run the pipeline; print the final table to stderr."""
    config = load_settings(args).config
    from edge_runtime.service import serve
    from edge_runtime.telemetry.report import final_table

    outcome = serve(config)
    if not args.quiet:
        tell(final_table(outcome.summary.record))
    if outcome.summary.failed_outputs:
        names = ", ".join(outcome.summary.failed_outputs)
        raise OutputError(f"output {names}: failed during the run; the log above says why")
    return INTERRUPTED if outcome.was_interrupted else 0
