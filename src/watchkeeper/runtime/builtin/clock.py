"""The built-in check of this worker's clock: how far it is from the database's."""

from collections.abc import Mapping
from time import time
from typing import TYPE_CHECKING, Any, Final, Unpack

from watchkeeper.core.health import CheckState, Observed
from watchkeeper.core.units import format_duration
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.builtin.options import CheckFailedError, Common, made, seconds
from watchkeeper.runtime.builtin.own import Own
from watchkeeper.runtime.builtin.sql import Asking
from watchkeeper.runtime.checks import Check

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

# The server's clock in seconds, whatever the session's time zone and its summer time.
_CLOCKS: Final[Mapping[str, str]] = {
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())",
    "mysql": "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1e6",
    "mariadb": "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1e6",
}


def clock_check(
    url: "str | URL | Engine | Any" = None,
    *,
    own: Own | None = None,
    warn: str = "2s",
    fail: str = "30s",
    **common: Unpack[Common],
) -> Check:
    """Return a check of the skew between this worker and a database server.

    Without a URL it is the database that Watchkeeper keeps its own figures in. The time that the
    question took counts for the clock: what is within it is no skew. Raises ConfigurationError;
    a SQLite file has no clock.
    """
    target = own.settings.database_url if url is None and own is not None else url
    database = Asking(target)
    if str(getattr(target, "url", target)).startswith("sqlite"):
        raise ConfigurationError(
            "url: a SQLite file has no clock of its own; write the url of a database server"
        )
    warn_s, fail_s = seconds(warn, "warn"), seconds(fail, "fail")
    if fail_s < warn_s:
        raise ConfigurationError(f"fail: {fail} is below warn, {warn}; make it longer")

    def look(deadline: float) -> Any:
        return database.ask(compare, deadline=deadline)

    def compare(connection: "Connection") -> Observed:
        kind = connection.dialect.name
        if kind not in _CLOCKS:
            raise CheckFailedError(f"the clock of {kind} cannot be asked")
        before = time()
        theirs = float(connection.exec_driver_sql(_CLOCKS[kind]).scalar_one())
        return judged(before=before, theirs=theirs, after=time(), warn_s=warn_s, fail_s=fail_s)

    return made(look, common, name="clock", every="1m", scope="worker", critical=False)


def judged(
    *, before: float, theirs: float, after: float, warn_s: float, fail_s: float
) -> Observed:
    """Judge the database's clock, which was read between two moments of ours.

    The value is how many seconds ours is ahead, negative for behind.
    """
    ahead_s = (before + after) / 2 - theirs
    sure_s = max(0.0, abs(ahead_s) - abs(after - before) / 2)
    if sure_s <= warn_s:
        return Observed(value=round(ahead_s, 3), unit="s")
    way = "ahead of" if ahead_s > 0 else "behind"
    return Observed(
        value=round(ahead_s, 3),
        unit="s",
        text=f"this clock is {format_duration(abs(ahead_s))} {way} the database's",
        state=CheckState.FAIL if sure_s > fail_s else CheckState.WARN,
    )
