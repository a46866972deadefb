"""The gate between database work and forks."""

import threading

import pytest

from watchkeeper.storage.fork_gate import ForkGate


@pytest.fixture
def gate():
    """A gate of the test's own."""
    return ForkGate()


def work(gate: ForkGate, *, patience_s: float = 60.0):
    """Pass the gate in a thread, which stays inside until it is told to leave."""
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with gate.passing(patience_s=patience_s):
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=stay, daemon=True)
    thread.start()
    inside.wait(60)
    return thread, leave


def test_a_fork_waits_for_those_inside(gate):
    """Closing returns when the last one is out."""
    _, leave = work(gate)
    closing = threading.Thread(target=gate.close)
    closing.start()

    closing.join(0.05)
    assert closing.is_alive()
    leave.set()
    closing.join(60)
    assert not closing.is_alive()


def test_a_fork_does_not_wait_for_ever(gate):
    """Who stays inside beyond its patience does not keep the host from forking."""
    thread, leave = work(gate, patience_s=0.01)

    gate.close()

    assert thread.is_alive()
    leave.set()


def test_nobody_enters_during_a_fork(gate):
    """Work begun while the process forks waits until that is over."""
    gate.close()
    entered = threading.Event()

    def enter() -> None:
        with gate.passing():
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()

    assert not entered.wait(0.05)
    gate.open()
    assert entered.wait(60)
    thread.join()


def test_the_forking_thread_does_not_wait_for_itself(gate):
    """A fork from within our own work happens at once."""
    with gate.passing(patience_s=60.0):
        gate.close()
        gate.open()


def test_passing_within_passing(gate):
    """Whoever is inside may enter again, also while a fork waits for it."""
    with gate.passing():
        gate.close()
        with gate.passing():
            pass
        gate.open()


def test_a_child_begins_with_an_open_gate(gate):
    """The threads that were inside stayed with the parent: nobody waits for them."""
    _, leave = work(gate)

    gate.reset()
    gate.close()

    leave.set()
