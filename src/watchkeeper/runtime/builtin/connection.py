"""Connections that built-in checks make: within their time, by TLS that is verified, in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Final

from watchkeeper.core.health import CheckState, Observed
from watchkeeper.core.units import format_duration
from watchkeeper.runtime.builtin.options import (
    CheckFailedError,
    seconds,
    seconds_or_none,
    text,
    worst,
)

if TYPE_CHECKING:  # what loads TLS comes with the first run
    import socket
    import ssl

DAY_S: Final = 86_400.0
WARN_CERTIFICATE: Final = "14d"  # before its end, when automatic renewal is overdue
TRUST_S: Final = 3_600.0  # for so long the system's authorities are kept: reading them is slow
MAX_SAID: Final = 100  # characters of what another side said


class Trust:
    """Whose certificates are accepted, and how long before their end is a warning."""

    def __init__(
        self, ca_file: object, certificate_warn: object, *, key: str = "certificate_warn"
    ) -> None:
        """Read the options of these names, the second one under `key`.

        Raises ConfigurationError.
        """
        self._ca_file = (
            None if ca_file is None else text(ca_file, "ca_file", example='"/etc/ssl/own-ca.pem"')
        )
        self._warn_s = seconds(certificate_warn, key)

    def context(self) -> ssl.SSLContext:
        """Return what verifies certificates. Raises CheckFailedError if there is no `ca_file`."""
        import ssl

        if self._ca_file is None:
            return _system_context(int(monotonic() / TRUST_S))
        try:
            return ssl.create_default_context(cafile=self._ca_file)
        except (OSError, ssl.SSLError):
            raise CheckFailedError(
                f"ca_file {self._ca_file}: not there, or no certificates"
            ) from None

    def judged(self, connection: Any) -> tuple[CheckState, str]:
        """Judge by the certificate of a connection; one without TLS passes."""
        left_s = certificate_left_s(connection)
        if left_s is None or left_s >= self._warn_s:
            return CheckState.PASS, ""
        return CheckState.WARN, f"certificate ends in {in_days(left_s)}"


class Latency:
    """Measures how long an answer takes, and warns if that is long."""

    def __init__(self, warn_after: object) -> None:
        """Read `warn_after`: a duration, or None for never. Raises ConfigurationError."""
        self._warn_after_s = seconds_or_none(warn_after, "warn_after")

    def observed(self, began: float, *judged: tuple[CheckState, str], said: str = "") -> Observed:
        """Return the milliseconds since `began` (monotonic) with the worst of the judgements."""
        took_s = monotonic() - began
        judgements = list(judged)
        if self._warn_after_s is not None and took_s > self._warn_after_s:
            judgements.append((CheckState.WARN, f"answered in {format_duration(took_s)}"))
        words = "; ".join(word for _, word in judgements if word)
        return Observed(
            value=round(took_s * 1_000, 1),
            unit="ms",
            text=words or said,
            state=worst(CheckState.PASS, *(state for state, _ in judgements)),
        )


@contextmanager
def told(place: str, *, began: float) -> Iterator[None]:
    """Turn what goes wrong with a connection into CheckFailedError, in plain words.

    `place` is a host with its port, or whatever may be shown of the other side.
    """
    try:
        yield
    except UnicodeError:  # of a name that no name server can be asked for
        raise CheckFailedError(f"the name of {place} was not found") from None
    except OSError as error:
        raise CheckFailedError(_words(error, place, monotonic() - began)) from None


@contextmanager
def connected(
    host: str, port: int, *, deadline: float, trust: Trust | None = None, name: str = ""
) -> Iterator[socket.socket]:
    """Connect within the time, by TLS if there is a trust, and close on any path.

    Raises CheckFailedError if there is no connection; what comes later passes.
    """
    from watchkeeper.notify.exchange import connect

    context = trust.context() if trust else None
    with told(at(host, port), began=monotonic()):
        connection = connect(
            host, port, secure=context is not None, deadline=deadline, context=context, name=name
        )
    with connection:
        yield connection


def at(host: str, port: int) -> str:
    """Return a host with its port."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def certificate_left_s(connection: Any) -> float | None:
    """Return the seconds until the certificate of the other side ends; None without TLS."""
    import ssl

    if not isinstance(connection, ssl.SSLSocket):
        return None
    ends = (connection.getpeercert() or {}).get("notAfter")
    return ssl.cert_time_to_seconds(ends) - time() if isinstance(ends, str) else None


def in_days(left_s: float) -> str:
    """Say how long is left: in whole days, below two days in hours."""
    if left_s < 2 * DAY_S:
        return format_duration(max(0, left_s // 3_600) * 3_600) if left_s >= 3_600 else "under 1 h"
    return f"{left_s / DAY_S:.0f} days"


def said(words: object, *, limit: int = MAX_SAID) -> str:
    """Return what another side said: one harmless line, short enough."""
    from watchkeeper.notify.harmless import line

    shown = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return line(shown, limit=limit)


@lru_cache(maxsize=1)
def _system_context(_: int) -> ssl.SSLContext:
    """Return what trusts the system's authorities, read anew for each number."""
    import ssl

    return ssl.create_default_context()


def _words(error: OSError, place: str, waited_s: float) -> str:
    import socket
    import ssl

    if isinstance(error, TimeoutError):
        return f"no answer from {place} within {format_duration(round(waited_s, 1))}"
    if isinstance(error, ConnectionRefusedError):
        return f"connection refused by {place}"
    if isinstance(error, ConnectionError):
        return f"connection closed by {place}"
    if isinstance(error, socket.gaierror):
        return f"the name of {place} was not found"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate of {place} refused: {said(error.verify_message)}"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return f"connection closed by {place}"
    if isinstance(error, ssl.SSLError):
        reason = str(error.reason or "error").replace("_", " ").lower()
        return f"no TLS with {place}: {reason}"
    return f"{place}: {said(error.strerror or type(error).__name__)}"
