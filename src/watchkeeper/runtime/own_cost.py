"""What watching costs this process, measured while it runs, and what gives way when it is much."""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from time import thread_time
from typing import Final

from watchkeeper.core.backoff import Decision, Reason, State, decide
from watchkeeper.core.catalogue import (
    SELF_CPU,
    SELF_CPU_SHARE,
    SELF_REQUEST,
    SELF_SAMPLING,
)
from watchkeeper.core.sampling import Level
from watchkeeper.core.units import format_duration
from watchkeeper.runtime.recorder import Recorder

MEASURE_EVERY_S: Final = 1.0  # one request a second is measured: 1 µs of cost, however many come
MAX_MEASURED: Final = 61  # measurements whose median is what a request costs: the last minute
SHORTEST_SLOT: Final = 0.5  # of a slot: what is closed sooner counts together with the next one

_LEVELS: Final = {
    Level.NONE: "nothing",
    Level.FEWER: "failed and ordinary requests only",
    Level.FULL: "everything",
}

_log = logging.getLogger("watchkeeper")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What watching cost in a span of time; shares are of one core.

    `background` is the CPU of Watchkeeper's own thread; `total` adds what recording costs the
    requests, `request_s` (seconds) for each of them.
    """

    background: float = 0.0
    total: float = 0.0
    request_s: float = 0.0


class OwnCost:
    """Measures what watching costs, and lowers the level of sampling while it is too much.

    The budget is held against the background work only: that is what fewer samples make cheaper.
    Counting requests is never given up, so its share cannot be saved.
    """

    def __init__(self, recorder: Recorder, *, slot_s: float, budget: float = 0.01) -> None:
        """Begin with full sampling; `budget` is a share of one core."""
        self.look_from = 0.0  # perf_counter from which on the next request is looked at
        self.figures = Figures()
        self.on_level: Callable[[Level], None] = _nothing
        self._recorder = recorder
        self._slot_s = slot_s
        self._budget = budget
        self._measured: deque[float] = deque(maxlen=MAX_MEASURED)
        self._state = State()
        self.reset()

    @property
    def level(self) -> Level:
        """How much is sampled."""
        return self._state.level

    def reset(self) -> None:
        """Forget what was spent: for the child of a fork, whose thread is a new one."""
        self.look_now()
        self._lock = Lock()
        self._spent_s = 0.0
        self._requests = 0
        self._hurried = False  # within this slot
        self._since: float | None = None

    def is_due(self, start: float) -> bool:
        """Tell whether the request that begins at `start` (perf_counter) is to be measured."""
        if start < self.look_from:
            return False
        self.look_from = start + MEASURE_EVERY_S
        return True

    def look_now(self) -> None:
        """Have the next request looked at: it is measured, and starts what has not started."""
        self.look_from = 0.0

    def measured(self, seconds: float) -> None:
        """Note what recording took of one request."""
        self._measured.append(seconds)
        self._recorder.series(SELF_REQUEST).record(seconds)

    @contextmanager
    def background(self) -> Iterator[None]:
        """Count the CPU time of this thread within the block as Watchkeeper's own."""
        before = thread_time()
        try:
            yield
        finally:
            spent_s = thread_time() - before
            with self._lock:
                self._spent_s += spent_s
            self._recorder.series(SELF_CPU).record(spent_s)

    def slot_closed(self, now: float, *, requests: int, flush_s: float, failing: bool) -> Figures:
        """Work out what the slot cost that ends now, and decide what the next one samples.

        `requests` came since the last call; the last write took `flush_s` seconds; `failing`
        tells that the database is away. A flush in the midst of a slot decides nothing yet, and
        the CPU of such a slot is not held against the budget: flushes come quickly when there is
        trouble, when samples are worth most, and slowly again after minutes.
        """
        self._requests += requests
        since = self._since
        if since is None or since > now:  # the start, with its imports, or a clock set back
            self._work_out(self._slot_s)
            self._since = since = now
        if now - since < self._slot_s * SHORTEST_SLOT:
            self._hurried = self._hurried or now > since
        else:
            self.figures = self._work_out(now - since)
            self._since = now
            self._follow(
                decide(
                    self._state,
                    cpu_share=0.0 if self._hurried else self.figures.background,
                    budget=self._budget,
                    flush_s=flush_s,
                    slot_s=self._slot_s,
                    failing=failing,
                ),
                flush_s=flush_s,
            )
            self._hurried = False
            self._recorder.series(SELF_CPU_SHARE).record(self.figures.total)
        self._recorder.series(SELF_SAMPLING).record(self.level)
        return self.figures

    def _work_out(self, seconds: float) -> Figures:
        with self._lock:
            spent_s, self._spent_s = self._spent_s, 0.0
        requests, self._requests = self._requests, 0
        # The median: now and then a measurement holds another thread's turn.
        measured = sorted(self._measured)
        request_s = measured[len(measured) // 2] if measured else 0.0
        return Figures(
            background=spent_s / seconds,
            total=(spent_s + request_s * requests) / seconds,
            request_s=request_s,
        )

    def _follow(self, decision: Decision, *, flush_s: float) -> None:
        self._state = decision.state
        if not decision.stepped:
            return
        self.on_level(decision.level)
        why = {
            Reason.CPU: f"the own thread takes {self.figures.background:.1%} of a core, "
            f"more than {self._budget:.1%}",
            Reason.SLOW_STORAGE: f"writing a slot takes {format_duration(round(flush_s, 1))}",
            Reason.STORAGE_AWAY: "the database is away",
        }.get(decision.reason, "watching is cheap again")
        _log.warning(
            "watchkeeper: sampling %s from now on: %s; counts stay exact.",
            _LEVELS[decision.level],
            why,
        )


def _nothing(level: Level) -> None:
    """Do nothing: nobody samples yet."""
