"""On what each rule is judged now: its groups, with the evidence for each."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from typing import Final

from watchkeeper.core.conditions import (
    CHECK_LABEL,
    CheckFailing,
    Selector,
    Term,
    WorkerMissing,
    terms,
    write_labels,
)
from watchkeeper.core.instance import State
from watchkeeper.core.judging import judge
from watchkeeper.core.measuring import LONG_S
from watchkeeper.core.metrics import OTHER, Scope
from watchkeeper.core.missing import Missing
from watchkeeper.core.moment import Moment
from watchkeeper.core.rule import NoData, Rule
from watchkeeper.core.tallies import Window
from watchkeeper.core.verdicts import CheckState, Evidence
from watchkeeper.runtime.incidents import Subject
from watchkeeper.runtime.missing import missing_workers
from watchkeeper.runtime.past_windows import Baselines, LongWindows, compares_with_the_past
from watchkeeper.runtime.windows import Windows
from watchkeeper.storage.store import AlertRow, CheckResult, Store

MAX_LOOKED_AT: Final = 20  # groups beyond `max_groups` that are judged to find one that is true

Rows = Mapping[tuple[str, str], AlertRow]

_UNRESTING: Final = frozenset(("unknown_slots", "flapping", "failures"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One instance to be evaluated; `more` are further groups that it stands for."""

    subject: Subject
    evidence: Evidence
    more: int = 0


class Subjects:
    """Finds what is to be judged. Groups that are well, and were, cost nothing but sums."""

    def __init__(
        self,
        store: Store,
        *,
        scope: Scope,
        slot_s: int,
        zone: tzinfo = UTC,
    ) -> None:
        """Take where to read, and the time zone of earlier weeks."""
        self.windows = Windows((), scope=scope, slot_s=slot_s)
        self._store = store
        self._scope = scope
        self._slot_s = slot_s
        self._long = LongWindows(store, scope=scope)
        self._baselines = Baselines(store, scope=scope, zone=zone)
        self._terms: dict[str, tuple[Term, ...]] = {}
        self._checks: tuple[CheckState, ...] | None = None
        self._gone: tuple[Missing, ...] | None = None

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """Follow other rules from now on."""
        self._terms = {rule.name: terms(rule.when) for rule in rules if rule.when is not None}
        self.windows.set_rules(rules)
        self._long.set_rules(rules)

    def begin(self, *, now: float, pause: Callable[[], None] | None) -> None:
        """Begin an evaluation: what is read for one rule serves the others, too."""
        self._checks = self._gone = None
        self._long.read(now=now, pause=pause)

    def of(self, rule: Rule, rows: Rows, moment: Moment) -> Iterator[Judged]:
        """Yield each instance of a rule whose state may change or has to be followed."""
        active = dict(self._active(rule, rows))
        suspects = self._suspects(rule, now=moment.now)
        for group in active:
            suspects.pop(group, None)
        room = max(rule.max_groups - len(active), 0) if rule.by else 1
        ordered = list(suspects)
        if len(ordered) > room:
            ordered.sort(key=lambda group: self.windows.size(rule, group), reverse=True)
        told, others = ordered[:room], ordered[room:]
        other_labels = dict.fromkeys(rule.by, OTHER)
        other = write_labels(tuple(other_labels.items()))
        if others or self._stands_for_others(rule, other, active):
            active.pop(other, None)
            largest = self._largest(rule, others, {*active, *told}, moment)
            if largest:
                more = max(len(others) - 1, 0)
                yield replace(self._judged(rule, largest, other_labels, moment), more=more)
        for group in (*active, *told):
            labels = active.get(group) or suspects.get(group, {})
            yield self._judged(rule, group, labels, moment)

    def _judged(self, rule: Rule, group: str, labels: Mapping[str, str], moment: Moment) -> Judged:
        evidence = self._evidence(rule, group, labels, now=moment.now)
        subject = Subject(
            rule=rule,
            name=rule.name,
            group=write_labels(tuple(labels.items())),
            labels=labels,
            severity=_severity(rule, evidence),
        )
        return Judged(subject=subject, evidence=evidence)

    def _active(self, rule: Rule, rows: Rows) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the groups that are not at rest, with their labels."""
        for (name, group), row in rows.items():
            if name != rule.name or is_at_rest(row):
                continue
            labels = dict(row.data.get("labels", {}))
            if set(labels) == set(rule.by):
                yield group, {label: labels[label] for label in rule.by}

    def _suspects(self, rule: Rule, *, now: float) -> dict[str, dict[str, str]]:
        """Return the groups on which a rule may be true, with their labels."""
        found: dict[str, dict[str, str]] = {}
        for term in self._terms[rule.name]:
            if isinstance(term, CheckFailing) and rule.by == (CHECK_LABEL,):
                found.update(_grouped(rule, term, [one.labels for one in self._all_checks()]))
            elif isinstance(term, WorkerMissing) and rule.by:
                gone = [one.labels for one in self._missing(now)]
                found.update(_grouped(rule, term, gone))
        chosen = self.windows.suspects(rule)
        if chosen is None or rule.no_data is NoData.ALERT:
            found.update(self.windows.groups(rule.name))
            if compares_with_the_past(rule):
                found.update(self._baselines.groups(rule, now=now))
            if not rule.by:
                found[""] = {}
        else:
            found.update((group, self.windows.labels(rule, group)) for group in chosen)
        return found

    def _stands_for_others(self, rule: Rule, other: str, active: Mapping[str, object]) -> bool:
        """Tell whether an instance stands for many groups, and not for series folded together."""
        return bool(rule.by) and other in active and other not in self.windows.groups(rule.name)

    def _largest(
        self, rule: Rule, others: Sequence[str], told: Iterable[str], moment: Moment
    ) -> str:
        """Return the largest group without an instance of its own, if it can be one that is true.

        Where nothing is true any more that is the group by which the rest is found to be calm.
        """
        for group in others[:MAX_LOOKED_AT]:
            labels = self.windows.labels(rule, group)
            if judge(rule, self._evidence(rule, group, labels, now=moment.now), moment).breach:
                return group
        rest = self.windows.groups(rule.name).keys() - set(told)
        return max(sorted(rest), key=lambda group: self.windows.size(rule, group), default="")

    def _evidence(
        self, rule: Rule, group: str, labels: Mapping[str, str], *, now: float
    ) -> Evidence:
        kinds = {type(term) for term in self._terms[rule.name]}
        checks = missing = None
        if CheckFailing in kinds:
            checks = tuple(
                one
                for one in self._all_checks()
                if not rule.skips(one.labels) and _is_of(one.labels, labels)
            )
        if WorkerMissing in kinds:
            missing = tuple(
                one
                for one in self._missing(now)
                if not rule.skips(one.labels) and _is_of(one.labels, labels)
            )
        return Evidence(
            windows=self._windows(rule, group),
            baselines=(
                self._baselines.of(rule, group, now=now) if compares_with_the_past(rule) else {}
            ),
            checks=checks,
            missing=missing,
        )

    def _windows(self, rule: Rule, group: str) -> dict[Selector, Window]:
        windows = self.windows.windows(rule.name, group)
        if not rule.over_s or rule.over_s[-1] <= LONG_S:
            return windows
        return {
            selector: replace(window, past=self._long.past(rule, selector, group))
            for selector, window in windows.items()
        }

    def _all_checks(self) -> tuple[CheckState, ...]:
        """Return each health check with its worst result over the workers that run it."""
        if self._checks is None:
            worst: dict[str, CheckResult] = {}
            for result in self._store.checks(
                service=self._scope.service, environment=self._scope.environment
            ):
                known = worst.get(result.name)
                if known is None or (result.failures, result.at) > (known.failures, known.at):
                    worst[result.name] = result
            self._checks = tuple(_check_state(result) for result in worst.values())
        return self._checks

    def _missing(self, now: float) -> tuple[Missing, ...]:
        if self._gone is None:
            found = missing_workers(self._store, self._scope, now=now, slot_s=self._slot_s)
            self._gone = tuple(found)
        return self._gone


def is_at_rest(row: AlertRow) -> bool:
    """Tell whether a stored state is ok, with nothing that has to be followed."""
    return row.state == State.OK and _UNRESTING.isdisjoint(row.data)


def _grouped(
    rule: Rule, term: CheckFailing | WorkerMissing, labels: Iterable[Mapping[str, str]]
) -> Iterator[tuple[str, dict[str, str]]]:
    for one in labels:
        is_meant = all(part.accepts(one.get(part.label, "")) for part in term.filters)
        if is_meant and not rule.skips(one):
            group = {label: one.get(label, "") for label in rule.by}
            yield write_labels(tuple(group.items())), group


def _is_of(labels: Mapping[str, str], group: Mapping[str, str]) -> bool:
    return all(labels.get(label, value) == value for label, value in group.items())


def _severity(rule: Rule, evidence: Evidence) -> str:
    """Return how bad it is: a check that is not critical is a warning, no worker left is worse."""
    if any(one.is_critical for one in evidence.missing or ()):
        return "critical"
    by_check = isinstance(rule.when, CheckFailing) and evidence.checks
    return "warning" if by_check and not any(one.critical for one in by_check) else rule.severity


def _check_state(result: CheckResult) -> CheckState:
    return CheckState(
        name=result.name,
        state=result.state,
        failures=result.failures,
        successes=result.successes,
        critical=result.critical,
        output=result.output,
    )
