"""The built-in check of a TLS certificate: whether it is accepted, and until when."""

from typing import Unpack

from watchkeeper.core.health import CheckState, Observed
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.builtin.connection import (
    DAY_S,
    WARN_CERTIFICATE,
    Trust,
    certificate_left_s,
    connected,
    in_days,
)
from watchkeeper.runtime.builtin.options import (
    CheckFailedError,
    Common,
    host_name,
    made,
    port_number,
    seconds,
)
from watchkeeper.runtime.checks import Check


def certificate_check(
    host: str,
    port: int = 443,
    *,
    server_name: str | None = None,
    ca_file: str | None = None,
    warn: str = WARN_CERTIFICATE,
    fail: str = "3d",
    **common: Unpack[Common],
) -> Check:
    """Return a check of the certificate that a TLS server shows.

    Warns and fails that long before its end; fails if it is not accepted: expired, for another
    name, or by nobody known. `server_name` is asked for instead of `host`. Raises
    ConfigurationError.
    """
    to, number = host_name(host), port_number(port, example=443)
    name = "" if server_name is None else host_name(server_name, "server_name")
    trust = Trust(ca_file, warn, key="warn")
    warn_s, fail_s = seconds(warn, "warn"), seconds(fail, "fail")
    if fail_s > warn_s:
        raise ConfigurationError(f"fail: {fail} is longer than warn, {warn}; make it shorter")

    def look(deadline: float) -> Observed:
        with connected(to, number, deadline=deadline, trust=trust, name=name) as server:
            left_s = certificate_left_s(server)
        if left_s is None:
            raise CheckFailedError("the certificate has no end")
        state = CheckState.PASS
        if left_s < warn_s:
            state = CheckState.FAIL if left_s < fail_s else CheckState.WARN
        return Observed(
            value=round(left_s / DAY_S, 1),
            unit="days",
            text=f"certificate ends in {in_days(left_s)}",
            state=state,
        )

    return made(look, common, name="certificate", every="1h", timeout="10s")
