"""Sampling backs off while the real database is slow or away, and requests never wait for it."""

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import until

from watchkeeper.app import Watchkeeper
from watchkeeper.core.catalogue import HTTP_DURATION, SELF_SAMPLING
from watchkeeper.core.sampling import Level
from watchkeeper.settings import Settings, load
from watchkeeper.storage.sql import database
from watchkeeper.testing import ManualClock

SLOT_S = 1.0
LABELS = {"method": "GET", "route": "/", "status": "200"}


class Shop:
    """A Watchkeeper with a SQLite file; the test flushes, and holds the file's lock."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "watchkeeper.db"
        self.clock = ManualClock()
        settings = Settings(
            enabled=True,
            database_url=f"sqlite:///{self.path}",
            service="shop",
            environment="test",
            slot="1s",
            flush_jitter="0s",
            own_cpu_budget="100%",
        )
        self.watchkeeper = Watchkeeper(load(settings), clock=self.clock)
        self.watchkeeper.flush()  # makes the file

    def slot(self, *, requests: int = 1) -> Level:
        """Let a slot pass with some requests, and flush it; the level afterwards."""
        for _ in range(requests):
            self.watchkeeper.recorder.series(HTTP_DURATION, LABELS).record(0.1)
        self.clock.move(SLOT_S)
        self.watchkeeper.flush()
        return self.watchkeeper.sampler.level

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody else from writing."""
        lock = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        lock.execute("begin exclusive")
        try:
            yield
        finally:
            lock.execute("rollback")
            lock.close()

    def stored(self, metric: str) -> list[object]:
        """Read the values of a metric, oldest first."""
        frames = self.watchkeeper.store.frames(
            1, since=0, until=9e9, service="shop", environment="test", metrics=[metric]
        )
        return [value for frame in frames for value in frame.values.values()]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.watchkeeper.store.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a lock."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.01)


def test_a_locked_database_lowers_sampling_and_loses_nothing(
    impatient: None, shop: Shop, caplog: pytest.LogCaptureFixture
):
    """While it is locked: fewer samples, then none; when it is free again all is stored."""
    with caplog.at_level(logging.WARNING, "watchkeeper"):
        with shop.locked():
            levels = [shop.slot() for _ in range(7)]
        shop.clock.move(30.0)
        levels += [shop.slot() for _ in range(15)]

    assert [2, 2, 1, 1, 0, 0, 0] == levels[:7]
    assert 2 == levels[-1]
    assert 22 == sum(value.count for value in shop.stored(HTTP_DURATION.name))
    assert {0.0, 1.0, 2.0} == {value.last for value in shop.stored(SELF_SAMPLING.name)}
    told = [one.message for one in caplog.records if "sampling" in one.message]
    assert 4 == len(told)
    assert (
        "sampling failed and ordinary requests only from now on: the database is away" in told[0]
    )


def test_a_slow_database_lowers_sampling(shop: Shop, caplog: pytest.LogCaptureFixture):
    """Writing that takes longer than half a slot is too slow, though it works."""
    with caplog.at_level(logging.WARNING, "watchkeeper"):
        for _ in range(4):
            with_lock = threading.Event()

            def hold(held: threading.Event = with_lock) -> None:
                with shop.locked():
                    held.set()
                    threading.Event().wait(0.7)

            holder = threading.Thread(target=hold)
            holder.start()
            with_lock.wait()
            level = shop.slot()
            holder.join()

    assert Level.FEWER is level
    assert "writing a slot takes" in caplog.text
    assert 4 == sum(value.count for value in shop.stored(HTTP_DURATION.name))


def test_requests_are_recorded_while_a_flush_waits(shop: Shop):
    """A flush that hangs in the database holds nothing that a request needs."""
    shop.watchkeeper.recorder.series(HTTP_DURATION, LABELS).record(0.1)
    shop.clock.move(SLOT_S)
    flush = threading.Thread(target=shop.watchkeeper.flush)
    with shop.locked():
        flush.start()
        for _ in range(1_000):
            shop.watchkeeper.recorder.series(HTTP_DURATION, LABELS).record(0.1)
        assert flush.is_alive()
    flush.join()
    shop.slot(requests=0)

    assert 1_001 == sum(value.count for value in shop.stored(HTTP_DURATION.name))


def test_what_watching_costs_can_be_read_like_any_metric(shop: Shop):
    """CPU, cost of a request, queues and room taken are stored; nothing of them is unknown."""
    shop.watchkeeper.own_cost.measured(4e-6)
    shop.slot()
    shop.clock.move(60.0)
    shop.slot(requests=1_000)
    shop.slot()

    assert sum(shop.stored("watchkeeper_cpu_seconds_total")) > 0
    assert any(value.last > 0 for value in shop.stored("watchkeeper_cpu_utilization_ratio"))
    assert [1] == [value.count for value in shop.stored("watchkeeper_request_overhead_seconds")]
    assert {0.0} == {value.last for value in shop.stored("watchkeeper_held_slots")}
    assert {0.0} == {value.last for value in shop.stored("watchkeeper_outbox_waiting")}


def test_the_room_taken_is_looked_up_each_minute(shop: Shop):
    """The thread notes how large the tables are when it tidies up."""
    shop.watchkeeper.start()

    def sizes() -> list[object]:
        shop.clock.move(61.0)
        return shop.stored("watchkeeper_stored_bytes")

    found = until(sizes, every_s=0.5)
    shop.watchkeeper.stop()

    assert found
    assert all(value.last > 10_000 for value in found)
