"""The built-in check of Redis: whether it answers PING."""

from time import monotonic
from typing import Unpack

from watchkeeper.core.health import Observed
from watchkeeper.runtime.builtin.connection import WARN_CERTIFICATE, Latency, Trust, said
from watchkeeper.runtime.builtin.options import (
    CheckFailedError,
    Common,
    made,
)
from watchkeeper.runtime.builtin.resp import parse_redis, redis_session
from watchkeeper.runtime.checks import Check


def redis_check(
    url: str,
    *,
    ca_file: str | None = None,
    certificate_warn: str = WARN_CERTIFICATE,
    warn_after: str | None = None,
    **common: Unpack[Common],
) -> Check:
    """Return a check that logs in to Redis, by TLS if the URL is rediss://, and sends PING.

    Raises ConfigurationError.
    """
    address = parse_redis(url)
    trust = Trust(ca_file, certificate_warn)
    latency = Latency(warn_after)

    def look(deadline: float) -> Observed:
        began = monotonic()
        with redis_session(address, trust=trust, deadline=deadline) as session:
            answer = session.ask("PING")
            if answer != "PONG":
                raise CheckFailedError(f"{address.shown} answered PING with {said(answer)}")
            return latency.observed(began, trust.judged(session.connection))

    return made(look, common, name="redis", component="datastore")
