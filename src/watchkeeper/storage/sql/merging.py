"""Issues merged and split in a SQL database, each in one transaction."""

import json
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, literal, select, update

from watchkeeper.core.issues import Reason
from watchkeeper.core.metrics import Scope
from watchkeeper.storage import issue_parts, issue_rows
from watchkeeper.storage.issue_rows import FacetKey
from watchkeeper.storage.issues import Facet, FacetKind, IssueEntry
from watchkeeper.storage.records import Issue
from watchkeeper.storage.sql import standing
from watchkeeper.storage.sql.base import Part, new_id
from watchkeeper.storage.sql.counting import facet_row
from watchkeeper.storage.sql.events import read_mark
from watchkeeper.storage.sql.issues import read_issue
from watchkeeper.storage.sql.schema import (
    event,
    issue,
    issue_alias,
    issue_count,
    issue_entry,
    issue_facet,
)
from watchkeeper.storage.sql.triage import issue_now, note, read_entry, read_facet


class SqlMerging(Part):
    """The part of the SQL store that makes one issue of two, and two of one."""

    def merge_issues(self, into: int, other: int, *, entry: IssueEntry) -> Issue | None:
        """Make one issue of two of one scope, in one transaction; `other` is gone then."""
        with self._database.write() as connection:
            held = {one.id: one for one in _hold(connection, [into, other])}
            if len(held) < 2 or held[into].scope.place != held[other].scope.place:
                return None
            line = issue_parts.merge_line(entry, held[other], _names(connection, other))
            new_users = self._merge_facets(connection, into, other)
            self._merge_counts(connection, into, other)
            for table in (issue_alias, event, issue_entry):
                connection.execute(update(table).where(table.c.issue == other).values(issue=into))
            self._lead(connection, held[into].scope, into, [issue_rows.merged_name(other)])
            # The other issue holds nothing any more.
            connection.execute(delete(issue).where(issue.c.id == other))
            joined = issue_parts.joined(held[into], held[other], new_users=new_users)
            _save(connection, joined)
            note(connection, into, line)
            return issue_now(connection, into)

    def split_issue(
        self, issue_id: int, *, fingerprint: str = "", path: str = "", entry: IssueEntry
    ) -> Issue | None:
        """Make an open issue of what came under one fingerprint, or by one call path."""
        with self._database.write() as connection:
            held = _hold(connection, [issue_id])
            if not held:
                return None
            (before,) = held
            names = issue_parts.split_names(
                before,
                _names(connection, issue_id),
                fingerprint=fingerprint,
                path=path,
                paths=_paths(connection, issue_id),
            )
            if not names:
                return None
            theirs = event.c.path == path if path else event.c.fingerprint == fingerprint
            formers = issue_parts.formers(names[0], _merges(connection, issue_id))
            former = next(iter(formers), None)
            theirs = and_(event.c.issue == issue_id, theirs)
            new = _split_off(connection, before, names[0], theirs, path, former, entry)
            _save(connection, issue_parts.left_over(before, new))
            names += issue_parts.former_names(formers, names[0])
            self._lead(connection, before.scope, new.id, names)
            for line in issue_parts.split_lines(entry, before, new.id):
                note(connection, line.issue, line)
            return new

    def _merge_facets(self, connection: Connection, into: int, other: int) -> int:
        """Move what finds room; return how many users are new to the issue."""
        known, found = _facets(connection, into), _facets(connection, other)
        counts: dict[str, int] = {}
        for kind, _ in known:
            counts[kind.value] = counts.get(kind.value, 0) + 1
        fit = issue_rows.fitting(found, known, counts)
        joined = issue_rows.joined_facets(
            [*(known[key] for key in fit if key in known), *(found[key] for key in fit)]
        )
        connection.execute(delete(issue_facet).where(issue_facet.c.issue == other))
        if joined:
            connection.execute(
                standing.upsert(self._database.dialect, issue_facet),
                [facet_row(into, joined[key]) for key in sorted(joined)],
            )
        return sum(kind is FacetKind.USER and (kind, value) not in known for kind, value in fit)

    def _merge_counts(self, connection: Connection, into: int, other: int) -> None:
        theirs = issue_count.alias("theirs")
        rest = ("start", "resolution", "worker", "sequence", "count")
        # Add the counts of one issue to those of another; both may have some of the same flush.
        moved = (
            select(literal(into).label("issue"), *(theirs.c[name] for name in rest))
            .where(theirs.c.issue == other)
            .order_by(theirs.c.start)
        )
        adding = standing.upsert_sum(self._database.dialect, issue_count)
        connection.execute(adding.from_select(["issue", *rest], moved))
        connection.execute(delete(issue_count).where(issue_count.c.issue == other))

    def _lead(
        self, connection: Connection, scope: Scope, owner: int, names: Sequence[str]
    ) -> None:
        """Let names lead to an issue, wherever they led before."""
        connection.execute(
            standing.upsert(self._database.dialect, issue_alias),
            [
                {
                    "service": scope.service,
                    "environment": scope.environment,
                    "fingerprint": name,
                    "issue": owner,
                }
                for name in sorted(names)
            ],
        )


def _split_off(
    connection: Connection,
    before: Issue,
    name: str,
    theirs: ColumnElement[bool],
    path: str,
    former: issue_parts.Former | None,
    entry: IssueEntry,
) -> Issue:
    """Add an issue, and move the events and the path that are its own."""
    wanted = (event.c.id, event.c.at, event.c.method, event.c.route, event.c.release)
    # Read what is to move.
    moved = [read_mark(row) for row in connection.execute(select(*wanted).where(theirs))]
    facet = _facets(connection, before.id, path).get((FacetKind.PATH, path)) if path else None
    new = issue_parts.split_off(before, name, moved, facet, former=former, entry=entry)
    added = connection.execute(
        insert(issue).values(
            service=new.scope.service,
            environment=new.scope.environment,
            release=new.scope.release,
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
            state_at=new.state_at,
            state_by=new.state_by,
            version=new.version,
        )
    )
    owner = new_id(added)
    connection.execute(update(event).where(theirs).values(issue=owner))
    connection.execute(
        update(issue_facet)
        .where(
            issue_facet.c.issue == before.id,
            issue_facet.c.kind == FacetKind.PATH.value,
            issue_facet.c.value == path,
        )
        .values(issue=owner)
    )
    return issue_now(connection, owner)


def _hold(connection: Connection, ids: Sequence[int]) -> list[Issue]:
    """Read issues, and keep them from being counted or changed meanwhile."""
    # Lock issues in the order of their ids, as a flush does.
    held = select(issue).where(issue.c.id.in_(ids)).order_by(issue.c.id).with_for_update()
    return [read_issue(row) for row in connection.execute(held)]


def _save(connection: Connection, now: Issue) -> None:
    # Write what became of an issue that is held.
    changed = update(issue).where(issue.c.id == now.id)
    connection.execute(
        changed.values(
            release=now.scope.release,
            count=now.count,
            first_at=now.first_at,
            last_at=now.last_at,
            last_release=now.last_release,
            state_at=now.state_at,
            state_data=json.dumps(now.state_data),
            version=now.version,
            users=now.users,
        )
    )


def _names(connection: Connection, issue_id: int) -> list[str]:
    # Read the names that lead to an issue.
    names = select(issue_alias.c.fingerprint).where(issue_alias.c.issue == issue_id)
    return sorted(connection.execute(names).scalars())


def _merges(connection: Connection, issue_id: int) -> list[IssueEntry]:
    # Read what was merged into an issue, the last one first.
    lines = (
        select(issue_entry)
        .where(issue_entry.c.issue == issue_id, issue_entry.c.reason == Reason.MERGED.value)
        .order_by(issue_entry.c.at.desc(), issue_entry.c.id.desc())
        .limit(issue_parts.MAX_MERGES)
    )
    return [read_entry(row) for row in connection.execute(lines)]


def _paths(connection: Connection, issue_id: int) -> set[str]:
    # Read the call paths of the events that an issue has kept.
    kept = select(event.c.path).where(event.c.issue == issue_id, event.c.path != "").distinct()
    paths = set(connection.execute(kept).scalars())
    return paths | {
        value for kind, value in _facets(connection, issue_id) if kind is FacetKind.PATH
    }


def _facets(connection: Connection, issue_id: int, value: str = "") -> dict[FacetKey, Facet]:
    # Read the facets of an issue.
    facets = select(issue_facet).where(
        issue_facet.c.issue == issue_id, issue_facet.c.kind.in_([*FacetKind])
    )
    if value:
        facets = facets.where(issue_facet.c.value == value)
    return {
        (FacetKind(row.kind), row.value): read_facet(row) for row in connection.execute(facets)
    }
