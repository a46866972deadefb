"""The verdict on a rule now, and what it is judged by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from watchkeeper.core.baselines import Baseline
from watchkeeper.core.conditions import CHECK_LABEL, Selector, Term
from watchkeeper.core.missing import Missing
from watchkeeper.core.tallies import Window


class Basis(StrEnum):
    """What a verdict rests on."""

    MEASURED = "measured"
    TOO_FEW = "too_few"  # above the threshold, but not certain on so few
    NO_DATA = "no_data"
    NO_HISTORY = "no_history"  # there is no earlier week to compare with yet
    NOT_ASKED = "not_asked"  # `only_if` does not hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a rule's condition is true and whether it is clear; None means unknown.

    Both may be False: between the two thresholds nothing changes. `worse` says whether the second
    level is true. `term` is what decided: `value` is in the unit of its selector, and `bad` of
    `total` in `window_s` seconds is what it was counted from. `more` are further groups of which
    this one is the largest, where there are too many to tell of each.
    """

    breach: bool | None
    calm: bool | None
    basis: Basis
    value: float | None = None
    bad: float = 0.0
    total: float = 0.0
    window_s: float = 0.0
    worse: bool | None = None
    term: Term | None = None
    more: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckState:
    """What is known of one health check: state (pass, warn, fail, unknown) and runs in a row."""

    name: str
    state: str
    failures: int = 0
    successes: int = 0
    critical: bool = True
    output: str = ""

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels that tell it from others."""
        return {CHECK_LABEL: self.name}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that a rule is judged by on one group.

    `windows` by what is measured, and `baselines` by that and the window's length in seconds;
    `checks` are those of the group, `missing` the workers of it that fell silent; None where that
    was not looked at.
    """

    windows: Mapping[Selector, Window] = field(default_factory=dict)
    baselines: Mapping[tuple[Selector, float], Baseline] = field(default_factory=dict)
    checks: tuple[CheckState, ...] | None = None
    missing: tuple[Missing, ...] | None = None
    window: Window = field(default_factory=Window)  # of every selector that `windows` lacks

    def window_of(self, selector: Selector) -> Window:
        """Return the window of what is measured, which may be empty."""
        return self.windows.get(selector, self.window)


def evidence_of(seen: "Evidence | Window | CheckState | None") -> Evidence:
    """Return the evidence that one window or one check is by itself; None is none."""
    if isinstance(seen, Evidence):
        return seen
    if isinstance(seen, Window):
        return Evidence(window=seen)
    return Evidence(checks=() if seen is None else (seen,))
