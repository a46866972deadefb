"""Under a real server: clients that leave, and a whole application from start to stop."""

import asyncio
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import frameworks
import pytest
import uvicorn
from fastapi import FastAPI

import watchkeeper.integrations as integrations

WAIT_S = 20.0


@contextmanager
def serving(app: Callable) -> Iterator[int]:
    """Serve an application on a free port of loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(WAIT_S)
        listener.close()


def leave(port: int, path: str, *, method: str = "GET", headers: str = "", read: int = 1) -> None:
    """Begin a request, read a little of the answer, and hang up."""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as client:
        client.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
        if read:
            client.recv(read)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    until = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


framework = pytest.mark.parametrize("framework", frameworks.NAMES)


@framework
@pytest.mark.trap(
    "client leaves in mid-stream", "fastapi", "starlette", "litestar", "quart", "asgi"
)
def test_a_client_that_leaves_in_mid_stream(recorded, framework: str):
    """The server raises nothing; the request is a disconnect, and no longer active."""
    app = frameworks.watched(framework, lambda: asyncio.Event().wait())

    with serving(app) as port:
        leave(port, "/stream/x")
        wait_for(lambda: recorded.watchkeeper.recorder.size > 0)
        wait_for(lambda: recorded.active == 0)

    assert {f"left GET {frameworks.route(framework, 'stream')}": 1} == recorded.outcomes()
    assert {} == recorded.issues()


@framework
@pytest.mark.trap(
    "client leaves in mid-stream", "fastapi", "starlette", "litestar", "quart", "asgi"
)
def test_a_client_that_leaves_in_mid_upload(recorded, framework: str):
    """An upload that breaks off is a disconnect, not an error of the application."""
    app = frameworks.watched(framework)

    with serving(app) as port:
        leave(port, "/upload/x", method="POST", headers="Content-Length: 1000\r\n", read=0)
        wait_for(lambda: recorded.watchkeeper.recorder.size > 0)
        wait_for(lambda: recorded.active == 0)

    assert {f"left POST {frameworks.route(framework, 'upload')}": 1} == recorded.outcomes()
    assert {} == recorded.issues()


def test_many_requests_at_once_are_all_counted(recorded):
    """Each request that a client got an answer for is counted once."""
    app = FastAPI()

    @app.get("/sync/{name}")
    def sync(name: str) -> str:
        return name

    integrations.watch(app)
    with serving(app) as port:

        def load() -> None:
            for number in range(50):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/sync/{number}") as answer:
                    answer.read()

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert {"answered GET /sync/{name} 200": 200} == recorded.outcomes()
    assert 0 == recorded.active
