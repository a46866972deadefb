"""The built-in check of a TCP service: whether it takes a connection."""

from time import monotonic
from typing import Unpack

from watchkeeper.core.health import Observed
from watchkeeper.runtime.builtin.connection import WARN_CERTIFICATE, Latency, Trust, connected
from watchkeeper.runtime.builtin.options import Common, flag, host_name, made, port_number
from watchkeeper.runtime.checks import Check


def tcp_check(
    host: str,
    port: int,
    *,
    tls: bool = False,
    ca_file: str | None = None,
    certificate_warn: str = WARN_CERTIFICATE,
    warn_after: str | None = None,
    **common: Unpack[Common],
) -> Check:
    """Return a check that connects and closes, with a TLS handshake between if `tls`.

    Sends nothing else. Raises ConfigurationError.
    """
    to, number = host_name(host), port_number(port, example=5432)
    trust = Trust(ca_file, certificate_warn)
    latency = Latency(warn_after)
    secure = flag(tls, "tls")

    def look(deadline: float) -> Observed:
        began = monotonic()
        with connected(to, number, deadline=deadline, trust=trust if secure else None) as service:
            return latency.observed(began, trust.judged(service))

    return made(look, common, name="tcp")
