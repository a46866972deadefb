"""The e-mail channel: one mail per notification over SMTP, with the standard library alone."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, tzinfo
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from watchkeeper.core.units import parse_duration
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.notify.harmless import line
from watchkeeper.notify.keys import check_keys, choice, text, texts, time_zone
from watchkeeper.notify.notifier import DeliveryError, Notification

if TYPE_CHECKING:
    from email.headerregistry import Address
    from smtplib import SMTPException

    from watchkeeper.notify.smtp_session import Session

TIMEOUT_S: Final = 10.0  # for everything between connecting and the last answer
MAX_TIMEOUT_S: Final = 30.0  # half of the outbox's claim: nobody else sends it meanwhile
MAX_RECIPIENTS: Final = 50
MAX_SAID: Final = 200  # characters of what a server answered
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
KEYS: Final = (
    *("to", "from", "host", "port", "security", "username", "password", "timeout", "time_zone"),
)

_log = logging.getLogger("watchkeeper")


class Security(StrEnum):
    """How the connection is made safe."""

    STARTTLS = "starttls"  # begun in the clear, then TLS or nothing
    TLS = "tls"  # TLS from the first byte
    NONE = "none"  # in the clear


PORTS: Final[Mapping[Security, int]] = {
    Security.STARTTLS: 587,
    Security.TLS: 465,
    Security.NONE: 25,
}


class Email:
    """Sends each notification as one mail to all recipients, over a connection of its own."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        security: Security,
        sender: str,
        recipients: tuple[str, ...],
        username: str = "",
        password: str = "",
        timeout_s: float = TIMEOUT_S,
        zone: tzinfo = UTC,
    ) -> None:
        """Prepare; nothing is looked up or opened before the first message."""
        self._host = host
        self._port = port
        self._security = security
        self._sender = sender
        self._recipients = recipients
        self._username = username
        self._password = password
        self._timeout_s = timeout_s
        self._zone = zone

    @property
    def shown(self) -> str:
        """Whom it writes to by which server, as lists may show it: names are masked."""
        recipients = ", ".join(masked_address(one) for one in self._recipients)
        return f"{recipients} by {self._host}:{self._port}"

    def send(self, notification: Notification) -> None:
        """Hand one mail to the server or raise `DeliveryError`.

        Permanent if the server said so (5xx) or cannot do what is asked of it. Delivered as soon
        as one recipient was taken: the outbox keeps one state per message, so another attempt
        would reach those once more. Who was refused is logged.
        """
        # Mail is needed only where somebody sends, so its modules are imported only there.
        from watchkeeper.notify.mail import make_mail
        from watchkeeper.notify.smtp_session import Session

        mail = make_mail(
            notification,
            sender=_address(self._sender),
            recipients=tuple(_address(one) for one in self._recipients),
            zone=self._zone,
        )
        session = Session(host=self._host, port=self._port, secure=self._security is Security.TLS)
        with self._told(session), session.within(self._timeout_s) as server:
            if self._security is Security.STARTTLS:
                session.start_tls()
            if self._username:
                server.login(self._username, self._password)
            refused = server.send_message(
                mail, from_addr=_plain(self._sender), to_addrs=[*map(_plain, self._recipients)]
            )
        if refused:
            _log.warning(
                "watchkeeper: channel %s: mail refused for %d of %d recipients: %s",
                notification.channel,
                len(refused),
                len(self._recipients),
                _refusals(refused),
            )

    @contextmanager
    def _told(self, session: "Session") -> Iterator[None]:
        """Turn what went wrong into a DeliveryError that shows neither password nor recipient."""
        from smtplib import SMTPException

        place = f"{self._host}:{self._port}"
        try:
            yield
        except (SMTPException, OSError, UnicodeError) as error:
            if session.is_over or isinstance(error, TimeoutError):
                raise DeliveryError(f"{place}: no answer within {self._timeout_s:g} s") from None
            if isinstance(error, SMTPException):
                raise _judged(error, place) from None
            reason = getattr(error, "verify_message", None) or getattr(error, "strerror", None)
            raise DeliveryError(
                f"{place}: {line(reason or type(error).__name__, limit=MAX_SAID)}"
            ) from None


def open_email(options: Mapping[str, object], *, where: str) -> Email:
    """Return the channel. Raises ConfigurationError naming the key and the cure."""
    check_keys(options, KEYS, where=where)
    recipients = tuple(
        _checked(one, where=f"{where}.to")
        for one in texts(options.get("to", ()), where=f"{where}.to", most=MAX_RECIPIENTS)
    )
    if not recipients:
        raise ConfigurationError(f'{where}.to: missing; write to = ["team@example.org"]')
    host = text(options, "host", "localhost", where=where).strip()
    if not host or not host.isascii() or any(char in " /@" for char in host):
        raise ConfigurationError(f'{where}.host: write a name: host = "mail.example.org"')
    usual = Security.NONE if host in LOOPBACK else Security.STARTTLS
    security = choice(Security, options, "security", usual, where=where)
    username = text(options, "username", where=where)
    if username and security is Security.NONE and host not in LOOPBACK:
        raise ConfigurationError(
            f'{where}.password: would be sent in the clear; set security = "starttls" or "tls"'
        )
    sender = text(options, "from", where=where)
    return Email(
        host=host,
        port=_port(options.get("port", PORTS[security]), where=where),
        security=security,
        # The recipient's domain, not this machine's name: every host must name threads alike.
        sender=_checked(
            sender or f"watchkeeper@{_address(recipients[0]).domain}", where=f"{where}.from"
        ),
        recipients=recipients,
        username=username,
        password=text(options, "password", where=where),
        timeout_s=_timeout_s(options.get("timeout", f"{TIMEOUT_S:g}s"), where=f"{where}.timeout"),
        zone=time_zone(options, where=where),
    )


def masked_address(mailbox: str) -> str:
    """Return "a…@example.org" of an address with or without a name."""
    name, at, domain = _plain(mailbox).rpartition("@")
    return f"{name[:1]}…{at}{domain}"


def _judged(error: "SMTPException", place: str) -> DeliveryError:
    """Say what a server's answer means: 4xx is for now, 5xx for good."""
    from smtplib import (
        SMTPNotSupportedError,
        SMTPRecipientsRefused,
        SMTPResponseException,
        SMTPServerDisconnected,
    )

    if isinstance(error, SMTPRecipientsRefused):
        permanent = all(code >= 500 for code, _ in error.recipients.values())
        return DeliveryError(
            f"{place}: every recipient refused: {_refusals(error.recipients)}",
            permanent=permanent,
        )
    if isinstance(error, SMTPResponseException):
        said = line(_decoded(error.smtp_error), limit=MAX_SAID)
        return DeliveryError(
            f"{place}: answered {error.smtp_code} {said}", permanent=error.smtp_code >= 500
        )
    if isinstance(error, SMTPServerDisconnected):
        return DeliveryError(f"{place}: the server closed the connection")
    if isinstance(error, SMTPNotSupportedError):
        return DeliveryError(f"{place}: {line(error, limit=MAX_SAID)}", permanent=True)
    return DeliveryError(f"{place}: {line(error, limit=MAX_SAID)}")


def _refusals(refused: Mapping[str, tuple[int, bytes]]) -> str:
    """Say who was refused and why: the name is masked, and in the server's words, too."""
    said = "; ".join(
        f"{masked_address(who)} {code} {_decoded(words).replace(_plain(who), masked_address(who))}"
        for who, (code, words) in refused.items()
    )
    return line(said, limit=MAX_SAID)


def _decoded(words: bytes | str) -> str:
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else words


def _address(mailbox: str) -> "Address":
    """Return a mailbox, taken apart. Raises ValueError."""
    from email.headerregistry import Address
    from email.utils import parseaddr

    name, plain = parseaddr(mailbox)
    return Address(display_name=name, addr_spec=plain)


def _plain(mailbox: str) -> str:
    return mailbox.rpartition("<")[2].removesuffix(">").strip()


def _checked(mailbox: str, *, where: str) -> str:
    """Return a mailbox that mail can be sent to. Raises ConfigurationError."""
    plain = _plain(mailbox)
    try:
        address = _address(mailbox)
        is_right = address.addr_spec == plain and plain.isascii() and " " not in plain
        is_right = is_right and bool(address.username and address.domain)
    except (ValueError, IndexError):  # IndexError: email's parser on what ends too early
        is_right = False
    if not is_right:
        raise ConfigurationError(
            f'{where}: not an address in plain letters; write "team@example.org" '
            'or "Team <team@example.org>"'
        )
    return mailbox


def _port(value: object, *, where: str) -> int:
    number = (
        int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    )
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 65_536:
        raise ConfigurationError(f"{where}.port: {value!r} is not a port; write port = 587")
    return number


def _timeout_s(value: object, *, where: str) -> float:
    seconds = parse_duration(str(value), where=where)
    if not 0 < seconds <= MAX_TIMEOUT_S:
        raise ConfigurationError(f"{where}: must be above 0 and at most {MAX_TIMEOUT_S:g} s")
    return seconds
