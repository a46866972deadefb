"""Issues, their counts and events in memory."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from watchkeeper.core.metrics import Scope
from watchkeeper.core.slot import FrameKey, slot_start
from watchkeeper.storage import rows
from watchkeeper.storage.memory.tables import Tables, drop, plain, put, same_scope
from watchkeeper.storage.store import (
    Event,
    Issue,
    IssueCount,
)


class MemoryIssues(Tables):
    """Issues, counts and events in memory."""

    __slots__ = ()

    def issue(self, issue_id: int) -> Issue | None:
        """Read one issue."""
        with self._lock:
            return self._issues.get(issue_id)

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
        with self._lock:
            found = [
                issue
                for issue in self._issues.values()
                if same_scope(issue.scope, service, environment)
                and issue.last_at >= seen_since
                and (first_seen_since is None or issue.first_at >= first_seen_since)
            ]
        return sorted(found, key=lambda issue: (issue.last_at, issue.id), reverse=True)[:limit]

    def issue_ids(
        self, fingerprints: Collection[str], *, service: str, environment: str
    ) -> dict[str, int]:
        """Find the issues of a scope that fingerprints lead to; unknown ones are left out."""
        with self._lock:
            owners = {one: self._aliases.get((service, environment, one)) for one in fingerprints}
        return {one: owner for one, owner in owners.items() if owner is not None}

    def issue_fingerprints(self, issue_id: int) -> list[str]:
        """List every fingerprint that leads to an issue, sorted."""
        with self._lock:
            return sorted(key[2] for key, owner in self._aliases.items() if owner == issue_id)

    def issue_counts(
        self, issue_ids: Collection[int], *, since: float, until: float, resolution: int
    ) -> dict[int, dict[int, int]]:
        """Count occurrences: issue id → start of a span of `resolution` seconds → count."""
        wanted = frozenset(issue_ids)
        spans: dict[int, dict[int, int]] = {}
        with self._lock:
            for (issue_id, key), count in self._counts.items():
                if issue_id in wanted and since <= key.start < until:
                    counts = spans.setdefault(issue_id, {})
                    start = slot_start(key.start, resolution)
                    counts[start] = counts.get(start, 0) + count
        return spans

    def events(self, issue_id: int, *, limit: int) -> list[Event]:
        """Read the newest events of an issue."""
        with self._lock:
            found = [event for owner, event in self._events.values() if owner == issue_id]
        return sorted(found, key=lambda event: (event.at, event.id), reverse=True)[:limit]

    def prune_events(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` events, and as many counts, from before; return how many rows."""
        with self._lock:
            events = [one.id for _, one in self._events.values() if one.at < before]
            counts = [key for key in self._counts if key[1].start < before]
            return drop(self._events, events[:limit]) + drop(self._counts, counts[:limit])

    def prune_issues(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` issues last seen before, with all they hold; return how many."""
        with self._lock:
            old = [one.id for one in self._issues.values() if one.last_at < before][:limit]
            gone = frozenset(old)
            drop(self._aliases, [key for key, owner in self._aliases.items() if owner in gone])
            drop(self._counts, [key for key in self._counts if key[0] in gone])
            drop(self._events, [key for key, (owner, _) in self._events.items() if owner in gone])
            return drop(self._issues, old)

    def _count_issue(self, scope: Scope, key: FrameKey, found: IssueCount) -> None:
        names = [(scope.service, scope.environment, one) for one in rows.fingerprints(found)]
        known = self._aliases.get(names[0])
        if known is None:
            known = self._inherited(names)
        if known is None:
            known = self._next_id("issue")
            self._issues[known] = rows.new_issue(known, scope, found)
        else:
            self._issues[known] = rows.seen_again(self._issues[known], scope, found)
        for name in names:
            self._aliases.setdefault(name, known)
        put(self._counts, (known, key), found.count + self._counts.get((known, key), 0))

    def _inherited(self, names: Sequence[tuple[str, str, str]]) -> int | None:
        """Return the issue of an error's older fingerprints, unless a newer one took it."""
        version = rows.version(names[0][2])
        taken = {owner for name, owner in self._aliases.items() if name[2].startswith(version)}
        owners = (self._aliases.get(name) for name in names[1:])
        return next((one for one in owners if one is not None and one not in taken), None)

    def _keep_event(self, scope: Scope, event: Event) -> None:
        owner = self._aliases.get((scope.service, scope.environment, event.fingerprint))
        if owner is not None and event.id not in self._events:
            kept = replace(rows.cut_event(event), data=plain(event.data))
            put(self._events, event.id, (owner, kept))
