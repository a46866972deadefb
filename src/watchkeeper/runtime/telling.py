"""Telling people: after each evaluation, what they believe is brought in line with what is so.

Who sends a message changes the alert's row with it, by compare-and-set and in one transaction: of
any number of workers one does. Whatever was not sent, because a worker was killed or somebody
else was faster, is due at the next evaluation.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from watchkeeper.core.inhibition import Firing, inhibited
from watchkeeper.core.instance import State
from watchkeeper.core.metrics import Scope
from watchkeeper.core.pack import PACK
from watchkeeper.core.rule import Rule
from watchkeeper.core.silences import Silence, rank, silenced_by
from watchkeeper.core.telling import Facts, Kind, Manners, Step, Told, Why, decide
from watchkeeper.runtime.audience import Audience, Silences
from watchkeeper.runtime.deliveries import Delivered, Deliveries, rest_of
from watchkeeper.runtime.payloads import Message, Payloads
from watchkeeper.storage.store import AlertChange, AlertRow, Incident, Outgoing, Store

MAX_ATTEMPTS: Final = 2  # somebody else was faster: read what is so now, and decide once more
FORGOTTEN_S: Final = 60.0  # what is over of a rule nobody here knows is told after so long
SENDING_S: Final = 120.0  # how long the end of an alert waits for its beginning to be sent
TOLD_KEY: Final = "told"  # in an alert's row
SEVERITY_KEY: Final = "severity"
REMOVED_KEY: Final = "removed"
GROUPS_KEY: Final = "groups"  # in a rule's own row: when its last messages were sent, by sort

FIRING: Final = frozenset((State.FIRING.value, State.RECOVERING.value))
_NEW: Final = frozenset((Why.FIRST, Why.COLLECTED, Why.HELD_UNTIL_NOW, Why.CAME_AGAIN))
_PACK: Final = frozenset(rule.name for rule in PACK)
_URGENT: Final[Mapping[str, int]] = {"critical": 10, "warning": 0, "info": -10}

Rows = MutableMapping[tuple[str, str], AlertRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One alert that people are told of, or not: what was decided of it, and why."""

    row: AlertRow
    rule: Rule | None
    severity: str
    before: Told
    step: Step
    incident: Incident | None = None
    delivered: Delivered | None = None

    @property
    def message(self) -> tuple[str, Kind | None, tuple[str, ...], tuple[str, ...]]:
        """What makes it one message with others: rule, kind, channels, and where it is late."""
        channels, late = self.channels, self.late
        return (self.row.rule, self.step.kind, channels, tuple(c for c in channels if c in late))

    @property
    def channels(self) -> tuple[str, ...]:
        """Where the message goes; what is over, nowhere where nobody was told of it."""
        if self.step.kind is not Kind.RESOLVED or self.delivered is None:
            return self.step.channels
        others = sorted(self.delivered.known - set(self.step.channels))  # such as a fallback
        refused = self.delivered.refused
        return (*(one for one in self.step.channels if one not in refused), *others)

    @property
    def late(self) -> frozenset[str]:
        """The channels that have not delivered yet that it fired."""
        is_over = self.step.kind is Kind.RESOLVED and self.delivered is not None
        return self.delivered.late if is_over and self.delivered else frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Surroundings:
    """What else is so while one alert is looked at."""

    rows: Mapping[tuple[str, str], AlertRow]
    silences: Sequence[Silence]
    causes: Mapping[tuple[str, str], str]


class Telling:
    """Sends what is due of one scope. Used by one thread; any number may work on one store."""

    def __init__(
        self, store: Store, *, scope: Scope, audience: Audience, payloads: Payloads
    ) -> None:
        """Take where alerts and messages are kept, whom to tell, and what writes messages."""
        self._store = store
        self._scope = scope
        self._audience = audience
        self._payloads = payloads
        self._silences = Silences(store, scope=scope, planned=audience.silences)

    def follow(self, rows: Rows, rules: Collection[Rule], *, now: float) -> int:
        """Send what is due by now; return how many messages were put into the outbox.

        `rows` are the alerts of the scope as they are in the store; they are kept up to date.
        Raises StorageError.
        """
        named = {rule.name: rule for rule in rules}
        put = 0
        for _ in range(MAX_ATTEMPTS):
            lost = False
            for batch in self._batches(rows, named, now=now):
                saved = self._save(batch, rows, now=now)
                lost = lost or saved is None
                put += saved or 0
            if not lost:
                break
            rows.clear()
            rows.update(
                ((row.rule, row.group), row)
                for row in self._store.alerts(
                    service=self._scope.service, environment=self._scope.environment
                )
            )
        return put

    def _batches(
        self, rows: Rows, rules: Mapping[str, Rule], *, now: float
    ) -> Iterable[list[_Case]]:
        """Return what is to be stored: alerts of one message together, others one by one."""
        deliveries = Deliveries(self._store)
        messages: dict[object, list[_Case]] = {}
        for case in self._cases(rows, rules, deliveries, now=now):
            if case.step.kind is not None:
                messages.setdefault(case.message, []).append(case)
            elif case.step.told != case.before:
                messages[case.row.rule, case.row.group, "held"] = [case]
        return messages.values()

    def _cases(
        self, rows: Rows, rules: Mapping[str, Rule], deliveries: Deliveries, *, now: float
    ) -> Iterator[_Case]:
        found = [row for row in rows.values() if _is_of_interest(row)]
        if not found:
            return
        of_rules = {name: Manners.of(rule) for name, rule in rules.items()}
        surroundings = _Surroundings(
            rows=rows,
            silences=self._silences.known(now=now),
            causes=self._causes(found, rules),
        )
        for row in found:
            rule = rules.get(row.rule)
            if rule is None and not _is_forgotten(row, now=now):
                continue  # a worker with other rules evaluates it, or its end comes soon
            told = Told.from_data(row.data.get(TOLD_KEY))
            manners = of_rules.get(row.rule) or Manners.of(None)
            facts = self._facts(row, rule, told, surroundings, now=now)
            step = decide(told, facts, manners, now=now)
            if step.kind is None and step.told == told:
                continue
            case = _Case(row=row, rule=rule, severity=facts.severity, before=told, step=step)
            yield self._looked_up(case, facts, manners, deliveries, now=now)

    def _facts(
        self,
        row: AlertRow,
        rule: Rule | None,
        told: Told,
        around: "_Surroundings",
        *,
        now: float,
    ) -> Facts:
        firing = row.state in FIRING and row.incident is not None
        severity = severity_of(row, rule)
        silence = silenced_by(
            around.silences if firing else (),
            rule=row.rule,
            severity=severity,
            labels=row.data.get("labels", {}),
            at=now,
        )
        return Facts(
            incident=row.incident if firing and row.incident else told.incident,
            firing=firing,
            severity=severity,
            ended_at=_ended_at(row),
            flapping=bool(row.data.get("flapping")),
            routed=self._audience.channels(rule, severity) if rule else (),
            silenced_by=silence.name if silence else "",
            inhibited_by=around.causes.get((row.rule, row.group), ""),
            group_at=_group_at(around.rows, row, firing=firing),
            quiet_hours=self._audience.waits(severity if firing else told.severity, at=now),
        )

    def _causes(
        self, found: Iterable[AlertRow], rules: Mapping[str, Rule]
    ) -> dict[tuple[str, str], str]:
        firing = [
            Firing(
                rule=row.rule,
                group=row.group,
                severity=severity_of(row, rules.get(row.rule)),
                labels=row.data.get("labels", {}),
            )
            for row in found
            if row.state in FIRING and not _is_shadow(rules.get(row.rule))
        ]
        quiet_while = {rule.name: rule.quiet_while for rule in rules.values()}
        return inhibited(firing, quiet_while=quiet_while, together=_PACK)

    def _looked_up(
        self, case: _Case, facts: Facts, manners: Manners, deliveries: Deliveries, *, now: float
    ) -> _Case:
        """Return the case with its incident, decided once more by what that says."""
        incident = self._store.incident(facts.incident)
        step, delivered = case.step, None
        if incident is not None and incident.acked_at is not None:
            facts = replace(facts, acknowledged=True)
            step = decide(case.before, facts, manners, now=now)
        if step.kind is not None and case.before.filed:
            delivered = deliveries.about(facts.incident, filed=case.before.filed)
        if step.kind is Kind.RESOLVED and delivered and delivered.in_flight:
            in_flight = now - facts.ended_at < SENDING_S
            step = decide(case.before, replace(facts, in_flight=in_flight), manners, now=now)
        return replace(case, incident=incident, step=step, delivered=delivered)

    def _save(self, batch: Sequence[_Case], rows: Rows, *, now: float) -> int | None:
        """Store what was decided, and the message with it; None if somebody else was faster."""
        batch = sorted(batch, key=lambda case: case.incident.started_at if case.incident else 0.0)
        lead = batch[0]
        outgoing, withdraw = self._messages(batch, now=now)
        changed = {(row.rule, row.group): row for row in (_after(one, lead) for one in batch)}
        self._note_sent(changed, lead, rows, now=now)
        first, *also = changed.values()
        change = AlertChange(
            row=first,
            also=also,
            incidents=[_noted(case) for case in batch if case.incident is not None],
            outgoing=outgoing,
            withdraw=withdraw,
        )
        saved = self._store.save_alert(change, at=now)
        if saved is None:
            return None
        rows[saved.rule, saved.group] = saved
        for row in also:
            rows[row.rule, row.group] = replace(row, version=row.version + 1)
        return len(outgoing)

    def _messages(self, batch: Sequence[_Case], *, now: float) -> tuple[list[Outgoing], list[int]]:
        """Return the messages of a batch, one per channel, and which ones they stand for."""
        lead = batch[0]
        kind = lead.step.kind
        incidents = [case.incident for case in batch if case.incident is not None]
        if kind is None or not incidents:
            return [], []
        gone = [one.id for one in incidents] if kind is Kind.RESOLVED else []
        stale = {
            row.id: row
            for case in batch
            if gone and case.delivered
            for row in case.delivered.waiting
        }
        severity = max((case.severity for case in batch), key=rank)
        message = Message(
            kind=kind,
            name=lead.row.rule,
            rule=lead.rule,
            incidents=incidents,
            severity=severity,
            sequence=lead.before.sequence(kind) if not _is_new(lead) else 0,
        )
        outgoing = [self._outgoing(lead, message, channel, now=now) for channel in lead.channels]
        return [*outgoing, *rest_of(stale.values(), gone, now=now)], list(stale)

    def _outgoing(self, lead: _Case, message: Message, channel: str, *, now: float) -> Outgoing:
        message = replace(message, late=channel in lead.late)
        thread = lead.delivered.threads.get(channel, "") if lead.delivered else ""
        return Outgoing(
            kind=message.kind.value,
            sequence=message.sequence,
            channel=channel,
            payload=self._payloads.of(message, thread=thread),
            due_at=now,
            incident=message.incidents[0].id,
            priority=_URGENT.get(message.severity, 0),
        )

    def _note_sent(
        self,
        changed: dict[tuple[str, str], AlertRow],
        lead: _Case,
        rows: Rows,
        *,
        now: float,
    ) -> None:
        """Write the moment of this message into the rule's own row, if others may follow it.

        That row may be one of those changed by the message itself.
        """
        sort, own = _sort(lead.step), (lead.row.rule, "")
        if sort is None or not any(group for _, group in changed):
            return
        row = (
            changed.get(own)
            or rows.get(own)
            or AlertRow(
                service=self._scope.service,
                environment=self._scope.environment,
                rule=lead.row.rule,
                group="",
                state=State.OK.value,
                data={},
            )
        )
        groups = {**row.data.get(GROUPS_KEY, {}), sort: now}
        changed[own] = replace(row, data={**row.data, GROUPS_KEY: groups})


def severity_of(row: AlertRow, rule: Rule | None) -> str:
    """Return how bad an alert is just now."""
    if rule is not None and rule.worse is not None and row.data.get("worse"):
        return rule.worse.severity
    return str(row.data.get(SEVERITY_KEY) or (rule.severity if rule else "warning"))


def _is_of_interest(row: AlertRow) -> bool:
    """Tell whether it fires, or people believe that it does."""
    if row.state in FIRING:
        return True
    told = row.data.get(TOLD_KEY)
    return told is not None and bool(told.get("channels"))


def _is_forgotten(row: AlertRow, *, now: float) -> bool:
    is_gone = bool(row.data.get(REMOVED_KEY)) or now - _ended_at(row) >= FORGOTTEN_S
    return row.state not in FIRING and is_gone


def _is_shadow(rule: Rule | None) -> bool:
    return rule is not None and rule.shadow


def _is_new(case: _Case) -> bool:
    """Tell whether it is another incident than the one that people were told of before."""
    return case.step.told.incident != case.before.incident


def _ended_at(row: AlertRow) -> float:
    return float(row.data.get("resolved_at") or row.data.get("since") or 0.0)


def _sort(step: Step) -> str | None:
    """Return which messages wait for each other: those of new alerts, those of ended ones."""
    if step.kind is Kind.RESOLVED:
        return "over"
    return "new" if step.why in _NEW else None


def _group_at(rows: Mapping[tuple[str, str], AlertRow], row: AlertRow, *, firing: bool) -> float:
    own = rows.get((row.rule, "")) if row.group else None
    groups = own.data.get(GROUPS_KEY, {}) if own is not None else {}
    return float(groups.get("new" if firing else "over", 0.0))


def _after(case: _Case, lead: _Case) -> AlertRow:
    told = case.step.told
    if case.step.kind is not None and lead.incident is not None:
        told = told.filed_under(lead.incident.id, case.step.kind)
    return replace(case.row, data={**case.row.data, TOLD_KEY: told.to_data()})


def _noted(case: _Case) -> Incident:
    """Return the incident with what was decided of telling, for pages and history."""
    if case.incident is None:
        raise TypeError("no incident to be noted")
    told = case.step.told
    noted: dict[str, Any] = {"why": told.why}
    if told.by:
        noted["by"] = told.by
    channels = list(dict.fromkeys((*case.before.channels, *told.channels)))
    if channels:
        noted["channels"] = channels
    severity = max(case.incident.severity, case.severity, key=rank)
    return replace(case.incident, severity=severity, data={**case.incident.data, "telling": noted})
