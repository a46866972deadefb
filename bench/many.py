"""A hundred thousand different bugs in one process: does memory stay flat, are they counted?

python bench/many.py 100000                            what grew, and what was counted, as JSON
"""

import gc
import json
import sys
import time
from typing import Any, Final

import psutil

import apps
import goals
from watchkeeper.core.metrics import Scope
from watchkeeper.runtime.issues import Issues

SCOPE: Final = Scope(service="bench", environment="bench")
PER_SLOT: Final = 10_000  # errors between two flushes
MOST_GROWN_MB: Final = 10.0


def measure(bugs: int) -> dict[str, Any]:
    """Raise each once; what grew in the second half, what each cost, and what was counted.

    By then the bounded caches are full.
    """
    issues = Issues(SCOPE)
    counted = events = 0
    seconds = 0.0
    before: tuple[int, int] = (0, 0)
    for number in range(bugs):
        error = apps.new_bug(number)
        begun = time.thread_time()
        issues.capture(error)
        seconds += time.thread_time() - begun
        del error
        if (number + 1) % min(PER_SLOT, bugs // 10) == 0:
            counts, samples = issues.take()
            counted += sum(one.count for one in counts)
            events += len(samples)
            del counts, samples
        if number + 1 == bugs // 2:
            before = _held()
    after = _held()
    return {
        "bugs": bugs,
        "us_each": round(seconds / bugs * 1e6, 2),
        "counted": goals.at_least(bugs, counted, "errors"),
        "beyond_the_cap": issues.groups.dropped,
        "samples": events,
        "grown_mb": goals.at_most(MOST_GROWN_MB, (after[0] - before[0]) / 1e6, "MB"),
        "grown_blocks": after[1] - before[1],
    }


def _held() -> tuple[int, int]:
    gc.collect()
    return psutil.Process().memory_info().rss, sys.getallocatedblocks()


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
