"""Memory that recording adds: one process serves 200,000 requests, bare or watched.

python bench/memory.py bare|watched 200000 [slot]      prints what grew, in bytes, as JSON
"""

import asyncio
import gc
import json
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import psutil

import apps
import children
import exchanges

REQUESTS = 200_000
WARM_UP = 20_000  # loads what is loaded late, and fills what is of a fixed size
AT_ONCE = 1_000


@contextmanager
def watching(slot: str) -> Iterator[Any]:
    """Watch, and give a function that writes what was recorded so far."""
    with apps.watching(slot) as watchkeeper:
        yield watchkeeper.flush


def resident() -> int:
    """Return the memory that the process holds, rubbish collected."""
    gc.collect()
    return psutil.Process().memory_info().rss


async def serve(app: Any, requests: int) -> None:
    """Serve requests, making them as they come."""
    for _ in range(requests // AT_ONCE):
        await exchanges.serve_asgi(app, [exchanges.scope() for _ in range(AT_ONCE)])


def grown(kind: str, requests: int, slot: str) -> dict[str, int]:
    """Serve in this process; by how much it grew meanwhile, and how much it holds at the end."""
    with watching(slot) if kind == "watched" else nullcontext(lambda: None) as flush:
        app = apps.watched(apps.fastapi_shop) if kind == "watched" else apps.fastapi_shop()
        asyncio.run(serve(app, min(WARM_UP, requests)))
        flush()
        before = resident()
        asyncio.run(serve(app, requests))
        flush()
        after = resident()
    return {"grown": after - before, "held": after}


def measure(slot: str, requests: int, *, runs: int) -> dict[str, object]:
    """Run pairs of processes; what watching adds to the growth, and to all that is held."""
    pairs = [
        [children.measured("memory.py", kind, requests, slot) for kind in ("bare", "watched")]
        for _ in range(runs)
    ]

    def added_mb(key: str) -> float:
        added = statistics.median(watched[key] - bare[key] for bare, watched in pairs)
        return round(added / 1e6, 2)

    return {
        "requests": requests,
        "added_by_recording_mb": added_mb("grown"),
        "added_with_libraries_mb": added_mb("held"),
    }


if __name__ == "__main__":
    print(json.dumps(grown(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
