"""Pings: calls of the addresses that jobs outside of Python have, heard without a query."""

from __future__ import annotations

import hashlib
import secrets
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final

from watchkeeper.core.ping import MAX_PER_MINUTE, Call, Heard, Said

if TYPE_CHECKING:
    from watchkeeper.runtime.job_states import Jobs

TOKEN_BYTES: Final = 24
MINUTE_S: Final = 60.0


class Pings:
    """Hears calls; what is said is written by the flusher.

    The addresses that there are, their digests only, are in memory: every process reads them with
    what is known of jobs. One that is not among them may have been made a moment ago: unless they
    were read within a slot, its caller is asked to try again, and the next slot reads them. So
    nobody waits for the database, whoever calls how often.
    """

    def __init__(self, jobs: Jobs) -> None:
        """Tell jobs what is said."""
        self._jobs = jobs
        self._heard: dict[str, deque[float]] = {}

    def hear(self, call: Call) -> Heard:
        """Take a call, from memory alone."""
        name = (self._jobs.addresses or {}).get(digest(call.token))
        if name is None:
            return Heard.UNKNOWN if self._jobs.are_addresses_fresh() else Heard.NOT_READY
        if self._is_too_often(name):
            return Heard.TOO_OFTEN
        if call.said is Said.LOG or self._jobs.hear(name, call):
            return Heard.TAKEN
        return Heard.FULL

    def _is_too_often(self, name: str) -> bool:
        now = monotonic()
        # As many as there are jobs with an address: names come from the store. Without a lock,
        # which a forked child could find held: two calls at once may both be the last that may.
        heard = self._heard.setdefault(name, deque(maxlen=MAX_PER_MINUTE))
        if len(heard) == MAX_PER_MINUTE and now - heard[0] < MINUTE_S:
            return True
        heard.append(now)
        return False


def make_token() -> str:
    """Make a token that nobody can guess."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def digest(token: str) -> str:
    """Return what is stored of a token.

    Tokens are found by it: how long that takes tells of the digest, and nothing of the token.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
