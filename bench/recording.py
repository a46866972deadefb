"""What watching costs: CPU per request of FastAPI bare, watched, and with the best known peer.

In process, without sockets: the application is called as a server would call it. The rounds of
all variants alternate within one run, so that a busy machine slows each of them alike; a thread
takes the slot each second, as the flusher does. Prints medians in microseconds.
"""

import argparse
import asyncio
import gc
import json
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI

import watchkeeper.integrations as integrations
from watchkeeper.app import Watchkeeper, obtain
from watchkeeper.settings import Settings

ROUNDS = 150  # short ones: a busy moment spoils few of them, and the median forgets those
REQUESTS = 200
WARM_UP = 500

Application = Callable[..., Awaitable[None]]


def shop() -> FastAPI:
    """Make a small application with a few routes, asked for the last of them."""
    app = FastAPI()
    for name in ("users", "orders", "carts"):

        @app.get(f"/{name}/{{key}}")
        async def read(key: int) -> dict[str, int]:
            return {"key": key}

    return app


def watched() -> FastAPI:
    """Make the same application, watched."""
    app = shop()
    integrations.watch(app)
    return app


def instrumented() -> FastAPI | None:
    """Make the same application with prometheus-fastapi-instrumentator, where installed."""
    try:
        from prometheus_fastapi_instrumentator import Instrumentator
    except ImportError:
        return None
    app = shop()
    Instrumentator().instrument(app)
    return app


async def receive() -> dict[str, object]:
    """Give an empty request body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: object) -> None:
    """Swallow the response."""


def scope() -> dict[str, object]:
    """Make the scope of one request, as a server does."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/carts/7",
        "raw_path": b"/carts/7",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"shop.example"), (b"user-agent", b"bench")],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


async def serve(app: Application, requests: int) -> float:
    """Serve requests; CPU microseconds of the whole process per request."""
    scopes = [scope() for _ in range(requests)]
    gc.collect()
    begun = time.process_time()
    for each in scopes:
        await app(each, receive, send)
    return (time.process_time() - begun) / requests * 1e6


async def measure(variants: dict[str, Application], rounds: int) -> dict[str, list[float]]:
    """Measure every variant in turn, round after round."""
    for app in variants.values():
        await serve(app, WARM_UP)
    figures: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, app in variants.items():
            figures[name].append(await serve(app, REQUESTS))
    return figures


def take_each_second(watchkeeper: Watchkeeper, done: threading.Event) -> None:
    """Do what the flusher does to the recorder."""
    while not done.wait(1.0):
        watchkeeper.recorder.take()


def run(rounds: int) -> dict[str, object]:
    """Measure, and put the figures in relation."""
    variants: dict[str, Application] = {"bare": shop(), "watchkeeper": watched()}
    peer = instrumented()
    if peer is not None:
        variants["instrumentator"] = peer
    watchkeeper = obtain()
    watchkeeper.started = True  # the flusher's part is played by a thread of ours
    done = threading.Event()
    flusher = threading.Thread(target=take_each_second, args=(watchkeeper, done))
    flusher.start()
    figures = asyncio.run(measure(variants, rounds))
    done.set()
    flusher.join()

    bare = statistics.median(figures["bare"])
    added = {
        name: statistics.median(
            value - base for value, base in zip(values, figures["bare"], strict=True)
        )
        for name, values in figures.items()
    }
    ours, theirs = added["watchkeeper"], added.get("instrumentator")
    return {
        "bare_us": round(bare, 1),
        "watchkeeper_added_us": round(ours, 2),
        "instrumentator_added_us": round(theirs, 1) if theirs is not None else None,
        "ratio_to_bare": round(ours / bare, 3),
        "ratio_to_instrumentator": round(ours / theirs, 3) if theirs else None,
        "requests": rounds * REQUESTS,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def main() -> None:
    """Run the benchmark and print what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        obtain(Settings(enabled=True, database_url=f"sqlite:///{Path(folder) / 'bench.db'}"))
        result = run(options.rounds)
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:26} {value}")


if __name__ == "__main__":
    main()
