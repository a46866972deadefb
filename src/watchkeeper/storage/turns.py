"""Turns between the host's threads and a busy one of ours."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from time import perf_counter, sleep

from watchkeeper.core.pace import GIVE_WAY_S, WORK_S


class _Turn(threading.local):
    """When the turn of this thread ends, by `perf_counter`."""

    until = 0.0


_turn = _Turn()


@contextmanager
def alone() -> Iterator[None]:
    """Let this thread work without giving way: in a process that serves nobody."""
    _turn.until = inf
    try:
        yield
    finally:
        _turn.until = 0.0


def take_turn() -> None:
    """Give way now, unless most of a turn is left: what follows holds others up if it stops."""
    if perf_counter() >= _turn.until - WORK_S / 2:
        sleep(GIVE_WAY_S)
        _turn.until = perf_counter() + WORK_S


def give_way(*_: object) -> None:
    """Let other threads run if this one has been busy for a while since it last did.

    To be called often: within a turn it costs 0.1 µs. A thread that is busy with Python delays
    the others by the interpreter's switch interval, 5 ms each time that they need it.
    """
    if perf_counter() >= _turn.until:
        sleep(GIVE_WAY_S)
        _turn.until = perf_counter() + WORK_S
