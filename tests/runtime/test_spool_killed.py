"""A process that is killed at any moment of spilling or replaying loses and doubles nothing."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from watchkeeper.core.metrics import Scope
from watchkeeper.runtime.spool import Spool
from watchkeeper.storage import open_store

# Spills slots, some of a worker and some of nobody, and forks processes that write them, two at a
# time and without a lease between them; each is killed at a random moment.
REPLAY = """
import os, random, signal, sys, time
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Kind, Scope, Series
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.runtime import spool as spools
from watchkeeper.storage import open_store
from watchkeeper.storage.store import Batch, IssueCount

URL, FOLDER, KILLS, SLOTS = sys.argv[1], sys.argv[2], int(sys.argv[3]), 12
spools.LEASE_S = 0.0
SHOP = Scope(service="shop", environment="production", release="v1")
HERE = {"service": "shop", "environment": "production"}
ORDERS = Series("orders_total", Kind.COUNTER, SHOP.labels)
LATENCY = Series("latency_seconds", Kind.HISTOGRAM, SHOP.labels)
ERROR = IssueCount(fingerprint="1:aa", count=1, first_at=5, last_at=5, type="E", title="E",
                   culprit="shop:f")
rng = random.Random(7)

def made():
    return spools.Spool(SHOP, clock=time.time, database_url=URL, setting=FOLDER, environ={})

def slots(first):
    return [
        Batch(scope=SHOP, at=10.0 * n, issues=[ERROR], frame=Frame(
            key=FrameKey(10, 10 * n, 0, n), values={ORDERS: 1.0, LATENCY: Histogram([0.5])}))
        for n in range(first, first + SLOTS)
    ]

def replay(ready=lambda: None):
    store = open_store(URL)
    spool = made()
    spool.meet(store)
    ready()
    while spool._waiting():
        spool._looked_at = None
        spool.replay(store, owner=os.getpid(), pause=lambda: time.sleep(0.002))
    store.close()

def forked():
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            replay(ready=lambda: os.write(writing, b"!"))
        finally:
            os._exit(0)
    os.read(reading, 1)
    os.close(reading)
    os.close(writing)
    return child

store = open_store(URL)
store.migrate()
worker = store.register(SHOP, host="web", pid=1, at=1.0).id
store.close()
survived = 0
for number in range(KILLS):
    spool = made()
    if number % 2:
        store = open_store(URL)
        spool.meet(store)
        store.close()
    spool.spill(slots(1 + SLOTS * number), worker=worker if number % 2 else 0,
                deadline=time.monotonic() + 9)
    children = [forked(), forked()]
    time.sleep(rng.uniform(0.0, 0.03))
    for child in children:
        os.kill(child, signal.SIGKILL)
        survived += os.waitpid(child, 0)[1] == 0
replay()
store = open_store(URL)
frames = store.frames(10, since=0, until=9e9, **HERE)
(issue,) = store.issues(**HERE, seen_since=0, limit=9)
print(
    KILLS * SLOTS,
    len(frames),
    sum(frame.values[ORDERS] for frame in frames),
    sum(frame.values[LATENCY].count for frame in frames),
    issue.count,
    sum(len(files) for _, _, files in os.walk(FOLDER)),
)
store.close()
assert survived < KILLS, survived  # more than half were killed in the midst
"""

# Spills very much; killed amid it, it leaves a part.

SPILL = """
import sys, time
from watchkeeper.core.metrics import Kind, Scope, Series
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.runtime.spool import Spool
from watchkeeper.storage.store import Batch

SHOP = Scope(service="shop", environment="production", release="v1")
series = [Series(f"s{n}_total", Kind.COUNTER, SHOP.labels) for n in range(200)]
values = dict.fromkeys(series, 1.0)
batches = [Batch(scope=SHOP, frame=Frame(key=FrameKey(10, 10 * n, 0, n), values=values), at=10.0)
           for n in range(1, 2_000)]

class Stopping(list):
    def __iter__(self):
        yield from self[:1_500]
        print("amid", flush=True)
        time.sleep(60)

spool = Spool(SHOP, clock=time.time, database_url=sys.argv[1], setting=sys.argv[2], environ={})
spool.spill(Stopping(batches), worker=0, deadline=time.monotonic() + 60)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres", "mariadb"])
def test_killed_while_it_writes_what_another_left(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
):
    """After twenty-five rounds of two killed processes each, every slot is stored once."""
    url = request.getfixturevalue(f"{kind}_url")

    done = subprocess.run(
        [sys.executable, "-c", REPLAY, url, str(tmp_path / "spool"), "25"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )

    told = [line for line in done.stderr.splitlines() if not line.startswith("watchkeeper: ")]
    assert [] == told
    assert ["300", "300", "300.0", "300", "300", "0"] == done.stdout.split()


def test_killed_while_it_spills(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch):
    """What was on the disk by then is written by the next process; the file is put aside."""
    folder = tmp_path / "spool"
    process = subprocess.Popen(
        [sys.executable, "-c", SPILL, sqlite_url, str(folder)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert b"amid\n" == process.stdout.readline()
    (part,) = folder.rglob("*.part")
    process.kill()
    process.wait()
    process.stdout.close()
    os.utime(part, (1, 1))

    store = open_store(sqlite_url)
    store.migrate()
    spool = Spool(
        Scope(service="shop", environment="production", release="v1"),
        clock=time.time,
        database_url=sqlite_url,
        setting=str(folder),
        environ={},
    )
    spool.meet(store)
    monkeypatch.setattr("watchkeeper.runtime.spool.TURN_S", 60.0)
    written = 0
    while some := spool.replay(store, owner=1, pause=int):
        written += some

    assert 0 < written <= 1_500
    frames = store.frames(10, since=0, until=9e9, service="shop", environment="production")
    assert list(range(1, written + 1)) == [frame.key.sequence for frame in frames]
    assert [".damaged"] == [path.suffix for path in folder.rglob("*.*") if path.is_file()]
    store.close()
