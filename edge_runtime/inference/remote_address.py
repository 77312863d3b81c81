"""The address of a model on a server: ``grpc://host:8001/MODEL``."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from edge_runtime.errors import ConfigError

FORM = "grpc://HOST:PORT/MODEL or grpc://HOST:PORT/MODEL/VERSION, with grpcs for TLS"
_SCHEMES = {"grpc": False, "grpcs": True}
_USUAL_PORT = 8001


@dataclass(frozen=True, slots=True)
class RemoteAddress:
    """Where a model is. As text it is without user and password."""

    scheme: str
    host_and_port: str
    model: str
    version: str = ""  # empty: the server chooses
    headers: dict[str, str] | None = field(default=None, repr=False)  # what proves who asks

    @property
    def is_secure(self) -> bool:
        """Whether the connection is encrypted."""
        return _SCHEMES[self.scheme]

    @property
    def server(self) -> str:
        """The server without the model."""
        return f"{self.scheme}://{self.host_and_port}"

    @property
    def model_and_version(self) -> str:
        """The model, and its version where one is named."""
        return f"{self.model}/{self.version}" if self.version else self.model

    def __str__(self) -> str:
        return f"{self.server}/{self.model_and_version}"


def parse_address(text: str) -> RemoteAddress:
    """Return the parts of an address; user and password become the header of HTTP's basic authorisation.

    Raises:
        ConfigError: it is not of the form; the message does not repeat it, as it may hold a password.
    """
    try:
        parts = urlsplit(text)
        port = parts.port or _USUAL_PORT
    except ValueError as exc:
        raise _wrong("its host or port cannot be read") from exc
    if parts.scheme not in _SCHEMES:
        hint = (
            "REST is not spoken here, give the gRPC port" if parts.scheme in ("http", "https") else "no grpc:// in it"
        )
        raise _wrong(hint)
    names = [unquote(one) for one in parts.path.split("/") if one]
    if not parts.hostname or not 1 <= len(names) <= 2 or parts.query or parts.fragment:
        raise _wrong("host and model are both needed, and nothing else")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return RemoteAddress(
        parts.scheme,
        f"{host}:{port}",
        names[0],
        names[1] if names[1:] else "",
        _headers(parts.username, parts.password),
    )


def _wrong(found: str) -> ConfigError:
    return ConfigError(f"backend remote: the address is not of the form {FORM}: {found}")


def _headers(user: str | None, password: str | None) -> dict[str, str] | None:
    if user is None:
        return None
    pair = f"{unquote(user)}:{unquote(password or '')}"
    return {"authorization": f"Basic {b64encode(pair.encode()).decode()}"}
