"""The built-in check of a queue: how many jobs wait in Redis or in a SQL table."""

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Unpack

from watchkeeper.core.health import CheckState, Observed
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.builtin.connection import WARN_CERTIFICATE, Trust
from watchkeeper.runtime.builtin.options import (
    CheckFailedError,
    Common,
    Look,
    made,
    text,
    whole,
)
from watchkeeper.runtime.builtin.resp import parse_redis, redis_session
from watchkeeper.runtime.builtin.sql import Asking
from watchkeeper.runtime.checks import Check

if TYPE_CHECKING:
    from sqlalchemy import Connection

MAX_DEPTH: Final = 10**9
LOOK_EVERY: Final = 10_000  # steps of SQLite's engine, between two looks at the clock
KINDS: Final = ("list", "rq", "celery", "query")
# Celery keeps each priority in a list of its own (kombu's default steps).
CELERY_PRIORITIES: Final = ("", "\x06\x163", "\x06\x166", "\x06\x169")

# What keeps a statement from writing, and from taking long.
_BEFORE: Final[Mapping[str, Sequence[str]]] = {
    "postgresql": ("SET TRANSACTION READ ONLY", "SET LOCAL statement_timeout = {ms}"),
    "mysql": ("SET TRANSACTION READ ONLY",),
    "mariadb": ("SET TRANSACTION READ ONLY",),
    "sqlite": ("PRAGMA query_only = ON",),
}


def queue_depth_check(
    url: Any,
    *,
    list: str | None = None,  # the option's name
    rq: str | None = None,
    celery: str | None = None,
    query: str | None = None,
    warn_above: int = 100,
    fail_above: int = 1_000,
    ca_file: str | None = None,
    **common: Unpack[Common],
) -> Check:
    """Return a check that counts what waits, and warns and fails above these.

    One of: `list`, a list in Redis; `rq`, a queue of RQ; `celery`, a queue of Celery on Redis;
    `query`, a statement that reads one number from a SQL database. Raises ConfigurationError.
    """
    warn = whole(warn_above, "warn_above", most=MAX_DEPTH, example=100)
    fail = whole(fail_above, "fail_above", most=MAX_DEPTH, example=1_000)
    if fail < warn:
        raise ConfigurationError(f"fail_above: {fail} is below warn_above, {warn}; make it larger")
    given = {"list": list, "rq": rq, "celery": celery, "query": query}
    chosen = [kind for kind in KINDS if given[kind] is not None]
    if len(chosen) != 1:
        raise ConfigurationError(f"list: give one of {', '.join(KINDS)} (there are {len(chosen)})")
    kind = chosen[0]
    value = text(given[kind], kind, example='"…"')

    def judge(depth: int) -> Observed:
        state = CheckState.PASS
        if depth > warn:
            state = CheckState.FAIL if depth > fail else CheckState.WARN
        words = "" if state is CheckState.PASS else f"{depth} wait"
        return Observed(value=depth, unit="jobs", text=words, state=state)

    if kind == "query":
        look = _in_sql(Asking(url), value, judge)
    else:
        look = _in_redis(url, _lists(kind, value), judge, Trust(ca_file, WARN_CERTIFICATE))
    return made(look, common, name="queue", component="datastore")


def _lists(kind: str, name: str) -> list[str]:
    if kind == "rq":
        return [f"rq:queue:{name}"]
    if kind == "celery":
        return [f"{name}{priority}" for priority in CELERY_PRIORITIES]
    return [name]


def _in_redis(
    url: object, lists: list[str], judge: Callable[[int], Observed], trust: Trust
) -> Look:
    address = parse_redis(url)

    def look(deadline: float) -> Observed:
        depth = 0
        with redis_session(address, trust=trust, deadline=deadline) as session:
            for name in lists:
                answer = session.ask("LLEN", name)
                if not isinstance(answer, int):
                    raise CheckFailedError(f"{address.shown} gave no length of the list")
                depth += answer
        return judge(depth)

    return look


def _in_sql(database: Asking, query: str, judge: Callable[[int], Observed]) -> Look:
    def look(deadline: float) -> Any:
        def count(connection: "Connection") -> Observed:
            _limit(connection, deadline)
            return judge(_number(connection.exec_driver_sql(query).fetchone()))

        return database.ask(count, deadline=deadline)

    return look


def _limit(connection: "Connection", deadline: float) -> None:
    """Let the connection read only, and not for longer than there is time."""
    left_ms = max(1, int((deadline - monotonic()) * 1_000))
    for statement in _BEFORE.get(connection.dialect.name, ()):
        connection.exec_driver_sql(statement.format(ms=left_ms))
    import sqlite3

    driver: Any = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        driver.set_progress_handler(lambda: monotonic() > deadline, LOOK_EVERY)


def _number(row: Any) -> int:
    try:
        (found,) = row
        return int(found)
    except (TypeError, ValueError):
        raise CheckFailedError("the query must return one row with one number") from None
