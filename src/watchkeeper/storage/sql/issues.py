"""Issues, their counts and events in a SQL database."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, case, delete, func, insert, select, update

from watchkeeper.core.metrics import Scope
from watchkeeper.core.slot import FrameKey
from watchkeeper.storage import rows
from watchkeeper.storage.sql import partitions, standing
from watchkeeper.storage.sql.base import Part, chunks, new_id
from watchkeeper.storage.sql.details import pack, unpack
from watchkeeper.storage.sql.schema import event, issue, issue_alias, issue_count
from watchkeeper.storage.store import Event, Issue, IssueCount


class SqlIssues(Part):
    """The issues' part of the SQL store."""

    def issue(self, issue_id: int) -> Issue | None:
        """Read one issue."""
        # Read an issue by its id.
        statement = select(issue).where(issue.c.id == issue_id)
        with self._database.read() as connection:
            row = connection.execute(statement).first()
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

    def issue_fingerprints(self, issue_id: int) -> list[str]:
        """List every fingerprint that leads to an issue, sorted."""
        # Read the names of an issue.
        statement = select(issue_alias.c.fingerprint).where(issue_alias.c.issue == issue_id)
        with self._database.read() as connection:
            return sorted(connection.execute(statement).scalars())

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

    def events(self, issue_id: int, *, limit: int) -> list[Event]:
        """Read the newest events of an issue."""
        # Read an issue's events, newest first.
        statement = (
            select(event)
            .where(event.c.issue == issue_id)
            .order_by(event.c.at.desc(), event.c.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [read_event(row) for row in connection.execute(statement)]

    def prune_events(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` events, and as many counts, from before; return how many rows."""
        dropped, dialect = 0, self._database.dialect
        if dialect.partitions:
            with self._database.write() as connection:
                partitions.limit_lock_wait(connection)
                dropped = partitions.drop_before(
                    connection, "wk_event", resolution=None, before=before
                )
        key = (event.c.at, event.c.id)
        # Events past their time.
        events = select(*key).where(event.c.at < before).order_by(event.c.at).limit(limit)
        count_key = tuple(issue_count.primary_key.columns)
        # Counts past their time.
        counts = select(*count_key).where(issue_count.c.start < before).limit(limit)
        with self._database.write() as connection:
            gone = connection.execute(dialect.delete_chosen(event, events)).rowcount
            gone += connection.execute(dialect.delete_chosen(issue_count, counts)).rowcount
        return dropped + gone

    def prune_issues(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` issues last seen before, with all they hold; return how many."""
        # Issues that nobody has seen for long.
        old = select(issue.c.id).where(issue.c.last_at < before).order_by(issue.c.last_at)
        with self._database.write() as connection:
            gone = list(connection.execute(old.limit(limit)).scalars())
            for some in chunks(gone):
                for table in (issue_alias, issue_count, event):
                    connection.execute(delete(table).where(table.c.issue.in_(some)))
                connection.execute(delete(issue).where(issue.c.id.in_(some)))
        return len(gone)

    def _count_issues(
        self, connection: Connection, scope: Scope, key: FrameKey, found: Sequence[IssueCount]
    ) -> None:
        """Add what one flush counted; in order of the fingerprint, so that flushes queue up."""
        known = self._owners(
            connection, scope, [name for one in found for name in rows.fingerprints(one)]
        )
        counts: dict[int, int] = {}
        for one in sorted(found, key=lambda one: one.fingerprint):
            names = rows.fingerprints(one)
            owner = known.get(names[0])
            if owner is None:
                owner = self._inherited(connection, names, known)
            if owner is None:
                owner = self._new_issue(connection, scope, one)
            else:
                self._seen_again(connection, owner, scope, one)
            fresh = [name for name in names if name not in known]
            self._add_aliases(connection, scope, owner, fresh)
            known.update(dict.fromkeys(fresh, owner))
            counts[owner] = counts.get(owner, 0) + one.count
        if counts:
            # Append what this flush counted; a repeated flush never comes as far as this.
            connection.execute(
                self._database.dialect.insert_new(issue_count),
                [
                    {
                        "issue": owner,
                        "start": key.start,
                        "resolution": key.resolution,
                        "worker": key.worker,
                        "sequence": key.sequence,
                        "count": count,
                    }
                    for owner, count in counts.items()
                ],
            )

    def _owners(
        self, connection: Connection, scope: Scope, names: Collection[str]
    ) -> dict[str, int]:
        owners: dict[str, int] = {}
        for some in chunks(sorted(set(names))):
            # Find the issues that fingerprints lead to.
            statement = select(issue_alias.c.fingerprint, issue_alias.c.issue).where(
                issue_alias.c.service == scope.service,
                issue_alias.c.environment == scope.environment,
                issue_alias.c.fingerprint.in_(some),
            )
            owners.update((row.fingerprint, row.issue) for row in connection.execute(statement))
        return owners

    def _inherited(
        self, connection: Connection, names: Sequence[str], known: Mapping[str, int]
    ) -> int | None:
        """Return the issue that an error's older fingerprints lead to, if it is still to be had.

        A newer algorithm may tell two errors apart that were one: the first of them to be met
        keeps the issue.
        """
        for owner in dict.fromkeys(known[name] for name in names[1:] if name in known):
            # Wait for another worker that is about to take it.
            connection.execute(select(issue.c.id).where(issue.c.id == owner).with_for_update())
            # Find which errors of the present algorithm lead to it.
            heirs = select(issue_alias.c.fingerprint).where(
                issue_alias.c.issue == owner,
                issue_alias.c.fingerprint.startswith(rows.version(names[0]), autoescape=True),
            )
            found = set(connection.execute(heirs).scalars())
            if not found or names[0] in found:
                return owner
        return None

    def _new_issue(self, connection: Connection, scope: Scope, found: IssueCount) -> int:
        new = rows.new_issue(0, scope, found)
        # Take the fingerprint first: of two workers that see a new error, the second one waits
        # here, and then finds the first one's issue.
        claim = self._database.dialect.insert_new(issue_alias).values(
            service=scope.service,
            environment=scope.environment,
            fingerprint=new.fingerprint,
            issue=0,
        )
        if not connection.execute(claim).rowcount:
            owner = self._owners(connection, scope, [new.fingerprint])[new.fingerprint]
            self._seen_again(connection, owner, scope, found)
            return owner
        # Add the issue; the database gives the id.
        added = connection.execute(
            insert(issue).values(
                service=scope.service,
                environment=scope.environment,
                release=scope.release,
                fingerprint=new.fingerprint,
                type=new.type,
                title=new.title,
                culprit=new.culprit,
                level=new.level,
                state=new.state,
                count=new.count,
                first_at=new.first_at,
                last_at=new.last_at,
                last_release=new.last_release,
            )
        )
        owner = new_id(added)
        # Let the fingerprint lead to it.
        connection.execute(
            update(issue_alias)
            .where(
                issue_alias.c.service == scope.service,
                issue_alias.c.environment == scope.environment,
                issue_alias.c.fingerprint == new.fingerprint,
            )
            .values(issue=owner)
        )
        return owner

    def _seen_again(
        self, connection: Connection, owner: int, scope: Scope, found: IssueCount
    ) -> None:
        newer = issue.c.last_at <= found.last_at
        older = issue.c.first_at > found.first_at
        # Add to the issue's count and move its ends; in place, so that nothing is lost between
        # two workers.
        statement = (
            update(issue)
            .where(issue.c.id == owner)
            .values(
                count=issue.c.count + found.count,
                first_at=case((older, found.first_at), else_=issue.c.first_at),
                last_release=case((newer, scope.release), else_=issue.c.last_release),
                last_at=case((newer, found.last_at), else_=issue.c.last_at),
            )
        )
        connection.execute(statement)

    def _add_aliases(
        self, connection: Connection, scope: Scope, owner: int, names: Sequence[str]
    ) -> None:
        if names:
            # Let further fingerprints lead to an issue; those that lead somewhere stay.
            connection.execute(
                self._database.dialect.insert_new(issue_alias),
                [
                    {
                        "service": scope.service,
                        "environment": scope.environment,
                        "fingerprint": name,
                        "issue": owner,
                    }
                    for name in names
                ],
            )

    def _keep_events(self, connection: Connection, scope: Scope, found: Sequence[Event]) -> None:
        """Store events under the issues that their fingerprints lead to; others are left out."""
        cut = [rows.cut_event(one) for one in found]
        owners = self._owners(connection, scope, [one.fingerprint for one in cut])
        values = [
            {
                "at": one.at,
                "id": one.id,
                "issue": owners[one.fingerprint],
                "fingerprint": one.fingerprint,
                "method": one.method,
                "route": one.route,
                "status": one.status,
                "release": one.release,
                "request_id": one.request_id,
                "path": one.path,
                "data": pack(one.data),
            }
            for one in cut
            if one.fingerprint in owners
        ]
        if values:
            # Append events; one that is there already stays as it is.
            connection.execute(self._database.dialect.insert_new(event), values)


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
    )


def read_event(row: Any) -> Event:
    """Make an event of its row."""
    return Event(
        id=row.id,
        fingerprint=row.fingerprint,
        at=row.at,
        method=row.method,
        route=row.route,
        status=row.status,
        release=row.release,
        request_id=row.request_id,
        path=row.path,
        data=unpack(row.data),
    )
