"""Silences and planned windows in a SQL database."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, insert, or_, select, update

from watchkeeper.storage import rows
from watchkeeper.storage.sql.audits import note_audit
from watchkeeper.storage.sql.base import Part, new_id
from watchkeeper.storage.sql.details import read_object
from watchkeeper.storage.sql.schema import silence as table
from watchkeeper.storage.store import Audit, Silence


class SqlSilences(Part):
    """The part of the SQL store that keeps silences."""

    def add_silence(self, silence: Silence, *, audit: Audit) -> Silence:
        """Store a new silence and who set it, in one transaction; return it with its id."""
        kept = rows.cut_silence(silence)
        values = {
            "service": kept.service,
            "environment": kept.environment,
            "matchers": json.dumps(kept.matchers),
            "starts_at": kept.starts_at,
            "ends_at": kept.ends_at,
            "schedule": kept.schedule,
            "author": kept.author,
            "comment": kept.comment,
            "created_at": kept.created_at,
            "ended_at": kept.ended_at,
        }
        with self._database.write() as connection:
            # Add a silence; the database gives the id.
            number = new_id(connection.execute(insert(table).values(**values)))
            note_audit(connection, replace(audit, target=str(number)))
            # Read it as it is stored.
            stored = select(table).where(table.c.id == number)
            return _read(connection.execute(stored).one())

    def silences(
        self, *, service: str, environment: str, at: float | None = None, limit: int
    ) -> list[Silence]:
        """List silences of a scope, newest first."""
        # Read the silences of a scope.
        statement = (
            select(table)
            .where(table.c.service == service, table.c.environment == environment)
            .order_by(table.c.id.desc())
            .limit(limit)
        )
        if at is not None:
            statement = statement.where(
                or_(table.c.ends_at.is_(None), table.c.ends_at > at),
                or_(table.c.ended_at.is_(None), table.c.ended_at > at),
            )
        with self._database.read() as connection:
            return [_read(row) for row in connection.execute(statement)]

    def silence(self, silence_id: int) -> Silence | None:
        """Read one silence."""
        # Read a silence by its id.
        statement = select(table).where(table.c.id == silence_id)
        with self._database.read() as connection:
            row = connection.execute(statement).first()
        return _read(row) if row else None

    def end_silence(self, silence_id: int, *, at: float, audit: Audit) -> bool:
        """End a silence and write down who did, in one transaction."""
        # End it unless somebody did already.
        statement = (
            update(table)
            .where(table.c.id == silence_id, table.c.ended_at.is_(None))
            .values(ended_at=at)
        )
        with self._database.write() as connection:
            if connection.execute(statement).rowcount != 1:
                return False
            note_audit(connection, replace(audit, target=str(silence_id)))
        return True

    def prune_silences(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` silences that ended before; return how many."""
        # Silences that are over for long.
        old = select(table.c.id).where(past_silences(before)).limit(limit)
        with self._database.write() as connection:
            return connection.execute(self._database.dialect.delete_chosen(table, old)).rowcount


def past_silences(before: float) -> ColumnElement[bool]:
    """Choose the silences that ended before, early or by themselves."""
    return or_(table.c.ends_at < before, table.c.ended_at < before)


def _matchers(text: str) -> Mapping[str, Any]:
    """Return what a silence is about; damaged, what is no label and so of no alert.

    An empty object is one of all alerts: what cannot be read must not become that.
    """
    found = read_object(text)
    return found if found or text.strip() == "{}" else {"": text[: rows.MAX_NAME]}


def _read(row: Any) -> Silence:
    return Silence(
        id=row.id,
        service=row.service,
        environment=row.environment,
        matchers=_matchers(row.matchers),
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        schedule=row.schedule,
        author=row.author,
        comment=row.comment,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )
