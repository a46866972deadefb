"""The webhook channel: a signed POST with the standard library alone, in the form asked for."""

import json
from collections.abc import Mapping
from datetime import UTC, tzinfo
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.notify.address import Address, parse_address
from watchkeeper.notify.keys import check_keys, choice, texts, time_zone
from watchkeeper.notify.notifier import ChannelGoneError, DeliveryError, Notification
from watchkeeper.notify.signing import (
    MAX_SECRETS,
    Signature,
    github_headers,
    standard_headers,
    standard_key,
)

if TYPE_CHECKING:
    from watchkeeper.notify.exchange import Answer, Resolver

TIMEOUT_S: Final = 10.0  # for the exchange as a whole
MAX_RETRY_AFTER_S: Final = 3_600.0  # a receiver cannot put a message off for longer
AGAIN: Final = frozenset({408, 425, 429})  # of 4xx: refused now, not for good
GONE: Final = 410
KEYS: Final = ("url", "body", "secret", "signature", "time_zone")
SHORT_KEYS: Final = ("url", "time_zone")  # of the short forms, type = "slack" and so on


class Body(StrEnum):
    """What form a message is written in."""

    ALERTMANAGER = "alertmanager"
    SLACK = "slack"
    TEAMS = "teams"
    DISCORD = "discord"


class Webhook:
    """Posts each notification to one address. Holds no connection between two messages."""

    def __init__(
        self,
        address: Address,
        *,
        signature: Signature = Signature.STANDARD,
        keys: tuple[bytes, ...] = (),
        body: Body = Body.ALERTMANAGER,
        zone: tzinfo = UTC,
        timeout_s: float = TIMEOUT_S,
        resolver: "Resolver | None" = None,
    ) -> None:
        """Prepare; nothing is looked up or opened before the first message.

        `resolver` finds the addresses of the host; without it the system's does.
        """
        self._address = address
        self._signature = signature
        self._keys = keys
        self._body = body
        self._zone = zone
        self._timeout_s = timeout_s
        self._resolver = resolver

    @property
    def shown(self) -> str:
        """Where it posts to, as lists may show it: the path may be a secret."""
        return self._address.masked

    def send(self, notification: Notification) -> None:
        """Deliver one notification or raise `DeliveryError`, which never shows the address.

        Any 2xx is delivered. Refused for good: 3xx and 4xx but 408, 425 and 429. ChannelGoneError
        for 410. `Retry-After` is passed on, up to an hour.
        """
        # HTTP and TLS are needed only where somebody sends, so they are imported only there.
        from http.client import HTTPException

        from watchkeeper.notify.exchange import look_up, post
        from watchkeeper.notify.guarded import ForbiddenPlaceError

        address = self._address
        text = json.dumps(self._written(notification), allow_nan=False, ensure_ascii=False)
        content = text.encode("utf-8", "replace")  # a lone surrogate is no letter
        try:
            answer = post(
                address,
                headers=self._headers(notification, content),
                body=content,
                timeout_s=self._timeout_s,
                resolve=self._resolver or look_up,
            )
        except TimeoutError:
            raise DeliveryError(
                f"{address.shown}: no answer within {self._timeout_s:g} s"
            ) from None
        except OSError as error:
            # A name that leads into the own network does not become right by waiting.
            raise DeliveryError(
                f"{address.shown}: {_reason(error)}",
                permanent=isinstance(error, ForbiddenPlaceError),
            ) from None
        except HTTPException as error:
            kind = type(error).__name__
            raise DeliveryError(f"{address.shown}: answer is not HTTP ({kind})") from None
        _judge(answer, address, at=notification.at)

    def _written(self, notification: Notification) -> dict[str, Any]:
        """Return the message in the form asked for, as JSON values."""
        # The forms for people are imported where somebody sends them.
        if self._body is Body.SLACK:
            from watchkeeper.notify import slack

            return slack.body(notification, zone=self._zone)
        if self._body is Body.TEAMS:
            from watchkeeper.notify import teams

            return teams.body(notification, zone=self._zone)
        if self._body is Body.DISCORD:
            from watchkeeper.notify import discord

            return discord.body(notification, zone=self._zone)
        from watchkeeper.notify import alertmanager

        return alertmanager.body(notification)

    def _headers(self, notification: Notification, content: bytes) -> dict[str, str]:
        standard = self._signature is Signature.STANDARD
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "watchkeeper",
            **standard_headers(
                self._keys if standard else (),
                message_id=notification.id,
                timestamp=int(notification.at),
                body=content,
            ),
        }
        if self._signature is Signature.GITHUB and self._keys:
            headers.update(github_headers(self._keys[0], body=content))
        if self._address.authorization:
            headers["Authorization"] = self._address.authorization
        return headers


def open_webhook(
    options: Mapping[str, object],
    *,
    where: str,
    short: Body | None = None,
    guarded: bool = False,
    guarded_http: bool = False,
) -> Webhook:
    """Return the channel. Raises ConfigurationError naming the key and the cure.

    Keys: `url`; `body` (a form of message); `secret`, a text or a list of up to four while one is
    being replaced; `signature` ("standard" | "github" | "none"). Without a secret nothing is
    signed. A `short` form has its body already, and takes `url` alone. `guarded` is for
    addresses that came from a form or the database: by TLS (or not, with `guarded_http`), to usual
    ports of hosts on the internet.
    """
    check_keys(options, SHORT_KEYS if short else KEYS, where=where)
    if "url" not in options:
        raise ConfigurationError(f'{where}.url: missing; write url = "https://…"')
    address = parse_address(options["url"], where=f"{where}.url")
    resolver = None
    if guarded:
        from watchkeeper.notify.exchange import look_up
        from watchkeeper.notify.guarded import check_guarded
        from watchkeeper.notify.guarded import guarded as only_public

        check_guarded(address, http=guarded_http, where=f"{where}.url")
        resolver = only_public(look_up)
    signature = choice(Signature, options, "signature", Signature.STANDARD, where=where)
    secrets = _secrets(options.get("secret"), where=where)
    if secrets and signature is Signature.NONE:
        raise ConfigurationError(
            f'{where}.secret: not used with signature = "none"; remove one of the two'
        )
    if signature is Signature.STANDARD:
        keys = tuple(standard_key(secret, where=where) for secret in secrets)
    else:
        keys = tuple(secret.encode() for secret in secrets)
    return Webhook(
        address,
        signature=signature,
        keys=keys,
        body=short or choice(Body, options, "body", Body.ALERTMANAGER, where=where),
        zone=time_zone(options, where=where),
        resolver=resolver,
    )


def retry_after_s(header: str, *, now: float) -> float | None:
    """Read `Retry-After`, seconds or a date, as seconds from now (0 to an hour); else None."""
    from email.utils import parsedate_to_datetime

    text = header.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:10])
    else:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        if moment.tzinfo is None:  # "-0000": UTC, of unknown place
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp() - now
    return min(max(0.0, seconds), MAX_RETRY_AFTER_S)


def _judge(answer: "Answer", address: Address, *, at: float) -> None:
    """Raise what the status means, unless it means delivered."""
    status = answer.status
    if 200 <= status < 300:
        return
    message = f"{address.shown}: answered {status}"
    if status == GONE:
        raise ChannelGoneError(message)
    if 300 <= status < 400:
        message += "; redirects are not followed, write the final address"
    raise DeliveryError(
        message,
        permanent=300 <= status < 500 and status not in AGAIN,
        retry_after_s=retry_after_s(answer.retry_after, now=at) if answer.retry_after else None,
    )


def _reason(error: OSError) -> str:
    """Say in a few words what went wrong on the way; nothing of the address is in it."""
    reason = getattr(error, "verify_message", None) or error.strerror or type(error).__name__
    return str(reason)[:200]


def _secrets(value: object, *, where: str) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    secrets = texts(value, where=f"{where}.secret", most=MAX_SECRETS)
    if not all(secrets):
        raise ConfigurationError(f"{where}.secret: is empty; remove it, or write a secret")
    return secrets
