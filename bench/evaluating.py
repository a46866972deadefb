"""What one evaluation of many rules on many routes costs, with fresh frames of several workers.

`python bench/evaluating.py` prints the figures as JSON; the database is memory, so that what is
measured is the judging.
"""

import gc
import json
import random
import time
from statistics import median
from typing import Any, Final

from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Kind, Scope, Series
from watchkeeper.core.rules import Alert, Origin, Rule, compile_alert
from watchkeeper.core.slot import Frame, FrameKey, Value
from watchkeeper.runtime.alerts import AlertEngine
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import Batch

RULES: Final = 200
ROUTES: Final = 500
WORKERS: Final = 4
SLOTS: Final = 40  # before what is measured: longer than every window
ROUNDS: Final = 10
REQUESTS: Final = 20  # of each route, worker and slot
SLOT_S: Final = 10
START: Final = 1_000_000
SCOPE: Final = Scope(service="bench", environment="bench")

FORMS: Final = (
    "error_rate > {share}%",
    "p95 > {seconds}ms",
    "p99 > {seconds}ms",
    "errors > {count}",
    "requests > {many}",
)


def rules(number: int = RULES) -> list[Rule]:
    """Return rules of all kinds, each by route and with a threshold of its own."""
    made = []
    for index in range(number):
        when = FORMS[index % len(FORMS)].format(
            share=5 + index / 10,
            seconds=1_000 + 250 * (index % 4),
            count=100 + index,
            many=100_000 + index,
        )
        alert = Alert(f"Rule {index}", when=when, by="route", over=("1m", "5m"))
        made.append(compile_alert(alert, where="bench", origin=Origin.CODE, slot_s=SLOT_S))
    return made


def frame(start: int, worker: int, source: random.Random, routes: int = ROUTES) -> Frame:
    """Return a slot of one worker: each route with good and a few failed requests."""
    values: dict[Series, Value] = {}
    for route in range(routes):
        bad = sum(source.random() < 0.01 for _ in range(REQUESTS))
        for status, count in (("200", REQUESTS - bad), ("500", bad)):
            if count:
                seconds = [source.lognormvariate(-2.5, 0.5) for _ in range(count)]
                values[_series(route, status)] = Histogram(seconds)
    return Frame(key=FrameKey(SLOT_S, start, worker, 0), values=values)


def measure(*, rounds: int = ROUNDS, routes: int = ROUTES) -> dict[str, Any]:
    """Evaluate slot after slot; return the milliseconds of one evaluation, of the process."""
    source = random.Random(7)  # noqa: S311  # the same numbers each time
    store = MemoryStore()
    store.migrate()
    workers = [
        store.register(SCOPE, host="h", pid=pid, at=START - 3_600).id for pid in range(WORKERS)
    ]
    engine = AlertEngine(
        store,
        scope=SCOPE,
        rules=rules(),
        channels_for=lambda severity: (),
        slot_s=SLOT_S,
        link=lambda incident: "",
        installed_at=0.0,
    )
    taken, fired = [], 0
    for number in range(SLOTS + rounds):
        start = START + number * SLOT_S
        fresh = [frame(start, worker, source, routes) for worker in workers]
        for one in fresh:
            at = start + SLOT_S - 0.1
            empty = Frame(key=one.key, values={})
            store.write(Batch(scope=SCOPE, frame=empty, at=at))  # the heartbeat
        gc.collect()
        before, cpu_before = time.perf_counter(), time.thread_time()
        fired += len(engine.evaluate(now=start + SLOT_S - 0.1, fresh=fresh))
        if number >= SLOTS:
            taken.append(
                (time.perf_counter() - before, time.thread_time() - cpu_before),
            )
    return {
        "rules": RULES,
        "routes": routes,
        "workers": WORKERS,
        "instances": RULES * routes,
        "transitions": fired,
        "evaluation_ms": round(1_000 * median(wall for wall, _ in taken), 1),
        "evaluation_cpu_ms": round(1_000 * median(cpu for _, cpu in taken), 1),
        "worst_cpu_ms": round(1_000 * max(cpu for _, cpu in taken), 1),
        "goal_ms": 100,
    }


def _series(route: int, status: str) -> Series:
    labels = {"method": "GET", "route": f"/route/{route}", "status": status}
    pairs = tuple(sorted((*SCOPE.labels, *labels.items())))
    return Series(HTTP_DURATION.name, Kind.HISTOGRAM, pairs)


if __name__ == "__main__":
    print(json.dumps(measure()))
