"""The condition of a rule: a small tree, and the text that a user writes for it."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from watchkeeper.core import units
from watchkeeper.core.capacity_metrics import HOST_DISK
from watchkeeper.core.catalogue import HOST_CPU, HOST_MEMORY, HTTP_DURATION

CHECK_LABEL: Final = "check"  # the label that tells health checks apart
WORKER_LABELS: Final = ("host", "worker")  # those that tell workers apart


class Operator(StrEnum):
    """How a measured value is compared with a threshold."""

    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="
    EQUAL = "=="
    UNEQUAL = "!="

    def holds(self, value: float, threshold: float) -> bool:
        """Tell whether `value` compares with `threshold` like this."""
        return _HOLDS[self](value, threshold)

    @property
    def inverse(self) -> "Operator":
        """The one that holds exactly where this one does not."""
        return _INVERSES[self]

    @property
    def is_upward(self) -> bool:
        """Whether large values make it true."""
        return self in (Operator.ABOVE, Operator.AT_LEAST)

    @property
    def is_downward(self) -> bool:
        """Whether small values make it true."""
        return self in (Operator.BELOW, Operator.AT_MOST)


_HOLDS: Final[Mapping[Operator, Callable[[float, float], bool]]] = {
    Operator.ABOVE: lambda value, threshold: value > threshold,
    Operator.AT_LEAST: lambda value, threshold: value >= threshold,
    Operator.BELOW: lambda value, threshold: value < threshold,
    Operator.AT_MOST: lambda value, threshold: value <= threshold,
    Operator.EQUAL: lambda value, threshold: value == threshold,
    Operator.UNEQUAL: lambda value, threshold: value != threshold,
}
_INVERSES: Final[Mapping[Operator, Operator]] = {
    Operator.ABOVE: Operator.AT_MOST,
    Operator.AT_LEAST: Operator.BELOW,
    Operator.BELOW: Operator.AT_LEAST,
    Operator.AT_MOST: Operator.ABOVE,
    Operator.EQUAL: Operator.UNEQUAL,
    Operator.UNEQUAL: Operator.EQUAL,
}


class Past(StrEnum):
    """Which time is measured: that of the window, or the same time in weeks before."""

    NONE = ""
    SAME_TIME_LAST_WEEK = "same_time_last_week"


class Unit(StrEnum):
    """What a threshold is written in."""

    SHARE = "share"
    SECONDS = "seconds"
    BYTES = "bytes"
    RATE = "rate"
    NUMBER = "number"


class Measure(StrEnum):
    """What is taken of a metric over a window."""

    ERROR_RATE = "error_rate"  # failed requests ÷ all requests
    REQUESTS = "requests"  # how many requests
    ERRORS = "errors"  # how many failed requests
    QUANTILE = "quantile"  # of a histogram
    APDEX = "apdex"  # satisfied requests and half of the tolerated ones ÷ all requests
    SHARE = "share"  # of the counts of a metric that pass the filters, among all its counts
    INCREASE = "increase"  # of a counter, or how many observations a histogram got
    RATE = "rate"  # the same per second
    LAST = "last"  # of a gauge
    MIN = "min"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on one label: `=`, `!=` or `=~` (a glob with * and ?). An absent label is ""."""

    label: str
    operator: str
    value: str

    def accepts(self, value: str) -> bool:
        """Tell whether a label's value passes."""
        if self.operator == "=~":
            return glob_matches(self.value, value)
        return (value == self.value) is (self.operator == "=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """What is measured: a measure of a metric over the series that pass the filters."""

    measure: Measure
    metric: str  # "" for what is composed of several: error_rate, requests, errors
    quantile: float = 0.0  # of Measure.QUANTILE, 0 to 1
    filters: tuple[Filter, ...] = ()
    past: Past = Past.NONE

    @property
    def is_share(self) -> bool:
        """Whether it comes down to a share of bad ones among all, as the guard needs."""
        return self.measure in (Measure.ERROR_RATE, Measure.QUANTILE, Measure.SHARE)

    @property
    def is_count(self) -> bool:
        """Whether it counts, so that it can be compared with the same time in weeks before."""
        return self.measure in (Measure.REQUESTS, Measure.ERRORS, Measure.INCREASE)

    @property
    def unit(self) -> Unit:
        """The unit that its thresholds are written in."""
        unit = _UNITS.get(self.measure)
        if unit is not None:
            return unit
        return _SUFFIX_UNITS.get(self.metric.rpartition("_")[2], Unit.NUMBER)


_UNITS: Final[Mapping[Measure, Unit]] = {
    Measure.ERROR_RATE: Unit.SHARE,
    Measure.SHARE: Unit.SHARE,
    Measure.REQUESTS: Unit.NUMBER,
    Measure.ERRORS: Unit.NUMBER,
    Measure.APDEX: Unit.NUMBER,
    Measure.INCREASE: Unit.NUMBER,
    Measure.RATE: Unit.RATE,
}
_SUFFIX_UNITS: Final[Mapping[str, Unit]] = {
    "seconds": Unit.SECONDS,
    "bytes": Unit.BYTES,
    "ratio": Unit.SHARE,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A measured value against a threshold, in the selector's unit.

    With `against`, the threshold is a factor: `errors > 3x same_time_last_week`.
    """

    selector: Selector
    operator: Operator
    threshold: float
    against: Past = Past.NONE


@dataclass(frozen=True, slots=True)
class CheckFailing:
    """A health check failing."""

    filters: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerMissing:
    """A worker that fell silent while others live; told apart by host and worker."""

    filters: tuple[Filter, ...] = ()


Term = Comparison | CheckFailing | WorkerMissing


@dataclass(frozen=True, slots=True)
class And:
    """All of at least two terms, in the order written."""

    parts: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of two or more; `and` binds tighter."""

    parts: tuple[Term | And, ...]


Condition = Term | And | Or
"""The tree: alternatives of terms that hold together. `not` turns an operator round."""


def terms(condition: Condition) -> tuple[Term, ...]:
    """Return every term of a condition, in the order written."""
    if isinstance(condition, And | Or):
        return tuple(term for part in condition.parts for term in terms(part))
    return (condition,)


def comparisons(condition: Condition) -> tuple[Comparison, ...]:
    """Return the comparisons among the terms of a condition, in the order written."""
    return tuple(term for term in terms(condition) if isinstance(term, Comparison))


WORDS: Final[Mapping[str, Selector]] = {
    "error_rate": Selector(measure=Measure.ERROR_RATE, metric=""),
    "requests": Selector(measure=Measure.REQUESTS, metric=""),
    "errors": Selector(measure=Measure.ERRORS, metric=""),
    "apdex": Selector(measure=Measure.APDEX, metric=""),
    "memory_used": Selector(measure=Measure.LAST, metric=HOST_MEMORY.name),
    "cpu_used": Selector(measure=Measure.LAST, metric=HOST_CPU.name),
    "disk_used": Selector(measure=Measure.LAST, metric=HOST_DISK.name),
}
"""Short words → what they measure."""
FUNCTIONS: Final = (
    Measure.SHARE,
    Measure.INCREASE,
    Measure.RATE,
    Measure.LAST,
    Measure.MIN,
    Measure.MAX,
)
"""What is taken of a metric named in brackets, besides percentiles."""
WORD_OF: Final = {(word.measure, word.metric): text for text, word in WORDS.items()}


def write_condition(condition: Condition) -> str:
    """Write a condition as a user would; the parser reads back the same condition."""
    if isinstance(condition, And | Or):
        word = " and " if isinstance(condition, And) else " or "
        return word.join(write_condition(part) for part in condition.parts)
    if isinstance(condition, CheckFailing):
        return f"check{_write_filters(condition.filters)} failing"
    if isinstance(condition, WorkerMissing):
        return f"worker{_write_filters(condition.filters)} missing"
    threshold = write_threshold(condition.selector.unit, condition.threshold)
    if condition.against is not Past.NONE:
        threshold = f"{_write_number(condition.threshold)}x {condition.against}"
    return f"{write_selector(condition.selector)} {condition.operator} {threshold}"


def write_selector(selector: Selector) -> str:
    """Write what is measured: `error_rate`, `p95{route="/x"}`, `rate(orders_total)`."""
    filters = _write_filters(selector.filters, past=selector.past)
    word = WORD_OF.get((selector.measure, selector.metric))
    if word is not None:
        return f"{word}{filters}"
    name: str = selector.measure
    if selector.measure is Measure.QUANTILE:
        name = write_quantile(selector.quantile)
        if selector.metric == HTTP_DURATION.name:
            return f"{name}{filters}"
    return f"{name}({selector.metric}{filters})"


def write_quantile(quantile: float) -> str:
    """Write a quantile as "p95" or "p99.9"."""
    return "p" + f"{quantile * 100:.6f}".rstrip("0").rstrip(".")


def write_threshold(unit: Unit, threshold: float) -> str:
    """Write a threshold with its unit, exactly."""
    return _WRITERS[unit](threshold)


def format_value(unit: Unit, value: float) -> str:
    """Show a value of this unit to people, rounded."""
    return _FORMATTERS[unit](value)


def read_quantile(name: str) -> float:
    """Return 0.95 for "p95". Raises ValueError if it is no number strictly between 0 and 100."""
    if not re.fullmatch(r"p[0-9]{1,2}(\.[0-9]{1,6})?", name) or not float(name[1:]):
        raise ValueError(f"{name} is no percentile between p0 and p100")
    return float(f"{name[1:]}e-2")


def glob_matches(pattern: str, value: str) -> bool:
    """Match with * (any text) and ? (one character), in time linear in each star's text."""
    at = star = mark = 0
    found_star = False
    for_position = 0
    while for_position < len(value):
        if at < len(pattern) and pattern[at] == "*":
            found_star, star, mark = True, at, for_position
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", value[for_position]):
            at += 1
            for_position += 1
        elif found_star:
            mark += 1
            at, for_position = star + 1, mark
        else:
            return False
    return not pattern[at:].strip("*")


def write_labels(labels: Sequence[tuple[str, str]]) -> str:
    """Write labels as the canonical text of a group: `host="a",route="/checkout"`.

    In the order of their names, so that a rule that names them in another one has the same groups.
    """
    return ",".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in sorted(labels)
    )


def _write_filters(filters: Sequence[Filter], *, past: Past = Past.NONE) -> str:
    if not filters and past is Past.NONE:
        return ""
    parts = [past.value] if past is not Past.NONE else []
    parts += [
        f"{part.label}{part.operator}{json.dumps(part.value, ensure_ascii=False)}"
        for part in filters
    ]
    return "{" + ", ".join(parts) + "}"


def _write_number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e15 else repr(value)


_WRITERS: Final[Mapping[Unit, Callable[[float], str]]] = {
    Unit.SHARE: units.write_share,
    Unit.SECONDS: units.write_duration,
    Unit.BYTES: units.write_size,
    Unit.RATE: units.write_rate,
    Unit.NUMBER: _write_number,
}
_FORMATTERS: Final[Mapping[Unit, Callable[[float], str]]] = {
    Unit.SHARE: units.format_share,
    Unit.SECONDS: units.format_duration,
    Unit.BYTES: units.format_size,
    Unit.RATE: units.format_rate,
    Unit.NUMBER: units.format_number,
}
