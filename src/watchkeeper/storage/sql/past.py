"""What is past its time in a SQL database, counted."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, not_, or_, select

from watchkeeper.core.hours import MINUTE_S
from watchkeeper.storage.records import MAX_PAST_WORKERS
from watchkeeper.storage.sql.alerts import past_incidents
from watchkeeper.storage.sql.base import Part
from watchkeeper.storage.sql.outbox import past_messages
from watchkeeper.storage.sql.releases import past_marks
from watchkeeper.storage.sql.schema import (
    audit,
    check,
    check_change,
    chunk,
    event,
    frame,
    hour,
    incident,
    issue,
    issue_count,
    outbox,
    release,
    sample,
    series,
    silence,
    statement,
    worker,
)
from watchkeeper.storage.sql.silences import past_silences
from watchkeeper.storage.sql.unused import is_unused
from watchkeeper.storage.sql.workers import crowds
from watchkeeper.storage.upkeep import Kind, Past

Column = ColumnElement[Any]

# The tables of each kind whose rows are past by one column alone.
_BY_TIME: Final[Mapping[Kind, Sequence[tuple[str, Column]]]] = {
    Kind.CHUNKS: (("chunks", chunk.c.hour),),
    Kind.HOURS: (("hours", hour.c.start),),
    Kind.EVENTS: (("events", event.c.at),),
    Kind.COUNTS: (("issue counts", issue_count.c.start),),
    Kind.ISSUES: (("issues", issue.c.last_at),),
    Kind.CHECKS: (("check results", check.c.at), ("check changes", check_change.c.at)),
    Kind.AUDITS: (("audits", audit.c.at),),
}


class SqlPast(Part):
    """The part of the SQL store that counts what is past its time."""

    def past(
        self,
        kind: Kind,
        *,
        before: float,
        resolution: int = 0,
        sealed_before: float = 0.0,
        most: int = 0,
    ) -> list[Past]:
        """Count what `prune_…` of a kind would delete, table by table."""
        if kind is Kind.SAMPLES:
            return self._past_samples(before, most)
        if kind is Kind.WORKERS:
            return self._past_workers(before)
        if kind is Kind.SERIES:
            return self._past_series(before)
        sealed = and_(frame.c.rolled == 1, frame.c.start < sealed_before)
        asked: Mapping[Kind, Sequence[tuple[str, Select[Any]]]] = {
            Kind.FRAMES: [
                (
                    "frames",
                    _count(frame.c.start, *_frames(resolution, before), not_(sealed)),
                )
            ],
            Kind.SEALED: [
                (
                    "sealed frames",
                    _count(frame.c.start, *_frames(MINUTE_S, before), frame.c.rolled == 1),
                )
            ],
            Kind.INCIDENTS: [
                ("incidents", _count(incident.c.started_at, past_incidents(before))),
                ("messages", _count(outbox.c.created_at, *past_messages(before))),
            ],
            Kind.SILENCES: [("silences", _count(silence.c.created_at, past_silences(before)))],
            Kind.RELEASES: [("releases", _count(release.c.at, past_marks(before)))],
        }
        counts = asked.get(kind) or [
            (what, _count(column, column < before)) for what, column in _BY_TIME[kind]
        ]
        with self._database.read() as connection:
            rows = [(what, connection.execute(count).one()) for what, count in counts]
        return [Past(what=what, rows=row.rows, oldest=row.oldest) for what, row in rows]

    def _past_samples(self, before: float, most: int) -> list[Past]:
        with self._database.read() as connection:
            # How many samples there are, and from when.
            whole = connection.execute(_count(sample.c.at)).one()
            old = connection.execute(_count(sample.c.at, sample.c.at < before)).one()
            unused = connection.execute(_count(statement.c.at, statement.c.at < before)).one()
        rows = max(old.rows, whole.rows - most)
        return [
            Past(what="samples", rows=rows, oldest=whole.oldest if rows else None),
            Past(what="statements", rows=unused.rows, oldest=unused.oldest),
        ]

    def _past_workers(self, before: float) -> list[Past]:
        with self._database.read() as connection:
            which = or_(worker.c.seen_at < before, *crowds(connection, most=MAX_PAST_WORKERS))
            # Workers long gone, and past ones of crowds.
            row = connection.execute(_count(worker.c.seen_at, which)).one()
        return [Past(what="workers", rows=row.rows, oldest=row.oldest)]

    def _past_series(self, before: float) -> list[Past]:
        with self._database.read() as connection:
            # Series that nothing names any more.
            which = is_unused(connection, before=before)
            row = connection.execute(_count(series.c.seen_at, which)).one()
        return [Past(what="series", rows=row.rows, oldest=row.oldest)]


def _frames(resolution: int, before: float) -> tuple[ColumnElement[bool], ...]:
    return (frame.c.resolution == resolution, frame.c.start < before, frame.c.part == 0)


def _count(moment: Column, *conditions: ColumnElement[bool]) -> Select[Any]:
    """Count rows, and find the oldest of them."""
    return select(func.count().label("rows"), func.min(moment).label("oldest")).where(*conditions)
