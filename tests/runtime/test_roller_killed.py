"""A roller that is killed at any moment leaves nothing half done."""

import subprocess
import sys

import pytest

# Forks a roller again and again over a growing store, and kills it at a random moment.
SCRIPT = """
import os, random, signal, sys, time
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Kind, Series
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.runtime.hours import seal
from watchkeeper.runtime.retention import roll_up
from watchkeeper.storage import open_store

URL, KILLS, HOURS = sys.argv[1], int(sys.argv[2]), 6
LABELS = (("environment", "production"), ("release", "v1"), ("service", "shop"))
HERE = {"service": "shop", "environment": "production"}
ORDERS = Series("orders_total", Kind.COUNTER, LABELS)
LATENCY = Series("latency_seconds", Kind.HISTOGRAM, LABELS)
NOW = HOURS * 3_600 + 120.0
rng = random.Random(4)

def roll(*, prune, ready=lambda: None):
    store = open_store(URL)
    store.migrate()  # connects
    ready()
    while roll_up(store, now=NOW, pause=int) + seal(store, now=NOW, pause=int):
        if prune:
            store.prune_sealed(before=NOW, limit=10)
    store.close()

def write(store, number):
    # Slots of any of the hours: most of them come late. One row a slot, so none is ever replaced.
    values = {ORDERS: 1.0, LATENCY: Histogram([0.5])}
    keys = [
        FrameKey(10, rng.randrange(HOURS * 360) * 10, 1, 100 * number + one) for one in range(20)
    ]
    store.add_frames([Frame(key=key, values=values) for key in keys])

store = open_store(URL)
store.migrate()
store.close()
survived = 0
for number in range(KILLS):
    store = open_store(URL)
    write(store, number)
    if number % 2:  # so that the child seals from the start on
        roll_up(store, now=NOW, pause=int)
    store.close()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            roll(prune=number % 3, ready=lambda: os.write(writing, b"!"))
        finally:
            os._exit(0)
    os.read(reading, 1)
    os.close(reading)
    os.close(writing)
    time.sleep(rng.uniform(0.0, 0.06))
    os.kill(child, signal.SIGKILL)
    survived += os.waitpid(child, 0)[1] == 0
roll(prune=True)
store = open_store(URL)
rows = store.hours(since=0, until=NOW, **HERE)
chunks = [frame for hour in range(HOURS) for frame in store.minutes(hour * 3_600, **HERE)]
print(
    KILLS * 20,
    sum(row.hour.sum for row in rows if row.series == ORDERS),
    sum(row.hour.count for row in rows if row.series == LATENCY),
    sum(frame.values[ORDERS] for frame in chunks),
    sum(frame.values[LATENCY].count for frame in chunks),
    len(store.unsealed(before=NOW, limit=9)),
)
store.close()
assert survived < KILLS / 2, survived  # most were killed in the midst
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres", "mariadb"])
def test_a_roller_killed_fifty_times_loses_and_doubles_nothing(
    request: pytest.FixtureRequest, kind: str
):
    """After fifty kills in the midst of rolling up, every observation is in its hour once."""
    url = request.getfixturevalue(f"{kind}_url")

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, url, "50"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )

    assert "" == done.stderr
    assert ["1000", "1000.0", "1000", "1000.0", "1000", "0"] == done.stdout.split()
