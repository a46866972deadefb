"""Outgoing requests as they are recorded: host and method, never a path, query or credentials."""

from __future__ import annotations

from contextvars import ContextVar
from time import perf_counter
from typing import Final

from watchkeeper.integrations.outcomes import OTHER_METHOD, standard
from watchkeeper.runtime.observer import Observer

MAX_HOSTS: Final = 1_000  # whose label is remembered

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_NO_HOST: Final = "(unknown)"  # such as the socket file that some transports name as the host
_HOST_SIGNS: Final = "-._:[]"
_known: dict[tuple[str, str, int | None], str] = {}


class Drive:
    """One call of a library that may drive another one, which then counts what it sends."""

    __slots__ = ("counted",)

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self.counted = False


drive: Final[ContextVar[Drive | None]] = ContextVar("watchkeeper_drive", default=None)
"""What drives the libraries below in this context."""


def host_label(scheme: str, host: str, port: int | None) -> str:
    """Return "host", or "host:port" where the port is not the scheme's own."""
    label = _known.get((scheme, host, port))
    if label is None:
        label = _host_label(scheme, host, port)
        if len(_known) >= MAX_HOSTS:
            _known.clear()
        _known[scheme, host, port] = label
    return label


def note(observer: Observer, *, method: str, host: str, status: int | None, start: float) -> None:
    """Record an outgoing request that began at `start` (perf_counter) and has just ended.

    `status` None: it failed or was given up before there was an answer.
    """
    folded = standard(method)
    if folded == OTHER_METHOD:
        folded = standard(method.upper())
    observer.call(
        method=folded, host=host, status=status, start=start, seconds=perf_counter() - start
    )


def _host_label(scheme: str, host: str, port: int | None) -> str:
    name = host.lower()
    if not name or not all(char.isalnum() or char in _HOST_SIGNS for char in name):
        return _NO_HOST
    if ":" in name and not name.startswith("["):
        name = f"[{name}]"
    if port is None or port == _DEFAULT_PORTS.get(scheme):
        return name
    return f"{name}:{port}"
