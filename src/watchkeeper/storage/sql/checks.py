"""Results and transitions of health checks in a SQL database."""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from watchkeeper.core.health import AHEAD_S
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
                    data=json.loads(row.data),
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
                    critical=bool(row.critical),
                )
                for row in connection.execute(statement)
            ]

    def end_checks(self, *, service: str, environment: str, ends: Collection[CheckChange]) -> int:
        """Delete results of checks that nobody runs any more, with a last transition each."""
        place, gone = {"service": service, "environment": environment}, 0
        with self._database.write() as connection:
            for end in sorted(map(rows.cut_change, ends), key=lambda one: (one.name, one.worker)):
                # Delete a result, unless somebody ran the check meanwhile.
                ended = delete(check).where(
                    check.c.service == service,
                    check.c.environment == environment,
                    check.c.name == end.name,
                    check.c.worker == end.worker,
                    check.c.state == end.before,
                    check.c.at <= end.at,
                )
                if connection.execute(ended).rowcount == 0:
                    continue
                gone += 1
                if end.before != end.after:
                    self._insert_changes(connection, place, [end])
        return gone

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
        if changes:  # before the results, which are what they are compared with
            told = {(one.name, one.worker) for one in map(rows.cut_check, results)}
            self._append_changes(connection, place, changes, told)
        # Replace the last result, unless a newer one is there; in order, so that flushes queue up.
        replace = standing.upsert_check(self._database.dialect)
        for result in sorted(map(rows.cut_check, results), key=lambda one: (one.name, one.worker)):
            connection.execute(
                replace,
                {
                    **place,
                    **self._clock(),
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
                    "data": json.dumps(result.data, separators=(",", ":")),
                },
            )

    def _append_changes(
        self,
        connection: Connection,
        place: Mapping[str, str],
        changes: Sequence[CheckChange],
        told: Collection[tuple[str, int]],
    ) -> None:
        """Append the transitions that are new, each check's under a lock on its result.

        Those of `told` come with a result.
        """
        by_key: dict[tuple[str, int], list[CheckChange]] = {}
        for change in map(rows.cut_change, changes):
            by_key.setdefault((change.name, change.worker), []).append(change)
        for name, worker in sorted(by_key):
            key = {**place, "name": name, "worker": worker}
            if (name, worker) in told:
                self._make(connection, key)
            found = rows.chained(by_key[name, worker], **self._held(connection, key))
            self._insert_changes(connection, place, found)

    def _make(self, connection: Connection, key: Mapping[str, Any]) -> None:
        """Make the result of a check that never told one, so that it can be locked."""
        new = {**key, "state": rows.NEVER_RAN, "since": 0.0, "at": 0.0, "duration_s": 0.0}
        new |= {"output": "", "critical": 0, "failures": 0, "successes": 0, "data": "{}"}
        # Make the result of a check that never told one. Not by leaving out what is there: that
        # takes a shared lock on MariaDB, and two that have one wait for each other.
        make = standing.upsert(self._database.dialect, check, keep_newer="at")
        connection.execute(make, new)

    def _held(self, connection: Connection, key: Mapping[str, Any]) -> Mapping[str, Any]:
        """Lock a check's result; return its state and when it ran.

        Where a wrong clock told that, its transitions that are still to come are deleted.
        """
        held = standing.held_check(self._database.dialect)
        row = connection.execute(held, {**key, **self._clock()}).one_or_none()
        if row is None:
            return {"state": rows.NEVER_RAN, "at": 0.0}
        if not row.is_ahead:
            return {"state": row.state, "at": row.at}
        now = standing.now(self._database.dialect)
        # Delete the transitions of a check that are still to come.
        wrong = delete(check_change).where(
            *(check_change.c[column] == value for column, value in key.items()),
            check_change.c.at > now + AHEAD_S,
        )
        connection.execute(wrong, self._clock())
        return {"state": row.state, "at": 0.0}

    def _clock(self) -> Mapping[str, float]:
        """Return what statements that ask for the moment are given: a server knows it."""
        return {} if self._database.dialect.server else {"moment": time.time()}

    def _insert_changes(
        self, connection: Connection, place: Mapping[str, str], changes: Sequence[CheckChange]
    ) -> None:
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
                        "critical": int(change.critical),
                    }
                    for change in changes
                ],
            )
