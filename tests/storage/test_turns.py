"""A busy thread of ours gives way to the host's, and no more often than it has to."""

import threading

import pytest

from watchkeeper.storage import turns
from watchkeeper.storage.turns import give_way, take_turn


class Clock:
    """A clock set by hand, which sleeping moves on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give turns that are measured by a clock set by hand, and none begun."""
    clock = Clock()
    monkeypatch.setattr(turns, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(turns, "sleep", clock.sleep)
    monkeypatch.setattr(turns, "_turn", turns._Turn())
    return clock


def test_a_thread_that_was_busy_for_a_millisecond_sleeps(clock: Clock):
    """Work of a millisecond is followed by a moment in which requests run."""
    give_way()
    clock.now += 0.0011

    give_way()

    assert [0.0001, 0.0001] == clock.slept


def test_a_thread_within_its_turn_goes_on(clock: Clock):
    """To give way costs nothing as long as little was done since the last time."""
    give_way()

    for _ in range(9):
        clock.now += 0.0001
        give_way()

    assert [0.0001] == clock.slept


def test_each_thread_has_turns_of_its_own(clock: Clock):
    """That one thread has just slept says nothing of how long another was busy."""
    give_way()

    thread = threading.Thread(target=give_way)
    thread.start()
    thread.join()

    assert [0.0001, 0.0001] == clock.slept


def test_what_must_not_be_interrupted_begins_with_a_whole_turn(clock: Clock):
    """Before a transaction that others wait for, a thread gives way early instead of in it."""
    give_way()
    clock.now += 0.0004
    take_turn()  # most of the turn is left
    clock.now += 0.0002
    take_turn()
    clock.now += 0.0009

    give_way()

    assert [0.0001, 0.0001] == clock.slept
