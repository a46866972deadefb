"""Any ASGI application: every request counts once, whatever becomes of it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

import watchkeeper.integrations as integrations
from watchkeeper.app import Watchkeeper

START = {"type": "http.response.start", "status": 200, "headers": []}
BODY = {"type": "http.response.body", "body": b"ok"}
MORE = {"type": "http.response.body", "body": b"o", "more_body": True}


def scope(**changes: object) -> dict:
    return {"type": "http", "method": "GET", "path": "/x", "headers": [], **changes}


def run(app: Callable, scope: dict, *received: dict) -> list[dict]:
    """Serve one request of the application; returns what it sent."""
    sent: list[dict] = []
    waiting = list(received)

    async def receive() -> dict:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def sends(*messages: dict) -> Callable[..., Awaitable[None]]:
    """Make an application that sends these messages."""

    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        for message in messages:
            await send(message)

    return app


def test_a_request_is_counted_and_passed_through(recorded):
    """The server gets the application's very messages, and one request is counted."""
    sent = run(integrations.asgi(sends(START, BODY)), scope())

    assert START is sent[0]
    assert BODY is sent[1]
    assert {"answered GET (unmatched) 200": 1} == recorded.outcomes()
    assert 0 == recorded.active


def test_a_stream_counts_once(recorded):
    """However many parts a response has, it is one request."""
    run(integrations.asgi(sends(START, MORE, MORE, BODY)), scope())

    assert {"answered GET (unmatched) 200": 1} == recorded.outcomes()


@pytest.mark.trap("trailers, pathsend, zero-copy", "asgi")
def test_trailers_do_not_count_again(recorded):
    """HTTP trailers follow a body that has ended."""
    trailers = {"type": "http.response.trailers", "headers": [], "more_trailers": False}
    run(integrations.asgi(sends({**START, "trailers": True}, BODY, trailers)), scope())

    assert {"answered GET (unmatched) 200": 1} == recorded.outcomes()


@pytest.mark.trap("trailers, pathsend, zero-copy", "asgi")
@pytest.mark.parametrize(
    "end",
    [
        {"type": "http.response.pathsend", "path": "/etc/hostname"},
        {"type": "http.response.zerocopysend", "file": None},
    ],
)
def test_a_file_sent_by_the_server_ends_a_response(recorded, end: dict):
    """A file that the server sends by itself is the end of the response."""
    run(integrations.asgi(sends(START, end)), scope())

    assert {"answered GET (unmatched) 200": 1} == recorded.outcomes()


def test_work_after_the_response_is_not_its_duration(recorded):
    """The duration ends with the last byte, not when the application returns."""

    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        await send(START)
        await send(BODY)
        assert ["answered GET (unmatched) 200"] == list(recorded.outcomes())
        await asyncio.sleep(0)

    run(integrations.asgi(app), scope())

    assert {} == recorded.outcomes()


@pytest.mark.trap("404, slash redirect, unknown method", "asgi")
def test_a_method_outside_of_the_standard_is_other(recorded):
    """Invented methods cannot make series without end."""
    app = integrations.asgi(sends(START, BODY))
    for number in range(20):
        run(app, scope(method=f"X{number}"))

    assert {"answered _OTHER (unmatched) 200": 20} == recorded.outcomes()


def test_an_exception_before_the_response_is_a_500(recorded):
    """An unhandled exception is an error and an issue, and goes on to the server."""

    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run(integrations.asgi(app), scope(headers=[(b"x-request-id", b"abc-1")]))

    assert {"answered GET (unmatched) 500": 1} == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()
    (event,) = recorded.events
    assert ("GET", "(unmatched)", 500, "abc-1") == (
        event.method,
        event.route,
        event.status,
        event.request_id,
    )
    assert 0 == recorded.active


def test_an_unsafe_request_id_is_replaced(recorded):
    """A request id from outside is taken only if it is short and harmless."""

    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011  # the application's own
        run(integrations.asgi(app), scope(headers=[(b"x-request-id", b"<script>")]))

    recorded.issues()
    assert 32 == len(recorded.events[0].request_id)


def test_an_exception_within_the_response_is_broken(recorded):
    """A response that an exception cuts off keeps its status and is counted as broken."""

    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        await send(START)
        await send(MORE)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        run(integrations.asgi(app), scope())

    assert {
        "answered GET (unmatched) 200": 1,
        "broken GET (unmatched)": 1,
    } == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()


def test_an_exception_after_the_response_is_unhandled(recorded):
    """A background task that fails is an error although its response was fine."""

    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        await send(START)
        await send(BODY)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        run(integrations.asgi(app), scope())

    assert {
        "answered GET (unmatched) 200": 1,
        "unhandled GET (unmatched)": 1,
    } == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()


def test_a_500_that_is_raised_again_is_one_error(recorded):
    """An error middleware that answers and raises again does not make two errors."""

    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        await send({**START, "status": 500})
        await send(BODY)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        run(integrations.asgi(app), scope())

    assert {"answered GET (unmatched) 500": 1} == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()


def test_a_client_that_leaves_is_no_error(recorded):
    """A request whose client left is counted apart and has no duration."""

    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        await send(START)
        await send(MORE)
        await receive()

    run(integrations.asgi(app), scope(), {"type": "http.disconnect"})

    assert {"left GET (unmatched)": 1} == recorded.outcomes()
    assert {} == recorded.issues()


def test_an_answer_that_nobody_waits_for_has_no_duration(recorded):
    """An application that answers although the client left makes no latency."""

    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        await receive()
        await send(START)
        await send(BODY)

    run(integrations.asgi(app), scope())

    assert {"left GET (unmatched)": 1} == recorded.outcomes()


def test_an_error_after_the_client_left_is_still_an_error(recorded):
    """A bug does not hide behind a client that left; a broken pipe is no bug."""

    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        await receive()
        raise scope["error"]

    with pytest.raises(KeyError):
        run(integrations.asgi(app), scope(error=KeyError("bug")))
    with pytest.raises(BrokenPipeError):
        run(integrations.asgi(app), scope(error=BrokenPipeError()))

    assert {
        "answered GET (unmatched) 500": 1,
        "left GET (unmatched)": 1,
    } == recorded.outcomes()
    assert {"KeyError": 1} == recorded.issues()


@pytest.mark.trap("no response started", "asgi")
@pytest.mark.parametrize(
    ("messages", "outcomes"),
    [
        ((), {"answered GET (unmatched) 500": 1}),
        ((START,), {"answered GET (unmatched) 200": 1, "broken GET (unmatched)": 1}),
    ],
)
def test_a_response_that_was_never_finished_is_an_error(recorded, messages, outcomes):
    """An application that returns without a whole response has failed, though quietly."""
    run(integrations.asgi(sends(*messages)), scope())

    assert outcomes == recorded.outcomes()


def test_a_cancelled_request_is_no_longer_active(recorded):
    """When the server gives a request up, the gauge of active requests goes back."""

    async def main() -> None:
        begun = asyncio.Event()

        async def app(scope: dict, receive: Callable, send: Callable) -> None:
            begun.set()
            await asyncio.sleep(60)

        task = asyncio.ensure_future(integrations.asgi(app)(scope(), None, None))
        await begun.wait()
        assert 1 == recorded.active
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    assert 0 == recorded.active
    assert {"left GET (unmatched)": 1} == recorded.outcomes()
    assert {} == recorded.issues()


def test_websockets_pass_untouched_and_are_counted_apart(recorded):
    """A websocket is no request: each message is the very object, and only numbers are kept."""
    greeting, question = {"type": "websocket.connect"}, {"type": "websocket.receive", "text": "?"}
    accepted, answer = {"type": "websocket.accept"}, {"type": "websocket.send", "text": "!"}
    incoming, outgoing, seen = [question, greeting], [], []

    async def receive() -> dict:
        return incoming.pop()

    async def send(message: dict) -> None:
        outgoing.append(message)

    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        seen.extend([await receive(), await receive()])
        for message in (accepted, answer, answer):
            await send(message)

    asyncio.run(integrations.asgi(app)(scope(type="websocket"), receive, send))

    assert [greeting, question] == seen
    assert [accepted, answer, answer] == outgoing
    assert all(one is other for one, other in zip(seen, [greeting, question], strict=True))
    assert {
        ("websocket_server_connections_total", ""): 1.0,
        ("websocket_server_connection_duration_seconds", ""): 1,
        ("websocket_server_messages_total", "in"): 1.0,
        ("websocket_server_messages_total", "out"): 2.0,
    } == {
        (series.metric, series.label("direction")): getattr(value, "count", value)
        for series, value in recorded.watchkeeper.recorder.take().items()
    }


def test_the_scope_is_not_changed(recorded):
    """An application that shows its scope shows the same with and without us."""
    before = scope()
    run(integrations.asgi(sends(START, BODY)), before)

    assert scope() == before


@pytest.mark.trap("websockets and lifespan", "asgi")
def test_lifespan_starts_drains_and_stops(recorded, monkeypatch: pytest.MonkeyPatch):
    """Watching begins with the application and ends after its own shutdown."""
    steps: list[str] = []
    for name in ("start", "drain", "stop"):
        monkeypatch.setattr(Watchkeeper, name, lambda self, name=name: steps.append(name))

    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        assert "lifespan.startup" == (await receive())["type"]
        steps.append("app starts")
        await send({"type": "lifespan.startup.complete"})
        assert "lifespan.shutdown" == (await receive())["type"]
        steps.append("app stops")
        await send({"type": "lifespan.shutdown.complete"})

    sent = run(
        integrations.asgi(app),
        {"type": "lifespan"},
        {"type": "lifespan.startup"},
        {"type": "lifespan.shutdown"},
    )

    assert ["start", "app starts", "drain", "app stops", "stop"] == steps
    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == [
        message["type"] for message in sent
    ]
    monkeypatch.undo()


def test_an_application_without_lifespan_says_so_itself(recorded):
    """What an application raises for a lifespan that it does not know is no error."""

    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        raise NotImplementedError

    with pytest.raises(NotImplementedError):
        run(integrations.asgi(app), {"type": "lifespan"})
    assert {} == recorded.issues()


def test_a_start_that_fails_is_an_error(recorded):
    """What an application raises once it takes part in its lifespan is an issue."""

    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        await receive()
        raise ConnectionError("no database")

    with pytest.raises(ConnectionError):
        run(integrations.asgi(app), {"type": "lifespan"}, {"type": "lifespan.startup"})
    assert {"ConnectionError": 1} == recorded.issues()


@pytest.mark.trap("installed twice or after start", "asgi")
@pytest.mark.parametrize("passed_on", [lambda scope: scope, dict])
def test_wrapping_twice_counts_once(
    recorded, caplog: pytest.LogCaptureFixture, passed_on: Callable
):
    """A second wrapping is ignored with a line, a hidden one does not count."""
    once = integrations.asgi(sends(START, BODY))

    assert once is integrations.asgi(once)
    assert "second wrapping" in caplog.text

    async def around(scope: dict, receive: Callable, send: Callable) -> None:
        await once(passed_on(scope), receive, send)

    run(integrations.asgi(around), scope())

    assert {"answered GET (unmatched) 200": 1} == recorded.outcomes()


def test_a_switched_off_watchkeeper_leaves_the_application_alone(
    recorded, monkeypatch: pytest.MonkeyPatch
):
    """The kill-switch gives the application back as it was."""
    monkeypatch.setattr(recorded.watchkeeper, "enabled", False)
    app = sends(START, BODY)

    assert app is integrations.asgi(app)


@pytest.mark.parametrize("path", ["/livez", "/watchkeeper/livez", "/readyz", "/health"])
def test_probes_answer_from_memory_and_are_not_counted(recorded, path: str):
    """Health probes are no requests of the application."""
    sent = run(integrations.asgi(sends(START, BODY)), scope(path=path))

    assert sent[0]["status"] in {200, 503}
    assert BODY is not sent[1]
    assert {} == recorded.outcomes()


def test_pages_answer_under_the_prefix_below_any_mount_point(recorded):
    """The dashboard lives under its prefix, also when the server adds a root path."""
    app = integrations.asgi(sends(START, BODY))

    for changes in (
        {"path": "/watchkeeper/"},
        {"path": "/app/watchkeeper/", "root_path": "/app"},
        {"path": "/watchkeeper/", "root_path": "/app"},
    ):
        sent = run(app, scope(**changes), {"type": "http.request"})
        assert 503 == sent[0]["status"]  # no database is open here, and the page says so
    assert {} == recorded.outcomes()


def test_a_path_that_only_looks_like_ours_is_the_applications(recorded):
    """Nothing but the prefix itself and what is below it is ours."""
    app = integrations.asgi(sends(START, BODY))
    for path in ("/watchkeepers", "/x/watchkeeper", "/x/livez"):
        run(app, scope(path=path))

    assert {"answered GET (unmatched) 200": 3} == recorded.outcomes()


def test_a_page_refuses_a_large_body(recorded):
    """Forms are small; more than 64 kB is not even read."""
    sent = run(
        integrations.asgi(sends(START, BODY)),
        scope(method="POST", path="/watchkeeper/login"),
        {"type": "http.request", "body": b"x" * 70_000, "more_body": True},
    )

    assert 413 == sent[0]["status"]
