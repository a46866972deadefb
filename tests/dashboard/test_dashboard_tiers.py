"""Windows over sealed hours: each request once, whatever tier it has come to."""

from functools import partial

import pytest
from dashboards import NOW, SCOPE, minute, requests, series, slot
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.core import catalogue
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.slot import Gauge
from watchkeeper.dashboard.inside import routes
from watchkeeper.dashboard.parameters import Page
from watchkeeper.dashboard.queries import overview
from watchkeeper.dashboard.sums import Query, read_sums
from watchkeeper.dashboard.tallies import merged
from watchkeeper.runtime.hours import seal
from watchkeeper.runtime.retention import roll_up
from watchkeeper.storage.memory import MemoryStore

HOUR_S = 3_600
HERE = {"service": SCOPE.service, "environment": SCOPE.environment}
SEVEN_DAYS_S = 604_800


def look(store, *, span_s, end=NOW, now=NOW):
    """Compose the overview of the shop."""
    return overview(store, **HERE, start=end - span_s, end=end, now=now, slot_s=10)


def query(store, *, span_s, end=NOW, now=NOW):
    """Ask about the shop."""
    return Query(store=store, **HERE, start=end - span_s, end=end, now=now, slot_s=10)


def sealed(store, *, now=NOW):
    """Roll up and seal all that is due."""
    roll_up(store, now=now, pause=lambda: None)
    while seal(store, now=now, pause=lambda: None):
        pass
    return store


def hours(count, values, **more):
    """Fill and seal the hours before now, every minute alike."""
    store = MemoryStore()
    store.add_frames([minute(NOW - 60 * at, values, **more) for at in range(1, count * 60 + 1)])
    return sealed(store, now=NOW + 120)


@settings(max_examples=60, deadline=None)
@given(
    slots=st.lists(st.integers(0, 5 * 360 - 1), max_size=30, unique=True),
    rolled_at=st.floats(0, 5 * HOUR_S + 200),
    let_go=st.booleans(),
    span_s=st.integers(1, 5 * 60).map(lambda minutes: minutes * 60),
    ago_s=st.integers(0, 5 * 60).map(lambda minutes: minutes * 60),
)
def test_every_request_is_counted_once_in_whatever_tier(slots, rolled_at, let_go, span_s, ago_s):
    """Rows of hours, chunks, minutes and slots join without gap or double count."""
    begin = NOW - 5 * HOUR_S
    store = MemoryStore()
    store.add_frames([slot(begin + 10 * number, requests([0.1])) for number in slots])
    sealed(store, now=begin + rolled_at)
    if let_go:
        store.prune_sealed(before=NOW, limit=1_000)
    end = NOW - ago_s

    view = look(store, span_s=span_s, end=end)
    sums = read_sums(query(store, span_s=span_s, end=end), [catalogue.HTTP_DURATION])

    def expected(start):
        return sum(start <= begin + 10 * number < end for number in slots)

    assert expected(view.start) == view.figures.requests
    assert expected(view.start) == sum(row.requests for row in view.routes)
    assert expected(view.start) == sum(
        point.figures.requests for point in view.points if point.figures
    )
    counted = sums.histograms(catalogue.HTTP_DURATION).values()
    assert expected(end - span_s) == sum(one.count for one in counted)


@pytest.mark.parametrize("span_s", [900, 43_200, 86_400, SEVEN_DAYS_S])
def test_a_window_is_read_from_rows_where_whole_hours_will_do(span_s):
    """Lists over any span, and the page of seven days, read one row per series and hour."""
    asked = []

    class Noting:
        """A real store that notes what is asked."""

        def __init__(self, store):
            self.store = store

        def __getattr__(self, name):
            asked.append(name)
            return getattr(self.store, name)

    days = span_s // 86_400 + 1
    store = MemoryStore()
    store.add_frames(
        [minute(NOW - 600 * at, requests([0.1])) for at in range(1, 2 * days * 144 + 1)]
    )
    sealed(store, now=NOW + 120)

    view = routes(query(Noting(store), span_s=span_s), apdex_s=0.5, page=Page())

    assert max(span_s // 600, 1) == view.routes[0].requests
    assert 10 >= asked.count("minutes") + asked.count("frames") + asked.count("hours") - span_s / (
        12 * HOUR_S
    )
    if span_s == SEVEN_DAYS_S:
        asked.clear()
        page = look(Noting(store), span_s=span_s)
        assert 1_008 == page.figures.requests
        assert 168 == len(page.points)
        assert {3_600} == {point.width_s for point in page.points}
        assert 0 == asked.count("minutes")


def test_the_rate_of_a_sealed_hour_is_of_the_time_that_has_data():
    """A service that started ten minutes before the hour ended shows its true rate."""
    store = MemoryStore()
    store.add_frames([minute(NOW - 60 * at, requests([0.1] * 120)) for at in range(1, 11)])
    sealed(store, now=NOW + 120)

    assert pytest.approx(2.0) == look(store, span_s=SEVEN_DAYS_S).figures.requests_per_s
    assert 600 == read_sums(query(store, span_s=86_400), [catalogue.HTTP_DURATION]).covered_s()


def test_quiet_minutes_of_a_sealed_hour_count_as_time():
    """An hour with requests in one minute only has the rate of the whole hour."""
    quiet = {series(catalogue.HOST_CPU, host="web-1"): Gauge(0.1, 0.1, 0.1)}
    store = MemoryStore()
    store.add_frames([minute(NOW - 60 * at, quiet) for at in range(2, 61)])
    store.add_frames([minute(NOW - 60, requests([0.1] * 3_600))])
    sealed(store, now=NOW + 120)

    for span_s in (HOUR_S, 86_400, SEVEN_DAYS_S):
        assert pytest.approx(1.0) == look(store, span_s=span_s).figures.requests_per_s


def test_cpu_of_an_hour_is_its_mean_over_workers_that_took_turns():
    """Two workers that ran one after the other are one at a time, on the page of seven days."""
    store = MemoryStore()
    for at in range(1, 61):
        worker = {"host": "web-1", "worker": "1" if at > 30 else "2"}
        values = {
            series(catalogue.PROCESS_CPU, **worker): Gauge(0.5, 0.0, 1.0),
            series(catalogue.HOST_CPU, host="web-1"): Gauge(0.25, 0.0, 1.0),
            **requests([0.1]),
        }
        store.add_frames([minute(NOW - 60 * at, values)])
    sealed(store, now=NOW + 120)
    store.add_frames([minute(NOW, {**values, **requests([0.1])})])

    figures = look(store, span_s=SEVEN_DAYS_S, end=NOW + 60, now=NOW + 60).figures

    assert pytest.approx(0.5) == figures.app_cpu
    assert pytest.approx(0.25) == figures.host_cpu


@given(
    some=st.lists(
        st.tuples(
            st.lists(st.floats(-1.0, 1e4).filter(lambda x: abs(x) > 1e-6 or x == 0), max_size=20),
            st.integers(0, 2),
        ),
        max_size=8,
    )
)
def test_slots_and_hours_are_merged_into_one(some):
    """Histograms of any scales merge into what merging them one by one gives."""
    parts = []
    for values, steps in some:
        one = Histogram()
        one.scale -= steps
        one.merge(Histogram(values))
        parts.append(one)
    expected = Histogram()
    expected.scale = min((one.scale for one in parts), default=expected.scale)
    for one in parts:
        expected.merge(one)

    whole = merged(parts)

    assert (expected.count, expected.zero, expected.min, expected.max) == (
        (whole.count, whole.zero, whole.min, whole.max)
    )
    assert (expected.scale, expected.buckets, expected.negative) == (
        (whole.scale, whole.buckets, whole.negative)
    )
    assert pytest.approx(expected.sum) == whole.sum


def test_an_hour_whose_minutes_are_gone_is_drawn_as_an_hour():
    """Past the time that minutes are kept, the charts of a day show hours."""
    store = hours(3, requests([0.1] * 2))
    store.prune_sealed(before=NOW, limit=1_000)
    store.prune_chunks(before=NOW - HOUR_S, limit=1_000)

    view = look(store, span_s=3 * HOUR_S)

    known = {p.start: (p.width_s, p.figures.requests) for p in view.points if p.figures}
    assert 2 == sum(width == HOUR_S for width, _ in known.values())
    assert (HOUR_S, 120) == known[NOW - 3 * HOUR_S]
    assert 3 * 120 == view.figures.requests


@pytest.mark.parametrize("span_s", [HOUR_S, 10_800, 86_400, SEVEN_DAYS_S])
def test_every_store_gives_the_same_sealed_page(store, span_s):
    """A page over sealed hours shows the same, whatever database it comes from."""
    values = {
        **requests([0.1, 0.4]),
        **requests([0.2], status="503"),
        series(catalogue.HTTP_BAD, method="GET", route="/"): 1.0,
        series(catalogue.PROCESS_CPU, host="a", worker="1"): Gauge(0.5, 0.0, 1.0),
    }
    frames = [minute(NOW - 60 * at, values) for at in range(1, 200)]
    made = MemoryStore()
    for one in (made, store):
        one.add_frames(frames)
        sealed(one, now=NOW - 30)

    view, expected = (look(one, span_s=span_s) for one in (store, made))

    assert (expected.points, expected.before) == (view.points, view.before)
    assert [(row.requests, row.p95_s) for row in expected.routes] == [
        (row.requests, row.p95_s) for row in view.routes
    ]
    ask = partial(routes, apdex_s=0.5, page=Page())
    assert ask(query(made, span_s=span_s)).routes[0].requests == (
        ask(query(store, span_s=span_s)).routes[0].requests
    )


def test_the_page_of_a_day_tells_routes_and_errors_apart():
    """Charts come from the sum of all routes, the table from the rows of each: both are whole."""
    values = {
        **requests([0.1] * 6, route="/a"),
        **requests([0.3] * 3, route="/b"),
        **requests([0.2], route="/b", status="503"),
        series(catalogue.HTTP_BAD, method="GET", route="/a"): 2.0,
        series(catalogue.HTTP_DISCONNECTS, method="GET", route="/b"): 1.0,
    }
    store = hours(24, values)

    view = look(store, span_s=86_400)

    assert (1_440 * 11, 1_440 * 3) == (view.figures.requests, view.figures.errors)
    assert {("GET", "/a", 1_440 * 6), ("GET", "/b", 1_440 * 5)} == {
        (row.method, row.route, row.requests) for row in view.routes
    }
    assert {(44, 12)} == {
        (point.figures.requests, point.figures.errors) for point in view.points if point.figures
    }
    assert pytest.approx(0.3, rel=0.03) == view.figures.p95_s
