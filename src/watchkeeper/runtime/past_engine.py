"""The engine on the past: the same evaluations and messages, noted instead of sent.

What is well, and cannot be otherwise by what the newest slot holds, is not evaluated.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, tzinfo
from functools import partial
from typing import Any, Final

from watchkeeper.core.alerts import evaluate
from watchkeeper.core.baselines import COVERED, hours_before
from watchkeeper.core.conditions import (
    CHECK_LABEL,
    And,
    CheckFailing,
    Comparison,
    Condition,
    Or,
    WorkerMissing,
    terms,
)
from watchkeeper.core.health import CheckState
from watchkeeper.core.hours import HOUR_S
from watchkeeper.core.instance import Instance, Transition
from watchkeeper.core.metrics import Scope
from watchkeeper.core.missing import FORGOTTEN_S, SILENT_SLOTS
from watchkeeper.core.moment import Moment
from watchkeeper.core.replay import Replay, rescaled
from watchkeeper.core.replayed import Unknown
from watchkeeper.core.rule import NoData, Rule
from watchkeeper.core.slot import Frame, slot_start
from watchkeeper.core.stirring import Stirring, nearest
from watchkeeper.core.tallies import Tally
from watchkeeper.runtime.alerts import AlertEngine, Rows
from watchkeeper.runtime.audience import Audience
from watchkeeper.runtime.incidents import Decided, is_believed
from watchkeeper.runtime.past_windows import compares_with_the_past
from watchkeeper.runtime.retention import KEEP_WORKERS_S
from watchkeeper.runtime.subjects import Judged, is_at_rest
from watchkeeper.storage.replay import ReplayStore
from watchkeeper.storage.store import AlertChange

FORGET_EVERY_S: Final = 3_600.0
KEPT_S: Final = 86_400.0  # incidents that are over are known for so long, or a rule's cooldown
MAX_FORGOTTEN: Final = 100_000

SavedRow = Callable[[AlertChange, float], None]


class PastEngine(AlertEngine):
    """Evaluates the rules of one scope on a store of the past. Used by one thread."""

    def __init__(
        self,
        store: ReplayStore,
        replays: Mapping[str, Replay],
        *,
        slot_s: int,
        audience: Audience,
        zone: tzinfo = UTC,
        installed_at: float = 0.0,
        now: float,
    ) -> None:
        """Take the past, and what notes what becomes of each rule; `now` is today."""
        span, rules = store.span, [one.rule for one in replays.values()]
        super().__init__(
            store,
            scope=Scope(service=span.service, environment=span.environment),
            rules=rules,
            slot_s=slot_s,
            audience=audience,
            zone=zone,
            installed_at=installed_at,
        )
        self._past = store
        self._replays = replays
        self._zone = zone
        self._workers_since = max(now - KEEP_WORKERS_S, store.workers_known_since())
        self._stirrings = {
            rule.name: Stirring(rule, slot_s=slot_s) for rule in rules if rule.when is not None
        }
        self._with_past = {rule.name for rule in rules if compares_with_the_past(rule)}
        self._has_history: dict[tuple[str, int], bool] = {}
        self._busy = {row.rule for row in self._rows().values() if not is_at_rest(row)}
        self._is_followed = bool(self._busy)
        self._with_data: set[str] = set()
        self._hot: set[str] = set()
        self._happened = -1  # events that were looked at
        self._group = ""
        self._kept_s = max([KEPT_S, *(rule.cooldown_s + KEPT_S for rule in rules)])
        self._decide = self._noted

    @property
    def read_s(self) -> int:
        """How far back from a slot frames are of use, in seconds."""
        return self._subjects.windows.kept_s

    def warm(self, frames: Sequence[Frame], *, now: float) -> None:
        """Take in slots from before those that are evaluated, which fill the windows."""
        self._past.now = now
        self._meet_workers(now)
        self._subjects.windows.read(self._past, now=now, fresh=frames)
        for start in sorted({frame.key.start for frame in frames}):
            self._stir(start)

    def look(self, frames: Sequence[Frame], *, now: float) -> bool:
        """Take in a slot, and evaluate what may have changed; False if nothing can have."""
        self._past.now = now
        start = slot_start(now, self._slot_s)
        if start % FORGET_EVERY_S < self._slot_s:
            self._meet_workers(now)
            self._past.prune_incidents(before=now - self._kept_s, limit=MAX_FORGOTTEN)
        self._subjects.windows.read(self._past, now=now, fresh=frames)
        self._stir(start)
        self._hot = {rule.name for rule in self._rules if self._is_hot(rule, now)}
        self._measure(start, now)
        happened = self._past.events_until(now)
        if not (self._hot or self._is_followed or happened != self._happened):
            return False
        self._happened = happened
        self.evaluate(now=now)
        rows = self._rows().values()
        self._busy = {row.rule for row in rows if not is_at_rest(row)}
        self._is_followed = any(is_believed(row) or row.data.get("waiting") for row in rows)
        return True

    def has_data(self, rule: Rule) -> bool:
        """Tell whether anything was ever recorded of what a rule reads."""
        return rule.name in self._with_data

    def rescale(self, factor: float) -> None:
        """Let what is followed count slots of this engine's length, `factor` to one of before."""
        changed = []
        for row in self._rows().values():
            if "state" in row.data and not is_at_rest(row):
                after = rescaled(Instance.from_data(row.data), factor)
                changed.append(replace(row, data={**row.data, **after.to_data()}))
        self._past.set_states(changed)
        for one in self._replays.values():
            one.rescale(factor)

    def _evaluate_rule(self, rule: Rule, rows: Rows, moment: Moment) -> Iterator[Transition]:
        if rule.name in self._hot:
            yield from super()._evaluate_rule(rule, rows, moment)

    def _outcomes(
        self, found: Sequence[Judged], rows: Rows, moment: Moment
    ) -> Iterator[list[Transition] | None]:
        """Save each by itself: what is decided is noted, so nothing may be decided twice."""
        for judged in found:
            yield self._try(partial(self._evaluate, judged, rows, moment))

    def _evaluate(
        self,
        judged: Judged,
        rows: Rows,
        moment: Moment,
        many: list[tuple[Judged, Decided]] | None = None,
    ) -> list[Transition]:
        self._group = judged.subject.group
        return super()._evaluate(judged, rows, moment, many)

    def _note_idle(self, moment: Moment) -> None:
        """Leave out what only pages show."""

    def _noted(self, rule: Rule, evidence: Any, before: Instance, **when: Any) -> Transition:
        """Decide, and note what was decided."""
        done = evaluate(rule, evidence, before, **when)
        replay = self._replays.get(rule.name)
        if replay is not None:

            def judge(other: Rule, state: Instance) -> Transition:
                return evaluate(other, evidence, state, **when)

            replay.note(self._group, done, judge, now=when["now"])
        return done

    def _stir(self, start: int) -> None:
        windows = self._subjects.windows
        for rule in self._rules:
            if rule.when is None:
                continue
            for term in terms(rule.when):
                if isinstance(term, Comparison):
                    self._stirrings[rule.name].look(term, partial(self._slot, rule), start)
            if rule.name not in self._with_data and windows.groups(rule.name):
                self._with_data.add(rule.name)

    def _slot(self, rule: Rule, term: Comparison, start: int) -> Mapping[str, Tally]:
        return self._subjects.windows.slot(rule.name, term.selector, start)

    def _measure(self, start: int, now: float) -> None:
        """Note how near rules are that have not fired."""
        windows = self._subjects.windows
        for name, replay in self._replays.items():
            if not replay.has_fired and isinstance(replay.rule.when, Comparison):
                sums, slots = windows.sums(name), partial(self._slot, replay.rule)
                found = nearest(replay.rule, sums, slots, start)
                if found is not None:
                    replay.measure(found[0], found[1], now=now)

    def _is_hot(self, rule: Rule, now: float) -> bool:
        """Tell whether a rule is to be evaluated: it is not at rest, or may be true."""
        if rule.when is None:
            return False
        if rule.name in self._with_past and not self._knows_earlier_weeks(rule, now):
            self._replays[rule.name].cannot_tell(Unknown.NO_HISTORY, self._slot_s)
            return rule.name in self._busy
        looks_at_workers = any(isinstance(term, WorkerMissing) for term in terms(rule.when))
        if looks_at_workers and not self._knows_workers(now):
            self._replays[rule.name].cannot_tell(Unknown.WORKERS, self._slot_s)
            return False
        return rule.name in self._busy or self._may_be_true(rule, rule.when, now)

    def _may_be_true(self, rule: Rule, condition: Condition, now: float) -> bool:
        if isinstance(condition, And | Or):
            parts = (self._may_be_true(rule, part, now) for part in condition.parts)
            return all(parts) if isinstance(condition, And) else any(parts)
        if isinstance(condition, CheckFailing):
            return self._may_fail(rule, condition)
        if isinstance(condition, WorkerMissing):
            return self._may_miss(now)
        if rule.no_data is NoData.ALERT:
            return True
        return self._stirrings[rule.name].may_hold(
            condition,
            self._subjects.windows.sums(rule.name),
            partial(self._slot, rule),
            slot_start(now, self._slot_s),
        )

    def _may_fail(self, rule: Rule, term: CheckFailing) -> bool:
        found = self._past.checks(**self._past.span.place)
        if any(
            all(part.accepts({CHECK_LABEL: one.name}.get(part.label, "")) for part in term.filters)
            for one in found
        ):
            self._with_data.add(rule.name)
        if rule.by != (CHECK_LABEL,) and rule.no_data is NoData.ALERT:
            return True
        return any(one.failures or one.state == CheckState.UNKNOWN for one in found)

    def _may_miss(self, now: float) -> bool:
        silent = now - SILENT_SLOTS * self._slot_s
        since = silent - FORGOTTEN_S - self._slot_s
        workers = self._past.workers(**self._past.span.place, seen_since=since)
        return any(one.stopped_at is None and one.seen_at < silent for one in workers)

    def _knows_workers(self, now: float) -> bool:
        """Tell whether it is known who wrote then: somebody did, for there is a slot."""
        since = now - SILENT_SLOTS * self._slot_s
        return now >= self._workers_since and bool(
            self._past.workers(**self._past.span.place, seen_since=since)
        )

    def _knows_earlier_weeks(self, rule: Rule, now: float) -> bool:
        """Tell whether some earlier week has data of the hours that a rule compares with."""
        key = rule.name, slot_start(now, HOUR_S)
        if key not in self._has_history or now % HOUR_S < max(rule.over_s):
            weeks = [
                [start for start, _ in hours]
                for window_s in rule.over_s
                for hours in hours_before(now, window_s, self._zone)
            ]
            place = self._past.span.place
            self._has_history = {
                **{known: has for known, has in self._has_history.items() if known[1] == key[1]},
                key: any(
                    all(
                        self._past.sealed_hours(since=at, until=at + 1, **place).get(at, 0)
                        >= COVERED
                        for at in week
                    )
                    for week in weeks
                ),
            }
        return self._has_history[key]


def noting(replays: Mapping[str, Replay]) -> SavedRow:
    """Return what notes each saved change in the replay of its rule: messages, events, ends."""

    def note(change: AlertChange, at: float) -> None:
        replay = replays.get(change.row.rule)
        if replay is None:
            return
        if change.outgoing:
            replay.told()
        incident = change.incident
        if incident is not None and not incident.id:
            replay.began()
            if incident.state == "event":
                replay.event(incident.group, started_at=incident.started_at, now=at)
        if incident is not None and incident.state == "resolved":
            replay.over(change.row.group, now=at)

    return note
