"""What a user can say about requests: their names, what is bad, what may be stored."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from asgi_client import TestClient
from fastapi import FastAPI, HTTPException
from flask import Flask, abort

import watchkeeper.integrations as integrations
from watchkeeper.app import Watchkeeper, forget_current, obtain
from watchkeeper.core.histogram import Histogram
from watchkeeper.runtime.before_store import BeforeStore
from watchkeeper.settings import Settings


class SoldOutError(Exception):
    """Something that the shop expects now and then."""


def fastapi() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{key}")
    def item(key: int) -> dict[str, int]:
        return {"key": key}

    @app.get("/busy")
    def busy() -> None:
        raise HTTPException(429)

    @app.get("/closed")
    def closed() -> None:
        raise HTTPException(503)

    @app.get("/sold-out")
    def sold_out() -> None:
        raise SoldOutError("no socks left")

    @app.get("/slow")
    def slow() -> str:
        time.sleep(0.05)
        return "at last"

    return app


def flask() -> Flask:
    app = Flask("shop")

    @app.get("/items/<int:key>")
    def item(key: int) -> dict[str, int]:
        return {"key": key}

    @app.get("/busy")
    def busy() -> None:
        abort(429)

    @app.get("/closed")
    def closed() -> None:
        abort(503)

    @app.get("/sold-out")
    def sold_out() -> None:
        raise SoldOutError("no socks left")

    @app.get("/slow")
    def slow() -> str:
        time.sleep(0.05)
        return "at last"

    return app


class Shop:
    """A watched application, asked in process."""

    def __init__(self, make: Callable[[], FastAPI | Flask], watchkeeper: Watchkeeper) -> None:
        app = make()
        integrations.watch(app)
        self.watchkeeper = watchkeeper
        self.item = "/items/{key}" if isinstance(app, FastAPI) else "/items/<int:key>"
        if isinstance(app, FastAPI):
            self._client = TestClient(app, raise_server_exceptions=False)
        else:
            self._client = app.test_client()

    def get(self, path: str, **headers: str) -> int:
        """Ask for a path and read the answer; return the status."""
        answer = self._client.get(path, headers=headers)
        assert answer.text
        return answer.status_code

    def counts(self) -> dict[tuple[str, str], float]:
        """Return what was counted since the last call, by the metric's and the route's name."""
        counts: dict[tuple[str, str], float] = {}
        for series, value in self.watchkeeper.recorder.take().items():
            if series.metric.startswith("http_server_"):
                key = series.metric.removeprefix("http_server_"), series.label("route")
                counts[key] = counts.get(key, 0) + (
                    value.count if isinstance(value, Histogram) else value
                )
        return counts


@pytest.fixture(params=[fastapi, flask], ids=["fastapi", "flask"])
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Shop]]:
    """Makes a watched shop with settings; its threads do not run."""
    monkeypatch.setattr(Watchkeeper, "start", lambda self: None)

    def make(**settings: object) -> Shop:
        made = obtain(Settings(enabled=True, database_url=str(tmp_path / "wk.db"), **settings))
        made.started = True
        return Shop(request.param, made)

    yield make
    made = obtain()
    made.started = False
    forget_current()


def test_a_status_can_be_bad(shop):
    """A 429 counts as bad where the settings say so, and is stored as a failed request."""
    one = shop(bad_statuses=["5xx", 429])

    assert [429, 200] == [one.get("/busy"), one.get("/items/1")]

    assert {
        ("request_duration_seconds", "/busy"): 1,
        ("request_duration_seconds", one.item): 1,
        ("bad_requests_total", "/busy"): 1.0,
    } == one.counts()
    assert {"/busy": "failed", one.item: "ordinary"} == {
        sample.route: sample.reason for sample in one.watchkeeper.sampler.take()
    }


def test_a_server_error_can_be_excused(shop):
    """A route that answers 503 on purpose says so; it is no failed request then."""
    one = shop(routes={"/closed": {"bad_statuses": []}})

    one.get("/closed")

    assert {
        ("request_duration_seconds", "/closed"): 1,
        ("excused_requests_total", "/closed"): 1.0,
    } == one.counts()
    assert [] == one.watchkeeper.sampler.take()


def test_an_expected_exception_is_neither_issue_nor_bad_request(shop):
    """It is answered with 500 as ever, and taken out of the error rate."""
    one = shop(expected_exceptions=[SoldOutError])

    assert 500 == one.get("/sold-out")

    assert {
        ("request_duration_seconds", "/sold-out"): 1,
        ("excused_requests_total", "/sold-out"): 1.0,
    } == one.counts()
    assert ([], []) == one.watchkeeper.issues.take()
    assert [] == one.watchkeeper.sampler.take()


def test_a_slow_answer_can_be_bad(shop):
    """An answer that took longer than the route may counts as bad."""
    one = shop(routes={"/slow": {"bad_above": "20ms"}})

    one.get("/slow")

    assert 1.0 == one.counts()["bad_requests_total", "/slow"]


def test_a_failed_request_is_stored_with_its_issue(shop):
    """The sample names the issue, so that one leads to the other."""
    one = shop()

    one.get("/sold-out", **{"X-Request-ID": "abc-1"})

    (issue,) = one.watchkeeper.issues.take()[0]
    (sample,) = one.watchkeeper.sampler.take()
    assert ("failed", "/sold-out", 500, "abc-1", issue.fingerprint) == (
        sample.reason,
        sample.route,
        sample.status,
        sample.request_id,
        sample.fingerprint,
    )


def test_requests_can_be_named(shop):
    """What the callback returns is the route; None leaves it, an empty text leaves it out."""

    def name(seen) -> str | None:
        if seen.path == "/busy":
            return ""
        return f"shop {seen.method} {seen.route}" if seen.route else "/nowhere"

    one = shop(route_name=name)

    for path in ("/items/1", "/busy", "/no/such/page"):
        one.get(path)

    assert {
        ("request_duration_seconds", f"shop GET {one.item}"): 1,
        ("request_duration_seconds", "/nowhere"): 1,
    } == one.counts()


def test_a_callback_that_fails_breaks_no_request(shop):
    """The fault is ours to swallow; the request is answered."""

    def name(seen) -> str:
        raise RuntimeError("no names today")

    assert 200 == shop(route_name=name).get("/items/1")


def test_queue_time_is_recorded_where_a_proxy_tells_it(shop):
    """The time between proxy and application has its own metric and is on the sample."""
    one = shop()
    since = f"t={time.time() - 2.0:.3f}"

    one.get("/items/1", **{"X-Request-Start": since})

    assert 1 == one.counts()["request_queue_seconds", one.item]
    (sample,) = one.watchkeeper.sampler.take()
    assert 1.5 < sample.data["queue_s"] < 60


def test_an_event_or_sample_can_be_changed_or_dropped(shop):
    """The callback sees each with its kind; what it returns is stored, None is not."""
    seen = []

    def before_store(item):
        seen.append(item["kind"])
        if item["kind"] == "sample":
            return None
        item["data"]["message"] = "(removed)"
        return item

    one = shop()
    one.get("/sold-out")
    asked = BeforeStore(before_store)

    (event,) = asked.events(one.watchkeeper.issues.take()[1])
    samples = asked.samples(one.watchkeeper.sampler.take())

    assert ["event", "sample"] == seen
    assert "(removed)" == event.data["message"]
    assert [] == samples
    assert 0 == asked.dropped


@pytest.mark.parametrize(
    "faulty", [lambda item: 1 / 0, lambda item: {}, lambda item: item | {"data": object()}]
)
def test_what_the_callback_could_not_see_to_is_not_stored(shop, faulty):
    """An item for which it fails is dropped and counted: it may hold what must not be kept."""
    one = shop()
    one.get("/sold-out")
    asked = BeforeStore(faulty)

    assert [] == asked.events(one.watchkeeper.issues.take()[1])
    assert 1 == asked.dropped


def test_what_nobody_waits_for_is_counted_as_one(shop):
    """A quiet route is folded into one series with all others, and never sampled."""
    one = shop(quiet_routes=["/slow", "/busy"])

    for path in ("/slow", "/busy", "/items/1"):
        one.get(path)

    assert {
        ("request_duration_seconds", "(quiet)"): 2,
        ("request_duration_seconds", one.item): 1,
    } == one.counts()
    assert [one.item] == [sample.route for sample in one.watchkeeper.sampler.take()]


def test_a_sample_and_its_error_have_the_same_request_id(shop):
    """Where the client sent none, one is made, for both."""
    one = shop()

    one.get("/sold-out")

    (event,) = one.watchkeeper.issues.take()[1]
    (sample,) = one.watchkeeper.sampler.take()
    assert 32 == len(event.request_id)
    assert event.request_id == sample.request_id
