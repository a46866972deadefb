"""Samples and the texts of statements in a SQL database."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from watchkeeper.core.metrics import Scope
from watchkeeper.storage import rows
from watchkeeper.storage.sql import partitions, standing
from watchkeeper.storage.sql.base import CHUNK, Part, chunks
from watchkeeper.storage.sql.details import pack, unpack
from watchkeeper.storage.sql.schema import sample, statement
from watchkeeper.storage.store import Sample, Statement


class SqlSamples(Part):
    """The samples' part of the SQL store."""

    def sample(self, sample_id: str, *, service: str, environment: str) -> Sample | None:
        """Read one sample of a scope."""
        # Read a sample by its id.
        query = select(sample).where(
            sample.c.id == sample_id,
            sample.c.service == service,
            sample.c.environment == environment,
        )
        with self._database.read() as connection:
            row = connection.execute(query.limit(1)).first()
        return read_sample(row) if row else None

    def samples(
        self,
        *,
        service: str,
        environment: str,
        since: float,
        until: float,
        limit: int,
        route: str | None = None,
        reason: str | None = None,
        fingerprints: Collection[str] | None = None,
        request_id: str | None = None,
    ) -> list[Sample]:
        """List samples that ended in [since, until), newest first; None: of any."""
        wanted = {
            sample.c.route: route,
            sample.c.reason: reason,
            sample.c.request_id: request_id,
        }
        # Read a scope's samples of some time, newest first.
        query = (
            select(sample)
            .where(
                sample.c.service == service,
                sample.c.environment == environment,
                sample.c.at >= since,
                sample.c.at < until,
                *(column == value for column, value in wanted.items() if value is not None),
            )
            .order_by(sample.c.at.desc(), sample.c.id.desc())
            .limit(limit)
        )
        if fingerprints is not None:
            query = query.where(sample.c.fingerprint.in_(sorted(fingerprints)[:CHUNK]))
        with self._database.read() as connection:
            return [read_sample(row) for row in connection.execute(query)]

    def statements(
        self, *, service: str, environment: str, fingerprints: Collection[str] | None = None
    ) -> list[Statement]:
        """Read the texts of statements, of these fingerprints only unless None."""
        # Read the statements of a scope.
        query = (
            select(statement)
            .where(statement.c.service == service, statement.c.environment == environment)
            .order_by(statement.c.fingerprint)
        )
        with self._database.read() as connection:
            if fingerprints is None:
                return [_statement(row) for row in connection.execute(query)]
            return [
                _statement(row)
                for some in chunks(sorted(set(fingerprints)))
                for row in connection.execute(query.where(statement.c.fingerprint.in_(some)))
            ]

    def prune_samples(self, *, before: float, most: int, limit: int) -> int:
        """Delete samples past their time or number, and statements past their time."""
        dropped, dialect = 0, self._database.dialect
        if dialect.partitions:
            with self._database.write() as connection:
                partitions.limit_lock_wait(connection)
                dropped = partitions.drop_before(
                    connection, "wk_sample", resolution=None, before=before
                )
        key = (sample.c.at, sample.c.id)
        # The newest of those that are too many: in the index alone.
        newest_gone = (
            select(*key).order_by(sample.c.at.desc(), sample.c.id.desc()).offset(most).limit(1)
        )
        statement_key = tuple(statement.primary_key.columns)
        # Statements that nobody executes any more.
        unused = (
            select(*statement_key)
            .where(statement.c.at < before)
            .order_by(statement.c.at)
            .limit(limit)
        )
        with self._database.write() as connection:
            too_many = connection.execute(newest_gone).first()
            # Samples past their time, or past their number.
            old = select(*key).where(_is_gone(before, too_many)).order_by(*key).limit(limit)
            gone = connection.execute(dialect.delete_chosen(sample, old)).rowcount
            gone += connection.execute(dialect.delete_chosen(statement, unused)).rowcount
        return dropped + gone

    def _keep_samples(self, connection: Connection, scope: Scope, found: Sequence[Sample]) -> None:
        """Store samples; one that is there already stays as it is."""
        values = [
            {
                "at": one.at,
                "id": one.id,
                "service": scope.service,
                "environment": scope.environment,
                "reason": one.reason,
                "method": one.method,
                "route": one.route,
                "status": one.status,
                "duration_s": one.duration_s,
                "request_id": one.request_id,
                "fingerprint": one.fingerprint,
                "release": one.release,
                "worker": one.worker,
                "data": pack(one.data),
                "path": one.path,
            }
            for one in map(rows.cut_sample, found)
        ]
        # Append samples.
        connection.execute(standing.insert_new(self._database.dialect, sample), values)

    def _keep_statements(
        self, connection: Connection, scope: Scope, found: Sequence[Statement]
    ) -> None:
        """Store statements, adding to those known; by fingerprint, so that flushes queue up."""
        merged: dict[str, Statement] = {}
        for one in map(rows.cut_statement, found):
            known = merged.get(one.fingerprint)
            merged[one.fingerprint] = rows.seen_statement(known, one) if known else one
        here = {"service": scope.service, "environment": scope.environment}
        for some in chunks(sorted(merged)):
            stored = self._stored(connection, scope, some)
            new = [merged[name] for name in some if name not in stored]
            if new:
                # Add statements never seen; where another worker is faster, its row is held.
                connection.execute(
                    self._database.dialect.insert_new(statement),
                    [{**here, **_values(one)} for one in new],
                )
                stored |= self._stored(connection, scope, [one.fingerprint for one in new])
            for name, known_one in sorted(stored.items()):
                now = rows.seen_statement(known_one, merged[name])
                if now != known_one:
                    # Write who executes a statement, and when it was last seen.
                    connection.execute(
                        update(statement)
                        .where(
                            statement.c.service == scope.service,
                            statement.c.environment == scope.environment,
                            statement.c.fingerprint == name,
                        )
                        .values(callers=json.dumps(now.callers), at=now.at)
                    )

    def _stored(
        self, connection: Connection, scope: Scope, fingerprints: Sequence[str]
    ) -> dict[str, Statement]:
        # Read statements and hold them: their callers are about to be added to.
        query = (
            select(statement)
            .where(
                statement.c.service == scope.service,
                statement.c.environment == scope.environment,
                statement.c.fingerprint.in_(fingerprints),
            )
            .order_by(statement.c.fingerprint)
            .with_for_update()
        )
        return {row.fingerprint: _statement(row) for row in connection.execute(query)}


def _is_gone(before: float, too_many: Any) -> ColumnElement[bool]:
    past = sample.c.at < before
    if too_many is None:
        return past
    return or_(
        past,
        sample.c.at < too_many.at,
        and_(sample.c.at == too_many.at, sample.c.id <= too_many.id),
    )


def _values(one: Statement) -> Mapping[str, object]:
    return {
        "fingerprint": one.fingerprint,
        "db": one.db,
        "operation": one.operation,
        "text": one.text,
        "callers": json.dumps(one.callers),
        "at": one.at,
    }


def read_sample(row: Any) -> Sample:
    """Make a sample of its row."""
    return Sample(
        id=row.id,
        at=row.at,
        reason=row.reason,
        method=row.method,
        route=row.route,
        status=row.status,
        duration_s=row.duration_s,
        request_id=row.request_id,
        fingerprint=row.fingerprint,
        release=row.release,
        worker=row.worker,
        data=unpack(row.data),
        path=row.path,
    )


def _statement(row: Any) -> Statement:
    return Statement(
        fingerprint=row.fingerprint,
        db=row.db,
        operation=row.operation,
        text=row.text,
        callers=tuple(json.loads(row.callers)),
        at=row.at,
    )
