"""Slots that outlive their process: written exactly once, whoever dies when."""

import os
import socket
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from stored import HERE, SHOP, batch, counted, counter, event, frame, result, sample, statement

from watchkeeper.app import Watchkeeper
from watchkeeper.core.metrics import Kind, Metric
from watchkeeper.core.rollup import merge_frames
from watchkeeper.core.spool import SpoolName
from watchkeeper.runtime.retention import roll_up
from watchkeeper.runtime.spool import Spool
from watchkeeper.settings import Settings, load
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.spool import SpoolFile
from watchkeeper.storage.store import Batch

ORDERS = Metric(name="orders_total", kind=Kind.COUNTER, help="Orders.")
URL = "postgresql://db/shop"  # names the folder; the store is the test's


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 10_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Give a clock."""
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Name the folder that is set."""
    return tmp_path / "spools"


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each turn the time it takes: how fast the machine is decides nothing here."""
    monkeypatch.setattr("watchkeeper.runtime.spool.TURN_S", 60.0)


def made(folder: Path, clock: Clock, setting: str | None = None) -> Spool:
    """Make the spool of one process of the shop."""
    where = str(folder) if setting is None else setting
    return Spool(SHOP, clock=clock, database_url=URL, setting=where, environ={})


def slots(count: int, first: int = 1) -> list[Batch]:
    """Make slots that hold a little of everything, one error in each."""
    return [
        batch(
            frame(10 * number, 0, sequence=number),
            issues=[counted()],
            events=[event(number)],
            checks=[result()],
            samples=[sample(number)],
            statements=[statement()],
        )
        for number in range(first, first + count)
    ]


def spilled(spool: Spool, batches: list[Batch], *, worker: int = 0) -> None:
    """Put slots into a file as a process does that ends."""
    assert len(batches) == spool.spill(batches, worker=worker, deadline=time.monotonic() + 60)


def replayed(spool: Spool, store: Store, *, owner: int = 77) -> int:
    """Write what is there, as the next process does."""
    spool.meet(store)
    return spool.replay(store, owner=owner, pause=int)


def files(folder: Path) -> list[str]:
    """List every file below a folder, which a process may remove meanwhile."""
    return sorted(name for _, _, names in os.walk(folder) for name in names)


def stored(store: Store) -> dict[str, float]:
    """Count what is in the database: slots, orders, errors, events, requests."""
    found = store.frames(10, since=0, until=9e9, **HERE)
    (issue,) = store.issues(**HERE, seen_since=0, limit=9) or [None]
    return {
        "slots": len(found),
        "orders": sum(
            value
            for series, value in merge_frames(found).items()
            if series.metric == "orders_total"
        ),
        "errors": issue.count if issue else 0,
        "events": len(store.events(issue.id, limit=1_000)) if issue else 0,
        "samples": len(store.samples(**HERE, since=0, until=9e9, limit=1_000)),
    }


def exactly(count: int) -> dict[str, float]:
    """Say what is stored of so many slots."""
    return {
        "slots": count,
        "orders": 3 * count,
        "errors": count,
        "events": count,
        "samples": count,
    }


class TestReplay:
    """On every kind of store."""

    def test_a_stopped_worker_slots_are_written_under_its_keys(self, store, folder, clock):
        """The next process writes all of it as the one that stopped would have; no file stays."""
        spool = made(folder, clock)
        spool.meet(store)
        worker = store.register(SHOP, host="web", pid=1, at=5.0)
        store.write(slots(1)[0].owned_by(worker.id))  # the answer got lost: it is held as well

        spilled(spool, slots(4), worker=worker.id)
        assert 4 == replayed(made(folder, clock), store)

        assert exactly(4) == stored(store)
        keys = [one.key for one in store.frames(10, since=0, until=9e9, **HERE)]
        assert {worker.id} == {key.worker for key in keys}
        assert [1, 2, 3, 4] == [key.sequence for key in keys]
        assert [] == files(folder)

    def test_slots_of_a_worker_that_was_never_registered_get_an_owner(self, store, folder, clock):
        """Who never reached its database is a worker nonetheless, and not a live one."""
        spilled(made(folder, clock), slots(3))

        assert 3 == replayed(made(folder, clock), store)

        assert exactly(3) == stored(store)
        (owner,) = store.workers(**HERE, seen_since=0)
        assert clock.now == owner.stopped_at
        assert os.getpid() == owner.pid

    def test_a_spool_of_another_database_gets_an_owner_too(self, store, folder, clock):
        """Ids of a database that was dropped and made anew mean other workers now."""
        old = open_store("memory://")
        left = made(folder, clock)
        clock.now -= 5  # the older installation
        left.meet(old)
        clock.now += 5
        spilled(left, slots(2), worker=1)
        other = store.register(SHOP, host="web", pid=1, at=5.0)
        store.write(slots(1)[0].owned_by(other.id))

        assert 2 == replayed(made(folder, clock), store)

        assert 3 == stored(store)["slots"]

    def test_many_processes_at_once_write_it_once(self, store, folder, clock, monkeypatch):
        """Even if no lease kept them apart, the keys and the file's one owner do."""
        for number in range(3):
            spilled(made(folder, clock), slots(4, first=1 + 4 * number))
        monkeypatch.setattr("watchkeeper.runtime.spool.LEASE_S", 0.0)

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda _: replayed(made(folder, clock), store), range(4)))
        replayed(made(folder, clock), store)

        assert exactly(12) == stored(store)
        assert [] == files(folder)

    def test_one_process_at_a_time_does_it(self, store, folder, clock):
        """While another worker is at it, this one has other things to do."""
        spilled(made(folder, clock), slots(2))
        store.acquire(f"spool:{SHOP.service}:{SHOP.environment}", owner="5", ttl_s=60)

        assert 0 == replayed(made(folder, clock), store)

        store.release(f"spool:{SHOP.service}:{SHOP.environment}", owner="5")
        assert 2 == replayed(made(folder, clock), store)

    def test_a_long_backlog_takes_turns(self, store, folder, clock, monkeypatch):
        """In each slot a part is written, oldest first; live slots never wait for it."""
        monkeypatch.setattr("watchkeeper.runtime.spool.MAX_BATCHES", 50)
        spilled(made(folder, clock), slots(40, first=100))
        spilled(made(folder, clock), slots(40, first=1))
        spool = made(folder, clock)

        first = replayed(spool, store)
        oldest = {one.key.start for one in store.frames(10, since=0, until=9e9, **HERE)}
        second = replayed(spool, store)

        assert 50 == first
        assert {10 * number for number in range(1, 41)} <= oldest
        assert 30 == second
        assert exactly(80) == stored(store)

    def test_a_turn_that_is_over_leaves_the_rest_to_the_next(
        self, store, folder, clock, monkeypatch
    ):
        """A slow database is not kept busy: what there was no time for stays in the file."""
        spilled(made(folder, clock), slots(3))
        spool = made(folder, clock)

        with monkeypatch.context() as hurried:
            hurried.setattr("watchkeeper.runtime.spool.TURN_S", 0.0)
            assert 0 == replayed(spool, store)

        assert 3 == replayed(spool, store)
        assert exactly(3) == stored(store)

    def test_slots_of_last_week_become_minutes(self, store, folder, clock):
        """What waited over a holiday is older than slots are kept, and counts all the same."""
        week_ago = 1_764_000_000
        clock.now = week_ago + 7 * 86_400.0
        store.prepare(at=clock.now)
        spilled(made(folder, clock), slots(12, first=week_ago // 10))

        assert 12 == replayed(made(folder, clock), store)
        roll_up(store, now=clock.now, pause=int)
        store.prune_frames(10, before=clock.now - 86_400, limit=1_000)

        frames = store.frames(60, since=0, until=9e9, **HERE)
        assert 36 == merge_frames(frames)[counter(plan="pro")]


@pytest.fixture
def kept() -> Store:
    """A store in memory, for what every store does alike."""
    opened = open_store("memory://")
    opened.migrate()
    return opened


def test_the_folder_is_looked_into_each_minute(kept, folder, clock):
    """What a sibling leaves while this process runs is found; looking costs nothing between."""
    spool = made(folder, clock)
    assert 0 == replayed(spool, kept)
    spilled(made(folder, clock), slots(1))

    assert 0 == replayed(spool, kept)
    clock.now += 80
    assert 1 == replayed(spool, kept)


def test_a_clock_that_was_set_back_does_not_stop_the_looking(kept, folder, clock):
    """An hour back is not an hour of waiting."""
    spool = made(folder, clock)
    assert 0 == replayed(spool, kept)
    spilled(made(folder, clock), slots(1))

    clock.now -= 3_600

    assert 1 == replayed(spool, kept)


def test_a_damaged_spool_is_written_as_far_as_it_is_whole(kept, folder, clock, caplog):
    """What comes before the damage is stored, the file put aside, and one line says so."""
    spilled(made(folder, clock), slots(5))
    (path,) = folder.rglob("*.spool")
    path.write_bytes(path.read_bytes()[:-60])
    caplog.clear()

    assert 0 < replayed(made(folder, clock), kept) < 5

    assert 0 == replayed(made(folder, clock), kept)
    (aside,) = files(folder)
    assert aside.endswith(".spool.damaged")
    assert ["a spool is damaged (it is cut off)"] == [
        one.message.removeprefix("watchkeeper: ").split(";")[0] for one in caplog.records
    ]


def test_what_a_process_could_not_finish_is_taken_when_it_is_gone(kept, folder, clock):
    """Killed amid spilling, a process leaves a file that others leave alone for a minute."""
    spilled(made(folder, clock), slots(5))
    (path,) = folder.rglob("*.spool")
    left = path.with_suffix(".part")
    left.write_bytes(path.read_bytes()[:-60])
    left.chmod(0o600)
    path.unlink()
    os.utime(left, (clock.now - 10, clock.now - 10))

    assert 0 == replayed(made(folder, clock), kept)
    clock.now += 60
    written = replayed(made(folder, clock), kept)

    assert 0 < written < 5
    assert exactly(written) == stored(kept)
    assert [f"{path.stem}"] == [
        name.split(".")[0][: len(path.stem)] for name in files(folder)
    ] or (files(folder)[0].endswith(".damaged"))


def test_what_was_written_is_not_written_again_after_its_frames_are_gone(kept, folder, clock):
    """A file that outlived its frames in the database knows what was in it."""
    spool = made(folder, clock)
    spool.meet(kept)
    spilled(spool, slots(3), worker=1)
    (path,) = folder.rglob("*.spool")
    name = SpoolName.read(path.name)
    with SpoolFile.open(path.parent, name) as file:
        for one in file.batches():
            kept.write(one.owned_by(1))
            file.mark()
    kept.prune_frames(10, before=9e9, limit=10)

    replayed(made(folder, clock), kept)

    assert 0 == stored(kept)["slots"]
    assert [] == files(folder)


def test_without_a_place_the_loss_is_told(folder, clock, caplog):
    """Off is off, and a folder that takes nothing is named; nothing is raised at the end."""
    folder.write_text("a file")

    assert 0 == made(folder, clock, "off").spill(slots(2), worker=0, deadline=9e9)
    assert 0 == made(folder, clock).spill(slots(2), worker=0, deadline=9e9)

    off, full = (record.message for record in caplog.records if "are lost" in record.message)
    assert off.startswith("watchkeeper: 2 slots are lost: ")
    assert "(spool is off)" in off
    assert str(folder) in full


def test_a_place_that_takes_nothing_is_passed_by(tmp_path, clock, kept):
    """A read-only folder beside the database is no loss while there is another place."""
    home = tmp_path / "home"
    (tmp_path / "shop.db.spool").write_text("no folder")

    def process() -> Spool:
        return Spool(
            SHOP,
            clock=clock,
            database_url=str(tmp_path / "shop.db"),
            environ={"HOME": str(home)},
        )

    spilled(process(), slots(2))

    assert 1 == len(files(home))
    assert 2 == replayed(process(), kept)
    assert [] == files(home)


def test_nothing_is_left_for_a_database_whose_folder_is_gone(tmp_path, clock, caplog):
    """A temporary database that was deleted leaves no files in somebody's home."""
    home = tmp_path / "home"
    one = Spool(
        SHOP,
        clock=clock,
        database_url=str(tmp_path / "gone" / "shop.db"),
        environ={"HOME": str(home)},
    )

    assert 0 == one.spill(slots(2), worker=0, deadline=9e9)

    assert not home.exists()
    assert "2 slots are lost" in caplog.text


def test_a_spool_of_a_newer_version_is_told_once_and_left(kept, folder, clock, caplog):
    """After a roll-back the file waits for the version that can read it."""
    spilled(made(folder, clock), slots(2))
    (path,) = folder.rglob("*.spool")
    path.write_bytes(b"wkspool\x03" + path.read_bytes()[8:])
    spool = made(folder, clock)
    caplog.clear()

    for _ in range(3):
        assert 0 == replayed(spool, kept)
        clock.now += 100

    assert [path.name] == files(folder)
    assert 1 == len(caplog.records)
    assert "is left as it is: its format is 3" in caplog.text


def shop(url: str, folder: Path) -> Watchkeeper:
    """Watch nothing, but with everything that runs."""
    settings = Settings(
        enabled=True,
        database_url=url,
        service=SHOP.service,
        environment=SHOP.environment,
        slot="1s",
        flush_jitter="0s",
        spool=str(folder),
    )
    return Watchkeeper(load(settings, environ={}))


@pytest.fixture
def locked(tmp_path):
    """A database that another process has locked; gives its URL and what unlocks it."""
    url = str(tmp_path / "shop.db")
    store = open_store(url)
    store.migrate()
    store.close()
    lock = sqlite3.connect(url, isolation_level=None, check_same_thread=False)
    lock.execute("BEGIN IMMEDIATE")

    def unlock() -> None:
        if lock.in_transaction:
            lock.execute("ROLLBACK")

    yield url, unlock
    unlock()
    lock.close()


def orders_in(url: str) -> float:
    store = open_store(url)
    found = store.frames(1, since=0, until=9e9, **HERE)
    store.close()
    return sum(
        value
        for one in found
        for series, value in one.values.items()
        if series.metric == "orders_total"
    )


def test_a_stop_does_not_wait_for_a_database_that_hangs(locked, folder):
    """Stopped while a write waits for its turn, everything is in a file within two seconds.

    And when that write succeeds after all, the next process finds nothing to be written twice.
    """
    url, unlock = locked
    first = shop(url, folder)
    first.start()
    first.recorder.series(ORDERS, {}).record(3)
    time.sleep(1.3)  # the first slot is being written, for five seconds
    first.recorder.series(ORDERS, {}).record(4)
    began = time.monotonic()
    first.stop()
    took_s = time.monotonic() - began
    assert took_s < 4  # the database would take five
    assert 1 == len(files(folder))

    unlock()
    time.sleep(1.0)  # the thread that hung may write now
    second = shop(url, folder)
    second.recorder.series(ORDERS, {}).record(10)
    second.start()
    deadline = time.monotonic() + 15
    while files(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    second.stop()

    assert [] == files(folder)
    assert 17 == orders_in(url)


def test_a_stop_does_not_wait_for_a_server_that_never_answers(folder):
    """A firewall that swallows everything costs the host two seconds at its end, and no slot."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        one = shop(f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/shop", folder)
        one.start()
        one.recorder.series(ORDERS, {}).record(3)
        time.sleep(0.5)  # it waits for an answer to its first word
        began = time.monotonic()
        late = [thread for thread in threading.enumerate() if thread.name == "watchkeeper"]
        one.stop()
        took_s = time.monotonic() - began
    for thread in late:  # it hears only now that nobody will answer, and says so in this test
        thread.join()

    assert took_s < 4  # the database would take five
    (path,) = folder.rglob("*.spool")
    with SpoolFile.open(path.parent, SpoolName.read(path.name)) as file:
        (batch,) = file.batches()
    assert 3 in [
        value for series, value in batch.frame.values.items() if series.metric == "orders_total"
    ]


def test_a_stop_with_a_healthy_database_leaves_no_file(tmp_path, folder):
    """What the database takes needs no spool."""
    one = shop(str(tmp_path / "shop.db"), folder)
    one.start()
    one.recorder.series(ORDERS, {}).record(3)
    time.sleep(0.3)
    one.stop()

    assert not folder.exists()
    assert 3 == orders_in(str(tmp_path / "shop.db"))


def test_a_process_that_stores_nothing_for_good_spills_nothing(tmp_path, folder, caplog):
    """Older code than the tables has said so; it leaves no files for others to puzzle over."""
    url = str(tmp_path / "shop.db")
    store = open_store(url)
    store.migrate()
    store.set_meta("schema", "999")
    store.close()
    one = shop(url, folder)
    one.start()
    one.recorder.series(ORDERS, {}).record(3)
    time.sleep(0.5)
    one.stop()

    assert one.failure
    assert not folder.exists()


def test_a_script_that_never_started_a_thread_spills_what_it_flushed(locked, folder):
    """`flush` while the database is away holds; `stop` puts it into a file."""
    url, unlock = locked
    one = shop(url, folder)
    one.recorder.series(ORDERS, {}).record(5)
    one.flush()
    one.stop()
    assert 1 == len(files(folder))

    unlock()
    two = shop(url, folder)
    two.start()
    deadline = time.monotonic() + 15
    while files(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    two.stop()

    assert 5 == orders_in(url)
