"""Recording what a platform tells, and leaving out what it does not: no series, never a zero."""

from collections.abc import Callable

from watchkeeper.core.metrics import Metric
from watchkeeper.runtime.recorder import Recorder


class Figures:
    """The gauges and counters of one worker and its host."""

    def __init__(self, recorder: Recorder, *, host: str, worker: Callable[[], str]) -> None:
        """Record with these labels; a worker without a name yet has no figures of its own."""
        self._recorder = recorder
        self._host = host
        self._worker = worker

    def set(self, metric: Metric, figure: Callable[[], float | None]) -> None:
        """Record what a function returns, if it returns anything."""
        self.read(lambda: self.add(metric, figure()))

    def read(self, record: Callable[[], None]) -> None:
        """Call a function that records; what the platform refuses to tell is left out."""
        from psutil import Error

        from watchkeeper.storage.turns import give_way

        give_way()
        try:
            record()
        except (Error, OSError, AttributeError, ImportError, NotImplementedError):
            return  # there is no such function here, or the system refuses to tell

    def add(self, metric: Metric, value: float | None, **more: str) -> None:
        """Record one value; None is none."""
        if value is None:
            return
        labels = {"host": self._host, **more}
        if "worker" in metric.labels:
            labels["worker"] = self._worker()
            if not labels["worker"]:
                return  # workers without a number yet would all be taken for one
        self._recorder.series(metric, labels).record(value)
