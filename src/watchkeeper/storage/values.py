"""Values of the store's own that many processes change: texts by key, by compare-and-set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """A change of the value of a key: from `old` to `new`; None: there is no such key."""

    key: str
    old: str | None
    new: str | None


class ValueStore(Protocol):
    """Values by key, next to those of `AdminStore.meta`, which are the same."""

    def values(self, prefix: str) -> dict[str, str]:
        """Read the values of every key that begins so."""

    def swap_values(self, swaps: Sequence[Swap]) -> set[str]:
        """Change values that are still what they were; return the keys whose change was made.

        In one transaction; a key whose value is another one meanwhile is left alone.
        """
