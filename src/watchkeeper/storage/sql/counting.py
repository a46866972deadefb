"""What a flush counts of issues, added to a SQL database.

Of two flushes that meet, each takes what it needs in the same order: first the names of new
issues, by name; then the issues, by id; then all that hangs on them. So one waits for the other.
Only while a new algorithm's fingerprints take over issues, these are held on the way; of two that
wait for each other there the database refuses one, and that flush is written again.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select

from watchkeeper.core.metrics import Scope
from watchkeeper.core.slot import FrameKey
from watchkeeper.exceptions import CollisionError
from watchkeeper.storage import issue_rows
from watchkeeper.storage.issue_rows import FacetKey
from watchkeeper.storage.issues import MAX_FACETS, Facet, FacetKind
from watchkeeper.storage.records import IssueCount
from watchkeeper.storage.rows import MAX_NAME, cut
from watchkeeper.storage.sql import standing
from watchkeeper.storage.sql.base import Part, chunks, new_id
from watchkeeper.storage.sql.schema import issue, issue_alias, issue_count, issue_facet


@dataclass(slots=True)
class _Tally:
    """What one flush adds to one issue."""

    count: int = 0
    first_at: float = float("inf")
    last_at: float = 0.0
    level: str = ""
    names: set[str] = field(default_factory=set)
    facets: list[Facet] = field(default_factory=list)

    def add(self, found: IssueCount, scope: Scope) -> None:
        self.count += found.count
        self.first_at = min(self.first_at, found.first_at)
        self.last_at = max(self.last_at, found.last_at)
        self.level = issue_rows.higher(self.level, cut(found.level, MAX_NAME))
        self.facets.extend(issue_rows.facets(found, scope).values())


class SqlCounting(Part):
    """The part of the SQL store that counts what happened."""

    def _count_issues(
        self, connection: Connection, scope: Scope, key: FrameKey, found: Sequence[IssueCount]
    ) -> None:
        """Add what one flush counted."""
        known = self._owners(
            connection, scope, [name for one in found for name in issue_rows.names(one)]
        )
        tallies: dict[int, _Tally] = {}
        heirs: set[int] = set()
        for one in sorted(found, key=lambda one: one.fingerprint):
            name = self._name(connection, one, known, heirs)
            owner = self._new_issue(connection, scope, one) if name is None else known[name]
            heirs.add(owner)
            tally = tallies.setdefault(owner, _Tally())
            tally.add(one, scope)
            fresh = [each for each in issue_rows.new_names(one, name) if each not in known]
            tally.names.update(fresh)
            known.update(dict.fromkeys(fresh, owner))
        if tallies:
            self._add(connection, scope, key, dict(sorted(tallies.items())))

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

    def _name(
        self, connection: Connection, found: IssueCount, known: Mapping[str, int], heirs: set[int]
    ) -> str | None:
        """Return the name that an error's issue is found by; None: it is a new one.

        A newer algorithm may tell errors apart that were one: the first of them to be met keeps
        the issue. `heirs` are those that were met in this flush.
        """
        version = issue_rows.version(found.fingerprint)
        for name in issue_rows.names(found):
            owner = known.get(name)
            if owner is not None and (
                name.startswith(version)
                or (owner not in heirs and self._is_free(connection, owner, version))
            ):
                return name
        return None

    def _is_free(self, connection: Connection, owner: int, version: str) -> bool:
        """Tell whether an issue has no fingerprint of the present algorithm yet."""
        # Wait for another worker that is about to take it.
        connection.execute(select(issue.c.id).where(issue.c.id == owner).with_for_update())
        # Find which errors of the present algorithm lead to it.
        heirs = select(issue_alias.c.fingerprint).where(
            issue_alias.c.issue == owner,
            issue_alias.c.fingerprint.startswith(version, autoescape=True),
        )
        return connection.execute(heirs.limit(1)).first() is None

    def _new_issue(self, connection: Connection, scope: Scope, found: IssueCount) -> int:
        """Make an issue of which nothing is counted yet, or find the one made meanwhile."""
        new = issue_rows.new_issue(0, scope, found)
        # Take the fingerprint first: of two workers that see a new error, the second one waits
        # here, and then finds the first one's issue.
        claim = standing.insert_new(self._database.dialect, issue_alias)
        place = {
            "service": scope.service,
            "environment": scope.environment,
            "fingerprint": new.fingerprint,
        }
        if not connection.execute(claim, {**place, "issue": 0}).rowcount:
            owners = self._owners(connection, scope, [new.fingerprint])
            if new.fingerprint not in owners:
                raise CollisionError("an issue was deleted while it was counted")
            return owners[new.fingerprint]
        added = connection.execute(
            standing.NEW_ISSUE,
            {
                **place,
                "release": scope.release,
                "type": new.type,
                "title": new.title,
                "culprit": new.culprit,
                "level": new.level,
                "state": new.state,
                "count": 0,
                "first_at": new.first_at,
                "last_at": new.last_at,
                "last_release": new.last_release,
            },
        )
        owner = new_id(added)
        # Let the fingerprint lead to it.
        taken = {"where_service": scope.service, "where_environment": scope.environment}
        connection.execute(
            standing.LEAD, {**taken, "where_fingerprint": new.fingerprint, "owner": owner}
        )
        return owner

    def _add(
        self, connection: Connection, scope: Scope, key: FrameKey, tallies: Mapping[int, _Tally]
    ) -> None:
        """Add to issues, by id, all that one flush has for them."""
        users = self._hold(connection, list(tallies))
        self._add_aliases(
            connection,
            scope,
            [(name, owner) for owner, one in tallies.items() for name in one.names],
        )
        facets = {one: issue_rows.joined_facets(tallies[one].facets) for one in tallies}
        self._add_facets(connection, facets)
        new_users = self._add_users(connection, facets, before=users)
        connection.execute(
            standing.SEEN_AGAIN,
            [
                {
                    "known": owner,
                    "more": one.count,
                    "earliest": one.first_at,
                    "latest": one.last_at,
                    "latest_release": scope.release,
                    "latest_level": one.level,
                    "more_users": new_users.get(owner, 0),
                }
                for owner, one in tallies.items()
            ],
        )
        # Append what this flush counted; a repeated flush never comes as far as this.
        connection.execute(
            standing.insert_new(self._database.dialect, issue_count),
            [
                {
                    "issue": owner,
                    "start": key.start,
                    "resolution": key.resolution,
                    "worker": key.worker,
                    "sequence": key.sequence,
                    "count": one.count,
                }
                for owner, one in tallies.items()
            ],
        )

    def _hold(self, connection: Connection, owners: Sequence[int]) -> dict[int, int]:
        """Keep issues from being merged or deleted meanwhile; return how many users each has.

        Raises CollisionError if one is gone since its fingerprint was looked up.
        """
        users: dict[int, int] = {}
        for some in chunks(owners):
            # Lock the issues in the order of their ids.
            held = (
                select(issue.c.id, issue.c.users)
                .where(issue.c.id.in_(some))
                .order_by(issue.c.id)
                .with_for_update()
            )
            users.update((row.id, row.users) for row in connection.execute(held))
        if len(users) < len(owners):
            raise CollisionError("an issue was merged or deleted while it was counted")
        return users

    def _add_aliases(
        self, connection: Connection, scope: Scope, names: Iterable[tuple[str, int]]
    ) -> None:
        values = [
            {
                "service": scope.service,
                "environment": scope.environment,
                "fingerprint": name,
                "issue": owner,
            }
            for name, owner in sorted(names)
        ]
        if values:
            # Let further fingerprints lead to an issue; those that lead somewhere stay.
            connection.execute(standing.insert_new(self._database.dialect, issue_alias), values)

    def _add_facets(
        self, connection: Connection, found: Mapping[int, Mapping[FacetKey, Facet]]
    ) -> None:
        """Add to the facets of issues what finds room; users are added apart."""
        counts = self._facet_counts(connection, list(found))
        full = [
            owner
            for owner, facets in found.items()
            if any(
                number + counts.get(owner, {}).get(kind, 0) > MAX_FACETS[kind]
                for kind, number in Counter(kind for kind, _ in facets).items()
                if kind is not FacetKind.USER
            )
        ]
        known = self._facet_keys(connection, full)
        rows = [
            facet_row(owner, facets[key])
            for owner, facets in found.items()
            for key in sorted(
                issue_rows.fitting(
                    (key for key in facets if key[0] is not FacetKind.USER),
                    known.get(owner, ()),
                    counts.get(owner, {}),
                )
                if owner in known
                else (key for key in facets if key[0] is not FacetKind.USER)
            )
        ]
        if rows:
            # Count under what occurrences are told apart by.
            connection.execute(standing.upsert_sum(self._database.dialect, issue_facet), rows)

    def _facet_counts(
        self, connection: Connection, owners: Sequence[int]
    ) -> dict[int, dict[str, int]]:
        counts: dict[int, dict[str, int]] = {}
        for some in chunks(owners):
            # Count the facets of issues, but for their users.
            counted = (
                select(issue_facet.c.issue, issue_facet.c.kind, func.count().label("number"))
                .where(issue_facet.c.issue.in_(some), issue_facet.c.kind < FacetKind.USER.value)
                .group_by(issue_facet.c.issue, issue_facet.c.kind)
            )
            for row in connection.execute(counted):
                counts.setdefault(row.issue, {})[row.kind] = row.number
        return counts

    def _facet_keys(
        self, connection: Connection, owners: Sequence[int]
    ) -> dict[int, set[FacetKey]]:
        keys: dict[int, set[FacetKey]] = {owner: set() for owner in owners}
        for some in chunks(owners):
            # Read the facets of issues that have many, but for their users.
            known = select(issue_facet.c.issue, issue_facet.c.kind, issue_facet.c.value).where(
                issue_facet.c.issue.in_(some),
                issue_facet.c.kind.in_([one for one in FacetKind if one is not FacetKind.USER]),
            )
            for row in connection.execute(known):
                keys[row.issue].add((FacetKind(row.kind), row.value))
        return keys

    def _add_users(
        self,
        connection: Connection,
        found: Mapping[int, Mapping[FacetKey, Facet]],
        *,
        before: Mapping[int, int],
    ) -> dict[int, int]:
        """Add the users that are new to issues, as far as there is room; return how many of each.

        However many issues there are, these are a few statements.
        """
        rows: list[dict[str, Any]] = []
        for owner, facets in found.items():
            theirs = [
                facet_row(owner, facets[key]) for key in sorted(facets) if key[0] is FacetKind.USER
            ]
            room = max(MAX_FACETS[FacetKind.USER] - before[owner], 0)
            if room and len(theirs) > room:
                theirs = self._unknown(connection, owner, theirs)
            rows += theirs[:room]
        if not rows:
            return {}
        # Add users; those that are known stay as they are.
        connection.execute(standing.insert_new(self._database.dialect, issue_facet), rows)
        new: dict[int, int] = {}
        for some in chunks(sorted({row["issue"] for row in rows})):
            # Count the users of issues that are held.
            counted = (
                select(issue_facet.c.issue, func.count().label("number"))
                .where(issue_facet.c.issue.in_(some), issue_facet.c.kind == FacetKind.USER.value)
                .group_by(issue_facet.c.issue)
            )
            for row in connection.execute(counted):
                new[row.issue] = row.number - before[row.issue]
        return new

    def _unknown(
        self, connection: Connection, owner: int, rows: Sequence[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Leave out the users that an issue is known to have."""
        known: set[str] = set()
        for some in chunks([row["value"] for row in rows]):
            # Find the users that an issue is known to have.
            there = select(issue_facet.c.value).where(
                issue_facet.c.issue == owner,
                issue_facet.c.kind == FacetKind.USER.value,
                issue_facet.c.value.in_(some),
            )
            known.update(connection.execute(there).scalars())
        return [row for row in rows if row["value"] not in known]


def facet_row(owner: int, facet: Facet) -> dict[str, Any]:
    """Return a facet of an issue as its row."""
    return {
        "issue": owner,
        "kind": facet.kind.value,
        "value": facet.value,
        "count": facet.count,
        "first_at": facet.first_at,
        "last_at": facet.last_at,
    }
