"""Sixty simulated days on each real database: every tier is pruned, and the size stays what it is.

A day has ten minutes of traffic, so that two months pass in a minute; time is an argument.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pymysql
import pytest
from sqlalchemy import make_url
from stored import SHOP, batch, counted, counter, event, frame, latency, sample

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.slot import Value
from watchkeeper.core.upkeep import Notes
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.retention import Keep
from watchkeeper.runtime.upkeep import Upkeep, read
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.turns import alone

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

DAY_S = 86_400
HOUR_S = 3_600
SLOT_S = 30
DAYS = 60
FIRST = 20_000  # days since the epoch
BUSY_S = 600  # of traffic, from noon on
ERROR_EVERY_S = 120
SETTLED = 32  # the day on which every tier has been pruned: counts of issues last, after a month
KEEP = Keep(
    frames_s={SLOT_S: DAY_S, 60: 14 * DAY_S, HOUR_S: 20 * DAY_S},
    events_s=10 * DAY_S,
    samples_s=7 * DAY_S,
    max_samples=50_000,
)
# How many days of each table there may be: what it is kept for, and today.
MOST_DAYS = {"wk_frame": 2, "wk_chunk": 15, "wk_hour": 21, "wk_event": 11, "wk_sample": 8}


@dataclass
class Life:
    """A store that a worker writes to and that is looked after, day after day."""

    store: Store
    url: str

    def __post_init__(self) -> None:
        self.rng = random.Random(60)  # noqa: S311  # made figures, no secret
        begin = float(FIRST * DAY_S)
        self.worker = self.store.register(SHOP, host="web", pid=1, at=begin)
        self.upkeep = Upkeep(
            self.store,
            recorder=Recorder(SHOP),
            keep=KEEP,
            budget_bytes=10**9,
            apply=lambda _: None,
            pause=lambda: None,
            now=begin,
        )
        self.series = [latency(route=f"/{number}") for number in range(10)]
        self.series += [counter(plan=f"{number}") for number in range(10)]

    def day(self, number: int) -> Notes:
        """Live one day: slots with errors and samples in them, and the upkeep's turns."""
        noon = (FIRST + number) * DAY_S + 12 * HOUR_S
        for start in range(noon, noon + BUSY_S, SLOT_S):
            self.write(start)
        for later_s in (HOUR_S + 200, 11 * HOUR_S):
            self.upkeep.run(now=float(noon + later_s), owner="1")
        return read(self.store)

    def write(self, start: int) -> None:
        """Write one slot as a worker's flush does."""
        at = start + SLOT_S / 2
        more: dict[str, Any] = {}
        if start % ERROR_EVERY_S == 0:
            number = start // ERROR_EVERY_S
            more = {
                "issues": [counted(at=at)],
                "events": [event(number, at=at)],
                "samples": [sample(number, at=at)],
            }
        values: dict[Any, Value] = {
            one: Histogram([self.rng.lognormvariate(-3, 1) for _ in range(10)])
            if one.kind.value == "histogram"
            else float(self.rng.randrange(1_000))
            for one in self.series
        }
        one = frame(start, self.worker.id, resolution=SLOT_S, values=values)
        self.store.write(batch(one, at=at, **more))

    def rows(self) -> dict[str, int]:
        """Count the rows of each table, once the server has swept up as it does by itself."""
        self.sweep()
        return {one.table: one.rows for one in self.store.table_sizes()}

    def sweep(self) -> None:
        """Do what servers do in the background within a day, which here is a second."""
        address = make_url(self.url)
        if address.get_backend_name() == "postgresql":
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE")
                connection.execute("SELECT pg_stat_force_next_flush()")
        elif address.get_backend_name() == "mysql":
            tables = ", ".join(one.table for one in self.store.table_sizes())
            connection = pymysql.connect(
                host=address.host,
                port=address.port or 3306,
                user=address.username,
                password=address.password or "",
                database=address.database,
            )
            with connection, connection.cursor() as cursor:
                # Wait until what was deleted is gone: else tables grow where InnoDB is late.
                cursor.execute("SET GLOBAL innodb_max_purge_lag_wait = 0")
                cursor.execute(f"ANALYZE TABLE {tables}")


@pytest.fixture
def life(sql_url: str) -> Iterator[Life]:
    """Begin a life in an empty database."""
    store = open_store(sql_url)
    store.migrate()
    with alone():
        yield Life(store, sql_url)
    store.close()


def test_after_the_first_weeks_it_grows_no_more(life: Life):
    """Slots go after a day, minutes, events, samples and hours in their time; room is reused."""
    sizes: list[int] = []
    rows: dict[int, dict[str, int]] = {}
    for number in range(DAYS):
        notes = life.day(number)
        assert notes.room is not None
        if number % 10 == 9 or number == SETTLED:
            rows[number] = life.rows()
        if number >= SETTLED:
            life.sweep()
            sizes.append(life.store.room().used_bytes)

    assert rows[SETTLED] == rows[DAYS - 1]
    half = len(sizes) // 2
    assert max(sizes[half:]) <= 1.1 * max(sizes[:half]), sizes
    oldest = {one.table: one.oldest_at for one in life.store.table_sizes()}
    now = (FIRST + DAYS) * DAY_S
    for table, days in MOST_DAYS.items():
        assert oldest[table] is not None
        assert now - days * DAY_S <= oldest[table], table
    assert notes.pruned_rows >= 0
    assert notes.pruned_at > now - 2 * HOUR_S
