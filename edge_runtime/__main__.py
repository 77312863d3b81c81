"""``python -m edge_runtime``: the same as the command ``edge-runtime``."""

import os
import signal
import sys

# Before the rest is loaded, which takes a moment: Ctrl-C in the middle of an import would show a traceback.
signal.signal(signal.SIGINT, lambda *_: os._exit(130))

from edge_runtime.cli import main  # noqa: E402

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
