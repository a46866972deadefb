"""From what was recorded to what is stored: exact through every fault of the database."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.metrics import Kind, Metric, Scope
from watchkeeper.core.rollup import merge_frames
from watchkeeper.core.sampling import Level
from watchkeeper.exceptions import StorageUnavailableError
from watchkeeper.runtime.health import Health
from watchkeeper.runtime.held import Held
from watchkeeper.runtime.issues import Issues
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.spool import Spool
from watchkeeper.runtime.writer import Writer
from watchkeeper.storage.memory import MemoryStore

SCOPE = Scope(service="shop", environment="test", release="1")
ORDERS = Metric(name="orders_total", kind=Kind.COUNTER, help="Orders.")


class FaultyStore(MemoryStore):
    """A real store that fails on demand, before or after it has written."""

    fails_before = False
    fails_after = False
    meanwhile = staticmethod(lambda: None)  # what another thread does while this one waits

    def register(self, *args, **options):
        worker = super().register(*args, **options)
        self.meanwhile()
        return worker

    def write(self, batch):
        if self.fails_before:
            raise StorageUnavailableError("connection refused")
        self.meanwhile()
        written = super().write(batch)
        if self.fails_after:
            raise StorageUnavailableError("connection lost before the answer")
        return written


class Bench:
    """A writer with everything around it, and a clock that the test sets."""

    def __init__(self, *, max_slots: int = 360, spool: str = "off") -> None:
        self.now = 1_000.0
        self.store = FaultyStore()
        self.recorder = Recorder(SCOPE)
        self.issues = Issues(SCOPE, clock=lambda: self.now)
        self.writer = Writer(
            scope=SCOPE,
            slot_s=10,
            recorder=self.recorder,
            issues=self.issues,
            health=Health((), clock=lambda: self.now),
            held=Held(max_slots=max_slots, max_bytes=10**8),
            clock=lambda: self.now,
            spool=Spool(SCOPE, clock=lambda: self.now, database_url="shop.db", setting=spool),
        )

    def slot(self, orders: int) -> bool:
        """Record, close the slot, and try to write."""
        self.recorder.series(ORDERS, {}).record(orders)
        self.writer.close_slot(int(self.now))
        self.now += 10
        return self.writer.write(self.store)

    @property
    def stored(self) -> float:
        frames = self.store.frames(10, since=0, until=9e9, service="shop", environment="test")
        return sum(
            value
            for series, value in merge_frames(frames).items()
            if series.metric == "orders_total"
        )


def test_a_slot_is_written_with_its_worker():
    """The first write registers the worker; its frames carry its id and growing sequences."""
    bench = Bench()

    assert bench.slot(1)
    assert bench.slot(2)

    frames = bench.store.frames(10, since=0, until=9e9, service="shop", environment="test")
    assert [(1_000, 1), (1_010, 2)] == [(f.key.start, f.key.sequence) for f in frames]
    assert {bench.writer.worker.id} == {frame.key.worker for frame in frames}
    assert 3 == bench.stored


def test_what_was_written_is_handed_over_once():
    """Of a long backlog only the newest slots are kept for evaluation; the rest is read back."""
    bench = Bench()
    bench.store.fails_before = True
    for _ in range(10):
        assert not bench.slot(1)
    bench.store.fails_before = False
    bench.now += 60

    assert bench.slot(1)

    fresh = bench.writer.take_fresh()
    assert [8, 9, 10, 11] == [frame.key.sequence for frame in fresh]
    assert {bench.writer.worker.id} == {frame.key.worker for frame in fresh}
    assert [] == bench.writer.take_fresh()


def test_slots_wait_while_the_database_is_away(caplog):
    """Nothing is lost in an outage, and the log says so once a minute and when it is over."""
    bench = Bench()
    bench.store.fails_before = True

    with caplog.at_level(logging.WARNING, "watchkeeper"):
        for _ in range(30):
            assert not bench.slot(1)
        bench.store.fails_before = False
        bench.now += 30
        assert bench.slot(1)

    lines = [text for one in caplog.records if "sampling" not in (text := one.message)]
    assert 31 == bench.stored
    assert "database unreachable for 1 s (connection refused); 1 slots held" in lines[0]
    assert 4 <= len(lines) <= 7
    assert lines[-1].startswith("watchkeeper: database is back after")


def test_a_commit_without_an_answer_counts_once():
    """If the database wrote but the answer got lost, the repetition changes nothing."""
    bench = Bench()
    bench.store.fails_after = True
    bench.slot(5)
    bench.now += 30

    bench.store.fails_after = False
    bench.slot(7)

    assert 12 == bench.stored


@pytest.mark.parametrize("call", ["register", "write"])
def test_what_is_spilled_while_a_write_hangs_counts_once(tmp_path, call):
    """However the write ends that the stop did not wait for, the next process finds one copy.

    Neither a worker's first write, nor slots that are merged for want of room meanwhile, change
    that.
    """
    bench = Bench(max_slots=2, spool=str(tmp_path))
    if call == "write":
        bench.slot(1)
    bench.store.fails_before = True
    for _ in range(4):
        bench.slot(1)
    bench.store.fails_before = False
    bench.now += 30

    def stopped() -> None:
        bench.store.meanwhile = lambda: None
        bench.recorder.series(ORDERS, {}).record(1)
        bench.writer.spill(last_slot=int(bench.now), within_s=5)

    if call == "register":
        bench.writer.worker = None
    bench.store.meanwhile = stopped
    bench.writer.write(bench.store)
    assert 1 == len(list(tmp_path.rglob("*.spool")))

    next_process = Bench(spool=str(tmp_path))
    next_process.store = bench.store
    next_process.now = bench.now
    next_process.slot(1)
    spool = next_process.writer.spool
    assert spool.replay(bench.store, owner=next_process.writer.worker.id, pause=int)

    assert (7 if call == "write" else 6) == bench.stored
    assert [] == list(tmp_path.rglob("*.spool"))


@given(
    st.lists(st.sampled_from(["well", "before", "after"]), max_size=60),
    st.integers(2, 8),
)
def test_no_sequence_of_faults_loses_or_doubles(faults, max_slots):
    """However the database fails, once it is back every observation is stored exactly once."""
    bench = Bench(max_slots=max_slots)
    for fault in faults:
        bench.store.fails_before = fault == "before"
        bench.store.fails_after = fault == "after"
        bench.slot(1)
        bench.now += 25  # past the longest pause between two tries

    bench.store.fails_before = bench.store.fails_after = False
    bench.slot(1)

    assert len(faults) + 1 == bench.stored


def test_tries_come_slower_and_slower():
    """A database that is away is not hammered: 1, 2, 4 … 20 s apart, give or take a quarter."""
    bench = Bench()
    bench.store.fails_before = True
    pauses = []
    for _ in range(8):
        bench.slot(1)
        pauses.append(bench.writer.next_try_at - bench.now)
        bench.now = max(bench.now, bench.writer.next_try_at)

    assert 0.75 <= pauses[0] <= 1.25
    assert all(15 <= pause <= 25 for pause in pauses[5:])


def test_what_watchkeeper_does_itself_is_recorded():
    """The monitor is monitored: flush duration, series in use, requests in flight."""
    bench = Bench()
    bench.slot(1)
    bench.slot(1)

    frames = bench.store.frames(10, since=0, until=9e9, service="shop", environment="test")
    metrics = {series.metric for frame in frames for series in frame.values}

    assert {
        "watchkeeper_flush_duration_seconds",
        "watchkeeper_series",
        "watchkeeper_held_slots",
        "watchkeeper_sampling_level",
        "http_server_active_requests",
    } <= metrics


def test_what_is_folded_is_told_once(caplog):
    """The first slot in which label values find no room has a line that names them."""
    bench = Bench()
    plans = Metric(name="plans_total", kind=Kind.COUNTER, help="", labels=("plan",))

    with caplog.at_level(logging.WARNING, "watchkeeper"):
        for number in range(200):
            bench.recorder.series(plans, {"plan": f"x{number}"}).record(1)
            bench.slot(1)

    assert [
        'watchkeeper: plans_total: label "plan" has more than 50 values; further ones are '
        "counted as (other), for example 'x50'"
    ] == [record.message for record in caplog.records]


def test_a_database_that_is_away_lowers_sampling_and_its_return_raises_it_again(caplog):
    """Slots that wait are a queue to be seen, and no samples are added to it."""
    bench = Bench()
    bench.store.fails_before = True
    held = []

    for _ in range(6):
        bench.slot(1)
        held.append(len(bench.writer.held))
    away = bench.writer.own_cost.level
    bench.store.fails_before = False
    bench.now += 30
    for _ in range(14):
        bench.slot(1)

    assert [1, 2, 3, 4, 5, 6] == held
    assert Level.NONE is away
    assert Level.FULL is bench.writer.own_cost.level
    assert 20 == bench.stored


def test_an_error_reaches_the_store_with_its_count():
    """Issues and their events go into the same transaction as the slot."""
    bench = Bench()
    for _ in range(3):
        with pytest.raises(KeyError) as raised:
            {}["sku"]
        bench.issues.capture(raised.value)

    bench.slot(1)

    (issue,) = bench.store.issues(service="shop", environment="test", seen_since=0, limit=10)
    assert 3 == issue.count
    assert issue.title.startswith("KeyError")
    assert 1 <= len(bench.store.events(issue.id, limit=10)) <= 3
