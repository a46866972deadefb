"""How late the host's event loop comes to its timers: what code that blocks it costs everybody."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import Context
from time import monotonic
from typing import TYPE_CHECKING, Final
from weakref import ref

from watchkeeper.core.capacity_metrics import EVENT_LOOP_LAG
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.recorder import Recorder

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

LOOK_EVERY_S: Final = 1.0  # an idle loop is woken no more often
MAX_MISSED: Final = 60  # looks that one long block swallowed and that are counted all the same
MAX_LAGS: Final = 600  # kept until the slot is closed, and until this worker has a number

_GUARD: Final = guard("event loop")


class LoopLag:
    """A timer on one loop of this process that notes how late it is called.

    It keeps no loop alive and holds none. It ends with the loop, or once watching has stopped.
    Where one block swallows several looks, each is counted with what it would have seen: otherwise
    a loop that hangs would give fewer figures than one that is well.
    """

    def __init__(self, recorder: Recorder) -> None:
        """Record with a recorder; nothing runs before `follow`."""
        self._recorder = recorder
        self._lags: deque[float] = deque(maxlen=MAX_LAGS)
        self._loop: Callable[[], AbstractEventLoop | None] = _none

    def follow(self, is_on: Callable[[], bool]) -> None:
        """Watch the loop that runs this, as long as `is_on`; cheap to repeat.

        Stays with the loop that it watches until that is closed. Does nothing where no loop of
        asyncio's kind runs.
        """
        watched = self._loop()
        if not is_on() or (watched is not None and not watched.is_closed()):
            return
        from asyncio import get_running_loop  # ours alone where the host serves by ASGI

        try:
            loop = get_running_loop()
        except RuntimeError:
            return
        self._loop = ref(loop)
        self._look_later(loop, is_on)

    def record(self, *, host: str, worker: str) -> None:
        """Record what was noted since the last call; for the flusher's thread."""
        series = self._recorder.series(EVENT_LOOP_LAG, {"host": host, "worker": worker})
        while self._lags:
            series.record(self._lags.popleft())

    def reset(self) -> None:
        """Forget the loop of the parent of a forked child."""
        self._lags.clear()
        self._loop = _none

    def _look_later(self, loop: AbstractEventLoop, is_on: Callable[[], bool]) -> None:
        # A context of its own: that of the request would live as long as the timer.
        due = monotonic() + LOOK_EVERY_S
        loop.call_later(LOOK_EVERY_S, self._look, due, is_on, context=Context())

    def _look(self, due: float, is_on: Callable[[], bool]) -> None:
        with _GUARD:
            loop = self._loop()
            if loop is None or not is_on():
                self._loop = _none
                return
            late_s = max(0.0, monotonic() - due)
            for missed in range(MAX_MISSED):
                if missed and late_s <= missed * LOOK_EVERY_S:
                    break
                self._lags.append(late_s - missed * LOOK_EVERY_S)
            self._look_later(loop, is_on)


def _none() -> None:
    """Stand for a loop that there is not."""
