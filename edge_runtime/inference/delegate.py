"""Loading a delegate library, with the vendor's many ways to fail as errors of ours."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from typing import Any

from edge_runtime.errors import BackendError, BackendMissingError
from edge_runtime.inference.engine import one_line, quiet_stderr

ENTRY_POINT = "tflite_plugin_create_delegate"
"""What every delegate library exports. Source: tensorflow/lite/delegates/external/external_delegate.cc."""


def load_library(name: str, advice: str, load: Callable[[str], Any] = ctypes.CDLL) -> Any:
    """Return the loaded library. Done before the engine tries it, whose own attempt ends in a second error.

    Raises:
        BackendMissingError: it is not installed, is built for another machine, or is no delegate; ends with the
            advice.
    """
    try:
        library = load(name)
    except OSError as exc:
        raise BackendMissingError(f"delegate {name}: does not load ({one_line(exc)}); {advice}") from exc
    if not hasattr(library, ENTRY_POINT):
        raise BackendMissingError(f"delegate {name}: is a library but no TFLite delegate; {advice}")
    return library


def load_delegate(load: Callable[..., Any], library: str, options: Mapping[str, str]) -> Any:
    """Return the delegate.

    Raises:
        BackendMissingError: the library is missing or is no delegate.
        BackendError: the library refused, with or without saying why.
    """
    given = ", ".join(f"{key}={value}" for key, value in options.items()) or "no options"
    try:
        with quiet_stderr():
            return load(library, dict(options))
    except OSError as exc:
        raise BackendMissingError(f"delegate {library}: does not load ({one_line(exc)})") from exc
    except AttributeError as exc:
        raise BackendMissingError(f"delegate {library}: is a library but no TFLite delegate") from exc
    except (ValueError, RuntimeError) as exc:
        said = str(exc).strip() or "it gave no reason; the device may be in use by another program"
        raise BackendError(f"delegate {library}: refused to start with {given}: {one_line(said)}") from exc
