"""Issues and their counts in a SQL database."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, delete, func, or_, select

from watchkeeper.core.metrics import Scope
from watchkeeper.core.slot import slot_start
from watchkeeper.storage import issue_rows
from watchkeeper.storage.sql import standing
from watchkeeper.storage.sql.base import chunks
from watchkeeper.storage.sql.counting import SqlCounting
from watchkeeper.storage.sql.details import read_object
from watchkeeper.storage.sql.schema import (
    event,
    issue,
    issue_alias,
    issue_count,
    issue_entry,
    issue_facet,
)
from watchkeeper.storage.store import ALL_WORKERS, Issue


class SqlIssues(SqlCounting):
    """The issues' part of the SQL store."""

    def issue(self, issue_id: int) -> Issue | None:
        """Read one issue; by the id of one that was merged into another, that other one."""
        # Read an issue by its id.
        statement = select(issue).where(issue.c.id == issue_id)
        # Read the issue that another one was merged into; asked for hardly ever.
        merged = (
            select(issue)
            .join(issue_alias, issue_alias.c.issue == issue.c.id)
            .where(issue_alias.c.fingerprint == issue_rows.merged_name(issue_id))
        )
        with self._database.read() as connection:
            row = connection.execute(statement).first() or connection.execute(merged).first()
        return read_issue(row) if row else None

    def issues(
        self,
        *,
        service: str,
        environment: str,
        seen_since: float,
        limit: int,
        first_seen_since: float | None = None,
    ) -> list[Issue]:
        """List issues of a scope, last seen first; with `first_seen_since`, only newer ones."""
        wanted = {
            "service": service,
            "environment": environment,
            "seen_since": seen_since,
            "first_seen_since": 0.0 if first_seen_since is None else first_seen_since,
            "most": limit,
        }
        with self._database.read() as connection:
            return [read_issue(row) for row in connection.execute(standing.ISSUES, wanted)]

    def issue_ids(
        self, fingerprints: Collection[str], *, service: str, environment: str
    ) -> dict[str, int]:
        """Find the issues of a scope that fingerprints lead to; unknown ones are left out."""
        scope = Scope(service=service, environment=environment)
        with self._database.read() as connection:
            return self._owners(connection, scope, fingerprints)

    def issue_names(
        self, begins: Collection[str], *, service: str, environment: str, limit: int
    ) -> dict[str, int]:
        """Find the names of a scope that begin so, and their issues; the first in order."""
        names = issue_alias.c.fingerprint
        # Read the names that begin in one of some ways.
        statement = (
            select(names, issue_alias.c.issue)
            .where(
                issue_alias.c.service == service,
                issue_alias.c.environment == environment,
                or_(*(names.startswith(one, autoescape=True) for one in sorted(begins))),
            )
            .order_by(names)
            .limit(limit)
        )
        with self._database.read() as connection:
            return {row.fingerprint: row.issue for row in connection.execute(statement)}

    def issue_fingerprints(self, issue_id: int) -> list[str]:
        """List every name that leads to an issue, sorted."""
        # Read the names of an issue.
        statement = select(issue_alias.c.fingerprint).where(issue_alias.c.issue == issue_id)
        with self._database.read() as connection:
            names = list(connection.execute(statement).scalars())
        return sorted(one for one in names if not issue_rows.is_merged_name(one))

    def issue_counts(
        self, issue_ids: Collection[int], *, since: float, until: float, resolution: int
    ) -> dict[int, dict[int, int]]:
        """Count occurrences: issue id → start of a span of `resolution` seconds → count."""
        span = (issue_count.c.start - issue_count.c.start % resolution).label("span")
        spans: dict[int, dict[int, int]] = {}
        with self._database.read() as connection:
            for some in chunks(sorted(issue_ids)):
                # Add up the counts of a few issues by span.
                statement = (
                    select(issue_count.c.issue, span, func.sum(issue_count.c.count).label("total"))
                    .where(
                        issue_count.c.issue.in_(some),
                        issue_count.c.start >= since,
                        issue_count.c.start < until,
                    )
                    .group_by(issue_count.c.issue, span)
                )
                for row in connection.execute(statement):
                    spans.setdefault(row.issue, {})[row.span] = int(row.total)
        return spans

    def roll_issue_counts(self, resolution: int, *, before: float, limit: int) -> int:
        """Make of up to `limit` finer counts those of coarser slots; return how many."""
        key = tuple(issue_count.primary_key.columns)
        with self._database.write() as connection:
            rows = _finer(connection, resolution, before=before, limit=limit)
            sums: Counter[tuple[int, int]] = Counter()
            for row in rows:
                sums[row["issue"], slot_start(row["start"], resolution)] += row["count"]
            if rows:
                gone = delete(issue_count).where(
                    *(one == bindparam(f"a_{one.name}") for one in key)
                )
                connection.execute(
                    gone, [{f"a_{one.name}": row[one.name] for one in key} for row in rows]
                )
                connection.execute(
                    standing.upsert_sum(self._database.dialect, issue_count),
                    [
                        {
                            "issue": issue_id,
                            "start": start,
                            "resolution": resolution,
                            "worker": ALL_WORKERS,
                            "sequence": 0,
                            "count": count,
                        }
                        for (issue_id, start), count in sorted(sums.items())
                    ],
                )
        return len(rows)

    def prune_counts(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` counts of issues from before; return how many."""
        key = tuple(issue_count.primary_key.columns)
        # Counts past their time.
        old = select(*key).where(issue_count.c.start < before).limit(limit)
        with self._database.write() as connection:
            gone = connection.execute(self._database.dialect.delete_chosen(issue_count, old))
            return gone.rowcount

    def prune_issues(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` issues last seen before, with all they hold; return how many."""
        # Issues that nobody has seen for long; one that is being added to is left to it.
        old = (
            select(issue.c.id)
            .where(issue.c.last_at < before)
            .order_by(issue.c.last_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        with self._database.write() as connection:
            gone = sorted(connection.execute(old).scalars())
            for some in chunks(gone):
                drop_issues(connection, some)
        return len(gone)


def _finer(
    connection: Connection, resolution: int, *, before: float, limit: int
) -> list[RowMapping]:
    """Take finer counts, one resolution after the other, which the index finds by their start."""
    found: list[RowMapping] = []
    at = 0
    while len(found) < limit:
        # Find the next finer resolution.
        finest = select(func.min(issue_count.c.resolution)).where(
            issue_count.c.resolution > at, issue_count.c.resolution < resolution
        )
        finer = connection.execute(finest).scalar()
        if finer is None:
            break
        at = finer
        # Take finer counts, which another process may be rolling up as well.
        counts = (
            select(issue_count)
            .where(issue_count.c.resolution == at, issue_count.c.start < before)
            .order_by(issue_count.c.start)
            .limit(limit - len(found))
            .with_for_update()
        )
        found += connection.execute(counts).mappings()
    return found


def read_issue(row: Any) -> Issue:
    """Make an issue of its row."""
    return Issue(
        id=row.id,
        scope=Scope(service=row.service, environment=row.environment, release=row.release),
        fingerprint=row.fingerprint,
        type=row.type,
        title=row.title,
        culprit=row.culprit,
        level=row.level,
        state=row.state,
        count=row._mapping["count"],  # Row.count is the tuple's method
        first_at=row.first_at,
        last_at=row.last_at,
        last_release=row.last_release,
        state_at=row.state_at,
        state_by=row.state_by,
        state_data=read_object(row.state_data),
        version=row.version,
        users=row.users,
    )


def drop_issues(connection: Connection, ids: Sequence[int]) -> int:
    """Delete a few issues with all they hold; return how many."""
    for table in (issue_alias, issue_count, event, issue_facet, issue_entry):
        connection.execute(delete(table).where(table.c.issue.in_(ids)))
    return connection.execute(delete(issue).where(issue.c.id.in_(ids))).rowcount
