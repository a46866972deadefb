"""Signatures over a webhook's body, by which a receiver knows who sent it."""

import base64
import binascii
import hashlib
import hmac
from enum import StrEnum
from typing import Final

from watchkeeper.exceptions import ConfigurationError

PREFIX: Final = "whsec_"
MIN_KEY_BYTES: Final = 24  # both of the Standard Webhooks specification
MAX_KEY_BYTES: Final = 64
MAX_SECRETS: Final = 4  # in use at once, while a secret is being replaced


class Signature(StrEnum):
    """How a message is signed."""

    STANDARD = "standard"  # Standard Webhooks: id, time and body; safe against replays
    GITHUB = "github"  # X-Hub-Signature-256: the body alone
    NONE = "none"


def standard_key(secret: str, *, where: str) -> bytes:
    """Read a secret of Standard Webhooks: "whsec_" and the base64 of 24 to 64 bytes.

    Raises ConfigurationError, which never shows the secret.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ConfigurationError(
            f'{where}.secret: not "whsec_" followed by the base64 of 24 to 64 bytes; make one: '
            "python -c \"import base64, os; print('whsec_' + "
            'base64.b64encode(os.urandom(32)).decode())", or set signature = "github"'
        )
    return key


def standard_headers(
    keys: tuple[bytes, ...], *, message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the three headers of Standard Webhooks; without keys the first two."""
    headers = {"webhook-id": message_id, "webhook-timestamp": str(timestamp)}
    if keys:
        signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
        digests = (hmac.digest(key, signed, hashlib.sha256) for key in keys)
        headers["webhook-signature"] = " ".join(
            f"v1,{base64.b64encode(digest).decode()}" for digest in digests
        )
    return headers


def github_headers(key: bytes, *, body: bytes) -> dict[str, str]:
    """Return the header that GitHub's webhooks carry."""
    return {"X-Hub-Signature-256": "sha256=" + hmac.digest(key, body, hashlib.sha256).hex()}
