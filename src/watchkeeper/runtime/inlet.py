"""The quick way into a group of errors that is open: an occurrence is appended, not computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from watchkeeper.runtime.known import Known
    from watchkeeper.runtime.record import RequestContext

FOLD_AT: Final = 256  # entries that wait at most, but for what comes while the lock is held


class Inlet(list["Known | tuple[Known, str, str, str]"]):
    """Occurrences of one group that wait to be counted. Moments are seconds since the epoch.

    Each is its trace, with the method, the route and the user's hash where there is any.

    `list.append` is atomic in any thread, so nothing is lost and nobody waits. `counted` are those
    of the group that were counted before; together they tell when a sample is due.
    """

    __slots__ = ("closed", "counted", "first_at", "key", "last_at")

    def __init__(self, key: str) -> None:
        """Begin empty, as the way into the group of a key."""
        super().__init__()
        self.key = key
        self.counted = 0
        self.first_at = self.last_at = 0.0
        self.closed = False  # nobody looks here any more

    def take(self, known: Known, at: float, request: RequestContext | None, user: str) -> bool:
        """Take an occurrence in; False if it must go the long way: a sample may be due."""
        waiting = len(self)
        count = self.counted + waiting + 1
        if not count & (count - 1) or self.closed or waiting >= FOLD_AT:
            return False
        if not waiting:
            self.first_at = at
        self.last_at = at
        if request is None and not user:
            self.append(known)
        elif request is None:
            self.append((known, "", "", user))
        else:
            self.append((known, request.method, request.route, user))
        return self._is_kept()

    def drain(self) -> Iterator[tuple[Known, str, str, str, int]]:
        """Yield and forget what waits, equal ones together with their number."""
        waiting = len(self)
        entries = self[:waiting]
        self.counted += waiting
        del self[:waiting]
        for entry, times in Counter(entries).items():
            if isinstance(entry, tuple):
                yield *entry, times
            else:
                yield entry, "", "", "", times

    def _is_kept(self) -> bool:
        """Tell whether what was appended is counted by whoever drains; else take it back.

        Closed meanwhile, it was drained, or it is still here: then one is taken out, and whoever
        appended that does the same.
        """
        if not self.closed:
            return True
        try:
            self.pop()
        except IndexError:
            return True
        return False
