"""The statements that every flush runs, built once: building one takes longer than running it.

What they are given when they run is named after the columns, but for those that SQLAlchemy keeps
for the values of an INSERT or an UPDATE.
"""

from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Double,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    case,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import Insert

from watchkeeper.core.health import AHEAD_S
from watchkeeper.core.rule import LEVELS
from watchkeeper.storage.frame import VERSION
from watchkeeper.storage.rows import WRONG_LEASE
from watchkeeper.storage.sql.dialect import Dialect
from watchkeeper.storage.sql.schema import (
    alert,
    check,
    frame,
    issue,
    issue_alias,
    lease,
    outbox,
    worker,
)

_SERVICE: Final[Any] = bindparam("service")
_ENVIRONMENT: Final[Any] = bindparam("environment")

# Read the states of a scope.
ALERTS: Final = (
    select(alert)
    .where(alert.c.service == _SERVICE, alert.c.environment == _ENVIRONMENT)
    .order_by(alert.c.rule, alert.c.label_group)
)
# Read the results of a scope.
CHECKS: Final = (
    select(check)
    .where(check.c.service == _SERVICE, check.c.environment == _ENVIRONMENT)
    .order_by(check.c.name, check.c.worker)
)
# Find the keys of frames, in the index alone; a worker that is known no more may be ours.
FRAME_KEYS: Final = (
    select(frame.c.start, frame.c.worker, frame.c.sequence, worker.c.id)
    .select_from(frame.outerjoin(worker, worker.c.id == frame.c.worker))
    .where(
        frame.c.resolution == bindparam("resolution"),
        frame.c.start >= bindparam("since"),
        frame.c.start < bindparam("until"),
        frame.c.part == 0,
        or_(
            worker.c.id.is_(None),
            and_(worker.c.service == _SERVICE, worker.c.environment == _ENVIRONMENT),
        ),
    )
    .order_by(frame.c.start, frame.c.worker, frame.c.sequence)
)
# Read the issues of a scope by when they were last seen.
ISSUES: Final = (
    select(issue)
    .where(
        issue.c.service == _SERVICE,
        issue.c.environment == _ENVIRONMENT,
        issue.c.last_at >= bindparam("seen_since"),
        issue.c.first_at >= bindparam("first_seen_since"),
    )
    .order_by(issue.c.last_at.desc(), issue.c.id.desc())
    .limit(bindparam("most"))
)
# Find the frames that wait for a roll-up; those of a newer process' format wait for such a one.
UNROLLED: Final = (
    select(frame.c.start, frame.c.worker, frame.c.sequence)
    .where(
        frame.c.resolution == bindparam("resolution"),
        frame.c.start <= bindparam("newest"),
        frame.c.rolled == 0,
        frame.c.part == 0,
        frame.c.format <= VERSION,
    )
    .order_by(frame.c.start, frame.c.worker, frame.c.sequence)
    .limit(bindparam("most"))
)
# Count what is due now or later, which the index on the status finds.
WAITING: Final = (
    select(func.count())
    .select_from(outbox)
    .where(
        outbox.c.status == "due",
        outbox.c.service == _SERVICE,
        outbox.c.environment == _ENVIRONMENT,
    )
)
# Read the workers of a scope by their last heartbeat.
WORKERS: Final = (
    select(worker)
    .where(
        worker.c.service == _SERVICE,
        worker.c.environment == _ENVIRONMENT,
        worker.c.seen_at >= bindparam("seen_since"),
    )
    .order_by(worker.c.seen_at.desc(), worker.c.id.desc())
)
# Find the numbers that the live workers of a scope hold.
NUMBERS: Final = select(worker.c.number).where(
    worker.c.service == _SERVICE,
    worker.c.environment == _ENVIRONMENT,
    worker.c.seen_at > bindparam("seen_since"),
    worker.c.stopped_at.is_(None),
)
# The heartbeat; a flush that waited must not turn the clock back.
HEARTBEAT: Final = (
    update(worker)
    .where(worker.c.id == bindparam("known"), worker.c.seen_at < bindparam("moment"))
    .values(seen_at=bindparam("moment"))
)
# Add an issue; the database gives the id.
NEW_ISSUE: Final = insert(issue)
# Let a fingerprint that was taken lead to its issue.
LEAD: Final = (
    update(issue_alias)
    .where(
        issue_alias.c.service == bindparam("where_service"),
        issue_alias.c.environment == bindparam("where_environment"),
        issue_alias.c.fingerprint == bindparam("where_fingerprint"),
    )
    .values(issue=bindparam("owner"))
)


def _height(level: Any) -> ColumnElement[int]:
    """Return how high a level is; one that is not known is the lowest."""
    return case({name: number for number, name in enumerate(LEVELS)}, value=level, else_=-1)


# Add to an issue's count and move its ends; in place, so that nothing is lost between two workers.
# MariaDB assigns in the order of the columns: the moments come after the release, before the last.
SEEN_AGAIN: Final = (
    update(issue)
    .where(issue.c.id == bindparam("known"))
    .values(
        level=case(
            (
                _height(issue.c.level) < _height(bindparam("latest_level")),
                bindparam("latest_level"),
            ),
            else_=issue.c.level,
        ),
        release=case(
            (issue.c.first_at > bindparam("earliest"), bindparam("latest_release")),
            else_=issue.c.release,
        ),
        count=issue.c.count + bindparam("more"),
        first_at=case(
            (issue.c.first_at > bindparam("earliest"), bindparam("earliest")),
            else_=issue.c.first_at,
        ),
        last_at=case(
            (issue.c.last_at <= bindparam("latest"), bindparam("latest")), else_=issue.c.last_at
        ),
        last_release=case(
            (issue.c.last_at <= bindparam("latest"), bindparam("latest_release")),
            else_=issue.c.last_release,
        ),
        users=issue.c.users + bindparam("more_users"),
    )
)
# Read a lease that is held.
HELD: Final = select(lease.c.token, lease.c.until).where(lease.c.name == bindparam("name"))


@cache
def insert_new(dialect: Dialect, table: Table) -> Insert:
    """Insert rows, leaving out those whose key exists."""
    return dialect.insert_new(table)


@cache
def upsert(dialect: Dialect, table: Table, *, keep_newer: str | None = None) -> Insert:
    """Insert a row, or replace the one of the same primary key unless that is newer."""
    return dialect.upsert(table, keep_newer=keep_newer)


@cache
def upsert_check(dialect: Dialect) -> Insert:
    """Insert a check's result, or replace the last one unless that is newer by a right clock."""
    return dialect.upsert(check, keep_newer="at", until=now(dialect) + AHEAD_S)


@cache
def held_check(dialect: Dialect) -> Select[Any]:
    """Hold a check's result: its state, when it ran, and whether that is still to come."""
    is_ahead = check.c.at > now(dialect) + AHEAD_S
    return (
        select(check.c.state, check.c.at, is_ahead.label("is_ahead"))
        .where(
            check.c.service == _SERVICE,
            check.c.environment == _ENVIRONMENT,
            check.c.name == bindparam("name"),
            check.c.worker == bindparam("worker"),
        )
        .with_for_update()
    )


@cache
def upsert_sum(dialect: Dialect, table: Table) -> Insert:
    """Insert a row, or add to the one of the same primary key."""
    return dialect.upsert_sum(table)


@cache
def take_lease(dialect: Dialect) -> Update:
    """Renew a lease, or take it over if it has run out: one row changed means we have it."""
    at = now(dialect)
    me: Any = bindparam("me")
    mine = and_(lease.c.owner == me, lease.c.until > at)
    wrong = lease.c.until > at + bindparam("ttl_s", type_=Double) * WRONG_LEASE
    free = or_(lease.c.until <= at, lease.c.owner == me, wrong)
    return (
        update(lease)
        .where(lease.c.name == bindparam("wanted"), free)
        .values(
            owner=me,
            until=at + bindparam("ttl_s", type_=Double),
            token=case((mine, lease.c.token), else_=lease.c.token + 1),
        )
    )


@cache
def make_lease(dialect: Dialect) -> Insert:
    """Make a lease's row; only the first of all who try gets it."""
    until = now(dialect) + bindparam("ttl_s", type_=Double)
    return dialect.insert_new(lease).values(
        name=bindparam("wanted"), owner=bindparam("me"), token=1, until=until
    )


def now(dialect: Dialect) -> ColumnElement[float]:
    """Give the moment by the database's clock; for a file it is given as `moment`."""
    return dialect.clock(0.0) if dialect.server else bindparam("moment", type_=Double)
