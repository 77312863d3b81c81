"""Loading a delegate library, with the vendor's many ways to fail as errors of ours."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edge_runtime.errors import BackendError, BackendMissingError
from edge_runtime.inference.engine import one_line, quiet_stderr

ENTRY_POINTS = ("tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate")
"""What every delegate library exports. Source: tensorflow/lite/delegates/external/README.md."""

NO_REASON = "it gave no reason; the device may be in use by another program"
_COMPLAINT = re.compile(r"error|fail|denied|busy|unable|cannot", re.IGNORECASE)
_VENDORS_LINE = "Failed to load delegate from "


def load_library(name: str, advice: str, load: Callable[[str], Any] = ctypes.CDLL) -> Any:
    """Return the loaded library.

    Done before the engine tries it: the engine's own attempt at a library that does not load leaves a half-made
    object behind, which prints a second error when Python takes it away.

    Raises:
        BackendMissingError: it is not installed, is built for another machine, or is no delegate; ends with the
            advice.
    """
    try:
        library = load(name)
    except OSError as exc:
        raise BackendMissingError(f"delegate {name}: does not load ({one_line(exc)}); {advice}") from exc
    if not all(hasattr(library, entry_point) for entry_point in ENTRY_POINTS):
        raise BackendMissingError(f"delegate {name}: is a library but no TFLite delegate; {advice}")
    return library


def load_delegate(load: Callable[..., Any], library: str, options: Mapping[str, str]) -> Any:
    """Return the delegate of a library that `load_library` has accepted.

    Raises:
        BackendMissingError: the library is missing or is no delegate.
        BackendError: the library refused, with or without saying why.
    """
    given = ", ".join(f"{key}={value}" for key, value in options.items()) or "no options"
    lines: list[str] = []
    try:
        with quiet_stderr() as lines:
            return load(library, dict(options))
    except OSError as exc:
        raise BackendMissingError(f"delegate {library}: does not load ({one_line(exc)})") from exc
    except AttributeError as exc:
        raise BackendMissingError(f"delegate {library}: is a library but no TFLite delegate") from exc
    except (ValueError, RuntimeError) as exc:
        raise BackendError(f"delegate {library}: refused to start with {given}: {_reason(exc, lines)}") from exc


def _reason(error: Exception, printed: Sequence[str]) -> str:
    """Return the first line that is the library's own: the engine puts one before it that says nothing.

    Where it gives none, the last one it printed: libedgetpu writes some of its troubles to stderr only.
    """
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(_VENDORS_LINE)]
    complaints = [line.strip() for line in printed if _COMPLAINT.search(line)]
    return one_line(said[0] if said else complaints[-1] if complaints else NO_REASON)
