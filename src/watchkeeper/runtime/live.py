"""One series of the open slot, filled by any thread and taken by the flusher."""

from collections.abc import Callable
from math import inf
from threading import Lock
from typing import Final

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Kind, Series
from watchkeeper.core.slot import Gauge, Value
from watchkeeper.runtime.caps import FoldedLabel

FOLD_AT: Final = 256  # values that wait in a series before a recording thread folds them: ~50 µs


class LiveSeries:
    """One series of the open slot. `record` may be called by any thread.

    Recording appends to a list, which no thread switch can tear apart; whoever fills the list up
    folds it into the value, and taking does the same under the same lock. So each value counts
    exactly once, in the slot that is open when it is folded.
    """

    __slots__ = ("_folded", "_lock", "pending", "series")

    def __init__(self, series: Series) -> None:
        """Start empty."""
        self.series = series
        self._lock = Lock()
        self._folded = 0
        self.pending: list[float] = []
        self._clear()

    def record(self, value: float) -> None:
        """Add one finite number: an increase, a reading or an observation."""
        self.pending.append(value)
        if len(self.pending) >= FOLD_AT:
            self.fold()

    def inlet(self) -> list[float]:
        """Return what may be appended to, in the place of a call of `record`, for ever.

        Who does calls `fold` whenever FOLD_AT values are there.
        """
        return self.pending

    def fold(self) -> None:
        """Add what is pending to the value, unless somebody else is at it."""
        if self._lock.acquire(blocking=False):
            try:
                self._fold()
            finally:
                self._lock.release()

    def take(self) -> Value | None:
        """Hand over what was recorded since the last call; None if nothing was."""
        with self._lock:
            self._fold()
            if not self._folded:
                return None
            value = self._value()
            self._folded = 0
            self._clear()
            return value

    def recorded(self) -> int:
        """Count the values recorded since the last take."""
        return self._folded + len(self.pending)

    def reset(self) -> None:
        """Forget everything, and a lock that another thread held when the process forked."""
        self._lock = Lock()
        self._folded = 0
        self.pending.clear()
        self._clear()

    def _fold(self) -> None:
        pending = self.pending
        count = len(pending)  # others may append meanwhile: those values stay for the next fold
        if count:
            chunk = pending[:count]
            del pending[:count]
            self._folded += count
            self._add(chunk)

    def _add(self, chunk: list[float]) -> None:
        """Add values to the accumulated one."""
        raise NotImplementedError

    def _value(self) -> Value:
        """Return the accumulated value, which is not touched afterwards."""
        raise NotImplementedError

    def _clear(self) -> None:
        """Begin a new accumulated value."""
        raise NotImplementedError


class _LiveCounter(LiveSeries):
    __slots__ = ("_total",)

    def _add(self, chunk: list[float]) -> None:
        self._total += sum(chunk)

    def _value(self) -> Value:
        return self._total

    def _clear(self) -> None:
        self._total = 0.0


class _LiveGauge(LiveSeries):
    __slots__ = ("_last", "_max", "_min")
    _min: float
    _max: float

    def _add(self, chunk: list[float]) -> None:
        self._last = chunk[-1]
        self._min = min(self._min, *chunk)
        self._max = max(self._max, *chunk)

    def _value(self) -> Value:
        return Gauge(self._last, self._min, self._max)

    def _clear(self) -> None:
        self._last, self._min, self._max = 0.0, inf, -inf


class _LiveHistogram(LiveSeries):
    __slots__ = ("_histogram",)

    def _add(self, chunk: list[float]) -> None:
        self._histogram.observe_many(chunk)

    def _value(self) -> Value:
        return self._histogram

    def _clear(self) -> None:
        self._histogram = Histogram()


class _Through(list[float]):
    """The inlet of a series that keeps no values itself."""

    __slots__ = ("_series",)

    def __init__(self, series: LiveSeries) -> None:
        super().__init__()
        self._series = series

    def append(self, value: float) -> None:
        """Record the value."""
        self._series.record(value)


class Nowhere(_LiveCounter):
    """Where values go when even "(other)" has no room."""

    __slots__ = ()

    def record(self, value: float) -> None:
        """Drop the value."""

    def inlet(self) -> list[float]:
        """Return what hands each value to `record`: nothing waits here."""
        return _Through(self)


NOWHERE: Final = Nowhere(Series("", Kind.COUNTER, ()))
"""Where the requests go that are not to be recorded."""


class Detour(LiveSeries):
    """The way of label values that found no room into the series that they are counted in."""

    __slots__ = ("_folded_labels", "_metric", "_note", "_target")

    def __init__(
        self,
        target: LiveSeries,
        note: Callable[[str, list[FoldedLabel]], None],
        metric: str,
        folded: list[FoldedLabel],
    ) -> None:
        """Record into `target`, telling `note` for each value what was folded."""
        self.series = target.series
        self._target = target
        self._note = note
        self._metric = metric
        self._folded_labels = folded

    def record(self, value: float) -> None:
        """Add one number to the target, and note that it was a detour."""
        self._target.record(value)
        self._note(self._metric, self._folded_labels)

    def inlet(self) -> list[float]:
        """Return what hands each value to `record`: nothing waits here."""
        return _Through(self)

    def take(self) -> Value | None:
        """Hand over nothing: the values are the target's."""
        return None

    def recorded(self) -> int:
        """Count nothing: the values are the target's."""
        return 0


_LIVE: Final[dict[Kind, type[LiveSeries]]] = {
    Kind.COUNTER: _LiveCounter,
    Kind.GAUGE: _LiveGauge,
    Kind.HISTOGRAM: _LiveHistogram,
}


def live_series(series: Series) -> LiveSeries:
    """Make an empty live series of the right kind."""
    return _LIVE[series.kind](series)
