"""Built-in checks as settings make them, run once or often; what they hold is counted."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from watchkeeper.core.health import CheckState
from watchkeeper.runtime.builtin.own import Own
from watchkeeper.runtime.builtin.registry import open_check
from watchkeeper.runtime.checks import Check, Found, run_once

RUNS = 50
SETTLE_S = 10.0


def check(kind: str, *, own: Own | None = None, **options: Any) -> Check:
    """Make a check as a table of settings does."""
    table = {"type": kind, **options}
    return open_check("it", table, where="health.checks.it", own=own)


def found(kind: str, *, own: Own | None = None, **options: Any) -> Found:
    """Make a check and run it once."""
    return run_once(check(kind, own=own, **options))


def told(kind: str, *, own: Own | None = None, **options: Any) -> tuple[str, str]:
    """Make a check and run it once; the state and the text."""
    one = found(kind, own=own, **options)
    return one.state.value, one.output


def open_files() -> set[str]:
    """Name what this process has open: sockets and files, by descriptor."""
    names = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            names.add(f"{descriptor} {os.readlink(f'/proc/self/fd/{descriptor}')}")
        except OSError:
            continue  # that of the listing itself
    return names


@contextmanager
def nothing_left() -> Iterator[None]:
    """Fail if more files or threads are there after the block than before it."""
    files, threads = len(open_files()), threading.active_count()
    yield
    until = time.monotonic() + SETTLE_S
    while len(open_files()) > files or threading.active_count() > threads:
        assert time.monotonic() < until, (sorted(open_files()), threading.enumerate())
        time.sleep(0.02)


def states(made: Check, runs: int = RUNS) -> set[CheckState]:
    """Run a check so often; the states that were found. Nothing may be left of the runs."""
    run_once(made)  # what is imported and cached at the first run
    with nothing_left():
        return {run_once(made).state for _ in range(runs)}


def texts_of(made: Check, run: Callable[[Check], Found] = run_once) -> str:
    """Everything that a check may show of itself."""
    one = run(made)
    return f"{made!r} {one!r}"
