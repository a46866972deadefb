"""What rules would have done: stored data, slot by slot, through the engine itself.

Slots are replayed where they are kept, minutes before that. Hours are too coarse for windows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from functools import cached_property
from itertools import groupby
from typing import Final

from watchkeeper.core.conditions import CheckFailing, Measure, Term, WorkerMissing, terms
from watchkeeper.core.hours import HOUR_S, MINUTE_S
from watchkeeper.core.replay import Replay, skipped
from watchkeeper.core.replayed import Outcome, Skipped, Unknown, left_out
from watchkeeper.core.rule import Rule
from watchkeeper.core.slot import Frame, slot_start
from watchkeeper.core.tallies import comparisons_of, source_of
from watchkeeper.dashboard.sums import Query
from watchkeeper.dashboard.windows import align_up
from watchkeeper.runtime.audience import Audience, Links
from watchkeeper.runtime.past_engine import PastEngine, noting
from watchkeeper.storage.replay import MAX_EVENTS, ReplayStore, Span

JUST_BEFORE_S: Final = 0.001  # the end of a slot: judged when it is full and still the open one
SOMEBODY: Final = Audience(channels_for=lambda _: ("somebody",), links=lambda _: Links())
"""One channel for everything: how many messages that would be where none is set yet."""

_COUNTS: Final = (
    Measure.ERROR_RATE,
    Measure.REQUESTS,
    Measure.ERRORS,
    Measure.RATE,
    Measure.INCREASE,
    Measure.SHARE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """What every rule would have done between two moments.

    Single slots were replayed from `slots_from` on, minutes before that (None: minutes only).
    `judged` counts the slots and minutes that there was data for, `judged_s` their seconds;
    `coarse_s` are the seconds of which no more than whole hours are kept, which are left out.
    """

    service: str
    environment: str
    at: float
    start: float
    end: float
    slot_s: int
    slots_from: float | None
    judged: int
    judged_s: int
    coarse_s: int
    rules: tuple[Outcome, ...]


def backtest(
    query: Query,
    rules: Sequence[Rule],
    *,
    slots_kept_s: float,
    on_read: Callable[[int], None] = lambda _: None,
    audience: Audience = SOMEBODY,
    zone: tzinfo = UTC,
) -> Backtest:
    """Replay what is stored of a query's span through some rules.

    `slots_kept_s` is how long single slots are kept; `on_read` is told the seconds that were gone
    through. `audience` says whom messages would go to; earlier weeks are compared by the hours of
    `zone`. Memory is bounded by an hour of frames, the windows, a day of incidents and the maxima
    of `core.replay` and `storage.replay`. Raises StorageError.
    """
    replays = {rule.name: Replay(rule) for rule in rules if skipped(rule) is Skipped.NO}
    past = _Past(query, replays, on_read, audience=audience, zone=zone)
    past.replay(slots_kept_s)
    return Backtest(
        service=query.service,
        environment=query.environment,
        at=query.now,
        start=query.begin,
        end=query.end,
        slot_s=query.slot_s,
        slots_from=past.slots_from,
        judged=past.judged,
        judged_s=past.judged_s,
        coarse_s=past.coarse_s,
        rules=tuple(past.outcome(rule) for rule in rules),
    )


class _Past:
    """The replay of all rules, fed with minutes and then with slots."""

    def __init__(
        self,
        query: Query,
        replays: Mapping[str, Replay],
        on_read: Callable[[int], None],
        *,
        audience: Audience,
        zone: tzinfo,
    ) -> None:
        self.slots_from: float | None = None
        self.judged = 0
        self.judged_s = 0
        self.coarse_s = 0
        self._query = query
        self._replays = replays
        self._on_read = on_read
        self._audience = audience
        self._zone = zone
        self._engines: list[PastEngine] = []
        rules = [replay.rule for replay in replays.values()]
        sources = (source_of(rule, one.selector) for rule in rules for one in comparisons_of(rule))
        self._metrics = frozenset(name for source in sources for name in source.metrics)

    @cached_property
    def _store(self) -> ReplayStore:
        query = self._query
        span = Span(
            service=query.service,
            environment=query.environment,
            since=query.begin,
            until=query.end,
            slot_s=MINUTE_S,
            metrics=self._metrics,
        )
        return ReplayStore(query.store, span, on_save=noting(self._replays))

    def replay(self, slots_kept_s: float) -> None:
        """Go through the span once, as finely as it is kept."""
        query = self._query
        border = self._border(slots_kept_s)
        if border > query.begin:
            self._replay(MINUTE_S, query.begin, border)
        if border < query.end:
            self.slots_from = border
            self._replay(query.slot_s, border, query.end)

    def outcome(self, rule: Rule) -> Outcome:
        """Return what came of a rule, and for how long nobody can tell."""
        why = skipped(rule)
        if why is not Skipped.NO:
            return left_out(rule, why)
        replay = self._replays[rule.name]
        if not self.judged and not rule.is_event:
            replay.cannot_tell(Unknown.NOTHING_STORED, self._query.end - self._query.begin)
        elif self.coarse_s and not rule.is_event:
            replay.cannot_tell(Unknown.COARSE, self.coarse_s)
        if self.judged and self._lacks_data(rule):
            replay.cannot_tell(Unknown.NO_DATA, self._query.end - self._query.begin)
        if rule.is_event and self._store.events_until(self._query.end) >= MAX_EVENTS:
            replay.cannot_tell(Unknown.EVENTS, self._query.end - self._query.begin)
        return replay.outcome()

    def _lacks_data(self, rule: Rule) -> bool:
        """Tell whether nothing was recorded of what a rule reads, where that is not zero."""
        if rule.when is None or any(one.has_data(rule) for one in self._engines):
            return False
        return not any(_is_zero_without(rule, part) for part in terms(rule.when))

    def _replay(self, slot_s: int, begin: int, end: float) -> None:
        """Go through a part of the span in slots of one length."""
        query, store = self._query, self._store
        before = store.span.slot_s
        store.span = replace(store.span, slot_s=slot_s)
        engine = PastEngine(
            store,
            self._replays,
            slot_s=slot_s,
            audience=self._audience,
            zone=self._zone,
            installed_at=float(query.store.meta("installed_at") or 0.0),
            now=query.now,
        )
        if self._engines:
            engine.rescale(before / slot_s)
        self._engines.append(engine)
        warmth = [
            frame
            for frames in self._hours(slot_s, begin - align_up(engine.read_s, MINUTE_S), begin)
            for frame in frames
        ]
        if warmth:
            engine.warm(warmth, now=begin - JUST_BEFORE_S)
        for frames in self._hours(slot_s, begin, end, counting=True):
            for start, slot in groupby(frames, key=lambda one: slot_start(one.key.start, slot_s)):
                query.pause()
                engine.look(list(slot), now=start + slot_s - JUST_BEFORE_S)
                self.judged += 1
                self.judged_s += slot_s

    def _hours(
        self, slot_s: int, begin: int, end: float, *, counting: bool = False
    ) -> Iterator[list[Frame]]:
        """Read the frames of a part, hour by hour, each in order."""
        start = max(begin, 0)
        while start < end:
            hour = slot_start(start, HOUR_S)
            until = min(hour + HOUR_S, end)
            frames = self._frames(slot_s, hour, start, until)
            if frames is None and counting:
                self.coarse_s += int(until - start)
            yield frames or []
            if counting:
                self._on_read(max(int(until - start), 0))
            start = hour + HOUR_S

    def _frames(self, slot_s: int, hour: int, since: int, until: float) -> list[Frame] | None:
        """Read frames in order; None if only the whole hour is kept."""
        if slot_s == MINUTE_S and self._query.slot_s != MINUTE_S:
            found = self._store.minute_frames(hour)
            if found is None:
                return None
            found = [one for one in found if since <= one.key.start < until]
        else:
            found = self._slots(since, until, self._metrics)
        return sorted(found, key=lambda one: one.key)

    def _slots(self, since: float, until: float, metrics: frozenset[str]) -> list[Frame]:
        query = self._query
        return query.store.frames(
            query.slot_s,
            since=since,
            until=until,
            service=query.service,
            environment=query.environment,
            metrics=metrics,
        )

    def _border(self, slots_kept_s: float) -> int:
        """Return from when on slots fill every window, or are all there is."""
        query = self._query
        begin = align_up(max(query.now - slots_kept_s, query.begin), MINUTE_S)
        first = self._first_slot(begin)
        if first is None:
            return align_up(query.end, MINUTE_S)
        its_minute = slot_start(first, MINUTE_S)  # which may be rolled up already
        before = slot_start(its_minute, HOUR_S)
        for hour in (before - HOUR_S, before):
            minutes = self._store.minute_frames(hour) or ()
            if any(one.key.start < its_minute for one in minutes):
                full_from = align_up(first, MINUTE_S)
                return max(full_from + align_up(self._needed_s(), MINUTE_S), query.begin)
        return max(its_minute - MINUTE_S, query.begin)

    def _needed_s(self) -> float:
        """Return how much the windows hold of slots."""
        engine = PastEngine(
            self._store,
            self._replays,
            slot_s=self._query.slot_s,
            audience=self._audience,
            now=self._query.now,
        )
        return engine.read_s

    def _first_slot(self, since: float) -> int | None:
        """Find the first slot of a span, hour by hour."""
        start = int(since)
        while start < self._query.end:
            end = min(slot_start(start, HOUR_S) + HOUR_S, self._query.end)
            frames = self._slots(start, end, frozenset())
            if frames:
                return min(one.key.start for one in frames)
            start = slot_start(start, HOUR_S) + HOUR_S
        return None


def _is_zero_without(rule: Rule, term: Term) -> bool:
    """Tell whether nothing at all that was recorded is a value, too: a count, as of requests.

    Not of what labels choose: they may be misspelt. Nor of checks: there may be none.
    """
    if isinstance(term, WorkerMissing):
        return True
    if isinstance(term, CheckFailing) or term.selector.measure not in _COUNTS:
        return False
    return not (term.selector.filters or rule.by)
