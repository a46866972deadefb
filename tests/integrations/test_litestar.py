"""Litestar: templates through routers, controllers and mounts; exceptions that it answers."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from litestar import Controller, Litestar, Request, Response, Router, asgi, get, post, websocket
from litestar.background_tasks import BackgroundTask
from litestar.connection import WebSocket
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotFoundException, ServiceUnavailableException
from litestar.params import FromPath, FromQuery
from litestar.response import Stream
from litestar.static_files import create_static_files_router
from litestar.testing import TestClient
from litestar.types import ASGIApp, Receive, Scope, Send
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import watchkeeper.integrations as integrations
from watchkeeper.app import Watchkeeper
from watchkeeper.exceptions import ConfigurationError


@get("/orders/{key:int}")
async def order(key: FromPath[int], limit: FromQuery[int] = 10) -> int:
    return key


@post("/orders/{key:int}", sync_to_thread=True)
def change(key: FromPath[int]) -> int:
    return key


@get("/fail")
async def fail() -> None:
    raise KeyError("no")


def broken(*args: object) -> None:
    """Fail, wherever that is."""
    raise KeyError("no")


async def broken_async(*args: object) -> None:
    broken()


def broken_middleware(app: ASGIApp) -> ASGIApp:
    async def raising(scope: Scope, receive: Receive, send: Send) -> None:
        broken()

    return raising


async def broken_dependency() -> int:
    raise KeyError("no")


async def broken_clean_up() -> AsyncIterator[int]:
    yield 1
    broken()


def litestar(*handlers: object, **options: object) -> Litestar:
    """Make an application that leaves the logging of this process alone."""
    return Litestar(handlers or [order, change, fail], logging_config=None, **options)


def client(app: Litestar) -> TestClient:
    """Watch the application and return a client for it."""
    integrations.watch(app)
    return TestClient(app, raise_server_exceptions=False)


def call(app: Litestar, *paths: str, method: str = "GET") -> list[int]:
    """Watch the application and make requests to it; their statuses."""
    with client(app) as http:
        return [http.request(method, path, follow_redirects=False).status_code for path in paths]


@pytest.mark.trap("404, slash redirect, unknown method", "litestar")
@pytest.mark.parametrize(
    ("method", "path", "outcome"),
    [
        ("GET", "/orders/7", "answered GET /orders/{key:int} 200"),
        ("POST", "/orders/7", "answered POST /orders/{key:int} 201"),
        ("GET", "/orders/7/", "answered GET /orders/{key:int} 200"),
        ("GET", "/orders/7?limit=x", "answered GET /orders/{key:int} 400"),
        ("OPTIONS", "/orders/7", "answered OPTIONS /orders/{key:int} 204"),
        ("GET", "/schema/openapi.json", "answered GET /schema/openapi.json 200"),
        ("GET", "/orders/x", "answered GET (unmatched) 404"),
        ("GET", "/nothing/7", "answered GET (unmatched) 404"),
        ("HEAD", "/orders/7", "answered HEAD (unmatched) 405"),
        ("DELETE", "/orders/7", "answered DELETE (unmatched) 405"),
        ("BREW", "/orders/7", "answered _OTHER (unmatched) 405"),
    ],
)
def test_routes_are_templates(recorded, method: str, path: str, outcome: str):
    """Requests count under their route as it was written, all others together."""
    call(litestar(), path, method=method)

    assert {outcome: 1} == recorded.outcomes()
    assert 0 == recorded.active


@pytest.mark.trap("mounted and included", "litestar")
def test_routers_and_controllers_have_their_prefixes(recorded):
    """A route begins with the paths of all that it is in, and each of its paths is one."""

    class Items(Controller):
        path = "/items"

        @get(["/{item:str}", "/by/name/{item:str}"])
        async def item(self, item: FromPath[str]) -> str:
            return item

    shop = Router("/shop/{tenant:str}", route_handlers=[order, Items])
    app = litestar(Router("/v1", route_handlers=[shop]), order)

    call(app, "/orders/1", "/v1/shop/a/orders/1", "/v1/shop/b/orders/2", "/v1/shop/a/items/1")
    call(app, "/v1/shop/a/items/by/name/x")

    assert {
        "answered GET /orders/{key:int} 200": 1,
        "answered GET /v1/shop/{tenant:str}/orders/{key:int} 200": 2,
        "answered GET /v1/shop/{tenant:str}/items/{item:str} 200": 1,
        "answered GET /v1/shop/{tenant:str}/items/by/name/{item:str} 200": 1,
    } == recorded.outcomes()


def test_routes_added_later_are_found(recorded):
    """An application may register routes while it runs."""
    app = litestar(fail)
    with client(app) as http:
        app.register(order)
        http.get("/orders/1")

    assert {"answered GET /orders/{key:int} 200": 1} == recorded.outcomes()


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello", "more_body": False})


async def starlette_page(request: StarletteRequest) -> PlainTextResponse:
    return PlainTextResponse("ok")


def mount(path: str | list[str], app: ASGIApp, *, copy_scope: bool = True) -> object:
    return asgi(path, is_mount=True, copy_scope=copy_scope)(app)


@pytest.mark.trap("mounted and included", "litestar")
@pytest.mark.parametrize("copy_scope", [True, False])
def test_mounted_applications_have_their_prefixes(recorded, copy_scope: bool):
    """A mounted application's routes begin with where it is mounted, however deep."""
    inner = litestar(order, fail)
    middle = litestar(mount("/deep", inner, copy_scope=copy_scope))
    other = Starlette(routes=[Route("/x/{name}/", starlette_page)])
    app = litestar(
        order,
        mount("/raw", hello),
        mount("/first", inner, copy_scope=copy_scope),
        mount("/second", inner, copy_scope=copy_scope),
        mount("/middle", middle, copy_scope=copy_scope),
        mount("/other", other, copy_scope=copy_scope),
    )

    call(app, "/orders/1", "/raw", "/raw/x", "/first/orders/1", "/second/orders/1")
    call(app, "/middle/deep/orders/1", "/middle/x", "/other/x/1/", "/other/y/", "/first/fail")

    assert {
        "answered GET /orders/{key:int} 200": 1,
        "answered GET /raw 200": 2,
        "answered GET /first/orders/{key:int} 200": 1,
        "answered GET /second/orders/{key:int} 200": 1,
        "answered GET /middle/deep/orders/{key:int} 200": 1,
        "answered GET /other/x/{name}/ 200": 1,
        "answered GET (unmatched) 404": 2,
        "answered GET /first/fail 500": 1,
    } == recorded.outcomes()
    assert {"KeyError": 1} == recorded.issues()
    assert "/first/fail" == recorded.events[0].route


def test_an_application_on_two_paths_is_told_by_the_path(recorded):
    """One mount with two paths counts under each."""
    inner = litestar(order)
    app = litestar(mount(["/one", "/two"], hello), mount(["/three", "/four"], inner))
    call(app, "/one/x", "/two/x", "/two", "/three/orders/1", "/four/orders/1")

    assert {
        "answered GET /one 200": 1,
        "answered GET /two 200": 2,
        "answered GET /three/orders/{key:int} 200": 1,
        "answered GET /four/orders/{key:int} 200": 1,
    } == recorded.outcomes()


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    """Say nothing."""


@pytest.mark.trap("no response started", "litestar")
def test_a_mounted_application_that_never_answers_is_an_error(recorded):
    """An application that returns without a response has failed, though quietly."""
    call(litestar(mount("/silent", silent)), "/silent/x")

    assert {"answered GET /silent 500": 1} == recorded.outcomes()


def test_static_files_are_quiet(recorded, tmp_path: Path):
    """Files of a static router are counted as one, and an application mounted keeps that."""
    (tmp_path / "a.css").write_text("a")
    files = create_static_files_router(path="/static", directories=[tmp_path])
    call(litestar(order, files, mount("/inner", litestar(files))), "/static/a.css", "/static/no")
    call(litestar(mount("/inner", litestar(files))), "/inner/static/a.css")

    assert {"answered GET (quiet) 200": 2, "answered GET (quiet) 404": 1} == recorded.outcomes()


@pytest.mark.trap("background tasks", "litestar")
def test_background_tasks_are_not_part_of_the_duration(recorded):
    """A request of a millisecond with a background task of 0.3 s took a millisecond."""

    @get("/")
    async def index() -> Response[str]:
        return Response("ok", background=BackgroundTask(asyncio.sleep, 0.3))

    call(litestar(index), "/")

    assert {"answered GET / 200": 1} == recorded.outcomes()
    assert recorded.seconds["answered GET / 200"] < 0.3


@pytest.mark.trap("background tasks", "litestar")
@pytest.mark.parametrize("place", ["background", "after_response"])
def test_work_that_fails_after_the_response_is_unhandled(recorded, place: str):
    """The response was fine, the work after it was not; the issue is the application's own."""

    background = BackgroundTask(broken_async) if place == "background" else None
    after = broken_async if place == "after_response" else None

    @get("/", after_response=after)
    async def index() -> Response[str]:
        return Response("ok", background=background)

    call(litestar(index), "/")

    assert {"answered GET / 200": 1, "unhandled GET /": 1} == recorded.outcomes()
    assert {"KeyError": 1} == recorded.issues()


def failing(place: str) -> Litestar:
    """Make an application that raises KeyError in one place."""
    options: dict = {
        "middleware": {"middleware": [broken_middleware]},
        "dependency": {"dependencies": {"number": Provide(broken_dependency)}},
        "clean-up": {"dependencies": {"number": Provide(broken_clean_up)}},
        "guard": {"guards": [broken]},
        "before": {"before_request": broken_async},
        "after": {"after_request": broken_async},
    }.get(place, {})

    @get("/{name:str}", **options)
    async def index(name: FromPath[str], number: NamedDependency[int] = 1) -> str:
        if place == "handler":
            broken()
        return name

    @get("/{name:str}", sync_to_thread=True)
    def threaded(name: FromPath[str]) -> str:
        broken()
        return name

    return litestar(threaded if place == "thread" else index)


@pytest.mark.trap("unhandled exception", "litestar")
@pytest.mark.trap("exception in middleware", "litestar")
@pytest.mark.parametrize(
    "place",
    ["handler", "thread", "middleware", "dependency", "clean-up", "guard", "before", "after"],
)
def test_an_unhandled_exception_is_a_500_and_one_issue(recorded, place: str):
    """Wherever it is raised: one error, one issue, with its route."""
    assert [500] == call(failing(place), "/x")

    assert {"answered GET /{name:str} 500": 1} == recorded.outcomes()
    assert 1 == sum(recorded.issues().values())
    assert "/{name:str}" == recorded.events[0].route


@pytest.mark.trap("swallowed exception", "litestar")
@pytest.mark.parametrize("layer", ["app", "router", "handler", "status"])
@pytest.mark.parametrize(("status", "issues"), [(500, 1), (503, 1), (409, 0)])
def test_an_exception_that_a_handler_swallows(recorded, layer: str, status: int, issues: int):
    """An exception that a handler answers is an issue if the answer is a failure."""

    def answer(request: Request, exc: Exception) -> Response:
        return Response("sorry", status_code=status)

    handlers = {500: answer} if layer == "status" else {KeyError: answer}

    @get("/fail", exception_handlers=handlers if layer == "handler" else None)
    async def fail() -> None:
        raise KeyError("no")

    router = Router(
        "/", route_handlers=[fail], exception_handlers=handlers if layer == "router" else None
    )
    app = litestar(router, exception_handlers=handlers if layer in {"app", "status"} else {})

    assert [status] == call(app, "/fail")
    assert {f"answered GET /fail {status}": 1} == recorded.outcomes()
    assert issues == sum(recorded.issues().values())


@pytest.mark.trap("swallowed exception", "litestar")
def test_an_http_exception_of_500_is_an_issue(recorded):
    """A 503 that is raised is a failure that somebody wants to see; a 404 is not."""

    @get("/a")
    async def unavailable() -> None:
        raise ServiceUnavailableException

    @get("/b")
    async def missing() -> None:
        raise NotFoundException

    call(litestar(unavailable, missing), "/a", "/b", "/c")

    assert {
        "answered GET /a 503": 1,
        "answered GET /b 404": 1,
        "answered GET (unmatched) 404": 1,
    } == recorded.outcomes()
    assert {"ServiceUnavailableException": 1} == recorded.issues()


def test_the_applications_own_hooks_are_called_as_before(recorded):
    """Hooks of the application see what they saw without us."""
    seen: list[object] = []

    async def after_exception(exc: Exception, scope: Scope) -> None:
        seen.append(type(exc))

    async def before_send(message: dict, scope: Scope) -> None:
        seen.append(message["type"])

    app = litestar(fail, after_exception=[after_exception], before_send=[before_send])
    call(app, "/fail")

    assert [KeyError, "http.response.start", "http.response.body"] == seen
    assert {"answered GET /fail 500": 1} == recorded.outcomes()


@pytest.mark.trap("exception after the start of a stream", "litestar")
@pytest.mark.parametrize("asynchronous", [True, False])
def test_an_exception_in_a_stream_is_broken(recorded, asynchronous: bool):
    """A stream that breaks off keeps its status, and is an error with the generator's issue."""

    async def parts_async() -> AsyncIterator[bytes]:
        yield b"a"
        raise KeyError("no")

    def parts() -> Iterator[bytes]:
        yield b"a"
        raise KeyError("no")

    @get("/")
    async def stream() -> Stream:
        return Stream(parts_async() if asynchronous else parts())

    call(litestar(stream), "/")

    assert {"answered GET / 200": 1, "broken GET /": 1} == recorded.outcomes()
    assert {"KeyError": 1} == recorded.issues()


@pytest.mark.trap("websockets and lifespan", "litestar")
def test_websockets_are_counted_apart(recorded):
    """A websocket is a connection, no request; what it fails with is an issue all the same."""

    @websocket("/ws/{name:str}")
    async def echo(socket: WebSocket, name: FromPath[str]) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())
        raise KeyError("no")

    with client(litestar(echo)) as http, http.websocket_connect("/ws/a") as socket:
        socket.send_text("hi")
        assert "hi" == socket.receive_text()

    assert {"websockets": 1} == recorded.outcomes()
    assert {"KeyError": 1} == recorded.issues()
    assert "/ws/{name:str}" == recorded.events[0].route


@pytest.mark.trap("websockets and lifespan", "litestar")
def test_the_lifespan_of_the_application_is_kept(recorded, monkeypatch: pytest.MonkeyPatch):
    """The application's own start and end happen as before, ours around them."""
    steps: list[str] = []
    for name in ("start", "drain", "stop"):
        monkeypatch.setattr(Watchkeeper, name, lambda self, name=name: steps.append(name))

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        steps.append("app starts")
        yield
        steps.append("app stops")

    with client(litestar(order, lifespan=[lifespan])):
        pass

    assert ["start", "app starts", "drain", "app stops", "stop"] == steps
    monkeypatch.undo()


@pytest.mark.trap("installed twice or after start", "litestar")
def test_watching_twice_is_ignored_with_a_line(recorded, caplog: pytest.LogCaptureFixture):
    """A second watch() counts nothing twice and names the place of the first."""
    app = litestar()
    integrations.watch(app)
    with caplog.at_level(logging.WARNING, "watchkeeper"):
        call(app, "/orders/1")

    assert {"answered GET /orders/{key:int} 200": 1} == recorded.outcomes()
    assert "test_litestar.py:" in caplog.text


@pytest.mark.trap("installed twice or after start", "litestar")
@pytest.mark.parametrize("begun", ["request", "lifespan"])
def test_watching_after_the_start_is_an_error(recorded, begun: str):
    """Too late is told at once, with what to do."""
    app = litestar()
    http = TestClient(app)
    if begun == "request":
        with http:
            http.get("/orders/1")

        with pytest.raises(ConfigurationError, match="before its first request"):
            integrations.watch(app)
    else:
        with http, pytest.raises(ConfigurationError, match="before its first request"):
            integrations.watch(app)


def test_two_applications_are_watched_apart(recorded):
    """What one application has served does not make another one late."""
    first, second = litestar(), litestar()
    call(first, "/orders/1")
    call(second, "/orders/1")

    assert {"answered GET /orders/{key:int} 200": 2} == recorded.outcomes()


def test_a_watched_application_within_a_watched_one_counts_once(recorded):
    """Each request counts once, under the outer application's template."""
    inner = litestar(order, fail)
    integrations.watch(inner)
    call(litestar(mount("/inner", inner)), "/inner/orders/1", "/inner/fail")

    assert {
        "answered GET /inner/orders/{key:int} 200": 1,
        "answered GET /inner/fail 500": 1,
    } == recorded.outcomes()
    assert {"KeyError": 1} == recorded.issues()


def test_a_watched_application_is_what_it_was(recorded):
    """Its type's name, its own class and its place in the hierarchy stay."""

    class Shop(Litestar):
        """A user's own application class."""

    app = Shop([order], logging_config=None)
    call(app, "/orders/1")

    assert isinstance(app, Shop)
    assert (Shop.__name__, Shop.__module__, Shop.__doc__) == (
        type(app).__name__,
        type(app).__module__,
        type(app).__doc__,
    )
    assert asyncio.iscoroutinefunction(app.__call__)
    assert {"answered GET /orders/{key:int} 200": 1} == recorded.outcomes()


def test_a_disabled_watchkeeper_touches_nothing(recorded, monkeypatch: pytest.MonkeyPatch):
    """With the kill-switch on, the application is exactly as it was."""
    monkeypatch.setattr(recorded.watchkeeper, "enabled", False)
    app = litestar()

    integrations.watch(app)

    assert Litestar is type(app)
    assert [] == app.after_exception
