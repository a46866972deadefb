"""Marks and caught errors within real requests: the event tells of which request, for whom."""

import pytest
from asgi_client import TestClient
from fastapi import FastAPI
from flask import Flask

import watchkeeper
from watchkeeper.app import Watchkeeper, forget_current, obtain
from watchkeeper.integrations import watch
from watchkeeper.runtime.marks import hashed_user
from watchkeeper.settings import Settings


@pytest.fixture
def watched():
    """The Watchkeeper of this process, without its thread."""
    made = obtain(Settings(enabled=True, database_url="memory://", service="shop"))
    made.started = True
    yield made
    made.started = False
    forget_current()


MARKS = ("r-1", hashed_user("ada"), {"plan": "pro"})


def sell(user: str) -> str:
    """Catch and report an error, as a view would."""
    watchkeeper.set_user(user)
    watchkeeper.tag(plan="pro")
    try:
        raise ValueError("no stock")
    except ValueError as error:
        watchkeeper.capture_exception(error, order_id=5)
    return "sold out"


def told(wk: Watchkeeper) -> tuple[object, ...]:
    """Return what the one event tells of its request."""
    ((event,)) = wk.issues.take()[1]
    data = event.data
    return event.method, event.route, event.request_id, data["user"], data["tags"]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_caught_error_of_fastapi_knows_its_request(watched: Watchkeeper, is_async: bool):
    """Also where the view runs in a thread of its own."""
    app = FastAPI()

    async def sell_async(user: str) -> str:
        return sell(user)

    app.add_api_route("/sell/{user}", sell_async if is_async else sell, methods=["POST"])
    watch(app)

    answer = TestClient(app).post("/sell/ada", headers={"X-Request-ID": "r-1"})

    assert 200 == answer.status_code
    assert ("POST", "/sell/{user}", *MARKS) == told(watched)


def test_a_caught_error_of_flask_knows_its_request(watched: Watchkeeper):
    """Route, method, request id, user and tags come from the request that runs."""
    app = Flask("shop")
    app.add_url_rule("/sell/<user>", view_func=sell, methods=["POST"])
    watch(app)

    answer = app.test_client().post("/sell/ada", headers={"X-Request-ID": "r-1"})

    assert 200 == answer.status_code
    assert ("POST", "/sell/<user>", *MARKS) == told(watched)


def test_an_error_that_ends_a_request_tells_user_and_tags(watched: Watchkeeper):
    """An unhandled error is captured outside of the framework, and still knows for whom."""
    app = FastAPI()

    def fail(user: str) -> None:
        sell(user)
        raise KeyError(user)

    app.add_api_route("/sell/{user}", fail, methods=["POST"])
    watch(app)

    client = TestClient(app, raise_server_exceptions=False)
    client.post("/sell/ada", headers={"X-Request-ID": "r-1"})

    _, ((_, unhandled)) = watched.issues.take()
    assert MARKS == (unhandled.request_id, unhandled.data["user"], unhandled.data["tags"])
