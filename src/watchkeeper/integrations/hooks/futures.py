"""Exceptions of executors' work that nobody asks for: of futures dropped without a look.

A future does not know whether anybody asked for its result. So asking is noted: `result` and
`exception` are descriptors here, which hand out the very methods, so that no frame of ours gets
into a traceback. When one fails that nobody has asked yet, its error is described, and counted
when the future is collected, or the process ends, and still nobody has.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from watchkeeper.integrations.patches import Patches
from watchkeeper.runtime.expected import expects_here
from watchkeeper.runtime.guard import guard

if TYPE_CHECKING:
    from watchkeeper.app import Watchkeeper
    from watchkeeper.runtime.occurrences import Occurrence

MAX_WATCHED: Final = 10_000  # failed futures at once that nobody has asked yet

_ASKED: Final = "_watchkeeper_asked"  # in the future's own dict: a list that is not empty
_YES: Final = [True]
_GUARD: Final = guard("futures")


def install(watchkeeper: Watchkeeper) -> Callable[[], None]:
    """Watch the futures of executors, of threads and of processes; return what undoes that."""
    futures = _Futures(watchkeeper)
    patches = futures.patches
    for name in ("result", "exception"):
        patches.wrap(Future, name, _Asking)
    patches.wrap(Future, "set_exception", futures.failing)
    return patches.undo


class _Asking:
    """A method of futures that notes that it was looked up, which is to say called."""

    def __init__(self, method: Any) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, future: Any, owner: Any = None) -> Any:
        if future is None:
            return self._method
        asked = future.__dict__.setdefault(_ASKED, _YES)
        if asked is not _YES:
            asked.append(True)
        return self._method.__get__(future, owner)


class _Futures:
    """Wraps how futures fail."""

    def __init__(self, watchkeeper: Watchkeeper) -> None:
        self.patches = Patches()
        self._watchkeeper = watchkeeper
        self._failed: set[object] = set()

    def failing(self, set_exception: Callable[..., None]) -> Callable[..., None]:
        """Look at each future that fails, before those who wait for it are told."""

        @wraps(set_exception)
        def watched(future: Any, exception: BaseException | None) -> None:
            if self.patches.on and exception is not None:
                with _GUARD:
                    self._look(future, exception)
            set_exception(future, exception)

        return watched

    def _look(self, future: Any, error: BaseException) -> None:
        if _ASKED in future.__dict__ or len(self._failed) >= MAX_WATCHED:
            return
        if expects_here(self._watchkeeper.badness, error):
            return
        self._watchkeeper.start()
        held = self._watchkeeper.issues.hold(error, context={"future": "nobody asked for it"})
        asked: list[bool] = []
        if held is not None and future.__dict__.setdefault(_ASKED, asked) is asked:
            token = object()
            self._failed.add(token)
            weakref.finalize(future, self._collected, held, asked, token, os.getpid())

    def _collected(self, held: Occurrence, asked: list[bool], token: object, pid: int) -> None:
        """Count the error of a future that is gone; amid a collection, so without a lock."""
        self._failed.discard(token)
        # A forked child drops copies of its parent's futures.
        if not asked and self.patches.on and pid == os.getpid():
            with _GUARD:
                self._watchkeeper.issues.later(held)
