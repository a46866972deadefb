"""Results and transitions of health checks in a SQL database."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from watchkeeper.core.metrics import Scope
from watchkeeper.storage import rows
from watchkeeper.storage.sql import standing
from watchkeeper.storage.sql.base import Part
from watchkeeper.storage.sql.schema import check, check_change
from watchkeeper.storage.store import CheckChange, CheckResult


class SqlChecks(Part):
    """The checks' part of the SQL store."""

    def checks(self, *, service: str, environment: str) -> list[CheckResult]:
        """Read the last result of every check and worker."""
        scope = {"service": service, "environment": environment}
        with self._database.read() as connection:
            return [
                CheckResult(
                    name=row.name,
                    worker=row.worker,
                    state=row.state,
                    since=row.since,
                    at=row.at,
                    duration_s=row.duration_s,
                    output=row.output,
                    critical=bool(row.critical),
                    failures=row.failures,
                    successes=row.successes,
                )
                for row in connection.execute(standing.CHECKS, scope)
            ]

    def check_changes(
        self, *, service: str, environment: str, since: float, limit: int
    ) -> list[CheckChange]:
        """Read transitions, newest first."""
        # Read the transitions of a scope by time.
        statement = (
            select(check_change)
            .where(
                check_change.c.service == service,
                check_change.c.environment == environment,
                check_change.c.at >= since,
            )
            .order_by(check_change.c.at.desc(), check_change.c.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [
                CheckChange(
                    name=row.name,
                    worker=row.worker,
                    before=row.before,
                    after=row.after,
                    at=row.at,
                    output=row.output,
                )
                for row in connection.execute(statement)
            ]

    def prune_checks(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` transitions, and as many last results, from before."""
        dialect, key = self._database.dialect, tuple(check.primary_key.columns)
        # Results of checks and workers that are gone.
        results = select(*key).where(check.c.at < before).limit(limit)
        # Transitions past their time.
        changes = select(check_change.c.id).where(check_change.c.at < before).limit(limit)
        with self._database.write() as connection:
            return (
                connection.execute(dialect.delete_chosen(check, results)).rowcount
                + connection.execute(dialect.delete_chosen(check_change, changes)).rowcount
            )

    def _keep_checks(
        self,
        connection: Connection,
        scope: Scope,
        results: Sequence[CheckResult],
        changes: Sequence[CheckChange],
    ) -> None:
        place = {"service": scope.service, "environment": scope.environment}
        # Replace the last result, unless a newer one is there; in order, so that flushes queue up.
        replace = standing.upsert(self._database.dialect, check, keep_newer="at")
        for result in sorted(map(rows.cut_check, results), key=lambda one: (one.name, one.worker)):
            connection.execute(
                replace,
                {
                    **place,
                    "name": result.name,
                    "worker": result.worker,
                    "state": result.state,
                    "since": result.since,
                    "at": result.at,
                    "duration_s": result.duration_s,
                    "output": result.output,
                    "critical": int(result.critical),
                    "failures": result.failures,
                    "successes": result.successes,
                },
            )
        if changes:
            # Append transitions.
            connection.execute(
                insert(check_change).inline(),
                [
                    {
                        **place,
                        "name": change.name,
                        "worker": change.worker,
                        "before": change.before,
                        "after": change.after,
                        "at": change.at,
                        "output": change.output,
                    }
                    for change in map(rows.cut_change, changes)
                ],
            )
