"""How long others wait to write while one process rolls up, seals, prunes and gives room back.

A database is filled with the slots of several workers, of which half are past their time. Then a
process writes a frame of its own every 20 ms, first alone, then while another looks after the
database until there is nothing left to do. What counts is how long its writes take, and how long
each transaction of the upkeep lasts, by what it does.

python bench/retention.py                                      a SQLite file in a temporary folder
python bench/retention.py --url postgresql://user@host/name    an empty database of a server
python bench/retention.py --workers 4 --hours 2 --series 200   prints milliseconds, as JSON
"""

import argparse
import json
import multiprocessing
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Kind, Scope, Series
from watchkeeper.core.slot import Frame, FrameKey, Value
from watchkeeper.runtime.hours import seal
from watchkeeper.runtime.retention import Keep, prune, roll_up
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.store import Batch
from watchkeeper.storage.turns import give_way

SCOPE = Scope(service="bench", environment="bench")
SLOT_S = 10
HOUR_S = 3_600
EVERY_S = 0.02  # between two writes
ALONE_S = 5.0


def values(series: int, rng: random.Random) -> dict[Series, Value]:
    """Make what one worker records in one slot: mostly durations, at different routes."""
    found: dict[Series, Value] = {}
    for number in range(series):
        labels = tuple(sorted([*SCOPE.labels, ("route", f"/{number}")]))
        found[Series("work_seconds", Kind.HISTOGRAM, labels)] = Histogram(
            [rng.lognormvariate(-3, 1) for _ in range(8)]
        )
    return found


def fill(store: Store, *, workers: int, hours: int, series: int, now: int) -> int:
    """Write the slots of some hours; return how many frames there are."""
    rng = random.Random(1)  # noqa: S311  # made figures, no secret
    made = [values(series, rng) for _ in range(20)]
    ids = [store.register(SCOPE, host="bench", pid=n, at=float(now)).id for n in range(workers)]
    keys = [
        FrameKey(SLOT_S, start, worker, 0)
        for start in range(now - hours * HOUR_S, now, SLOT_S)
        for worker in ids
    ]
    for first in range(0, len(keys), 100):
        some = keys[first : first + 100]
        store.add_frames([Frame(key=key, values=made[key.start % 20]) for key in some])
    return len(keys)


def write_on(url: str, series: int, ends: Event, found: Any) -> None:
    """Write a frame every 20 ms until told to end; tell how long each write took, in ms."""
    store = open_store(url)
    rng = random.Random(2)  # noqa: S311  # made figures, no secret
    worker = store.register(SCOPE, host="bench", pid=0, at=time.time())
    made, took = values(series, rng), []
    sequence = 0
    while not ends.is_set():
        at, sequence = time.time(), sequence + 1
        key = FrameKey(SLOT_S, int(at) // SLOT_S * SLOT_S, worker.id, sequence)
        one = Batch(scope=SCOPE, frame=Frame(key=key, values=made), at=at)
        started = time.perf_counter()
        store.write(one)
        took.append((time.perf_counter() - started) * 1_000)
        time.sleep(EVERY_S)
    store.close()
    found.put(took)


@contextmanager
def writing(url: str, series: int) -> Iterator[list[float]]:
    """Let a process write meanwhile; the list is filled at the end."""
    ends, found = multiprocessing.Event(), multiprocessing.Queue()
    writer = multiprocessing.Process(target=write_on, args=(url, series, ends, found))
    writer.start()
    took: list[float] = []
    try:
        yield took
    finally:
        ends.set()
        took.extend(found.get(timeout=60))
        writer.join()


class Watched:
    """How long the transactions that write last, by what is being done."""

    def __init__(self) -> None:
        """Watch every engine of this process."""
        self.doing = ""
        self.took: dict[str, list[float]] = defaultdict(list)
        event.listen(Engine, "begin", self._begin)
        event.listen(Engine, "commit", self._commit)

    def _begin(self, connection: Connection) -> None:
        connection.info["begun"] = time.perf_counter()

    def _commit(self, connection: Connection) -> None:
        if connection.get_execution_options().get("watchkeeper_writes"):
            took_s = time.perf_counter() - connection.info["begun"]
            self.took[self.doing].append(took_s * 1_000)


def look_after(store: Store, watched: Watched, *, now: float, hours: int) -> None:
    """Roll up, seal and prune until there is nothing left to do."""
    watched.doing = "roll_up"
    while roll_up(store, now=now, pause=give_way):
        pass
    watched.doing = "seal"
    while seal(store, now=now, pause=give_way):
        pass
    watched.doing = "prune"
    while prune(
        store,
        now=now,
        keep=Keep(
            frames_s={SLOT_S: hours * HOUR_S / 2, 60: hours * HOUR_S / 2, HOUR_S: hours * HOUR_S},
            events_s=HOUR_S,
            samples_s=HOUR_S,
            max_samples=100,
        ),
        pause=give_way,
        took=lambda seconds: watched.took["prune_calls"].append(seconds * 1_000),
    ):
        pass


def figures(took: list[float]) -> dict[str, float]:
    """Describe durations in milliseconds."""
    ordered = sorted(took) or [0.0]
    return {
        "count": len(took),
        "p50_ms": round(ordered[len(ordered) // 2], 2),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)], 2),
        "max_ms": round(ordered[-1], 2),
        "above_50_ms": sum(one > 50 for one in ordered),
    }


def run(url: str, *, workers: int, hours: int, series: int) -> dict[str, Any]:
    """Fill the database, look after it while a process writes, and describe both."""
    store = open_store(url)
    store.migrate()
    now = int(time.time()) // HOUR_S * HOUR_S
    frames = fill(store, workers=workers, hours=hours, series=series, now=now)
    before = store.room()
    with writing(url, series) as alone:
        time.sleep(ALONE_S)
    watched = Watched()
    with writing(url, series) as meanwhile:
        started = time.perf_counter()
        look_after(store, watched, now=float(now + 300), hours=hours)
        seconds = time.perf_counter() - started
    after = store.room()
    store.close()
    return {
        "database": store.description().split()[0],
        "frames": frames,
        "series": series,
        "upkeep_s": round(seconds, 1),
        "used_bytes": [before.used_bytes, after.used_bytes],
        "write_alone": figures(alone),
        "write_meanwhile": figures(meanwhile),
        "transactions": {name: figures(took) for name, took in sorted(watched.took.items())},
    }


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--hours", type=int, default=2)
    parser.add_argument("--series", type=int, default=200)
    given = parser.parse_args()
    sizes = {"workers": given.workers, "hours": given.hours, "series": given.series}
    if given.url:
        print(json.dumps(run(given.url, **sizes), indent=2))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(str(Path(folder) / "watchkeeper.db"), **sizes), indent=2))


if __name__ == "__main__":
    main()
