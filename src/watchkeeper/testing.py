"""For your own tests: what your code recorded, a clock you set, a store in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from watchkeeper.core import scrub as scrubber
from watchkeeper.core.catalogue import DB_STATEMENT
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Scope, Series
from watchkeeper.core.rollup import merge_time
from watchkeeper.core.slot import Gauge, Value
from watchkeeper.integrations.instruments import Instruments
from watchkeeper.runtime import instruments
from watchkeeper.runtime import observer as observers
from watchkeeper.runtime.details import is_expected
from watchkeeper.runtime.issues import Issues
from watchkeeper.runtime.observer import Observer
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.settings import Settings
from watchkeeper.storage.memory import MemoryStore

__all__ = ["ManualClock", "MemoryStore", "Recording", "fingerprint", "recording", "scrub"]

_SCOPE = Scope(service="test", environment="test")


@dataclass(slots=True)
class ManualClock:
    """A clock that stands still until it is moved; call it for the time."""

    now: float = 1_000_000_000.0

    def __call__(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self.now

    def move(self, seconds: float) -> None:
        """Let `seconds` pass; negative ones set the clock back."""
        self.now += seconds


class Recording:
    """What metrics, spans, jobs and instrumented libraries recorded within `recording()`."""

    def __init__(self, observer: Observer) -> None:
        """Read what an observer and its recorder were told."""
        self._observer = observer
        self._recorder = observer.recorder
        self._values: dict[Series, Value] = {}
        self._texts: dict[str, str] = {}  # of statements, by fingerprint

    def value(self, metric: str, **labels: str) -> float:
        """Return a counter's sum, a gauge's last value or a histogram's count.

        Sums over all series that carry these labels; 0 if there is none.
        """
        total = 0.0
        for value in self._matching(metric, labels):
            if isinstance(value, Histogram):
                total += value.count
            else:
                total += value.last if isinstance(value, Gauge) else value
        return total

    def histogram(self, metric: str, **labels: str) -> Histogram:
        """Return the observations of a histogram, merged over the series with these labels."""
        merged = Histogram()
        for value in self._matching(metric, labels):
            if isinstance(value, Histogram):
                merged.merge(value)
        return merged

    def statements(self) -> dict[str, int]:
        """Return how often each statement was executed, by its text without values.

        Of the libraries that were imported when the recording began.
        """
        for statement in self._observer.statements.take():
            self._texts[statement.fingerprint] = statement.text
        counts = {
            text: int(self.value(DB_STATEMENT.name, statement=fingerprint))
            for fingerprint, text in self._texts.items()
        }
        return {text: count for text, count in counts.items() if count}

    def _matching(self, metric: str, labels: dict[str, str]) -> Iterator[Value]:
        self._values = merge_time([self._values, self._recorder.take()])
        for series, value in self._values.items():
            if series.metric == metric and labels.items() <= dict(series.labels).items():
                yield value


@contextmanager
def recording() -> Iterator[Recording]:
    """Record metrics, spans, jobs and statements within the block, in memory.

    It needs no Watchkeeper, and no database of its own.

    >>> with recording() as recorded:
    ...     orders.inc(plan="pro")
    >>> recorded.value("orders_total", plan="pro")
    1.0
    """
    observer = Observer(Recorder(_SCOPE))
    libraries = Instruments(observer, {})
    instruments.bind(observer.recorder)
    observers.bind(observer)
    libraries.install()
    try:
        yield Recording(observer)
    finally:
        libraries.uninstall()
        observers.unbind()
        instruments.unbind()


def fingerprint(error: BaseException) -> str:
    """Return the fingerprint that an exception would be grouped by, without counting it.

    By the default settings, with its failing statement; an error that was raised in another place
    has another one. Empty for one that is expected, such as an HTTP answer below 500.
    """
    return "" if is_expected(error) else Issues(_SCOPE).known(error).fingerprint


def scrub(value: object, settings: Settings | None = None) -> Any:
    """Return what would be stored of a value: a copy with its secrets masked, cut to the caps.

    Texts are looked through, mappings and [key, value] pairs are judged by key; what is not JSON
    becomes the name of its type. With settings, by their `scrub_…` too.

    >>> scrub({"user": "ann", "password": "hunter2"})
    {'user': 'ann', 'password': '[masked]'}
    """
    rules = scrubber.DEFAULT_RULES if settings is None else settings.scrub_rules()
    return scrubber.scrub(value, rules=rules)
