"""What is known of the traces in recent use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from watchkeeper.runtime.known import Known

MAX_MEMO: Final = 4_096  # distinct traces that are remembered


class Memo:
    """What is known of the traces in recent use.

    Two generations instead of an order of use: a look-up is one lock-free `get` of a dict. What
    was not asked for while half of MAX_MEMO others came is forgotten.
    """

    __slots__ = ("_old", "_young")

    def __init__(self) -> None:
        """Begin with nothing remembered."""
        self._young: dict[tuple[object, ...], Known] = {}
        self._old: dict[tuple[object, ...], Known] = {}

    def get(self, key: tuple[object, ...]) -> Known | None:
        """Return what is remembered of a trace."""
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: tuple[object, ...], known: Known) -> None:
        """Remember a trace; two threads may do so at once, at worst one entry is lost."""
        if len(self._young) >= MAX_MEMO // 2:
            self._old, self._young = self._young, {}
        self._young[key] = known
