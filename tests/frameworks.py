"""One small application in each framework, all of the same routes: what is true of all of them.

Every route has a name at its end: /ok/{name}, /fail/{name}, /wait/{name} (until cancelled),
/stream/{name} (two parts), /break/{name} (a stream that fails), /late/{name} (work after the
response, that fails), /upload/{name} (the number of bytes that came) and the websocket /ws/{name}.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

Application = Callable[..., Awaitable[None]]
Between = Callable[[], Awaitable[object]]  # awaited by what takes its time

NAMES: Final = ("fastapi", "starlette", "litestar", "quart", "asgi")


async def nothing() -> None:
    """Go on at once."""


def parts(between: Between, *, fail: bool) -> AsyncIterator[bytes]:
    """Make a stream of two parts, or of one and an exception."""

    async def stream() -> AsyncIterator[bytes]:
        yield b"a"
        await between()
        if fail:
            raise KeyError("stream")
        yield b"b"

    return stream()


async def late(between: Between) -> None:
    """Work after the response, and fail."""
    await between()
    raise KeyError("late")


async def wait(between: Between) -> None:
    """Wait for ever."""
    await between()
    await asyncio.Event().wait()


def make(framework: str, between: Between = nothing) -> Application:
    """Make the application in a framework; it is not watched yet."""
    makers: dict[str, Callable[[Between], Any]] = {
        "fastapi": _fastapi,
        "starlette": _starlette,
        "litestar": _litestar,
        "quart": _quart,
        "asgi": _Asgi,
    }
    return makers[framework](between)


def watched(framework: str, between: Between = nothing) -> Application:
    """Make the application in a framework, watched as its users do it."""
    import watchkeeper

    app = make(framework, between)
    if framework == "asgi":
        return watchkeeper.asgi(app)
    watchkeeper.watch(app)
    return app


def route(framework: str, what: str) -> str:
    """Return the template of a route as its framework writes it."""
    name = {"litestar": "{name:str}", "quart": "<name>"}.get(framework, "{name}")
    return "(unmatched)" if framework == "asgi" else f"/{what}/{name}"


def _fastapi(between: Between) -> Any:
    from fastapi import BackgroundTasks, FastAPI, Request, WebSocket
    from starlette.responses import StreamingResponse

    app = FastAPI()

    @app.get("/ok/{name}")
    async def ok(name: str) -> str:
        return name

    @app.get("/fail/{name}")
    async def fail(name: str) -> None:
        raise KeyError(name)

    @app.get("/wait/{name}")
    async def waiting(name: str) -> None:
        await wait(between)

    @app.get("/stream/{name}")
    async def stream(name: str) -> StreamingResponse:
        return StreamingResponse(parts(between, fail=False))

    @app.get("/break/{name}")
    async def broken(name: str) -> StreamingResponse:
        return StreamingResponse(parts(between, fail=True))

    @app.get("/late/{name}")
    async def later(name: str, tasks: BackgroundTasks) -> str:
        tasks.add_task(late, between)
        return name

    @app.post("/upload/{name}")
    async def upload(name: str, request: Request) -> int:
        return len(await request.body())

    @app.websocket("/ws/{name}")
    async def echo(websocket: WebSocket, name: str) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.send_text("bye")
        await websocket.close()

    return app


def _starlette(between: Between) -> Any:
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Route, WebSocketRoute
    from starlette.websockets import WebSocket

    async def ok(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    async def fail(request: Request) -> PlainTextResponse:
        raise KeyError("fail")

    async def waiting(request: Request) -> PlainTextResponse:
        await wait(between)
        return PlainTextResponse("never")

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(parts(between, fail=False))

    async def broken(request: Request) -> StreamingResponse:
        return StreamingResponse(parts(between, fail=True))

    async def later(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok", background=BackgroundTask(late, between))

    async def upload(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.send_text("bye")
        await websocket.close()

    endpoints = {
        "ok": ok,
        "fail": fail,
        "wait": waiting,
        "stream": stream,
        "break": broken,
        "late": later,
    }
    return Starlette(
        routes=[
            *(Route(f"/{name}/{{name}}", endpoint) for name, endpoint in endpoints.items()),
            Route("/upload/{name}", upload, methods=["POST"]),
            WebSocketRoute("/ws/{name}", echo),
        ]
    )


def _litestar(between: Between) -> Any:
    from litestar import Litestar, Request, Response, WebSocket, get, post, websocket
    from litestar.background_tasks import BackgroundTask
    from litestar.params import FromPath
    from litestar.response import Stream

    @get("/ok/{name:str}")
    async def ok(name: FromPath[str]) -> str:
        return name

    @get("/fail/{name:str}")
    async def fail(name: FromPath[str]) -> None:
        raise KeyError(name)

    @get("/wait/{name:str}")
    async def waiting(name: FromPath[str]) -> None:
        await wait(between)

    @get("/stream/{name:str}")
    async def stream(name: FromPath[str]) -> Stream:
        return Stream(parts(between, fail=False))

    @get("/break/{name:str}")
    async def broken(name: FromPath[str]) -> Stream:
        return Stream(parts(between, fail=True))

    @get("/late/{name:str}")
    async def later(name: FromPath[str]) -> Response[str]:
        return Response(name, background=BackgroundTask(late, between))

    @post("/upload/{name:str}")
    async def upload(name: FromPath[str], request: Request) -> int:
        return len(await request.body())

    @websocket("/ws/{name:str}")
    async def echo(socket: WebSocket, name: FromPath[str]) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())
        await socket.send_text("bye")
        await socket.close()

    return Litestar(
        [ok, fail, waiting, stream, broken, later, upload, echo],
        logging_config=None,  # the logging of this process stays as it is
        openapi_config=None,
    )


def _quart(between: Between) -> Any:
    from quart import Quart, Response, request, websocket

    app = Quart(__name__)

    @app.get("/ok/<name>")
    async def ok(name: str) -> str:
        return name

    @app.get("/fail/<name>")
    async def fail(name: str) -> str:
        raise KeyError(name)

    @app.get("/wait/<name>")
    async def waiting(name: str) -> str:
        await wait(between)
        return name

    @app.get("/stream/<name>")
    async def stream(name: str) -> Response:
        return Response(parts(between, fail=False))

    @app.get("/break/<name>")
    async def broken(name: str) -> Response:
        return Response(parts(between, fail=True))

    @app.get("/late/<name>")
    async def later(name: str) -> str:
        app.add_background_task(late, between)
        return name

    @app.post("/upload/<name>")
    async def upload(name: str) -> str:
        return str(len(await request.get_data()))

    @app.websocket("/ws/<name>")
    async def echo(name: str) -> None:
        await websocket.send(await websocket.receive())
        await websocket.send("bye")

    return app


START: Final = {"type": "http.response.start", "status": 200, "headers": []}


class _Asgi:
    """The application in no framework."""

    def __init__(self, between: Between) -> None:
        self.between = between

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        what = scope["path"].split("/")[1] if "path" in scope else scope["type"]
        await getattr(self, f"serve_{what}")(receive, send)

    async def serve_ok(self, receive: Callable, send: Callable) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"ok"})

    async def serve_fail(self, receive: Callable, send: Callable) -> None:
        raise KeyError("fail")

    async def serve_wait(self, receive: Callable, send: Callable) -> None:
        await wait(self.between)

    async def serve_late(self, receive: Callable, send: Callable) -> None:
        await self.serve_ok(receive, send)
        await late(self.between)

    async def serve_upload(self, receive: Callable, send: Callable) -> None:
        message = {"more_body": True}
        while message.get("more_body", False):
            message = await receive()
        if message["type"] == "http.request":
            await self.serve_ok(receive, send)

    async def serve_stream(self, receive: Callable, send: Callable) -> None:
        await self._stream(receive, send, fail=False)

    async def serve_break(self, receive: Callable, send: Callable) -> None:
        await self._stream(receive, send, fail=True)

    async def serve_ws(self, receive: Callable, send: Callable) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        message = await receive()
        await send({"type": "websocket.send", "text": message["text"]})
        await send({"type": "websocket.send", "text": "bye"})
        await send({"type": "websocket.close", "code": 1000})

    async def serve_lifespan(self, receive: Callable, send: Callable) -> None:
        for name in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{name}.complete"})

    async def _stream(self, receive: Callable, send: Callable, *, fail: bool) -> None:
        streaming = asyncio.ensure_future(self._send_parts(send, fail=fail))
        leaving = asyncio.ensure_future(_until_left(receive))
        await asyncio.wait([streaming, leaving], return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if streaming.done():
            streaming.result()
        streaming.cancel()

    async def _send_parts(self, send: Callable, *, fail: bool) -> None:
        await send(START)
        async for part in parts(self.between, fail=fail):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _until_left(receive: Callable) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
