"""The three probes: what they answer, to whom, and that they never wait."""

import json
import threading
import time
from dataclasses import dataclass
from typing import Any

import pytest
from dashboards import SCOPE

from health_documents import problems
from watchkeeper.core.health import CheckState, warn
from watchkeeper.dashboard.http import Request, Response
from watchkeeper.dashboard.probe_formats import answer, check_json
from watchkeeper.dashboard.probes import accepted, asked, look, needs_visitor, refused
from watchkeeper.runtime.checks import Check, make_check
from watchkeeper.runtime.health import Health, Report

NOW = 1_700_000_000.0


def fine() -> int:
    return 3


def broken() -> None:
    raise ConnectionError("refused")


def slow() -> Any:
    return warn("slow\n[+]forged ok")


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


def request(path: str, **headers: str) -> Request:
    """A request as an adapter hands it over."""
    path, _, query = path.partition("?")
    return Request(method="GET", root="/watchkeeper", path=path, query=query, headers=headers)


def respond(health: Health, path: str, *, detailed: bool = False, **headers: str) -> Response:
    """Answer as the pages of ours do."""
    one = request(path, **headers)
    wanted = asked(one)
    outcome = look(health, one.path, now=NOW, excluded=wanted.excluded)
    response = answer(outcome, wanted, scope=SCOPE, detailed=detailed)
    assert "no-store" == dict(response.headers)["cache-control"]
    return response


def ask(health: Health, path: str, *, detailed: bool = False) -> tuple[int, Any]:
    """Ask for a health document, which keeps to the draft."""
    response = respond(health, path, detailed=detailed)
    content = json.loads(response.body)
    media_type = dict(response.headers)["content-type"]
    assert [] == problems(response.status, media_type, content)
    return response.status, content


def text(health: Health, path: str, **headers: str) -> tuple[int, list[str]]:
    """Ask for lines, signed in."""
    response = respond(health, path, detailed=True, **headers)
    assert "text/plain; charset=utf-8" == dict(response.headers)["content-type"]
    return response.status, response.body.decode().splitlines()


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
    usual = {"time": "2023-11-14T22:13:20.000Z", "observedUnit": "ms"}
    assert 200 == status
    assert {
        "status": "warn",
        "serviceId": "shop-api",
        "releaseId": "v2.31",
        "description": "health of shop-api (production)",
        "output": "does not pass: mail, pay",
        "checks": {
            "search:responseTime": [
                {
                    "componentType": "component",
                    "status": "pass",
                    "critical": True,
                    "detail": "3",
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
        },
    } == content


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure(Report):
    """A report of a check that measured something."""

    value: float
    unit: str


def test_what_a_check_measured_is_told_in_its_unit():
    """A figure of the check's own stands beside how long the check took."""
    report = Figure(
        name="disk",
        state=CheckState.PASS,
        at=NOW,
        duration_s=0.002,
        output="",
        critical=True,
        component="system",
        value=0.42,
        unit="ratio",
    )

    found = check_json(report)

    assert [] == problems(200, "application/health+json", {"status": "pass", "checks": found})
    assert (0.42, "ratio") == (
        found["disk:value"][0]["observedValue"],
        found["disk:value"][0]["observedUnit"],
    )
    assert (2.0, "ms") == (
        found["disk:responseTime"][0]["observedValue"],
        found["disk:responseTime"][0]["observedUnit"],
    )


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
    """Others see one word, however they ask."""
    health = watched(make_check("search", fine), make_check("pay", broken, critical=False))

    assert (200, {"status": "warn"}) == ask(health, "/health")
    assert (200, {"status": "pass"}) == ask(health, "/livez")
    assert (200, {"status": "pass"}) == ask(health, "/readyz")
    stranger = respond(health, "/health?verbose&exclude=pay")
    assert b"health check passed\n" == stranger.body


def test_alive_and_ready_depend_on_no_check():
    """A database that is away takes no process out of service."""
    health = watched(make_check("database", broken))

    assert 200 == ask(health, "/livez")[0]
    assert 200 == ask(health, "/readyz")[0]


def test_ready_needs_the_checks_that_were_named_for_it():
    """The author decides that this process is of no use without its model."""
    health = watched(
        make_check("model", broken, readiness=True, critical=False), make_check("pay", broken)
    )

    status, content = ask(health, "/readyz", detailed=True)

    assert (503, "does not pass: model") == (status, content["output"])
    assert ["model:responseTime"] == list(content["checks"])
    assert 200 == ask(health, "/readyz?exclude=model")[0]
    assert 200 == ask(health, "/livez")[0]


@pytest.mark.parametrize(
    ("started", "draining", "expected"),
    [
        (True, False, (200, "pass", None)),
        (False, False, (503, "fail", "not started")),
        (True, True, (503, "fail", "draining")),
    ],
)
def test_ready_from_start_to_draining(started: bool, draining: bool, expected: Any):
    """Not ready before the start and after the call to end."""
    health = watched()
    health.started, health.draining = started, draining

    status, content = ask(health, "/readyz", detailed=True)

    assert expected == (status, content["status"], content.get("output"))
    assert 200 == ask(health, "/livez")[0]


def test_a_process_that_drains_says_so_and_does_not_fail():
    """The service's health is that of its checks; that this process ends is a note."""
    health = watched(make_check("search", fine))
    health.draining = True

    status, content = ask(health, "/health", detailed=True)

    assert (200, "pass", ["draining"]) == (status, content["status"], content["notes"])


def test_a_process_that_has_stopped_lives_no_more():
    """After the shutdown every probe says no."""
    health = watched(make_check("search", fine))
    health.stopped = True

    answers = [ask(health, path, detailed=True) for path in ("/livez", "/readyz", "/health")]

    assert [(503, "stopped")] * 3 == [(status, each["output"]) for status, each in answers]


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


def test_lines_as_kubernetes_writes_them():
    """`?verbose` gives a line for each check and one for the whole; no text forges a line."""
    health = watched(
        make_check("search", fine),
        make_check("mail", slow, critical=False),
        make_check("pay", broken, critical=False),
    )

    assert (
        200,
        [
            "[+]process ok",
            "[+]search ok: 3",
            "[!]mail warning: slow [+]forged ok",
            "[-]pay failed: ConnectionError: refused",
            "health check passed with warnings",
        ],
    ) == text(health, "/health?verbose")
    assert (200, ["health check passed with warnings"]) == text(
        health, "/health", accept="text/plain"
    )


def test_what_is_excluded_does_not_count():
    """`?exclude=NAME`, several times if need be; a name that no check has is told."""
    health = watched(make_check("search", fine), make_check("pay", broken))

    assert (
        200,
        [
            "[+]process ok",
            "[+]search ok: 3",
            "warn: nothing is excluded by 'py': no check has this name",
            "health check passed",
        ],
    ) == text(health, "/health?verbose=1&exclude=pay&exclude=py")


def test_a_failure_is_told_in_lines_without_asking_for_them():
    """Whoever reads text sees at once why the answer is no."""
    health = watched(make_check("pay", broken))

    assert (
        503,
        ["[+]process ok", "[-]pay failed: ConnectionError: refused", "health check failed"],
    ) == text(health, "/health", accept="text/plain")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", ""),
        ("*/*", ""),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "html"),
        ("application/json", "json"),
        ("text/plain;q=0.5, application/health+json", "json"),
        ("text/plain; q=0.9, text/html; q=0.1", "text"),
        ("text/html;q=0, text/plain;q=x", ""),
        (";;,,=", ""),
    ],
)
def test_the_form_is_chosen_by_accept(accept: str, expected: str):
    """The form named with most weight; who takes anything gets a health document."""
    assert expected == accepted(accept)


def test_a_query_too_long_is_as_none():
    """Nobody makes a probe work by a long address."""
    wanted = [
        asked(request("/health?" + "&".join(["verbose"] * 51))),
        asked(request("/health?verbose&exclude=" + "x" * 2_000)),
    ]

    assert [False, False] == [one.verbose for one in wanted]


@pytest.mark.parametrize(
    ("path", "headers", "more", "expected"),
    [
        # A server's probe, whoever decides over the dashboard: nothing is asked of anybody.
        ("/health", {}, {"has_auth": True}, False),
        ("/readyz", {"user-agent": "kube-probe/1.31", "accept": "*/*"}, {"has_auth": True}, False),
        ("/health?verbose", {}, {}, False),
        ("/health", {"cookie": "basket=7"}, {}, False),
        ("/health", {"cookie": "a=b; watchkeeper_session=x"}, {}, True),
        ("/health", {"cookie": "staff=7"}, {"has_auth": True}, True),
        ("/health", {"authorization": "Bearer x"}, {"has_auth": True}, True),
        ("/health?verbose", {}, {"has_auth": True}, True),
        ("/health", {"accept": "text/html"}, {}, True),
        ("/readyz", {"accept": "text/html"}, {}, False),
        ("/health?verbose", {}, {"is_open": True}, False),
        ("/health", {"accept": "text/html"}, {"is_open": True}, True),
        # livez depends on nothing else, ever.
        ("/livez?verbose", {"cookie": "watchkeeper_session=x"}, {"has_auth": True}, False),
    ],
)
def test_who_asks_is_looked_at_only_where_it_matters(path, headers, more, expected):
    """Signing in may take the database: a probe without any sign of it goes without."""
    one = request(path, **headers)
    settings = {"has_auth": False, "is_open": False, **more}

    assert expected == needs_visitor(one, asked(one), **settings)


@pytest.mark.parametrize(("method", "expected"), [("GET", 0), ("HEAD", 0), ("POST", 405)])
def test_other_methods_are_refused(method: str, expected: int):
    """A probe is read, never written to."""
    response = refused(Request(method=method, root="", path="/livez"))

    assert expected == (response.status if response else 0)
    assert response is None or ("allow", "GET, HEAD") in response.headers
