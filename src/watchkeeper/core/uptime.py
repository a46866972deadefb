"""Uptime: how long something passed, warned, failed or was unknown, from its changes of state."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from watchkeeper.core.health import CheckState


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time, [start, end), in seconds since the epoch."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Change:
    """A state that began at a moment."""

    at: float
    state: CheckState


@dataclass(frozen=True, slots=True)
class Stretch:
    """A span of time in one state."""

    start: float
    end: float
    state: CheckState


@dataclass(frozen=True, slots=True, kw_only=True)
class Uptime:
    """Seconds in each state. What is unknown is neither good nor bad: it is no part of `share`."""

    pass_s: float = 0.0
    warn_s: float = 0.0
    fail_s: float = 0.0
    unknown_s: float = 0.0

    @property
    def known_s(self) -> float:
        """The seconds of which the state is known."""
        return self.pass_s + self.warn_s + self.fail_s

    @property
    def share(self) -> float | None:
        """The share of the known time without failure, 0 to 1; None if nothing is known."""
        known_s = self.known_s
        return (self.pass_s + self.warn_s) / known_s if known_s > 0 else None


# Which state several have together: the first of these that one of them is in.
ANY_TELLS: Final = (CheckState.FAIL, CheckState.WARN, CheckState.PASS, CheckState.UNKNOWN)
ALL_TELL: Final = (CheckState.FAIL, CheckState.UNKNOWN, CheckState.WARN, CheckState.PASS)


def joined(spans: Iterable[Span]) -> list[Span]:
    """Return the same time as spans in order that neither touch nor overlap."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda one: one.start):
        if span.end <= span.start:
            continue
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def overlap(some: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """Return the time that is in both; each is in order and does not overlap itself."""
    found, this, that = [], 0, 0
    while this < len(some) and that < len(others):
        one, other = some[this], others[that]
        start, end = max(one.start, other.start), min(one.end, other.end)
        if start < end:
            found.append(Span(start, end))
        if one.end < other.end:
            this += 1
        else:
            that += 1
    return found


def stretches(
    changes: Iterable[Change], *, before: CheckState, start: float, end: float
) -> list[Stretch]:
    """Cut [start, end) into spans of one state.

    `before` is the state until the first change. Of changes at the same moment the last one given
    holds from then on; their order does not matter otherwise.
    """
    state, within = before, []
    for change in sorted(changes, key=lambda one: one.at):
        if change.at <= start:
            state = change.state
        elif change.at < end:
            within.append(change)
    starts = [Change(start, state), *within]
    ends = [*(change.at for change in within), end]
    return [
        Stretch(change.at, until, change.state)
        for change, until in zip(starts, ends, strict=True)
        if change.at < until
    ]


def where_known(parts: Sequence[Stretch], known: Sequence[Span]) -> list[Stretch]:
    """Make unknown what lies outside of the spans of which anything is known; all in order."""
    found = []
    covered = deque(overlap([Span(part.start, part.end) for part in parts], known))
    for part in parts:
        at = part.start
        while covered and covered[0].start < part.end:
            span = covered.popleft()
            if at < span.start:
                found.append(Stretch(at, span.start, CheckState.UNKNOWN))
            found.append(Stretch(span.start, span.end, part.state))
            at = span.end
        if at < part.end:
            found.append(Stretch(at, part.end, CheckState.UNKNOWN))
    return found


def together(
    several: Iterable[Iterable[Stretch]],
    *,
    order: Sequence[CheckState],
    start: float,
    end: float,
) -> list[Stretch]:
    """Return the state that several have together over [start, end).

    At each moment it is the first one of `order` that any of them is in; where none says
    anything it is unknown.
    """
    edges = {start, end}
    turns: list[tuple[float, int, CheckState]] = []
    for part in (part for parts in several for part in parts):
        began, ended = max(part.start, start), min(part.end, end)
        if began < ended:
            turns += [(began, 1, part.state), (ended, -1, part.state)]
            edges |= {began, ended}
    turns.sort(key=lambda turn: turn[0])
    return _merged(_swept(sorted(edges), turns, order))


def tally(parts: Iterable[Stretch]) -> Uptime:
    """Add up the seconds of each state."""
    spent = dict.fromkeys(CheckState, 0.0)
    for part in parts:
        spent[part.state] += part.end - part.start
    return Uptime(
        pass_s=spent[CheckState.PASS],
        warn_s=spent[CheckState.WARN],
        fail_s=spent[CheckState.FAIL],
        unknown_s=spent[CheckState.UNKNOWN],
    )


def uptime(
    changes: Iterable[Change],
    *,
    before: CheckState,
    start: float,
    end: float,
    known: Sequence[Span],
) -> Uptime:
    """Tell how long it was in each state within [start, end).

    Outside of `known`, spans in order that do not overlap, nobody looked: that time is unknown,
    whatever the last state was.
    """
    return tally(where_known(stretches(changes, before=before, start=start, end=end), known))


def _swept(
    edges: Sequence[float],
    turns: Sequence[tuple[float, int, CheckState]],
    order: Sequence[CheckState],
) -> Iterator[Stretch]:
    """Yield the state between neighbouring edges; `turns` are in order of time."""
    there: Counter[CheckState] = Counter()
    at = 0
    for began, ended in pairwise(edges):
        while at < len(turns) and turns[at][0] <= began:
            there[turns[at][2]] += turns[at][1]
            at += 1
        state = next((one for one in order if there[one]), CheckState.UNKNOWN)
        yield Stretch(began, ended, state)


def _merged(parts: Iterable[Stretch]) -> list[Stretch]:
    """Join neighbours in the same state."""
    found: list[Stretch] = []
    for part in parts:
        if found and found[-1].state is part.state:
            found[-1] = Stretch(found[-1].start, part.end, part.state)
        else:
            found.append(part)
    return found
