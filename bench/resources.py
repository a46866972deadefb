"""What looking at resources costs a worker, beside its goal: a tenth of a percent of a core.

A sample each 10 s, as the worker that reports its host takes it, and the timer that looks at an
event loop which is idle, or asked once a second, in a process that has loaded FastAPI and the
database's packages. A loop that is asked more often is awake anyway. What our being told of a run
adds to the garbage collector is measured as well.

python bench/resources.py            as JSON; half a minute
python bench/resources.py --tiny     seconds
"""

import asyncio
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import goals
import options
from watchkeeper.core.metrics import Scope
from watchkeeper.runtime.garbage import Garbage
from watchkeeper.runtime.loop_lag import LoopLag
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.reporter import Reporter
from watchkeeper.runtime.resources import LOOK_EVERY_S, Resources

MOST: Final = 0.001  # of a core
ROUNDS: Final = 5


def load_what_hosts_load() -> None:
    """Import what a process of this kind holds: memory, blocks and pages to be counted."""
    import fastapi  # noqa: F401
    import sqlalchemy.orm  # noqa: F401


def sample_s(samples: int) -> float:
    """Return the CPU seconds of one sample of a worker that reports its host as well."""
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(Scope(service="shop", environment="bench"))
        resources = Resources(
            recorder,
            host="bench",
            worker=lambda: "1",
            folders=lambda: [Path(folder), Path.cwd(), Path("/dev/shm")],  # noqa: S108
            reporter=Reporter(Path(folder) / "hosts.lock"),
        )
        now = time.time()
        resources.sample(now)
        begun = time.process_time()
        for number in range(1, samples + 1):
            resources.sample(now + number * LOOK_EVERY_S)
        spent = time.process_time() - begun
        resources.close()
    return spent / samples


def ticking(seconds: float, *, asked_every_s: float) -> float:
    """Return the share of a core that looking at an event loop takes.

    It has nothing to do but to be told, so often, that a request has come.
    """
    lag = LoopLag(Recorder(Scope(service="shop", environment="bench")))

    async def idle(is_on: Callable[[], bool]) -> float:
        lag.follow(is_on)
        await asyncio.sleep(1.0)
        begun = time.process_time()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.sleep(min(asked_every_s, seconds))
            lag.follow(is_on)
        return time.process_time() - begun

    watched = asyncio.run(idle(lambda: True))
    return max(0.0, watched - asyncio.run(idle(lambda: False))) / seconds


def collecting_s(runs: int, rounds: int) -> float:
    """Return the CPU seconds that our being told adds to one run of the collector."""
    garbage = Garbage(Recorder(Scope(service="shop", environment="bench")))

    def spent() -> float:
        begun = time.process_time()
        for _ in range(runs):
            gc.collect(0)
        return time.process_time() - begun

    added = []
    for _ in range(rounds):
        bare = spent()
        garbage.start()
        garbage.record(host="bench", worker="1")
        added.append(spent() - bare)
        garbage.stop()
    return max(0.0, statistics.median(added)) / runs


def measure(*, samples: int, seconds: float, runs: int, rounds: int) -> dict[str, Any]:
    """Measure in this process; the median of some rounds, for others use the machine too."""
    load_what_hosts_load()
    sampled = statistics.median(sample_s(samples) for _ in range(rounds))
    idle, asked = (
        statistics.median(ticking(seconds, asked_every_s=each) for _ in range(rounds))
        for each in (seconds, 1.0)
    )
    return {
        "sample_ms": round(sampled * 1e3, 3),
        "sample_share": round(sampled / LOOK_EVERY_S, 6),
        "looks_idle_share": round(idle, 6),
        "looks_asked_share": round(asked, 6),
        "told_of_a_collection_us": round(collecting_s(runs, rounds) * 1e6, 2),
        "idle_share": goals.at_most(MOST, sampled / LOOK_EVERY_S + idle, "of a core"),
        "asked_share": goals.at_most(MOST, sampled / LOOK_EVERY_S + asked, "of a core"),
    }


if __name__ == "__main__":
    if "--tiny" in sys.argv[1:]:
        figures = measure(samples=20, seconds=0.2, runs=200, rounds=1)
    else:
        figures = measure(samples=200, seconds=5.0, runs=5_000, rounds=ROUNDS)
    print(json.dumps({**options.head(), "resources": figures}, indent=2))
