"""The thread that starts health checks, so that none waits while a flush hangs."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.health import Health

END_WITHIN_S: Final = 1.0
LOOK_EVERY_S: Final = 1.0  # for checks that are declared late
SHORTEST_SLEEP_S: Final = 0.01  # a check that is due and has no place must not make it spin


class CheckThread:
    """Starts checks that are due and gives up those past their time-out."""

    def __init__(
        self,
        health: Health,
        *,
        clock: Callable[[], float],
        background: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Prepare; `background` counts what CPU is spent."""
        self._health = health
        self._clock = clock
        self._background = background
        self._thread: threading.Thread | None = None
        self._stopping: threading.Event | None = None

    def keep(self, stopping: threading.Event) -> None:
        """Have a thread until `stopping` is set, from when a check is declared on."""
        if self._stopping is stopping or not self._health.declared_now(self._clock()):
            return
        thread = threading.Thread(
            target=self._run, args=(stopping,), name="watchkeeper-health", daemon=True
        )
        thread.start()
        self._thread, self._stopping = thread, stopping

    def join(self) -> None:
        """Wait until the thread has ended, after `stopping` was set; it waits for nothing."""
        if self._thread is not None:
            self._thread.join(END_WITHIN_S)

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            sleep_s = LOOK_EVERY_S
            with guard("health checks"), self._background():
                self._health.run_due(self._clock())
                sleep_s = self._sleep_s()
            stopping.wait(sleep_s)

    def _sleep_s(self) -> float:
        due_s = self._health.pending_soon()
        return LOOK_EVERY_S if due_s is None else max(SHORTEST_SLEEP_S, min(LOOK_EVERY_S, due_s))
