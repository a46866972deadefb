"""What a probe costs beside a trivial route of the bare application, on one thread.

python bench/probes.py            all probes with 20 checks, as JSON; a few seconds
"""

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import apps
import goals
import watchkeeper
from exchanges import environ, receive, scope, send
from watchkeeper.app import obtain

CHECKS: Final = 20
ROUNDS: Final = 21
REQUESTS: Final = 300
GOAL_MS: Final = 1.0
BARE: Final = "/carts/7"
PROBES: Final = ("livez", "readyz", "health")


def measure() -> dict[str, Any]:
    """Ask both applications for every probe, rounds in turn; medians of the rounds."""
    for number in range(CHECKS):
        watchkeeper.health_check(f"check-{number}", every="1s")(lambda: None)
    found: dict[str, Any] = {"checks": CHECKS, "rounds": ROUNDS, "requests_a_round": REQUESTS}
    with apps.watching(apps.DEFAULT_SLOT):
        for name, make, ask in (
            ("fastapi", apps.fastapi_shop, _asgi),
            ("flask", apps.flask_shop, _wsgi),
        ):
            bare, watched = make(), make()
            watchkeeper.watch(watched)
            ask(watched, "/watchkeeper/livez", 1)
            time.sleep(1.5)  # until the checks have run
            assert obtain().health.ready()
            rounds: dict[str, list[float]] = {one: [] for one in ("bare", *PROBES)}
            for _ in range(ROUNDS):
                rounds["bare"].append(ask(bare, BARE, REQUESTS))
                for probe in PROBES:
                    rounds[probe].append(ask(watched, f"/watchkeeper/{probe}", REQUESTS))
            found[name] = _figures(rounds)
    return found


def _figures(rounds: dict[str, list[float]]) -> dict[str, Any]:
    bare_s = statistics.median(rounds["bare"])
    figures: dict[str, Any] = {"bare_us": round(bare_s * 1e6, 1)}
    for probe in PROBES:
        took_s = statistics.median(rounds[probe])
        slowest_s = max(rounds[probe])
        figures[probe] = {
            "us": round(took_s * 1e6, 1),
            "ratio_to_bare": round(took_s / bare_s, 2),
            "slowest_round": goals.at_most(GOAL_MS, slowest_s * 1e3, "ms"),
        }
    return figures


def _asgi(app: Any, path: str, times: int) -> float:
    """Serve a path so often on a loop of its own; the mean seconds of one."""

    async def serve() -> float:
        one = scope(path)
        began = time.perf_counter()
        for _ in range(times):
            await app(dict(one), receive, send)
        return (time.perf_counter() - began) / times

    return asyncio.run(serve())


def _wsgi(app: Callable[..., Any], path: str, times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        for _part in app(environ(path), lambda status, headers, exc_info=None: None):
            pass
    return (time.perf_counter() - began) / times


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
