"""Alert states and incidents in memory."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from watchkeeper.storage import rows
from watchkeeper.storage.memory.outbox import MemoryOutbox, past_messages, take_back
from watchkeeper.storage.memory.tables import drop, plain
from watchkeeper.storage.store import AlertChange, AlertRow, Incident


class MemoryAlerts(MemoryOutbox):
    """Alert states and incidents in memory, over the outbox that they write to."""

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
        """Save a transition if each row's version is still the one that was read."""
        row, incident = change.row, change.incident
        rows.require_incident(change)
        with self._lock:
            if not all(self._is_current(one) for one in (row, *change.also)):
                return None
            taken_back = self._withdrawable(change.withdraw, at=at)
            if taken_back is None:
                return None
            if incident is not None:
                incident = replace(incident, id=incident.id or self._next_id("incident"))
                row = replace(row, incident=incident.id)
            messages = rows.outgoing_of(change, row.incident or 0)  # may raise: nothing is kept
            for one in (incident, *change.incidents):
                if one is not None:
                    self._keep_incident(one)
            saved = self._keep_alert(row)
            for other in change.also:
                self._keep_alert(other)
            take_back(taken_back)
            for outgoing in messages:
                self._enqueue(outgoing, row.service, row.environment, at=at)
            return saved

    def save_alerts(self, changes: Sequence[AlertChange]) -> list[AlertRow | None]:
        """Save many changes, each by itself."""
        with self._lock:
            return [self.save_alert(change, at=0.0) for change in changes]

    def forget_alerts(self, rows: Sequence[AlertRow]) -> int:
        """Delete states that are still as they were read; return how many."""
        with self._lock:
            return drop(self._alerts, [_key(row) for row in rows if self._is_current(row)])

    def incidents_by_id(self, incident_ids: Collection[int]) -> list[Incident]:
        """Read incidents by their ids."""
        with self._lock:
            known = (self._incidents.get(one) for one in incident_ids)
            return [one for one in known if one is not None]

    def _is_current(self, row: AlertRow) -> bool:
        stored = self._alerts.get(_key(row))
        return row.version == (stored.version if stored else 0)

    def _keep_alert(self, row: AlertRow) -> AlertRow:
        saved = replace(row, version=row.version + 1, data=plain(row.data))
        self._alerts[_key(row)] = saved
        return saved

    def _keep_incident(self, incident: Incident) -> None:
        """Keep an incident; who took it on is as it was."""
        before = self._incidents.get(incident.id)
        self._incidents[incident.id] = replace(
            incident,
            data=plain(incident.data),
            acked_at=before.acked_at if before else None,
            acked_by=before.acked_by if before else "",
            ack_note=before.ack_note if before else "",
        )

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

    def acknowledge(
        self, incident_id: int, *, by: str, note: str, at: float, since: float = 0.0
    ) -> Incident | None:
        """Write down who took an incident on; the first one since stays, whoever comes later."""
        with self._lock:
            found = self._incidents.get(incident_id)
            if found is not None and (found.acked_at is None or found.acked_at < since):
                found = self._incidents[incident_id] = replace(
                    found,
                    acked_at=at,
                    acked_by=rows.cut(by, rows.MAX_NAME),
                    ack_note=rows.cut(note, rows.MAX_COMMENT),
                )
            return found

    def prune_incidents(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` incidents that ended before, with their messages."""
        with self._lock:
            old = [one.id for one in self._incidents.values() if rows.is_over(one, before=before)]
            gone = frozenset(old[:limit])
            drop(self._outbox, [key for key in self._outbox if key[0] in gone])
            alone = [key for key, _ in past_messages(self._outbox, before)]
            return drop(self._incidents, old[:limit]) + drop(self._outbox, alone[:limit])

    def evaluated_at(self, *, service: str, environment: str) -> float:
        """Return when the scope's rules were last evaluated, 0 if never."""
        with self._lock:
            return self._evaluated.get((service, environment), 0.0)

    def mark_evaluated(self, *, service: str, environment: str, at: float) -> None:
        """Record an evaluation."""
        with self._lock:
            self._evaluated[service, environment] = at


def _key(row: AlertRow) -> tuple[str, str, str, str]:
    return (row.service, row.environment, row.rule, row.group)
