"""What capturing an error costs, beside raising and catching it; short rounds in turn.

python bench/capture.py 40                            microseconds and ratios of 40 rounds, as JSON
"""

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
import raising
from watchkeeper.core.metrics import Scope
from watchkeeper.runtime.issues import Issues

ERRORS: Final = 500  # in a round
FIRST: Final = 20  # different errors in a round
DEPTHS: Final = (10, 50)
SCOPE: Final = Scope(service="bench", environment="bench")
MOST_US: Final = 5.0  # of a known error's next occurrence, with 10 frames


def measure(rounds: int) -> dict[str, Any]:
    """Measure each depth: raising alone, the next occurrence, the first one."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="watchkeeper-raising-") as folder:
        for frames in DEPTHS:
            found[f"frames_{frames}"] = _at(Path(folder) / str(frames), frames, rounds)
    return found


def _at(folder: Path, frames: int, rounds: int) -> dict[str, Any]:
    raises = raising.chain(folder, frames)
    others = [raising.chain(folder, frames, bug=number) for number in range(1, FIRST + 1)]
    known = Issues(SCOPE)
    raising.capturing(raises, known.capture)
    bare, following, first = [], [], []
    for _ in range(rounds):
        bare.append(_us(lambda: raising.caught(raises), ERRORS))
        following.append(_us(lambda: raising.capturing(raises, known.capture), ERRORS))
        first.append(_first_us(others))
    alone = statistics.median(bare)
    added = statistics.median(a - b for a, b in zip(following, bare, strict=True))
    once = statistics.median(a - b for a, b in zip(first, bare, strict=True))
    return {
        "raise_and_catch_us": round(alone, 2),
        "next_occurrence_us": goals.at_most(MOST_US, added, "µs")
        if frames == DEPTHS[0]
        else round(added, 2),
        "next_occurrence_ratio": round(added / alone, 2),
        "first_occurrence_us": round(once, 1),
        "first_occurrence_ratio": round(once / alone, 1),
    }


def _first_us(others: list[Callable[[], None]]) -> float:
    """Return the CPU microseconds of each error that a process has not seen before."""
    fresh = Issues(SCOPE)
    left = iter(others)
    return _us(lambda: raising.capturing(next(left), fresh.capture), FIRST)


def _us(work: Callable[[], object], times: int) -> float:
    """Return the CPU microseconds of each of so many runs."""
    gc.collect()
    begun = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - begun) / times * 1e6


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
