"""The outgoing heartbeat, at a real receiver: it comes while all works, and only then."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from receivers import Receiver

from watchkeeper.app import Watchkeeper
from watchkeeper.core.metrics import Scope
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.heartbeat import Heartbeat
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.settings import Settings, load
from watchkeeper.testing import ManualClock

Make = Callable[..., Watchkeeper]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A dead man's switch, as some service or another machine runs it."""
    with Receiver() as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock(1_000_000_005.0)


@pytest.fixture
def make(clock: ManualClock, tmp_path: Path, sqlite_url: str) -> Iterator[Make]:
    """Make workers of one service on one database, and stop them in the end."""
    made: list[Watchkeeper] = []

    def build(environ=None, **given) -> Watchkeeper:
        settings = Settings(
            enabled=True, database_url=sqlite_url, service="shop", environment="test", **given
        )
        loaded = load(settings, environ=environ or {}, directory=tmp_path)
        made.append(Watchkeeper(loaded, clock=clock))
        return made[-1]

    yield build
    for one in made:
        one.stop()
        if one.store is not None:  # without a thread nobody closes it
            one.store.close()


def beats(worker: Watchkeeper) -> None:
    """Wait for the call that is under way."""
    heartbeat = worker._flusher._parts.own_health._heartbeat
    assert heartbeat is not None
    assert heartbeat.wait(timeout_s=10)


def cycles(worker: Watchkeeper, clock: ManualClock, count: int) -> None:
    """Let slots pass."""
    for _ in range(count):
        clock.move(10)
        worker.flush()
        beats(worker)


def change(url: str, statement: str) -> None:
    """Do something to the tables behind everybody's back."""
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute(statement)
    connection.close()


def test_it_beats_each_minute_while_all_works(make: Make, clock: ManualClock, receiver: Receiver):
    """Five minutes of slots are five calls, that say nothing."""
    worker = make(heartbeat_url=receiver.url)

    cycles(worker, clock, 30)

    assert [("POST", "/hook", b"")] * 5 == [
        (one.method, one.path, one.body) for one in receiver.received
    ]


def test_one_worker_beats_for_all(make: Make, clock: ManualClock, receiver: Receiver):
    """The one that leads: the number of workers makes no difference."""
    crew = [make(heartbeat_url=receiver.url) for _ in range(3)]

    for _ in range(12):
        clock.move(10)
        for worker in crew:
            worker.flush()
            beats(worker)

    assert 2 == len(receiver.received)


@pytest.mark.parametrize(
    "table",
    [
        pytest.param("wk_frame", id="writing fails"),
        pytest.param("wk_alert", id="evaluation fails"),
    ],
)
def test_it_stays_away_while_something_fails(
    make: Make, clock: ManualClock, receiver: Receiver, sqlite_url: str, table: str
):
    """No call says that all is well while slots cannot be written, or rules not be evaluated."""
    worker = make(heartbeat_url=receiver.url)
    cycles(worker, clock, 1)
    before = len(receiver.received)
    change(sqlite_url, f"ALTER TABLE {table} RENAME TO hidden")
    cycles(worker, clock, 30)
    during = len(receiver.received)

    change(sqlite_url, f"ALTER TABLE hidden RENAME TO {table}")
    cycles(worker, clock, 3)

    assert [1, 1, 2] == [before, during, len(receiver.received)]


def test_it_stays_away_when_the_worker_stops(make: Make, clock: ManualClock, receiver: Receiver):
    """Who has stopped says nothing any more."""
    worker = make(heartbeat_url=receiver.url)
    cycles(worker, clock, 1)

    worker.stop()
    clock.move(600)

    assert 1 == len(receiver.received)


def test_a_receiver_that_hangs_delays_nobody(make: Make, clock: ManualClock, receiver: Receiver):
    """The flusher goes on, and never is more than one call under way."""
    receiver.hang()
    worker = make(heartbeat_url=receiver.url)

    for _ in range(60):
        clock.move(10)
        worker.flush()

    assert 1 == sum(one.name == "watchkeeper-heartbeat" for one in threading.enumerate())
    assert clock() - 10 < worker._flusher.evaluated_at
    receiver.release()
    beats(worker)
    assert 1 == len(receiver.received)


def test_failures_are_counted_and_said_once(receiver: Receiver, caplog: pytest.LogCaptureFixture):
    """Whatever the receiver does: one line when it begins, one when it is over, no address."""
    recorder = Recorder(Scope(service="shop", environment="test"))
    heartbeat = Heartbeat(f"{receiver.url}/not-a-real-token", recorder=recorder)
    receiver.answer(500)
    with caplog.at_level(logging.WARNING, "watchkeeper"):
        for minute in range(3):
            heartbeat.beat(60.0 * minute)
            assert heartbeat.wait(timeout_s=10)
        receiver.refuse()
        heartbeat.beat(180.0)
        assert heartbeat.wait(timeout_s=10)
        receiver.accept()
        receiver.answer(200)
        heartbeat.beat(240.0)
        assert heartbeat.wait(timeout_s=10)

    (count,) = recorder.take().values()
    first, second = caplog.messages
    assert 4 == count
    assert f"heartbeat_url was not reached (127.0.0.1:{receiver.port}: answered 500)" in first
    assert "heartbeat_url is reached again" in second
    assert "not-a-real-token" not in caplog.text


def test_a_clock_set_back_does_not_stop_it(receiver: Receiver):
    """The next minute is counted from where the clock is now."""
    recorder = Recorder(Scope(service="shop", environment="test"))
    heartbeat = Heartbeat(receiver.url, recorder=recorder)
    called = []
    for now in (10_000.0, 10_030.0, 6_400.0, 6_430.0, 6_460.0):
        called.append(heartbeat.beat(now))
        assert heartbeat.wait(timeout_s=10)

    assert [True, False, True, False, True] == called


def test_a_wrong_address_is_told(make: Make):
    """In code it raises at start; in the environment it is a line, and there is no heartbeat."""
    with pytest.raises(ConfigurationError, match="heartbeat_url: is not the address"):
        make(heartbeat_url="ftp://h/x")

    worker = make({"WATCHKEEPER_HEARTBEAT_URL": "nonsense"})

    assert ["heartbeat_url: is not the address of a web server"] == [
        problem.partition(";")[0] for problem in worker.problems
    ]
