"""What the garbage collector of this process does, and how long it holds everybody up."""

import contextlib
import gc
import sys
from time import perf_counter

from watchkeeper.core.process_metrics import (
    ALLOCATED_BLOCKS,
    GC_COLLECTIONS,
    GC_PAUSE,
    GC_UNCOLLECTABLE,
)
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.increases import Increases
from watchkeeper.runtime.live import LiveSeries
from watchkeeper.runtime.recorder import Recorder

_GUARD = guard("garbage collection")


class Garbage:
    """Listens to the collector between `start` and `stop`.

    What it calls waits for no lock and makes nothing that could be collected: it runs amid any
    line of any thread, also ours. There is one collection at a time.
    """

    def __init__(self, recorder: Recorder) -> None:
        """Prepare; nothing is listened to before `start`."""
        self._recorder = recorder
        self._pauses: LiveSeries | None = None  # of this worker, once it has a number
        self._began = 0.0
        self._grown = Increases()

    def start(self) -> None:
        """Listen; cheap to repeat."""
        if self._called not in gc.callbacks:
            gc.callbacks.append(self._called)

    def stop(self) -> None:
        """Listen no more."""
        with contextlib.suppress(ValueError):  # the host may have cleared the list
            gc.callbacks.remove(self._called)

    def reset(self) -> None:
        """Forget what the parent of a forked child noted."""
        self._pauses = None
        self._grown = Increases()

    def record(self, *, host: str, worker: str) -> None:
        """Record what was counted since the last call; pauses are recorded as they happen."""
        of = {"host": host, "worker": worker}
        series = self._recorder.series
        self._pauses = series(GC_PAUSE, of)
        for generation, stats in enumerate(gc.get_stats()):
            runs = self._grown.of(("runs", str(generation)), stats["collections"])
            if runs:
                series(GC_COLLECTIONS, {**of, "generation": str(generation)}).record(runs)
            lost = self._grown.of(("uncollectable", str(generation)), stats["uncollectable"])
            if lost:
                series(GC_UNCOLLECTABLE, of).record(lost)
        blocks = sys.getallocatedblocks()
        if blocks:  # 0: the interpreter does not count them (PYTHONMALLOC=malloc)
            series(ALLOCATED_BLOCKS, of).record(blocks)

    def _called(self, phase: str, info: dict[str, int]) -> None:
        try:
            if phase == "start":
                self._began = perf_counter()
            elif self._began:  # else it began before we listened
                if self._pauses is not None:
                    self._pauses.record(perf_counter() - self._began)
                self._began = 0.0
        except Exception as error:  # noqa: BLE001  # amid any line of the host
            _GUARD.swallow(error)
