"""A service whose alerts begin and end as a test says, and the workers that tell of them."""

from dataclasses import replace
from typing import Any

from tests.stored import HERE, SHOP

from watchkeeper.core.conditions import write_labels
from watchkeeper.core.instance import Instance, Reason, State, Transition
from watchkeeper.core.rules import Alert, Origin, Rule, compile_alert
from watchkeeper.runtime.audience import Audience, Links
from watchkeeper.runtime.incidents import Incidents, Subject
from watchkeeper.storage.store import AlertChange, Incident, OutboxRow, Store

NOON = 1_777_723_200.0  # 2026-05-02 12:00 UTC, a Saturday
CHANNELS = {"critical": ("phone", "mail"), "warning": ("mail",)}


def rule(name: str = "Errors", by: str = "", **fields: Any) -> Rule:
    alert = Alert(name, when="error_rate > 5%", by=by or (), severity="critical")
    made = compile_alert(alert, where="test", origin=Origin.CODE, slot_s=10.0)
    return replace(made, **fields)


class Shop:
    """A service whose alerts begin and end as a test says; any number of workers tell of them."""

    def __init__(self, store: Store, *rules: Rule, **audience: Any) -> None:
        self.store = store
        self.rules = rules
        self.now = NOON
        self.audience = Audience(
            channels_for=lambda severity: CHANNELS.get(severity, ()),
            links=lambda all_of_it: Links(
                page=f"/#{all_of_it[0].id}",
                acknowledge=f"/ack?t={'-'.join(str(one.id) for one in all_of_it)}",
            ),
            **audience,
        )
        self.worker = self.another_worker()

    def another_worker(self) -> Incidents:
        return Incidents(self.store, scope=SHOP, audience=self.audience)

    def rows(self) -> dict[tuple[str, str], Any]:
        return {(row.rule, row.group): row for row in self.store.alerts(**HERE)}

    def fires(self, *groups: str, name: str = "Errors", **data: Any) -> None:
        """Let alerts begin to fire, one of each group, without telling yet."""
        for group in groups or ("",):
            self._becomes(State.FIRING, name, group, data)

    def recovers(self, *groups: str, name: str = "Errors") -> None:
        """Let alerts be clear that still count as firing."""
        for group in groups or ("",):
            self._becomes(State.RECOVERING, name, group, {})

    def ends(self, *groups: str, name: str = "Errors", **data: Any) -> None:
        """Let alerts end, without telling yet."""
        for group in groups or ("",):
            self._becomes(State.OK, name, group, data)

    def _becomes(self, state: State, name: str, group: str, data: dict[str, Any]) -> None:
        labels = {"route": group} if group else {}
        key = (name, write_labels(tuple(labels.items())))
        row = self.rows().get(key)
        before = Instance.from_data(row.data) if row else Instance()
        over = {"resolved_at": self.now} if state is State.OK else {"breached_at": self.now}
        values = {"value": 0.2, "peak": 0.4, "bad": 20.0, "total": 100.0, "window_s": 60.0}
        after = replace(before, state=state, since=self.now, **over, **values)
        rule = next((one for one in self.rules if one.name == name), None)
        transition = Transition(
            rule=name, before=before, after=after, reason=Reason.FIRED, verdict=None
        )
        subject = Subject(
            rule=rule,
            name=name,
            group=key[1],
            labels=labels,
            severity=rule.severity if rule else "warning",
        )
        saved = self.worker.save(subject, transition, row, now=self.now)
        assert saved is not None
        if data:
            changed = replace(saved, data={**saved.data, **data})
            self.store.save_alert(AlertChange(row=changed), at=self.now)

    def tells(self, after_s: float = 0.0) -> list[tuple[str, str, int]]:
        """Let time pass, tell what is due; return kind, channel and alerts of what is new."""
        self.now += after_s
        known = {row.id for row in self.store.outbox(limit=500)}
        self.worker.follow(self.rows(), self.rules, now=self.now)
        new = [row for row in self.store.outbox(limit=500)[::-1] if row.id not in known]
        return [(row.kind, row.channel, len(row.payload["incidents"])) for row in new]

    def delivers(self, *channels: str) -> None:
        """Let channels deliver what waits for them."""
        while rows := self.store.claim(at=self.now, hold_s=60, channels=channels, limit=50):
            for row in rows:
                self.store.settle(row, status="sent", at=self.now)

    def messages(self, status: str | None = None) -> list[OutboxRow]:
        """Return the messages, oldest first."""
        return self.store.outbox(status=status, limit=500)[::-1]

    def told(self, group: str = "", name: str = "Errors") -> dict[str, Any]:
        row = self.rows()[name, f'route="{group}"' if group else ""]
        return dict(row.data["told"])

    def incident(self, number: int = 1) -> Incident:
        found = self.store.incident(number)
        assert found is not None
        return found
