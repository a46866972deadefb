"""Which addresses are ours, and what strangers are told at those of the probes."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from watchkeeper.app import Watchkeeper, forget_current, obtain
from watchkeeper.dashboard.http import Request
from watchkeeper.integrations.own import OwnPages, Page
from watchkeeper.runtime.checks import make_check
from watchkeeper.runtime.health import Health
from watchkeeper.settings import Settings


@pytest.fixture(params=[True, False], ids=["pages", "no pages"])
def own(request, tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnPages]:
    """The pages of a process, with the dashboard or without it, whose check has not run."""
    monkeypatch.setattr(Watchkeeper, "start", lambda self: None)
    settings = Settings(
        enabled=True, database_url=f"sqlite:///{tmp_path}/shop.db", dashboard=request.param
    )
    watchkeeper = obtain(settings)
    watchkeeper.health = Health([make_check("pay", lambda: None)], clock=watchkeeper.clock)
    watchkeeper.health.started = True
    yield OwnPages(watchkeeper)
    forget_current()


@pytest.mark.parametrize("path", ["/livez", "/livez/", "//livez//"])
def test_livez_is_livez_however_it_is_written(own: OwnPages, path: str):
    """It never goes the way of the pages, where threads, the store and `auth` have a say."""
    assert Page("/app/watchkeeper", "/livez") == own.find(f"/watchkeeper{path}", root="/app")


def test_a_stranger_leaves_no_check_out(own: OwnPages):
    """By `exclude` anybody would learn the names of checks, and which of them does not pass."""
    for query in ("", "exclude=pay"):
        response = own.probe(Request(method="GET", root="", path="/health", query=query))

        assert response is not None
        assert {"status": "warn"} == json.loads(response.body)


@pytest.mark.parametrize(
    ("client", "expected"), [("127.0.0.1", ["pay:responseTime"]), ("203.0.113.7", None)]
)
def test_without_a_door_a_probe_is_answered_from_memory(own: OwnPages, client: str, expected):
    """Whoever is let in anyway gets the details, and waits for no page of somebody else's."""
    if not own._pages_on:
        expected = None
    settings = own._watchkeeper.settings
    own._watchkeeper.settings = replace(settings, open_access=True)
    asked = Request(
        method="GET", root="", path="/health", headers={"host": "localhost:8000"}, client=client
    )

    response = own.probe(asked)

    assert response is not None
    checks = json.loads(response.body).get("checks")
    assert expected == (None if checks is None else list(checks))
