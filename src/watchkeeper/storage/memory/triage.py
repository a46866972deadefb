"""What people do with issues in memory: states, history, facets, merging and splitting."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from watchkeeper.core.issues import RETURNS, Reason, State
from watchkeeper.core.metrics import Scope
from watchkeeper.storage import issue_parts, issue_rows
from watchkeeper.storage.issues import (
    MAX_IGNORED,
    Facet,
    FacetKind,
    IssueChange,
    IssueEntry,
    Search,
    Sort,
)
from watchkeeper.storage.memory.events import mark
from watchkeeper.storage.memory.tables import Tables, drop, plain, put, same_scope
from watchkeeper.storage.records import Issue, IssueCount


class MemoryTriage(Tables):
    """What people do with issues in memory."""

    __slots__ = ()

    def find_issues(self, search: Search) -> list[Issue]:
        """List the issues that a search wants, in its order, newest or largest first."""
        with self._lock:
            found = [one for one in self._issues.values() if self._is_found(one, search)]
        found.sort(key=lambda one: (getattr(one, _FIELDS[search.sort]), one.id), reverse=True)
        return found[search.offset : search.offset + search.limit]

    def change_issue(self, change: IssueChange) -> Issue | None:
        """Save a transition with its line of history, in one transaction; return the issue now."""
        entry = issue_rows.cut_entry(change.entry)
        with self._lock:
            before = self._issues.get(change.issue.id)
            if before is None or before.version != change.issue.version:
                return None
            self._issues[before.id] = replace(
                before,
                state=change.state.value,
                state_at=entry.at,
                state_by=entry.actor,
                state_data=plain(change.data),
                version=before.version + 1,
            )
            self._note(before.id, entry)
            return self._issues[before.id]

    def stirred_issues(
        self, *, service: str, environment: str, limit: int, after: int = 0
    ) -> list[Issue]:
        """List what may have to move: issues muted until something, and resolved ones seen since.

        By their ids, those above `after`.
        """
        with self._lock:
            found = [
                one
                for one in self._issues.values()
                if one.id > after
                and same_scope(one.scope, service, environment)
                and (
                    (one.state == State.MUTED and one.state_data)
                    or (one.state == State.RESOLVED and one.last_at > one.state_at)
                )
            ]
        return sorted(found, key=lambda one: one.id)[:limit]

    def issue_returns(
        self, *, service: str, environment: str, since: float, limit: int
    ) -> list[tuple[IssueEntry, Issue]]:
        """List the lines of history by which issues came back or a mute ended by what happened."""
        with self._lock:
            found = [
                (one, self._issues[one.issue])
                for one in self._entries.values()
                if one.reason in RETURNS
                and one.at >= since
                and same_scope(self._issues[one.issue].scope, service, environment)
            ]
        return sorted(found, key=lambda pair: (pair[0].at, pair[0].id))[:limit]

    def comment_issue(self, entry: IssueEntry) -> bool:
        """Add a comment to an issue's history; False if there is no such issue."""
        with self._lock:
            if entry.issue not in self._issues:
                return False
            self._note(entry.issue, issue_rows.cut_entry(entry))
            return True

    def issue_entries(self, issue_id: int, *, limit: int) -> list[IssueEntry]:
        """Read an issue's history, newest first."""
        with self._lock:
            found = [one for one in self._entries.values() if one.issue == issue_id]
        return sorted(found, key=lambda one: (one.at, one.id), reverse=True)[:limit]

    def facets(self, issue_id: int, kind: FacetKind, *, limit: int) -> list[Facet]:
        """Read the values of a kind, most frequent first, then latest first."""
        with self._lock:
            found = [one for one in self._facets.get(issue_id, {}).values() if one.kind is kind]
        found.sort(key=lambda one: (-one.count, -one.last_at, one.value))
        return found[:limit]

    def merge_issues(self, into: int, other: int, *, entry: IssueEntry) -> Issue | None:
        """Make one issue of two of one scope, in one transaction; `other` is gone then."""
        with self._lock:
            first, second = self._issues.get(into), self._issues.get(other)
            if first is None or second is None or into == other:
                return None
            if first.scope.place != second.scope.place:
                return None
            self._add_facets(into, self._facets.pop(other, {}))
            new_users = self._issues[into].users - first.users
            self._issues[into] = issue_parts.joined(first, second, new_users=new_users)
            keys = [key for key, at in self._aliases.items() if at == other]
            line = issue_parts.merge_line(entry, second, sorted(name for _, _, name in keys))
            self._move_aliases(into, keys)
            self._aliases[*first.scope.place, issue_rows.merged_name(other)] = into
            for key in [key for key in self._counts if key[0] == other]:
                moved = (into, key[1])
                self._counts[moved] = self._counts.get(moved, 0) + self._counts.pop(key)
            self._move_events(into, [one for one, (at, _) in self._events.items() if at == other])
            for number, one in self._entries.items():
                if one.issue == other:
                    self._entries[number] = replace(one, issue=into)
            del self._issues[other]
            self._note(into, line)
            return self._issues[into]

    def split_issue(
        self, issue_id: int, *, fingerprint: str = "", path: str = "", entry: IssueEntry
    ) -> Issue | None:
        """Make an open issue of what came under one fingerprint, or by one call path."""
        with self._lock:
            issue = self._issues.get(issue_id)
            if issue is None:
                return None
            names = self._split_names(issue, fingerprint, path)
            if not names:
                return None
            moved = [
                one
                for owner, one in self._events.values()
                if owner == issue_id
                and (one.path == path if path else one.fingerprint == fingerprint)
            ]
            facet = self._facets.get(issue_id, {}).pop((FacetKind.PATH, path), None)
            formers = issue_parts.formers(names[0], self._merges(issue_id))
            new = issue_parts.split_off(
                issue,
                names[0],
                [*map(mark, moved)],
                facet,
                former=next(iter(formers), None),
                entry=entry,
            )
            new = replace(new, id=self._next_id("issue"))
            self._issues[new.id] = new
            self._issues[issue_id] = issue_parts.left_over(issue, new)
            names += issue_parts.former_names(formers, names[0])
            self._move_aliases(new.id, [(*issue.scope.place, name) for name in names])
            self._move_events(new.id, [one.id for one in moved])
            if facet is not None:
                self._add_facets(new.id, {(facet.kind, facet.value): facet})
            for line in issue_parts.split_lines(entry, issue, new.id):
                self._note(line.issue, line)
            return self._issues[new.id]

    def delete_issue(self, issue_id: int) -> bool:
        """Delete an issue with all it holds; if it happens again it is new. False: none there."""
        with self._lock:
            return bool(self._drop_issues([issue_id] if issue_id in self._issues else []))

    def ignored_fingerprints(self, *, service: str, environment: str) -> Mapping[str, bool]:
        """Return the names that lead to issues which are ignored (True), at most MAX_IGNORED."""
        with self._lock:
            owners = {
                name: self._issues[owner]
                for (one, where, name), owner in self._aliases.items()
                if (one, where) == (service, environment)
            }
        found = sorted(name for name, one in owners.items() if one.state == State.IGNORED)
        return issue_rows.ignored(found[:MAX_IGNORED], (one for one in owners if "/" in one))

    def _is_found(self, issue: Issue, search: Search) -> bool:
        text = search.text.lower()
        return (
            same_scope(issue.scope, search.service, search.environment)
            and (not search.states or issue.state in search.states)
            and issue.last_at >= search.seen_since
            and issue.first_at >= search.first_seen_since
            and search.type in ("", issue.type)
            and search.level in ("", issue.level)
            and any(text in one.lower() for one in (issue.type, issue.title, issue.culprit))
            and self._has_facet(issue, FacetKind.ROUTE, issue_rows.route_values(search.route))
            and self._has_facet(issue, FacetKind.RELEASE, [search.release])
            and self._has_facet(issue, FacetKind.USER, [search.user])
            and (not search.request_id or self._has_request(issue, search.request_id))
        )

    def _has_facet(self, issue: Issue, kind: FacetKind, values: list[str]) -> bool:
        return not values[0] or any(
            (kind, one) in self._facets.get(issue.id, {}) for one in values
        )

    def _has_request(self, issue: Issue, request_id: str) -> bool:
        events = self._events.values()
        return any(at == issue.id and one.request_id == request_id for at, one in events)

    def _note(self, issue_id: int, entry: IssueEntry) -> None:
        number = self._next_id("entry")
        kept = replace(entry, id=number, issue=issue_id, data=plain(entry.data))
        put(self._entries, number, kept)

    def _add_facets(self, issue_id: int, found: Mapping[issue_rows.FacetKey, Facet]) -> None:
        """Add to the facets of an issue what finds room, and count its users anew."""
        known = self._facets.setdefault(issue_id, {})
        counts = Counter(kind.value for kind, _ in known)
        for key in issue_rows.fitting(found, known, counts):
            before = [known[key]] if key in known else []
            known.update(issue_rows.joined_facets([*before, found[key]]))
        users = sum(kind is FacetKind.USER for kind, _ in known)
        self._issues[issue_id] = replace(self._issues[issue_id], users=users)

    def _count_issue(self, scope: Scope, found: IssueCount) -> int:
        """Add a count to its issue; return the issue's id."""
        where = (scope.service, scope.environment)
        version = issue_rows.version(found.fingerprint)
        name = next(
            (
                one
                for one in issue_rows.names(found)
                if (*where, one) in self._aliases
                and (one.startswith(version) or self._is_free((*where, one), version))
            ),
            None,
        )
        if name is None:
            owner = self._next_id("issue")
            self._issues[owner] = issue_rows.new_issue(owner, scope, found)
        else:
            owner = self._aliases[(*where, name)]
            self._issues[owner] = issue_rows.seen_again(self._issues[owner], scope, found)
        for one in issue_rows.new_names(found, name):
            self._aliases.setdefault((*where, one), owner)
        self._add_facets(owner, issue_rows.facets(found, scope))
        return owner

    def _is_free(self, older: tuple[str, str, str], version: str) -> bool:
        """Tell whether an issue has no fingerprint of the present algorithm yet."""
        owner = self._aliases[older]
        return not any(
            key[2].startswith(version) for key, at in self._aliases.items() if at == owner
        )

    def _split_names(self, issue: Issue, fingerprint: str, path: str) -> list[str]:
        """Return the names that are to lead elsewhere; none if nothing would come or stay."""
        names = sorted(name for (_, _, name), at in self._aliases.items() if at == issue.id)
        return issue_parts.split_names(
            issue,
            names,
            fingerprint=fingerprint,
            path=path,
            paths={one for kind, one in self._facets.get(issue.id, {}) if kind is FacetKind.PATH}
            | {one.path for at, one in self._events.values() if at == issue.id and one.path},
        )

    def _merges(self, issue_id: int) -> list[IssueEntry]:
        lines = [one for one in self._entries.values() if one.issue == issue_id]
        lines.sort(key=lambda one: (one.at, one.id), reverse=True)
        merges = [one for one in lines if one.reason is Reason.MERGED]
        return merges[: issue_parts.MAX_MERGES]

    def _move_aliases(self, owner: int, keys: Iterable[tuple[str, str, str]]) -> None:
        for key in keys:
            self._aliases[key] = owner

    def _move_events(self, owner: int, ids: Iterable[str]) -> None:
        for one in ids:
            self._events[one] = (owner, self._events[one][1])

    def _drop_issues(self, ids: Iterable[int]) -> int:
        gone = frozenset(ids)
        drop(self._aliases, [key for key, owner in self._aliases.items() if owner in gone])
        drop(self._counts, [key for key in self._counts if key[0] in gone])
        drop(self._events, [key for key, (owner, _) in self._events.items() if owner in gone])
        drop(self._facets, [key for key in self._facets if key in gone])
        drop(self._entries, [key for key, one in self._entries.items() if one.issue in gone])
        return drop(self._issues, gone)


_FIELDS: Mapping[Sort, Any] = {
    Sort.LAST_SEEN: "last_at",
    Sort.FIRST_SEEN: "first_at",
    Sort.COUNT: "count",
    Sort.USERS: "users",
}
