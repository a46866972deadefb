"""The recorder: what requests and instruments write into, and what the flusher takes out."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import inf
from threading import Lock
from time import perf_counter, sleep
from typing import Final

from watchkeeper.core.catalogue import CATALOGUE, HTTP_DISCONNECTS, HTTP_DURATION
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import OTHER, UNMATCHED, Kind, Metric, Scope, Series
from watchkeeper.core.pace import MIN_BAD, is_trouble
from watchkeeper.core.slot import Gauge, Value

FOLD_AT: Final = 256  # values that wait in a series before a recording thread folds them: ~50 µs
MAX_LABEL_CHARS: Final = 200
MAX_LABEL_VALUES: Final = 50  # per label of a metric that the user declared
MAX_OVERFLOW: Final = 200  # series beyond the cap that hold "(other)"; past them one per metric
WORK_S: Final = 0.001  # take() gives way to the request threads after so long

_CATALOGUE_NAMES: Final = frozenset(metric.name for metric in CATALOGUE)
_KEPT: Final = frozenset({"method", "status"})  # bounded by nature; error rates need them


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
        pending = self.pending
        pending.append(value)
        if len(pending) >= FOLD_AT and self._lock.acquire(blocking=False):
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
        self.pending = []
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


class _Nowhere(_LiveCounter):
    """Where values go when even "(other)" has no room; the recorder counts them as dropped."""

    __slots__ = ()

    def record(self, value: float) -> None:
        """Drop the value."""


_LIVE: Final[dict[Kind, type[LiveSeries]]] = {
    Kind.COUNTER: _LiveCounter,
    Kind.GAUGE: _LiveGauge,
    Kind.HISTOGRAM: _LiveHistogram,
}


class Recorder:
    """Every live series of this process, bounded at the moment a series is created.

    `active` holds the requests being answered: any unique key → start (perf_counter).
    `slow_s` is the duration above which a finished request is worth `note_bad()`.
    `dropped` counts what was left out since the process started, by what it was.
    """

    def __init__(self, scope: Scope, *, max_series: int = 2000, max_routes: int = 300) -> None:
        """Record for a scope, whose labels every series gets."""
        self.active: dict[int, float] = {}
        self.slow_s = inf
        self._scope = scope
        self._max_series = max_series
        self._max_routes = max_routes
        self._lock = Lock()
        self._live: dict[tuple[str, ...], LiveSeries] = {}
        self._requests: list[LiveSeries] = []
        self._values: dict[tuple[str, str], set[str]] = {}
        self.dropped: Counter[str] = Counter()
        self._bad = 0
        self._look_at = MIN_BAD
        self._error_rate = 0.0
        self._on_trouble: Callable[[], None] = _nothing

    @property
    def size(self) -> int:
        """How many series there are."""
        return len(self._live)

    def series(self, metric: Metric, labels: Mapping[str, str] | None = None) -> LiveSeries:
        """Return the live series of a metric and its label values, creating it when new.

        Beyond a cap, label values become "(other)" and the call is counted as dropped.
        Raises KeyError if one of the metric's labels is missing.
        """
        key = (
            (metric.name, *[labels[name] for name in metric.labels]) if labels else (metric.name,)
        )
        live = self._live.get(key)
        if live is not None:
            return live
        if len(key) != len(metric.labels) + 1:
            raise KeyError(f"{metric.name} needs the labels {', '.join(metric.labels)}")
        with self._lock:
            return self._create(metric, list(key[1:]))

    def take(self) -> dict[Series, Value]:
        """Hand over and close everything recorded since the last call.

        Series without new data are left out. For one thread at a time, the flusher.
        """
        with self._lock:
            self._bad, self._look_at = 0, MIN_BAD
            every = list(self._live.values())
        taken: dict[Series, Value] = {}
        until = perf_counter() + WORK_S
        for live in every:
            value = live.take()
            if value is not None:
                taken[live.series] = value
            if perf_counter() > until:
                sleep(0)
                until = perf_counter() + WORK_S
        return taken

    def drop(self, what: str, count: int = 1) -> None:
        """Count something left out."""
        with self._lock:
            self.dropped[what] += count

    def watch_for(
        self, *, error_rate: float, slow_s: float, on_trouble: Callable[[], None]
    ) -> None:
        """Call `on_trouble` when the open slot looks bad: more than two failed or slow requests
        and a share of them above `error_rate`; looked at each time that their number doubled.

        `slow_s` (seconds) is what makes a request slow. `on_trouble` runs within a request: it may
        set an event, nothing more.
        """
        self.slow_s = slow_s
        self._error_rate = error_rate
        self._on_trouble = on_trouble

    def note_bad(self) -> None:
        """Count a failed or slow request of the open slot."""
        with self._lock:
            self._bad += 1
            if self._bad < self._look_at:
                return
            self._look_at = self._bad * 2
        bad, total = self.local_rate()
        if is_trouble(bad=bad, total=total, error_rate=self._error_rate):
            self._on_trouble()

    def local_rate(self) -> tuple[int, int]:
        """Return (bad, all) requests of this process since the last take."""
        return self._bad, sum(live.recorded() for live in list(self._requests))

    def reset(self) -> None:
        """Forget what was recorded: for the child of a fork, whose parent keeps it."""
        self._lock = Lock()
        self.active.clear()
        self._bad, self._look_at = 0, MIN_BAD
        for live in self._live.values():
            live.reset()

    def _create(self, metric: Metric, values: list[str]) -> LiveSeries:
        """Find or make the series within the caps; the lock is held."""
        admitted = tuple(map(partial(self._admitted, metric), metric.labels, map(_clean, values)))
        live = self._live.get((metric.name, *admitted))
        if live is not None:
            return live
        for room, candidate in self._candidates(metric, admitted):
            live = self._live.get((metric.name, *candidate))
            if live is None and len(self._live) < room:
                live = self._add(metric, candidate)
            if live is not None:
                if candidate != admitted:
                    self.dropped["series"] += 1
                return live
        self.dropped["series"] += 1
        return _Nowhere(Series(metric.name, Kind.COUNTER, ()))

    def _candidates(
        self, metric: Metric, values: tuple[str, ...]
    ) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield ever coarser label values, each with the number of series it needs to be below."""
        yield self._max_series, values
        kept = _KEPT if metric.name in _CATALOGUE_NAMES else frozenset()
        yield (
            self._max_series + MAX_OVERFLOW,
            tuple(
                value if name in kept else OTHER
                for name, value in zip(metric.labels, values, strict=True)
            ),
        )
        yield self._max_series + 2 * MAX_OVERFLOW, (OTHER,) * len(values)

    def _admitted(self, metric: Metric, name: str, value: str) -> str:
        """Return the label's value, or "(other)" if its metric has too many of them."""
        if metric.name not in _CATALOGUE_NAMES:
            where, most, what = metric.name, MAX_LABEL_VALUES, "label_values"
        elif name == "route":
            where, most, what = "", self._max_routes, "routes"
        else:
            return value
        known = self._values.setdefault((where, name), set())
        if value in known or value in (OTHER, UNMATCHED):
            return value
        if len(known) < most:
            known.add(value)
            return value
        self.dropped[what] += 1
        return OTHER

    def _add(self, metric: Metric, values: tuple[str, ...]) -> LiveSeries:
        own = zip(metric.labels, values, strict=True)
        labels = tuple(sorted((*own, *self._scope.labels)))
        live = _LIVE[metric.kind](Series(metric.name, metric.kind, labels, metric.across))
        self._live[metric.name, *values] = live
        if metric.name in (HTTP_DURATION.name, HTTP_DISCONNECTS.name):
            self._requests.append(live)
        return live


def _clean(value: str) -> str:
    """Cut a label value to its maximum and replace what no database takes as text."""
    value = value[:MAX_LABEL_CHARS]
    if value.isprintable():
        return value
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in value)


def _nothing() -> None:
    """Do nothing: nobody watches for trouble yet."""
