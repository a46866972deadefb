"""Merging slots: over workers at one moment, then over time; no observation lost or doubled."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Across, Series
from watchkeeper.core.slot import Frame, Gauge, Value

Values = Mapping[Series, Value]

TURN: Final = 100  # values merged before others get their turn: about half a millisecond


def merge_workers(parts: Iterable[Values]) -> dict[Series, Value]:
    """Combine the values that several workers hold for the same slot."""
    return _merge(parts, over_time=False)


def merge_time(parts: Iterable[Values]) -> dict[Series, Value]:
    """Combine the values of one worker, or of all, over successive spans, oldest first."""
    return _merge(parts, over_time=True)


def merge_frames(
    frames: Iterable[Frame], *, pause: Callable[[], object] | None = None
) -> dict[Series, Value]:
    """Combine frames of any workers and slots into one span.

    The flushes of one worker and slot follow each other, workers stand side by side within a
    slot, and slots follow each other; only gauges can tell the difference. `pause` is called
    for each frame, and again after each hundred of its values, to give way to others.
    """
    slots: dict[int, dict[int, list[Frame]]] = {}
    for frame in sorted(frames, key=lambda frame: frame.key):
        slots.setdefault(frame.key.start, {}).setdefault(frame.key.worker, []).append(frame)
    return _merge(
        (
            _side_by_side([_one_worker(parts, pause) for parts in workers.values()], pause)
            for _, workers in sorted(slots.items())
        ),
        over_time=True,
        pause=pause,
    )


def _side_by_side(parts: list[Values], pause: Callable[[], object] | None) -> Values:
    return parts[0] if len(parts) == 1 else _merge(parts, over_time=False, pause=pause)


def _one_worker(frames: list[Frame], pause: Callable[[], object] | None) -> Values:
    if len(frames) == 1:
        return frames[0].values
    # The rows of a rolled-up minute (worker 0) are parts of the same minute: a late worker's
    # share stands beside the rest instead of after it.
    stands_for_all = frames[0].key.worker == 0
    values = (frame.values for frame in frames)
    return _merge(values, over_time=not stands_for_all, pause=pause)


def _merge(
    parts: Iterable[Values], *, over_time: bool, pause: Callable[[], object] | None = None
) -> dict[Series, Value]:
    merged: dict[Series, Value] = {}
    for part in parts:
        for number, (series, value) in enumerate(part.items()):
            if pause is not None and number % TURN == 0:
                pause()
            before = merged.get(series)
            if isinstance(value, Histogram):
                # The first histogram is copied: merging must not change what the caller holds.
                if before is None:
                    merged[series] = value.copy()
                elif isinstance(before, Histogram):
                    before.merge(value)
            elif before is None:
                merged[series] = value
            elif isinstance(value, Gauge) and isinstance(before, Gauge):
                merged[series] = _gauges(before, value, series.across, over_time=over_time)
            elif isinstance(value, float | int) and isinstance(before, float | int):
                merged[series] = before + value
    return merged


def _gauges(before: Gauge, value: Gauge, across: Across, *, over_time: bool) -> Gauge:
    if not over_time and across is Across.SUM:
        return Gauge(before.last + value.last, before.min + value.min, before.max + value.max)
    last = max(before.last, value.last) if not over_time and across is Across.MAX else value.last
    return Gauge(last, min(before.min, value.min), max(before.max, value.max))
