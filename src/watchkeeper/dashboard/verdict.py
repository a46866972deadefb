"""A release beside the one before it and beside last week: read by the workers' release."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from watchkeeper.core.metrics import OTHER, QUIET, UNMATCHED, Series
from watchkeeper.core.release_verdict import (
    ALPHA,
    MIN_REQUESTS,
    Against,
    ReleaseVerdict,
    judge,
)
from watchkeeper.core.route_minutes import Minute, Route, Sample
from watchkeeper.core.slot import Frame, Value, slot_start
from watchkeeper.dashboard.reading import Reading, read_pieces
from watchkeeper.dashboard.tallies import ROUTE_METRICS, Adding
from watchkeeper.dashboard.windows import MINUTE_S
from watchkeeper.storage.store import Release, Store

WEEK_S: Final = 7 * 86_400.0
LEAST_BEFORE_S: Final = 3_600.0  # of the release before: at least the last hour of it
MAX_SPAN_S: Final = 6 * 3_600.0  # of a release: what comes later is another time of the day
MAX_MARKS: Final = 100
MAX_EARLIER: Final = 5  # marks that are looked at for a release that served before
ENOUGH_BEFORE: Final = 0.1  # of what the release itself answered; fewer was a failed deploy
LONG_S: Final = 3_600.0  # of a span that is longer, minutes are read five by five: less memory
LONG_MINUTES: Final = 5
EARLY_S: Final = 60.0
AHEAD_S: Final = 60.0  # a worker's clock may be ahead of ours
NOT_JUDGED: Final = frozenset({QUIET, UNMATCHED, OTHER})  # nobody's route, or several at once


class Missing(StrEnum):
    """What keeps a verdict from being reached at all."""

    NOTHING = "nothing"
    NOT_SEEN = "not_seen"  # the release has no mark: no worker runs it
    NOT_SERVED = "not_served"  # it is marked, but no worker that names it answered anything
    WARMING_UP = "warming_up"  # all that it answered so far was while it warmed up
    NO_OTHER = "no_other"  # there is no release before it, and nothing of last week


class Basis(StrEnum):
    """What a request's release is known by."""

    WORKERS = "workers"  # the release that its worker runs
    TIME = "time"  # workers name none: before or after the mark that somebody set


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What was compared: spans are (start, end) in seconds since the epoch.

    `beside` are the references that there was anything of.
    """

    release: str
    marked_at: float
    basis: Basis
    span: tuple[float, float]
    previous: str | None
    previous_span: tuple[float, float]
    last_week_span: tuple[float, float]
    beside: tuple[Against, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The verdict on a release, and what it rests on; None where there is none to reach."""

    at: float
    missing: Missing
    compared: Compared | None = None
    verdict: ReleaseVerdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which release of a scope is asked about, and beside which other one."""

    store: Store
    service: str
    environment: str
    slot_s: int
    release: str
    against: str = ""  # empty: the one that was marked before it
    routes: tuple[str, ...] = ()  # none: all
    warm_up_s: float = 0.0
    pause: Callable[[], None] = lambda: None
    minutes: int = 1  # how many are read as one


def marks_of(asked: Asked, *, now: float) -> tuple[Release | None, list[Release]]:
    """Return the newest mark of the release, and those of what it may be compared with.

    These are the named one, or the releases marked before it, newest first.
    """
    found = asked.store.releases(
        service=asked.service,
        environment=asked.environment,
        since=0.0,
        until=now + AHEAD_S,
        limit=MAX_MARKS,
    )
    mine = next((one for one in found if one.scope.release == asked.release), None)
    if asked.against:
        return mine, [one for one in found if one.scope.release == asked.against][:1]
    if mine is None:
        return None, []
    before = {
        one.scope.release: one
        for one in reversed(found)
        if one.at <= mine.at and one.scope.release != asked.release
    }
    return mine, sorted(before.values(), key=lambda one: -one.at)[:MAX_EARLIER]


def reach(asked: Asked, *, now: float, alpha: float = ALPHA) -> Verdict:
    """Judge what there is by now.

    A request belongs to the release of the worker that answered it, so that old and new workers
    side by side are told apart. The release before is read from an hour (or as long as the
    release is live, if that is longer) before the mark on, last week in the same span of time.
    Where workers name no release, and somebody marked this one, time tells them apart.
    """
    mine, earlier = marks_of(asked, now=now)
    if mine is None:
        return Verdict(at=now, missing=Missing.NOT_SEEN)
    end = max(min(now, mine.at + MAX_SPAN_S), mine.at + asked.warm_up_s)
    if end - mine.at > LONG_S:
        asked = replace(asked, minutes=LONG_MINUTES)
    # A worker marks its release with its first slot, which holds what was answered before.
    start = mine.at + (asked.warm_up_s or -EARLY_S)
    new, by_time = read(asked, (start, end), asked.release), False
    if mine.by and not new:
        # Workers that name another release are that one, whenever somebody marked this one.
        unnamed = read(asked, (mine.at + asked.warm_up_s, end), "")
        if unnamed:
            start, new, by_time = mine.at + asked.warm_up_s, unnamed, True
    previous, span, sample = _before(asked, mine, earlier, end=end, new=new, by_time=by_time)
    last_week_span = (start - WEEK_S, end - WEEK_S)
    references = {
        Against.PREVIOUS: sample,
        Against.LAST_WEEK: read(asked, last_week_span, None),
    }
    references = {against: sample for against, sample in references.items() if sample}
    missing = Missing.NOTHING if references else Missing.NO_OTHER
    if not new:
        early = read(asked, (mine.at - EARLY_S, start), asked.release)
        missing = Missing.WARMING_UP if early else Missing.NOT_SERVED
    return Verdict(
        at=now,
        missing=missing,
        compared=Compared(
            release=asked.release,
            marked_at=mine.at,
            basis=Basis.TIME if by_time else Basis.WORKERS,
            span=(start, end),
            previous=previous or None,
            previous_span=span,
            last_week_span=last_week_span,
            beside=tuple(references),
        ),
        verdict=judge(new, references if new else {}, alpha=alpha),
    )


def _before(
    asked: Asked,
    mine: Release,
    earlier: Sequence[Release],
    *,
    end: float,
    new: Sample,
    by_time: bool,
) -> tuple[str, tuple[float, float], Sample]:
    """Read the newest earlier release that served enough: its name, span and requests.

    Between two releases there may be marks that nobody ran (a migration), and deploys that
    failed at once. Where none served enough it is the newest of them.
    """
    enough = max(MIN_REQUESTS, ENOUGH_BEFORE * _requests(new))
    before_s = max(LEAST_BEFORE_S, end - mine.at)
    until = mine.at if by_time else end
    names: dict[str, Release | None] = {one.scope.release: one for one in earlier}
    names = names or {asked.against: None}
    found: list[tuple[str, tuple[float, float], Sample]] = []
    for name, other in names.items():
        span = _previous_span(mine, other, before_s, until)
        sample = read(asked, span, None if by_time else name) if name else {}
        found.append((name, span, sample))
        if by_time or asked.against or _requests(sample) >= enough:
            return found[-1]
    return found[0]


def _requests(sample: Sample) -> int:
    return sum(one.requests for minutes in sample.values() for one in minutes)


def read(asked: Asked, span: tuple[float, float], release: str | None) -> Sample:
    """Read the minutes (or slots) of each route of one release; None: whatever release."""
    begin, end = span
    minutes: dict[int, Adding] = {}
    for piece in read_pieces(
        asked.store,
        service=asked.service,
        environment=asked.environment,
        since=slot_start(begin, MINUTE_S),
        border=slot_start(begin, MINUTE_S),
        until=end,
        slot_s=asked.slot_s,
        metrics=ROUTE_METRICS,
        minutes_from=begin,
    ):
        for frame in piece.frames:
            start = frame.key.start
            # A minute is counted if it began within the span, or is the one of its beginning.
            if start + frame.key.resolution <= begin:
                continue
            minute = slot_start(start, MINUTE_S * asked.minutes)
            values = _of_release(frame.values, release)
            kept: Frame = replace(frame, values=values)
            minutes.setdefault(minute, Adding()).add(
                Reading(start=start, frames=(kept,)), point_of=_point, pause=asked.pause
            )
    return _by_route(minutes, frozenset(asked.routes), asked.minutes)


def _previous_span(
    mine: Release, other: Release | None, before_s: float, end: float
) -> tuple[float, float]:
    """Return the time of the release before: a named one may have ended long ago."""
    if other is not None and other.at > mine.at:
        return other.at - EARLY_S, end  # what was marked later is compared as far as it goes
    return mine.at - before_s, end


def _of_release(values: Mapping[Series, Value], release: str | None) -> Mapping[Series, Value]:
    if release is None:
        return values
    return {
        series: value for series, value in values.items() if series.label("release") == release
    }


def _by_route(minutes: Mapping[int, Adding], wanted: frozenset[str], number: int) -> Sample:
    found: dict[Route, list[Minute]] = defaultdict(list)
    for _, adding in sorted(minutes.items()):
        for route, tally in adding.tallies(pause=_nothing).routes.items():
            if route[1] in NOT_JUDGED or not tally.requests:
                continue
            if wanted and route[1] not in wanted and " ".join(route) not in wanted:
                continue
            found[route].append(
                Minute(
                    requests=tally.requests,
                    errors=tally.errors,
                    durations=tally.latency(),
                    minutes=number,
                )
            )
    return dict(found)


def _point(frame: Frame) -> int:
    return frame.key.start


def _nothing() -> None:
    """Give no turn away: the sums are few."""
