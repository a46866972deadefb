"""What a flush takes: of one worker alone, and of several that all flush in the same moment.

python bench/flushing.py URL 8 30 1767225600.0    one of them, as JSON: flushes of 30 seconds
"""

import json
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.pool import Pool

import children
import databases
import goals
import traffic
from watchkeeper.runtime.health import Health
from watchkeeper.runtime.held import Held
from watchkeeper.runtime.issues import Issues
from watchkeeper.runtime.places import Places
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.writer import Writer
from watchkeeper.storage import Store

SERIES: Final = 200
WORKERS: Final = 8
WARM_UP: Final = 10  # flushes: statements are compiled, series get their ids
START_S: Final = 5.0  # until all workers are there
EVERY_S: Final = 1.0
WALL_GOALS_MS: Final = {"sqlite": 1.0, "postgresql": 5.0}
TOGETHER_GOALS_MS: Final = {"sqlite": 50.0}
CPU_GOAL_MS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Flush:
    """Milliseconds that one flush took: closing the slot, writing it, and the CPU of both."""

    close_ms: float
    write_ms: float
    cpu_ms: float
    stored: bool


class Worker:
    """One worker of an application: what it records, and its flusher's writer."""

    def __init__(self, store: Store, *, seed: int) -> None:
        """Begin; the first flush registers it."""
        self._store = store
        self._traffic = traffic.Traffic(SERIES, seed=seed)
        self._recorder = Recorder(traffic.SCOPE)
        self._writer = Writer(
            scope=traffic.SCOPE,
            slot_s=traffic.SLOT_S,
            recorder=self._recorder,
            issues=Issues(traffic.SCOPE, places=Places("/"), clock=time.time),
            health=Health((), clock=time.time),
            held=Held(max_slots=100, max_bytes=10**8),
            clock=time.time,
        )

    def record(self) -> None:
        """Record a slot's requests."""
        self._traffic.record(self._recorder, traffic.PER_SLOT)

    def flush(self, number: int) -> Flush:
        """Close the slot and write it."""
        cpu, begun = time.thread_time(), time.perf_counter()
        self._writer.close_slot(number * traffic.SLOT_S)
        closed = time.perf_counter()
        stored = self._writer.write(self._store)
        return Flush(
            close_ms=(closed - begun) * 1e3,
            write_ms=(time.perf_counter() - closed) * 1e3,
            cpu_ms=(time.thread_time() - cpu) * 1e3,
            stored=stored,
        )


def alone(place: databases.Place, *, flushes: int) -> dict[str, Any]:
    """Measure the flushes of one worker: medians in milliseconds."""
    with place.database("alone") as url, databases.opened(url) as store:
        worker = Worker(store, seed=traffic.SEED)
        found, in_database = [], []
        with transactions() as ended:
            for number in range(WARM_UP + flushes):
                worker.record()
                ended.clear()
                found.append(worker.flush(number))
                in_database.append(sum(ended))
    done = found[WARM_UP:]
    wall = round(statistics.median(in_database[WARM_UP:]), 3)
    goal = WALL_GOALS_MS.get(place.name)
    return {
        "flushes": flushes,
        "series": SERIES,
        "requests_per_slot": traffic.PER_SLOT,
        "errors": sum(not one.stored for one in done),
        "close_ms": round(statistics.median(one.close_ms for one in done), 3),
        "write_ms": round(statistics.median(one.write_ms for one in done), 3),
        "transaction_ms": wall if goal is None else goals.at_most(goal, wall, "ms"),
        "cpu_ms": goals.at_most(CPU_GOAL_MS, statistics.median(one.cpu_ms for one in done), "ms"),
    }


@contextmanager
def transactions() -> Iterator[list[float]]:
    """Time each transaction from when its connection is taken to when it is given back, in ms."""
    taken: dict[int, float] = {}
    ended: list[float] = []

    def checkout(connection: object, *_: object) -> None:
        taken[id(connection)] = time.perf_counter()

    def checkin(connection: object, *_: object) -> None:
        ended.append((time.perf_counter() - taken.pop(id(connection))) * 1e3)

    event.listen(Pool, "checkout", checkout)
    event.listen(Pool, "checkin", checkin)
    try:
        yield ended
    finally:
        event.remove(Pool, "checkout", checkout)
        event.remove(Pool, "checkin", checkin)


def together(place: databases.Place, *, workers: int, seconds: int) -> dict[str, Any]:
    """Measure workers, each a process, that flush at each full second: p99 and errors."""
    with place.database("together") as url:
        with databases.opened(url):
            pass
        begin = time.time() + START_S
        found = children.together(
            "flushing.py", [(url, seed, seconds, begin) for seed in range(workers)]
        )
    taken = sorted(ms for one in found for ms in one["write_ms"])
    p99 = taken[int(len(taken) * 0.99)]
    goal = TOGETHER_GOALS_MS.get(place.name)
    return {
        "workers": workers,
        "flushes": len(taken),
        "errors": goals.at_most(0, sum(one["errors"] for one in found), "flushes"),
        "p50_ms": round(statistics.median(taken), 2),
        "p99_ms": round(p99, 2) if goal is None else goals.at_most(goal, p99, "ms"),
        "max_ms": round(taken[-1], 2),
    }


def one_of_several(url: str, seed: int, seconds: int, begin: float) -> dict[str, Any]:
    """Flush at each full second from `begin` on."""
    with databases.opened(url) as store:
        worker = Worker(store, seed=seed)
        done = []
        for number in range(seconds):
            worker.record()
            time.sleep(max(0.0, begin + number * EVERY_S - time.time()))
            done.append(worker.flush(number))
    return {
        "errors": sum(not one.stored for one in done),
        "write_ms": [one.write_ms for one in done[1:]],  # the first flush registers the worker
    }


if __name__ == "__main__":
    address, seed, seconds, begin = sys.argv[1:]
    print(json.dumps(one_of_several(address, int(seed), int(seconds), float(begin))))
