"""The three instruments for the host's own metrics: counter, gauge and histogram."""

import logging
import re
from collections.abc import Sequence
from math import inf, isfinite
from threading import Lock
from time import perf_counter
from types import TracebackType
from typing import Final, SupportsFloat, TypeVar

from watchkeeper.core.catalogue import CATALOGUE
from watchkeeper.core.metrics import Across, Kind, Metric
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.recorder import Recorder

MAX_LABELS: Final = 10
MAX_INSTRUMENTS: Final = 500  # a declaration belongs at module level; more is a loop gone wrong
MAX_NAME_CHARS: Final = 200

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_RESERVED: Final = frozenset(metric.name for metric in CATALOGUE)
_SCOPE_LABELS: Final = frozenset({"service", "environment", "release"})
_GUARD: Final = guard("instrument")

_log = logging.getLogger("watchkeeper")
_lock = Lock()
_declared: dict[str, "Instrument"] = {}
_bound: list[Recorder] = []  # the recorder of this process, or nothing before watch()


class Instrument:
    """A declared metric; its methods do nothing until a recorder is bound and never raise."""

    __slots__ = ("_names", "_warned", "metric")

    def __init__(self, metric: Metric) -> None:
        """Wrap a checked declaration."""
        self.metric = metric
        self._names = frozenset(metric.labels)
        self._warned = False

    def _record(self, value: object, labels: dict[str, object], *, least: float = -inf) -> None:
        if not _bound:
            return
        with _GUARD:
            recorder = _bound[0]
            number = _number(value)
            if labels.keys() != self._names:
                given = ", ".join(sorted(labels)) or "none"
                declared = ", ".join(self.metric.labels) or "none"
                self._refuse(recorder, f"labels given: {given}; declared: {declared}")
            elif number is None:
                self._refuse(recorder, f"{value!r:.80} is not a finite number")
            elif number < least:
                self._refuse(recorder, f"a counter only grows, not by {number}; use a gauge")
            else:
                texts = {name: str(text) for name, text in labels.items()}
                recorder.series(self.metric, texts).record(number)

    def _refuse(self, recorder: Recorder, problem: str) -> None:
        """Count invalid use, and log its first case: a request must not fail for it."""
        recorder.drop("invalid_use")
        if not self._warned:
            self._warned = True
            _log.warning("watchkeeper: %s: not recorded: %s", self.metric.name, problem)


class CounterInstrument(Instrument):
    """A figure that only grows: things that happened."""

    __slots__ = ()

    def inc(self, amount: float = 1, /, **labels: object) -> None:
        """Add `amount` (≥ 0) for these label values."""
        self._record(amount, labels, least=0)


class GaugeInstrument(Instrument):
    """A figure that goes up and down: how things are."""

    __slots__ = ()

    def set(self, value: float, /, **labels: object) -> None:
        """Set the reading for these label values."""
        self._record(value, labels)


class HistogramInstrument(Instrument):
    """A figure whose distribution matters: durations, sizes."""

    __slots__ = ()

    def observe(self, value: float, /, **labels: object) -> None:
        """Count one observation, in the metric's base unit."""
        self._record(value, labels)

    def time(self, **labels: object) -> "Timer":
        """Observe how long a `with` block takes, in seconds, also when it raises."""
        return Timer(self, labels)


class Timer:
    """A `with` block being timed. One object times one block at a time."""

    __slots__ = ("_instrument", "_labels", "_start")

    def __init__(self, instrument: HistogramInstrument, labels: dict[str, object]) -> None:
        """Remember where the time goes."""
        self._instrument = instrument
        self._labels = labels
        self._start = 0.0

    def __enter__(self) -> None:
        """Start the clock."""
        self._start = perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Observe the seconds that passed."""
        self._instrument.observe(perf_counter() - self._start, **self._labels)


def counter(name: str, help: str, labels: Sequence[str] = ()) -> CounterInstrument:
    """Declare a counter; its name ends in `_total`. Raises ConfigurationError if it is wrong."""
    if not name.endswith("_total"):
        raise ConfigurationError(
            f"counter {name!r}: a counter's name ends in _total: {name}_total"
        )
    return _declare(
        CounterInstrument,
        Metric(name=name, kind=Kind.COUNTER, help=help, labels=_labels(name, labels)),
    )


def gauge(
    name: str,
    help: str,
    labels: Sequence[str] = (),
    *,
    across: str = "sum",
) -> GaugeInstrument:
    """Declare a gauge. `across` ("sum", "max" or "last") tells how workers combine.

    Raises ConfigurationError if the declaration is wrong.
    """
    if across not in list(Across):
        raise ConfigurationError(
            f"gauge {name!r}: across={across!r} is unknown; write 'sum', 'max' or 'last'"
        )
    return _declare(
        GaugeInstrument,
        Metric(
            name=name,
            kind=Kind.GAUGE,
            help=help,
            labels=_labels(name, labels),
            across=Across(across),
        ),
    )


def histogram(name: str, help: str, labels: Sequence[str] = ()) -> HistogramInstrument:
    """Declare a histogram; its name carries the unit (`_seconds`, `_bytes`).

    Raises ConfigurationError if the declaration is wrong.
    """
    return _declare(
        HistogramInstrument,
        Metric(name=name, kind=Kind.HISTOGRAM, help=help, labels=_labels(name, labels)),
    )


def bind(recorder: Recorder) -> None:
    """Let every instrument, declared before or after, record into `recorder`."""
    _bound[:] = [recorder]


def unbind() -> None:
    """Let every instrument do nothing again."""
    _bound.clear()


_I = TypeVar("_I", bound=Instrument)


def _labels(name: str, labels: Sequence[str]) -> tuple[str, ...]:
    if isinstance(labels, str):
        raise ConfigurationError(f'{name}: labels is a list of names: labels=["{labels}"]')
    return tuple(labels)


def _declare(kind: type[_I], metric: Metric) -> _I:
    _check(metric)
    with _lock:
        known = _declared.get(metric.name)
        if known is None:
            if len(_declared) >= MAX_INSTRUMENTS:
                raise ConfigurationError(
                    f"{metric.name}: {MAX_INSTRUMENTS} metrics are declared already; "
                    "what varies belongs into a label"
                )
            known = _declared[metric.name] = kind(metric)
    if not isinstance(known, kind) or known.metric != metric:
        raise ConfigurationError(
            f"{metric.name} is declared twice, differently; declare it once and import it"
        )
    return known


def _check(metric: Metric) -> None:
    name = metric.name
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME_CHARS:
        raise ConfigurationError(
            f"{name!r:.80} is not a metric's name; use letters, digits and _: orders_total"
        )
    if name in _RESERVED or name.startswith("watchkeeper_"):
        raise ConfigurationError(f"{name} is a metric of Watchkeeper's own; choose another name")
    if len(metric.labels) > MAX_LABELS:
        raise ConfigurationError(f"{name}: at most {MAX_LABELS} labels, not {len(metric.labels)}")
    if len(set(metric.labels)) < len(metric.labels):
        raise ConfigurationError(f"{name}: a label is named twice")
    for label in metric.labels:
        if not _LABEL.fullmatch(label):
            raise ConfigurationError(
                f"{name}: {label!r:.80} is not a label's name; use letters, digits and _"
            )
        if label in _SCOPE_LABELS:
            raise ConfigurationError(f"{name}: every series has the label {label!r} already")


def _number(value: object) -> float | None:
    """Return a finite number as float; None for anything else."""
    if not isinstance(value, SupportsFloat):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if isfinite(number) else None
