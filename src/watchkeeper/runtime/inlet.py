"""The quick way into a group of errors that is open: an occurrence is appended, not computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final, Generic, TypeAlias, TypeVar

Trace = TypeVar("Trace")  # what is known of one, see `runtime.known`

FOLD_AT: Final = 256  # entries that wait at most, but for what comes while the lock is held

Where: TypeAlias = tuple[str, str, str]
"""The method, the route and the user's hash; see `record.where_of`."""

Entry: TypeAlias = Trace | tuple[Trace, str, str, str]
"""A trace, with where it was met if there is anything of that."""


class Inlet(list[Entry[Trace]], Generic[Trace]):
    """Occurrences of one group that wait to be counted. Moments are seconds since the epoch.

    `list.append` is atomic in any thread, so nothing is lost and nobody waits. `counted` are those
    of the group that were counted before; `room` is for how many more no sample is due.
    """

    __slots__ = ("closed", "counted", "first_at", "key", "last_at", "room")

    def __init__(self, key: str) -> None:
        """Begin empty, as the way into the group of a key."""
        super().__init__()
        self.key = key
        self.after(0)
        self.first_at = self.last_at = 0.0
        self.closed = False  # nobody looks here any more

    def after(self, counted: int) -> None:
        """Go on after so many of the group: the 1st, 2nd, 4th, 8th … must go the long way."""
        self.counted = counted
        self.room = min((1 << counted.bit_length()) - counted - 1, FOLD_AT)

    def take(self, trace: Trace, at: float, where: Where | None) -> bool:
        """Take an occurrence in; False if it must go the long way: a sample may be due."""
        waiting = len(self)
        if waiting >= self.room:
            return False
        if not waiting:
            self.first_at = at
        self.last_at = at
        self.append(trace if where is None else (trace, *where))
        return not self.closed or self._is_counted()

    def drain(self) -> Iterator[tuple[Trace, str, str, str, int]]:
        """Yield and forget what waits, equal ones together with their number.

        Whoever calls holds the lock under which `closed` is set.
        """
        waiting = len(self)
        self.after(self.counted + waiting)
        if self.closed:
            entries = list(self._popped(waiting))
        else:  # others append at the end, and nobody takes his own back
            entries = self[:waiting]
            del self[:waiting]
        if len(entries) < waiting:
            self.after(self.counted - waiting + len(entries))
        for entry, times in _counted(entries):
            if isinstance(entry, tuple):
                yield *entry, times
            else:
                yield entry, "", "", "", times

    def _popped(self, most: int) -> Iterator[Entry[Trace]]:
        """Take entries out one by one: each is either ours or of who takes his own back."""
        with suppress(IndexError):
            for _ in range(most):
                yield self.pop()

    def _is_counted(self) -> bool:
        """Tell whether what was appended to a closed inlet was drained; else take one out.

        Whoever appended that one does the same.
        """
        try:
            self.pop()
        except IndexError:
            return True
        return False


def _counted(entries: list[Entry[Trace]]) -> Iterable[tuple[Entry[Trace], int]]:
    """Count equal entries; in a storm all are, and nothing is hashed then."""
    if entries and entries.count(entries[0]) == len(entries):
        return ((entries[0], len(entries)),)
    return Counter(entries).items()
