"""Alert states, incidents and the outbox in a SQL database."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from watchkeeper.storage import rows
from watchkeeper.storage.sql import standing
from watchkeeper.storage.sql.base import Part, chunks, digest, new_id
from watchkeeper.storage.sql.schema import alert, incident, meta, outbox
from watchkeeper.storage.store import AlertChange, AlertRow, Incident, OutboxRow, Outgoing

EVALUATED: Final = "evaluated"  # the keys in wk_meta that tell when a scope was evaluated


class SqlAlerts(Part):
    """The alerts' part of the SQL store."""

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
                    data=json.loads(row.data),
                    incident=row.incident,
                    version=row.version,
                )
                for row in connection.execute(standing.ALERTS, scope)
            ]

    def save_alert(self, change: AlertChange, *, at: float) -> AlertRow | None:
        """Save a transition if the row's version is still the one that was read."""
        rows.require_incident(change)
        with self._database.write() as connection:
            if not self._swap(connection, change.row):
                return None
            saved = replace(change.row, version=change.row.version + 1)
            if change.incident is not None:
                saved = replace(saved, incident=self._keep_incident(connection, change.incident))
                # The incident's id is known only now.
                connection.execute(
                    update(alert)
                    .where(alert.c.key_hash == _key(saved))
                    .values(incident=saved.incident)
                )
            self._enqueue(connection, saved.incident or 0, change.outgoing, at=at)
        return saved

    def _swap(self, connection: Connection, row: AlertRow) -> bool:
        """Put the row in place of the version that was read; False if that is gone."""
        values = {
            "state": row.state,
            "data": json.dumps(row.data),
            "incident": row.incident,
            "version": row.version + 1,
        }
        if row.version == 0:
            # A state that must not exist yet.
            create = self._database.dialect.insert_new(alert).values(
                key_hash=_key(row),
                service=row.service,
                environment=row.environment,
                rule=row.rule,
                label_group=row.group,
                **values,
            )
            return connection.execute(create).rowcount == 1
        # Compare and set: one row changed means that nobody came between.
        swap = (
            update(alert)
            .where(alert.c.key_hash == _key(row), alert.c.version == row.version)
            .values(**values)
        )
        return connection.execute(swap).rowcount == 1

    def _keep_incident(self, connection: Connection, one: Incident) -> int:
        values = {
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
        if one.id:
            # Bring an incident up to date.
            connection.execute(update(incident).where(incident.c.id == one.id).values(**values))
            return one.id
        # Add an incident; the database gives the id.
        return new_id(connection.execute(insert(incident).values(**values)))

    def _enqueue(
        self, connection: Connection, owner: int, outgoing: Sequence[Outgoing], *, at: float
    ) -> None:
        if not outgoing:
            return
        # Put notices into the outbox; of each kind and turn one per incident and channel.
        connection.execute(
            self._database.dialect.insert_new(outbox),
            [
                {
                    "message_id": uuid4().hex,
                    "incident": owner,
                    "kind": one.kind,
                    "sequence": one.sequence,
                    "channel": one.channel,
                    "payload": json.dumps(one.payload),
                    "status": "due",
                    "attempts": 0,
                    "created_at": at,
                    "next_try_at": one.due_at,
                    "claim": "",
                    "claim_until": 0.0,
                    "last_error": "",
                }
                for one in outgoing
            ],
        )

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

    def claim(
        self, *, at: float, hold_s: float, channels: Collection[str], limit: int
    ) -> list[OutboxRow]:
        """Take due notifications for `hold_s` seconds, oldest first; `attempts` grows by one."""
        due = and_(
            outbox.c.status == "due", outbox.c.next_try_at <= at, outbox.c.claim_until <= at
        )
        # Find what is due.
        find = (
            select(outbox)
            .where(due, outbox.c.channel.in_(sorted(channels)))
            .order_by(outbox.c.id)
            .limit(limit)
        )
        with self._database.read() as connection:
            found = [_outgoing(row) for row in connection.execute(find)]
        if not found:
            return []
        claimed: list[OutboxRow] = []
        with self._database.write() as connection:
            for row in found:
                claim = uuid4().hex
                # Take it if it still is free: one row changed means that it is ours.
                take = (
                    update(outbox)
                    .where(outbox.c.id == row.id, due)
                    .values(claim=claim, claim_until=at + hold_s, attempts=outbox.c.attempts + 1)
                )
                if connection.execute(take).rowcount == 1:
                    claimed.append(replace(row, claim=claim, attempts=row.attempts + 1))
        return claimed

    def settle(
        self, row: OutboxRow, *, status: str, at: float, next_try_at: float = 0, error: str = ""
    ) -> bool:
        """Record what became of a claimed notification; False if the claim was lost meanwhile."""
        # Write the outcome, under our claim alone.
        statement = (
            update(outbox)
            .where(outbox.c.id == row.id, outbox.c.claim == row.claim, outbox.c.claim != "")
            .values(
                status=status,
                claim="",
                claim_until=0.0,
                next_try_at=next_try_at or outbox.c.next_try_at,
                last_error=rows.cut(error, rows.MAX_ERROR),
                sent_at=at if status == "sent" else None,
            )
        )
        with self._database.write() as connection:
            return connection.execute(statement).rowcount == 1

    def outbox(self, *, incident: int | None = None, limit: int) -> list[OutboxRow]:
        """List notifications, newest first."""
        # Read the outbox from its end.
        statement = select(outbox).order_by(outbox.c.id.desc()).limit(limit)
        if incident is not None:
            statement = statement.where(outbox.c.incident == incident)
        with self._database.read() as connection:
            return [_outgoing(row) for row in connection.execute(statement)]

    def outbox_waiting(self) -> int:
        """Count the notifications that are neither sent nor given up."""
        with self._database.read() as connection:
            return int(connection.execute(standing.WAITING).scalar_one())

    def prune_incidents(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` incidents that ended before, with their notifications."""
        # Incidents that ended long ago; an event ends as it starts.
        over = or_(
            incident.c.resolved_at < before,
            and_(incident.c.state == "event", incident.c.started_at < before),
        )
        old = select(incident.c.id).where(over).order_by(incident.c.id).limit(limit)
        with self._database.write() as connection:
            gone = list(connection.execute(old).scalars())
            for some in chunks(gone):
                connection.execute(delete(outbox).where(outbox.c.incident.in_(some)))
                connection.execute(delete(incident).where(incident.c.id.in_(some)))
        return len(gone)

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


def _key(row: AlertRow) -> str:
    return digest(row.service, row.environment, row.rule, row.group)


def _evaluated(service: str, environment: str) -> str:
    return f"{EVALUATED}:{digest(service, environment)}"


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
        data=json.loads(row.data),
    )


def _outgoing(row: Any) -> OutboxRow:
    return OutboxRow(
        id=row.id,
        message_id=row.message_id,
        incident=row.incident,
        kind=row.kind,
        sequence=row.sequence,
        channel=row.channel,
        payload=json.loads(row.payload),
        status=row.status,
        attempts=row.attempts,
        created_at=row.created_at,
        next_try_at=row.next_try_at,
        claim=row.claim,
        last_error=row.last_error,
        sent_at=row.sent_at,
    )
