"""Results and transitions of health checks in memory."""

from collections.abc import Collection

from watchkeeper.core.health import is_ahead
from watchkeeper.storage import rows
from watchkeeper.storage.memory.tables import MAX_ROWS, Tables, drop
from watchkeeper.storage.store import (
    Batch,
    CheckChange,
    CheckResult,
)


class MemoryChecks(Tables):
    """Results and transitions of health checks in memory."""

    __slots__ = ()

    def checks(self, *, service: str, environment: str) -> list[CheckResult]:
        """Read the last result of every check and worker."""
        with self._lock:
            return [
                row
                for key, row in sorted(self._checks.items())
                if key[:2] == (service, environment)
            ]

    def check_changes(
        self, *, service: str, environment: str, since: float, limit: int
    ) -> list[CheckChange]:
        """Read transitions, newest first."""
        with self._lock:
            found = [
                change
                for owner, place, change in reversed(self._changes)
                if (owner, place) == (service, environment) and change.at >= since
            ]
        return sorted(found, key=lambda change: change.at, reverse=True)[:limit]

    def end_checks(self, *, service: str, environment: str, ends: Collection[CheckChange]) -> int:
        """Delete results of checks that nobody runs any more, with a last transition each."""
        gone = 0
        with self._lock:
            for end in ends:
                key = (service, environment, end.name, end.worker)
                known = self._checks.get(key)
                if known is None or known.state != end.before or known.at > end.at:
                    continue
                del self._checks[key]
                gone += 1
                if end.before != end.after:
                    self._changes.append((service, environment, rows.cut_change(end)))
            del self._changes[:-MAX_ROWS]
        return gone

    def prune_checks(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` transitions, and as many last results, from before."""
        with self._lock:
            results = [key for key, row in self._checks.items() if row.at < before][:limit]
            old = [row for row in self._changes if row[2].at < before][:limit]
            for row in old:
                self._changes.remove(row)
            return len(old) + drop(self._checks, results)

    def _keep_checks(self, batch: Batch) -> None:
        scope, now = batch.scope, self.clock()
        for name, worker in sorted({(one.name, one.worker) for one in batch.check_changes}):
            key = (scope.service, scope.environment, name, worker)
            known = self._checks.get(key)
            is_wrong = known is not None and is_ahead(known.at, now)
            if is_wrong:
                self._changes[:] = [
                    row
                    for row in self._changes
                    if (*row[:2], row[2].name, row[2].worker) != key
                    or not is_ahead(row[2].at, now)
                ]
            found = rows.chained(
                [one for one in batch.check_changes if (one.name, one.worker) == (name, worker)],
                state=known.state if known else rows.NEVER_RAN,
                at=known.at if known and not is_wrong else 0.0,
            )
            for change in found:
                self._changes.append((scope.service, scope.environment, rows.cut_change(change)))
        for result in batch.checks:
            key = (scope.service, scope.environment, result.name, result.worker)
            before = self._checks.get(key)
            if before is None or before.at <= result.at or is_ahead(before.at, now):
                self._checks[key] = rows.cut_check(result)
        del self._changes[:-MAX_ROWS]
