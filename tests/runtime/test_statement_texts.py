"""The texts of statements are told when they are new, when a caller is, and while in use."""

import pytest

from watchkeeper.core.metrics import Scope
from watchkeeper.runtime.observer import Observer
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.statements import MAX_STATEMENTS, REFRESH_S
from watchkeeper.testing import ManualClock

SQL = "SELECT * FROM orders WHERE id = 7"


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands."""
    return ManualClock(1_000.0)


@pytest.fixture
def observer(clock: ManualClock) -> Observer:
    """An observer of a process of its own."""
    return Observer(Recorder(Scope(service="shop", environment="test")), clock=clock)


def run(observer: Observer) -> None:
    """Execute the statement once."""
    observer.executed("postgresql", SQL, start=0.0, seconds=0.001)


def test_a_new_statement_is_told_once(observer: Observer, clock: ManualClock):
    """What is stored already is not written with every flush."""
    run(observer)

    (told,) = observer.statements.take()
    run(observer)

    assert ("SELECT * FROM orders WHERE id = ?", "SELECT", 1_000.0) == (
        told.text,
        told.operation,
        told.at,
    )
    assert [] == observer.statements.take()


def test_a_statement_in_use_is_told_once_an_hour(observer: Observer, clock: ManualClock):
    """A worker that runs for weeks keeps the texts of its statements from being deleted."""
    run(observer)
    observer.statements.take()
    run(observer)
    clock.move(REFRESH_S)

    assert [clock.now] == [one.at for one in observer.statements.take()]
    assert [] == observer.statements.take()


def test_a_statement_out_of_use_is_not_told_again(observer: Observer, clock: ManualClock):
    """What nobody executes any more may be deleted."""
    run(observer)
    observer.statements.take()
    clock.move(10 * REFRESH_S)

    assert [] == observer.statements.take()


def test_statements_beyond_the_cap_are_one(observer: Observer):
    """So many statements are told apart; of the others it is known what they do."""
    for number in range(MAX_STATEMENTS):
        observer.statements.find("sqlite", f"SELECT column_{number} FROM orders")

    others = {
        observer.statements.find("sqlite", f"DELETE FROM orders_{n}") for n in ("a", "b", "c")
    }

    assert ["(other)"] == [operation.statement for operation in others]
    assert 3 == observer.recorder.dropped["statements"]
    assert (
        "SELECT column_7 FROM orders"
        == observer.statements.find("sqlite", "select column_7 from orders").name
    )
    assert MAX_STATEMENTS == len(observer.statements.take())
