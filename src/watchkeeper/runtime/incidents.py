"""Storing what was decided: state by compare-and-set, the incident with it."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from watchkeeper.core.conditions import CheckFailing, Comparison, Term, format_value, terms
from watchkeeper.core.instance import Reason, State, Transition
from watchkeeper.core.messages import (
    firing_summary,
    removed_summary,
    resolved_summary,
    threshold_text,
)
from watchkeeper.core.metrics import Scope
from watchkeeper.core.rule import Rule
from watchkeeper.core.telling import Kind, Manners, Told, reopens
from watchkeeper.runtime.audience import Audience
from watchkeeper.runtime.believed import GROUPS_KEY, REMOVED_KEY, SEVERITY_KEY, TOLD_KEY
from watchkeeper.runtime.payloads import Payloads
from watchkeeper.runtime.telling import Rows, Telling
from watchkeeper.storage.alerts import AGAIN_KEY
from watchkeeper.storage.store import AlertChange, AlertRow, Incident, MarkKind, Store

SUMMARY_KEY: Final = "summary"  # in an incident: what is wrong, as it was last true
ORIGIN_KEY: Final = "origin"  # in an alert's row: who wrote the rule that it is of
AT_REST_S: Final = 86_400.0  # how long a state is kept that is ok; flaps count for an hour
MEASURED_EVERY_S: Final = 30.0  # how often is stored what fires on, and nothing else of it
MAX_TOGETHER: Final = 200  # transitions of one transaction: 0.1 s, so that others get their turn
RELEASE_BEFORE_S: Final = 3_600.0  # a release that began longer ago is not named in messages

_BECAUSE: Final[Mapping[Reason, str]] = {
    Reason.RULE_CHANGED: "because the rule was changed",
    Reason.NO_DATA: "because data stayed away",
    Reason.NOT_RUN: "because nobody runs it any more",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a transition is about: the rule (None: it is gone), its name, the group, how bad."""

    rule: Rule | None
    name: str
    group: str = ""
    labels: Mapping[str, str]
    severity: str


@dataclass(frozen=True, slots=True)
class Decided:
    """A transition that may be stored together with others; `row` as it was read, if it was."""

    subject: Subject
    transition: Transition
    row: AlertRow | None


class Incidents:
    """Writes transitions into the store, each with its incident in one transaction.

    Whom to tell of them is decided when all rules are evaluated: `follow`.
    """

    def __init__(self, store: Store, *, scope: Scope, audience: Audience) -> None:
        """Take where to write, and whom to tell."""
        self._store = store
        self._scope = scope
        self._releases: dict[float, dict[str, Any]] = {}  # by when an incident began
        self.payloads = Payloads(scope, audience.links)
        self._telling = Telling(store, scope=scope, audience=audience, payloads=self.payloads)

    def save(
        self, subject: Subject, transition: Transition, row: AlertRow | None, *, now: float
    ) -> AlertRow | None:
        """Store a transition; None if another worker was faster, and then nothing was changed."""
        change = self._change(subject, transition, row, find=self._store.incident, now=now)
        return self._store.save_alert(change, at=now)

    def save_together(
        self, decided: Sequence[Decided], *, now: float
    ) -> Iterator[tuple[Decided, AlertRow | None]]:
        """Store many transitions in few transactions, each as `save` does; yield what it returns.

        Raises StorageError: what was yielded before is stored, and nothing else.
        """
        for start in range(0, len(decided), MAX_TOGETHER):
            some = decided[start : start + MAX_TOGETHER]
            numbers = {number for one in some for number in _incidents_of(one.row)} - {0}
            known = {one.id: one for one in self._store.incidents_by_id(numbers)}
            changes = [
                self._change(one.subject, one.transition, one.row, find=known.get, now=now)
                for one in some
            ]
            yield from zip(some, self._store.save_alerts(changes), strict=True)

    def _change(
        self,
        subject: Subject,
        transition: Transition,
        row: AlertRow | None,
        *,
        find: Callable[[int], Incident | None],
        now: float,
    ) -> AlertChange:
        """Return what a transition changes; `find` looks up the incidents that are stored."""
        row = row or AlertRow(
            service=self._scope.service,
            environment=self._scope.environment,
            rule=subject.name,
            group=subject.group,
            state=State.OK.value,
            data={},
        )
        was_firing, is_firing = transition.before.is_firing, transition.after.is_firing
        after = _next(subject, transition, row)
        incident = None
        if is_firing and not was_firing:
            incident = self._begin(subject, transition, row, find, now=now)
            after = replace(after, incident=incident.id or None)
        elif was_firing and not is_firing:
            incident = _end(subject, transition, row, find, now=now)
        elif is_firing and row.incident is not None:
            found = find(row.incident)
            incident = _measured(subject, found, transition) if found is not None else None
        else:
            after = replace(after, incident=None)  # the last one is over
        return AlertChange(row=after, incident=incident)

    @property
    def is_telling(self) -> bool:
        """Whether all that was due at the last `follow` could be told."""
        return not self._telling.failed

    def follow(self, rows: Rows, rules: Collection[Rule], *, now: float) -> int:
        """Tell what is due by now, after all rules were evaluated; see `Telling.follow`."""
        self._releases = {}
        return self._telling.follow(rows, rules, now=now)

    def _begin(
        self,
        subject: Subject,
        transition: Transition,
        row: AlertRow,
        find: Callable[[int], Incident | None],
        *,
        now: float,
    ) -> Incident:
        """Return the incident that begins, or the one before if this continues it."""
        after = transition.after
        told = Told.from_data(row.data.get(TOLD_KEY))
        found = None
        if reopens(told, Manners.of(subject.rule), now=now):
            found = find(told.incident)
        if found is None:
            started_at = now if after.breached_at is None else after.breached_at
            found = Incident(
                service=self._scope.service,
                environment=self._scope.environment,
                rule=subject.name,
                group=subject.group,
                severity=subject.severity,
                state="firing",
                started_at=started_at,
                fired_at=now,
                data=self._release_before(started_at),
            )
        found = _measured(subject, found, transition)
        data = {**found.data, SUMMARY_KEY: _firing_summary(subject, transition)}
        data.pop("resolved_summary", None)
        if told.resolved_at and not told.channels:
            data[AGAIN_KEY] = now  # people took it to be over: whoever had it has it no more
        return replace(
            found,
            state="firing",
            resolved_at=None,
            reason=transition.reason.value,
            data=data,
        )

    def _release_before(self, started_at: float) -> dict[str, Any]:
        """Return the release that began shortly before an incident, for its messages."""
        if started_at in self._releases:  # many begin at once
            return dict(self._releases[started_at])
        marks = self._store.releases(
            service=self._scope.service,
            environment=self._scope.environment,
            since=started_at - RELEASE_BEFORE_S,
            until=started_at + 1e-3,
            limit=1,
        )
        found: dict[str, Any] = {}
        for mark in marks:
            after_s = started_at - mark.at
            found["release"] = {"name": mark.scope.release, "at": mark.at, "after_s": after_s}
            if mark.kind is MarkKind.RETURN:
                found["release"]["kind"] = mark.kind.value
        self._releases = {started_at: found}
        return dict(found)


def is_measure(transition: Transition) -> bool:
    """Tell whether a transition tells nobody anything: what fires was measured once more."""
    before, after = transition.before, transition.after
    is_quiet = transition.notice is None and transition.reason is not Reason.FAILED
    return is_quiet and before.is_firing and after.is_firing


def is_worth_storing(transition: Transition) -> bool:
    """Tell whether to store what was measured once more: its peak, its counts, now and then."""
    before, after = transition.before, transition.after
    # What is pending or recovering counts slots, and each of them.
    if before.state is after.state is State.FIRING and after.peak == before.peak:
        is_due = not 0 <= after.evaluated_at - before.evaluated_at < MEASURED_EVERY_S
        same = replace(before, slot=after.slot)
        return is_due or replace(transition, before=same).is_change
    return transition.is_change


def is_believed(row: AlertRow) -> bool:
    """Tell whether people believe that an alert fires."""
    return bool((row.data.get(TOLD_KEY) or {}).get("channels"))


def is_forgettable(row: AlertRow, *, now: float, cooldown_s: float) -> bool:
    """Tell whether nothing depends on a state any more: long at rest, and everybody knows."""
    data = row.data
    if row.state != State.OK or "state" not in data or is_believed(row) or data.get("flapping"):
        return False
    last = max(float(data.get(key) or 0.0) for key in ("since", "resolved_at", "evaluated_at"))
    told_at = float((data.get(TOLD_KEY) or {}).get("resolved_at", 0.0))
    sent = (float(at) for at in data.get(GROUPS_KEY, {}).values())
    return now - max(last, told_at, *sent, 0.0) > AT_REST_S + cooldown_s


def _next(subject: Subject, transition: Transition, row: AlertRow) -> AlertRow:
    """Return the row after a transition; what people were told stays with it."""
    after = transition.after
    told = Told.from_data(row.data.get(TOLD_KEY))
    if transition.notice is not None and transition.notice.value == Kind.CHANGED:
        told = replace(told, changed=True)
    kept = {key: row.data[key] for key in (TOLD_KEY, GROUPS_KEY) if key in row.data}
    if told.changed:
        kept[TOLD_KEY] = told.to_data()
    origin = subject.rule.origin.value if subject.rule is not None else row.data.get(ORIGIN_KEY)
    data = {
        **after.to_data(),
        **kept,
        "labels": dict(subject.labels),
        SEVERITY_KEY: subject.severity,
        ORIGIN_KEY: origin,
    }
    if subject.rule is None:
        data[REMOVED_KEY] = True
    return replace(row, state=after.state.value, data=data)


def _incidents_of(row: AlertRow | None) -> Iterator[int]:
    """Yield the incidents that a change of a row may need."""
    if row is not None:
        yield row.incident or 0
        yield Told.from_data(row.data.get(TOLD_KEY)).incident


def _end(
    subject: Subject,
    transition: Transition,
    row: AlertRow,
    find: Callable[[int], Incident | None],
    *,
    now: float,
) -> Incident | None:
    """Return the incident that ends, if there is one."""
    incident = find(row.incident) if row.incident is not None else None
    if incident is None or incident.state != "firing":
        return None
    incident = replace(incident, state="resolved", resolved_at=now, reason=transition.reason.value)
    summary = _resolved_summary(subject, transition, incident, now=now)
    if transition.verdict is not None and transition.verdict.value is not None:
        incident = replace(incident, value=transition.verdict.value)
    return replace(incident, data={**incident.data, "resolved_summary": summary})


def _firing_summary(subject: Subject, transition: Transition) -> str:
    if subject.rule is None:
        return subject.name
    after = transition.after
    return firing_summary(
        subject.rule,
        subject.labels,
        value=after.value,
        bad=after.bad,
        total=after.total,
        window_s=after.window_s,
        term=_term(subject.rule, transition),
        more=transition.verdict.more if transition.verdict is not None else 0,
    )


def _resolved_summary(
    subject: Subject, transition: Transition, incident: Incident, *, now: float
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
        term=transition.verdict.term if transition.verdict else None,
    )


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
    if transition.verdict is not None and transition.verdict.breach:
        # Not the value of the beginning; nor one that is good again, beside what it has to pass.
        data[SUMMARY_KEY] = _firing_summary(subject, transition)
    when = _term(subject.rule, transition)
    if isinstance(when, Comparison) and subject.rule is not None:
        data["condition"] = subject.rule.condition
        data["threshold"] = when.threshold
        data["threshold_text"] = threshold_text(when)
        if after.value is not None:
            data["value_text"] = format_value(when.selector.unit, after.value)
        if after.peak is not None:
            data["peak_text"] = format_value(when.selector.unit, after.peak)
    elif isinstance(when, CheckFailing) and subject.rule is not None:
        data["condition"] = subject.rule.condition
        data["threshold"] = subject.rule.after
    return replace(incident, value=after.value, peak=after.peak, data=data)


def _term(rule: Rule | None, transition: Transition) -> Term | None:
    """Return the part of a rule's condition that the figures are of: the one that decided."""
    if transition.verdict is not None and transition.verdict.term is not None:
        return transition.verdict.term
    found = terms(rule.when) if rule is not None and rule.when is not None else ()
    return next((term for term in found if isinstance(term, Comparison)), next(iter(found), None))
