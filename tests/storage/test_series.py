"""Rows of series: found by what is asked for, and gone once nothing names them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import event, insert, select, update
from stored import HERE, batch, counter, frame

from watchkeeper.core.hours import summed
from watchkeeper.core.metrics import Series
from watchkeeper.core.slot import FrameKey
from watchkeeper.runtime.retention import Keep, prune
from watchkeeper.storage import Store
from watchkeeper.storage.hour import pack_minutes
from watchkeeper.storage.rows import SEEN_LAG_S
from watchkeeper.storage.sql import SqlStore
from watchkeeper.storage.sql.schema import series
from watchkeeper.storage.store import SealedHour
from watchkeeper.storage.upkeep import Kind, Past

DAY = 86_400
START = 1_000 * DAY
EVER = 1e12
DEAD = counter("dead_total")
NAMED = counter("named_total")


@pytest.fixture
def sql(migrated_url: str, store: Store) -> SqlStore:
    """Give the SQL store of each database in turn, whose tables can be looked into."""
    assert isinstance(store, SqlStore)
    return store


@pytest.fixture
def store_url(migrated_url: str) -> str:
    """Leave out the store in memory: it has no rows of series."""
    return migrated_url


def ids(store: SqlStore) -> dict[str, int]:
    """Read which metrics have rows, and their ids."""
    with store._database.read() as connection:
        found = connection.execute(select(series.c.metric, series.c.id)).all()
    return {row.metric: row.id for row in found}


def see(store: SqlStore, one: Series, at: int) -> None:
    """Say when a series was last seen, and forget that this process knows it."""
    with store._database.write() as connection:
        connection.execute(update(series).where(series.c.metric == one.metric).values(seen_at=at))
    store._series.forget()


def number(store: SqlStore, one: Series, at: int) -> int:
    """Look an id up as who writes does."""
    ((found,),) = store._series.numbered([frame(0, values={one: 1.0})], at=at)
    return found


def add_slot(store: SqlStore) -> None:
    """Keep a slot only."""
    store.add_frames([frame(START, values={NAMED: 1.0})])


def add_minute(store: SqlStore) -> None:
    """Keep a minute frame only."""
    store.add_frames([frame(START, 0, resolution=60, values={NAMED: 1.0})])


def add_hour(store: SqlStore) -> None:
    """Keep the row of an hour and the chunk of its minutes."""
    add_minute(store)
    sealed = SealedHour(
        series=NAMED, hour=summed({0: 1.0}), chunk=pack_minutes({0: 1.0}), revision=0
    )
    assert store.seal(START, [sealed], [FrameKey(60, START, 0, 0)])
    assert 1 == store.prune_sealed(before=EVER, limit=9)


def add_chunk(store: SqlStore) -> None:
    """Keep a chunk only."""
    add_hour(store)
    assert 1 == store.prune_hours(before=EVER, limit=9)


def add_row(store: SqlStore) -> None:
    """Keep the row of an hour only."""
    add_hour(store)
    assert 1 == store.prune_chunks(before=EVER, limit=9)


@pytest.mark.parametrize("add", [add_slot, add_minute, add_hour, add_chunk, add_row])
def test_what_is_named_stays_whatever_is_asked(sql: SqlStore, add):  # type: ignore[no-untyped-def]
    """A series last seen as long before its value as may be stays; one from before that goes."""
    add(sql)
    number(sql, DEAD, at=START)
    see(sql, NAMED, START - SEEN_LAG_S)
    see(sql, DEAD, START - SEEN_LAG_S - 1)

    past = [Past(what="series", rows=1, oldest=START - SEEN_LAG_S - 1)]
    assert past == sql.past(Kind.SERIES, before=EVER)
    assert 1 == sql.prune_series(before=EVER, limit=1_000)
    assert 0 == sql.prune_series(before=EVER, limit=1_000)
    assert ["named_total"] == list(ids(sql))


def test_names_go_after_what_bore_them(sql: SqlStore):
    """Once its hours are past their time, a series goes with them; one in use stays."""
    add_hour(sql)
    see(sql, NAMED, START)
    now = START + 40 * DAY
    sql.write(batch(frame(now - 20, values={counter("used_total"): 1.0})))
    keep = Keep(
        frames_s={10: DAY, 60: 14 * DAY, 3_600: 30 * DAY},
        events_s=DAY,
        samples_s=DAY,
        max_samples=9,
    )

    prune(sql, now=START + 30 * DAY - 1, keep=keep, pause=lambda: None)
    assert {"named_total", "used_total"} == set(ids(sql))

    prune(sql, now=now, keep=keep, pause=lambda: None)
    assert ["used_total"] == list(ids(sql))


def test_few_rows_go_at_once(sql: SqlStore):
    """A turn is bounded: those that were unseen for longest go first."""
    for place in range(5):
        one = counter(f"dead_{place}_total")
        number(sql, one, at=START)
        see(sql, one, START - place)

    assert 2 == sql.prune_series(before=EVER, limit=2)

    assert {"dead_0_total", "dead_1_total", "dead_2_total"} == set(ids(sql))


def test_a_pruned_series_is_made_anew_by_who_knew_it(sql: SqlStore):
    """An id is trusted for a day; then its row is looked for, and made under a new id."""
    first = number(sql, DEAD, at=START)
    assert 1 == sql.prune_series(before=EVER, limit=9)

    again = number(sql, DEAD, at=START + DAY)

    assert first < again
    assert {"dead_total": again} == ids(sql)


def test_whoever_writes_keeps_a_row(sql: SqlStore):
    """Day after day, "last seen" is never as far behind as would let the row go."""
    for hour in range(24 * 7):
        at = START + hour * 3_600
        number(sql, NAMED, at=at)
        assert 0 == sql.prune_series(before=at - SEEN_LAG_S, limit=9)


def test_a_known_id_asks_the_database_once_a_day(sql: SqlStore):
    """A flush each minute looks a series up twice in two days, and moves "last seen" on."""
    number(sql, NAMED, at=START)
    asked: list[str] = []
    engine = sql._database._engine
    assert engine is not None
    event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    for minute in range(2 * 24 * 60):
        number(sql, NAMED, at=START + minute * 60)

    reads = [one for one in asked if "SELECT" in one and "wk_series" in one]
    # Each time it is read, moved on and read again.
    assert 2 * 2 >= len(reads) > 0
    with sql._database.read() as connection:
        assert START + DAY <= connection.execute(select(series.c.seen_at)).scalar_one()


def test_names_of_the_past_are_not_read(sql: SqlStore):
    """To read hours takes the names in use since, and to read slots those in the slots alone."""
    sql.write(batch(frame(START, values={NAMED: 1.0})))
    see(sql, NAMED, START)
    past = [
        {
            "key_hash": f"{place:032x}",
            "metric": NAMED.metric,
            "kind": "counter",
            "across": "sum",
            "labels": "not even JSON",
            "first_at": 1,
            "seen_at": 1,
        }
        for place in range(50)
    ]
    with sql._database.write() as connection:
        connection.execute(insert(series), past)

    (found,) = sql.frames(10, since=START, until=EVER, **HERE, metrics=[NAMED.metric])

    assert {NAMED: 1.0} == found.values
    assert [] == sql.hours(since=START, until=EVER, **HERE, metrics=[NAMED.metric])


def test_slots_hold_the_metrics_asked_for(sql: SqlStore):
    """A series that was not known before is read once, and left out if nobody asked for it."""
    sql.write(batch(frame(START, values={NAMED: 1.0, DEAD: 2.0})))
    for known in (False, True):
        if not known:
            sql._series.forget()

        (found,) = sql.frames(10, since=START, until=EVER, **HERE, metrics=[NAMED.metric])

        assert {NAMED: 1.0} == found.values


# Writers on a common clock of hours, each with an id cache of its own, and one who deletes what is
# past its time while they write. A series comes back days after its row is gone.
STORM = """
import multiprocessing, random, sys
from stored import HERE, counter, frame
from watchkeeper.storage import open_store
from watchkeeper.storage.rows import SEEN_LAG_S
START, ROUNDS, WRITERS = 1_000 * 86_400, 150, 3

def write(number, clock, busy, lost):
    store = open_store(sys.argv[1])
    chosen = random.Random(number)
    for turn in range(ROUNDS):
        with clock.get_lock():
            clock.value += 3_600
            busy[number] = at = clock.value
        values = {counter(f"a{chosen.randrange(150)}_total"): 1.0, counter("all_total"): 1.0}
        one = frame(at, number + 1, values=values)
        # As `write` does; the clock is that of the test.
        (ids,) = store._series.numbered([one], at=at)
        store._numbered = lambda _: [ids]
        store.add_frames([one])
        store._series._series.clear()  # as one who reads it for the first time
        (found,) = store.frames(10, since=at, until=at + 1, **HERE)
        lost.value += found.values != values
    busy[number] = 1 << 60
    store.close()

if __name__ == "__main__":
    fork = multiprocessing.get_context("fork")
    clock, busy = fork.Value("q", START), fork.Array("q", [START] * WRITERS)
    lost = [fork.Value("q", 0) for _ in range(WRITERS)]
    writers = [
        fork.Process(target=write, args=(number, clock, busy, lost[number]))
        for number in range(WRITERS)
    ]
    for one in writers:
        one.start()
    store, gone = open_store(sys.argv[1]), 0
    while any(one.is_alive() for one in writers):
        with clock.get_lock():
            floor = min([clock.value, *busy])
        store.prune_frames(10, before=floor, limit=1_000)
        gone += store.prune_series(before=floor - SEEN_LAG_S, limit=1_000)
    print([one.exitcode for one in writers], sum(one.value for one in lost), gone > 100)
"""


@pytest.mark.slow
def test_no_writer_loses_a_name_to_who_deletes(sql: SqlStore, migrated_url: str):
    """Every frame is read back whole, though rows of its series go and come all the time."""
    done = subprocess.run(
        [sys.executable, "-c", STORM, migrated_url],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ("[0, 0, 0] 0 True\n", "") == (done.stdout, done.stderr)


def test_memory_has_no_rows_of_series():
    """There a series is part of what names it, and goes with it."""
    from watchkeeper.storage.memory import MemoryStore

    store = MemoryStore()
    store.add_frames([frame(START, values={NAMED: 1.0})])

    assert 0 == store.prune_series(before=EVER, limit=9)
    assert [Past(what="series", rows=0, oldest=None)] == store.past(Kind.SERIES, before=EVER)
