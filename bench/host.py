"""The host's own SQLite transactions, with Watchkeeper writing a file of its own and without.

python bench/host.py bare|watched 10     p50 and p99 of the host's transactions in ms, as JSON
"""

import json
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import apps
import children
import goals
import watchkeeper

SERIES: Final = 200
RATE: Final = 500  # transactions a second, one for each request
SLOT: Final = "1s"  # ten times as often as by default: what is rare would not be seen in p99
SETTLE_S: Final = 3.0
GOAL: Final = 1.2


def measure(*, seconds: float, rounds: int) -> dict[str, Any]:
    """Run rounds of bare and watched in turn, each in a process: the median ratio of p99."""
    pairs = []
    for number in range(rounds):
        order = ("bare", "watched") if number % 2 == 0 else ("watched", "bare")
        pairs.append({kind: children.measured("host.py", kind, seconds) for kind in order})

    def median(kind: str, key: str) -> float:
        return round(statistics.median(pair[kind][key] for pair in pairs), 3)

    p99 = statistics.median(pair["watched"]["p99"] / pair["bare"]["p99"] for pair in pairs)
    return {
        "transactions_per_s": RATE,
        "rounds": rounds,
        "seconds": seconds,
        "slot": SLOT,
        "bare_p50_ms": median("bare", "p50"),
        "watched_p50_ms": median("watched", "p50"),
        "bare_p99_ms": median("bare", "p99"),
        "watched_p99_ms": median("watched", "p99"),
        "p99_ratio": goals.at_most(GOAL, p99, "times without"),
    }


def transactions(kind: str, seconds: float) -> dict[str, float]:
    """Do the host's work in this process; p50 and p99 of its transactions, in milliseconds."""
    with apps.watching(SLOT) if kind == "watched" else nullcontext():
        work = watchkeeper.histogram("order_duration_seconds", "Orders.", labels=["kind", "place"])
        labels = [{"kind": str(at % 20), "place": str(at // 20)} for at in range(SERIES)]
        with tempfile.TemporaryDirectory() as folder:
            host = sqlite3.connect(Path(folder) / "host.db", isolation_level=None)
            host.execute("PRAGMA journal_mode = WAL")
            host.execute("CREATE TABLE orders (id integer PRIMARY KEY, at real, body text)")
            _work(host, work, labels, min(SETTLE_S, seconds))
            taken = sorted(_work(host, work, labels, seconds))
            host.close()
    return {"p50": statistics.median(taken), "p99": taken[int(len(taken) * 0.99)]}


def _work(
    host: sqlite3.Connection, work: Any, labels: list[dict[str, str]], seconds: float
) -> list[float]:
    """Do a transaction of three statements at each turn; how long each took."""
    taken = []
    begin = time.perf_counter()
    for number in range(int(seconds * RATE)):
        time.sleep(max(0.0, begin + number / RATE - time.perf_counter()))
        begun = time.perf_counter()
        host.execute("BEGIN IMMEDIATE")
        host.execute("INSERT INTO orders (at, body) VALUES (?, ?)", (begun, "x" * 200))
        host.execute("SELECT count(*) FROM orders WHERE id > ?", (number - 20,)).fetchone()
        host.execute("COMMIT")
        took = time.perf_counter() - begun
        taken.append(took * 1e3)
        work.observe(took, **labels[number % SERIES])
    return taken


if __name__ == "__main__":
    print(json.dumps(transactions(sys.argv[1], float(sys.argv[2]))))
