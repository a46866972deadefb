"""The built-in check of the host's own database: whether it answers `SELECT 1`."""

from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Unpack

from watchkeeper.core.health import Observed
from watchkeeper.runtime.builtin.connection import Latency
from watchkeeper.runtime.builtin.options import Common, made
from watchkeeper.runtime.builtin.sql import Asking
from watchkeeper.runtime.checks import Check

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

DATABASE_TIMEOUT: Final = "2s"


def database_check(
    url_or_engine: "str | URL | Engine | Any",
    *,
    warn_after: str | None = None,
    **common: Unpack[Common],
) -> Check:
    """Return a check that asks the host's own database for `SELECT 1`.

    Takes a URL of SQLAlchemy, an Engine or an AsyncEngine. Every run opens a connection of its own
    and closes it, so the host's pool is never used. Raises ConfigurationError for a wrong URL.
    """
    database = Asking(url_or_engine)
    latency = Latency(warn_after)

    def look(deadline: float) -> Any:
        began = monotonic()

        def select_one(connection: "Connection") -> Observed:
            connection.exec_driver_sql("SELECT 1")
            return latency.observed(began)

        return database.ask(select_one, deadline=deadline)

    return made(look, common, name="database", timeout=DATABASE_TIMEOUT, component="datastore")
