"""How late the host's event loops come to their timers: what code that blocks costs all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import Context
from math import inf
from threading import Lock
from time import monotonic, thread_time
from typing import TYPE_CHECKING, Final
from weakref import ref

from watchkeeper.core.capacity_metrics import EVENT_LOOP_LAG
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.thread_pool import ThreadPool

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

LOOK_EVERY_S: Final = 0.1  # while there is something to see
# Waking a process that sleeps takes 50 to 700 µs, whatever it then does: ten times a second that
# alone would be several tenths of a percent of a core (bench/resources.py).
IDLE_EVERY_S: Final = 1.0  # what blocks for longer is always seen
LATE_S: Final = 0.05  # what comes so late is late
BUSY_S: Final = 0.5  # looks are quick so long after a late one; after a request, of which one a …
WORKS: Final = 0.01  # … second tells, while the thread uses so much of a core, and is awake anyway
WELL_S: Final = 10.0  # a loop that was not late for so long is taken to be well while it sleeps
MAX_LOOPS: Final = 8  # of one process; further ones are not watched
MAX_MISSED: Final = 600  # looks that one long block swallowed and that are counted all the same
MAX_LAGS: Final = 1_200  # of a loop, kept until the slot is closed and this worker has a number

_GUARD: Final = guard("event loop")


class LoopLag:
    """A timer on each loop of this process that notes how late it is called.

    Looks are quick while requests keep the loop at work or it is late, and few while it is idle;
    each of those counts as the quick ones that it stands for, also if a request comes before it,
    so that every second has the same weight.
    It keeps no loop alive and holds none. It ends with the loop, or once watching has stopped.
    Where one block swallows several looks, each is counted with what it would have seen: otherwise
    a loop that hangs would give fewer figures than one that is well. A loop that hangs when the
    slot is closed counts with what is known by then.
    """

    def __init__(self, recorder: Recorder) -> None:
        """Record with a recorder; nothing runs before `follow`."""
        self._recorder = recorder
        self._lock = Lock()  # loops of two threads may come at once
        self._loops: dict[int, _Watched] = {}  # by their number

    def follow(self, is_on: Callable[[], bool]) -> None:
        """Watch the loop that runs this, as long as `is_on`; cheap to repeat.

        Does nothing where no loop of asyncio's kind runs.
        """
        if not is_on():
            return
        from asyncio import get_running_loop  # ours alone where the host serves by ASGI

        try:
            loop = get_running_loop()
        except RuntimeError:
            return
        for watched in list(self._loops.values()):
            if watched.loop() is loop and not watched.is_over():
                watched.hurry(loop)
                return
        with self._lock:
            self._begin(loop, is_on)

    def record(self, *, host: str, worker: str) -> None:
        """Record what was noted since the last call; for the flusher's thread."""
        of = {"host": host, "worker": worker}
        for number, watched in list(self._loops.items()):
            lags = watched.take()
            if lags:
                series = self._recorder.series(EVENT_LOOP_LAG, {**of, "loop": str(number)})
                for lag_s in lags:
                    series.record(lag_s)
        pools = [watched.pool for watched in list(self._loops.values()) if not watched.is_over()]
        ThreadPool.record(pools, self._recorder, of)

    def reset(self) -> None:
        """Forget the loops of the parent of a forked child."""
        self._lock = Lock()
        self._loops = {}

    def _begin(self, loop: AbstractEventLoop, is_on: Callable[[], bool]) -> None:
        """Watch a loop under the lowest number that is free; the lock is held."""
        for number in range(1, MAX_LOOPS + 1):
            before = self._loops.get(number)
            if before is None or before.is_over():
                rest = before.take() if before is not None else []
                self._loops[number] = _Watched(loop, is_on, rest)
                return


class _Watched:
    """One loop, and what was noted of it."""

    def __init__(
        self, loop: AbstractEventLoop, is_on: Callable[[], bool], lags: Iterable[float]
    ) -> None:
        """Look for the first time a little later; `lags` are those of a loop before."""
        self.loop: Callable[[], AbstractEventLoop | None] = ref(loop)
        self.pool = ThreadPool()
        self._is_on = is_on
        self._stopped = False
        self._lags: deque[float] = deque(lags, maxlen=MAX_LAGS)
        # When the next look is due. Whoever pops it counts what is overdue, and only that one:
        # the loop's own thread, or that of the flusher while the loop hangs.
        self._due: deque[float] = deque(maxlen=1)
        # A context of its own: that of the request would live as long as the timer.
        self._context = Context()
        self._step_s = LOOK_EVERY_S
        self._turn = 0
        self._late_at = -inf
        self.hurry(loop)
        self._look_later(loop)

    def hurry(self, loop: AbstractEventLoop) -> None:
        """Look quickly for a while: a request has come; runs in the loop's thread."""
        self.pool.find()
        now = monotonic()
        self._busy_until = now + BUSY_S
        if self._step_s != LOOK_EVERY_S:
            self._rest(now)
            self._step_s = LOOK_EVERY_S
            self._look_later(loop)

    def is_over(self) -> bool:
        """Tell whether the loop is closed or gone, or watching it has stopped."""
        loop = self.loop()
        return self._stopped or loop is None or loop.is_closed()

    def take(self) -> list[float]:
        """Return the lags (seconds) noted since the last call."""
        if not self.is_over():
            self._note(monotonic(), hangs=True)
        lags: list[float] = []
        while self._lags:
            lags.append(self._lags.popleft())
        return lags

    def _look_later(self, loop: AbstractEventLoop) -> None:
        self._worked_s = thread_time()
        self._due.append(monotonic() + self._step_s)
        self._turn += 1  # not the timer is kept, which holds the loop: an older one does nothing
        loop.call_later(self._step_s, self._look, self._turn, context=self._context)

    def _look(self, turn: int) -> None:
        with _GUARD:
            loop = self.loop()
            if turn != self._turn:
                return
            if loop is None or not self._is_on():
                self._stopped = True
                return
            now = monotonic()
            if self._note(now, hangs=False) > LATE_S:
                self._late_at = now
            is_quick = now - self._late_at < BUSY_S or (
                now < self._busy_until and self._works(self._step_s)
            )
            self._step_s = LOOK_EVERY_S if is_quick else IDLE_EVERY_S
            self.pool.look()
            self._look_later(loop)

    def _works(self, lasted_s: float) -> bool:
        """Tell whether the loop's thread was at work since a look, so many seconds ago."""
        return thread_time() - self._worked_s > WORKS * lasted_s

    def _rest(self, now: float) -> None:
        """Count an idle look that a request cuts short, if nothing says that it was not well."""
        try:
            due = self._due.pop()
        except IndexError:
            return  # the flusher's thread is at it
        rested_s = self._step_s - (due - now)
        if due > now and now - self._late_at > WELL_S and not self._works(rested_s):
            self._lags.extend([0.0] * round(rested_s / LOOK_EVERY_S))

    def _note(self, now: float, *, hangs: bool) -> float:
        """Count the looks that are overdue; of a loop that hangs, if it is by a whole look.

        Return by how much (seconds) the first of them is late.
        """
        try:
            due = self._due.pop()
        except IndexError:
            return 0.0  # another thread is at it
        step_s, late_s = self._step_s, max(0.0, now - due)
        missed = list(_missed(late_s, step_s)) if not hangs or late_s >= step_s else []
        for lag_s in missed:
            self._lags.extend([lag_s] * round(step_s / LOOK_EVERY_S))
        if hangs:
            self._due.append(due + len(missed) * step_s)
        return late_s


def _missed(late_s: float, step_s: float) -> Iterator[float]:
    """Give the lag that each look had, or would have had, the first of which is so late."""
    yield late_s
    for number in range(1, MAX_MISSED):
        rest_s = late_s - number * step_s
        if rest_s <= 0:
            return
        yield rest_s
