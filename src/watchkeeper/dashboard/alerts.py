"""Alerts as they stand, who was told of them, and what holds messages back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf, isfinite
from typing import Any, Final

from watchkeeper.core.instance import State
from watchkeeper.core.rule import Rule
from watchkeeper.core.rules import describe
from watchkeeper.core.silences import MAX_SILENCES, Silence, parse_silences, rank
from watchkeeper.core.telling import Told
from watchkeeper.dashboard.queries import incident_row
from watchkeeper.dashboard.sums import Query
from watchkeeper.dashboard.views_alerts import (
    Acknowledged,
    AlertsView,
    AlertView,
    Delivery,
    Happened,
    PastIncident,
    RulesView,
    RuleView,
    SilencesView,
    SilenceView,
)
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime import idle_rules
from watchkeeper.runtime.believed import SEVERITY_KEY, TOLD_KEY
from watchkeeper.runtime.silences import as_asked
from watchkeeper.storage.store import AlertRow, Incident, OutboxRow

MAX_ALERTS: Final = 200  # shown at once, the worst
MAX_MESSAGES: Final = 50  # of one incident, the newest
STATES: Final = ("pending", "firing", "event", "resolved")
_ORDER: Final = (State.FIRING.value, State.RECOVERING.value, State.PENDING.value)


def alerts(query: Query, *, since: float | None = None, limit: int = MAX_ALERTS) -> AlertsView:
    """Tell what is pending or fires, and with `since` the incidents from then on as well."""
    here = {"service": query.service, "environment": query.environment}
    rows = [row for row in query.store.alerts(**here) if row.state in _ORDER]
    rows.sort(key=_urgency)
    query.pause()
    found: list[Incident] = []
    if since is not None:
        found = query.store.incidents(**here, states=STATES, since=since, limit=limit + 1)
    evaluated_at = query.store.evaluated_at(**here)
    return AlertsView(
        **here,
        at=query.now,
        evaluated_at=evaluated_at or None,
        more=len(rows) > limit or len(found) > limit,
        alerts=tuple(_alert(query, row) for row in rows[:limit]),
        incidents=tuple(_past(query, one) for one in found[:limit]),
    )


def deliveries(query: Query, incidents: Iterable[int]) -> tuple[Delivery, ...]:
    """List the messages filed under some incidents, oldest first."""
    rows: list[OutboxRow] = []
    for number in dict.fromkeys(incidents):
        rows += query.store.outbox(incident=number, limit=MAX_MESSAGES)
        query.pause()
    rows.sort(key=lambda row: (row.created_at, row.id))
    return tuple(_delivery(row) for row in rows[-MAX_MESSAGES:])


def acknowledged(incident: Incident | None) -> Acknowledged | None:
    """Tell who has an incident; None: nobody."""
    if incident is None or incident.taken_at is None:
        return None
    return Acknowledged(by=incident.acked_by, at=incident.taken_at, note=incident.ack_note)


def standing(query: Query, incident: Incident) -> tuple[Told, tuple[Delivery, ...]]:
    """Tell what was decided of an incident, and the messages about it, oldest first."""
    told = Told()
    for row in query.store.alerts(service=query.service, environment=query.environment):
        if (row.rule, row.group) == (incident.rule, incident.group):
            known = Told.from_data(row.data.get(TOLD_KEY))
            if known.incident == incident.id or row.incident == incident.id:
                told = known
    return told, deliveries(query, [incident.id, *told.filed])


def timeline(incident: Incident, messages: Sequence[Delivery]) -> tuple[Happened, ...]:
    """Tell an incident from its first moment to its last."""
    found = []
    if incident.state == "event":
        found.append(Happened(at=incident.started_at, what="event", text=incident.reason))
    else:
        text = str(incident.data.get("condition", ""))
        found.append(Happened(at=incident.started_at, what="breach", text=text))
        if incident.fired_at is not None:
            summary = str(incident.data.get("summary", ""))
            found.append(Happened(at=incident.fired_at, what="fired", text=summary))
    found += [_sent(one) for one in messages]
    if incident.acked_at is not None:
        text = (
            f"{incident.acked_by}: {incident.ack_note}" if incident.ack_note else incident.acked_by
        )
        found.append(Happened(at=incident.acked_at, what="acknowledged", text=text))
    if incident.resolved_at is not None:
        text = incident.reason
        found.append(Happened(at=incident.resolved_at, what="resolved", text=text))
    return tuple(sorted(found, key=lambda one: one.at))


def delivery_text(one: Delivery) -> str:
    """Say in a few words what became of a message: "tried 4 times, 503"."""
    if one.status == "sent":
        return f"told {one.channel}"
    if one.status == "withdrawn":
        return f"{one.channel}: withdrawn"
    tried = "" if not one.attempts else f"tried {_times(one.attempts)}"
    if one.status == "failed":
        tried = f"given up, tried {_times(one.attempts)}"
    parts = [part for part in (tried or "waiting", one.error) if part]
    return f"{one.channel}: {', '.join(parts)}"


def silences(query: Query, planned: Sequence[Mapping[str, Any]]) -> SilencesView:
    """List the silences of settings and database that are in force or to come."""
    return SilencesView(
        service=query.service,
        environment=query.environment,
        at=query.now,
        silences=tuple(shown for shown, _ in _known(query, planned)),
    )


def silencing(
    query: Query, incident: Incident, planned: Sequence[Mapping[str, Any]]
) -> SilenceView | None:
    """Find the silence that an incident meets now."""
    labels = incident.data.get("labels", {})
    for shown, asked in _known(query, planned):
        if asked.until(query.now) is not None and asked.matches(
            rule=incident.rule, severity=incident.severity, labels=labels
        ):
            return shown
    return None


def rules(query: Query, in_force: Sequence[Rule]) -> RulesView:
    """List rules with where they come from, what they say, and how they stand."""
    here = {"service": query.service, "environment": query.environment}
    standing: dict[str, list[AlertRow]] = {}
    for row in query.store.alerts(**here):
        if row.state in _ORDER:
            standing.setdefault(row.rule, []).append(row)
    evaluated_at = query.store.evaluated_at(**here)
    idle = idle_rules.read(query.store, **here)
    return RulesView(
        **here,
        at=query.now,
        evaluated_at=evaluated_at or None,
        rules=tuple(
            _rule(rule, standing.get(rule.name, []), idle.get(rule.name, "ok"))
            for rule in in_force
        ),
    )


def _known(
    query: Query, planned: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[SilenceView, Silence]]:
    """Yield silences as they are shown and as alerts ask them, those of the settings first."""
    for one in parse_silences(planned, where="silences"):
        if one.ends_at > query.now:
            yield _silence(one, query.now), one
    for kept in query.store.silences(
        service=query.service, environment=query.environment, at=query.now, limit=MAX_SILENCES
    ):
        try:
            asked = as_asked(kept)
        except ConfigurationError:
            continue  # the engine leaves it out as well, and logs why
        shown = _silence(asked, query.now)
        yield replace(shown, id=kept.id, author=kept.author, created_at=kept.created_at), asked


def _sent(one: Delivery) -> Happened:
    what = "waiting" if one.status == "due" else one.status
    at = one.created_at if one.sent_at is None else one.sent_at
    return Happened(at=at, what=what, text=f"{one.kind}: {delivery_text(one)}")


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _rule(rule: Rule, rows: Sequence[AlertRow], at_rest: str) -> RuleView:
    worst = min(rows, key=_urgency, default=None)
    state = "off" if not rule.enabled else at_rest
    if worst is not None:
        state = worst.state
    return RuleView(
        name=rule.name,
        origin=rule.origin.value,
        enabled=rule.enabled,
        severity=rule.severity,
        condition=rule.condition,
        explanation=describe(rule),
        hash=rule.hash,
        state=state,
        firing=sum(row.state != State.PENDING for row in rows),
        since=None if worst is None else float(worst.data.get("since", 0.0)),
    )


def _alert(query: Query, row: AlertRow) -> AlertView:
    incident = query.store.incident(row.incident) if row.incident is not None else None
    told = Told.from_data(row.data.get(TOLD_KEY))
    shown = None if incident is None else incident_row(incident, now=query.now)
    since = float(row.data.get("breached_at") or row.data.get("since") or query.now)
    filed = [] if row.incident is None else [row.incident, *told.filed]
    return AlertView(
        rule=row.rule,
        group=row.group,
        state=row.state,
        severity=_severity(row, incident),
        since=since,
        lasted_s=max(query.now - since, 0.0),
        incident=row.incident,
        value=_number(row.data.get("value")),
        peak=_number(row.data.get("peak")),
        threshold=None if shown is None else shown.threshold,
        summary="" if shown is None else shown.summary,
        flapping=bool(row.data.get("flapping")),
        why=told.why or None,
        held_by=told.by or None,
        acknowledged=acknowledged(incident),
        told=deliveries(query, filed),
    )


def _past(query: Query, incident: Incident) -> PastIncident:
    row = incident_row(incident, now=query.now)
    return PastIncident(
        id=incident.id,
        rule=incident.rule,
        group=incident.group,
        severity=incident.severity,
        state=incident.state,
        started_at=incident.started_at,
        fired_at=incident.fired_at,
        resolved_at=incident.resolved_at,
        lasted_s=0.0 if incident.state == "event" else row.lasted_s,
        reason=incident.reason,
        summary=row.summary,
        acknowledged=acknowledged(incident),
        told=deliveries(query, [incident.id]),
    )


def _delivery(row: OutboxRow) -> Delivery:
    return Delivery(
        kind=row.kind,
        channel=row.channel,
        status=row.status,
        created_at=row.created_at,
        sent_at=row.sent_at,
        attempts=row.attempts,
        next_try_at=row.next_try_at if row.status == "due" else None,
        error=row.last_error,
    )


def _silence(one: Silence, now: float) -> SilenceView:
    until = one.until(now)
    return SilenceView(
        id=None,
        matchers={key: list(globs) for key, globs in one.matchers},
        starts_at=_finite(one.starts_at),
        ends_at=_finite(one.ends_at),
        schedule=one.weekly.text if one.weekly is not None else "",
        author="",
        comment=one.comment,
        created_at=None,
        active=until is not None,
        until=None if until is None else _finite(until),
    )


def _severity(row: AlertRow, incident: Incident | None) -> str:
    """Return how bad it is, as the engine noted it with the alert, else with its incident."""
    noted = row.data.get(SEVERITY_KEY)
    if incident is not None and rank(incident.severity) >= rank(str(noted or "")):
        return incident.severity
    return str(noted or "warning")


def _urgency(row: AlertRow) -> tuple[int, int, float]:
    severity = str(row.data.get(SEVERITY_KEY) or "")
    return _ORDER.index(row.state), -rank(severity), float(row.data.get("since", inf))


def _finite(at: float) -> float | None:
    return at if isfinite(at) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
