"""The built-in check of a mail server: greeting, EHLO, STARTTLS, login; it never sends."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Final, Unpack

from watchkeeper.core.health import Observed
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.builtin.connection import (
    WARN_CERTIFICATE,
    Latency,
    Trust,
    at,
    said,
    told,
)
from watchkeeper.runtime.builtin.options import (
    CheckFailedError,
    Common,
    choice,
    host_name,
    made,
    port_number,
    secret,
)
from watchkeeper.runtime.checks import Check

if TYPE_CHECKING:
    from smtplib import SMTPException

    from watchkeeper.notify.smtp_session import Session

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
PORTS: Final = {"none": 25, "starttls": 587, "tls": 465}


def smtp_check(
    host: str,
    port: int | None = None,
    *,
    security: str | None = None,
    username: str = "",
    password: str = "",
    ca_file: str | None = None,
    certificate_warn: str = WARN_CERTIFICATE,
    warn_after: str | None = None,
    **common: Unpack[Common],
) -> Check:
    """Return a check that talks to a mail server as if it were to send, and sends nothing.

    `security` is "starttls" unless the host is this machine, "tls", or "none". With a `username`
    it logs in. Raises ConfigurationError.
    """
    to = host_name(host, example='"mail.example.org"')
    usual = "none" if to in LOOPBACK else "starttls"
    secured = choice(usual if security is None else security, "security", tuple(PORTS))
    number = port_number(PORTS[secured] if port is None else port, example=587)
    user, word = secret(username, "username"), secret(password, "password")
    if user and secured == "none" and to not in LOOPBACK:
        raise ConfigurationError(
            'password: would be sent in the clear; write security = "starttls" or "tls"'
        )
    if word and not user:
        raise ConfigurationError('username: missing; write username = "…" beside the password')
    trust = Trust(ca_file, certificate_warn)
    latency = Latency(warn_after)

    def look(deadline: float) -> Observed:
        from watchkeeper.notify.smtp_session import Session

        began = monotonic()
        context = None if secured == "none" else trust.context()
        session = Session(host=to, port=number, secure=secured == "tls", context=context)
        with (
            _told(session, at(to, number), began),
            session.within(deadline - began) as server,
        ):
            if secured == "starttls":
                session.start_tls()
            server.ehlo_or_helo_if_needed()
            if user:
                server.login(user, word)
            return latency.observed(began, trust.judged(server.sock))

    return made(look, common, name="smtp", timeout="10s")


@contextmanager
def _told(session: "Session", place: str, began: float) -> Iterator[None]:
    """Turn what went wrong into CheckFailedError, without user and password."""
    from smtplib import SMTPException

    with told(place, began=began):
        try:
            yield
        except OSError as error:
            if session.is_over:
                raise TimeoutError from None
            if isinstance(error, SMTPException):  # which is an OSError, too
                raise CheckFailedError(_judged(error, place)) from None
            raise


def _judged(error: "SMTPException", place: str) -> str:
    from smtplib import (
        SMTPAuthenticationError,
        SMTPNotSupportedError,
        SMTPResponseException,
        SMTPServerDisconnected,
    )

    if isinstance(error, SMTPAuthenticationError):
        # Some servers repeat in their words what they were told.
        return f"{place} refused the login: {error.smtp_code}"
    if isinstance(error, SMTPResponseException):
        return f"{place} answered {error.smtp_code} {said(error.smtp_error)}"
    if isinstance(error, SMTPServerDisconnected):
        return f"connection closed by {place}"
    if isinstance(error, SMTPNotSupportedError):
        return f"{place} does not offer what is asked of it: {said(error)}"
    return f"{place}: {said(error)}"
