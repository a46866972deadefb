"""What rules would have done: stored data, slot by slot, through the engine's own judgement.

Slots are replayed where they are kept, minutes before that. Hours are too coarse for windows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from watchkeeper.core.conditions import CHECK_LABEL, CheckFailing, write_labels
from watchkeeper.core.health import CLEAR_AFTER, FAIL_AFTER
from watchkeeper.core.health import CheckState as State
from watchkeeper.core.hours import HOUR_S, MINUTE_S
from watchkeeper.core.metrics import Scope
from watchkeeper.core.replay import Replay, skipped
from watchkeeper.core.replayed import Outcome, Skipped, left_out, of_events
from watchkeeper.core.rule import ISSUE_CAME_BACK, ISSUE_NEW, Rule
from watchkeeper.core.slot import Frame, slot_start
from watchkeeper.core.verdicts import CheckState, Evidence
from watchkeeper.dashboard.reading import read_pieces
from watchkeeper.dashboard.sums import Query
from watchkeeper.dashboard.windows import align_up
from watchkeeper.runtime.windows import Windows
from watchkeeper.storage.store import CheckChange, Issue

MAX_CHANGES: Final = 10_000  # of health checks, read; of more the newest
MAX_EVENTS: Final = 10_000  # issues, and as many returns
CHECK_EVERY_S: Final = 30.0  # how often a check runs, unless it was set: not stored with it
FORGET_EVERY: Final = 30  # slots, after which those that left every window are let go
JUST_BEFORE_S: Final = 0.001  # the end of a slot: judged when it is full and still the open one


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """What every rule would have done between two moments.

    Single slots were replayed from `slots_from` on, minutes before that (None: minutes only).
    `judged` counts the slots and minutes that there was data for, `coarse_s` the seconds of which
    no more than whole hours are kept, which are left out.
    """

    service: str
    environment: str
    at: float
    start: float
    end: float
    slot_s: int
    slots_from: float | None
    judged: int
    coarse_s: int
    rules: tuple[Outcome, ...]


@dataclass(slots=True)
class _Checks:
    """The health checks of the past, each in the worst state that a worker had it in."""

    changes: list[CheckChange]  # the next one last
    states: dict[str, dict[int, tuple[str, float]]] = field(default_factory=dict)

    def until(self, moment: float) -> None:
        """Take in what happened up to a moment."""
        while self.changes and self.changes[-1].at <= moment:
            one = self.changes.pop()
            self.states.setdefault(one.name, {})[one.worker] = (one.after, one.at)

    def known(self, now: float) -> Iterator[CheckState]:
        """Yield each check as it was."""
        for name, workers in self.states.items():
            failed = [at for state, at in workers.values() if state == State.FAIL]
            if failed:
                # Runs are not stored, changes are: it goes on failing as often as it runs.
                runs = int(max(now - min(failed), 0.0) // CHECK_EVERY_S)
                yield CheckState(name=name, state=State.FAIL, failures=FAIL_AFTER + runs)
            else:
                yield CheckState(name=name, state=State.PASS, successes=CLEAR_AFTER)


def backtest(
    query: Query,
    rules: Sequence[Rule],
    *,
    slots_kept_s: float,
    on_read: Callable[[int], None] = lambda _: None,
) -> Backtest:
    """Replay what is stored of a query's span through some rules.

    `slots_kept_s` is how long single slots are kept; `on_read` is told the seconds that were gone
    through. Memory is bounded by an hour of frames, the windows and `core.replay`'s maxima.
    """
    past = _Past(query, [rule for rule in rules if skipped(rule) is Skipped.NO], on_read)
    past.replay(slots_kept_s)
    outcomes = []
    for rule in rules:
        why = skipped(rule)
        if why is not Skipped.NO:
            outcomes.append(left_out(rule, why))
        elif rule.is_event:
            outcomes.append(of_events(rule, _events(query, rule)))
        else:
            outcomes.append(past.replays[rule.name].outcome())
    return Backtest(
        service=query.service,
        environment=query.environment,
        at=query.now,
        start=query.begin,
        end=query.end,
        slot_s=query.slot_s,
        slots_from=past.slots_from,
        judged=past.judged,
        coarse_s=past.coarse_s,
        rules=tuple(outcomes),
    )


class _Past:
    """The replay of all rules with a condition, fed with minutes and then with slots."""

    def __init__(
        self, query: Query, rules: Sequence[Rule], on_read: Callable[[int], None]
    ) -> None:
        self.replays = {rule.name: Replay(rule) for rule in rules if not rule.is_event}
        self.slots_from: float | None = None
        self.judged = 0
        self.coarse_s = 0
        self._query = query
        self._on_read = on_read
        self._checks = _Checks(_check_changes(query))

    def replay(self, slots_kept_s: float) -> None:
        """Go through the span once, as finely as it is kept."""
        query = self._query
        border = self._border(slots_kept_s)
        if border > query.begin:
            windows = self._windows(MINUTE_S)
            for frames in self._minutes(windows, border):
                self._judge(windows, frames, MINUTE_S, since=query.begin)
        if border < query.end:
            self.slots_from = border
            for replay in self.replays.values():
                replay.rescale(MINUTE_S / query.slot_s)
            windows = self._windows(query.slot_s)
            windows.born = self._born(border)
            for frames in self._slots(windows, border):
                self._judge(windows, frames, query.slot_s, since=border)

    def _windows(self, slot_s: int) -> Windows:
        scope = Scope(service=self._query.service, environment=self._query.environment)
        rules = [one.rule for one in self.replays.values()]
        return Windows(rules, scope=scope, slot_s=slot_s)

    def _born(self, since: float) -> dict[int, float]:
        """Return when workers started: the young ones are left out where a rule says so."""
        query = self._query
        found = query.store.workers(
            service=query.service, environment=query.environment, seen_since=since
        )
        return {one.id: one.started_at for one in found}

    def _border(self, slots_kept_s: float) -> int:
        """Return from when on slots fill every window, or are all there is."""
        query = self._query
        begin = align_up(max(query.now - slots_kept_s, query.begin), MINUTE_S)
        first = self._first(query.slot_s, begin, query.end)
        if first is None:
            return align_up(query.end, MINUTE_S)
        first = align_up(first, MINUTE_S)
        before = range(slot_start(first, HOUR_S) - HOUR_S, first, HOUR_S)
        if any(self._first(MINUTE_S, at, min(at + HOUR_S, first)) is not None for at in before):
            kept_s = align_up(self._windows(query.slot_s).kept_s, MINUTE_S)
            return max(first + kept_s, query.begin)
        return max(slot_start(first, MINUTE_S) - MINUTE_S, query.begin)

    def _first(self, resolution: int, since: float, until: float) -> int | None:
        """Find the first frame of a span, hour by hour."""
        start = int(since)
        while start < until:
            end = min(slot_start(start, HOUR_S) + HOUR_S, until)
            frames = self._frames(resolution, start, end, ())
            if frames:
                return min(one.key.start for one in frames)
            start = int(end) if end < until else int(until) + 1
        return None

    def _minutes(self, windows: Windows, border: int) -> Iterator[list[Frame]]:
        """Read minutes, and the windows before them, hour by hour."""
        query = self._query
        since = max(query.begin - align_up(windows.kept_s, MINUTE_S), 0)
        for reading in read_pieces(
            query.store,
            service=query.service,
            environment=query.environment,
            since=since,
            border=query.begin,
            until=border,
            slot_s=query.slot_s,
            metrics=windows.metrics,
            minutes_from=since,
        ):
            self.coarse_s += sum(one >= query.begin for one in reading.hours) * HOUR_S
            yield [one for one in reading.frames if one.key.resolution <= MINUTE_S]
            self._read(reading.start, border)

    def _slots(self, windows: Windows, border: int) -> Iterator[list[Frame]]:
        """Read slots, and the windows before them, hour by hour."""
        start = max(border - windows.kept_s, 0)
        while start < self._query.end:
            end = min(slot_start(start, HOUR_S) + HOUR_S, self._query.end)
            yield self._frames(self._query.slot_s, start, end, windows.metrics)
            self._read(max(start, border), end)
            start = int(end) if end < self._query.end else int(end) + 1

    def _read(self, start: float, end: float) -> None:
        begin = max(start, self._query.begin)
        hour = slot_start(begin, HOUR_S) + HOUR_S
        self._on_read(max(int(min(end, hour) - begin), 0))

    def _frames(
        self, resolution: int, since: float, until: float, metrics: Sequence[str] | frozenset[str]
    ) -> list[Frame]:
        query = self._query
        return query.store.frames(
            resolution,
            since=since,
            until=until,
            service=query.service,
            environment=query.environment,
            metrics=metrics,
        )

    def _judge(self, windows: Windows, frames: list[Frame], slot_s: int, *, since: float) -> None:
        """Take in frames, and judge each slot as soon as it is full."""
        pending: int | None = None
        for frame in sorted(frames, key=attrgetter("key")):
            start = slot_start(frame.key.start, slot_s)
            if pending is not None and start != pending:
                self._step(windows, pending, slot_s, since=since)
            windows.add(frame)
            pending = start
        if pending is not None:
            self._step(windows, pending, slot_s, since=since)

    def _step(self, windows: Windows, start: int, slot_s: int, *, since: float) -> None:
        if start < since:
            return  # it only fills the windows
        self.judged += 1
        if self.judged % FORGET_EVERY == 0:
            windows.forget(before=start - windows.kept_s)
        now = start + slot_s - JUST_BEFORE_S
        self._checks.until(now)
        for replay in self.replays.values():
            self._query.pause()
            if isinstance(replay.rule.when, CheckFailing):
                for check in self._checks.known(now):
                    if _is_meant(replay.rule, check.name):
                        group = write_labels(((CHECK_LABEL, check.name),))
                        replay.step(group, check, now=now, slot_s=slot_s, settled_until=now)
            else:
                self._compare(replay, windows, now=now, slot_s=slot_s)

    def _compare(self, replay: Replay, windows: Windows, *, now: float, slot_s: int) -> None:
        rule = replay.rule
        groups = {*windows.groups(rule.name), *replay.lasting(), *([] if rule.by else [""])}
        for group in groups:
            seen = Evidence(windows=windows.windows(rule.name, group))
            replay.step(group, seen, now=now, slot_s=slot_s, settled_until=now)


def _check_changes(query: Query) -> list[CheckChange]:
    """Read what became of health checks since before the span, the newest first."""
    return query.store.check_changes(
        service=query.service, environment=query.environment, since=0.0, limit=MAX_CHANGES
    )


def _is_meant(rule: Rule, check: str) -> bool:
    filters = rule.when.filters if isinstance(rule.when, CheckFailing) else ()
    labels = {CHECK_LABEL: check}
    return not rule.skips(labels) and all(
        part.accepts(labels.get(part.label, "")) for part in filters
    )


def _events(query: Query, rule: Rule) -> list[tuple[float, str]]:
    """List when issues began or came back, as far as a rule is about them, oldest first."""
    here = {"service": query.service, "environment": query.environment}
    found: list[tuple[float, Issue]] = []
    if ISSUE_NEW in rule.on:
        issues = query.store.issues(
            **here, seen_since=query.begin, first_seen_since=query.begin, limit=MAX_EVENTS
        )
        installed = float(query.store.meta("installed_at") or 0.0)
        found += [
            (one.first_at, one) for one in issues if one.first_at >= installed + rule.quiet_s
        ]
    if ISSUE_CAME_BACK in rule.on:
        returns = query.store.issue_returns(**here, since=query.begin, limit=MAX_EVENTS)
        found += [(entry.at, issue) for entry, issue in returns]
    told = [
        (at, f'issue="{issue.id}"')
        for at, issue in found
        if query.begin <= at < query.end and rule.is_reached_by(issue.level)
    ]
    return sorted(told)
