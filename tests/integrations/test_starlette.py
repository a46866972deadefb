"""Starlette and FastAPI: templates, swallowed exceptions, and everything between."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asgi_client import TestClient
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException
from fastapi.staticfiles import StaticFiles
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Host, Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

import watchkeeper.integrations as integrations
from watchkeeper.app import Watchkeeper
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.settings import Settings


def client(app: Callable, **options: object) -> TestClient:
    """Watch the application and return a client for it."""
    integrations.watch(app)
    return TestClient(app, raise_server_exceptions=False, follow_redirects=False, **options)


async def ok(request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


async def other(request: Request) -> PlainTextResponse:
    return PlainTextResponse("other")


def fastapi() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{item}")
    async def item(item: int) -> dict:
        return {"item": item}

    @app.post("/items/{item}")
    def change(item: int) -> dict:
        return {"item": item}

    return app


@pytest.mark.trap("404, slash redirect, unknown method", "fastapi")
@pytest.mark.parametrize(
    ("method", "path", "outcome"),
    [
        ("GET", "/items/7", "answered GET /items/{item} 200"),
        ("POST", "/items/7", "answered POST /items/{item} 200"),
        ("GET", "/items/x", "answered GET /items/{item} 422"),
        ("GET", "/docs", "answered GET /docs 200"),
        ("GET", "/nothing/7", "answered GET (unmatched) 404"),
        ("GET", "/items/7/", "answered GET (unmatched) 307"),
        ("DELETE", "/items/7", "answered DELETE (unmatched) 405"),
        ("BREW", "/items/7", "answered _OTHER (unmatched) 405"),
    ],
)
def test_fastapi_routes_are_templates(recorded, method: str, path: str, outcome: str):
    """Requests count under their route's template, all others together; never a raw path."""
    client(fastapi()).request(method, path)

    assert {outcome: 1} == recorded.outcomes()


@pytest.mark.trap("404, slash redirect, unknown method", "starlette")
@pytest.mark.parametrize(
    ("method", "path", "outcome"),
    [
        ("GET", "/items/7", "answered GET /items/{item} 200"),
        ("GET", "/items/7/", "answered GET (unmatched) 307"),
        ("GET", "/nothing", "answered GET (unmatched) 404"),
        ("DELETE", "/items/7", "answered DELETE (unmatched) 405"),
        ("BREW", "/items/7", "answered _OTHER (unmatched) 405"),
    ],
)
def test_starlettes_routes_are_templates(recorded, method: str, path: str, outcome: str):
    """Requests count under their route's template, all others together; never a raw path."""
    client(Starlette(routes=[Route("/items/{item}", ok)])).request(method, path)

    assert {outcome: 1} == recorded.outcomes()


def test_head_is_a_method_of_its_own(recorded):
    """HEAD requests count as such under the same route."""
    client(Starlette(routes=[Route("/", ok)])).head("/")

    assert {"answered HEAD / 200": 1} == recorded.outcomes()


@pytest.mark.trap("mounted and included", "fastapi")
def test_included_routers_have_their_prefixes(recorded):
    """A router that is included twice, or within another one, has its full templates."""
    inner = APIRouter(prefix="/users")
    inner.add_api_route("/{user}", lambda user: user, methods=["GET"])
    inner.add_route("/plain/{name}", ok)
    outer = APIRouter(prefix="/teams/{team}")
    outer.include_router(inner)
    app = FastAPI()
    app.include_router(inner, prefix="/v1")
    app.include_router(inner, prefix="/v2")
    app.include_router(outer)
    http = client(app)

    for path in ("/v1/users/1", "/v2/users/1", "/v2/users/2", "/teams/a/users/1"):
        assert 200 == http.get(path).status_code
    http.get("/v1/plain/x")
    http.delete("/v1/users/1")

    assert {
        "answered GET /v1/users/{user} 200": 1,
        "answered GET /v2/users/{user} 200": 2,
        "answered GET /teams/{team}/users/{user} 200": 1,
        "answered GET /v1/plain/{name} 200": 1,
        "answered DELETE (unmatched) 405": 1,
    } == recorded.outcomes()


@pytest.mark.trap("mounted and included", "fastapi", "starlette")
def test_mounted_applications_have_their_prefixes(recorded, tmp_path):
    """A sub-application's routes begin with where it is mounted, as a template."""
    (tmp_path / "a.txt").write_text("a")
    deep = Starlette(routes=[Route("/{name}", ok)])
    api = FastAPI()
    api.add_api_route("/items/{item}", lambda item: item, methods=["GET"])
    api.mount("/deep", deep)
    app = Starlette(
        routes=[
            Route("/", ok),
            Mount("/api/{tenant}", app=api, middleware=[Middleware(GZipMiddleware)]),
            Mount("/wrapped", app=GZipMiddleware(deep)),
            Mount("/files", app=StaticFiles(directory=tmp_path)),
            Mount("/plain", routes=[Route("/x", other)]),
            Host("api.shop.example", app=Starlette(routes=[Route("/hosted", other)])),
        ]
    )
    http = client(app)

    for path in (
        "/",
        "/api/one/items/1",
        "/api/two/items/2",
        "/api/one/deep/x",
        "/api/one/openapi.json",
        "/api/one/nothing",
        "/wrapped/x",
        "/files/a.txt",
        "/files/b.txt",
        "/plain/x",
        "/plain/y",
    ):
        http.get(path)
    http.get("/hosted", headers={"host": "api.shop.example"})

    assert {
        "answered GET / 200": 1,
        "answered GET /api/{tenant}/items/{item} 200": 2,
        "answered GET /api/{tenant}/deep/{name} 200": 1,
        "answered GET /api/{tenant}/openapi.json 200": 1,
        "answered GET (unmatched) 404": 2,
        "answered GET /wrapped/{name} 200": 1,
        "answered GET (quiet) 200": 1,
        "answered GET (quiet) 404": 1,
        "answered GET /plain/x 200": 1,
        "answered GET /hosted 200": 1,
    } == recorded.outcomes()


@pytest.mark.trap("mounted and included", "starlette")
def test_the_same_application_mounted_twice_has_both_templates(recorded):
    """Which of two mounts a request came through is told by its path, also under a root path."""
    sub = Starlette(routes=[Route("/x/{name}", ok), Route("/y", ok)])
    app = Starlette(routes=[Mount("/a", app=sub), Mount("/b/{tenant}", app=sub)])
    http = client(app, root_path="/root")

    for path in ("/a/x/1", "/b/one/x/1", "/b/two/x/1", "/a/y", "/b/one/y"):
        assert 200 == http.get("/root" + path).status_code

    assert {
        "answered GET /a/x/{name} 200": 1,
        "answered GET /b/{tenant}/x/{name} 200": 2,
        "answered GET /a/y 200": 1,
        "answered GET /b/{tenant}/y 200": 1,
    } == recorded.outcomes()


@pytest.mark.trap("404, slash redirect, unknown method", "starlette")
def test_one_endpoint_on_several_paths_and_methods(recorded):
    """Routes that share a function are told apart."""
    app = Starlette(
        routes=[
            Route("/a", ok),
            Route("/b", ok),
            Route("/b", ok, methods=["PUT"]),
            Route(
                "/c", type("Page", (HTTPEndpoint,), {"get": lambda self, request: JSONResponse(1)})
            ),
        ]
    )
    http = client(app)

    http.get("/a")
    http.get("/b")
    http.put("/b")
    http.get("/c")
    http.delete("/b")

    assert {
        "answered GET /a 200": 1,
        "answered GET /b 200": 1,
        "answered PUT /b 200": 1,
        "answered GET /c 200": 1,
        "answered DELETE (unmatched) 405": 1,
    } == recorded.outcomes()


def test_routes_added_later_are_found(recorded):
    """An application may add routes while it runs."""
    app = Starlette(routes=[Route("/a", ok)])
    http = client(app)
    http.get("/a")

    app.router.routes.append(Route("/b/{name}", other))
    http.get("/b/1")

    assert {"answered GET /a 200": 1, "answered GET /b/{name} 200": 1} == recorded.outcomes()


def test_templates_are_known_behind_any_middleware(recorded):
    """asgi() around an application that others wrapped finds the router within."""
    app = integrations.asgi(GZipMiddleware(Starlette(routes=[Route("/a/{name}", ok)])))
    TestClient(app).get("/a/1")

    assert {"answered GET /a/{name} 200": 1} == recorded.outcomes()


def test_several_routers_behind_one_wrapper(recorded):
    """asgi() around a dispatcher keeps the templates of each application apart."""
    first = Starlette(routes=[Route("/a", ok), Route("/b", ok)])
    second = Starlette(routes=[Route("/c", other), Route("/d", other)])

    async def dispatch(scope: dict, receive: Callable, send: Callable) -> None:
        app = first if scope["path"] < "/c" else second
        await app(scope, receive, send)

    http = TestClient(integrations.asgi(dispatch))
    for path in ("/a", "/c", "/b", "/d"):
        http.get(path)

    assert {f"answered GET /{name} 200": 1 for name in "abcd"} == recorded.outcomes()


def test_background_tasks_are_not_part_of_the_duration(recorded):
    """A request of a millisecond with a background task of 0.3 s took a millisecond."""
    app = FastAPI()

    @app.get("/")
    async def index(tasks: BackgroundTasks) -> str:
        tasks.add_task(asyncio.sleep, 0.3)
        return "ok"

    client(app).get("/")

    assert {"answered GET / 200": 1} == recorded.outcomes()
    assert recorded.seconds["answered GET / 200"] < 0.3


def test_a_failing_background_task_is_an_unhandled_exception(recorded):
    """The response was fine, the work after it was not."""
    app = FastAPI()

    def fail() -> None:
        raise ValueError

    @app.get("/")
    async def index(tasks: BackgroundTasks) -> str:
        tasks.add_task(fail)
        return "ok"

    client(app).get("/")

    assert {"answered GET / 200": 1, "unhandled GET /": 1} == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()


@pytest.mark.trap("unhandled exception", "fastapi")
@pytest.mark.parametrize("handler", [None, "sync", "async"])
def test_an_unhandled_exception_is_a_500_and_one_issue(recorded, handler: str | None):
    """With or without a handler for all exceptions: one error, one issue, with its route."""
    app = fastapi()

    @app.get("/fail/{name}")
    async def fail(name: str) -> None:
        raise ValueError(name)

    def answer(request: Request, exc: Exception) -> PlainTextResponse:
        return PlainTextResponse("sorry", status_code=500)

    async def answer_async(request: Request, exc: Exception) -> PlainTextResponse:
        return answer(request, exc)

    if handler:
        app.add_exception_handler(Exception, answer if handler == "sync" else answer_async)
    client(app).get("/fail/x")

    assert {"answered GET /fail/{name} 500": 1} == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()
    assert "/fail/{name}" == recorded.events[0].route


@pytest.mark.trap("swallowed exception", "fastapi")
@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize(("status", "issues"), [(500, 1), (503, 1), (409, 0)])
def test_an_exception_that_a_handler_swallows(
    recorded, asynchronous: bool, status: int, issues: int
):
    """An exception that a handler answers is an issue if the answer is a failure."""
    app = fastapi()

    @app.get("/fail")
    async def fail() -> None:
        raise KeyError

    def answer(request: Request, exc: Exception) -> JSONResponse:
        return JSONResponse({}, status_code=status)

    async def answer_async(request: Request, exc: Exception) -> JSONResponse:
        return answer(request, exc)

    app.add_exception_handler(KeyError, answer_async if asynchronous else answer)
    response = client(app).get("/fail")

    assert status == response.status_code
    assert {f"answered GET /fail {status}": 1} == recorded.outcomes()
    assert issues == sum(recorded.issues().values())


@pytest.mark.trap("swallowed exception", "starlette")
def test_an_http_exception_of_500_is_an_issue(recorded):
    """raise HTTPException(503) is a failure that somebody wants to see; a 404 is not."""

    async def unavailable(request: Request) -> None:
        raise StarletteHTTPException(503)

    app = Starlette(routes=[Route("/a", unavailable)])
    http = client(app)
    http.get("/a")
    http.get("/b")

    assert {
        "answered GET /a 503": 1,
        "answered GET (unmatched) 404": 1,
    } == recorded.outcomes()
    assert {"HTTPException": 1} == recorded.issues()


@pytest.mark.trap("swallowed exception", "fastapi")
def test_handlers_of_mounted_applications_are_seen(recorded):
    """What a sub-application's handler swallows is seen too, wherever it is mounted."""
    api, started = FastAPI(), FastAPI()
    for sub in (api, started):

        @sub.get("/fail")
        async def fail() -> None:
            raise HTTPException(500)

    TestClient(started).get("/")  # its middleware is built before we come
    app = FastAPI()
    app.mount("/api", GZipMiddleware(api))
    app.mount("/started", started)
    http = client(app)

    http.get("/api/fail")
    http.get("/started/fail")

    assert {"HTTPException": 2} == recorded.issues()
    assert {"/api/fail", "/started/fail"} == {event.route for event in recorded.events}


def test_an_exception_in_a_stream_is_broken(recorded):
    """A stream that breaks off keeps its status, and is an error."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"a"
        raise ValueError

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(parts())

    client(Starlette(routes=[Route("/", stream)])).get("/")

    assert {"answered GET / 200": 1, "broken GET /": 1} == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()


def test_a_stream_counts_to_its_end(recorded):
    """The duration of a stream is that of all its parts."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(0.05)
        yield b"b"

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(parts())

    assert "ab" == client(Starlette(routes=[Route("/", stream)])).get("/").text

    assert {"answered GET / 200": 1} == recorded.outcomes()
    assert recorded.seconds["answered GET / 200"] >= 0.05


def test_base_http_middleware_changes_nothing(recorded):
    """An application with Starlette's own middleware class is seen as well."""

    async def dispatch(request: Request, call_next: Callable) -> object:
        return await call_next(request)

    app = fastapi()
    app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
    client(app).get("/items/1")

    assert {"answered GET /items/{item} 200": 1} == recorded.outcomes()


@pytest.mark.trap("exception in middleware", "fastapi", "starlette")
@pytest.mark.parametrize("kind", [FastAPI, Starlette])
@pytest.mark.parametrize("place", ["before", "after", "pure"])
def test_an_exception_in_middleware_is_one_error_and_one_issue(recorded, kind: type, place: str):
    """Middleware that fails, before or after what it is around, fails the request."""

    async def dispatch(request: Request, call_next: Callable) -> object:
        if place == "after":
            await call_next(request)
        raise KeyError("no")

    class Pure:
        def __init__(self, app: Callable) -> None:
            self.app = app

        async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
            raise KeyError("no")

    app = kind(routes=[Route("/items/{item}", ok)])
    if place == "pure":
        app.add_middleware(Pure)
    else:
        app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
    client(app).get("/items/1")

    route = "/items/{item}" if place == "after" else "(unmatched)"  # it was not looked for yet
    assert {f"answered GET {route} 500": 1} == recorded.outcomes()
    assert {"KeyError": 1} == recorded.issues()


@pytest.mark.trap("trailers, pathsend, zero-copy", "fastapi", "starlette")
@pytest.mark.parametrize("kind", [FastAPI, Starlette])
def test_a_file_that_the_server_sends_by_itself_counts_once(recorded, kind: type, tmp_path: Path):
    """Where the server offers to send files, the framework lets it: that ends the response."""
    (tmp_path / "a.txt").write_text("a")
    sent: list[str] = []

    async def file(request: Request) -> FileResponse:
        return FileResponse(tmp_path / "a.txt")

    app = kind(routes=[Route("/file/{name}", file)])
    integrations.watch(app)

    async def receive() -> dict:
        return {"type": "http.request"}

    async def send(message: dict) -> None:
        sent.append(message["type"])

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/file/a",
        "headers": [],
        "extensions": {"http.response.pathsend": {}},
    }
    asyncio.run(app(scope, receive, send))

    assert ["http.response.start", "http.response.pathsend"] == sent
    assert {"answered GET /file/{name} 200": 1} == recorded.outcomes()
    assert 0 == recorded.active


@pytest.mark.trap("no response started", "fastapi", "starlette")
@pytest.mark.parametrize("kind", [FastAPI, Starlette])
def test_an_endpoint_that_never_answers_is_an_error(recorded, kind: type):
    """An ASGI endpoint that returns without a response has failed, though quietly."""

    async def silent(scope: dict, receive: Callable, send: Callable) -> None:
        """Say nothing."""

    app = kind(routes=[Mount("/silent", app=silent)])
    client(app).get("/silent/x")

    assert {"answered GET /silent/{path} 500": 1} == recorded.outcomes()


def test_a_dependency_that_fails_after_the_response(recorded):
    """What a dependency raises in its clean-up is an unhandled exception."""

    def resource() -> Iterator[int]:
        yield 1
        raise ValueError

    app = FastAPI()
    app.add_api_route("/", lambda: 1, methods=["GET"], dependencies=[Depends(resource)])
    client(app).get("/")

    assert {"ValueError": 1} == recorded.issues()
    assert 1 == sum(key.startswith("answered") for key in recorded.outcomes())


def test_websockets_are_counted_apart(recorded):
    """A websocket is a connection, no request."""

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    app = Starlette(routes=[WebSocketRoute("/ws", echo)])
    with client(app).websocket_connect("/ws") as websocket:
        websocket.send_text("hi")
        assert "hi" == websocket.receive_text()

    assert {"websockets": 1} == recorded.outcomes()


@pytest.mark.trap("websockets and lifespan", "fastapi")
def test_the_lifespan_of_the_application_is_kept(recorded, monkeypatch: pytest.MonkeyPatch):
    """The application's own start and end happen as before, ours around them."""
    steps: list[str] = []
    monkeypatch.setattr(Watchkeeper, "start", lambda self: steps.append("start"))
    monkeypatch.setattr(Watchkeeper, "stop", lambda self: steps.append("stop"))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict]:
        steps.append("app starts")
        yield {}
        steps.append("app stops")

    with client(FastAPI(lifespan=lifespan)):
        pass

    assert ["start", "app starts", "app stops", "stop"] == steps
    monkeypatch.undo()


def test_an_exception_in_the_apps_own_start_goes_on(recorded):
    """An application that fails to start fails as it would without us."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        raise ValueError("no database")
        yield

    app = FastAPI(lifespan=lifespan)
    with pytest.raises(ValueError, match="no database"), client(app):
        pass


def test_watch_returns_the_watchkeeper_of_the_process(watchkeeper: Watchkeeper):
    """There is one per process, and watch() gives it."""
    assert watchkeeper is integrations.watch(FastAPI())


@pytest.mark.trap("installed twice or after start", "fastapi", "starlette")
@pytest.mark.parametrize("kind", [FastAPI, Starlette])
def test_watching_twice_is_ignored_with_a_line(
    recorded, caplog: pytest.LogCaptureFixture, kind: type
):
    """A second watch() counts nothing twice and names the place of the first."""
    app = kind(routes=[Route("/items/{item}", ok)])
    integrations.watch(app)
    with caplog.at_level(logging.WARNING, "watchkeeper"):
        client(app).get("/items/1")

    assert {"answered GET /items/{item} 200": 1} == recorded.outcomes()
    assert 1 == len(caplog.records)
    assert "test_starlette.py:" in caplog.text


def test_a_watched_application_within_a_watched_one_counts_once(recorded):
    """Each request counts once, under the outer application's template."""
    sub = fastapi()
    integrations.watch(sub)
    app = FastAPI()
    app.mount("/sub", sub)
    client(app).get("/sub/items/1")

    assert {"answered GET /sub/items/{item} 200": 1} == recorded.outcomes()


@pytest.mark.trap("installed twice or after start", "fastapi", "starlette")
@pytest.mark.parametrize("kind", [FastAPI, Starlette])
def test_watching_after_the_start_is_an_error(recorded, kind: type):
    """Too late is told at once, with what to do."""
    app = kind()
    TestClient(app).get("/items/1")

    with pytest.raises(ConfigurationError, match="before its first request"):
        integrations.watch(app)


def test_watching_with_other_settings_is_an_error(recorded):
    """One process has one Watchkeeper with one set of settings."""
    with pytest.raises(ConfigurationError, match="other settings"):
        integrations.watch(FastAPI(), Settings(service="other"))


@pytest.mark.parametrize("app", [ok, Mount("/a", routes=[]), GZipMiddleware(ok), object()])
def test_watching_something_else_names_the_cure(app: object):
    """watch() knows frameworks; for anything else it says what to write."""
    with pytest.raises(TypeError, match=r"app = watchkeeper\.asgi\(app\)"):
        integrations.watch(app)


def test_a_disabled_watchkeeper_touches_nothing(recorded, monkeypatch: pytest.MonkeyPatch):
    """With the kill-switch on, the application is exactly as it was."""
    monkeypatch.setattr(recorded.watchkeeper, "enabled", False)
    app = fastapi()
    before = dict(vars(app))

    integrations.watch(app)

    assert before == vars(app)
