"""What fails beside requests: websockets, the start and the end of an application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from asgi_client import TestClient
from fastapi import FastAPI, HTTPException, WebSocket
from processes import get, uvicorn
from starlette.websockets import WebSocketDisconnect

import watchkeeper.integrations as integrations
from run_scripts import HERE, opened


@asynccontextmanager
async def no_start(app: FastAPI) -> AsyncIterator[None]:
    raise ValueError("no database")
    yield


@asynccontextmanager
async def no_end(app: FastAPI) -> AsyncIterator[None]:
    yield
    raise ValueError("no database")


@pytest.mark.parametrize("lifespan", [no_start, no_end])
def test_an_exception_of_the_lifespan_is_an_issue(recorded, lifespan):
    """An application that cannot start, or end, says why in one event."""
    app = FastAPI(lifespan=lifespan)
    integrations.watch(app)

    with pytest.raises(ValueError, match="no database"), TestClient(app):
        pass

    assert {"ValueError": 1} == recorded.issues()
    assert "" == recorded.events[0].route


def test_an_exception_of_a_websocket_is_an_issue(recorded):
    """It has its route; a client that leaves is no error."""
    app = FastAPI()
    integrations.watch(app)

    @app.websocket("/orders/{key}")
    async def orders(socket: WebSocket, key: int) -> None:
        await socket.accept()
        await socket.receive_text()
        raise ValueError("no database")

    client = TestClient(app)
    left, failed = (client.websocket_connect("/orders/1") for _ in range(2))
    left.__enter__().close()
    with pytest.raises(WebSocketDisconnect):
        left.__exit__(None, None, None)
    failed.__enter__().send_text("?")
    with pytest.raises(ValueError, match="no database"):
        failed.__exit__(None, None, None)

    assert {"ValueError": 1} == recorded.issues()
    assert "/orders/{key}" == recorded.events[0].route


def test_an_answer_that_does_not_fit_is_an_issue(recorded):
    """FastAPI's check of an answer raises what nobody catches."""
    app = FastAPI()
    integrations.watch(app)

    @app.get("/orders", response_model=int)
    async def orders() -> str:
        return "many"

    assert 500 == TestClient(app, raise_server_exceptions=False).get("/orders").status_code

    assert {"ResponseValidationError": 1} == recorded.issues()


def test_answers_below_500_are_no_issues(recorded):
    """Neither a refusal nor a question that does not fit."""
    app = FastAPI()
    integrations.watch(app)

    @app.get("/orders/{key}")
    async def orders(key: int) -> None:
        raise HTTPException(404)

    client = TestClient(app)
    assert [404, 422] == [client.get(f"/orders/{key}").status_code for key in ("1", "x")]

    assert {} == recorded.issues()


SHOP = """
import logging
from contextlib import asynccontextmanager
import watchkeeper
from fastapi import FastAPI

@asynccontextmanager
async def lifespan(app):
    yield
    raise ValueError("no end")

app = FastAPI(lifespan=lifespan)
watchkeeper.watch(app, watchkeeper.Settings(service="nightly"))

@app.get("/")
async def home():
    return "ok"

@app.get("/fail")
async def fail():
    raise ValueError("no paper")
"""


def test_what_a_server_logs_as_well_counts_once(tmp_path):
    """uvicorn logs what it gets from the application, by loggers that do not propagate."""
    (tmp_path / "shop.py").write_text(SHOP)

    with uvicorn("shop:app", folder=tmp_path) as server:
        for _ in range(3):
            assert 500 == get(f"{server.url}/fail")[0]

    store = opened(tmp_path)
    found = {one.title: one.count for one in store.issues(**HERE, seen_since=0, limit=10)}
    store.close()
    assert {"ValueError: no paper": 3, "ValueError: no end": 1} == {
        title: count for title, count in found.items() if title.startswith("ValueError")
    }
    assert set(found) <= {
        "ValueError: no paper",
        "ValueError: no end",
        "error: Application shutdown failed. Exiting.",
    }
