"""On what each rule is judged now: its groups, with the evidence for each."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from itertools import islice
from typing import Final, TypeVar

from watchkeeper.core import health
from watchkeeper.core.conditions import (
    CHECK_LABEL,
    CheckFailing,
    Comparison,
    Selector,
    Term,
    WorkerMissing,
    terms,
    write_labels,
)
from watchkeeper.core.instance import Reason, State
from watchkeeper.core.judging import judge
from watchkeeper.core.measuring import LONG_S
from watchkeeper.core.metrics import OTHER, Scope
from watchkeeper.core.missing import Missing
from watchkeeper.core.moment import Moment
from watchkeeper.core.rule import NoData, Rule
from watchkeeper.core.tallies import Window
from watchkeeper.core.verdicts import Basis, CheckState, Evidence
from watchkeeper.runtime.check_states import Intervals, check_states
from watchkeeper.runtime.incidents import Subject
from watchkeeper.runtime.missing import missing_workers
from watchkeeper.runtime.past_windows import Baselines, LongWindows, compares_with_the_past
from watchkeeper.runtime.windows import Windows
from watchkeeper.storage.store import AlertRow, Store, Worker

MAX_LOOKED_AT: Final = 20  # groups beyond `max_groups` that are judged to find one that is true

_Named = TypeVar("_Named", CheckState, Missing)
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
        intervals: Intervals | None = None,
    ) -> None:
        """Take where to read, the time zone of earlier weeks, and how often checks run here."""
        self.windows = Windows((), scope=scope, slot_s=slot_s)
        self._store = store
        self._scope = scope
        self._slot_s = slot_s
        self._long = LongWindows(store, scope=scope)
        self._baselines = Baselines(store, scope=scope, zone=zone)
        self._terms: dict[str, tuple[Term, ...]] = {}
        self._intervals = intervals
        self._live: Sequence[Worker] = ()
        self._now = 0.0
        self._pause: Callable[[], None] | None = None
        self._has_read_long = False
        self._unresting: dict[str, list[AlertRow]] = {}
        self._checks: tuple[CheckState, ...] | None = None
        self._gone: tuple[Missing, ...] | None = None

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """Follow other rules from now on."""
        self._terms = {rule.name: terms(rule.when) for rule in rules if rule.when is not None}
        self.windows.set_rules(rules)
        self._long.set_rules(rules)

    def begin(
        self,
        rows: Rows,
        live: Sequence[Worker] = (),
        *,
        now: float,
        pause: Callable[[], None] | None,
    ) -> None:
        """Begin an evaluation: what is read for one rule serves the others, too.

        `rows` are the states as they are now, `live` the workers that write.
        """
        self._checks = self._gone = None
        self._live, self._now = live, now
        self._unresting = {}
        for row in rows.values():
            if not is_at_rest(row):
                self._unresting.setdefault(row.rule, []).append(row)
        self._pause, self._has_read_long = pause, False

    def of(self, rule: Rule, moment: Moment) -> Iterator[Judged]:
        """Yield each instance of a rule whose state may change or has to be followed."""
        active = dict(self._active(rule))
        suspects = self._suspects(rule, now=moment.now)
        for group in active:
            suspects.pop(group, None)
        room = max(rule.max_groups - len(active), 0) if rule.by else 1
        ordered = list(suspects)
        if len(ordered) > room:
            ordered.sort(key=lambda group: (-self.windows.size(rule, group), group))
        told, others = ordered[:room], ordered[room:]
        other_labels = dict.fromkeys(rule.by, OTHER)
        other = write_labels(tuple(other_labels.items()))
        if others or self._stands_for_others(rule, other, active):
            active.pop(other, None)
            more = max(len(others) - 1, 0)
            found = self._others(rule, others, {*active, *told}, other_labels, moment)
            yield replace(found, more=more)
        for group in (*active, *told):
            labels = active.get(group) or suspects.get(group, {})
            yield self._judged(rule, group, labels, moment)

    def idle(self, rule: Rule, moment: Moment) -> Basis | None:
        """Return why a rule cannot judge any of its groups; None if it can."""
        if isinstance(rule.when, WorkerMissing):
            return None
        basis = Basis.NO_DATA
        groups: Iterable[str] = self.windows.groups(rule.name) if rule.by else ("",)
        if isinstance(rule.when, CheckFailing):
            groups = ("",)
        for group in islice(groups, MAX_LOOKED_AT):
            evidence = self._evidence(rule, group, {}, now=moment.now)
            if compares_with_the_past(rule) and not any(
                one.usual(selector.measure) is not None
                for (selector, _), one in evidence.baselines.items()
            ):
                basis = Basis.NO_HISTORY
                continue
            found = judge(rule, evidence, moment)
            if found.breach is not None or found.basis not in (Basis.NO_DATA, Basis.NO_HISTORY):
                return None
            basis = found.basis
        return basis

    def lets_go(self, rule: Rule, labels: Mapping[str, str]) -> Reason | None:
        """Return why a rule does not look at a group any more; None while it does."""
        if set(labels) != set(rule.by):
            return Reason.RULE_REMOVED
        if rule.skips(labels) or not any(
            _accepts(term, labels) for term in self._terms.get(rule.name, ()) or (None,)
        ):
            return Reason.RULE_CHANGED
        if rule.by == (CHECK_LABEL,) and isinstance(rule.when, CheckFailing):
            known = {one.name for one in self._all_checks()} | {OTHER}
            if labels[CHECK_LABEL] not in known:
                return Reason.NOT_RUN
        return None

    def _judged(
        self,
        rule: Rule,
        group: str,
        labels: Mapping[str, str],
        moment: Moment,
        *,
        evidence: Evidence | None = None,
    ) -> Judged:
        evidence = evidence or self._evidence(rule, group, labels, now=moment.now)
        subject = Subject(
            rule=rule,
            name=rule.name,
            group=write_labels(tuple(labels.items())),
            labels=labels,
            severity=_severity(rule, evidence),
        )
        return Judged(subject=subject, evidence=evidence)

    def _active(self, rule: Rule) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the groups that are not at rest, with their labels."""
        for row in self._unresting.get(rule.name, ()):
            labels = dict(row.data.get("labels", {}))
            if self.lets_go(rule, labels) is None:
                yield row.group, {label: labels[label] for label in rule.by}

    def _suspects(self, rule: Rule, *, now: float) -> dict[str, dict[str, str]]:
        """Return the groups on which a rule may be true, with their labels."""
        found: dict[str, dict[str, str]] = {}
        for term in self._terms[rule.name]:
            if isinstance(term, CheckFailing) and rule.by == (CHECK_LABEL,):
                unwell = [one.labels for one in self._all_checks() if _is_suspect(rule, one)]
                found.update(_grouped(rule, term, unwell))
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

    def _others(
        self,
        rule: Rule,
        others: Sequence[str],
        told: Collection[str],
        labels: Mapping[str, str],
        moment: Moment,
    ) -> Judged:
        """Return the instance that stands for all groups without one of their own.

        Checks and workers are few, and judged together; of measured groups the largest speaks.
        """
        if rule.by and isinstance(rule.when, CheckFailing | WorkerMissing):
            evidence = self._rest(rule, told, now=moment.now)
            return self._judged(rule, "", labels, moment, evidence=evidence)
        largest = self._largest(rule, others, told, moment)
        # Where nothing is left to speak, the instance is one without data.
        return self._judged(rule, largest or write_labels(tuple(labels.items())), labels, moment)

    def _rest(self, rule: Rule, told: Collection[str], *, now: float) -> Evidence:
        """Return all that a rule by checks or workers is judged by, without some groups."""
        everything = self._evidence(rule, "", {}, now=now)
        return replace(
            everything,
            checks=_without(rule, everything.checks, told),
            missing=_without(rule, everything.missing, told),
        )

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
        if not self._has_read_long:
            self._long.read(now=self._now, pause=self._pause)
            self._has_read_long = True
        return {
            selector: replace(window, past=self._long.past(rule, selector, group))
            for selector, window in windows.items()
        }

    def _all_checks(self) -> tuple[CheckState, ...]:
        """Return what is known of each health check now."""
        if self._checks is None:
            results = self._store.checks(
                service=self._scope.service, environment=self._scope.environment
            )
            live = {one.id for one in self._live}
            found = check_states(results, live=live, intervals=self._intervals, now=self._now)
            self._checks = tuple(found)
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


def _accepts(term: Term | None, labels: Mapping[str, str]) -> bool:
    """Tell whether a term is about a group, as far as its labels tell."""
    if term is None:
        return True
    filters = term.selector.filters if isinstance(term, Comparison) else term.filters
    known = [part for part in filters if labels.get(part.label, OTHER) != OTHER]
    return all(part.accepts(labels[part.label]) for part in known)


def _is_suspect(rule: Rule, check: CheckState) -> bool:
    """Tell whether a check may make a rule true: it failed, or is not known where that counts."""
    if check.state == health.CheckState.UNKNOWN:
        return rule.no_data is NoData.ALERT
    return check.failures > 0


def _without(
    rule: Rule, found: tuple[_Named, ...] | None, groups: Collection[str]
) -> tuple[_Named, ...] | None:
    if found is None:
        return None
    return tuple(
        one
        for one in found
        if write_labels(tuple((label, one.labels.get(label, "")) for label in rule.by))
        not in groups
    )
