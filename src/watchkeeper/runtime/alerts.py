"""Driving alert rules: read what is new, decide purely, store each change once per cluster."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Final

from watchkeeper.core.alerts import evaluate, remove
from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.conditions import (
    CHECK_LABEL,
    CheckFailing,
    Comparison,
    Measure,
    write_labels,
)
from watchkeeper.core.instance import Instance, State, Transition
from watchkeeper.core.metrics import Scope
from watchkeeper.core.rule import Rule
from watchkeeper.core.slot import Frame
from watchkeeper.core.tallies import Window
from watchkeeper.core.verdicts import CheckState
from watchkeeper.runtime.audience import Audience, Links
from watchkeeper.runtime.event_alerts import EventAlerts
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.incidents import Incidents, Subject
from watchkeeper.runtime.issue_states import IssueStates
from watchkeeper.runtime.windows import Windows
from watchkeeper.storage.store import AlertRow, CheckResult, Incident, Store
from watchkeeper.storage.turns import give_way

LIVE_SLOTS: Final = 3  # a worker silent for longer does not hold back clearing
REMOVED_AFTER_S: Final = 60.0  # an instance nobody has evaluated for so long has lost its rule
MAX_ATTEMPTS: Final = 2  # another worker was faster: read its state and decide once more

_GUARD: Final = guard("alert rule")
_STATES: Final = guard("states of issues")

Evidence = Window | CheckState | None
Rows = dict[tuple[str, str], AlertRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The lowest thresholds of all rules, beyond which a worker sees trouble; `inf` if none."""

    error_rate: float = inf
    slow_s: float = inf


class AlertEngine:
    """Evaluates the rules of one scope. Any number of engines may work on one store.

    Keeps tallies of the longest window in memory; everything else is in the store, and every
    change is a compare-and-set. Used by one thread.
    """

    def __init__(
        self,
        store: Store,
        *,
        scope: Scope,
        rules: Sequence[Rule],
        channels_for: Callable[[str], Sequence[str]] = lambda severity: (),
        slot_s: int,
        link: Callable[[Incident], str] = lambda incident: "",
        installed_at: Callable[[], float] | float,
        pause: Callable[[], None] | None = None,
        audience: Audience | None = None,
    ) -> None:
        """Take the rules, whom to tell by severity, and the link that a message shows.

        `audience` says all that there is to say about whom to tell, instead of those two.

        `installed_at` is when Watchkeeper first ran on this store, in seconds since the epoch;
        `pause` is called after each frame read (about 2 ms of work), to give way to requests.
        """
        self._store = store
        self._scope = scope
        self._rules = tuple(rule for rule in rules if rule.enabled)
        self._slot_s = slot_s
        self._pause = pause
        self._states = IssueStates(store, scope=scope)
        self._windows = Windows(self._rules, scope=scope, slot_s=slot_s)
        audience = audience or Audience(
            channels_for=channels_for, links=lambda incident: Links(page=link(incident))
        )
        self._incidents = Incidents(store, scope=scope, audience=audience)
        self._events = EventAlerts(
            store,
            scope=scope,
            audience=audience,
            installed_at=installed_at() if callable(installed_at) else installed_at,
        )

    @property
    def thresholds(self) -> Thresholds:
        """The lowest error rate and latency that an enabled rule fires at."""
        lowest = Thresholds()
        for rule in self._rules:
            when = rule.when
            if not isinstance(when, Comparison) or not when.operator.is_upward:
                continue
            if when.selector.measure is Measure.ERROR_RATE:
                rate = min(lowest.error_rate, when.threshold)
                lowest = replace(lowest, error_rate=rate)
            elif (
                when.selector.measure is Measure.QUANTILE
                and when.selector.metric == HTTP_DURATION.name
            ):
                lowest = replace(lowest, slow_s=min(lowest.slow_s, when.threshold))
        return lowest

    def evaluate(self, *, now: float, fresh: Sequence[Frame] = ()) -> list[Transition]:
        """Evaluate every rule at the moment `now`; return the transitions that were stored.

        `fresh` are frames that this process has just written, which need not be read back.
        Raises StorageError if the store fails; nothing is half stored then, and the next
        evaluation goes on. A rule that fails keeps its state and does not stop the others.
        """
        self._windows.read(self._store, now=now, fresh=fresh, pause=self._pause)
        with _STATES:
            self._states.move(now=now)
        rows = self._rows()
        settled = self._settled_until(now)
        stored: list[Transition] = []
        for rule in self._rules:
            if rule.is_event:
                self._events.evaluate(rule, rows.get((rule.name, "")), now=now)
                continue
            for subject, evidence in self._subjects(rule, rows):
                give_way()
                transition = self._evaluate(subject, evidence, rows, now=now, settled=settled)
                if transition is not None:
                    stored.append(transition)
        stored.extend(self._remove(rows, now=now))
        self._incidents.follow(rows, self._rules, now=now)
        self._store.mark_evaluated(
            service=self._scope.service, environment=self._scope.environment, at=now
        )
        return stored

    def _rows(self) -> Rows:
        rows = self._store.alerts(service=self._scope.service, environment=self._scope.environment)
        return {(row.rule, row.group): row for row in rows}

    def _settled_until(self, now: float) -> float:
        """Return up to when every live worker has written."""
        workers = self._store.workers(
            service=self._scope.service,
            environment=self._scope.environment,
            seen_since=now - LIVE_SLOTS * self._slot_s,
        )
        return min((one.seen_at for one in workers if one.stopped_at is None), default=now)

    def _subjects(self, rule: Rule, rows: Rows) -> Iterator[tuple[Subject, Evidence]]:
        """Yield each instance of a rule: those with data, and those that are not ok."""
        if isinstance(rule.when, CheckFailing):
            yield from self._checks(rule)
            return
        groups = self._windows.groups(rule.name)
        if not rule.by:
            groups.setdefault("", {})
        for (name, group), row in rows.items():
            labels = dict(row.data.get("labels", {}))
            if name == rule.name and row.state != State.OK and set(labels) == set(rule.by):
                groups.setdefault(group, labels)
        for group, labels in groups.items():
            subject = Subject(
                rule=rule, name=rule.name, group=group, labels=labels, severity=rule.severity
            )
            yield subject, self._windows.window(rule.name, group)

    def _checks(self, rule: Rule) -> Iterator[tuple[Subject, Evidence]]:
        """Yield each health check with its worst result over the workers that run it."""
        worst: dict[str, CheckResult] = {}
        for result in self._store.checks(
            service=self._scope.service, environment=self._scope.environment
        ):
            known = worst.get(result.name)
            if known is None or (result.failures, result.at) > (known.failures, known.at):
                worst[result.name] = result
        for name, result in worst.items():
            labels = {CHECK_LABEL: name}
            if rule.skips(labels) or not _is_meant(rule, labels):
                continue
            subject = Subject(
                rule=rule,
                name=rule.name,
                group=write_labels(tuple(labels.items())),
                labels=labels,
                severity=rule.severity if result.critical else "warning",
            )
            yield (
                subject,
                CheckState(
                    name=name,
                    state=result.state,
                    failures=result.failures,
                    successes=result.successes,
                    critical=result.critical,
                    output=result.output,
                ),
            )

    def _evaluate(
        self, subject: Subject, evidence: Evidence, rows: Rows, *, now: float, settled: float
    ) -> Transition | None:
        """Decide and store one instance; None if nothing changed."""
        key = (subject.name, subject.group)
        for _ in range(MAX_ATTEMPTS):
            row = rows.get(key)
            transition = None
            with _GUARD:
                transition = evaluate(
                    _rule_of(subject),
                    evidence,
                    Instance.from_data(row.data) if row else Instance(),
                    now=now,
                    slot_s=self._slot_s,
                    settled_until=settled,
                )
            if transition is None or not transition.is_change:
                return None
            saved = self._incidents.save(subject, transition, row, now=now)
            if saved is not None:
                rows[key] = saved
                return transition
            rows.update(self._rows())
        return None

    def _remove(self, rows: Rows, *, now: float) -> Iterator[Transition]:
        """End the instances whose rule is gone, or tells its groups apart by other labels.

        Only those that nobody has evaluated for a while: during a deploy, workers with the new
        rules and workers with the old ones stand side by side.
        """
        labels_of = {rule.name: set(rule.by) for rule in self._rules}
        for (name, group), row in list(rows.items()):
            labels = dict(row.data.get("labels", {}))
            if row.state == State.OK or labels_of.get(name) == set(labels):
                continue
            before = Instance.from_data(row.data)
            if now - before.evaluated_at < max(REMOVED_AFTER_S, LIVE_SLOTS * self._slot_s):
                continue
            incident = self._store.incident(row.incident) if row.incident is not None else None
            subject = Subject(
                rule=None,
                name=name,
                group=group,
                labels=labels,
                severity=incident.severity if incident else "warning",
            )
            transition = remove(name, before, now=now)
            if self._incidents.save(subject, transition, row, now=now) is not None:
                yield transition


def _rule_of(subject: Subject) -> Rule:
    if subject.rule is None:
        raise TypeError(f"{subject.name} has no rule")
    return subject.rule


def _is_meant(rule: Rule, labels: dict[str, str]) -> bool:
    filters = rule.when.filters if isinstance(rule.when, CheckFailing) else ()
    return all(part.accepts(labels.get(part.label, "")) for part in filters)
