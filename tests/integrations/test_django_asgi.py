"""Django under ASGI: the same routes and errors, whichever of its threads they happen in."""

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import django_site as site
import pytest
from asgiref.sync import iscoroutinefunction
from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, override_settings

import watchkeeper.integrations as integrations
from watchkeeper.integrations.django.switch import switch_off

ASYNC_ONLY = [site.WATCHED]  # no synchronous middleware, hence no thread for a request


# Django does not close the body of a request whose response fails on its way.
pytestmark = pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")


@pytest.fixture(autouse=True)
def unhooked() -> Iterator[None]:
    """Leave Django as it was after each test."""
    yield
    switch_off()
    gc.collect()


@contextmanager
def project(*middleware: str, **overrides: Any) -> Iterator[Callable]:
    """Give the small project's ASGI application, with further middleware inside of ours."""
    chain = [*site.OVERRIDES["MIDDLEWARE"], *middleware]
    with override_settings(**{**site.OVERRIDES, "MIDDLEWARE": chain, **overrides}):
        yield ASGIHandler()


@pytest.mark.trap("404, slash redirect, unknown method", "django")
@pytest.mark.trap("mounted and included", "django")
@pytest.mark.parametrize(
    ("method", "path", "outcome"),
    [
        ("GET", "/items/7/", "answered GET /items/<int:key>/ 200"),
        ("HEAD", "/items/7/", "answered HEAD /items/<int:key>/ 200"),
        ("GET", "/async/7/", "answered GET /async/<int:key>/ 200"),
        ("GET", "/class/", "answered GET /class/ 200"),
        ("GET", "/shop/by-2026-11/", "answered GET /shop/by-<day>/page/<var>/ 200"),
        ("GET", "/nothing/here", "answered GET (unmatched) 404"),
        ("GET", "/items/7", "answered GET (unmatched) 301"),
        ("GET", "/only-post/", "answered GET /only-post/ 405"),
        ("BREW", "/class/", "answered _OTHER /class/ 403"),
        ("GET", "/async-fail/missing/", "answered GET /async-fail/<name>/ 404"),
        ("GET", "/async-fail/denied/", "answered GET /async-fail/<name>/ 403"),
        ("GET", "/fail/suspicious/", "answered GET /fail/<name>/ 400"),
        ("GET", "/stream/async/", "answered GET /stream/<kind>/ 200"),
    ],
)
@pytest.mark.parametrize("middleware", [site.OVERRIDES["MIDDLEWARE"], ASYNC_ONLY])
def test_patterns_are_routes(recorded, middleware: list, method: str, path: str, outcome: str):
    """Requests count under their whole URL pattern, through threads or without any."""
    if middleware is ASYNC_ONLY:
        outcome = outcome.replace("BREW", "_OTHER")
        outcome = {
            "answered GET (unmatched) 301": "answered GET (unmatched) 404",
            "answered _OTHER /class/ 403": "answered _OTHER /class/ 405",
        }.get(outcome, outcome)

    with project(MIDDLEWARE=middleware) as app:
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
@pytest.mark.parametrize("middleware", [site.OVERRIDES["MIDDLEWARE"], ASYNC_ONLY])
def test_an_unhandled_exception_is_a_500_and_one_issue(recorded, middleware: list, path: str):
    """In a thread or on the event loop: one error, one issue, with route and id."""
    with project(MIDDLEWARE=middleware) as app:
        status, _, body = site.call_asgi(app, path, headers=[(b"x-request-id", b"abc-1")])

    route = path.replace("/x/", "/<name>/")
    assert (500, b"own page of errors") == (status, body)
    assert {f"answered GET {route} 500": 1} == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()
    (event,) = recorded.events
    assert (route, 500, "abc-1") == (event.route, event.status, event.request_id)
    assert 0 == recorded.active


@pytest.mark.trap("exception in middleware", "django")
def test_an_exception_in_a_middleware_is_an_issue(recorded):
    """What fails around the views counts under the route of the request."""
    with project("django_site.failing") as app:
        assert 500 == site.call_asgi(app, "/async/1/")[0]

    assert {"answered GET /async/<int:key>/ 500": 1} == recorded.outcomes()
    assert {"LookupError": 1} == recorded.issues()


@pytest.mark.trap("swallowed exception", "django")
@pytest.mark.parametrize(
    ("middleware", "status", "issues"), [("Answering", 500, 1), ("Apologizing", 409, 0)]
)
@pytest.mark.parametrize("path", ["/fail/x/", "/async-fail/x/"])
def test_an_exception_that_a_middleware_answers(
    recorded, path: str, middleware: str, status: int, issues: int
):
    """An exception that exception middleware answers is an issue if the answer is a failure."""
    with project(f"django_site.{middleware}") as app:
        site.call_asgi(app, path)

    assert {f"answered GET {path.replace('/x/', '/<name>/')} {status}": 1} == recorded.outcomes()
    assert issues == sum(recorded.issues().values())


def test_a_page_of_errors_that_fails_itself(recorded, monkeypatch: pytest.MonkeyPatch):
    """The error and the error of its page are one issue each; the latter reaches the server."""
    monkeypatch.setattr(site, "handler500", site.no_error_page)

    with project() as app, pytest.raises(KeyError):
        site.call_asgi(app, "/async-fail/x/")

    assert {"answered GET /async-fail/<name>/ 500": 1} == recorded.outcomes()
    assert {"ValueError": 1, "KeyError": 1} == recorded.issues()
    assert 0 == recorded.active


@pytest.mark.trap("exception after the start of a stream", "django")
def test_an_exception_in_a_stream_is_broken(recorded):
    """A stream that breaks off keeps its status, and is an error."""
    with project() as app, pytest.raises(ValueError):  # noqa: PT011  # the application's own
        site.call_asgi(app, "/stream/async-broken/")

    assert {
        "answered GET /stream/<kind>/ 200": 1,
        "broken GET /stream/<kind>/": 1,
    } == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()


def test_an_exception_while_closing_counts(recorded):
    """What fails after the last byte is an error of the application all the same."""

    def fails(**more: object) -> None:
        raise ValueError

    request_finished.connect(fails)
    try:
        with project() as app, pytest.raises(ValueError):  # noqa: PT011
            site.call_asgi(app, "/async/1/")
    finally:
        request_finished.disconnect(fails)

    assert {
        "answered GET /async/<int:key>/ 200": 1,
        "unhandled GET /async/<int:key>/": 1,
    } == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()


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
            recorded.watchkeeper.own_cost.measure_from = 0.0
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


def test_answers_are_the_same_with_and_without(watchkeeper):
    """Nothing that goes out is changed."""
    paths = ("/items/1/", "/items/1", "/no", "/async-fail/x/", "/fail/denied/", "/stream/async/")
    with project(MIDDLEWARE=site.OVERRIDES["MIDDLEWARE"][1:]) as app:
        bare = [site.call_asgi(app, path) for path in paths]

    with project() as app:
        assert bare == [site.call_asgi(app, path) for path in paths]


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


def test_pages_and_probes_answer_before_django(recorded):
    """Neither CSRF protection nor slashes nor hosts of Django's concern our own pages."""
    with project(ALLOWED_HOSTS=[]) as app:
        assert site.call_asgi(app, "/watchkeeper/livez")[0] in {200, 503}
        assert b"<html" in site.call_asgi(app, "/app/watchkeeper/", root_path="/app")[2]
        assert 403 != site.call_asgi(app, "/watchkeeper/login", "POST")[0]

    assert {} == recorded.outcomes()


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
