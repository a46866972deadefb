"""What hides behind "(other)": the most frequent label values that found no room."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from watchkeeper.core.heavy_hitters import HeavyHitters
from watchkeeper.runtime.caps import Cap

MAX_LISTS: Final = 100  # metrics × labels whose folded values are listed; all are counted
MAX_EXAMPLES: Final = 3  # values named in the log


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedValue:
    """A label value that is counted as "(other)", and how often it was recorded."""

    metric: str
    label: str
    value: str
    at_least: int
    at_most: int


class Folded:
    """A bounded list of folded values for each metric and label.

    Not safe for several threads: the recorder holds its lock.
    """

    def __init__(self, most: Mapping[Cap, int]) -> None:
        """Start empty; `most` are the caps, for the sentences."""
        self._most = most
        self._lists: dict[tuple[str, str], HeavyHitters] = {}
        self._begun: dict[tuple[str, str], Cap] = {}

    def add(self, metric: str, label: str, value: str, *, cap: Cap) -> None:
        """Count a value recorded under "(other)" because of a cap."""
        key = metric, label
        hitters = self._lists.get(key)
        if hitters is None:
            if len(self._lists) >= MAX_LISTS:
                return
            hitters = self._lists[key] = HeavyHitters()
            self._begun[key] = cap
        hitters.add(value)

    def rows(self) -> list[FoldedValue]:
        """Return every value kept, by metric and label, the most frequent first."""
        return [
            FoldedValue(
                metric=metric,
                label=label,
                value=hitter.value,
                at_least=hitter.at_least,
                at_most=hitter.at_most,
            )
            for (metric, label), hitters in sorted(self._lists.items())
            for hitter in hitters.top()
        ]

    def sentences(self) -> list[str]:
        """Say what was folded for the first time since the last call."""
        begun, self._begun = self._begun, {}
        return [self._sentence(metric, label, cap) for (metric, label), cap in begun.items()]

    def _sentence(self, metric: str, label: str, cap: Cap) -> str:
        most = self._most[cap]
        values = [hitter.value for hitter in self._lists[metric, label].top()[:MAX_EXAMPLES]]
        if cap is Cap.SERIES:
            problem = f'there are more than {most} series; further values of "{label}"'
        else:
            problem = f'label "{label}" has more than {most} values; further ones'
        examples = ", ".join(map(repr, values))
        return f"{metric}: {problem} are counted as (other), for example {examples}"
