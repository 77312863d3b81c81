"""``edge-runtime run``: the main job."""

from __future__ import annotations

import argparse
import sys

from edge_runtime.cli.settings import add_settings, load_settings
from edge_runtime.errors import OutputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    add_settings(parser)


def execute(args: argparse.Namespace) -> int:
    """Run the pipeline; print the final table to stderr."""
    effective = load_settings(args)
    from edge_runtime.service import leave, serve
    from edge_runtime.telemetry.report import final_table

    summary = serve(effective.config)
    if not args.quiet:
        print(final_table(summary.record), file=sys.stderr)
    if summary.failed_outputs:
        names = ", ".join(summary.failed_outputs)
        print(f"edge-runtime: error: output {names} failed during the run; the log says why", file=sys.stderr)
    return leave(OutputError.exit_code if summary.failed_outputs else 0, summary.left_threads)
