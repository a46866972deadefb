"""Counts are exact: under threads, while slots are taken, and when there are endless values."""

import gc
import sys
from itertools import pairwise

import pytest
from together import in_threads

from watchkeeper.core.catalogue import DB_CALLS, HTTP_DURATION
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import OTHER, UNMATCHED, Kind, Metric, Scope
from watchkeeper.runtime.folded import MAX_LISTS, FoldedValue
from watchkeeper.runtime.recorder import MAX_DETOURS, Recorder

SCOPE = Scope(service="shop", environment="test", release="7")
ORDERS = Metric(name="orders_total", kind=Kind.COUNTER, help="", labels=("plan",))
SALES = Metric(name="sales_total", kind=Kind.COUNTER, help="", labels=("plan", "city"))
RENDER = Metric(name="render_duration_seconds", kind=Kind.HISTOGRAM, help="")


def recorder(**caps: int) -> Recorder:
    return Recorder(SCOPE, **caps)


def test_counts_are_exact_under_threads_while_slots_are_taken():
    """16 threads and a flush each millisecond: no observation is lost or counted twice."""
    threads, each = 16, 30_000
    rec = recorder()
    count = total = orders = 0

    def record() -> None:
        render = rec.series(RENDER)
        for _ in range(each):
            render.record(1.0)
            rec.series(ORDERS, {"plan": "pro"}).record(1)

    def take() -> None:
        nonlocal count, total, orders
        taken = {series.metric: value for series, value in rec.take().items()}
        histogram = taken.get(RENDER.name, Histogram())
        count, total = count + histogram.count, total + histogram.sum
        orders += taken.get(ORDERS.name, 0)

    in_threads(threads, record, take)

    assert threads * each == count == total == orders


def test_folded_counts_are_exact_under_threads():
    """Many threads beyond a cap: what is in "(other)", and what is listed, adds up."""
    rec = recorder()
    for number in range(50):
        rec.series(ORDERS, {"plan": f"plan-{number}"})
    orders = 0

    def record() -> None:
        for number in range(5_000):
            rec.series(ORDERS, {"plan": f"late-{number % 7}"}).record(1)

    def take() -> None:
        nonlocal orders
        orders += sum(rec.take().values())

    in_threads(16, record, take)

    assert 80_000 == orders == rec.dropped["label_values"]
    assert 80_000 == sum(row.at_least for row in rec.folded())


@pytest.mark.slow
def test_endless_label_values_stay_in_bounds():
    """An endless stream of label values neither grows memory nor loses a count."""
    rec = recorder()

    def record(first: int, last: int) -> int:
        for number in range(first, last):
            # One in ten asks for the same plan, which has no room either.
            name = "popular" if number >= 100 and number % 10 == 0 else f"plan-{number}"
            rec.series(ORDERS, {"plan": name}).record(1)
        gc.collect()
        return sys.getallocatedblocks()

    sizes = [record(20_000 * number, 20_000 * (number + 1)) for number in range(10)]

    counts = {series.label("plan"): value for series, value in rec.take().items()}
    popular, *_ = rec.folded()
    # The least of nine: a value that stays is seen in each, what another thread does is not.
    assert min(after - before for before, after in pairwise(sizes)) < 100
    assert 51 == len(counts) == rec.size
    assert 200_000 - 50 == counts[OTHER]
    assert 200_000 - 50 == rec.dropped["label_values"]
    assert ("orders_total", "plan", "popular") == (popular.metric, popular.label, popular.value)
    assert popular.at_least <= 19_990 <= popular.at_most <= 19_990 + 200_000 / 20
    assert 20 == len(rec.folded())


def test_the_values_behind_other_are_listed():
    """What was folded can be looked up: by metric and label, with its count, the first first."""
    rec = recorder()
    for number in range(50):
        rec.series(ORDERS, {"plan": f"plan-{number}"}).record(1)

    for plan in ("gold", "silver", "gold"):
        rec.series(ORDERS, {"plan": plan}).record(5)

    assert [
        FoldedValue(metric="orders_total", label="plan", value="gold", at_least=2, at_most=2),
        FoldedValue(metric="orders_total", label="plan", value="silver", at_least=1, at_most=1),
    ] == rec.folded()
    assert {"label_values": 3} == dict(rec.dropped)


def test_only_the_label_that_has_too_many_values_is_folded():
    """The other labels keep telling what they tell."""
    rec = recorder()
    for number in range(60):
        rec.series(SALES, {"plan": "pro", "city": f"city-{number}"}).record(1)

    sums = {(s.label("plan"), s.label("city")): value for s, value in rec.take().items()}

    assert 10.0 == sums["pro", OTHER]
    assert {"city"} == {row.label for row in rec.folded()}
    assert [f"city-{number}" for number in range(50, 60)] == sorted(
        row.value for row in rec.folded()
    )


def test_a_route_that_was_folded_is_counted_each_time():
    """A series asked for once and recorded into often counts each request."""
    rec = recorder(max_routes=1)
    for route in ("/a", "/b", UNMATCHED):
        series = rec.series(HTTP_DURATION, {"method": "GET", "route": route, "status": "200"})
        for _ in range(3):
            series.record(0.1)

    assert [("route", "/b", 3)] == [(row.label, row.value, row.at_least) for row in rec.folded()]
    assert {"routes": 3} == dict(rec.dropped)


def test_series_without_room_are_listed_too():
    """Past the cap of series, the values of each label that had to go are named."""
    rec = recorder(max_series=1)
    rec.series(ORDERS, {"plan": "pro"}).record(1)
    rec.series(SALES, {"plan": "free", "city": "Ulm"}).record(1)

    assert [("city", "Ulm"), ("plan", "free")] == [(row.label, row.value) for row in rec.folded()]
    assert {"series": 1} == dict(rec.dropped)


def test_folding_is_told_once_for_each_label():
    """One line names metric, label, bound and examples; the flood that follows is silent."""
    rec = recorder(max_routes=1, max_series=60)
    for number in range(70):
        rec.series(ORDERS, {"plan": f"plan-{number}"}).record(1)
    for route in "abc":
        labels = {"method": "GET", "route": f"/{route}", "status": "200"}
        rec.series(HTTP_DURATION, labels).record(0.1)

    first, second = rec.newly_folded()

    assert (
        'orders_total: label "plan" has more than 50 values; further ones are counted as '
        "(other), for example 'plan-50', 'plan-51', 'plan-52'"
    ) == first
    assert (
        'http_server_request_duration_seconds: label "route" has more than 1 values; further '
        "ones are counted as (other), for example '/b', '/c'"
    ) == second
    rec.series(ORDERS, {"plan": "another"}).record(1)
    assert [] == rec.newly_folded()


def test_what_is_remembered_of_folded_values_is_bounded():
    """However many metrics are folded, only so many lists are kept, and counting goes on."""
    rec = recorder(max_series=1)
    for number in range(MAX_LISTS + 50):
        metric = Metric(name=f"m{number}_total", kind=Kind.COUNTER, help="", labels=("a",))
        for _ in range(2):
            rec.series(metric, {"a": "x"}).record(1)

    assert MAX_LISTS == len(rec.folded())
    assert 2 * (MAX_LISTS + 50) - 2 == rec.dropped["series"]
    assert MAX_DETOURS > MAX_LISTS


def test_statements_leave_room_for_requests():
    """Series by statement take a quarter of all at most, so that a new route is still counted."""
    recording = recorder(max_series=400)
    for number in range(1_000):
        labels = {"route": f"/{number % 20}", "statement": f"{number:016x}"}
        recording.series(DB_CALLS, labels).record(1)

    new = {"method": "GET", "route": "/new", "status": "200"}
    recording.series(HTTP_DURATION, new).record(0.1)

    taken = recording.take()
    calls = {series: value for series, value in taken.items() if series.metric == DB_CALLS.name}
    assert 1_000 == sum(calls.values())
    assert 100 == sum(series.label("statement") != "(other)" for series in calls)
    assert ["/new"] == [s.label("route") for s in taken if s.metric == HTTP_DURATION.name]
