"""Whatever fails inside Watchkeeper, requests are answered as before."""

import pytest
from asgi_client import TestClient
from fastapi import FastAPI, HTTPException
from flask import Flask, abort

import watchkeeper.integrations as integrations
from watchkeeper.app import Watchkeeper
from watchkeeper.dashboard.routes import Dashboard
from watchkeeper.integrations import own
from watchkeeper.integrations.outcomes import Outcomes
from watchkeeper.integrations.templates import Templates
from watchkeeper.runtime.issues import Issues
from watchkeeper.runtime.live import LiveSeries
from watchkeeper.runtime.recorder import Recorder

CALLS = [
    (Recorder, "series"),
    (Recorder, "note_bad"),
    (Recorder, "local_rate"),
    (LiveSeries, "record"),
    (Issues, "capture"),
    (Watchkeeper, "start"),
    (Watchkeeper, "drain"),
    (Watchkeeper, "stop"),
    (Outcomes, "finished"),
    (Outcomes, "broken"),
    (Outcomes, "unhandled"),
    (Outcomes, "disconnected"),
    (Outcomes, "capture"),
    (Templates, "route"),
    (Templates, "_find"),
]


def fails(*args: object, **kwargs: object) -> None:
    raise RuntimeError("a fault of ours")


@pytest.fixture(params=CALLS, ids=lambda call: f"{call[0].__name__}.{call[1]}")
def fault(request, watchkeeper: Watchkeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make one internal call fail, as at the first request of a process."""
    watchkeeper.started = False
    monkeypatch.setattr(watchkeeper.recorder, "slow_s", -1.0)  # every request is worth a note
    monkeypatch.setattr(*request.param, fails)
    yield
    monkeypatch.undo()


def fastapi() -> FastAPI:
    app = FastAPI()

    @app.get("/ok")
    async def ok() -> str:
        return "ok"

    @app.get("/fail")
    async def fail() -> str:
        raise ValueError

    @app.get("/http")
    async def http() -> str:
        raise HTTPException(503)

    return app


def flask() -> Flask:
    app = Flask(__name__)
    app.add_url_rule("/ok", "ok", lambda: "ok")
    app.add_url_rule("/fail", "fail", lambda: 1 / 0)
    app.add_url_rule("/http", "http", lambda: abort(503))
    return app


@pytest.mark.usefixtures("fault")
def test_fastapi_answers_with_any_fault_of_ours():
    """Starting, serving, failing and stopping go on as without us."""
    app = fastapi()
    integrations.watch(app)

    with TestClient(app, raise_server_exceptions=False) as client:
        statuses = [client.get(path).status_code for path in ("/ok", "/fail", "/http", "/no")]

    assert [200, 500, 503, 404] == statuses


@pytest.mark.usefixtures("fault")
def test_flask_answers_with_any_fault_of_ours():
    """Serving and failing go on as without us."""
    app = flask()
    integrations.watch(app)
    client = app.test_client()

    statuses = [
        client.open(path, buffered=True).status_code for path in ("/ok", "/fail", "/http", "/no")
    ]

    assert [200, 500, 503, 404] == statuses


@pytest.mark.parametrize(
    ("where", "name", "path"),
    [
        (Dashboard, "__init__", "/watchkeeper/"),
        (Dashboard, "handle", "/watchkeeper/"),
        (own, "look", "/watchkeeper/livez"),
    ],
)
def test_a_fault_of_our_pages_stays_on_them(
    where: object,
    name: str,
    path: str,
    watchkeeper: Watchkeeper,
    monkeypatch: pytest.MonkeyPatch,
):
    """A broken page answers 500 under its prefix, and only there."""
    monkeypatch.setattr(where, name, fails)
    app, other = fastapi(), flask()
    integrations.watch(app)
    integrations.watch(other)

    for client in (TestClient(app), other.test_client()):
        assert 500 == client.get(path).status_code
        assert 200 == client.get("/ok").status_code
