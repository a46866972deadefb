"""Rules that are kept in a SQL database."""

from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Connection, and_, delete, select, update
from sqlalchemy.sql import ColumnElement

from watchkeeper.storage import rows
from watchkeeper.storage.sql import standing
from watchkeeper.storage.sql.audits import note_audit
from watchkeeper.storage.sql.base import Part
from watchkeeper.storage.sql.schema import meta
from watchkeeper.storage.sql.schema import rule as table
from watchkeeper.storage.store import Audit, StoredRule

CHANGED: Final = "rules"  # the keys in wk_meta that tell whether a scope's rules have changed

LAST_GOOD: Final = "last_good"  # the keys in wk_meta of what a scope's settings file said


class SqlRules(Part):
    """The part of the SQL store that keeps rules."""

    def stored_rules(self, *, service: str, environment: str) -> list[StoredRule]:
        """Read every rule of a scope, by name."""
        # Read the rules of a scope.
        statement = (
            select(table)
            .where(table.c.service == service, table.c.environment == environment)
            .order_by(table.c.name)
        )
        with self._database.read() as connection:
            return [_read(row) for row in connection.execute(statement)]

    def save_rule(self, rule: StoredRule, *, at: float, audit: Audit) -> StoredRule | None:
        """Save a rule if its version is still the one that was read, and the audit with it."""
        rows.require_name(rule)
        saved = replace(
            rule,
            version=rule.version + 1,
            updated_at=at,
            updated_by=rows.cut(rule.updated_by, rows.MAX_NAME),
        )
        values = {
            "json": saved.json,
            "hash": saved.hash,
            "enabled": int(saved.enabled),
            "version": saved.version,
            "updated_at": saved.updated_at,
            "updated_by": saved.updated_by,
        }
        if rule.version == 0:
            # A rule that must not exist yet.
            change: Any = self._database.dialect.insert_new(table).values(
                service=rule.service, environment=rule.environment, name=rule.name, **values
            )
        else:
            # Compare and set: one row changed means that nobody came between.
            change = (
                update(table)
                .where(
                    _is(rule.service, rule.environment, rule.name),
                    table.c.version == rule.version,
                )
                .values(**values)
            )
        with self._database.write() as connection:
            if connection.execute(change).rowcount != 1:
                return None
            note_audit(connection, audit)
            self._mark_changed(connection, rule.service, rule.environment)
        return saved

    def delete_rule(
        self, *, service: str, environment: str, name: str, version: int, audit: Audit
    ) -> bool:
        """Delete a rule if its version is still the one that was read; False: nothing changed."""
        # Delete it unless somebody came between.
        statement = delete(table).where(
            _is(service, environment, name), table.c.version == version
        )
        with self._database.write() as connection:
            if connection.execute(statement).rowcount != 1:
                return False
            note_audit(connection, audit)
            self._mark_changed(connection, service, environment)
        return True

    def rules_version(self, *, service: str, environment: str) -> str:
        """Return a text that is another one after each change of a scope's rules; "" at first."""
        # Read the mark by the scope's key.
        statement = select(meta.c.value).where(meta.c.name == _changed(service, environment))
        with self._database.read() as connection:
            return str(connection.execute(statement).scalar() or "")

    def last_good(self, *, service: str, environment: str) -> str:
        """Return what was last kept of a scope's settings file; "" if nothing was."""
        # Read it by the scope's key.
        statement = select(meta.c.value).where(meta.c.name == _good(service, environment))
        with self._database.read() as connection:
            return str(connection.execute(statement).scalar() or "")

    def keep_last_good(self, text: str, *, service: str, environment: str) -> bool:
        """Keep what a settings file says while it can be read; False if it was kept already."""
        if self.last_good(service=service, environment=environment) == text:
            return False
        values = {"name": _good(service, environment), "value": text}
        with self._database.write() as connection:
            connection.execute(standing.upsert(self._database.dialect, meta), values)
            self._mark_changed(connection, service, environment)
        return True

    def _mark_changed(self, connection: Connection, service: str, environment: str) -> None:
        values = {"name": _changed(service, environment), "value": uuid4().hex}
        connection.execute(standing.upsert(self._database.dialect, meta), values)


def _changed(service: str, environment: str) -> str:
    return f"{CHANGED}:{rows.digest(service, environment)}"


def _good(service: str, environment: str) -> str:
    return f"{LAST_GOOD}:{rows.digest(service, environment)}"


def _is(service: str, environment: str, name: str) -> ColumnElement[bool]:
    return and_(
        table.c.service == service, table.c.environment == environment, table.c.name == name
    )


def _read(row: Any) -> StoredRule:
    return StoredRule(
        service=row.service,
        environment=row.environment,
        name=row.name,
        json=row.json,
        hash=row.hash,
        enabled=bool(row.enabled),
        version=row.version,
        updated_at=row.updated_at,
        updated_by=row.updated_by,
    )
