"""The bounds of what is recorded: which label values find room, and what takes their place."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from watchkeeper.core.catalogue import CATALOGUE
from watchkeeper.core.metrics import OTHER, QUIET, UNMATCHED, Metric

MAX_LABEL_CHARS: Final = 200
MAX_LABEL_VALUES: Final = 50  # per label of a metric that the user declared
DETAIL_SHARE: Final = 4  # series by statement get a quarter of all, so that requests find room
MAX_OVERFLOW: Final = 200  # series beyond the cap that hold "(other)"; past them one per metric

_CATALOGUE_NAMES: Final = frozenset(metric.name for metric in CATALOGUE)
_KEPT: Final = frozenset({"method", "status"})  # bounded by nature; error rates need them
_NONE: Final[set[str]] = set()


class Cap(StrEnum):
    """Which bound was reached; the name that `watchkeeper_dropped_total` counts it under."""

    ROUTES = "routes"
    LABEL_VALUES = "label_values"
    SERIES = "series"


FoldedLabel = tuple[Cap, str, str]
"""The cap that was reached, the label, and the value that found no room."""


class Caps:
    """Knows which label values were admitted. Not safe for several threads."""

    def __init__(self, *, series: int, routes: int) -> None:
        """Admit so many series and routes."""
        self.most = {Cap.ROUTES: routes, Cap.LABEL_VALUES: MAX_LABEL_VALUES, Cap.SERIES: series}
        self._details = 0
        self._routes: set[str] = set()
        self._rules: dict[str, list[tuple[Cap, set[str]]]] = {}

    def admit(self, metric: Metric, values: tuple[str, ...]) -> tuple[str, ...]:
        """Return the label values, with "(other)" for those of which there are too many."""
        rules = self._rules.get(metric.name) or self._begin(metric)
        return tuple(
            [
                value if value in known or cap is Cap.SERIES else self._admitted(cap, known, value)
                for (cap, known), value in zip(rules, values, strict=True)
            ]
        )

    def candidates(
        self, metric: Metric, values: tuple[str, ...]
    ) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield ever coarser label values, each with the number of series it needs to be below."""
        most = self.most[Cap.SERIES]
        if not _is_detail(metric) or self._details < most // DETAIL_SHARE:
            yield most, values
        kept = _KEPT if metric.name in _CATALOGUE_NAMES else frozenset()
        yield (
            most + MAX_OVERFLOW,
            tuple(
                value if name in kept else OTHER
                for name, value in zip(metric.labels, values, strict=True)
            ),
        )
        yield most + 2 * MAX_OVERFLOW, (OTHER,) * len(values)

    def added(self, metric: Metric) -> None:
        """Note a series that was made."""
        self._details += _is_detail(metric)

    def folded(
        self,
        metric: Metric,
        asked: tuple[str, ...],
        admitted: tuple[str, ...],
        found: tuple[str, ...],
    ) -> list[FoldedLabel]:
        """Return (cap, label, value) of each value asked for that `found` lacks."""
        rules = self._rules[metric.name]
        return [
            (rules[at][0] if value != admitted[at] else Cap.SERIES, metric.labels[at], value)
            for at, value in enumerate(asked)
            if value != found[at]
        ]

    def _admitted(self, cap: Cap, known: set[str], value: str) -> str:
        if value in (OTHER, QUIET, UNMATCHED):
            return value
        if len(known) >= self.most[cap]:
            return OTHER
        known.add(value)
        return value

    def _begin(self, metric: Metric) -> list[tuple[Cap, set[str]]]:
        """Note the cap of each label of a metric, and the values known; routes are shared."""
        own = metric.name not in _CATALOGUE_NAMES
        rules = self._rules[metric.name] = [
            (Cap.LABEL_VALUES, set())
            if own
            else (Cap.ROUTES, self._routes)
            if label == "route"
            else (Cap.SERIES, _NONE)
            for label in metric.labels
        ]
        return rules


def _is_detail(metric: Metric) -> bool:
    """Tell whether a metric's series are as many as statements times routes."""
    return "statement" in metric.labels and metric.name in _CATALOGUE_NAMES


def clean(value: str) -> str:
    """Cut a label value to its maximum and replace what no database takes as text."""
    value = value[:MAX_LABEL_CHARS]
    if value.isprintable():
        return value
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in value)
