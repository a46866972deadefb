"""Issues and their counts in memory."""

from collections.abc import Collection

from watchkeeper.core.metrics import Scope
from watchkeeper.core.slot import FrameKey, slot_start
from watchkeeper.storage import issue_rows
from watchkeeper.storage.memory.events import MemoryEvents
from watchkeeper.storage.memory.tables import drop, put, same_scope
from watchkeeper.storage.memory.triage import MemoryTriage
from watchkeeper.storage.store import ALL_WORKERS, Issue, IssueCount


class MemoryIssues(MemoryTriage, MemoryEvents):
    """Issues, counts and events in memory."""

    __slots__ = ()

    def issue(self, issue_id: int) -> Issue | None:
        """Read one issue; by the id of one that was merged into another, that other one."""
        name = issue_rows.merged_name(issue_id)
        with self._lock:
            owners = (owner for key, owner in self._aliases.items() if key[2] == name)
            return self._issues.get(issue_id) or self._issues.get(next(owners, 0))

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

    def issue_names(
        self, begins: Collection[str], *, service: str, environment: str, limit: int
    ) -> dict[str, int]:
        """Find the names of a scope that begin so, and their issues; the first in order."""
        with self._lock:
            found = [
                (key[2], owner)
                for key, owner in self._aliases.items()
                if key[:2] == (service, environment) and key[2].startswith(tuple(begins))
            ]
        return dict(sorted(found)[:limit])

    def issue_fingerprints(self, issue_id: int) -> list[str]:
        """List every name that leads to an issue, sorted."""
        with self._lock:
            found = [key[2] for key, owner in self._aliases.items() if owner == issue_id]
        return sorted(one for one in found if not issue_rows.is_merged_name(one))

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

    def roll_issue_counts(self, resolution: int, *, before: float, limit: int) -> int:
        """Make of up to `limit` finer counts those of coarser slots; return how many."""
        with self._lock:
            finer = sorted(
                place
                for place in self._counts
                if place[1].resolution < resolution and place[1].start < before
            )[:limit]
            for issue_id, key in finer:
                coarser = FrameKey(resolution, slot_start(key.start, resolution), ALL_WORKERS, 0)
                place = (issue_id, coarser)
                count = self._counts.pop((issue_id, key))
                put(self._counts, place, count + self._counts.get(place, 0))
            return len(finer)

    def prune_counts(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` counts of issues from before; return how many."""
        with self._lock:
            counts = [key for key in self._counts if key[1].start < before]
            return drop(self._counts, counts[:limit])

    def prune_issues(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` issues last seen before, with all they hold; return how many."""
        with self._lock:
            old = [one.id for one in self._issues.values() if one.last_at < before][:limit]
            return self._drop_issues(old)

    def _add_count(self, scope: Scope, key: FrameKey, found: IssueCount) -> None:
        place = (self._count_issue(scope, found), key)
        put(self._counts, place, found.count + self._counts.get(place, 0))
