"""Results and transitions of health checks in memory."""

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

    def prune_checks(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` transitions, and as many last results, from before."""
        with self._lock:
            results = [key for key, row in self._checks.items() if row.at < before][:limit]
            old = [row for row in self._changes if row[2].at < before][:limit]
            for row in old:
                self._changes.remove(row)
            return len(old) + drop(self._checks, results)

    def _keep_checks(self, batch: Batch) -> None:
        scope = batch.scope
        for result in batch.checks:
            key = (scope.service, scope.environment, result.name, result.worker)
            before = self._checks.get(key)
            if before is None or before.at <= result.at:
                self._checks[key] = rows.cut_check(result)
        for change in batch.check_changes:
            self._changes.append((scope.service, scope.environment, rows.cut_change(change)))
        del self._changes[:-MAX_ROWS]
