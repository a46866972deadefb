"""Every request is counted once: from many threads, and on paths without end."""

import asyncio
import gc
import sys
from collections import Counter, deque

import pytest
from fastapi import FastAPI
from together import in_threads

from watchkeeper.app import Watchkeeper, forget_current, obtain
from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.metrics import OTHER, UNMATCHED
from watchkeeper.integrations import asgi, watch, wsgi
from watchkeeper.settings import Settings


def scope(path: str) -> dict[str, object]:
    """The scope of a request, as a server makes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [],
    }


async def receive() -> dict[str, object]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: object) -> None:
    pass


async def hello(scope, receive, send) -> None:
    """An ASGI application that does nothing but answer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def serve_paths(app, first: int, last: int) -> int:
    """Ask for so many different paths; the objects in memory afterwards."""

    async def serve() -> None:
        for number in range(first, last):
            await app(scope(f"/{number}"), receive, send)

    asyncio.run(serve())
    gc.collect()
    return sys.getallocatedblocks()


def counts(made: Watchkeeper) -> dict[tuple[str, str], int]:
    """Requests by route and status."""
    return {
        (series.label("route"), series.label("status")): value.count
        for series, value in made.recorder.take().items()
        if series.metric == HTTP_DURATION.name
    }


@pytest.mark.parametrize("each", [2_000, pytest.param(30_000, marks=pytest.mark.slow)])
def test_many_threads_are_counted_exactly_while_slots_are_taken(watchkeeper: Watchkeeper, each):
    """16 threads, a flush each millisecond: each request is there, with its time, once."""
    threads = 16

    def answer(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    app = wsgi(answer)
    found: Counter[str] = Counter()

    def serve() -> None:
        for _ in range(each):
            environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SCRIPT_NAME": ""}
            deque(app(environ, lambda status, headers: None), maxlen=0)

    def take() -> None:
        for series, value in watchkeeper.recorder.take().items():
            if series.metric == HTTP_DURATION.name:
                found["answered"] += value.count
                found["in buckets"] += sum(value.buckets.values()) + value.zero

    in_threads(threads, serve, take)

    assert {"answered": threads * each, "in buckets": threads * each} == found
    assert set() == watchkeeper.recorder.active


@pytest.mark.slow
def test_endless_unknown_paths_are_one_series(watchkeeper: Watchkeeper):
    """A scanner's paths are counted as unmatched; memory does not grow by them."""
    app = asgi(hello)

    before = serve_paths(app, 0, 20_000)
    after = serve_paths(app, 20_000, 200_000)

    assert after - before < 1_000
    assert {(UNMATCHED, "200"): 200_000} == counts(watchkeeper)


def test_unknown_paths_of_a_router_are_one_series(watchkeeper: Watchkeeper):
    """FastAPI answers 404 to what it does not know; all of that is one series."""
    app = FastAPI()
    watch(app)

    before = serve_paths(app, 0, 2_000)
    after = serve_paths(app, 2_000, 10_000)

    assert after - before < 1_000
    assert {(UNMATCHED, "404"): 10_000} == counts(watchkeeper)


@pytest.fixture
def by_path(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """A Watchkeeper that is told to take each path for a route of its own."""
    monkeypatch.setattr(Watchkeeper, "start", lambda self: None)
    made = obtain(
        Settings(
            enabled=True,
            database_url=settings.database_url,
            service="shop",
            route_name=lambda request: request.path,
        )
    )
    made.started = True
    yield made
    made.started = False
    forget_current()


@pytest.mark.slow
def test_endless_routes_are_counted_and_listed(by_path: Watchkeeper):
    """A route per path fills the cap; the rest is counted together, and examples are listed."""
    app = asgi(hello)

    before = serve_paths(app, 0, 20_000)
    after = serve_paths(app, 20_000, 60_000)

    found = counts(by_path)
    assert after - before < 2_000
    assert 301 == len(found)
    assert 60_000 - 300 == found[OTHER, "200"]
    listed = by_path.recorder.folded()
    assert 20 == len([row for row in listed if row.metric == HTTP_DURATION.name])
    assert {"route"} == {row.label for row in listed}
    assert all(row.value.startswith("/") for row in listed)
