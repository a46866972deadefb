"""What the JSON API tells of the inside of requests."""

import json
from dataclasses import replace

import pytest
from dashboards import NOW, SCOPE, Browser, minute, requests, series, slot, watched
from stored import sample, statement

from watchkeeper.core import catalogue
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.job_facts import JobFacts, Plan, Run
from watchkeeper.core.metrics import Kind, Metric, Scope
from watchkeeper.core.schedules import Schedule
from watchkeeper.core.slot import Frame, FrameKey, Gauge
from watchkeeper.runtime import job_memory
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import Batch, IssueCount

LISTS = ("routes", "statements", "outgoing", "pools", "jobs")
HERE = {"service": SCOPE.service, "environment": SCOPE.environment}
CHECKOUT = {"method": "POST", "route": "/checkout"}
HALF = pytest.approx(0.5, rel=0.011)
QUARTER = pytest.approx(0.25, rel=0.011)


def ask(store, address, *, now=NOW):
    """Ask for an address of the API and return its content."""
    answer = Browser(watched(store, now=now)).get(f"/api/v1/{address}")
    assert 200 == answer.status, answer.body
    return json.loads(answer.body)


def holding(values):
    """Return a store with one minute of values."""
    store = MemoryStore()
    store.add_frames([minute(NOW - 600, values)])
    return store


def counts(metric, count, **labels):
    """Return a counter's value."""
    return {series(metric, **labels): float(count)}


def times(metric, seconds, **labels):
    """Return a histogram's value."""
    return {series(metric, **labels): Histogram(seconds)}


def level(metric, value, highest=None, **labels):
    """Return a gauge's value."""
    return {series(metric, **labels): Gauge(value, value, highest or value)}


def write(store, *, at=NOW - 30, scope=SCOPE, **more):
    """Write a flush of a new worker; the worker."""
    worker = store.register(scope, host="web-7", pid=1, at=at)
    frame = Frame(key=FrameKey(10, int(at) // 10 * 10, worker.id, 1))
    store.write(Batch(scope=scope, frame=frame, at=at, **more).owned_by(worker.id))
    return worker


class TestEveryAddress:
    """What all of them have in common."""

    @pytest.mark.parametrize("name", [*LISTS, "samples", "self", "samples/" + 32 * "0"])
    def test_it_is_closed(self, name):
        """Without a session nothing is told."""
        browser = Browser(watched(MemoryStore(), release=""))

        answer = browser.get(f"/api/v1/{name}.json")

        assert (403, b'{"error":"closed"}') == (answer.status, answer.body)

    @pytest.mark.parametrize("name", LISTS)
    def test_it_says_what_it_is_about(self, name):
        """The window begins with a minute; how much of it has data is told."""
        store = holding(requests([0.1]))
        store.add_frames([slot(NOW - 20, requests([0.1]))])

        window = ask(store, f"{name}.json?range=900s&end={int(NOW) - 5}")["window"]

        assert {
            "service": "shop-api",
            "environment": "production",
            "at": NOW,
            "start": NOW - 960,
            "end": NOW - 5,
            "covered_s": 70.0,
        } == window

    @pytest.mark.parametrize("name", LISTS)
    def test_without_data_lists_are_empty(self, name):
        """Where nothing was recorded no row is made up."""
        content = ask(MemoryStore(), f"{name}.json")

        assert (0, [], 0.0) == (content["total"], content[name], content["window"]["covered_s"])

    @pytest.mark.parametrize("name", LISTS)
    def test_another_service_does_not_show(self, name):
        """Frames of all workers hold several services; only the own one is read."""
        other = Scope(service="other", environment="production")
        values = {
            series(catalogue.HTTP_DURATION, other, **CHECKOUT, status="200"): Histogram([1.0]),
            series(catalogue.DB_STATEMENT, other, db="sqlite", statement="a1"): Histogram([1.0]),
            series(catalogue.HTTP_CLIENT, other, host="h", method="GET", status="200"): Histogram(
                [1.0]
            ),
            series(catalogue.DB_WAIT, other, pool="p"): Histogram([1.0]),
            series(catalogue.JOB_DURATION, other, job="j", outcome="ok"): Histogram([1.0]),
        }

        assert [] == ask(holding(values), f"{name}.json")[name]

    @pytest.mark.parametrize(
        "query",
        [
            "limit=0",
            "limit=501",
            "limit=x",
            "limit=-1",
            "limit=%D9%A1",
            "offset=1001",
            "offset=" + "9" * 40,
            "range=2weeks",
        ],
    )
    def test_what_cannot_be_read_is_refused(self, query):
        """A wrong parameter is told in a sentence."""
        answer = Browser(watched(MemoryStore())).get(f"/api/v1/statements.json?{query}")

        assert 400 == answer.status
        assert json.loads(answer.body)["error"]

    def test_a_list_comes_in_pages(self):
        """`limit` and `offset` choose rows; `total` tells how many there are."""
        values = {}
        for number in range(5):
            values |= requests([0.1 * (number + 1)], route=f"/{number}")

        content = ask(holding(values), "routes.json?limit=2&offset=1")

        assert 5 == content["total"]
        assert ["/3", "/2"] == [one["route"] for one in content["routes"]]

    def test_an_unknown_address_is_not_found(self):
        """A path that is none of the API's says so."""
        browser = Browser(watched(MemoryStore()))

        assert 404 == browser.get("/api/v1/nothing.json").status
        assert 404 == browser.get("/api/v1/samples/xyz.json").status

    def test_minutes_slots_and_releases_add_up(self):
        """Rolled-up minutes and younger slots, workers and releases are one sum."""
        newer = Scope(service=SCOPE.service, environment=SCOPE.environment, release="v3")
        labels = {"db": "sqlite", "statement": "a1"}
        store = MemoryStore()
        store.add_frames(
            [
                minute(NOW - 120, times(catalogue.DB_STATEMENT, [0.1] * 6, **labels)),
                slot(NOW - 120, times(catalogue.DB_STATEMENT, [0.1] * 6, **labels)),
                slot(NOW - 30, times(catalogue.DB_STATEMENT, [0.1], **labels)),
                slot(NOW - 30, times(catalogue.DB_STATEMENT, [0.1], **labels), worker=2),
                slot(
                    NOW - 20,
                    {series(catalogue.DB_STATEMENT, newer, **labels): Histogram([0.1])},
                ),
            ]
        )

        (row,) = ask(store, "statements.json")["statements"]

        assert (9, pytest.approx(0.9)) == (row["count"], row["seconds"])


def test_every_store_tells_the_same(store):
    """What was written is read from a file and from a server as from memory."""
    labels = {"db": "postgresql", "statement": "00000000000000a1"}
    values = {
        **requests([0.5] * 4, **CHECKOUT),
        **times(catalogue.HTTP_INSIDE, [0.25] * 4, kind="db", route="/checkout"),
        **counts(catalogue.HTTP_CALLS, 8, kind="db", route="/checkout"),
        **times(catalogue.DB_STATEMENT, [0.125] * 8, **labels),
        **level(catalogue.DB_CONNECTIONS, 2.0, pool="main", state="used"),
    }
    store.add_frames([minute(NOW - 600, values)])
    write(store, statements=[statement()], samples=[sample(1, at=NOW - 40)])

    (route,) = ask(store, "routes.json")["routes"]
    (row,) = ask(store, "statements.json")["statements"]
    (pool,) = ask(store, "pools.json")["pools"]
    found = ask(store, f"samples/{1:032x}.json")

    assert {"db": 1.0, "http": None, "cache": None, "own": 1.0} == route["inside"]["seconds"]
    assert {"db": 2.0, "http": None, "cache": None} == route["inside"]["calls_per_request"]
    assert ("SELECT * FROM orders WHERE id = ?", 1.0, 8) == (
        row["text"],
        row["seconds"],
        row["count"],
    )
    assert 2.0 == pool["latest"]["used"]
    assert {"number": 1, "host": "web-7"} == found["worker"]
    assert 0 < ask(store, "self.json")["stored_bytes"]


class TestRoutes:
    """Routes with what happened inside."""

    def test_a_route_tells_how_it_did(self):
        """Rate, errors, percentiles and the share of all time, by method and route."""
        values = {
            **requests([0.5] * 90, **CHECKOUT),
            **requests([0.25] * 10, **CHECKOUT, status="503"),
            **requests([0.5] * 5),
            **counts(catalogue.HTTP_BROKEN, 2, **CHECKOUT),
            **counts(catalogue.HTTP_UNHANDLED, 1, **CHECKOUT),
            **counts(catalogue.HTTP_BAD, 4, **CHECKOUT),
            **counts(catalogue.HTTP_EXCUSED, 3, **CHECKOUT),
            **counts(catalogue.HTTP_DISCONNECTS, 12, **CHECKOUT),
        }

        first, second = ask(holding(values), "routes.json")["routes"]

        assert ("POST", "/checkout", "GET", "/") == (
            first["method"],
            first["route"],
            second["method"],
            second["route"],
        )
        assert (112, pytest.approx(112 / 60)) == (first["requests"], first["requests_per_s"])
        assert (14, 0.125) == (first["errors"], first["error_rate"])
        assert (HALF, HALF, HALF) == (first["p50_s"], first["p95_s"], first["p99_s"])
        assert (pytest.approx(47.5), 0.95) == (first["seconds"], first["time_share"])
        assert (0, 0.0) == (second["errors"], second["error_rate"])

    def test_a_route_whose_clients_all_left_has_no_duration(self):
        """Unknown is never 0: without an answer there is no percentile and no Apdex."""
        values = counts(catalogue.HTTP_DISCONNECTS, 4, **CHECKOUT)

        (row,) = ask(holding(values), "routes.json")["routes"]

        assert (4, None, None, None) == (
            row["requests"],
            row["p50_s"],
            row["apdex"],
            row["time_share"],
        )

    def test_apdex_is_for_any_threshold(self):
        """Satisfied up to the threshold, tolerating up to four times it; failed are frustrated."""
        values = {
            **requests([0.1] * 60 + [0.9] * 20, **CHECKOUT),
            **requests([0.1] * 20, **CHECKOUT, status="500"),
            **requests([0.1] * 100),
        }
        store = holding(values)

        usual, generous = ask(store, "routes.json"), ask(store, "routes.json?apdex=1s")

        assert (0.5, 1.0) == (usual["apdex_threshold_s"], generous["apdex_threshold_s"])
        assert [pytest.approx(0.7), 1.0] == [one["apdex"] for one in usual["routes"]]
        assert [pytest.approx(0.8), 1.0] == [one["apdex"] for one in generous["routes"]]
        assert pytest.approx(0.85) == usual["apdex"]

    @pytest.mark.parametrize("threshold", ["0s", "2h", "fast", "500 ms"])
    def test_a_threshold_that_makes_no_sense_is_refused(self, threshold):
        """The threshold is a duration between a millisecond and an hour."""
        browser = Browser(watched(MemoryStore()))

        answer = browser.get(f"/api/v1/routes.json?apdex={threshold.replace(' ', '%20')}")

        assert (400, "apdex") == (answer.status, json.loads(answer.body)["error"][:5])

    def test_time_is_broken_down_by_kind(self):
        """Seconds in databases, calls and caches; own is what is left; calls are per request."""
        values = {
            **requests([0.5] * 10, **CHECKOUT),
            **requests([0.5] * 10, route="/checkout"),
            **times(catalogue.HTTP_INSIDE, [0.25] * 12, kind="db", route="/checkout"),
            **times(catalogue.HTTP_INSIDE, [0.5] * 4, kind="http", route="/checkout"),
            **counts(catalogue.HTTP_CALLS, 50, kind="db", route="/checkout"),
            **counts(catalogue.HTTP_CALLS, 4, kind="http", route="/checkout"),
            **requests([0.25]),
        }

        get, post, other = ask(holding(values), "routes.json")["routes"]

        assert get["inside"] == post["inside"]
        assert {"db": 3.0, "http": 2.0, "cache": None, "own": 5.0} == get["inside"]["seconds"]
        assert {"db": 2.5, "http": 0.2, "cache": None} == get["inside"]["calls_per_request"]
        assert {"db": 0.0, "http": 0.0, "cache": None, "own": 0.25} == other["inside"]["seconds"]

    def test_without_instruments_nothing_is_known_of_the_inside(self):
        """A kind that nothing reports is not known, and then what is own is not known either."""
        (row,) = ask(holding(requests([0.5])), "routes.json")["routes"]

        assert {
            "seconds": {"db": None, "http": None, "cache": None, "own": None},
            "calls_per_request": {"db": None, "http": None, "cache": None},
            "queue": None,
            "first_byte": None,
            "repeated": [],
        } == row["inside"]

    def test_calls_side_by_side_leave_nothing_of_its_own(self):
        """Calls that overlap may add up to more than the request; own time is never negative."""
        values = {
            **requests([0.5], **CHECKOUT),
            **times(catalogue.HTTP_INSIDE, [0.5], kind="db", route="/checkout"),
            **times(catalogue.HTTP_INSIDE, [0.5], kind="http", route="/checkout"),
        }

        (row,) = ask(holding(values), "routes.json")["routes"]

        assert 0.0 == row["inside"]["seconds"]["own"]

    def test_queue_and_first_byte_where_they_are_known(self):
        """Time before the application, and until the first byte of what is streamed."""
        values = {
            **requests([0.5], **CHECKOUT),
            **times(catalogue.HTTP_QUEUE, [0.25] * 3, route="/checkout"),
            **times(catalogue.HTTP_FIRST_BYTE, [0.5] * 2, route="/checkout"),
        }

        (row,) = ask(holding(values), "routes.json")["routes"]

        assert {"count": 3, "p50_s": QUARTER, "p95_s": QUARTER} == row["inside"]["queue"]
        assert {"count": 2, "p50_s": HALF, "p95_s": HALF} == row["inside"]["first_byte"]

    def test_statements_that_repeat_are_named(self):
        """N+1: the statements that a route ran ten times or more in one request."""
        values = {
            **requests([0.5], **CHECKOUT),
            **counts(catalogue.DB_REPEATED, 7, route="/checkout", statement="00000000000000a1"),
            **counts(catalogue.DB_REPEATED, 9, route="/checkout", statement="00000000000000b2"),
            **counts(catalogue.DB_REPEATED, 5, route="/other", statement="00000000000000a1"),
        }
        store = holding(values)
        write(store, statements=[statement("00000000000000a1")])

        (row,) = ask(store, "routes.json")["routes"]

        text = "SELECT * FROM orders WHERE id = ?"
        assert [
            {"statement": "00000000000000b2", "text": None, "requests": 9},
            {"statement": "00000000000000a1", "text": text, "requests": 7},
        ] == row["inside"]["repeated"]


class TestStatements:
    """Statements of databases."""

    def test_a_statement_tells_all_there_is(self):
        """Text, time, rows, callers, and the routes that run it or repeat it."""
        labels = {"db": "postgresql", "statement": "00000000000000a1"}
        values = {
            **times(catalogue.DB_STATEMENT, [0.25] * 12, **labels),
            **times(catalogue.DB_STATEMENT, [0.5] * 2, db="sqlite", statement="(other)"),
            **counts(catalogue.DB_ROWS, 36, **labels),
            **counts(catalogue.DB_CALLS, 4, route="/cart", statement="00000000000000a1"),
            **counts(catalogue.DB_CALLS, 8, route="/checkout", statement="00000000000000a1"),
            **counts(catalogue.DB_REPEATED, 1, route="/checkout", statement="00000000000000a1"),
        }
        store = holding(values)
        write(store, statements=[statement(callers=("shop.orders:place:12", "shop:f:1"))])

        content = ask(store, "statements.json")

        assert (4.0, 2) == (content["seconds"], content["total"])
        assert [
            {
                "fingerprint": "00000000000000a1",
                "db": "postgresql",
                "operation": "SELECT",
                "text": "SELECT * FROM orders WHERE id = ?",
                "count": 12,
                "seconds": 3.0,
                "time_share": 0.75,
                "p50_s": QUARTER,
                "p95_s": QUARTER,
                "rows_per_execution": 3.0,
                "routes": [
                    {"route": "/checkout", "count": 8},
                    {"route": "/cart", "count": 4},
                ],
                "callers": ["shop.orders:place:12", "shop:f:1"],
                "repeated": [{"route": "/checkout", "count": 1}],
            },
            {
                "fingerprint": "(other)",
                "db": "sqlite",
                "operation": None,
                "text": None,
                "count": 2,
                "seconds": 1.0,
                "time_share": 0.25,
                "p50_s": HALF,
                "p95_s": HALF,
                "rows_per_execution": None,
                "routes": [],
                "callers": None,
                "repeated": [],
            },
        ] == content["statements"]


class TestOutgoing:
    """Outgoing requests."""

    def test_a_host_tells_how_it_answers(self):
        """Count, percentiles, statuses, and how many got no answer, by host and method."""
        labels = {"host": "pay.example", "method": "POST"}
        values = {
            **times(catalogue.HTTP_CLIENT, [0.25] * 8, **labels, status="200"),
            **times(catalogue.HTTP_CLIENT, [0.25] * 2, **labels, status="502"),
            **times(catalogue.HTTP_CLIENT, [0.25] * 2, **labels, status="(failed)"),
            **times(catalogue.HTTP_CLIENT, [0.5], host="pay.example", method="GET", status="200"),
        }

        post, get = ask(holding(values), "outgoing.json")["outgoing"]

        assert {
            "host": "pay.example",
            "method": "POST",
            "count": 12,
            "seconds": 3.0,
            "p50_s": QUARTER,
            "p95_s": QUARTER,
            "statuses": {"200": 8, "502": 2},
            "failures": 2,
        } == post
        assert ("GET", 0) == (get["method"], get["failures"])


class TestPools:
    """Pools of connections."""

    def test_a_pool_tells_how_full_it_is_and_was(self):
        """The latest state of all workers together, the most of the window, and the wait."""
        store = MemoryStore()
        for worker in (1, 2):
            store.add_frames(
                [
                    slot(
                        NOW - 50,
                        {
                            **level(catalogue.DB_CONNECTIONS, 2.0, 5.0, pool="main", state="used"),
                            **level(catalogue.DB_CONNECTIONS, 3.0, pool="main", state="idle"),
                            **level(catalogue.DB_CONNECTIONS_MAX, 5.0, pool="main"),
                            **times(catalogue.DB_WAIT, [0.25] * 2, pool="main"),
                        },
                        worker=worker,
                    ),
                    slot(
                        NOW - 30,
                        {
                            **level(catalogue.DB_CONNECTIONS, 1.0, pool="main", state="used"),
                            **level(catalogue.DB_CONNECTIONS, 2.0, pool="main", state="idle"),
                            **level(catalogue.DB_CONNECTIONS_MAX, 5.0, pool="main"),
                        },
                        worker=worker,
                    ),
                ]
            )

        assert [
            {
                "pool": "main",
                "latest": {"at": NOW - 30, "size": 6.0, "used": 2.0, "idle": 4.0, "max": 10.0},
                "highest_used": 10.0,
                "highest_idle": 6.0,
                "highest_max": 10.0,
                "wait": {"count": 4, "p50_s": QUARTER, "p95_s": QUARTER},
            }
        ] == ask(store, "pools.json")["pools"]

    def test_a_slot_that_lacks_a_worker_is_not_the_latest(self):
        """While workers may still flush, what only some of them told is not added up."""
        used = {"pool": "main", "state": "used"}
        store = MemoryStore()
        store.add_frames(
            [
                slot(NOW - 20, level(catalogue.DB_CONNECTIONS, 4.0, **used), worker=1),
                slot(NOW - 20, level(catalogue.DB_CONNECTIONS, 4.0, **used), worker=2),
                slot(NOW - 10, level(catalogue.DB_CONNECTIONS, 4.0, **used), worker=1),
            ]
        )

        (pool,) = ask(store, "pools.json")["pools"]

        assert (NOW - 20, 8.0) == (pool["latest"]["at"], pool["latest"]["used"])
        assert (None, None) == (pool["latest"]["size"], pool["latest"]["idle"])

    def test_the_release_before_a_deployment_is_not_added(self):
        """What ran before and is gone is no part of the latest state."""
        used = {"pool": "main", "state": "used"}
        before = Scope(service=SCOPE.service, environment=SCOPE.environment, release="v1")
        old = {series(catalogue.DB_CONNECTIONS, before, **used): Gauge(9.0, 9.0, 9.0)}
        store = MemoryStore()
        store.add_frames(
            [
                minute(NOW - 600, old),
                minute(NOW - 540, level(catalogue.DB_CONNECTIONS, 4.0, **used)),
            ]
        )

        (pool,) = ask(store, "pools.json")["pools"]

        assert (4.0, 9.0) == (pool["latest"]["used"], pool["highest_used"])

    def test_a_pool_known_by_its_waits_alone(self):
        """What is not known is null."""
        (pool,) = ask(holding(times(catalogue.DB_WAIT, [0.25], pool="main")), "pools.json")[
            "pools"
        ]

        assert (None, None, 1) == (pool["latest"], pool["highest_used"], pool["wait"]["count"])


class TestJobs:
    """Jobs."""

    def test_a_job_tells_how_it_runs(self):
        """Runs, failures, durations, waits, the last success and how late it is."""
        values = {
            **times(catalogue.JOB_DURATION, [0.5] * 8, job="report", outcome="ok"),
            **times(catalogue.JOB_DURATION, [0.5] * 2, job="report", outcome="failed"),
            **times(catalogue.JOB_WAIT, [0.25], job="report"),
            **level(catalogue.JOB_LAST_SUCCESS, NOW - 700, job="report"),
            **level(catalogue.JOB_LATENESS, 0.0, 40.0, job="report"),
        }

        assert [
            {
                "job": "report",
                "state": "ok",
                "schedule": None,
                "grace_s": None,
                "pinged": False,
                "runs": 10,
                "failures": 2,
                "outcomes": {"failed": 2, "ok": 8},
                "success_share": 0.8,
                "p50_s": HALF,
                "p95_s": HALF,
                "wait": {"count": 1, "p50_s": QUARTER, "p95_s": QUARTER},
                "since": None,
                "last_run": None,
                "last_success": NOW - 700,
                "running_since": None,
                "due": None,
                "lateness_s": 0.0,
                "late_because": None,
            }
        ] == ask(holding(values), "jobs.json")["jobs"]

    def test_what_is_kept_of_a_job_tells_how_it_is_now(self):
        """Schedule, last run and what is due are there even when nobody has run it for long."""
        store = holding({})
        schedule = Schedule(cron="0 3 * * *", tz="Europe/Berlin", grace_s=60.0)
        run = Run(at=NOW - 3 * 86_400, outcome="failed", seconds=2.5, output="no disk")
        facts = JobFacts(
            name="backup",
            declared_at=NOW - 9 * 86_400,
            plan=Plan(at=NOW, schedule=schedule, tokens=("aa",)),
            last_success=NOW - 4 * 86_400,
            last_run=run,
        )
        job_memory.save(store, SCOPE, [facts], job_memory.read(store, SCOPE))

        (row,) = ask(store, "jobs.json")["jobs"]

        assert ("late", "missed", True, 60.0) == (
            row["state"],
            row["late_because"],
            row["pinged"],
            row["grace_s"],
        )
        assert "0 3 * * * Europe/Berlin" == row["schedule"]
        assert {
            "at": run.at,
            "outcome": "failed",
            "seconds": 2.5,
            "output": "no disk",
        } == row["last_run"]
        assert NOW - row["due"] - 60.0 == row["lateness_s"] > 2 * 86_400
        assert "aa" not in json.dumps(row)

    def test_runs_that_told_no_start_have_no_duration(self):
        """They are counted, and neither shorten the others' durations nor are shown as 0."""
        pinged = times(catalogue.JOB_DURATION, [0.0] * 8, job="backup", outcome="ok")
        both = {
            **times(catalogue.JOB_DURATION, [0.0] * 8, job="report", outcome="missed"),
            **times(catalogue.JOB_DURATION, [0.5], job="report", outcome="ok"),
        }

        backup, report = ask(holding({**pinged, **both}), "jobs.json")["jobs"]

        assert (8, None, None) == (backup["runs"], backup["p50_s"], backup["p95_s"])
        assert (9, HALF, HALF) == (report["runs"], report["p50_s"], report["p95_s"])

    def test_what_is_not_known_of_a_job_is_null(self):
        """A job that is late and never ran has no duration, and no success is made up."""
        values = level(catalogue.JOB_LATENESS, 90.0, job="report")

        (row,) = ask(holding(values), "jobs.json")["jobs"]

        assert (0, None, None, None, 90.0) == (
            row["runs"],
            row["p50_s"],
            row["wait"],
            row["last_success"],
            row["lateness_s"],
        )


class TestSamples:
    """Stored requests."""

    DATA = {  # noqa: RUF012
        "queue_s": 0.002,
        "first_byte_s": 0.1,
        "kinds": {"db": [12, 0.034], "http": [1, 0.1]},
        "own_s": 0.05,
        "spans": [
            {
                "kind": "db",
                "name": "SELECT * FROM orders WHERE id = ?",
                "statement": "00000000000000a1",
                "start_s": 0.001,
                "seconds": 0.003,
            },
            {
                "kind": "http",
                "name": "POST pay.example",
                "statement": "",
                "start_s": 0.02,
                "seconds": 0.1,
            },
        ],
        "omitted": 11,
        "user": "5f1d",
        "tags": {"plan": "pro"},
    }
    ISSUE = IssueCount(
        fingerprint="1:aa",
        count=1,
        first_at=NOW - 41,
        last_at=NOW - 41,
        type="KeyError",
        title="KeyError: sku",
        culprit="shop:total",
    )

    def shop(self):
        """Return a store with three samples, one of which failed with an issue."""
        store = MemoryStore()
        write(
            store,
            issues=[self.ISSUE],
            samples=[
                sample(1, at=NOW - 40, data=self.DATA),
                sample(
                    2,
                    at=NOW - 41,
                    reason="failed",
                    status=500,
                    fingerprint="1:aa",
                    data={"kinds": {}, "own_s": 0.25, "spans": [], "omitted": 0},
                ),
                sample(3, at=NOW - 42, route="/cart", reason="ordinary"),
            ],
        )
        return store

    def numbers(self, store, query=""):
        """Return the numbers of the samples of a list."""
        return [int(one["id"], 16) for one in ask(store, f"samples.json{query}")["samples"]]

    def test_a_list_tells_what_came_when(self):
        """Each row has the request, why it was stored, its issue and its breakdown."""
        content = ask(self.shop(), "samples.json")

        first, second, _ = content["samples"]
        assert {
            "id": f"{1:032x}",
            "at": NOW - 40,
            "reason": "slow",
            "method": "POST",
            "route": "/checkout",
            "status": 200,
            "duration_s": 0.25,
            "request_id": "req-1",
            "issue": None,
            "release": "v1",
            "kinds": {
                "db": {"count": 12, "seconds": 0.034},
                "http": {"count": 1, "seconds": 0.1},
            },
            "own_s": 0.05,
        } == first
        assert ("failed", 1, {}) == (second["reason"], second["issue"], second["kinds"])
        assert (False, NOW - 3_600, NOW) == (content["more"], content["start"], content["end"])

    def test_they_can_be_chosen(self):
        """By route, reason, request id, issue and time; the rest comes in pages."""
        store = self.shop()

        assert [1, 2, 3] == self.numbers(store)
        assert [3] == self.numbers(store, "?route=/cart")
        assert [2] == self.numbers(store, "?reason=failed")
        assert [3] == self.numbers(store, "?request_id=req-3")
        assert [2] == self.numbers(store, "?issue=1")
        assert [] == self.numbers(store, f"?end={int(NOW) - 600}")
        assert [2] == self.numbers(store, "?limit=1&offset=1")
        assert ask(store, "samples.json?limit=2")["more"]
        assert not ask(store, "samples.json?limit=2&offset=1")["more"]

    def test_an_issue_is_found_by_each_of_its_names(self):
        """Samples of before and after a change of the fingerprint's algorithm are one issue's."""
        store = self.shop()
        newer = replace(self.ISSUE, fingerprint="2:cc", aliases=("1:aa",))
        late = sample(4, at=NOW - 20, reason="failed", fingerprint="2:cc")
        write(store, at=NOW - 15, issues=[newer], samples=[late])

        assert [4, 2] == self.numbers(store, "?issue=1")

    @pytest.mark.parametrize(("query", "status"), [("issue=9", 404), ("issue=x", 400)])
    def test_an_issue_that_is_none_is_refused(self, query, status):
        """A wrong number is not taken for "no samples"."""
        browser = Browser(watched(self.shop()))

        assert status == browser.get(f"/api/v1/samples.json?{query}").status

    def test_the_issue_of_another_service_is_none(self):
        """Each service sees its own issues only."""
        store = self.shop()
        other = Scope(service="other", environment="production")
        write(store, scope=other, issues=[self.ISSUE], samples=[sample(9, at=NOW - 40)])
        browser = Browser(watched(store))

        assert 404 == browser.get("/api/v1/samples.json?issue=2").status
        assert 404 == browser.get(f"/api/v1/samples/{9:032x}.json").status

    def test_a_sample_is_readable_as_a_waterfall(self):
        """Spans with their start and length, and everything else that is known of the request."""
        content = ask(self.shop(), f"samples/{1:032x}.json")

        row = content.pop("sample")
        assert (f"{1:032x}", "req-1", "v1") == (row["id"], row["request_id"], row["release"])
        assert {
            "started_at": NOW - 40.25,
            "worker": {"number": 1, "host": "web-7"},
            "details": "complete",
            "queue_s": 0.002,
            "first_byte_s": 0.1,
            "spans": [
                {
                    "kind": "db",
                    "name": "SELECT * FROM orders WHERE id = ?",
                    "statement": "00000000000000a1",
                    "start_s": 0.001,
                    "seconds": 0.003,
                },
                {
                    "kind": "http",
                    "name": "POST pay.example",
                    "statement": None,
                    "start_s": 0.02,
                    "seconds": 0.1,
                },
            ],
            "omitted": 11,
            "user": "5f1d",
            "tags": {"plan": "pro"},
            "events": [],
            "incidents": [],
        } == content

    def test_a_sample_names_its_issue(self):
        """The page of the error is one step away."""
        assert 1 == ask(self.shop(), f"samples/{2:032x}.json")["sample"]["issue"]

    @pytest.mark.parametrize(
        ("data", "details"),
        [({"truncated": True}, "truncated"), ({"damaged": True}, "damaged")],
    )
    def test_details_that_are_gone_are_not_nothing(self, data, details):
        """Where nothing of the inside is known, no empty waterfall is shown."""
        store = MemoryStore()
        write(store, samples=[sample(1, at=NOW - 40, data=data)])

        content = ask(store, f"samples/{1:032x}.json")

        assert (details, None, None, None, None) == (
            content["details"],
            content["spans"],
            content["omitted"],
            content["sample"]["kinds"],
            content["sample"]["own_s"],
        )

    def test_details_that_a_callback_spoilt_do_not_break_it(self):
        """What is no span is left out."""
        spoilt = {
            "spans": ["x", {"start_s": None}, {"start_s": 1, "seconds": 2, "kind": 3}],
            "kinds": {"db": "many", "http": [1, 0.5]},
            "tags": ["a"],
        }
        store = MemoryStore()
        write(store, samples=[sample(1, at=NOW - 40, data=spoilt)])

        content = ask(store, f"samples/{1:032x}.json")

        assert [("3", 1, 2)] == [
            (one["kind"], one["start_s"], one["seconds"]) for one in content["spans"]
        ]
        assert {"http": {"count": 1, "seconds": 0.5}} == content["sample"]["kinds"]
        assert {} == content["tags"]

    def test_a_worker_that_is_forgotten_is_null(self):
        """A sample outlives its worker's row."""
        store = self.shop()
        store.prune_workers(before=NOW, limit=9)

        assert ask(store, f"samples/{1:032x}.json")["worker"] is None


class TestSelf:
    """Watchkeeper itself."""

    def test_it_tells_how_it_is_doing(self):
        """Own metrics, the level of sampling, what was dropped and what is stored."""
        values = {
            **level(catalogue.SELF_SAMPLING, 1.0, 2.0),
            **level(catalogue.SELF_SERIES, 120.0),
            **counts(catalogue.SELF_DROPPED, 7, what="label_values"),
            **counts(catalogue.SELF_CPU, 0.25),
            **times(catalogue.SELF_FLUSH, [0.25] * 3),
        }
        store = holding(values)

        content = ask(store, "self.json")

        assert (1, 120.0, {"label_values": 7}) == (
            content["sampling_level"],
            content["series"],
            content["dropped"],
        )
        assert ("memory", store.size_bytes()) == (content["storage"], content["stored_bytes"])
        metrics = content["metrics"]
        assert {"latest": 1.0, "at": NOW - 600, "lowest": 1.0, "highest": 2.0} == metrics[
            "watchkeeper_sampling_level"
        ]
        assert {"total": 7.0, "by": {"label_values": 7.0}} == metrics["watchkeeper_dropped_total"]
        assert {"total": 0.25, "by": {}} == metrics["watchkeeper_cpu_seconds_total"]
        assert {"count": 3, "p50_s": QUARTER, "p95_s": QUARTER} == metrics[
            "watchkeeper_flush_duration_seconds"
        ]
        assert {"total": 0, "by": {}} == metrics["watchkeeper_internal_errors_total"]

    def test_the_level_of_sampling_is_told_at_once(self):
        """Any worker's word is good for it, so that no slot needs to be complete."""
        store = MemoryStore()
        store.add_frames([slot(NOW - 5, level(catalogue.SELF_SAMPLING, 1.0))])

        assert 1 == ask(store, "self.json")["sampling_level"]

    def test_every_own_metric_is_there(self):
        """A metric that is added to the catalogue is shown without further ado."""
        named = {one.name for one in catalogue.CATALOGUE if one.name.startswith("watchkeeper_")}

        assert named == set(ask(MemoryStore(), "self.json")["metrics"])

    def test_without_data_nothing_is_known(self):
        """Before the first flush no figure is 0."""
        content = ask(MemoryStore(), "self.json")

        assert (None, None, None) == (
            content["sampling_level"],
            content["series"],
            content["dropped"],
        )
        assert {"total": None, "by": {}} == content["metrics"]["watchkeeper_dropped_total"]
        assert {"count": None} == content["metrics"]["watchkeeper_flush_duration_seconds"]

    def test_folded_values_are_listed(self):
        """What hides behind "(other)" in this worker is named, with how often at least."""
        wk = watched(MemoryStore())
        orders = Metric(name="orders_total", kind=Kind.COUNTER, help="", labels=("plan",))
        for number in range(52):
            wk.recorder.series(orders, {"plan": f"plan-{number}"}).record(1)

        content = json.loads(Browser(wk).get("/api/v1/self.json").body)

        assert [
            {
                "metric": "orders_total",
                "label": "plan",
                "value": value,
                "at_least": 1,
                "at_most": 1,
            }
            for value in ("plan-50", "plan-51")
        ] == content["folded"]
