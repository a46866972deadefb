"""Django under ASGI: requests with and without threads, clients that leave, websockets."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from threading import get_ident

import django_site as site
import pytest
from asgiref.sync import iscoroutinefunction
from asgiref.testing import ApplicationCommunicator
from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient

import watchkeeper.integrations as integrations

ASYNC_ONLY = [site.WATCHED]  # no synchronous middleware, hence no thread for a request

pytestmark = [
    pytest.mark.usefixtures("unhooked"),
    # Django does not close the body of a request whose response fails on its way.
    pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning"),
]

project = partial(site.project, "asgi")


@pytest.mark.trap("404, slash redirect, unknown method", "django")
@pytest.mark.trap("mounted and included", "django")
@pytest.mark.parametrize(
    ("method", "path", "outcome"),
    [
        ("HEAD", "/items/7/", "answered HEAD /items/<int:key>/ 200"),
        ("GET", "/async/7/", "answered GET /async/<int:key>/ 200"),
        ("GET", "/shop/by-2026-11/", "answered GET /shop/by-<day>/page/<var>/ 200"),
        ("GET", "/items/7", "answered GET (unmatched) 404"),
        ("GET", "/only-post/", "answered GET /only-post/ 405"),
        ("BREW", "/class/", "answered _OTHER /class/ 405"),
        ("GET", "/async-fail/missing/", "answered GET /async-fail/<name>/ 404"),
        ("GET", "/stream/async/", "answered GET /stream/<kind>/ 200"),
    ],
)
def test_patterns_are_routes_without_threads(recorded, method: str, path: str, outcome: str):
    """Requests that never leave the event loop count under their whole URL pattern too."""
    with project(MIDDLEWARE=ASYNC_ONLY) as app:
        site.call_asgi(app, path, method)

    assert {outcome: 1} == recorded.outcomes()
    assert {} == recorded.issues()
    assert 0 == recorded.active


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators")
@pytest.mark.parametrize(("path", "parts"), [("/stream/plain/", b"ab"), ("/file/", b"")])
def test_synchronous_streams_and_files_count_once(recorded, path: str, parts: bytes):
    """What Django has to read in a thread goes out as it was."""
    with project() as app:
        status, _, body = site.call_asgi(app, path)

    assert 200 == status
    assert parts in body
    assert {f"answered GET {path.replace('plain', '<kind>')} 200": 1} == recorded.outcomes()


@pytest.mark.trap("unhandled exception", "django")
@pytest.mark.parametrize("path", ["/fail/x/", "/async-fail/x/", "/page/x/"])
def test_an_unhandled_exception_without_threads_is_one_issue(recorded, path: str):
    """On the event loop as in a thread: one error, one issue, with route and id."""
    with project(MIDDLEWARE=ASYNC_ONLY) as app:
        site.call(app, path, request_id="abc-1")

    route = path.replace("/x/", "/<name>/")
    assert {f"answered GET {route} 500": 1} == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()
    (event,) = recorded.events
    assert (route, 500, "abc-1") == (event.route, event.status, event.request_id)


@pytest.mark.trap("background tasks", "django")
def test_work_after_the_response_is_not_its_duration(recorded):
    """What listens to the end of a request works on nobody's time."""
    seen: list[dict[str, int]] = []

    def works(**more: object) -> None:
        seen.append(recorded.outcomes())

    request_finished.connect(works)
    try:
        with project() as app:
            site.call_asgi(app, "/async/1/")
    finally:
        request_finished.disconnect(works)

    assert [{"answered GET /async/<int:key>/ 200": 1}] == seen
    assert {} == recorded.outcomes()


@pytest.mark.trap("cancelled before a response", "django")
def test_a_cancelled_request_is_no_longer_active(recorded, monkeypatch: pytest.MonkeyPatch):
    """When the server gives a request up, the gauge of active requests goes back."""

    async def main(app: Callable) -> None:
        begun = asyncio.Event()

        async def waiting(request: HttpRequest, key: int) -> HttpResponse:
            begun.set()
            return await site.slow(request)

        monkeypatch.setattr(site.urlpatterns[2], "callback", waiting)
        task = asyncio.ensure_future(site.asgi(app, "/async/1/"))
        await begun.wait()
        assert 1 == recorded.active
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert 0 == recorded.active

    with project(MIDDLEWARE=ASYNC_ONLY) as app:
        asyncio.run(main(app))

    assert {"left GET /async/<int:key>/": 1} == recorded.outcomes()
    assert {} == recorded.issues()


@pytest.mark.trap("streaming", "django")
@pytest.mark.trap("queue time", "django")
def test_streams_and_queues_have_their_times(recorded):
    """Of a stream the time to its first byte is recorded, and how long a proxy held it back."""
    began = f"t={time.time() - 30:.3f}".encode()
    with project() as app:
        for _ in range(2):  # that a proxy sends its time is seen once in a while
            recorded.watchkeeper.own_cost.look_now()
            site.call_asgi(app, "/stream/async/", headers=[(b"x-request-start", began)])

    recorded.outcomes()
    assert {"first byte /stream/<kind>/": 2, "queued /stream/<kind>/": 2} == recorded.also
    assert 58 < recorded.seconds["queued /stream/<kind>/"] < 300


@pytest.mark.trap("client leaves in mid-stream", "django")
@pytest.mark.trap("no response started", "django")
@pytest.mark.parametrize(
    ("path", "leave", "route"),
    [
        ("/endless/", "http.response.body", "/endless/"),
        ("/slow/", "waiting", "/slow/"),
        ("/items/1/", "upload", "(unmatched)"),
    ],
)
def test_a_client_that_leaves_is_no_error(recorded, path: str, leave: str, route: str):
    """In mid-stream, while waiting or in mid-upload: a disconnect, and no duration."""
    with project(MIDDLEWARE=ASYNC_ONLY) as app:
        site.call_asgi(app, path, leave=leave)

    assert {f"left GET {route}": 1} == recorded.outcomes()
    assert {} == recorded.issues()
    assert 0 == recorded.active


def test_no_request_changes_threads_for_the_middleware(recorded, monkeypatch: pytest.MonkeyPatch):
    """An asynchronous view under our middleware alone runs on the event loop's thread."""
    threads: list[int] = []

    async def noting(request: HttpRequest, key: int) -> HttpResponse:
        threads.append(get_ident())
        return HttpResponse("ok")

    monkeypatch.setattr(site.urlpatterns[2], "callback", noting)
    with project(MIDDLEWARE=ASYNC_ONLY) as app:
        assert iscoroutinefunction(app._middleware_chain)
        site.call_asgi(app, "/async/1/")

    assert [get_ident()] == threads
    assert {"answered GET /async/<int:key>/ 200": 1} == recorded.outcomes()


def test_servers_recognize_the_application(watchkeeper):
    """Servers call an application the way that its `__call__` looks: a coroutine function."""
    with project() as app:
        assert asyncio.iscoroutinefunction(app.__call__)
        assert iscoroutinefunction(type(app).__call__)


def test_many_requests_at_once_are_kept_apart(recorded):
    """Each of a hundred concurrent requests counts under its own route."""

    async def main(app: Callable) -> None:
        paths = [f"/{'async' if number % 2 else 'items'}/{number}/" for number in range(100)]
        await asyncio.gather(*(site.asgi(app, path) for path in paths))

    with project() as app:
        asyncio.run(main(app))

    assert {
        "answered GET /async/<int:key>/ 200": 50,
        "answered GET /items/<int:key>/ 200": 50,
    } == recorded.outcomes()


@pytest.mark.trap("websockets and lifespan", "django")
@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
def test_other_connections_are_answered_by_django_itself(recorded, kind: str):
    """What Django does not know it refuses as ever: servers then do without a lifespan."""
    with project() as app, pytest.raises(ValueError, match="can only handle ASGI/HTTP"):
        asyncio.run(app({"type": kind, "path": "/", "headers": []}, None, None))


def router(django: Callable, socket: Callable) -> Callable:
    """Make an application that has websockets beside Django, as Channels does."""

    async def route(scope: dict, receive: Callable, send: Callable) -> None:
        await (django if scope["type"] == "http" else socket)(scope, receive, send)

    return route


async def refuse(scope: dict, receive: Callable, send: Callable) -> None:
    """Close each websocket at once."""
    await send({"type": "websocket.close"})


async def go_through(app: Callable) -> None:
    """Make a good and a bad request and a websocket."""
    await site.asgi(app, "/async/1/")
    await site.asgi(app, "/fail/x/")
    client = ApplicationCommunicator(app, {"type": "websocket", "path": "/", "headers": []})
    assert "websocket.close" == (await client.receive_output())["type"]
    await client.wait()


@pytest.mark.trap("websockets and lifespan", "django")
def test_websockets_are_watched_beside_django(recorded):
    """Wrapping what serves the websockets counts them; Django's requests keep their routes."""
    with project() as app:
        asyncio.run(go_through(router(app, integrations.asgi(refuse))))

    assert {
        "answered GET /async/<int:key>/ 200": 1,
        "answered GET /fail/<name>/ 500": 1,
        "websockets": 1,
    } == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()


@pytest.mark.trap("installed twice or after start", "django")
def test_a_wrapper_around_all_counts_once(recorded):
    """A wrapper around websockets and Django counts each request, once."""
    with project() as app:
        asyncio.run(go_through(integrations.asgi(router(app, refuse))))

    outcomes = recorded.outcomes()
    assert 1 == outcomes.pop("websockets")
    assert 2 == sum(outcomes.values())
    assert {"ValueError": 1} == recorded.issues()
    assert "/fail/<name>/" == recorded.events[0].route


def test_djangos_test_client_works_beside(recorded):
    """Django's own client passes no server: nothing is recorded, nothing fails."""

    async def main() -> None:
        client = AsyncClient(raise_request_exception=False)
        assert 200 == (await client.get("/async/1/")).status_code
        assert 500 == (await client.get("/async-fail/x/")).status_code

    with project():
        asyncio.run(main())

    assert {} == recorded.outcomes()
