"""Workers that are past: those of a scope that has seen many of them since."""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from watchkeeper.storage.records import WORKER_SILENT_S
from watchkeeper.storage.sql.schema import worker


def scopes(connection: Connection) -> list[tuple[str, str]]:
    """Name the scopes that have workers, from the index."""
    found = select(worker.c.service, worker.c.environment).distinct()
    return [(row.service, row.environment) for row in connection.execute(found)]


def crowds(connection: Connection, *, most: int) -> Iterator[ColumnElement[bool]]:
    """Yield for each scope with past workers that are not among its newest what tells those."""
    for service, environment in scopes(connection):
        own = and_(worker.c.service == service, worker.c.environment == environment)
        # Window functions would say it in one statement, but MariaDB's take the rows' square:
        # 0.15 s for 1,000, more than 10 s for 20,000. These take 10 ms.
        newest = (
            select(worker.c.seen_at, worker.c.id)
            .where(own)
            .order_by(worker.c.seen_at.desc(), worker.c.id.desc())
        )
        first = connection.execute(newest.limit(1)).first()
        last = connection.execute(newest.limit(1).offset(most - 1)).first()
        if first is None or last is None:
            continue
        older = or_(
            worker.c.seen_at < last.seen_at,
            and_(worker.c.seen_at == last.seen_at, worker.c.id < last.id),
        )
        silent = worker.c.seen_at < first.seen_at - WORKER_SILENT_S
        yield and_(own, older, or_(worker.c.stopped_at.is_not(None), silent))
