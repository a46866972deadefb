"""From a request to the JSON API: what a real application did inside is read back over HTTP."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from receivers import Receiver
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import QueuePool

import watchkeeper
from watchkeeper.app import Watchkeeper, current, forget_current
from watchkeeper.settings import Settings

FIND = "SELECT name FROM items WHERE id = :id"


@pytest.fixture
def shop_database(tmp_path: Path) -> Iterator[Engine]:
    """Open the application's own database, with a pool of two connections."""
    engine = create_engine(
        f"sqlite:///{tmp_path / 'shop.db'}", poolclass=QueuePool, pool_size=2, max_overflow=0
    )
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)"))
        connection.execute(text("INSERT INTO items VALUES (7, 'tea')"))
    yield engine
    engine.dispose()


@pytest.fixture
def client(tmp_path: Path, shop_database: Engine) -> Iterator[FlaskClient]:
    """Watch an application that asks its database, another service and itself."""
    app = Flask("shop")

    with Receiver() as payments:

        @app.get("/cart/<user>")
        def cart(user: str) -> str:
            with shop_database.connect() as connection:
                for _ in range(12):
                    connection.execute(text(FIND), {"id": 7})
            requests.post(payments.url, data=b"{}", timeout=10)
            with watchkeeper.span("pricing"):
                time.sleep(0.002)
            return user

        @app.get("/broken")
        def broken() -> str:
            raise KeyError("sku")

        watchkeeper.watch(
            app,
            Settings(
                enabled=True,
                database_url=f"sqlite:///{tmp_path / 'watchkeeper.db'}",
                service="shop",
                release="v7",
                open_access=True,
                instruments={"sqlalchemy": True, "requests": True},
            ),
        )
        yield app.test_client()
        forget_current()


def watched() -> Watchkeeper:
    """Return the Watchkeeper of the application."""
    wk = current()
    assert wk is not None
    return wk


def read(client: FlaskClient, address: str) -> Any:
    """Ask the application's own API."""
    answer = client.get(f"/watchkeeper/api/v1/{address}")
    assert 200 == answer.status_code, answer.get_data(as_text=True)
    return answer.get_json()


def test_what_happened_inside_is_read_back(client: FlaskClient):
    """Routes, statements, calls, the pool and the waterfall of a request, over HTTP."""
    client.get("/cart/ann", headers={"X-Request-ID": "req-ann"}, buffered=True)
    assert 500 == client.get("/broken", buffered=True).status_code
    watched().flush()

    by_route = {one["route"]: one for one in read(client, "routes.json")["routes"]}
    cart, broken = by_route["/cart/<user>"], by_route["/broken"]
    assert (1, 1.0, 0.0) == (cart["requests"], broken["error_rate"], broken["apdex"])
    assert 12.0 == cart["inside"]["calls_per_request"]["db"]
    assert 1.0 == cart["inside"]["calls_per_request"]["http"]
    assert 0.0 == broken["inside"]["calls_per_request"]["db"]
    assert cart["inside"]["seconds"]["own"] >= 0.002
    assert ["SELECT name FROM items WHERE id = ?"] == [
        one["text"] for one in cart["inside"]["repeated"]
    ]

    found = read(client, "statements.json")["statements"]
    (statement,) = (one for one in found if one["text"] == "SELECT name FROM items WHERE id = ?")
    assert ("sqlite", "SELECT", 12) == (
        statement["db"],
        statement["operation"],
        statement["count"],
    )
    assert [{"route": "/cart/<user>", "count": 12}] == statement["routes"]
    assert [{"route": "/cart/<user>", "count": 1}] == statement["repeated"]
    assert statement["callers"][0].split(":")[1].endswith("cart")

    (call,) = read(client, "outgoing.json")["outgoing"]
    assert ("POST", 1, 0) == (call["method"], call["count"], call["failures"])

    rows = {one["route"]: one for one in read(client, "samples.json")["samples"]}
    assert ("ordinary", "req-ann", 12) == (
        rows["/cart/<user>"]["reason"],
        rows["/cart/<user>"]["request_id"],
        rows["/cart/<user>"]["kinds"]["db"]["count"],
    )
    assert ("failed", 500) == (rows["/broken"]["reason"], rows["/broken"]["status"])
    assert 1 == rows["/broken"]["issue"]

    sample = read(client, f"samples/{rows['/cart/<user>']['id']}.json")
    spans = sample["spans"]
    assert 14 == len(spans)
    assert ["db"] * 12 + ["http", "own"] == [one["kind"] for one in spans]
    assert "pricing" == spans[-1]["name"]
    assert statement["fingerprint"] == spans[0]["statement"]
    starts = [one["start_s"] for one in spans]
    assert sorted(starts) == starts
    assert all(
        one["start_s"] + one["seconds"] <= sample["sample"]["duration_s"] + 1e-5 for one in spans
    )
    assert ("complete", 1, "v7") == (
        sample["details"],
        sample["worker"]["number"],
        sample["sample"]["release"],
    )

    own = read(client, "self.json")
    assert (2, []) == (own["sampling_level"], own["folded"])
    assert 0 < own["stored_bytes"]
