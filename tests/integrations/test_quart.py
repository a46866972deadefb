"""Quart: rules as routes, and the exceptions that never reach ASGI."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress

import pytest
from quart import Blueprint, Quart, Response, abort, request, websocket
from quart.testing import connections
from werkzeug.exceptions import ServiceUnavailable

import watchkeeper.integrations as integrations
from watchkeeper.app import Watchkeeper
from watchkeeper.exceptions import ConfigurationError


def quart() -> Quart:
    app = Quart(__name__)

    @app.get("/items/<int:item>")
    async def item(item: int) -> str:
        return str(item)

    @app.get("/fail/<name>")
    async def fail(name: str) -> str:
        raise KeyError(name)

    @app.get("/folder/")
    async def folder() -> str:
        return "ok"

    return app


def call(app: Quart, *paths: str, method: str = "GET") -> list[int]:
    """Make requests one after the other, and let what they began in the background end."""

    async def main() -> list[int]:
        client = app.test_client()
        statuses = [(await client.open(path, method=method)).status_code for path in paths]
        await asyncio.gather(*app.background_tasks)
        return statuses

    return asyncio.run(main())


@pytest.mark.trap("404, slash redirect, unknown method", "quart")
@pytest.mark.parametrize(
    ("method", "path", "outcome"),
    [
        ("GET", "/items/7", "answered GET /items/<int:item> 200"),
        ("HEAD", "/items/7", "answered HEAD /items/<int:item> 200"),
        ("OPTIONS", "/items/7", "answered OPTIONS /items/<int:item> 200"),
        ("GET", "/items/x", "answered GET (unmatched) 404"),
        ("GET", "/nothing", "answered GET (unmatched) 404"),
        ("GET", "/folder", "answered GET (unmatched) 308"),
        ("DELETE", "/items/7", "answered DELETE (unmatched) 405"),
        ("BREW", "/items/7", "answered _OTHER (unmatched) 405"),
        ("GET", "/static/no.css", "answered GET (quiet) 404"),
    ],
)
def test_rules_are_routes(recorded, method: str, path: str, outcome: str):
    """Requests count under their rule, all others together; never a raw path."""
    app = quart()
    integrations.watch(app)

    call(app, path, method=method)

    assert {outcome: 1} == recorded.outcomes()
    assert 0 == recorded.active


@pytest.mark.trap("mounted and included", "quart")
def test_blueprints_have_their_prefixes(recorded):
    """A blueprint's routes begin with where it is registered, also within another one."""
    inner = Blueprint("inner", __name__, url_prefix="/users")
    inner.add_url_rule("/<name>", view_func=lambda name: name)
    outer = Blueprint("outer", __name__, url_prefix="/api")
    outer.register_blueprint(inner)
    app = quart()
    app.register_blueprint(outer, url_prefix="/v1")
    app.register_blueprint(inner, url_prefix="/v2", name="again")
    integrations.watch(app)

    call(app, "/v1/users/x", "/v2/x", "/v2/y")

    assert {
        "answered GET /v1/users/<name> 200": 1,
        "answered GET /v2/<name> 200": 2,
    } == recorded.outcomes()


@pytest.mark.trap("mounted and included", "quart")
def test_the_mount_point_of_an_application_is_no_part_of_its_routes(recorded):
    """Where the deployment puts an application does not change its series."""
    app = quart()
    integrations.watch(app)

    async def main() -> None:
        await app.test_client().get("/app/items/1", root_path="/app")

    asyncio.run(main())

    assert {"answered GET /items/<int:item> 200": 1} == recorded.outcomes()


@pytest.mark.trap("background tasks", "quart")
def test_a_background_task_is_not_part_of_the_duration(recorded):
    """A request of a millisecond with a background task of 0.3 s took a millisecond."""
    app = quart()

    @app.get("/")
    async def index() -> str:
        app.add_background_task(asyncio.sleep, 0.3)
        return "ok"

    integrations.watch(app)
    call(app, "/")

    assert {"answered GET / 200": 1} == recorded.outcomes()
    assert recorded.seconds["answered GET / 200"] < 0.3


@pytest.mark.trap("background tasks", "quart")
@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_failing_background_task_is_an_unhandled_exception(recorded, asynchronous: bool):
    """The response was fine, the work after it was not; Quart would only log it."""
    app = quart()

    def work() -> None:
        raise KeyError("no")

    async def work_async() -> None:
        raise KeyError("no")

    @app.get("/x/<name>")
    async def index(name: str) -> str:
        app.add_background_task(work_async if asynchronous else work)
        return "ok"

    integrations.watch(app)
    call(app, "/x/1")

    assert {"answered GET /x/<name> 200": 1, "unhandled GET /x/<name>": 1} == recorded.outcomes()
    assert {"KeyError": 1} == recorded.issues()
    assert "/x/<name>" == recorded.events[0].route


def test_a_background_task_without_a_request_may_fail_too(recorded):
    """A task of the application's own start is an issue of no request."""
    app = quart()
    integrations.watch(app)

    async def main() -> None:
        app.add_background_task(broken)
        await asyncio.gather(*app.background_tasks)

    asyncio.run(main())

    assert {} == recorded.outcomes()
    assert {"KeyError": 1} == recorded.issues()


def broken(*args: object) -> None:
    """Fail, wherever that is."""
    raise KeyError("no")


@pytest.mark.trap("unhandled exception", "quart")
@pytest.mark.parametrize("place", ["handler", "thread", "before", "after"])
@pytest.mark.parametrize("testing", [False, True])
def test_an_unhandled_exception_is_a_500_and_one_issue(recorded, place: str, testing: bool):
    """Wherever it is raised, with Quart's page for it or a traceback: one error, one issue."""
    app = quart()
    app.testing = testing

    @app.get("/<name>")
    async def index(name: str) -> str:
        if place == "handler":
            broken()
        return name

    app.add_url_rule("/thread/<name>", "thread", broken_view)
    if place == "before":
        app.before_request(broken)
    elif place == "after":
        app.after_request(broken)
    integrations.watch(app)
    path, route = ("/thread/x", "/thread/<name>") if place == "thread" else ("/x", "/<name>")

    assert [500] == call(app, path)

    assert {f"answered GET {route} 500": 1} == recorded.outcomes()
    assert {"KeyError": 1} == recorded.issues()
    assert route == recorded.events[0].route
    assert 0 == recorded.active


def broken_view(name: str) -> str:
    broken()
    return name


@pytest.mark.trap("exception in middleware", "quart")
def test_an_exception_of_middleware_is_seen(recorded):
    """ASGI middleware that was there before fails the request."""
    app = quart()
    inner = app.asgi_app

    async def middleware(scope: dict, receive: Callable, send: Callable) -> None:
        if scope["path"] == "/broken":
            broken()
        await inner(scope, receive, send)

    app.asgi_app = middleware
    integrations.watch(app)
    call(app, "/items/1")
    with pytest.raises(KeyError):
        call(app, "/broken")

    assert {
        "answered GET /items/<int:item> 200": 1,
        "answered GET (unmatched) 500": 1,
    } == recorded.outcomes()
    assert {"KeyError": 1} == recorded.issues()


@pytest.mark.trap("swallowed exception", "quart")
@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize(("status", "issues"), [(500, 1), (503, 1), (409, 0)])
def test_an_exception_that_a_handler_swallows(
    recorded, asynchronous: bool, status: int, issues: int
):
    """An exception that a handler answers is an issue if the answer is a failure."""
    app = quart()

    async def answer_async(error: Exception) -> tuple[str, int]:
        return "sorry", status

    def answer(error: Exception) -> tuple[str, int]:
        return "sorry", status

    app.register_error_handler(KeyError, answer_async if asynchronous else answer)
    integrations.watch(app)

    assert [status] == call(app, "/fail/x")
    assert {f"answered GET /fail/<name> {status}": 1} == recorded.outcomes()
    assert issues == sum(recorded.issues().values())


@pytest.mark.trap("swallowed exception", "quart")
def test_a_handler_of_500_sees_an_issue_whatever_it_answers(recorded):
    """An unhandled exception is an issue even if the page for it claims that all is well."""
    app = quart()
    app.register_error_handler(500, lambda error: ("sorry", 200))
    integrations.watch(app)

    call(app, "/fail/x")

    assert {"answered GET /fail/<name> 200": 1} == recorded.outcomes()
    assert {"KeyError": 1} == recorded.issues()


@pytest.mark.trap("swallowed exception", "quart")
def test_an_abort_of_500_is_an_issue(recorded):
    """abort(503) is a failure that somebody wants to see; abort(404) is not."""
    app = quart()

    @app.get("/abort/<int:status>")
    async def index(status: int) -> None:
        abort(status)

    integrations.watch(app)
    call(app, "/abort/503", "/abort/404")

    assert {
        "answered GET /abort/<int:status> 503": 1,
        "answered GET /abort/<int:status> 404": 1,
    } == recorded.outcomes()
    assert {ServiceUnavailable.__name__: 1} == recorded.issues()


@pytest.mark.trap("exception after the start of a stream", "quart")
@pytest.mark.parametrize("asynchronous", [True, False])
def test_an_exception_in_a_stream_is_broken(recorded, asynchronous: bool):
    """A stream that breaks off keeps its status, and is an error."""
    app = quart()

    async def parts_async() -> AsyncIterator[str]:
        yield "a"
        raise KeyError("no")

    def parts() -> Iterator[str]:
        yield "a"
        raise KeyError("no")

    @app.get("/stream")
    async def stream() -> Response:
        return Response(parts_async() if asynchronous else parts())

    integrations.watch(app)
    with pytest.raises(KeyError):
        call(app, "/stream")

    assert {"answered GET /stream 200": 1, "broken GET /stream": 1} == recorded.outcomes()
    assert {"KeyError": 1} == recorded.issues()


@pytest.mark.trap("exception after the start of a stream", "quart")
def test_a_stream_that_takes_too_long_is_broken(recorded):
    """Quart cuts a response off at its time-out and tells nobody."""
    app = quart()
    app.config["RESPONSE_TIMEOUT"] = 0.01

    async def parts() -> AsyncIterator[str]:
        yield "a"
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    @app.get("/stream")
    async def stream() -> Response:
        return Response(parts())

    integrations.watch(app)

    async def main() -> None:
        async with app.test_client().request("/stream") as connection:
            await connection.receive()
            await ended.wait()

    ended = asyncio.Event()
    asyncio.run(main())

    assert {"answered GET /stream 200": 1, "broken GET /stream": 1} == recorded.outcomes()


@pytest.mark.trap("websockets and lifespan", "quart")
def test_websockets_are_counted_apart(recorded):
    """A websocket is a connection, no request; what it fails with is an issue all the same."""
    app = quart()

    @app.websocket("/ws/<name>")
    async def echo(name: str) -> None:
        await websocket.send(await websocket.receive())
        raise KeyError("no")

    integrations.watch(app)
    closed = getattr(connections, "WebsocketDisconnectError", ConnectionError)

    async def main() -> None:
        with suppress(closed):  # up to Quart 0.22 the block's end tells of it
            async with app.test_client().websocket("/ws/a") as socket:
                await socket.send("hi")
                assert "hi" == await socket.receive()

    asyncio.run(main())

    assert {"websockets": 1} == recorded.outcomes()
    assert {"KeyError": 1} == recorded.issues()
    assert "/ws/<name>" == recorded.events[0].route


@pytest.mark.trap("websockets and lifespan", "quart")
def test_the_lifespan_of_the_application_is_kept(recorded, monkeypatch: pytest.MonkeyPatch):
    """The application's own start and end happen as before, ours around them."""
    steps: list[str] = []
    for name in ("start", "drain", "stop"):
        monkeypatch.setattr(Watchkeeper, name, lambda self, name=name: steps.append(name))
    app = quart()

    @app.while_serving
    async def lifespan() -> AsyncIterator[None]:
        steps.append("app starts")
        yield
        steps.append("app stops")

    integrations.watch(app)

    async def main() -> None:
        async with app.test_app():
            pass

    asyncio.run(main())

    assert ["start", "app starts", "drain", "app stops", "stop"] == steps
    monkeypatch.undo()


@pytest.mark.trap("installed twice or after start", "quart")
def test_watching_twice_is_ignored_with_a_line(recorded, caplog: pytest.LogCaptureFixture):
    """A second watch() counts nothing twice and names the place of the first."""
    app = quart()
    integrations.watch(app)
    integrations.watch(app)

    call(app, "/items/1")

    assert {"answered GET /items/<int:item> 200": 1} == recorded.outcomes()
    assert "test_quart.py:" in caplog.text


@pytest.mark.trap("installed twice or after start", "quart")
def test_watching_after_the_start_is_an_error(recorded):
    """Too late is told at once, with what to do."""
    app = quart()

    async def main() -> None:
        async with app.test_app():
            with pytest.raises(ConfigurationError, match="before its first request"):
                integrations.watch(app)

    asyncio.run(main())


def test_an_application_that_shows_its_request_works_as_before(recorded):
    """The request's own things are where they were."""
    app = quart()

    @app.get("/who/<name>")
    async def who(name: str) -> dict:
        return {"rule": str(request.url_rule), "path": request.path, "args": request.view_args}

    integrations.watch(app)

    async def main() -> dict:
        return await (await app.test_client().get("/who/me?x=1")).get_json()

    assert {"rule": "/who/<name>", "path": "/who/me", "args": {"name": "me"}} == asyncio.run(
        main()
    )


def test_a_disabled_watchkeeper_touches_nothing(recorded, monkeypatch: pytest.MonkeyPatch):
    """With the kill-switch on, the application is exactly as it was."""
    monkeypatch.setattr(recorded.watchkeeper, "enabled", False)
    app = quart()
    before = dict(vars(app))

    integrations.watch(app)

    assert before == vars(app)
