"""The recorder: what requests and instruments write into, and what the flusher takes out."""

from collections import Counter
from collections.abc import Callable, Mapping
from math import inf
from threading import Lock
from typing import Final

from watchkeeper.core.catalogue import HTTP_DISCONNECTS, HTTP_DURATION
from watchkeeper.core.metrics import Kind, Metric, Scope, Series
from watchkeeper.core.pace import MIN_BAD, is_trouble
from watchkeeper.core.slot import Value
from watchkeeper.runtime.caps import Cap, Caps, FoldedLabel, clean
from watchkeeper.runtime.folded import Folded, FoldedValue
from watchkeeper.runtime.live import Detour, LiveSeries, Nowhere, live_series

MAX_DETOURS: Final = 256  # label sets remembered as folded; beyond them they are found anew


class Recorder:
    """Every live series of this process, bounded at the moment a series is created.

    `active` holds the start (perf_counter) of each request being answered. Two that begin within
    one tick of that clock are one: ticks are of nanoseconds where servers have threads.
    `slow_s` is the duration above which a finished request is worth `note_bad()`.
    `dropped` counts what was left out since the process started, by what it was.
    """

    def __init__(self, scope: Scope, *, max_series: int = 2000, max_routes: int = 300) -> None:
        """Record for a scope, whose labels every series gets."""
        self.active: set[float] = set()
        self.slow_s = inf
        self._scope = scope
        self._lock = Lock()
        self._live: dict[tuple[str, ...], LiveSeries] = {}
        self._requests: list[LiveSeries] = []
        self._caps = Caps(series=max_series, routes=max_routes)
        self._detours: dict[tuple[str, ...], LiveSeries] = {}  # of folded values, for speed
        self._folded = Folded(self._caps.most)
        self.dropped: Counter[str] = Counter()
        self._bad = 0
        self._look_at = MIN_BAD
        self._error_rate = 0.0
        self._on_trouble: Callable[[], None] = _nothing

    @property
    def scope(self) -> Scope:
        """What every series is of."""
        return self._scope

    @property
    def size(self) -> int:
        """How many series there are."""
        return len(self._live)

    def series(self, metric: Metric, labels: Mapping[str, str] | None = None) -> LiveSeries:
        """Return the live series of a metric and its label values, creating it when new.

        Beyond a cap, label values become "(other)"; each value recorded there is counted as
        dropped, and what the labels were is listed by `folded`.
        Raises KeyError if one of the metric's labels is missing.
        """
        key = (
            (metric.name, *[labels[name] for name in metric.labels]) if labels else (metric.name,)
        )
        live = self._live.get(key) or self._detours.get(key)
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
        from watchkeeper.storage.turns import give_way  # here, so that the host's start is short

        with self._lock:
            self._bad, self._look_at = 0, MIN_BAD
            every = list(self._live.values())
        taken: dict[Series, Value] = {}
        for live in every:
            value = live.take()
            if value is not None:
                taken[live.series] = value
            give_way()
        return taken

    def folded(self) -> list[FoldedValue]:
        """Return the label values that are counted as "(other)": the most frequent of each label.

        They are those of this worker, since it started.
        """
        with self._lock:
            return self._folded.rows()

    def newly_folded(self) -> list[str]:
        """Say where folding began since the last call, in sentences for the log."""
        with self._lock:
            return self._folded.sentences()

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

    @property
    def bad(self) -> int:
        """How many requests of this process failed or were slow since the last take."""
        return self._bad

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
        asked = tuple([clean(value) for value in values])
        admitted = self._caps.admit(metric, asked)
        for room, found in self._caps.candidates(metric, admitted):
            live = self._live.get((metric.name, *found))
            if live is None and len(self._live) < room:
                live = self._add(metric, found)
            if live is not None:
                if found == asked:
                    return live
                break
        else:
            live = Nowhere(Series(metric.name, Kind.COUNTER, ()))
        folded = self._caps.folded(metric, asked, admitted, found)
        detour = Detour(live, self._note_folded, metric.name, folded)
        if len(self._detours) >= MAX_DETOURS:
            self._detours.clear()
        self._detours[metric.name, *asked] = detour
        return detour

    def _note_folded(self, metric: str, folded: list[FoldedLabel]) -> None:
        """Count a value that was recorded elsewhere, and remember what its labels were."""
        with self._lock:
            # None is folded where a metric without labels found no room at all.
            for cap in {cap for cap, _, _ in folded} or (Cap.SERIES,):
                self.dropped[cap] += 1
            for cap, label, value in folded:
                self._folded.add(metric, label, value, cap=cap)

    def _add(self, metric: Metric, values: tuple[str, ...]) -> LiveSeries:
        own = zip(metric.labels, values, strict=True)
        labels = tuple(sorted((*own, *self._scope.labels)))
        live = live_series(Series(metric.name, metric.kind, labels, metric.across))
        self._live[metric.name, *values] = live
        self._caps.added(metric)
        if metric.name in (HTTP_DURATION.name, HTTP_DISCONNECTS.name):
            self._requests.append(live)
        return live


def _nothing() -> None:
    """Do nothing: nobody watches for trouble yet."""
