"""Storing what was decided: state by compare-and-set, incident and notices with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from watchkeeper.core.conditions import CheckFailing, Comparison, format_value
from watchkeeper.core.instance import Instance, Notice, Reason, State, Transition
from watchkeeper.core.messages import firing_summary, removed_summary, resolved_summary
from watchkeeper.core.metrics import Scope
from watchkeeper.core.rule import Rule
from watchkeeper.storage.store import AlertChange, AlertRow, Incident, Outgoing, Store

MAX_OUTBOX: Final = 200  # notices of one incident that are looked through

_BECAUSE: Final[Mapping[Reason, str]] = {
    Reason.RULE_CHANGED: "because the rule was changed",
    Reason.NO_DATA: "because data stayed away",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a transition is about: the rule (None: it is gone), its name, the group, how bad."""

    rule: Rule | None
    name: str
    group: str = ""
    labels: Mapping[str, str]
    severity: str


class Incidents:
    """Writes transitions into the store, each in one transaction with its notices."""

    def __init__(
        self,
        store: Store,
        *,
        scope: Scope,
        channels_for: Callable[[str], Sequence[str]],
        link: Callable[[Incident], str],
    ) -> None:
        """Take where to write, whom to tell by severity, and what address a message shows."""
        self._store = store
        self._scope = scope
        self._channels_for = channels_for
        self._link = link

    def save(
        self, subject: Subject, transition: Transition, row: AlertRow | None, *, now: float
    ) -> AlertRow | None:
        """Store a transition; None if another worker was faster, and then nothing was changed."""
        row = row or AlertRow(
            service=self._scope.service,
            environment=self._scope.environment,
            rule=subject.name,
            group=subject.group,
            state=State.OK.value,
            data={},
        )
        if transition.notice in (Notice.FIRING, Notice.FLAPPING):
            return self._fire(subject, transition, row, now=now)
        if transition.before.state is not State.OK and transition.after.state is State.OK:
            return self._end(subject, transition, row, now=now)
        after = self._next(subject, transition.after, row)
        if transition.before.state is State.OK:
            after = replace(after, incident=None)  # the last one is over
        incident = None
        if transition.after.is_firing and after.incident is not None:
            incident = self._store.incident(after.incident)
        if incident is not None:
            incident = _measured(subject, incident, transition)
        return self._store.save_alert(AlertChange(row=after, incident=incident), at=now)

    def follow(self, rows: Sequence[AlertRow], rules: Sequence[Rule], *, now: float) -> None:
        """Tell what time alone makes due, once all rules have been evaluated."""

    def payload(
        self,
        subject: Subject,
        incidents: Sequence[Incident],
        *,
        status: str,
        summary: str,
    ) -> dict[str, Any]:
        """Return what a notification carries; see `watchkeeper.notify.notifier.Notification`."""
        first = incidents[0]
        return {
            "rule": subject.name,
            "severity": subject.severity,
            "status": status,
            "service": self._scope.service,
            "environment": self._scope.environment,
            "summary": summary,
            "started_at": min(incident.started_at for incident in incidents),
            "ended_at": first.resolved_at,
            "link": self._link(first),
            "alerts": [
                {
                    "labels": dict(incident.data.get("labels", {})),
                    "summary": incident.data.get("summary", ""),
                    "value": incident.value,
                    "threshold": incident.data.get("threshold"),
                    "bad": incident.data.get("bad"),
                    "total": incident.data.get("total"),
                    "window_s": incident.data.get("window_s"),
                    "started_at": incident.started_at,
                    "ended_at": incident.resolved_at,
                    "incident": incident.id,
                }
                for incident in incidents
            ],
        }

    def _fire(
        self, subject: Subject, transition: Transition, row: AlertRow, *, now: float
    ) -> AlertRow | None:
        """Open the incident, whose id the messages need, then fire with them.

        Two transactions: whoever is killed between them leaves a pending alert, which the next
        evaluation fires.
        """
        after = transition.after
        if row.state != State.PENDING or row.incident is None:
            opened = self._open(subject, transition, row, now=now)
            if opened is None:
                return None
            row = opened
        incident = self._store.incident(row.incident or 0)
        if incident is None:
            return None
        summary = self._firing_summary(subject, after)
        incident = _measured(subject, incident, transition)
        incident = replace(
            incident,
            state="firing",
            fired_at=now,
            reason=transition.reason.value,
            data={**incident.data, "summary": summary},
        )
        payload = self.payload(subject, [incident], status="firing", summary=summary)
        outgoing = [
            Outgoing(
                kind=Notice.FIRING.value, sequence=0, channel=channel, payload=payload, due_at=now
            )
            for channel in dict.fromkeys(self._channels_for(subject.severity))
        ]
        change = AlertChange(
            row=self._next(subject, after, row), incident=incident, outgoing=outgoing
        )
        return self._store.save_alert(change, at=now)

    def _open(
        self, subject: Subject, transition: Transition, row: AlertRow, *, now: float
    ) -> AlertRow | None:
        after = transition.after
        pending = replace(after, state=State.PENDING, fired_at=None)
        incident = Incident(
            service=self._scope.service,
            environment=self._scope.environment,
            rule=subject.name,
            group=subject.group,
            severity=subject.severity,
            state="pending",
            started_at=now if after.breached_at is None else after.breached_at,
        )
        change = AlertChange(
            row=replace(self._next(subject, pending, row), incident=None), incident=incident
        )
        return self._store.save_alert(change, at=now)

    def _end(
        self, subject: Subject, transition: Transition, row: AlertRow, *, now: float
    ) -> AlertRow | None:
        """Store the way back to ok: with an incident it is resolved and the same people told."""
        after = replace(self._next(subject, transition.after, row), incident=None)
        incident = self._store.incident(row.incident) if row.incident is not None else None
        if incident is None or incident.state not in ("pending", "firing"):
            return self._store.save_alert(AlertChange(row=after), at=now)
        told = [
            notice.channel
            for notice in reversed(self._store.outbox(incident=incident.id, limit=MAX_OUTBOX))
            if notice.kind == Notice.FIRING and notice.status != "failed"
        ]
        incident = replace(
            incident, state="resolved", resolved_at=now, reason=transition.reason.value
        )
        summary = self._resolved_summary(subject, transition, incident, now=now)
        if transition.verdict is not None and transition.verdict.value is not None:
            incident = replace(incident, value=transition.verdict.value)
        incident = replace(incident, data={**incident.data, "resolved_summary": summary})
        payload = self.payload(subject, [incident], status="resolved", summary=summary)
        outgoing = notices(Notice.RESOLVED, told, payload=payload, now=now)
        change = AlertChange(row=after, incident=incident, outgoing=outgoing)
        return self._store.save_alert(change, at=now)

    def _next(self, subject: Subject, after: Instance, row: AlertRow) -> AlertRow:
        data = {**after.to_data(), "labels": dict(subject.labels)}
        return replace(row, state=after.state.value, data=data)

    def _firing_summary(self, subject: Subject, after: Instance) -> str:
        if subject.rule is None:
            return subject.name
        return firing_summary(
            subject.rule,
            subject.labels,
            value=after.value,
            bad=after.bad,
            total=after.total,
            window_s=after.window_s,
        )

    def _resolved_summary(
        self, subject: Subject, transition: Transition, incident: Incident, *, now: float
    ) -> str:
        lasted_s = now - incident.started_at
        if subject.rule is None or transition.reason is Reason.RULE_REMOVED:
            return removed_summary(subject.name, lasted_s=lasted_s)
        return resolved_summary(
            subject.rule,
            subject.labels,
            value=transition.verdict.value if transition.verdict else None,
            lasted_s=lasted_s,
            because=_BECAUSE.get(transition.reason, ""),
        )


def notices(
    kind: Notice,
    channels: Sequence[str],
    *,
    payload: Mapping[str, Any],
    now: float,
    sequence: int = 0,
) -> list[Outgoing]:
    """Return one notification per channel, due now."""
    return [
        Outgoing(kind=kind.value, sequence=sequence, channel=channel, payload=payload, due_at=now)
        for channel in dict.fromkeys(channels)
    ]


def _measured(subject: Subject, incident: Incident, transition: Transition) -> Incident:
    """Return the incident with what was measured last, and what it was measured against."""
    after = transition.after
    data = {
        **incident.data,
        "labels": dict(subject.labels),
        "bad": after.bad,
        "total": after.total,
        "window_s": after.window_s,
    }
    when = subject.rule.when if subject.rule else None
    if isinstance(when, Comparison) and subject.rule is not None:
        data["condition"] = subject.rule.condition
        data["threshold"] = when.threshold
        data["threshold_text"] = format_value(when.selector.unit, when.threshold)
        if after.value is not None:
            data["value_text"] = format_value(when.selector.unit, after.value)
    elif isinstance(when, CheckFailing) and subject.rule is not None:
        data["condition"] = subject.rule.condition
        data["threshold"] = subject.rule.after
    return replace(incident, value=after.value, peak=after.peak, data=data)
