"""Alert states, incidents and the outbox in memory."""

from collections.abc import Collection
from dataclasses import replace
from uuid import uuid4

from watchkeeper.storage import rows
from watchkeeper.storage.memory.tables import Pending, Tables, drop, plain, put
from watchkeeper.storage.store import (
    AlertChange,
    AlertRow,
    Incident,
    OutboxRow,
    Outgoing,
)


class MemoryAlerts(Tables):
    """Alert states, incidents and the outbox in memory."""

    __slots__ = ()

    def alerts(self, *, service: str, environment: str) -> list[AlertRow]:
        """Read every alert state of a scope."""
        with self._lock:
            return [
                row
                for key, row in sorted(self._alerts.items())
                if key[:2] == (service, environment)
            ]

    def save_alert(self, change: AlertChange, *, at: float) -> AlertRow | None:
        """Save a transition if the row's version is still the one that was read."""
        row, incident = change.row, change.incident
        rows.require_incident(change)
        key = (row.service, row.environment, row.rule, row.group)
        with self._lock:
            stored = self._alerts.get(key)
            if row.version != (stored.version if stored else 0):
                return None
            incident_id = row.incident
            if incident is not None:
                incident_id = incident.id or self._next_id("incident")
                kept = replace(incident, id=incident_id, data=plain(incident.data))
                self._incidents[incident_id] = kept
            saved = replace(
                row, incident=incident_id, version=row.version + 1, data=plain(row.data)
            )
            self._alerts[key] = saved
            for outgoing in change.outgoing:
                self._enqueue(incident_id or 0, outgoing, at=at)
            return saved

    def incident(self, incident_id: int) -> Incident | None:
        """Read one incident."""
        with self._lock:
            return self._incidents.get(incident_id)

    def incidents(
        self, *, service: str, environment: str, states: Collection[str], since: float, limit: int
    ) -> list[Incident]:
        """List incidents in one of `states` that started or ended since, newest first."""
        with self._lock:
            found = [
                one
                for one in self._incidents.values()
                if (one.service, one.environment) == (service, environment)
                and one.state in states
                and max(one.started_at, one.resolved_at or 0) >= since
            ]
        return sorted(found, key=lambda one: (one.started_at, one.id), reverse=True)[:limit]

    def claim(
        self, *, at: float, hold_s: float, channels: Collection[str], limit: int
    ) -> list[OutboxRow]:
        """Take due notifications for `hold_s` seconds, oldest first; `attempts` grows by one."""
        with self._lock:
            due = [
                one
                for one in self._outbox.values()
                if one.row.status == "due"
                and one.row.channel in channels
                and one.row.next_try_at <= at
                and one.claimed_until <= at
            ]
            due.sort(key=lambda one: one.row.id)
            for one in due[:limit]:
                one.claimed_until = at + hold_s
                one.row = replace(one.row, attempts=one.row.attempts + 1, claim=uuid4().hex)
            return [one.row for one in due[:limit]]

    def settle(
        self, row: OutboxRow, *, status: str, at: float, next_try_at: float = 0, error: str = ""
    ) -> bool:
        """Record what became of a claimed notification; False if the claim was lost meanwhile."""
        with self._lock:
            one = self._outbox.get((row.incident, row.kind, row.sequence, row.channel))
            if one is None or not row.claim or one.row.claim != row.claim:
                return False
            one.claimed_until = 0.0
            one.row = replace(
                one.row,
                status=status,
                claim="",
                next_try_at=next_try_at or one.row.next_try_at,
                last_error=rows.cut(error, rows.MAX_ERROR),
                sent_at=at if status == "sent" else None,
            )
            return True

    def outbox(self, *, incident: int | None = None, limit: int) -> list[OutboxRow]:
        """List notifications, newest first."""
        with self._lock:
            rows = [
                one.row
                for one in self._outbox.values()
                if incident is None or one.row.incident == incident
            ]
        return sorted(rows, key=lambda row: row.id, reverse=True)[:limit]

    def outbox_waiting(self) -> int:
        """Count the notifications that are neither sent nor given up."""
        with self._lock:
            return sum(one.row.status == "due" for one in self._outbox.values())

    def prune_incidents(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` incidents that ended before, with their notifications."""
        with self._lock:
            old = [one.id for one in self._incidents.values() if rows.is_over(one, before=before)]
            gone = frozenset(old[:limit])
            drop(self._outbox, [key for key in self._outbox if key[0] in gone])
            return drop(self._incidents, old[:limit])

    def evaluated_at(self, *, service: str, environment: str) -> float:
        """Return when the scope's rules were last evaluated, 0 if never."""
        with self._lock:
            return self._evaluated.get((service, environment), 0.0)

    def mark_evaluated(self, *, service: str, environment: str, at: float) -> None:
        """Record an evaluation."""
        with self._lock:
            self._evaluated[service, environment] = at

    def _enqueue(self, incident_id: int, outgoing: Outgoing, *, at: float) -> None:
        key = (incident_id, outgoing.kind, outgoing.sequence, outgoing.channel)
        if key in self._outbox:
            return
        row = OutboxRow(
            id=self._next_id("outbox"),
            message_id=uuid4().hex,
            incident=incident_id,
            kind=outgoing.kind,
            sequence=outgoing.sequence,
            channel=outgoing.channel,
            payload=plain(outgoing.payload),
            status="due",
            attempts=0,
            created_at=at,
            next_try_at=outgoing.due_at,
        )
        put(self._outbox, key, Pending(row))
