"""The longest pause between requests at 20,000 a second, bare and watched.

One event loop serves a small ASGI application, giving way to other threads after each request as
a server does when it reads from its socket. What counts is the time from the end of one request
to the end of the next; it should be 50 µs. Other processes cause pauses too, so the CPU time that
the own thread used within a pause is noted as well: it can have caused no more than that.

python bench/stall.py bare|watched 10 10s              prints pauses in milliseconds, as JSON
"""

import asyncio
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import apps
import children
import exchanges
import watchkeeper

RATE = 20_000
SERIES = 300  # of an own histogram, as many as there may be routes: work for the own thread
SETTLE_S = 5.0  # until the database's packages are loaded


def raw_app() -> Any:
    """Make an application that does nothing but answer."""
    start = {"type": "http.response.start", "status": 200, "headers": []}
    body = {"type": "http.response.body", "body": b"hello"}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start)
        await send(body)

    return app


def watched_app() -> Any:
    """Make the same application, watched, with a histogram of its own."""
    work = watchkeeper.histogram("work_duration_seconds", "Some work.", labels=["kind", "place"])
    labels = [{"kind": str(at % 20), "place": str(at // 20)} for at in range(SERIES)]
    app = watchkeeper.asgi(raw_app())
    count = 0

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        nonlocal count
        count += 1
        work.observe(count % 97 / 1_000, **labels[count % SERIES])
        await app(scope, receive, send)

    return counted


async def pauses(app: Any, seconds: float) -> "Pauses":
    """Serve at the rate, and note each pause."""
    clock, own = time.perf_counter, own_clock()
    found = Pauses()
    begun = before = clock()
    own_before = own()
    wanted = int(seconds * RATE)
    for number in range(wanted):
        due = begun + number / RATE
        while clock() < due:  # noqa: ASYNC110  # turns of the loop, as a server's
            await asyncio.sleep(0)
        await app(exchanges.scope("/hello"), exchanges.receive, exchanges.send)
        now, own_now = clock(), own()
        found.seconds.append(now - before)
        found.own = max(found.own, min(now - before, own_now - own_before))
        before, own_before = now, own_now
    found.rate = wanted / (clock() - begun)
    return found


@dataclass
class Pauses:
    """Pauses between requests in seconds, the longest share in one that own threads ran in."""

    seconds: list[float] = field(default_factory=list)
    own: float = 0.0
    rate: float = 0.0


def own_clock() -> Callable[[], float]:
    """Return a function that tells the CPU seconds of Watchkeeper's thread; 0 without one."""
    for thread in threading.enumerate():
        if thread.name == "watchkeeper" and thread.ident is not None:
            return partial(time.clock_gettime, time.pthread_getcpuclockid(thread.ident))
    return lambda: 0.0


def longest(kind: str, seconds: float, slot: str) -> dict[str, float]:
    """Serve in this process; the longest pauses, in milliseconds."""
    with apps.watching(slot) if kind == "watched" else nullcontext():
        app = watched_app() if kind == "watched" else raw_app()
        asyncio.run(pauses(app, min(SETTLE_S, seconds)))
        found = asyncio.run(pauses(app, seconds))
    ordered = sorted(found.seconds)
    return {
        "max": ordered[-1] * 1e3,
        "p9999": ordered[int(len(ordered) * 0.9999)] * 1e3,
        "own": found.own * 1e3,
        "rate": found.rate,
    }


def measure(slot: str, seconds: float, *, runs: int) -> dict[str, object]:
    """Run pairs of processes; the median over them of each figure, in milliseconds."""
    bare, watched = [], []
    for _ in range(runs):
        bare.append(children.measured("stall.py", "bare", seconds, slot))
        watched.append(children.measured("stall.py", "watched", seconds, slot))

    def median(found: list[dict[str, float]], key: str) -> float:
        return round(statistics.median(each[key] for each in found), 2)

    pairs = zip(watched, bare, strict=True)
    return {
        "requests_per_s": round(median(watched, "rate")),
        "seconds": seconds,
        "runs": runs,
        "bare_max_ms": median(bare, "max"),
        "watched_max_ms": median(watched, "max"),
        "added_max_ms": round(statistics.median(one["max"] - two["max"] for one, two in pairs), 2),
        "own_thread_max_ms": median(watched, "own"),
        "bare_p9999_ms": median(bare, "p9999"),
        "watched_p9999_ms": median(watched, "p9999"),
    }


if __name__ == "__main__":
    print(json.dumps(longest(sys.argv[1], float(sys.argv[2]), sys.argv[3])))
