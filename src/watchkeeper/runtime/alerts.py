"""Driving alert rules: read what is new, decide purely, store each change once per cluster."""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, tzinfo
from functools import partial
from math import inf
from typing import Final, TypeVar

from watchkeeper.core.alerts import evaluate, fail
from watchkeeper.core.grouping import EventLog
from watchkeeper.core.instance import Instance, Reason, State, Transition
from watchkeeper.core.metrics import Scope
from watchkeeper.core.moment import Moment
from watchkeeper.core.rule import Rule
from watchkeeper.core.slot import Frame
from watchkeeper.core.trouble import Thresholds, is_urgent, thresholds
from watchkeeper.core.verdicts import Basis
from watchkeeper.exceptions import StorageError
from watchkeeper.runtime import idle_rules
from watchkeeper.runtime.audience import Audience, Links
from watchkeeper.runtime.broken_rules import BROKEN_RULE, judged_broken
from watchkeeper.runtime.check_states import Intervals
from watchkeeper.runtime.endings import LIVE_SLOTS, Endings
from watchkeeper.runtime.event_alerts import EventAlerts
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.incidents import (
    Decided,
    Incidents,
    Subject,
    is_believed,
    is_measure,
    is_worth_storing,
)
from watchkeeper.runtime.issue_states import IssueStates
from watchkeeper.runtime.subjects import Judged, Subjects, is_at_rest
from watchkeeper.runtime.together import save_together
from watchkeeper.storage.store import AlertRow, Incident, Store, Worker
from watchkeeper.storage.turns import give_way

__all__ = ["AlertEngine", "Thresholds"]

T = TypeVar("T")

YOUNG_S: Final = 3_600.0  # workers that wrote within are known by when they started
HANDED_OVER_S: Final = 150.0  # an event rule looks back so far over a measuring one of its name
NOTED_EVERY_S: Final = 60.0
MAX_ATTEMPTS: Final = 2  # another worker was faster: read its state and decide once more

_log = logging.getLogger("watchkeeper")
_GUARD: Final = guard("alert rule")
_STATES: Final = guard("states of issues")
_FOLLOW: Final = guard("alert follow-up")

Rows = dict[tuple[str, str], AlertRow]


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
        intervals: Intervals | None = None,
        may_remove: bool = True,
    ) -> None:
        """Take the rules, whom to tell by severity, and the link that a message shows.

        `audience` says all that there is to say about whom to tell, instead of those two.

        `installed_at` is when Watchkeeper first ran on this store, in seconds since the epoch;
        `pause` is called after each frame read (about 2 ms of work), to give way to requests.
        Earlier weeks are compared by the hours of `zone`. `intervals` says how often each health
        check runs that this process declares; `may_remove` whether it knows the rules so well
        that it may end what fires by one that it does not know.
        """
        self.failing: dict[str, int] = {}  # rules whose last evaluation failed: times in a row
        self._store = store
        self._decide: Callable[..., Transition] = evaluate  # a replay listens
        self._scope = scope
        self.is_telling = True  # whether the last evaluation could tell what was due
        self._rules: tuple[Rule, ...] = ()
        self._measured: list[Decided] = []
        self._idle: dict[str, Basis] | None = None  # as written
        self._noted_at = -inf
        self._slot_s = slot_s
        self._pause = pause
        self._evaluate_at = 0.0
        self._workers: Sequence[Worker] = ()
        self._states = IssueStates(store, scope=scope)
        self._subjects = Subjects(
            store, scope=scope, slot_s=slot_s, zone=zone, intervals=intervals
        )
        audience = audience or Audience(
            channels_for=channels_for, links=lambda incidents: Links(page=link(incidents[0]))
        )
        self._incidents = Incidents(store, scope=scope, audience=audience)
        self._endings = Endings(
            store, self._subjects, self._incidents, slot_s=slot_s, may_remove=may_remove
        )
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

    def set_rules(self, rules: Sequence[Rule], *, unreadable: Collection[str] = ()) -> None:
        """Follow other rules from the next evaluation on; windows of those that stay are kept.

        What fires by the rules of `unreadable` names stays as it is: nobody can tell.
        """
        self._endings.set_rules((*rules, BROKEN_RULE), unreadable=unreadable)
        enabled = tuple(rule for rule in rules if rule.enabled)
        if enabled == self._rules and self._rules:
            return
        self._rules = enabled
        self._urgent = tuple(rule for rule in enabled if is_urgent(rule))
        self._thresholds = thresholds(enabled)
        self._subjects.set_rules(enabled)
        names = {rule.name for rule in enabled}
        self.failing = {name: times for name, times in self.failing.items() if name in names}

    def evaluate(
        self, *, now: float, fresh: Sequence[Frame] = (), is_quick: bool = False
    ) -> list[Transition]:
        """Evaluate every rule at the moment `now`; return the transitions that were stored.

        `fresh` are frames that this process has just written, which need not be read back.
        With `is_quick` only urgent rules are looked at: nothing is new but what was counted.
        Raises StorageError if the store fails; nothing is half stored then, and the next
        evaluation goes on. A rule that fails, or whose evidence cannot be read, keeps its state
        and does not stop the others; `is_telling` is False if messages could not be written.
        """
        subjects = self._subjects
        self._notice_clock(now)
        self._meet_workers(now)
        subjects.windows.read(self._store, now=now, fresh=fresh, pause=self._pause)
        if not is_quick:
            with _STATES:
                self._states.move(now=now)
        rows = self._rows()
        moment = Moment(now=now, slot_s=self._slot_s, settled_until=self._settled_until(now))
        subjects.begin(rows, self._live(now), now=now, pause=self._pause)
        stored: list[Transition] = []
        for rule in self._urgent if is_quick else self._rules:
            give_way()
            if rule.is_event:
                self._evaluate_event(rule, rows, now=now)
            else:
                stored.extend(self._evaluate_rule(rule, rows, moment))
        stored.extend(self._tell_of_failing(rows, moment))
        stored.extend(self._save_measured(rows, now=now))
        if not is_quick:
            for row in self._endings.due(rows, self._live(now), now=now):
                stored.extend(self._try(partial(self._endings.end, row, rows, now=now)) or ())
            self._try(lambda: [self._endings.prune(rows, now=now)])
            self._note_idle(moment)
        self.is_telling = self._follow(rows, now=now)
        if self.is_telling:
            self._store.mark_evaluated(
                service=self._scope.service, environment=self._scope.environment, at=now
            )
        return stored

    def _follow(self, rows: Rows, *, now: float) -> bool:
        """Tell what is due; False if that failed, which does not undo what was decided.

        Raises StorageError.
        """
        away = None
        with _FOLLOW:
            try:
                self._incidents.follow(rows, (*self._rules, BROKEN_RULE), now=now)
            except StorageError as error:
                away = error
            else:
                return self._incidents.is_telling
        if away is not None:
            raise away
        return False

    def _try(self, work: Callable[[], T]) -> T | None:
        """Return what `work` does; None if that failed.

        One statement that fails, by its time-out or by what it finds, is the matter of one rule.
        Raises StorageError if the store does not answer at all.
        """
        away = None
        with _GUARD:
            try:
                return work()
            except StorageError as error:
                if self._answers():
                    raise
                away = error
        if away is not None:
            raise away
        return None

    def _answers(self) -> bool:
        try:
            self._store.evaluated_at(
                service=self._scope.service, environment=self._scope.environment
            )
        except StorageError:
            return False
        return True

    def _notice_clock(self, now: float) -> None:
        """Say so, once, if this host's clock was set back: windows end earlier then."""
        back_s = self._evaluate_at - now
        if back_s > LIVE_SLOTS * self._slot_s:
            _log.warning(
                "watchkeeper: the clock was set back by %.0f s; alerts are judged by it now,"
                " and the time between counts for no rule",
                back_s,
            )
        self._evaluate_at = now

    def _meet_workers(self, now: float) -> None:
        self._workers = self._store.workers(
            service=self._scope.service,
            environment=self._scope.environment,
            seen_since=now - YOUNG_S,
        )
        self._subjects.windows.born = {one.id: one.started_at for one in self._workers}

    def _live(self, now: float) -> list[Worker]:
        since = now - LIVE_SLOTS * self._slot_s
        return [one for one in self._workers if one.stopped_at is None and one.seen_at >= since]

    def _settled_until(self, now: float) -> float:
        return min((one.seen_at for one in self._live(now)), default=now)

    def _rows(self) -> Rows:
        rows = self._store.alerts(service=self._scope.service, environment=self._scope.environment)
        return {(row.rule, row.group): row for row in rows}

    def _evaluate_event(self, rule: Rule, rows: Rows, *, now: float) -> None:
        """Take up what happened, once a rule of the same name that measured is over and told."""
        row = rows.get((rule.name, ""))
        if row is not None and "state" in row.data:
            if row.state != State.OK or is_believed(row):
                return
            log = EventLog(since=now - HANDED_OVER_S)  # what came while that one ended counts
            row = replace(row, data=log.to_data())
        done = self._try(lambda: [self._events.evaluate(rule, row, now=now)])
        self._count(rule, is_broken=done is None)

    def _evaluate_rule(self, rule: Rule, rows: Rows, moment: Moment) -> Iterator[Transition]:
        """Evaluate each instance of a rule; how often that failed in a row is counted."""
        found = self._try(lambda: list(self._subjects.of(rule, moment)))
        is_broken = found is None
        for done in self._outcomes(found or (), rows, moment):
            is_broken = is_broken or done is None
            for transition in done or ():
                is_broken = is_broken or transition.reason is Reason.FAILED
                if transition.is_change:
                    yield transition
        self._count(rule, is_broken=is_broken)

    def _outcomes(
        self, found: Sequence[Judged], rows: Rows, moment: Moment
    ) -> Iterator[list[Transition] | None]:
        """Yield what came of each instance, None if it failed; what changed is saved together."""
        many: list[tuple[Judged, Decided]] = []
        for judged in found:
            give_way()
            yield self._try(partial(self._evaluate, judged, rows, moment, many))
        yield from save_together(
            many,
            rows,
            self._incidents,
            now=moment.now,
            attempt=self._try,
            read=self._rows,
            alone=lambda judged: self._try(partial(self._evaluate, judged, rows, moment)),
        )

    def _count(self, rule: Rule, *, is_broken: bool) -> None:
        if is_broken:
            self.failing[rule.name] = self.failing.get(rule.name, 0) + 1
        else:
            self.failing.pop(rule.name, None)

    def _evaluate(
        self,
        judged: Judged,
        rows: Rows,
        moment: Moment,
        many: list[tuple[Judged, Decided]] | None = None,
    ) -> list[Transition]:
        """Decide and store one instance; return what changed: nothing if somebody was faster.

        What can be stored together with others goes to `many`, if that is given.
        """
        subject = judged.subject
        rule, key = _rule_of(subject), (subject.name, subject.group)
        for _ in range(MAX_ATTEMPTS):
            row = rows.get(key)
            before = Instance.from_data(row.data) if row else Instance()
            transition = None
            with _GUARD:
                transition = self._decide(
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
                    return [transition]  # nothing to keep
            if not is_worth_storing(transition):
                return []
            if transition.after.worse and rule.worse is not None:
                subject = replace(subject, severity=rule.worse.severity)
            if row is not None and is_measure(transition):
                self._measured.append(Decided(subject, transition, row))
                return []  # see `_save_measured`
            if many is not None and transition.reason is not Reason.FAILED:
                many.append((judged, Decided(subject, transition, row)))
                return []
            saved = self._incidents.save(subject, transition, row, now=moment.now)
            if saved is not None:
                rows[key] = saved
                return [transition]
            rows.update(self._rows())
        return []

    def _tell_of_failing(self, rows: Rows, moment: Moment) -> Iterator[Transition]:
        """Tell of rules that could not be evaluated several times in a row, and that they can."""
        active = {
            row.data.get("labels", {}).get("rule", ""): 0
            for (name, _), row in rows.items()
            if name == BROKEN_RULE.name and not is_at_rest(row)
        }
        for name, failures in {**active, **self.failing}.items():
            judged = judged_broken(name, failures=failures)
            yield from self._try(partial(self._evaluate, judged, rows, moment)) or ()

    def _note_idle(self, moment: Moment) -> None:
        """Note, once a minute, which rules cannot judge: those are not well, but unknown."""
        if 0 <= moment.now - self._noted_at < NOTED_EVERY_S:
            return
        self._noted_at = moment.now
        found: dict[str, Basis] = {}
        for rule in self._rules:
            if not rule.is_event:
                give_way()
                basis = self._try(partial(self._subjects.idle, rule, moment))
                found.update({rule.name: basis} if basis is not None else {})
        if found != self._idle:
            idle_rules.write(
                self._store,
                found,
                service=self._scope.service,
                environment=self._scope.environment,
            )
            self._idle = found

    def _save_measured(self, rows: Rows, *, now: float) -> list[Transition]:
        """Store together what only measured anew; whoever was faster has stored the same."""
        measured, self._measured = self._measured, []
        saved = self._try(lambda: list(self._incidents.save_together(measured, now=now)))
        done = [(one.transition, row) for one, row in saved or () if row is not None]
        rows.update(((row.rule, row.group), row) for _, row in done)
        return [transition for transition, _ in done]


def _rule_of(subject: Subject) -> Rule:
    if subject.rule is None:
        raise TypeError(f"{subject.name} has no rule")
    return subject.rule
