"""Hooks of the process: they see the errors that no framework and no instrument sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from watchkeeper.runtime.guard import guard

if TYPE_CHECKING:
    from watchkeeper.app import Watchkeeper

_INSTALL: Final = guard("hooks")

Install = Callable[["Watchkeeper"], Callable[[], None]]
"""What each module here offers: hooks in, and returns what takes the hook out again."""


class ProcessHooks:
    """The hooks of one Watchkeeper, in the process in which it watches."""

    def __init__(self, watchkeeper: Watchkeeper) -> None:
        """Remember whom to tell; nothing is hooked yet."""
        self._watchkeeper = watchkeeper
        self._undo: list[Callable[[], None]] = []

    def install(self) -> None:
        """Hook in what the settings want; once, in a process and the children it forks."""
        if self._undo:
            return
        for make in self._wanted():
            with _INSTALL:
                self._undo.append(make(self._watchkeeper))

    def uninstall(self) -> None:
        """Take every hook out again."""
        while self._undo:
            with _INSTALL:
                self._undo.pop()()

    def _wanted(self) -> list[Install]:
        from watchkeeper.integrations.hooks import futures, logs, uncaught

        settings = self._watchkeeper.settings
        wanted: list[tuple[bool, Install]] = [
            (settings.capture_logs, logs.install),
            (settings.capture_uncaught, uncaught.install),
            (settings.capture_futures, futures.install),
        ]
        return [make for on, make in wanted if on]


def hook(watchkeeper: Watchkeeper) -> None:
    """Let a Watchkeeper hook into its process as soon as it starts."""
    if watchkeeper.hooks is None:
        watchkeeper.hooks = ProcessHooks(watchkeeper)
