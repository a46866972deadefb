"""The threads in which anyio, and so Starlette and FastAPI, run functions that block."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from watchkeeper.core.process_metrics import THREAD_POOL_MAX, THREAD_POOL_USED
from watchkeeper.runtime.recorder import Recorder


class ThreadPool:
    """The pool of one event loop: how many threads are in use, and the most since a look."""

    def __init__(self) -> None:
        """Know of no pool yet."""
        self._limiter: Any = None
        self._most = 0

    def find(self) -> None:
        """Find the pool of the running loop, where the host has loaded anyio; within a task."""
        threads = sys.modules.get("anyio.to_thread")
        if self._limiter is None and threads is not None:
            with contextlib.suppress(RuntimeError):  # not within a task: the next request is
                self._limiter = threads.current_default_thread_limiter()

    def look(self) -> None:
        """Note how many threads are in use; costs 0.2 µs."""
        if self._limiter is not None:
            self._most = max(self._most, self._limiter.borrowed_tokens)

    @staticmethod
    def record(pools: Iterable[ThreadPool], recorder: Recorder, labels: Mapping[str, str]) -> None:
        """Record the use of the pools of a process together; nothing without any."""
        found = [pool for pool in pools if pool._limiter is not None]
        if not found:
            return
        recorder.series(THREAD_POOL_MAX, labels).record(
            sum(pool._limiter.total_tokens for pool in found)
        )
        used = recorder.series(THREAD_POOL_USED, labels)
        used.record(sum(max(pool._most, pool._limiter.borrowed_tokens) for pool in found))
        used.record(sum(pool._limiter.borrowed_tokens for pool in found))
        for pool in found:
            pool._most = 0
