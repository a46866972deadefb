"""The upkeep of real stores: less is stored while room is short, and all again afterwards."""

import logging
import random
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from stored import HERE, SHOP, counter, frame

from watchkeeper.app import Watchkeeper
from watchkeeper.core import upkeep as noting
from watchkeeper.core.budget import Reason, Storing
from watchkeeper.core.metrics import Kind, Metric
from watchkeeper.core.pace import Reason as Pace
from watchkeeper.core.sampling import Level
from watchkeeper.core.slot import Gauge
from watchkeeper.core.upkeep import KEY, Notes, write_notes
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.retention import MAX_ROWS, MIN_ROWS, Keep, next_limit
from watchkeeper.runtime.upkeep import Upkeep, read
from watchkeeper.runtime.writer import Writer
from watchkeeper.settings import Settings, load
from watchkeeper.storage import Store, open_store
from watchkeeper.testing import ManualClock

DAY_S = 86_400
NOW = 100 * DAY_S
KEEP = Keep(
    frames_s={10: DAY_S, 60: 14 * DAY_S, 3_600: 400 * DAY_S},
    events_s=30 * DAY_S,
    samples_s=7 * DAY_S,
    max_samples=50_000,
)
ORDERS = Metric(name="orders_total", kind=Kind.COUNTER, help="Orders.")
Usage = namedtuple("Usage", "total used free")


class Tended:
    """A store with its upkeep, a turn of which is one call."""

    def __init__(self, store: Store, *, budget_bytes: int) -> None:
        self.store = store
        self.recorder = Recorder(SHOP)
        self.told: list[Storing] = []
        self.now = float(NOW)
        self.upkeep = Upkeep(
            store,
            recorder=self.recorder,
            keep=KEEP,
            budget_bytes=budget_bytes,
            apply=self.told.append,
            pause=lambda: None,
            now=self.now,
        )

    def turn(self, count: int = 1, *, seconds: float = 60.0) -> Notes:
        """Let minutes pass, and look after the store in each."""
        for _ in range(count):
            self.now += seconds
            self.upkeep.run(now=self.now, owner="1")
        return read(self.store)

    def recorded(self, metric: str) -> object:
        """Return what was recorded of an own metric since the last call."""
        values = self.recorder.take()
        return next((value for series, value in values.items() if series.metric == metric), None)


def fill(store: Store, *, since: int, until: int, step: int = 60, series: int = 100) -> None:
    """Write slots that do not compress well, each marked as rolled up."""
    rng = random.Random(since)  # noqa: S311  # made figures, no secret
    names = [counter(plan=f"{number}") for number in range(series)]
    starts = range(since, until, step)
    for first in range(0, len(starts), 200):
        some = [
            frame(start, 1, values={name: rng.random() for name in names})
            for start in starts[first : first + 200]
        ]
        store.add_frames(some)
        store.write_rollup([], [one.key for one in some])


@pytest.fixture
def file(sqlite_url: str) -> Iterator[Store]:
    """Open a SQLite store with a day of slots in it."""
    store = open_store(sqlite_url)
    store.migrate()
    fill(store, since=NOW - DAY_S, until=NOW)
    yield store
    store.close()


def slots(store: Store) -> list[int]:
    """List the slots that are there."""
    found = store.frames(10, since=0, until=2 * NOW, **HERE, metrics=())
    return [one.key.start for one in found]


def test_it_is_told_when_the_budget_is_used_up(file: Store):
    """From the growth of the days before; on the first day there is no figure."""
    used = file.room()
    tended = Tended(file, budget_bytes=10 * used.used_bytes)
    notes = tended.turn()
    unknown = tended.recorded("watchkeeper_storage_full_in_seconds")
    days = ((tended.now - 2 * DAY_S, 0.0), (tended.now - DAY_S, used.used_bytes / 2))
    file.set_meta(KEY, write_notes(replace(notes, history=days)))

    tended.turn()

    full_in = tended.recorded("watchkeeper_storage_full_in_seconds")
    assert unknown is None
    assert isinstance(full_in, Gauge)
    assert 18 * DAY_S == pytest.approx(full_in.last, rel=0.1)


def test_every_process_can_read_what_was_done_last(store: Store):
    """When it was measured, rolled up, sealed and pruned, and how large it was."""
    store.add_frames([frame(NOW - 7_200 + 10 * number, 1) for number in range(12)])
    tended = Tended(store, budget_bytes=10**9)

    notes = tended.turn()

    assert (NOW + 60, NOW + 60, NOW + 60) == (notes.at, notes.rolled_at, notes.pruned_at)
    assert NOW + 60 == notes.sealed_at
    assert (Storing.EVERYTHING, Reason.ROOM) == (notes.storing, notes.reason)
    assert notes.room is not None
    assert notes.room.used_bytes > 0
    assert 1 == len(notes.history)
    assert notes.room.stored_bytes == tended.recorded("watchkeeper_stored_bytes").last


def test_a_turn_a_minute_is_enough(store: Store):
    """Whoever asks earlier is told that nothing is due."""
    tended = Tended(store, budget_bytes=10**9)

    assert not tended.upkeep.run(now=NOW + 59.0, owner="1")
    assert tended.upkeep.run(now=NOW + 60.0, owner="1")


def test_another_process_follows_what_was_decided(store: Store):
    """The lease is one worker's; all store as much as it has decided."""
    leader, other = (Tended(store, budget_bytes=10**9) for _ in range(2))
    leader.turn()
    notes = Notes(storing=Storing.COUNTS, reason=Reason.DISK)
    store.set_meta(noting.KEY, noting.write_notes(notes))

    assert not other.upkeep.run(now=NOW + 60.0, owner="2")

    assert [Storing.COUNTS] == other.told


def test_over_the_budget_the_oldest_slots_go_first(file: Store):
    """Step by step: fewer samples, then the finest tier for a shorter time; then it is enough."""
    size = file.room().used_bytes
    tended = Tended(file, budget_bytes=int(size * 0.8))

    steps = [tended.turn().storing for _ in range(8)]

    notes = read(file)
    assert [3, 2, 2, 2, 2, 2, 2, 2] == [int(one) for one in steps]
    assert ["slots"] == list(notes.keep_s)
    assert 0.25 < notes.keep_s["slots"] / DAY_S < 0.9
    assert min(slots(file)) >= NOW + 120 - notes.keep_s["slots"]
    assert max(slots(file)) == NOW - 60
    assert notes.room is not None
    assert notes.room.used_bytes < 0.95 * tended.upkeep._budget_bytes
    assert file.size_bytes() < 1.1 * notes.room.used_bytes + 5_000_000


def test_what_was_cut_stays_cut_until_there_is_room(file: Store):
    """A tier does not grow back to where it was too large; with a larger budget it may."""
    budget = int(file.room().used_bytes * 0.8)
    Tended(file, budget_bytes=budget).turn(8)
    kept = read(file).keep_s["slots"]

    again = Tended(file, budget_bytes=budget)
    again.now += 600
    assert kept == again.turn(3).keep_s["slots"]

    larger = Tended(file, budget_bytes=10 * budget)
    larger.now += 1_200
    notes = larger.turn(3)
    assert ({}, Storing.EVERYTHING) == (notes.keep_s, notes.storing)


def test_growth_beyond_every_cut_stops_the_details_and_then_everything(file: Store):
    """Where even the least that is kept is too much: counts only, then nothing."""
    tended = Tended(file, budget_bytes=500_000)

    found = [int(tended.turn().storing) for _ in range(12)]

    assert [3, 2] == found[:2]
    assert 0 == found[-1]
    assert sorted(found, reverse=True) == found
    assert min(slots(file), default=NOW) >= NOW - 2 * 3_600


def test_each_step_is_logged_once(file: Store, caplog: pytest.LogCaptureFixture):
    """One line says what is stored from now on and why, one what is kept for a shorter time."""
    tended = Tended(file, budget_bytes=int(file.room().used_bytes * 0.8))

    with caplog.at_level(logging.WARNING, "watchkeeper"):
        tended.turn(8)

    said = [record.getMessage() for record in caplog.records]
    assert 3 == len(said)
    assert said[0].startswith("watchkeeper: storing fewer samples from now on: the tables take ")
    assert said[1].startswith("watchkeeper: storing fewer samples, and the finest data for a ")
    assert said[2].startswith("watchkeeper: slots are kept for ")
    assert all(one.endswith("(storage_budget).") for one in said)


def test_the_share_of_the_budget_and_the_step_are_metrics(file: Store):
    """A rule can tell that room gets short, and a page what is stored."""
    tended = Tended(file, budget_bytes=int(file.room().used_bytes / 0.95))

    tended.turn()

    values = {series.metric: value for series, value in tended.recorder.take().items()}
    assert 0.95 == pytest.approx(values["watchkeeper_storage_used_ratio"].last, rel=0.01)
    assert 3.0 == values["watchkeeper_storing_level"].last
    assert values["watchkeeper_prune_duration_seconds"].count > 5


class Disk:
    """A disk as the file system would tell it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 50 * 10**9
        monkeypatch.setattr(
            "watchkeeper.storage.sql.admin.shutil.disk_usage",
            lambda _: Usage(total=100 * 10**9, used=0, free=self.free),
        )


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A disk of 100 GB that the test fills."""
    return Disk(monkeypatch)


class Shop:
    """A whole Watchkeeper with a SQLite file, whose test moves the clock."""

    def __init__(self, folder: Path, **more: str) -> None:
        self.clock = ManualClock()
        settings = Settings(
            **more,
            enabled=True,
            database_url=f"sqlite:///{folder / 'watchkeeper.db'}",
            service="shop",
            environment="production",
            flush_jitter="0s",
            own_cpu_budget="100%",
        )
        self.watchkeeper = Watchkeeper(load(settings), clock=self.clock)
        self.slot()

    def slot(self, seconds: float = 10.0) -> None:
        """Let a slot pass with one order in it and one error, and flush it as the thread does."""
        self.watchkeeper.recorder.series(ORDERS).record(1.0)
        try:
            raise ValueError("no such plan")
        except ValueError as error:
            self.watchkeeper.capture(error)
        self.clock.move(seconds)
        self.watchkeeper._flusher._flush(self.clock(), Pace.SLOT_ENDS)

    @property
    def writer(self) -> Writer:
        """What writes the slots."""
        return self.watchkeeper._flusher._parts.writer

    @property
    def stored(self) -> float:
        """Count the orders that are in the database."""
        store = self.watchkeeper.store
        frames = store.frames(10, since=0, until=9e9, **HERE, metrics=[ORDERS.name])
        return sum(value for one in frames for value in one.values.values())

    @property
    def events(self) -> int:
        """Count the events that are in the database."""
        sizes = {one.table: one.rows for one in self.watchkeeper.store.table_sizes()}
        return sizes["wk_event"]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop that has written one slot."""
    made = Shop(tmp_path)
    yield made
    made.watchkeeper.store.close()


def test_on_a_full_disk_nothing_is_written_and_nothing_counted_is_lost(disk: Disk, shop: Shop):
    """What is recorded waits in memory; with room again it is written, to the last order."""
    disk.free = 200_000_000

    for _ in range(30):
        shop.slot()

    assert 0 == shop.writer.storing
    assert 7.0 >= shop.stored
    assert len(shop.writer.held) >= 23

    disk.free = 50 * 10**9
    for _ in range(30):
        shop.slot()

    assert Storing.EVERYTHING is shop.writer.storing
    assert 61.0 == shop.stored


def test_rules_see_what_is_not_written(disk: Disk, shop: Shop):
    """A disk that is full is alerted on by the worker that cannot write it down."""
    disk.free = 200_000_000
    for _ in range(8):
        shop.slot()
    shop.writer.take_fresh()

    shop.watchkeeper.recorder.series(ORDERS).record(5.0)
    shop.writer.close_slot(int(shop.clock()))
    assert shop.writer.write(shop.watchkeeper.store)

    (shown,) = shop.writer.take_fresh()
    assert 5.0 == next(v for s, v in shown.values.items() if s.metric == ORDERS.name)
    assert shown.key.worker == shop.writer.worker.id


def test_counts_go_on_without_details(disk: Disk, shop: Shop):
    """With little room errors are counted and their occurrences are not stored."""
    for _ in range(7):
        shop.slot()
    disk.free = 1_000_000_000
    for _ in range(7):
        shop.slot()
    events, before = shop.events, shop.stored
    assert Storing.COUNTS is shop.writer.storing
    assert Level.NONE is shop.watchkeeper.sampler.level

    for _ in range(6):
        shop.slot()

    (issue,) = shop.watchkeeper.store.issues(**HERE, seen_since=0, limit=9)
    assert 21 == issue.count
    assert before + 6 == shop.stored
    assert events == shop.events


def test_a_process_that_starts_stores_what_was_decided_before(disk: Disk, tmp_path: Path):
    """A restart does not begin with everything on a disk that is full."""
    first = Shop(tmp_path)
    disk.free = 200_000_000
    for _ in range(7):
        first.slot()
    first.watchkeeper.store.close()

    second = Shop(tmp_path)

    assert Storing.NOTHING is second.writer.storing
    second.watchkeeper.store.close()


def test_somebody_is_told_before_anything_is_given_up(disk: Disk, tmp_path: Path):
    """Above 80 % of the budget the rule of the default pack fires; everything is still stored."""
    shop = Shop(tmp_path, storage_budget="10MB")
    now = int(shop.clock())
    while shop.watchkeeper.store.room().used_bytes < 8_500_000:
        now -= 600
        fill(shop.watchkeeper.store, since=now, until=now + 600, step=10, series=500)

    for _ in range(20):
        shop.slot()

    incidents = shop.watchkeeper.store.incidents(**HERE, states=["firing"], since=0, limit=9)
    assert "Storage growth" in [one.rule for one in incidents]
    assert Storing.EVERYTHING is shop.writer.storing
    shop.watchkeeper.store.close()


@pytest.mark.parametrize(
    ("limit", "took_s", "expected"),
    [
        (50, 0.001, 100),
        (800, 0.001, MAX_ROWS),
        (100, 0.02, 100),
        (100, 0.03, 50),
        (12, 0.5, MIN_ROWS),
    ],
)
def test_deletions_adapt_to_how_long_they_take(limit: int, took_s: float, expected: int):
    """Twice as many rows after a quick one, half after a slow one: some 10 to 25 ms each."""
    assert expected == next_limit(limit, took_s=took_s)
