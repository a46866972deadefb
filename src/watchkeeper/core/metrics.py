"""What a metric is: its declaration, its series, and the scope that every series belongs to."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """The three instruments."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Across(StrEnum):
    """How the gauges of several workers combine into one figure."""

    SUM = "sum"
    MAX = "max"
    LAST = "last"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """The declaration of one metric: its name carries the base unit."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    across: Across = Across.SUM


@dataclass(frozen=True, slots=True)
class Series:
    """One metric with one set of label values; the identity of everything stored.

    `labels` are (name, value) pairs sorted by name, the scope labels among them.
    """

    metric: str
    kind: Kind
    labels: tuple[tuple[str, str], ...]
    across: Across = Across.SUM
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compute the hash once: a series is looked up in a dictionary for every value read."""
        identity = (self.metric, self.kind, self.labels, self.across)
        object.__setattr__(self, "_hash", hash(identity))

    def __hash__(self) -> int:
        """Return the hash of all fields."""
        return self._hash

    def label(self, name: str) -> str:
        """Return the value of a label, or the empty text."""
        for key, value in self.labels:
            if key == name:
                return value
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The deployment that a process belongs to; labels of every series it records."""

    service: str
    environment: str
    release: str = ""

    @property
    def place(self) -> tuple[str, str]:
        """The service and the environment: where it runs, whatever the release."""
        return self.service, self.environment

    @property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """The scope as sorted label pairs."""
        return (
            ("environment", self.environment),
            ("release", self.release),
            ("service", self.service),
        )


OTHER: Final = "(other)"  # where label values beyond a cap are counted
UNMATCHED: Final = "(unmatched)"  # the route of requests that no route template matched
QUIET: Final = "(quiet)"  # the route of static files and probes: nobody waits for them
