"""A storm of one bug, at 10,000 errors a second: the share of a core that watching takes.

The process raises at that rate, in turns with and without capturing; flusher, file and all run as
in production, and the CPU of all threads counts.

python bench/storm.py 2 3                              rounds of 2 s, three of each, as JSON
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import apps
import goals
import raising

RATE: Final = 10_000
TICK_S: Final = 0.01
FRAMES: Final = 10
SETTLE_S: Final = 2.0  # until the database's packages are loaded
MOST_OF_A_CORE: Final = 0.05


def measure(seconds: float, rounds: int) -> dict[str, Any]:
    """Run both kinds of rounds in turn."""
    with tempfile.TemporaryDirectory(prefix="watchkeeper-raising-") as folder:
        raises = raising.chain(Path(folder), FRAMES)
        with apps.watching(apps.DEFAULT_SLOT) as watchkeeper:
            issues = watchkeeper.issues
            shares: list[float] = []
            held: list[float] = []
            raising.capturing(raises, issues.capture)
            time.sleep(min(SETTLE_S, seconds))
            for _ in range(rounds):
                bare, _ = _round(lambda: raising.caught(raises), seconds)
                watched, rate = _round(lambda: raising.capturing(raises, issues.capture), seconds)
                shares.append(watched - bare)
                held.append(rate)
    return {
        "errors_per_s": round(statistics.median(held)),
        "seconds": seconds,
        "rounds": rounds,
        "share_of_a_core": goals.at_most(
            MOST_OF_A_CORE, statistics.median(shares), "of a core, all threads"
        ),
    }


def _round(work: Callable[[], None], seconds: float) -> tuple[float, float]:
    """Work at the rate; the CPU seconds of all threads in each second, and the rate held."""
    per_tick = int(RATE * TICK_S)
    begun, cpu = time.perf_counter(), time.process_time()
    ticks = int(seconds / TICK_S)
    for tick in range(ticks):
        time.sleep(max(0.0, begun + tick * TICK_S - time.perf_counter()))
        for _ in range(per_tick):
            work()
    passed = time.perf_counter() - begun
    # at the rate that was wanted, if a busy machine held less
    return (time.process_time() - cpu) / (ticks * per_tick) * RATE, ticks * per_tick / passed


if __name__ == "__main__":
    print(json.dumps(measure(float(sys.argv[1]), int(sys.argv[2]))))
