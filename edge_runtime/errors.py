"""The errors this package raises, each with the exit code the command line gives it.

A message is one line: the thing, what was found, what is allowed, what to do next.
"""

from __future__ import annotations


class EdgeRuntimeError(Exception):
    """Base of every error of this package. Also the bare form of a defect of ours."""

    exit_code = 70


class ConfigError(EdgeRuntimeError, ValueError):
    """A setting, flag or file named by the user is wrong. systemd must not restart on it."""

    exit_code = 2


class ModelError(EdgeRuntimeError, ValueError):
    """The model file cannot be used: missing, damaged, or of a kind nothing here decodes."""

    exit_code = 3


class CaptureError(EdgeRuntimeError, OSError):
    """The source cannot be opened, or was lost."""

    exit_code = 4
    retry_after_s = 0.0
    """Sooner than this another try is of no use, or does harm."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class FrameTimeoutError(CaptureError, TimeoutError):
    """The source is open but sent no frame in time."""


class LoginError(CaptureError):
    """The camera refuses user or password. Some lock an account out after five wrong tries within half an hour."""

    retry_after_s = 600.0


class BackendError(EdgeRuntimeError, RuntimeError):
    """The inference engine or its device failed."""

    exit_code = 5


class BackendMissingError(BackendError):
    """The engine, the delegate library or the device is not there."""


class InvokeError(BackendError):
    """One inference failed."""


class BackendDownError(InvokeError):
    """Nothing can run the model at the moment; it is tried again in the background. Its cause is the lost invoke."""


class OutputError(EdgeRuntimeError, OSError):
    """An output that was asked for cannot be written."""

    exit_code = 6

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class OptimizeError(EdgeRuntimeError, RuntimeError):
    """A variant could not be made, or came out wrong. The model it was made from is as it was."""

    exit_code = 3
