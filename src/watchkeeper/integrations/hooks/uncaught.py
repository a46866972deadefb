"""Exceptions that nobody caught: they end the process or a thread, or Python only prints them.

Each hook calls the one that it found, and is taken out again unless somebody replaced it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from watchkeeper.integrations.hooks.telling import OWN_THREAD, is_own, tell, tell_late
from watchkeeper.runtime.guard import guard

if TYPE_CHECKING:
    from watchkeeper.app import Watchkeeper


_GUARD: Final = guard("uncaught exceptions")


def install(watchkeeper: Watchkeeper) -> Callable[[], None]:
    """Hook into the interpreter; return what undoes that."""
    undo = [
        _replaced(sys, "excepthook", _EndingProcess, watchkeeper),
        _replaced(threading, "excepthook", _EndingThread, watchkeeper),
        _replaced(sys, "unraisablehook", _Unraisable, watchkeeper),
    ]

    def uninstall() -> None:
        for one in undo:
            one()

    return uninstall


def _replaced(
    owner: Any, name: str, kind: type[_Hook], watchkeeper: Watchkeeper
) -> Callable[[], None]:
    """Replace a hook; return what puts the one before back, if ours is still in its place."""
    before = getattr(owner, name)
    ours = kind(watchkeeper, before)
    setattr(owner, name, ours)

    def restore() -> None:
        ours.on = False  # somebody may have kept it, to call it after theirs
        if getattr(owner, name) is ours:
            setattr(owner, name, before)

    return restore


class _Hook:
    """A hook that tells what it is given, then calls the one before it."""

    def __init__(self, watchkeeper: Watchkeeper, before: Callable[..., object]) -> None:
        self.watchkeeper = watchkeeper
        self.before = before
        self.on = True


class _EndingProcess(_Hook):
    def __call__(
        self, kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.on:
            with _GUARD:
                self._tell(error)
        self.before(kind, error, trace)

    def _tell(self, error: BaseException | None) -> None:
        if error is not None and tell(self.watchkeeper, error, context={}):
            # Here, since the hook before may end the process at once.
            thread = threading.Thread(
                target=self.watchkeeper.flush, name=f"{OWN_THREAD}-last-words", daemon=True
            )
            thread.start()
            thread.join(self.watchkeeper.stop_within_s)


class _EndingThread(_Hook):
    def __call__(self, args: threading.ExceptHookArgs) -> None:
        if self.on:
            with _GUARD:
                self._tell(args.exc_value, args.thread)
        self.before(args)

    def _tell(self, error: BaseException | None, thread: threading.Thread | None) -> None:
        name = thread.name if thread is not None else ""
        if error is None or isinstance(error, SystemExit) or is_own(name):
            return
        tell(self.watchkeeper, error, context={"thread": name})


class _Unraisable(_Hook):
    """Called amid anything, in whichever thread a collection came, and until the very end."""

    def __call__(self, args: sys.UnraisableHookArgs) -> None:
        if self.on and not sys.is_finalizing():
            with _GUARD:
                self._tell(args)
        self.before(args)

    def _tell(self, args: sys.UnraisableHookArgs) -> None:
        # Neither the exception nor the object is kept: either would be alive again.
        error = args.exc_value
        if error is not None:
            said = args.err_msg or "Exception ignored in"
            name = getattr(args.object, "__qualname__", None) or type(args.object).__qualname__
            tell_late(self.watchkeeper, error, context={"unraisable": f"{said}: {name}"})
