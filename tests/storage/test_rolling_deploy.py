"""During a deploy workers of the earlier version write beside new ones; nothing is lost."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from stored import HERE, SHOP, batch, counted, counter, event, frame, sample

from earlier import engine_of, make_earlier
from watchkeeper.runtime.hours import seal
from watchkeeper.runtime.retention import roll_up
from watchkeeper.storage import open_store

PROGRAM = Path(__file__).with_name("earlier_worker.py")
FLUSHES = 25  # of the earlier worker before, while and after the tables change
NEW_ORDERS = counter("orders_total")
ERROR = "1:00000000000000aa"


class EarlierWorker:
    """A process of the earlier version."""

    def __init__(self, url: str) -> None:
        """Start it; it registers and flushes without a pause."""
        address = engine_of(url).url.render_as_string(hide_password=False)
        self.flushes = 0
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.number = int(self._line())

    def flush(self, times: int) -> None:
        """Wait until it has flushed so often again."""
        for _ in range(times):
            self.flushes = int(self._line())

    def stop(self) -> str:
        """Let it end; what it complained of."""
        rest, errors = self.process.communicate("stop\n", timeout=60)
        self.flushes = int((rest.split() or [self.flushes])[-1])
        return errors

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(self.process.communicate(timeout=60)[1])
        return line


@pytest.fixture
def earlier(sql_url: str) -> Iterator[EarlierWorker]:
    """Run a worker of the earlier version on its own tables."""
    make_earlier(sql_url, 3)
    worker = EarlierWorker(sql_url)
    yield worker
    if worker.process.poll() is None:
        worker.process.kill()
        worker.process.communicate()


def test_an_earlier_worker_writes_beside_a_new_one(sql_url: str, earlier: EarlierWorker):
    """While the tables change and afterwards the old worker writes on; all of it is counted."""
    earlier.flush(FLUSHES)
    store = open_store(sql_url)

    assert 8 == store.migrate()

    earlier.flush(FLUSHES)
    new = store.register(SHOP, host="new-host", pid=2, at=7_200.0)
    for turn in range(FLUSHES):
        start = 7_200 + turn * 10
        one = frame(start, new.id, sequence=turn, values={NEW_ORDERS: 2.0})
        more = {
            "issues": [counted(ERROR, at=start + 1.0)],
            "events": [event(1_000_000 + turn, at=start + 1.0)],
            "samples": [sample(1_000_000 + turn, at=start + 1.0)],
        }
        store.write(batch(one, **more))
        earlier.flush(1)
    assert "" == earlier.stop()

    assert (4, 5) == (earlier.number, new.number)
    old = earlier.flushes
    assert old >= 3 * FLUSHES
    (issue,) = store.issues(**HERE, seen_since=0, limit=9)
    assert 3 + old + FLUSHES == issue.count
    counts = store.issue_counts([7], since=0, until=1e6, resolution=3_600)
    assert {7: {7_200: old + FLUSHES}} == counts
    assert old + FLUSHES == len(store.events(7, limit=10_000))
    assert old + FLUSHES == len(store.samples(**HERE, since=0, until=1e6, limit=10_000))
    assert {earlier.number, new.number} <= {
        one.number for one in store.workers(**HERE, seen_since=7_200)
    }

    roll_up(store, now=20_000.0, pause=lambda: None)
    assert 1 == seal(store, now=20_000.0, pause=lambda: None)

    rows = store.hours(since=7_200, until=7_201, **HERE, metrics=["orders_total"])
    # Three orders of the minute that lay there before, three and two of each flush since.
    assert 3.0 + 3.0 * old + 2.0 * FLUSHES == sum(row.hour.sum for row in rows)
    assert 0 == store.damaged_frames
    store.close()
