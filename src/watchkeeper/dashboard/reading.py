"""Reading a window, its tiers joined without gap or double count."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Final

from watchkeeper.core.catalogue import SELF_UP
from watchkeeper.core.hours import HOUR_S
from watchkeeper.core.metrics import Across, Series
from watchkeeper.core.slot import Frame, FrameKey, Gauge, Value, slot_start
from watchkeeper.dashboard.windows import MINUTE_S
from watchkeeper.storage.store import ALL_WORKERS, HourRow, Store

PIECE_S: Final = HOUR_S  # read at once; of a whole day heavy traffic's frames fill a gigabyte
MAX_RUN_S: Final = 12 * HOUR_S  # whole hours read at once: a histogram of each series and hour
MAX_SUMMED_RUN_S: Final = 7 * 24 * HOUR_S  # where there are only few series of each hour
SETTLING_S: Final = 2.0  # the jitter of flushes: until then a slot may lack a worker

_Piece = tuple[int, float, bool]  # start, end, and whether it is read as whole hours


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Frames from `start` on, in order of time.

    `minutes` are the starts of those served by minute frames, `hours` those of whole hours;
    `covered_s` says of an hour's start for how many of its seconds there is data.
    """

    start: int
    frames: tuple[Frame, ...]
    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    covered_s: Mapping[int, int] = field(default_factory=dict)
    summed: frozenset[int] = frozenset()  # hours of which only `summed_metrics` were read


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is read: some metrics of a scope, and the sealed hours of it with their minutes."""

    store: Store
    service: str
    environment: str
    metrics: Collection[str]
    slot_s: int
    slots_from: int
    fine_from: float
    sealed: Mapping[int, int]
    means: bool
    summed_metrics: Collection[str]


def read_pieces(
    store: Store,
    *,
    service: str,
    environment: str,
    since: int,
    border: int,
    until: float,
    slot_s: int,
    metrics: Collection[str],
    minutes_from: float | None = None,
    fine_from: int | None = None,
    means: bool = False,
    summed_metrics: Collection[str] = (),
) -> Iterator[Reading]:
    """Read some metrics' values of [since, until), in pieces, none of them across `border`.

    Each moment comes from exactly one tier. Of sealed hours rows serve where the whole hour is
    wanted, until `minutes_from` (None: everywhere), else the chunks of their minutes, as far as
    they are kept. Of hours not sealed yet minute frames serve for what is rolled up, slots for
    what starts at or after the end of the newest minute frame. With `fine_from` slots serve from
    that moment on for every minute that they cover in whole. `since`, `border` and `fine_from`
    are whole minutes. What came late appears with the next roll-up.

    Of whole sealed hours `summed_metrics` are read in the place of `metrics` if there are any;
    such a piece says so.

    The gauges of whole hours hold the hour's last reading as `last`; with `means` the mean of the
    readings of its minutes, those that are missing counting as 0 where gauges are added up. Two
    queries, and one for each run of whole hours, one or two for each other hour or part of one.
    """
    sealed = store.sealed_hours(
        since=slot_start(since, HOUR_S), until=until, service=service, environment=environment
    )
    rolled = int(store.rolled_until(MINUTE_S, since=since))
    asked = _Asked(
        store=store,
        service=service,
        environment=environment,
        metrics=metrics,
        slot_s=slot_s,
        slots_from=rolled if fine_from is None else min(rolled, fine_from),
        fine_from=until if fine_from is None else fine_from,
        sealed=sealed,
        means=means,
        summed_metrics=summed_metrics,
    )
    hours_until = until if minutes_from is None else minutes_from
    pieces = [
        (start, end, end - start == HOUR_S and start in sealed and start < hours_until)
        for start, end in _pieces(since, border, until)
    ]
    longest = MAX_SUMMED_RUN_S if summed_metrics else MAX_RUN_S
    for start, end, whole in _runs(pieces, border, longest):
        yield _hours(asked, start, int(end)) if whole else _minutes(asked, start, end)


def _pieces(since: int, border: int, until: float) -> Iterator[tuple[int, float]]:
    """Yield the (start, end) of each hour or part of one, oldest first."""
    for begin, end in ((since, min(border, until)), (border, until)):
        start = begin
        while start < end:
            following = min(slot_start(start, PIECE_S) + PIECE_S, end)
            yield start, following
            start = ceil(following)


def _runs(pieces: Sequence[_Piece], border: int, longest: int) -> Iterator[_Piece]:
    """Join neighbouring whole hours, up to a number of them and not across the border."""
    run: _Piece | None = None
    for start, end, whole in pieces:
        if run is not None:
            if whole and start != border and run[1] == start and end - run[0] <= longest:
                run = (run[0], end, True)
                continue
            yield run
            run = None
        if whole:
            run = (start, end, True)
        else:
            yield start, end, False
    if run is not None:
        yield run


def _hours(asked: _Asked, start: int, end: int) -> Reading:
    """Read the rows of sealed hours; each becomes a frame, whether it has values or not."""
    summing = bool(asked.summed_metrics)
    covered = {at: asked.sealed[at] for at in range(start, end, HOUR_S)}
    values: dict[int, dict[Series, Value]] = {at: {} for at in covered}
    for row in asked.store.hours(
        since=start,
        until=end,
        service=asked.service,
        environment=asked.environment,
        metrics=asked.summed_metrics if summing else asked.metrics,
    ):
        mean = asked.means and row.hour.last is not None
        value = _mean(row, covered[row.start]) if mean else row.hour.value()
        values[row.start][row.series] = value
    return Reading(
        start=start,
        frames=tuple(
            Frame(key=FrameKey(HOUR_S, at, ALL_WORKERS, 0), values=values[at]) for at in covered
        ),
        hours=frozenset(covered),
        covered_s={at: minutes * MINUTE_S for at, minutes in covered.items()},
        summed=frozenset(covered) if summing else frozenset(),
    )


def _mean(row: HourRow, minutes: int) -> Gauge:
    """Return a gauge whose `last` is the mean of its minutes.

    What is added up over workers is 0 where it has no reading: of workers that took turns within
    the hour the sum is right.
    """
    hour = row.hour
    count = minutes if row.series.across is Across.SUM else hour.count
    return Gauge(hour.sum / max(count, 1), hour.min, hour.max)


def _minutes(asked: _Asked, start: int, end: float) -> Reading:
    hour = slot_start(start, HOUR_S)
    sealed = hour in asked.sealed
    summing = bool(sealed and asked.summed_metrics and end - start == HOUR_S)
    minutes = (
        _of_chunks(asked, hour, start, end, summing=summing)
        if sealed
        else _of_frames(asked, start, end)
    )
    if sealed and not minutes and end - start == HOUR_S:
        return _hours(asked, start, int(end))  # minutes of so long ago are kept no more
    if summing:
        return replace(_joined(start, minutes, [], asked.slot_s), summed=frozenset((start,)))
    slots_from = asked.fine_from if sealed else asked.slots_from
    slots: list[Frame] = []
    if slots_from < end and asked.slot_s < MINUTE_S:
        slots = asked.store.frames(
            asked.slot_s,
            since=max(slots_from, start),
            until=end,
            service=asked.service,
            environment=asked.environment,
            metrics=asked.metrics,
        )
    return _joined(start, minutes, slots, asked.slot_s)


def _of_frames(asked: _Asked, start: int, end: float) -> list[Frame]:
    return asked.store.frames(
        MINUTE_S,
        since=start,
        until=end,
        service=asked.service,
        environment=asked.environment,
        metrics=asked.metrics,
    )


def _of_chunks(asked: _Asked, hour: int, start: int, end: float, *, summing: bool) -> list[Frame]:
    """Read the minutes of a sealed hour; one is there if anything was stored of it."""
    minutes = asked.store.minutes(
        hour,
        service=asked.service,
        environment=asked.environment,
        metrics=(*(asked.summed_metrics if summing else asked.metrics), SELF_UP.name),
    )
    return [one for one in minutes if start <= one.key.start < end]


def _joined(start: int, minutes: list[Frame], slots: list[Frame], slot_s: int) -> Reading:
    whole = _whole_minutes(slots, slot_s)
    chosen = frozenset(frame.key.start for frame in minutes) - whole
    return Reading(
        start=start,
        frames=(
            *(frame for frame in minutes if frame.key.start in chosen),
            *(frame for frame in slots if slot_start(frame.key.start, MINUTE_S) not in chosen),
        ),
        minutes=chosen,
    )


def _whole_minutes(slots: list[Frame], slot_s: int) -> frozenset[int]:
    """Return the minutes of which every slot is there."""
    starts: dict[int, set[int]] = {}
    for frame in slots:
        starts.setdefault(slot_start(frame.key.start, MINUTE_S), set()).add(frame.key.start)
    return frozenset(at for at, found in starts.items() if len(found) * slot_s >= MINUTE_S)
