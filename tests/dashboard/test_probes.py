"""The three probes: what they answer, to whom, and that they never wait."""

import json
import threading
import time
from typing import Any

import pytest

from watchkeeper.core.health import warn
from watchkeeper.dashboard.http import Response
from watchkeeper.dashboard.probes import probe
from watchkeeper.runtime.checks import Check, make_check
from watchkeeper.runtime.health import Health

NOW = 1_700_000_000.0


def fine() -> int:
    return 3


def broken() -> None:
    raise ConnectionError("refused")


def watched(*checks: Check, times: int = 3) -> Health:
    """Health whose checks ran so often, all at NOW."""
    health = Health(checks, clock=lambda: NOW)
    health.started = True
    for turn in range(times):
        health.run_due(NOW + 30 * turn)
        deadline = time.monotonic() + 10
        while health._running:
            assert time.monotonic() < deadline
            time.sleep(0.002)
    return health


def ask(health: Health, path: str, *, detailed: bool = False) -> tuple[int, Any]:
    response = probe(health, path, now=NOW, detailed=detailed)
    assert isinstance(response, Response)
    headers = dict(response.headers)
    assert "application/health+json" == headers["content-type"]
    assert "no-store" == headers["cache-control"]
    return response.status, json.loads(response.body)


def test_the_whole_in_the_form_of_the_draft():
    """Every check is told with status, time and how long it took."""
    health = watched(
        make_check("search", fine),
        make_check("mail", lambda: warn("slow"), critical=False),
        make_check("pay", broken, critical=False, component="datastore"),
    )

    status, content = ask(health, "/health", detailed=True)

    for checks in content["checks"].values():
        assert 0 <= checks[0].pop("observedValue")
    assert (200, "warn") == (status, content["status"])
    usual = {"time": "2023-11-14T22:13:20.000Z", "observedUnit": "ms"}
    assert {
        "search:responseTime": [
            {
                "componentType": "component",
                "status": "pass",
                "critical": True,
                "output": "3",
                **usual,
            }
        ],
        "mail:responseTime": [
            {
                "componentType": "component",
                "status": "warn",
                "critical": False,
                "output": "slow",
                **usual,
            }
        ],
        "pay:responseTime": [
            {
                "componentType": "datastore",
                "status": "fail",
                "critical": False,
                "output": "ConnectionError: refused",
                **usual,
            }
        ],
    } == content["checks"]


def test_a_critical_failure_is_503():
    """The whole fails with a critical check."""
    assert (503, {"status": "fail"}) == ask(watched(make_check("pay", broken)), "/health")


def test_a_check_that_never_ran_is_not_green():
    """Unknown is a warning that says so."""
    status, content = ask(watched(make_check("pay", fine), times=0), "/health", detailed=True)

    assert (200, "warn") == (status, content["status"])
    assert {
        "componentType": "component",
        "status": "warn",
        "critical": True,
        "output": "unknown: has not run yet",
    } == content["checks"]["pay:responseTime"][0]


def test_details_are_for_those_signed_in():
    """Others see one word."""
    health = watched(make_check("search", fine))

    assert (200, {"status": "pass"}) == ask(health, "/health")
    assert (200, {"status": "pass"}) == ask(health, "/livez")
    assert (200, {"status": "pass"}) == ask(health, "/readyz")


def test_alive_and_ready_depend_on_no_check():
    """A database that is away takes no process out of service."""
    health = watched(make_check("database", broken))

    assert 200 == ask(health, "/livez")[0]
    assert 200 == ask(health, "/readyz")[0]


@pytest.mark.parametrize(
    ("started", "draining", "expected"),
    [
        (True, False, (200, {"status": "pass"})),
        (False, False, (503, {"status": "fail", "output": "not started"})),
        (True, True, (503, {"status": "fail", "output": "draining"})),
    ],
)
def test_ready_from_start_to_draining(started: bool, draining: bool, expected: tuple[int, Any]):
    """Not ready before the start and after the call to end."""
    health = watched()
    health.started, health.draining = started, draining

    assert expected == ask(health, "/readyz", detailed=True)
    assert 200 == ask(health, "/livez")[0]


def test_no_probe_waits_for_a_check():
    """While a check hangs, every probe answers from memory."""
    free = threading.Event()
    health = Health([make_check("search", lambda: free.wait(20))], clock=lambda: NOW)
    health.started = True
    health.run_due(NOW)

    answers = [ask(health, path)[0] for path in ("/livez", "/readyz", "/health")]
    still_running = health._running
    free.set()

    assert [200, 200, 200] == answers
    assert 1 == still_running


def test_other_paths_are_no_probes():
    """Whoever asks for something else gets it elsewhere."""
    assert probe(watched(), "/", now=NOW, detailed=False) is None
    assert probe(watched(), "/livez/x", now=NOW, detailed=False) is None
