"""What people do with issues in a SQL database: finding them, their states and their history."""

import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, func, insert, literal, or_, select, update

from watchkeeper.core.issues import RETURNS, Reason, State
from watchkeeper.storage import issue_rows
from watchkeeper.storage.issues import (
    MAX_IGNORED,
    Facet,
    FacetKind,
    IssueChange,
    IssueEntry,
    Search,
    Sort,
)
from watchkeeper.storage.records import Issue
from watchkeeper.storage.sql.base import Part, chunks
from watchkeeper.storage.sql.details import read_object
from watchkeeper.storage.sql.issues import drop_issues, read_issue
from watchkeeper.storage.sql.schema import event, issue, issue_alias, issue_entry, issue_facet

_COLUMNS: Final = {
    Sort.LAST_SEEN: issue.c.last_at,
    Sort.FIRST_SEEN: issue.c.first_at,
    Sort.COUNT: issue.c["count"],
    Sort.USERS: issue.c.users,
}


class SqlTriage(Part):
    """The part of the SQL store that finds issues and keeps their states and history."""

    def find_issues(self, search: Search) -> list[Issue]:
        """List the issues that a search wants, in its order, newest or largest first."""
        # Find the issues that a search wants.
        statement = (
            select(issue)
            .where(*_conditions(search))
            .order_by(_COLUMNS[search.sort].desc(), issue.c.id.desc())
            .limit(search.limit)
            .offset(search.offset)
        )
        with self._database.read() as connection:
            return [read_issue(row) for row in connection.execute(statement)]

    def change_issue(self, change: IssueChange) -> Issue | None:
        """Save a transition with its line of history, in one transaction; return the issue now."""
        entry, before = issue_rows.cut_entry(change.entry), change.issue
        # Change the state, unless somebody else has changed the issue.
        changed = (
            update(issue)
            .where(issue.c.id == before.id, issue.c.version == before.version)
            .values(
                state=change.state.value,
                state_at=entry.at,
                state_by=entry.actor,
                state_data=json.dumps(change.data),
                version=issue.c.version + 1,
            )
        )
        with self._database.write() as connection:
            if not connection.execute(changed).rowcount:
                return None
            note(connection, before.id, entry)
            return issue_now(connection, before.id)

    def stirred_issues(
        self, *, service: str, environment: str, limit: int, after: int = 0
    ) -> list[Issue]:
        """List what may have to move: issues muted until something, and resolved ones seen since.

        By their ids, those above `after`.
        """
        muted = and_(issue.c.state == State.MUTED.value, issue.c.state_data != "{}")
        resolved = and_(issue.c.state == State.RESOLVED.value, issue.c.last_at > issue.c.state_at)
        found: list[Issue] = []
        with self._database.read() as connection:
            # One state at a time, which the index finds without reading all that are open.
            for stirred in (muted, resolved):
                # Find the issues that what happened may move on.
                statement = (
                    select(issue)
                    .where(
                        issue.c.service == service,
                        issue.c.environment == environment,
                        stirred,
                        issue.c.id > after,
                    )
                    .order_by(issue.c.id)
                    .limit(limit)
                )
                found += [read_issue(row) for row in connection.execute(statement)]
        return sorted(found, key=lambda one: one.id)[:limit]

    def issue_returns(
        self, *, service: str, environment: str, since: float, limit: int
    ) -> list[tuple[IssueEntry, Issue]]:
        """List the lines of history by which issues came back or a mute ended by what happened."""
        # Find the lines by which issues are there again.
        statement = (
            select(issue_entry)
            .join(issue, issue.c.id == issue_entry.c.issue)
            .where(
                issue_entry.c.at >= since,
                issue_entry.c.reason.in_([one.value for one in RETURNS]),
                issue.c.service == service,
                issue.c.environment == environment,
            )
            .order_by(issue_entry.c.at, issue_entry.c.id)
            .limit(limit)
        )
        issues: dict[int, Issue] = {}
        with self._database.read() as connection:
            lines = [read_entry(row) for row in connection.execute(statement)]
            for some in chunks(sorted({one.issue for one in lines})):
                # Read the issues that are there again.
                theirs = select(issue).where(issue.c.id.in_(some))
                issues.update((row.id, read_issue(row)) for row in connection.execute(theirs))
        return [(one, issues[one.issue]) for one in lines if one.issue in issues]

    def comment_issue(self, entry: IssueEntry) -> bool:
        """Add a comment to an issue's history; False if there is no such issue."""
        # Keep the issue from being merged or deleted meanwhile.
        held = select(issue.c.id).where(issue.c.id == entry.issue).with_for_update()
        with self._database.write() as connection:
            if connection.execute(held).first() is None:
                return False
            note(connection, entry.issue, issue_rows.cut_entry(entry))
        return True

    def issue_entries(self, issue_id: int, *, limit: int) -> list[IssueEntry]:
        """Read an issue's history, newest first."""
        # Read an issue's history.
        statement = (
            select(issue_entry)
            .where(issue_entry.c.issue == issue_id)
            .order_by(issue_entry.c.at.desc(), issue_entry.c.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [read_entry(row) for row in connection.execute(statement)]

    def facets(self, issue_id: int, kind: FacetKind, *, limit: int) -> list[Facet]:
        """Read the values of a kind, most frequent first, then latest first."""
        # Read the values of a kind under which an issue happened.
        statement = (
            select(issue_facet)
            .where(issue_facet.c.issue == issue_id, issue_facet.c.kind == kind.value)
            .order_by(
                issue_facet.c["count"].desc(), issue_facet.c.last_at.desc(), issue_facet.c.value
            )
            .limit(limit)
        )
        with self._database.read() as connection:
            return [read_facet(row) for row in connection.execute(statement)]

    def delete_issue(self, issue_id: int) -> bool:
        """Delete an issue with all it holds; if it happens again it is new. False: none there."""
        # Wait for who is adding to the issue, in the order in which they take their rows.
        held = select(issue.c.id).where(issue.c.id == issue_id).with_for_update()
        with self._database.write() as connection:
            connection.execute(held)
            return bool(drop_issues(connection, [issue_id]))

    def ignored_fingerprints(self, *, service: str, environment: str) -> Mapping[str, bool]:
        """Return the names that lead to issues which are ignored (True), at most MAX_IGNORED."""
        # Find the names of ignored issues.
        statement = (
            select(issue_alias.c.fingerprint)
            .join(issue, issue.c.id == issue_alias.c.issue)
            .where(
                issue.c.service == service,
                issue.c.environment == environment,
                issue.c.state == State.IGNORED.value,
            )
            .order_by(issue_alias.c.fingerprint)
            .limit(MAX_IGNORED)
        )
        # Find the names that were split off; asked for only where something is ignored.
        split = select(issue_alias.c.fingerprint).where(
            issue_alias.c.service == service,
            issue_alias.c.environment == environment,
            issue_alias.c.fingerprint.like("%/%"),
        )
        with self._database.read() as connection:
            names = list(connection.execute(statement).scalars())
            parts = connection.execute(split).scalars() if names else ()
            return issue_rows.ignored(names, parts)


def note(connection: Connection, issue_id: int, entry: IssueEntry) -> None:
    """Add a line to an issue's history."""
    connection.execute(
        insert(issue_entry).values(
            issue=issue_id,
            at=entry.at,
            actor=entry.actor,
            state_before=entry.before,
            state_after=entry.after,
            reason=entry.reason.value if entry.reason else "",
            comment=entry.comment,
            data=json.dumps(entry.data),
        )
    )


def issue_now(connection: Connection, issue_id: int) -> Issue:
    """Read an issue within the transaction that changes it."""
    # Read an issue that is there.
    return read_issue(connection.execute(select(issue).where(issue.c.id == issue_id)).one())


def read_facet(row: Any) -> Facet:
    """Make a facet of its row."""
    return Facet(
        kind=FacetKind(row.kind),
        value=row.value,
        count=row._mapping["count"],  # Row.count is the tuple's method
        first_at=row.first_at,
        last_at=row.last_at,
    )


def read_entry(row: Any) -> IssueEntry:
    """Make a line of history of its row."""
    return IssueEntry(
        id=row.id,
        issue=row.issue,
        at=row.at,
        actor=row.actor,
        before=row.state_before,
        after=row.state_after,
        reason=Reason(row.reason) if row.reason else None,
        comment=row.comment,
        data=read_object(row.data),
    )


def _conditions(search: Search) -> list[ColumnElement[bool]]:
    found = [
        issue.c.service == search.service,
        issue.c.environment == search.environment,
        issue.c.last_at >= search.seen_since,
        issue.c.first_at >= search.first_seen_since,
    ]
    if search.states:
        found.append(issue.c.state.in_(sorted(one.value for one in search.states)))
    if search.text:
        found.append(_has_text(search.text))
    if search.type:
        found.append(issue.c.type == search.type)
    if search.level:
        found.append(issue.c.level == search.level)
    if search.route:
        found.append(_has_facet(FacetKind.ROUTE, issue_rows.route_values(search.route)))
    if search.release:
        found.append(_has_facet(FacetKind.RELEASE, [search.release]))
    if search.user:
        found.append(_has_facet(FacetKind.USER, [search.user]))
    if search.request_id:
        events = select(event.c.issue).where(event.c.request_id == search.request_id)
        found.append(issue.c.id.in_(events))
    return found


def _has_text(text: str) -> ColumnElement[bool]:
    """Look for a text whatever the case, by the database's own idea of it.

    SQLite's ends at ASCII: there a text with other letters is found if these are as they were
    asked for, or all small, or all capital.
    """
    for each in "/%_":
        text = text.replace(each, f"/{each}")
    variants = {text} if text.isascii() else {text, text.lower(), text.upper()}
    return or_(
        *(
            func.lower(column).like(func.lower(literal(f"%{one}%")), escape="/")
            for column in (issue.c.type, issue.c.title, issue.c.culprit)
            for one in sorted(variants)
        )
    )


def _has_facet(kind: FacetKind, values: list[str]) -> ColumnElement[bool]:
    facets = select(issue_facet.c.issue).where(
        issue_facet.c.kind == kind.value, issue_facet.c.value.in_(values)
    )
    return issue.c.id.in_(facets)
