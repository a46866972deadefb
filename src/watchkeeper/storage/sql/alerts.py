"""Alert states and incidents in a SQL database."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    insert,
    or_,
    select,
    update,
)

from watchkeeper.storage import rows
from watchkeeper.storage.sql import standing
from watchkeeper.storage.sql.base import Part, chunks, new_id
from watchkeeper.storage.sql.outbox import MovedError, past_messages, put, take_back
from watchkeeper.storage.sql.schema import alert, incident, meta, outbox
from watchkeeper.storage.store import AlertChange, AlertRow, Incident

EVALUATED: Final = "evaluated"  # the keys in wk_meta that tell when a scope was evaluated


class SqlAlerts(Part):
    """The part of the SQL store that keeps alert states and incidents."""

    def alerts(self, *, service: str, environment: str) -> list[AlertRow]:
        """Read every alert state of a scope."""
        scope = {"service": service, "environment": environment}
        with self._database.read() as connection:
            return [
                AlertRow(
                    service=row.service,
                    environment=row.environment,
                    rule=row.rule,
                    group=row.label_group,
                    state=row.state,
                    data=rows.alert_data(row.data, row.state),
                    incident=row.incident,
                    version=row.version,
                )
                for row in connection.execute(standing.ALERTS, scope)
            ]

    def save_alert(self, change: AlertChange, *, at: float) -> AlertRow | None:
        """Save a transition if each row's version is still the one that was read."""
        rows.require_incident(change)
        try:
            with self._database.write() as connection:
                return self._save(connection, change, at=at)
        except MovedError:
            return None

    def save_alerts(self, changes: Sequence[AlertChange]) -> list[AlertRow | None]:
        """Save many changes in one transaction, each by itself."""
        saved: dict[str, AlertRow] = {}
        known = []
        with self._database.write() as connection:
            # In order of the keys, then of the incidents: see `_save`.
            for change in sorted(changes, key=lambda change: _key(change.row)):
                row = self._save_one(connection, change)
                if row is not None:
                    saved[_key(row)] = row
                    one = change.incident
                    known += [one] if one is not None and one.id else []
            _keep(connection, known)
        return [saved.get(_key(change.row)) for change in changes]

    def _save_one(self, connection: Connection, change: AlertChange) -> AlertRow | None:
        """Put a row in place of the version that was read, with an incident that begins.

        The incident is written first, so that the row can name it; back out if that is lost.
        """
        row, one = change.row, change.incident
        begun = _add_incident(connection, one) if one is not None and not one.id else None
        if one is not None:
            row = replace(row, incident=begun or one.id)
        if self._swap(connection, row):
            return replace(row, version=row.version + 1)
        if begun is not None:
            connection.execute(_DROP, {"number": begun})
        return None

    def forget_alerts(self, rows: Sequence[AlertRow]) -> int:
        """Delete states that are still as they were read; return how many."""
        gone = 0
        with self._database.write() as connection:
            for row in sorted(rows, key=_key):
                # A state that nobody has touched since it was read.
                statement = delete(alert).where(
                    alert.c.key_hash == _key(row), alert.c.version == row.version
                )
                gone += connection.execute(statement).rowcount
        return gone

    def incidents_by_id(self, incident_ids: Collection[int]) -> list[Incident]:
        """Read incidents by their ids."""
        found: list[Incident] = []
        with self._database.read() as connection:
            for some in chunks(sorted(set(incident_ids))):
                # Read some incidents by their ids.
                statement = select(incident).where(incident.c.id.in_(some))
                found += [read_incident(row) for row in connection.execute(statement)]
        return found

    def _save(self, connection: Connection, change: AlertChange, *, at: float) -> AlertRow:
        row, one = change.row, change.incident
        if one is not None and one.id:
            row = replace(row, incident=one.id)
        # In order of the key: two who change the same rows must not wait for each other.
        for each in sorted((row, *change.also), key=_key):
            if not self._swap(connection, each):
                raise MovedError
        saved = replace(row, version=row.version + 1)
        if one is not None and not one.id:
            saved = replace(saved, incident=_add_incident(connection, one))
            # The incident's id is known only now.
            connection.execute(
                update(alert)
                .where(alert.c.key_hash == _key(saved))
                .values(incident=saved.incident)
            )
        known = [one] if one is not None and one.id else []
        _keep(connection, (*known, *change.incidents))
        take_back(connection, change.withdraw, at=at)
        put(
            connection,
            self._database.dialect,
            rows.outgoing_of(change, saved.incident or 0),
            service=row.service,
            environment=row.environment,
            at=at,
        )
        return saved

    def _swap(self, connection: Connection, row: AlertRow) -> bool:
        """Put the row in place of the version that was read; False if that is gone."""
        if row.version == 0:
            # A state that must not exist yet.
            create = standing.insert_new(self._database.dialect, alert)
            return connection.execute(create, {**_state(row), **_name(row)}).rowcount == 1
        values = {**_state(row), "key": _key(row), "read": row.version}
        return connection.execute(_SWAP, values).rowcount == 1

    def incident(self, incident_id: int) -> Incident | None:
        """Read one incident."""
        # Read an incident by its id.
        statement = select(incident).where(incident.c.id == incident_id)
        with self._database.read() as connection:
            row = connection.execute(statement).first()
        return read_incident(row) if row else None

    def incidents(
        self, *, service: str, environment: str, states: Collection[str], since: float, limit: int
    ) -> list[Incident]:
        """List incidents in one of `states` that started or ended since, newest first."""
        # Read the incidents of a scope by time.
        statement = (
            select(incident)
            .where(
                incident.c.service == service,
                incident.c.environment == environment,
                incident.c.state.in_(sorted(states)),
                or_(incident.c.started_at >= since, incident.c.resolved_at >= since),
            )
            .order_by(incident.c.started_at.desc(), incident.c.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [read_incident(row) for row in connection.execute(statement)]

    def acknowledge(
        self, incident_id: int, *, by: str, note: str, at: float, since: float = 0.0
    ) -> Incident | None:
        """Write down who took an incident on; the first one since stays, whoever comes later."""
        # Write the first one down.
        first = (
            update(incident)
            .where(
                incident.c.id == incident_id,
                or_(incident.c.acked_at.is_(None), incident.c.acked_at < since),
            )
            .values(
                acked_at=at,
                acked_by=rows.cut(by, rows.MAX_NAME),
                ack_note=rows.cut(note, rows.MAX_COMMENT),
            )
        )
        # Read what stands there now.
        read = select(incident).where(incident.c.id == incident_id)
        with self._database.write() as connection:
            connection.execute(first)
            row = connection.execute(read).first()
        return read_incident(row) if row else None

    def prune_incidents(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` incidents that ended before, with their messages."""
        # Incidents that ended long ago.
        old = select(incident.c.id).where(past_incidents(before)).order_by(incident.c.id)
        old = old.limit(limit)
        with self._database.write() as connection:
            gone = list(connection.execute(old).scalars())
            for some in chunks(gone):
                connection.execute(delete(outbox).where(outbox.c.incident.in_(some)))
                connection.execute(delete(incident).where(incident.c.id.in_(some)))
            # Messages of no incident.
            alone = select(outbox.c.id).where(*past_messages(before)).limit(limit)
            chosen = self._database.dialect.delete_chosen(outbox, alone)
            return len(gone) + connection.execute(chosen).rowcount

    def evaluated_at(self, *, service: str, environment: str) -> float:
        """Return when the scope's rules were last evaluated, 0 if never."""
        # Read the moment by the scope's key.
        statement = select(meta.c.value).where(meta.c.name == _evaluated(service, environment))
        with self._database.read() as connection:
            return float(connection.execute(statement).scalar() or 0.0)

    def mark_evaluated(self, *, service: str, environment: str, at: float) -> None:
        """Record an evaluation."""
        # Write the moment under the scope's key.
        statement = standing.upsert(self._database.dialect, meta)
        values = {"name": _evaluated(service, environment), "value": repr(at)}
        with self._database.write() as connection:
            connection.execute(statement, values)


# Compare and set: one row changed means that nobody came between.
_SWAP: Final = update(alert).where(
    alert.c.key_hash == bindparam("key"), alert.c.version == bindparam("read")
)
# Bring many incidents up to date; who took them on stays.
_KEEP: Final = update(incident).where(incident.c.id == bindparam("number"))

# Take an incident back that somebody else began first.
_DROP: Final = delete(incident).where(incident.c.id == bindparam("number"))
# Add an incident; the database gives the id.
_ADD: Final = insert(incident)


def _name(row: AlertRow) -> dict[str, object]:
    """Return the columns of a state that never change."""
    return {
        "key_hash": _key(row),
        "service": row.service,
        "environment": row.environment,
        "rule": row.rule,
        "label_group": row.group,
    }


def _state(row: AlertRow) -> dict[str, object]:
    """Return the columns of a state that change, with the next version."""
    return {
        "state": row.state,
        "data": json.dumps(row.data),
        "incident": row.incident,
        "version": row.version + 1,
    }


def _key(row: AlertRow) -> str:
    return rows.digest(row.service, row.environment, row.rule, row.group)


def _evaluated(service: str, environment: str) -> str:
    return f"{EVALUATED}:{rows.digest(service, environment)}"


def past_incidents(before: float) -> ColumnElement[bool]:
    """Choose the incidents that ended before; an event ends as it starts."""
    return or_(
        incident.c.resolved_at < before,
        and_(incident.c.state == "event", incident.c.started_at < before),
    )


def read_incident(row: Any) -> Incident:
    """Make an incident of its row."""
    return Incident(
        id=row.id,
        service=row.service,
        environment=row.environment,
        rule=row.rule,
        group=row.label_group,
        severity=row.severity,
        state=row.state,
        started_at=row.started_at,
        fired_at=row.fired_at,
        resolved_at=row.resolved_at,
        value=row.value,
        peak=row.peak,
        reason=row.reason,
        data=rows.json_object(row.data),
        acked_at=row.acked_at,
        acked_by=row.acked_by,
        ack_note=row.ack_note,
    )


def _add_incident(connection: Connection, one: Incident) -> int:
    return new_id(connection.execute(_ADD, _values(one)))


def _keep(connection: Connection, known: Sequence[Incident]) -> None:
    """Bring incidents up to date, in the order of their ids."""
    in_order = sorted(known, key=lambda one: one.id)
    if in_order:
        connection.execute(_KEEP, [{**_values(one), "number": one.id} for one in in_order])


def _values(one: Incident) -> dict[str, object]:
    """Return an incident's columns, but for who took it on."""
    return {
        "service": one.service,
        "environment": one.environment,
        "rule": one.rule,
        "label_group": one.group,
        "severity": one.severity,
        "state": one.state,
        "started_at": one.started_at,
        "fired_at": one.fired_at,
        "resolved_at": one.resolved_at,
        "value": one.value,
        "peak": one.peak,
        "reason": one.reason,
        "data": json.dumps(one.data),
    }
