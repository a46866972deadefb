"""Driving alert rules: read what is new, decide purely, store each change once per cluster."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, tzinfo
from typing import Final

from watchkeeper.core.alerts import evaluate, fail, remove
from watchkeeper.core.conditions import write_labels
from watchkeeper.core.instance import Instance, Reason, State, Transition
from watchkeeper.core.judging import CLEAR_SUCCESSES
from watchkeeper.core.metrics import Scope
from watchkeeper.core.moment import Moment
from watchkeeper.core.rule import Rule
from watchkeeper.core.rules import Alert, Origin, compile_alert
from watchkeeper.core.slot import Frame
from watchkeeper.core.trouble import Thresholds, thresholds
from watchkeeper.core.verdicts import CheckState, Evidence
from watchkeeper.exceptions import StorageError
from watchkeeper.runtime.audience import Audience, Links
from watchkeeper.runtime.event_alerts import EventAlerts
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.incidents import Incidents, Subject
from watchkeeper.runtime.issue_states import IssueStates
from watchkeeper.runtime.subjects import Judged, Subjects, is_at_rest
from watchkeeper.storage.store import AlertRow, Incident, Store, Worker
from watchkeeper.storage.turns import give_way

__all__ = ["AlertEngine", "Thresholds"]

LIVE_SLOTS: Final = 3  # a worker silent for longer does not hold back clearing
YOUNG_S: Final = 3_600.0  # workers that wrote within are known by when they started
REMOVED_AFTER_S: Final = 60.0  # an instance nobody has evaluated for so long has lost its rule
MAX_ATTEMPTS: Final = 2  # another worker was faster: read its state and decide once more

_log = logging.getLogger("watchkeeper")
_GUARD: Final = guard("alert rule")
_STATES: Final = guard("states of issues")
_FOLLOW: Final = guard("alert follow-up")

Rows = dict[tuple[str, str], AlertRow]

BROKEN_RULE: Final = replace(
    compile_alert(
        # Of each rule, as if evaluating it were a health check.
        Alert("Rule cannot be evaluated", when="check failing", after=3, severity="warning"),
        where="the engine",
        origin=Origin.PACK,
    ),
    by=("rule",),
)
"""What is told when evaluating a rule failed three times in a row; its state is kept meanwhile."""


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
        zone: tzinfo = UTC,
    ) -> None:
        """Take the rules, whom to tell by severity, and the link that a message shows.

        `audience` says all that there is to say about whom to tell, instead of those two.

        `installed_at` is when Watchkeeper first ran on this store, in seconds since the epoch;
        `pause` is called after each frame read (about 2 ms of work), to give way to requests.
        Earlier weeks are compared by the hours of `zone`.
        """
        self.failing: dict[str, int] = {}  # rules whose last evaluation failed: times in a row
        self._store = store
        self._scope = scope
        self._rules: tuple[Rule, ...] = ()
        self._slot_s = slot_s
        self._pause = pause
        self._evaluated_at = 0.0
        self._workers: Sequence[Worker] = ()
        self._states = IssueStates(store, scope=scope)
        self._subjects = Subjects(store, scope=scope, slot_s=slot_s, zone=zone)
        audience = audience or Audience(
            channels_for=channels_for, links=lambda incidents: Links(page=link(incidents[0]))
        )
        self._incidents = Incidents(store, scope=scope, audience=audience)
        self._events = EventAlerts(
            store,
            scope=scope,
            audience=audience,
            installed_at=installed_at() if callable(installed_at) else installed_at,
        )
        self.set_rules(rules)

    @property
    def thresholds(self) -> Thresholds:
        """The lowest error rate and latency that an enabled rule begins at."""
        return self._thresholds

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """Follow other rules from the next evaluation on; windows of those that stay are kept."""
        enabled = tuple(rule for rule in rules if rule.enabled)
        if enabled == self._rules and self._rules:
            return
        self._rules = enabled
        self._thresholds = thresholds(enabled)
        self._subjects.set_rules(enabled)
        names = {rule.name for rule in enabled}
        self.failing = {name: times for name, times in self.failing.items() if name in names}

    def evaluate(self, *, now: float, fresh: Sequence[Frame] = ()) -> list[Transition]:
        """Evaluate every rule at the moment `now`; return the transitions that were stored.

        `fresh` are frames that this process has just written, which need not be read back.
        Raises StorageError if the store fails; nothing is half stored then, and the next
        evaluation goes on. A rule that fails keeps its state and does not stop the others.
        """
        subjects = self._subjects
        self._notice_clock(now)
        self._meet_workers(now)
        subjects.windows.read(self._store, now=now, fresh=fresh, pause=self._pause)
        with _STATES:
            self._states.move(now=now)
        rows = self._rows()
        moment = Moment(now=now, slot_s=self._slot_s, settled_until=self._settled_until(now))
        subjects.begin(now=now, pause=self._pause)
        stored: list[Transition] = []
        for rule in self._rules:
            give_way()
            if rule.is_event:
                self._events.evaluate(rule, rows.get((rule.name, "")), now=now)
                continue
            stored.extend(self._evaluate_rule(rule, rows, moment))
        stored.extend(self._tell_of_failing(rows, moment))
        stored.extend(self._remove(rows, now=now))
        self._follow(rows, now=now)
        self._store.mark_evaluated(
            service=self._scope.service, environment=self._scope.environment, at=now
        )
        return stored

    def _follow(self, rows: Rows, *, now: float) -> None:
        """Tell what is due; a fault there does not stop evaluating. Raises StorageError."""
        away = None
        with _FOLLOW:
            try:
                self._incidents.follow(rows, (*self._rules, BROKEN_RULE), now=now)
            except StorageError as error:
                away = error
        if away is not None:
            raise away

    def _notice_clock(self, now: float) -> None:
        """Say so, once, if this host's clock was set back: windows end earlier then."""
        back_s = self._evaluated_at - now
        if back_s > LIVE_SLOTS * self._slot_s:
            _log.warning(
                "watchkeeper: the clock was set back by %.0f s; alerts are judged by it now,"
                " and the time between counts for no rule",
                back_s,
            )
        self._evaluated_at = now

    def _meet_workers(self, now: float) -> None:
        self._workers = self._store.workers(
            service=self._scope.service,
            environment=self._scope.environment,
            seen_since=now - YOUNG_S,
        )
        self._subjects.windows.born = {one.id: one.started_at for one in self._workers}

    def _settled_until(self, now: float) -> float:
        """Return up to when every live worker has written."""
        since = now - LIVE_SLOTS * self._slot_s
        live = [one for one in self._workers if one.stopped_at is None]
        return min((one.seen_at for one in live if one.seen_at >= since), default=now)

    def _rows(self) -> Rows:
        rows = self._store.alerts(service=self._scope.service, environment=self._scope.environment)
        return {(row.rule, row.group): row for row in rows}

    def _evaluate_rule(self, rule: Rule, rows: Rows, moment: Moment) -> Iterator[Transition]:
        """Evaluate each instance of a rule; how often that failed in a row is counted."""
        found = self._find(rule, rows, moment)
        is_broken = found is None
        for judged in found or ():
            give_way()
            transition = self._evaluate(judged, rows, moment)
            if transition is not None:
                is_broken = is_broken or transition.reason is Reason.FAILED
                if transition.is_change:
                    yield transition
        if is_broken:
            self.failing[rule.name] = self.failing.get(rule.name, 0) + 1
        else:
            self.failing.pop(rule.name, None)

    def _find(self, rule: Rule, rows: Rows, moment: Moment) -> list[Judged] | None:
        """Return what a rule is judged on; None if that failed. Raises StorageError."""
        found, away = None, None
        with _GUARD:
            try:
                found = list(self._subjects.of(rule, rows, moment))
            except StorageError as error:
                away = error
        if away is not None:
            raise away
        return found

    def _evaluate(self, judged: Judged, rows: Rows, moment: Moment) -> Transition | None:
        """Decide and store one instance; None if nothing changed, or somebody was faster."""
        subject = judged.subject
        rule, key = _rule_of(subject), (subject.name, subject.group)
        for _ in range(MAX_ATTEMPTS):
            row = rows.get(key)
            before = Instance.from_data(row.data) if row else Instance()
            transition = None
            with _GUARD:
                transition = evaluate(
                    rule,
                    judged.evidence,
                    before,
                    now=moment.now,
                    slot_s=self._slot_s,
                    settled_until=moment.settled_until,
                    more=judged.more,
                )
            if transition is None:
                transition = fail(rule.name, before, now=moment.now)
                if row is None:
                    return transition  # nothing to keep
            if not transition.is_change:
                return None
            if transition.after.worse and rule.worse is not None:
                subject = replace(subject, severity=rule.worse.severity)
            saved = self._incidents.save(subject, transition, row, now=moment.now)
            if saved is not None:
                rows[key] = saved
                return transition
            rows.update(self._rows())
        return None

    def _tell_of_failing(self, rows: Rows, moment: Moment) -> Iterator[Transition]:
        """Tell of rules that could not be evaluated several times in a row, and that they can."""
        active = {
            row.data.get("labels", {}).get("rule", ""): 0
            for (name, _), row in rows.items()
            if name == BROKEN_RULE.name and not is_at_rest(row)
        }
        for name, failures in {**active, **self.failing}.items():
            state = CheckState(
                name=name,
                state="fail" if failures else "pass",
                failures=failures,
                successes=0 if failures else CLEAR_SUCCESSES,
            )
            labels = {"rule": name}
            subject = Subject(
                rule=BROKEN_RULE,
                name=BROKEN_RULE.name,
                group=write_labels(tuple(labels.items())),
                labels=labels,
                severity=BROKEN_RULE.severity,
            )
            judged = Judged(subject=subject, evidence=Evidence(checks=(state,)))
            transition = self._evaluate(judged, rows, moment)
            if transition is not None:
                yield transition

    def _remove(self, rows: Rows, *, now: float) -> Iterator[Transition]:
        """End the instances whose rule is gone, or tells its groups apart by other labels.

        Only those that nobody has evaluated for a while: during a deploy, workers with the new
        rules and workers with the old ones stand side by side.
        """
        labels_of = {rule.name: set(rule.by) for rule in (*self._rules, BROKEN_RULE)}
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
