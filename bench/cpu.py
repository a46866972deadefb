"""CPU per request: bare, watched, and with the best known peer, interleaved in one run.

In process, without sockets: an application is called as a server would call it. Short rounds of
all variants alternate, so that a busy moment of the machine spoils few of them and slows each
variant alike; the median of the rounds' differences forgets those. The own threads run as in
production; their CPU, which is that of the process without the thread that serves, is added as
what they take while one request is served at full load.
"""

import asyncio
import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import apps
import exchanges

REQUESTS = 200  # in a round
WARM_UP = 500
SETTLE_S = 3.0  # until the database's packages are loaded

Serve = Callable[[int], float]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Microseconds of CPU per request: those of the bare application, and those added."""

    bare: float
    in_request: float
    background: float
    peer: float | None

    def figures(self) -> dict[str, float | None]:
        """Return the figures and their relations."""
        added = self.in_request + self.background
        return {
            "bare_us": round(self.bare, 1),
            "added_us": round(added, 2),
            "added_in_request_us": round(self.in_request, 2),
            "added_in_background_us": round(self.background, 2),
            "peer_added_us": None if self.peer is None else round(self.peer, 1),
            "ratio_to_bare": round(added / self.bare, 3),
            "ratio_to_peer": None if not self.peer else round(added / self.peer, 3),
        }


def asgi_round(app: Any, loop: asyncio.AbstractEventLoop) -> Serve:
    """Return what serves a round of an ASGI application; CPU microseconds per request."""

    async def timed(scopes: list[exchanges.Scope]) -> float:
        begun = time.thread_time()
        await exchanges.serve_asgi(app, scopes)
        return time.thread_time() - begun

    def serve(requests: int) -> float:
        scopes = [exchanges.scope() for _ in range(requests)]
        gc.collect()
        return loop.run_until_complete(timed(scopes)) / requests * 1e6

    return serve


def wsgi_round(app: Any) -> Serve:
    """Return what serves a round of a WSGI application; CPU microseconds per request."""

    def serve(requests: int) -> float:
        environs = [exchanges.environ() for _ in range(requests)]
        gc.collect()
        begun = time.thread_time()
        exchanges.serve_wsgi(app, environs)
        return (time.thread_time() - begun) / requests * 1e6

    return serve


def own_seconds() -> float:
    """Return the CPU seconds of all threads but this one: they are Watchkeeper's."""
    return time.process_time() - time.thread_time()


def interleaved(
    variants: dict[str, Serve], *, rounds: int, least_s: float
) -> tuple[dict[str, list[float]], float]:
    """Serve rounds of every variant in turn; their figures, and the own threads' share of a core.

    The share is that after warming up: loading the database's packages is not what it costs.
    """
    for serve in variants.values():
        serve(WARM_UP)
    time.sleep(min(SETTLE_S, least_s))
    # What is there by now stays: to walk over all of it before each round would empty the caches
    # of the processor, and the first requests of the round would pay for that.
    gc.collect()
    gc.freeze()
    figures: dict[str, list[float]] = {name: [] for name in variants}
    own, begun = own_seconds(), time.perf_counter()
    while len(figures["bare"]) < rounds or time.perf_counter() - begun < least_s:
        for name, serve in variants.items():
            figures[name].append(serve(REQUESTS))
    return figures, (own_seconds() - own) / (time.perf_counter() - begun)


def cost(figures: dict[str, list[float]], share: float) -> Cost:
    """Put the figures of the rounds in relation."""
    bare = figures["bare"]
    added = {
        name: statistics.median(value - base for value, base in zip(values, bare, strict=True))
        for name, values in figures.items()
    }
    per_request = statistics.median(figures["watched"])
    return Cost(
        bare=statistics.median(bare),
        in_request=added["watched"],
        background=share * per_request,
        peer=added.get("peer"),
    )


def measure(slot: str, *, rounds: int, least_s: float) -> dict[str, dict[str, float | None]]:
    """Measure FastAPI and Flask: so many rounds, and no fewer seconds than these."""
    loop = asyncio.new_event_loop()
    with apps.watching(slot):
        fastapi = {
            "bare": asgi_round(apps.fastapi_shop(), loop),
            "watched": asgi_round(apps.watched(apps.fastapi_shop), loop),
        }
        flask = {
            "bare": wsgi_round(apps.flask_shop()),
            "watched": wsgi_round(apps.watched(apps.flask_shop)),
        }
        if (peer := apps.fastapi_with_peer()) is not None:
            fastapi["peer"] = asgi_round(peer, loop)
        if (peer := apps.flask_with_peer()) is not None:
            flask["peer"] = wsgi_round(peer)
        found = {
            "fastapi": cost(*interleaved(fastapi, rounds=rounds, least_s=least_s)).figures(),
            "flask": cost(*interleaved(flask, rounds=rounds, least_s=least_s)).figures(),
        }
    loop.close()
    return found
