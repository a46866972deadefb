"""Links that act without signing in: which incidents, for which purpose, and until when."""

import hashlib
import secrets
from collections.abc import Sequence
from enum import StrEnum
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final

from watchkeeper.core.messages import MAX_LINKED

if TYPE_CHECKING:  # both are loaded with the first link: a host that tells nobody needs neither
    from itsdangerous import URLSafeSerializer

    from watchkeeper.storage.store import AdminStore

VALID_S: Final = 7 * 86_400.0  # a mail may lie over a holiday week; its incident is then long over
AHEAD_S: Final = 300.0  # how far the clock that signed may be ahead of the one that reads
MAX_TOKEN: Final = 1_600  # characters; ours have about 70, and 3 for each further incident
SIGNING_KEY: Final = "signing_key"  # of cookies, forms and links, in `wk_meta`
_HIGHEST_ID: Final = 2**63 - 1


class Purpose(StrEnum):
    """What a link is for; a link of one purpose is none of another."""

    ACKNOWLEDGE = "ack"
    SILENCE = "silence"


def signing_key(store: "AdminStore", secret_key: str = "") -> str:
    """Return the key of everything signed: the setting, else the random one of the database.

    Whoever comes first makes it; every worker then reads the same one. Raises StorageError.
    """
    if secret_key:
        return secret_key
    return store.meta(SIGNING_KEY) or store.set_meta(
        SIGNING_KEY, secrets.token_hex(32), only_new=True
    )


def sign(
    key: str, incident: int, purpose: Purpose, *, at: float, others: Sequence[int] = ()
) -> str:
    """Return a token for one purpose, made at `at`: fit for an address as it is.

    It is for an incident and for `others` of the same message, up to MAX_LINKED in all. The same
    arguments give the same token, so a message that is sent again has the same links.
    """
    incidents = (incident, *others)[:MAX_LINKED]
    steps = [after - before for before, after in pairwise(incidents)]  # shorter than numbers
    return str(_serializer(key, purpose).dumps([incident, int(at), *steps]))


def read(
    key: str, token: str, purpose: Purpose, *, now: float, max_age_s: float = VALID_S
) -> tuple[int, ...]:
    """Return the incidents of a token; none if it is forged, too old or for another use."""
    from itsdangerous import BadData

    if not key or not 0 < len(token) <= MAX_TOKEN:
        return ()
    try:
        content = _serializer(key, purpose).loads(token)
    except BadData:
        return ()
    match content:
        case [int(incident), int(at), *steps] if all(isinstance(step, int) for step in steps):
            incidents = tuple(accumulate((incident, *steps)))
            is_valid = -AHEAD_S <= now - at <= max_age_s
            is_possible = all(0 < one <= _HIGHEST_ID for one in incidents)
            return incidents if is_valid and is_possible else ()
    return ()


def _serializer(key: str, purpose: Purpose) -> "URLSafeSerializer":
    from itsdangerous import URLSafeSerializer

    return URLSafeSerializer(
        key,
        salt=f"watchkeeper.{purpose}",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
