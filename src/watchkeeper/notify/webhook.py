"""The webhook channel: a signed POST in Alertmanager's form, with the standard library alone."""

import json
from collections.abc import Mapping
from datetime import UTC
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.notify.address import Address, parse_address
from watchkeeper.notify.alertmanager import body
from watchkeeper.notify.notifier import ChannelGoneError, DeliveryError, Notification
from watchkeeper.notify.signing import (
    MAX_SECRETS,
    Signature,
    github_headers,
    standard_headers,
    standard_key,
)

if TYPE_CHECKING:
    from watchkeeper.notify.exchange import Answer

TIMEOUT_S: Final = 10.0  # for the exchange as a whole
MAX_RETRY_AFTER_S: Final = 3_600.0  # a receiver cannot put a message off for longer
AGAIN: Final = frozenset({408, 425, 429})  # of 4xx: refused now, not for good
GONE: Final = 410
KEYS: Final = ("url", "secret", "signature")


class Webhook:
    """Posts each notification to one address. Holds no connection between two messages."""

    def __init__(
        self,
        address: Address,
        *,
        signature: Signature = Signature.STANDARD,
        keys: tuple[bytes, ...] = (),
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Prepare; nothing is looked up or opened before the first message."""
        self._address = address
        self._signature = signature
        self._keys = keys
        self._timeout_s = timeout_s

    def send(self, notification: Notification) -> None:
        """Deliver one notification or raise `DeliveryError`, which never shows the address.

        Any 2xx is delivered. Refused for good: 3xx and 4xx but 408, 425 and 429. ChannelGoneError
        for 410. `Retry-After` is passed on, up to an hour.
        """
        # HTTP and TLS are needed only where somebody sends, so they are imported only there.
        from http.client import HTTPException

        from watchkeeper.notify.exchange import post

        address = self._address
        content = json.dumps(body(notification), allow_nan=False).encode()
        try:
            answer = post(
                address,
                headers=self._headers(notification, content),
                body=content,
                timeout_s=self._timeout_s,
            )
        except TimeoutError:
            raise DeliveryError(
                f"{address.shown}: no answer within {self._timeout_s:g} s"
            ) from None
        except OSError as error:
            raise DeliveryError(f"{address.shown}: {_reason(error)}") from None
        except HTTPException as error:
            kind = type(error).__name__
            raise DeliveryError(f"{address.shown}: answer is not HTTP ({kind})") from None
        _judge(answer, address, at=notification.at)

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


def open_webhook(options: Mapping[str, object], *, where: str) -> Webhook:
    """Return the channel. Raises ConfigurationError naming the key and the cure.

    Keys: `url`; `secret`, a text or a list of up to four while one is being replaced; `signature`
    ("standard" | "github" | "none"). Without a secret nothing is signed.
    """
    for key in options:
        if key not in KEYS:
            close = get_close_matches(str(key), KEYS, n=1)
            meant = f" (did you mean {close[0]!r}?)" if close else ""
            raise ConfigurationError(
                f"{where}.{key}: unknown key{meant}; a webhook has: type, {', '.join(KEYS)}"
            )
    if "url" not in options:
        raise ConfigurationError(f'{where}.url: missing; write url = "https://…"')
    address = parse_address(options["url"], where=f"{where}.url")
    signature = _signature(options.get("signature", Signature.STANDARD), where=where)
    secrets = _secrets(options.get("secret"), where=where)
    if secrets and signature is Signature.NONE:
        raise ConfigurationError(
            f'{where}.secret: not used with signature = "none"; remove one of the two'
        )
    if signature is Signature.STANDARD:
        keys = tuple(standard_key(secret, where=where) for secret in secrets)
    else:
        keys = tuple(secret.encode() for secret in secrets)
    return Webhook(address, signature=signature, keys=keys)


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


def _signature(value: object, *, where: str) -> Signature:
    try:
        return Signature(str(value))
    except ValueError:
        known = ", ".join(f'"{one.value}"' for one in Signature)
        raise ConfigurationError(
            f"{where}.signature: {value!r} is unknown; use one of {known}"
        ) from None


def _secrets(value: object, *, where: str) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    secrets = (value,) if isinstance(value, str) else value
    if (
        not isinstance(secrets, list | tuple)
        or len(secrets) > MAX_SECRETS
        or not all(isinstance(secret, str) and secret for secret in secrets)
    ):
        raise ConfigurationError(
            f"{where}.secret: must be a text, or a list of at most {MAX_SECRETS} texts"
        )
    return tuple(secrets)
