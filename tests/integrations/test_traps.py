"""What holds for every ASGI framework: the same requests, the same outcomes."""

import asyncio
import time

import frameworks
import pytest

from served import Client

KEY_ERROR = {"KeyError": 1}

framework = pytest.mark.parametrize("framework", frameworks.NAMES)


def serve(app: frameworks.Application, path: str, *headers: tuple[bytes, bytes]) -> Client:
    """Serve one request."""

    async def main() -> Client:
        client = Client(path, *headers)
        await client.serve(app)
        return client

    return asyncio.run(main())


@framework
@pytest.mark.trap("unhandled exception", "fastapi", "starlette", "litestar", "quart", "asgi")
def test_an_unhandled_exception_is_one_error_and_one_issue(recorded, framework: str):
    """Whether the framework answers it or lets it go: a 500, and an issue with its route."""
    serve(frameworks.watched(framework), "/fail/x")

    route = frameworks.route(framework, "fail")
    assert {f"answered GET {route} 500": 1} == recorded.outcomes()
    assert KEY_ERROR == recorded.issues()
    assert (route, 500) == (recorded.events[0].route, recorded.events[0].status)
    assert 0 == recorded.active


@framework
@pytest.mark.trap("background tasks", "fastapi", "starlette", "litestar", "quart", "asgi")
def test_a_request_ends_with_its_response(recorded, framework: str):
    """While work goes on in the background the request is counted already; its failure is too."""
    during: list[dict[str, int]] = []

    async def between() -> None:
        await client.answered.wait()
        during.append(recorded.outcomes())

    async def main() -> None:
        nonlocal client
        client = Client("/late/x")
        await client.serve(frameworks.watched(framework, between))

    client: Client
    asyncio.run(main())

    route = frameworks.route(framework, "late")
    assert [{f"answered GET {route} 200": 1}] == during
    assert {f"unhandled GET {route}": 1} == recorded.outcomes()
    assert KEY_ERROR == recorded.issues()


@framework
@pytest.mark.trap(
    "exception after the start of a stream", "fastapi", "starlette", "litestar", "quart", "asgi"
)
def test_a_stream_that_fails_is_broken(recorded, framework: str):
    """The status stays what the client got, the response counts as broken."""
    serve(frameworks.watched(framework), "/break/x")

    route = frameworks.route(framework, "break")
    assert {f"answered GET {route} 200": 1, f"broken GET {route}": 1} == recorded.outcomes()
    assert KEY_ERROR == recorded.issues()


@framework
@pytest.mark.trap(
    "client leaves in mid-stream", "fastapi", "starlette", "litestar", "quart", "asgi"
)
def test_a_client_that_leaves_in_mid_stream(recorded, framework: str):
    """It counts as left, has no duration, and is no longer active."""

    async def main() -> None:
        client = Client("/stream/x")
        app = frameworks.watched(framework, asyncio.Event().wait)
        task = asyncio.ensure_future(client.serve(app))
        await client.begun.wait()
        assert 1 == recorded.active
        client.left.set()
        await task

    asyncio.run(main())

    assert {f"left GET {frameworks.route(framework, 'stream')}": 1} == recorded.outcomes()
    assert {} == recorded.issues()
    assert 0 == recorded.active


@framework
@pytest.mark.trap(
    "cancelled before a response", "fastapi", "starlette", "litestar", "quart", "asgi"
)
def test_a_cancelled_request_is_no_longer_active(recorded, framework: str):
    """When the server gives a request up it counts as left."""

    async def main() -> None:
        waits = asyncio.Event()

        async def between() -> None:
            waits.set()

        client = Client("/wait/x")
        app = frameworks.watched(framework, between)
        task = asyncio.ensure_future(app(client.scope, client.receive, client.send))
        await waits.wait()
        assert 1 == recorded.active
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    assert 0 == recorded.active
    assert {f"left GET {frameworks.route(framework, 'wait')}": 1} == recorded.outcomes()
    assert {} == recorded.issues()


@framework
@pytest.mark.trap("streaming", "fastapi", "starlette", "litestar", "quart", "asgi")
def test_a_stream_has_two_times(recorded, framework: str):
    """Of a stream both the time to its first byte and that to its end are recorded."""

    async def between() -> None:
        await asyncio.sleep(0.05)

    serve(frameworks.watched(framework, between), "/stream/x")

    route = frameworks.route(framework, "stream")
    total, first = f"answered GET {route} 200", f"first byte {route}"
    assert {total: 1} == recorded.outcomes()
    assert {first: 1} == recorded.also
    assert recorded.seconds[total] - recorded.seconds[first] >= 0.05


@framework
@pytest.mark.trap("queue time", "fastapi", "starlette", "litestar", "quart", "asgi")
@pytest.mark.parametrize("header", [b"x-request-start", b"x-queue-start"])
def test_the_time_in_a_proxys_queue_is_recorded(recorded, framework: str, header: bytes):
    """A proxy that says when a request came to it tells how long it waited for us."""
    sent = f"t={time.time() - 30:.3f}".encode()
    serve(frameworks.watched(framework), "/ok/x", (header, sent))

    queued = f"queued {frameworks.route(framework, 'ok')}"
    recorded.outcomes()
    assert 1 == recorded.also[queued]
    assert 29 < recorded.seconds[queued] < 300


@framework
@pytest.mark.trap("websockets and lifespan", "fastapi", "starlette", "litestar", "quart", "asgi")
def test_a_websocket_is_counted_with_its_messages(recorded, framework: str):
    """A websocket is no request: it has a duration, and messages in and out."""
    sent: list[dict] = []
    waiting = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "hi"},
        {"type": "websocket.disconnect", "code": 1000},
    ]
    closed = asyncio.Event()

    async def receive() -> dict:
        if len(waiting) == 1:
            await closed.wait()
        return waiting.pop(0)

    async def send(message: dict) -> None:
        sent.append(message)
        if message["type"] == "websocket.close":
            closed.set()

    scope = {**Client("/ws/x").scope, "type": "websocket", "scheme": "ws", "subprotocols": []}
    del scope["method"]
    asyncio.run(frameworks.watched(framework)(scope, receive, send))

    assert ["hi", "bye"] == [m["text"] for m in sent if m["type"] == "websocket.send"]
    assert {"websockets": 1} == recorded.outcomes()
    route = frameworks.route(framework, "ws")
    assert {
        f"connected {route}": 1,
        f"messages in {route}": 1,
        f"messages out {route}": 2,
    } == recorded.also
