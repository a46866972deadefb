"""The thread that starts health checks: it goes on until it is stopped, whatever happens."""

import contextlib
import threading
import time

from processes import until

from watchkeeper.runtime.check_thread import CheckThread
from watchkeeper.runtime.checks import make_check
from watchkeeper.runtime.health import Health


class Clock:
    """A clock that cannot be read once, by whoever asks when something is due."""

    def __init__(self) -> None:
        self.failed = threading.Event()

    def __call__(self) -> float:
        if threading.current_thread().name == "watchkeeper-health" and not self.failed.is_set():
            self.failed.set()
            raise OSError("no clock")
        return time.time()


def test_the_thread_outlives_what_fails_between_two_runs():
    """Also when the moment of the next run cannot be told."""
    ran, stopping = threading.Event(), threading.Event()
    clock = Clock()
    thread = CheckThread(
        Health([make_check("search", ran.set)], clock=clock),
        clock=time.time,
        background=contextlib.nullcontext,
    )

    thread.keep(stopping)
    until(clock.failed.is_set)
    has_run = until(ran.is_set)
    stopping.set()
    thread.join()

    assert has_run
    assert "watchkeeper-health" not in [one.name for one in threading.enumerate()]
