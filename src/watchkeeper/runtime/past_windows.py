"""What rules need from before the slots: long windows, and the same time in earlier weeks.

Read from the stored minutes and hours, a little at each evaluation, and kept as tallies.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Final

from watchkeeper.core.baselines import NEW_FOR_S, Baseline, baseline, hours_before
from watchkeeper.core.conditions import Past as PastTime
from watchkeeper.core.conditions import Selector
from watchkeeper.core.hours import HOUR_S, MINUTE_S
from watchkeeper.core.measuring import LONG_S
from watchkeeper.core.metrics import Kind, Scope, Series
from watchkeeper.core.rule import Rule
from watchkeeper.core.slot import Frame, FrameKey, Value, slot_start
from watchkeeper.core.tallies import (
    Counting,
    Meter,
    Past,
    Source,
    Tally,
    comparisons_of,
    source_of,
)
from watchkeeper.storage.store import ALL_WORKERS, Store

HOURS_AT_ONCE: Final = 6  # read by one evaluation: of 3 days all are there after two minutes
LATE_HOURS: Final = 3  # an hour that is not sealed by then, and has no minutes, has no data
MAX_HOURS_HELD: Final = 400  # of past weeks, the latest asked for

_HISTOGRAMS: Final = (Counting.HISTOGRAM, Counting.APDEX)


@dataclass(slots=True)
class _Long:
    """One source of long windows: its tallies per hour and minute, then per group."""

    meter: Meter
    hours: dict[int, dict[str, Tally]] = field(default_factory=dict)
    minutes: dict[int, dict[str, Tally]] = field(default_factory=dict)

    def past(self, group: str, *, since: float, slots_from: int) -> Past:
        return Past(
            since=since,
            slots_from=slots_from,
            minutes={at: t for at, groups in self.minutes.items() if (t := groups.get(group))},
            hours={at: t for at, groups in self.hours.items() if (t := groups.get(group))},
        )


class LongWindows:
    """Tallies of minutes and hours for windows that are longer than an hour."""

    def __init__(self, store: Store, *, scope: Scope) -> None:
        """Start with no rules."""
        self._store = store
        self._scope = scope
        self._sources: dict[Source, _Long] = {}
        self._longest_s = 0.0
        self._since = 0.0  # from here on everything has been read
        self._slots_from = 0
        self._read: set[FrameKey] = set()
        self._empty: set[int] = set()  # hours long over of which there is nothing
        self._minute = 0

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """Follow other rules; what is new is read from its beginning."""
        long = [rule for rule in rules if rule.over_s and rule.over_s[-1] > LONG_S]
        wanted = {
            source_of(rule, one.selector)
            for rule in long
            for one in comparisons_of(rule)
            if one.selector.past is PastTime.NONE
        }
        longest_s = max((rule.over_s[-1] for rule in long), default=0.0)
        if wanted - self._sources.keys() or longest_s > self._longest_s:
            self._sources = {source: _Long(Meter(source)) for source in wanted}
            self._read, self._empty, self._minute, self._since = set(), set(), 0, 0.0
        self._sources = {source: self._sources[source] for source in wanted}
        self._longest_s = longest_s

    def read(self, *, now: float, pause: Callable[[], None] | None = None) -> None:
        """Read the minutes and hours that are new, once a minute; older hours bit by bit."""
        minute = slot_start(now, MINUTE_S)
        is_complete = 0 < self._since <= now - self._longest_s + HOUR_S
        if not self._sources or (minute == self._minute and is_complete):
            return
        self._minute = minute
        begin = slot_start(now - self._longest_s, HOUR_S)
        sealed = self._store.sealed_hours(
            since=begin,
            until=now,
            service=self._scope.service,
            environment=self._scope.environment,
        )
        room, reached = HOURS_AT_ONCE, now
        for hour in range(slot_start(now, HOUR_S), begin - 1, -HOUR_S):
            if not self._is_read(hour, is_sealed=hour in sealed):
                if room <= 0:
                    break
                room -= self._read_hour(hour, is_sealed=hour in sealed)
                if pause is not None:
                    pause()
                if hour not in sealed and hour < now - LATE_HOURS * HOUR_S:
                    self._empty.add(hour)
            reached = hour
        self._since = reached
        self._slots_from = max(
            (
                at + span
                for one in self._sources.values()
                for held, span in ((one.minutes, MINUTE_S), (one.hours, HOUR_S))
                for at in held
            ),
            default=0,
        )
        self._forget(begin)

    def past(self, rule: Rule, selector: Selector, group: str) -> Past | None:
        """Return what is known of one group, None where a rule has no long window."""
        one = self._sources.get(source_of(rule, selector))
        if one is None:
            return None
        return one.past(group, since=self._since, slots_from=self._slots_from)

    def _is_read(self, hour: int, *, is_sealed: bool) -> bool:
        if is_sealed:
            return all(hour in one.hours for one in self._sources.values())
        return hour in self._empty

    def _read_hour(self, hour: int, *, is_sealed: bool) -> bool:
        """Read an hour's row or its minutes; return whether that was much."""
        if is_sealed:
            for one in self._sources.values():
                if hour not in one.hours:
                    one.hours[hour] = _tallies_of_hour(self._store, self._scope, one.meter, hour)
                    held = [at for at in one.minutes if hour <= at < hour + HOUR_S]
                    for at in held:
                        del one.minutes[at]
            return True
        metrics = {name for source in self._sources for name in source.metrics}
        for frame in self._store.frames(
            MINUTE_S,
            since=hour,
            until=hour + HOUR_S,
            service=self._scope.service,
            environment=self._scope.environment,
            skip={key for key in self._read if hour <= key.start < hour + HOUR_S},
            metrics=metrics,
        ):
            self._read.add(frame.key)
            for one in self._sources.values():
                _add(one.minutes.setdefault(frame.key.start, {}), one.meter.measure(frame))
        return False

    def _forget(self, before: int) -> None:
        self._read = {key for key in self._read if key.start >= before}
        self._empty = {at for at in self._empty if at >= before}
        for one in self._sources.values():
            one.hours = {at: groups for at, groups in one.hours.items() if at >= before}
            one.minutes = {at: groups for at, groups in one.minutes.items() if at >= before}


class Baselines:
    """What was usual at the same time in earlier weeks, read once for each hour."""

    def __init__(self, store: Store, *, scope: Scope, zone: tzinfo = UTC) -> None:
        """Take where to read, and the time zone by whose hours is compared."""
        self._store = store
        self._scope = scope
        self._zone = zone
        self._meters: dict[Source, Meter] = {}
        self._hours: dict[Source, dict[int, dict[str, Tally]]] = {}
        self._covered: dict[int, int] = {}
        self._known: dict[Source, tuple[int, set[str]]] = {}  # hour → groups of a day ago
        self._at = -1

    def groups(self, rule: Rule, *, now: float) -> dict[str, dict[str, str]]:
        """Return the groups that had data at the same time in earlier weeks, with their labels."""
        found: dict[str, dict[str, str]] = {}
        for selector, window_s in _asked(rule):
            source = source_of(rule, selector)
            weeks = hours_before(now, window_s, self._zone)
            starts = [start for hours in weeks for start, _ in hours]
            self._cover(starts, now=now)
            for start in starts:
                if self._covered[start]:
                    groups = self._hour(source, start)
                    labels = self._meters[source].groups
                    found.update((group, dict(labels.get(group, ()))) for group in groups)
        return found

    def of(self, rule: Rule, group: str, *, now: float) -> dict[tuple[Selector, float], Baseline]:
        """Return what was usual of one group, by what is compared and over which window."""
        found: dict[tuple[Selector, float], Baseline] = {}
        for selector, window_s in _asked(rule):
            source = source_of(rule, selector)
            weeks = hours_before(now, window_s, self._zone)
            self._cover([start for hours in weeks for start, _ in hours], now=now)
            known = baseline(
                weeks,
                lambda start, source=source: self._hour(source, start).get(group),  # type: ignore[misc]
                self._covered,
                is_new=bool(rule.by) and self._is_new(source, group, now=now),
            )
            found[selector, window_s] = known
        return found

    def _hour(self, source: Source, start: int) -> Mapping[str, Tally]:
        hours = self._hours.setdefault(source, {})
        if start not in hours:
            meter = self._meters.setdefault(source, Meter(source))
            while len(hours) >= MAX_HOURS_HELD:
                del hours[next(iter(hours))]
            hours[start] = _tallies_of_hour(self._store, self._scope, meter, start)
        return hours[start]

    def _cover(self, starts: Collection[int], *, now: float) -> None:
        """Look up once an hour which hours there are data of."""
        hour = slot_start(now, HOUR_S)
        if hour != self._at:
            self._covered, self._hours, self._at = {}, {}, hour
        for start in starts:
            if start not in self._covered:
                sealed = self._store.sealed_hours(
                    since=start,
                    until=start + HOUR_S,
                    service=self._scope.service,
                    environment=self._scope.environment,
                )
                self._covered[start] = sealed.get(start, 0)

    def _is_new(self, source: Source, group: str, *, now: float) -> bool:
        """Tell whether a group had nothing a day ago, nor at the same time in earlier weeks."""
        if any(group in groups for groups in self._hours.get(source, {}).values()):
            return False
        hour = slot_start(now, HOUR_S)
        known = self._known.get(source)
        if known is None or known[0] != hour:
            meter = self._meters.setdefault(source, Meter(source))
            until = hour - NEW_FOR_S
            groups = _totals(self._store, self._scope, meter, until - NEW_FOR_S, until)
            known = self._known[source] = (hour, set(groups))
        return group not in known[1]


def compares_with_the_past(rule: Rule) -> bool:
    """Tell whether a rule needs earlier weeks."""
    return bool(_asked(rule))


def _asked(rule: Rule) -> list[tuple[Selector, float]]:
    return [
        (one.selector, window_s)
        for one in dict.fromkeys(comparisons_of(rule))
        if one.against is not PastTime.NONE or one.selector.past is not PastTime.NONE
        for window_s in rule.over_s
    ]


def _tallies_of_hour(store: Store, scope: Scope, meter: Meter, start: int) -> dict[str, Tally]:
    """Read what one sealed hour counted, per group."""
    if meter.source.counting not in _HISTOGRAMS and meter.source.counting is not Counting.GAUGE:
        return _totals(store, scope, meter, start, start + HOUR_S)
    rows = store.hours(
        since=start,
        until=start + HOUR_S,
        service=scope.service,
        environment=scope.environment,
        metrics=meter.source.metrics,
    )
    values: dict[Series, Value] = {row.series: row.hour.value() for row in rows}
    return _measured(meter, start, values)


def _totals(
    store: Store, scope: Scope, meter: Meter, since: float, until: float
) -> dict[str, Tally]:
    """Read what sealed hours counted altogether, per group: no histogram is looked at."""
    totals = store.hour_totals(
        since=since,
        until=until,
        service=scope.service,
        environment=scope.environment,
        metrics=meter.source.metrics,
    )
    values: dict[Series, Value] = {
        series: float(total.count) if series.kind is Kind.HISTOGRAM else total.sum
        for series, total in totals.items()
    }
    return _measured(meter, int(since), values)


def _measured(meter: Meter, start: int, values: Mapping[Series, Value]) -> dict[str, Tally]:
    key = FrameKey(HOUR_S, start, ALL_WORKERS, 0)
    return meter.measure(Frame(key=key, values=values))


def _add(groups: dict[str, Tally], found: Mapping[str, Tally]) -> None:
    for group, tally in found.items():
        known = groups.get(group)
        if known is None:
            groups[group] = tally
        else:
            known.add(tally)
