"""From frames to the figures of the overview."""

from dataclasses import replace

import pytest
from dashboards import (
    NOW,
    SCOPE,
    add_issues,
    fill,
    fire,
    made_shop,
    minute,
    requests,
    series,
    slot,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.core import catalogue
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Scope
from watchkeeper.core.rollup import merge_frames
from watchkeeper.core.slot import Frame, FrameKey, Gauge
from watchkeeper.dashboard.queries import issue_page, overview
from watchkeeper.dashboard.status import Level, Reason
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import Batch


def look(store, *, span_s=3_600, end=NOW, now=NOW, slot_s=10):
    """Compose the overview of the shop."""
    return overview(
        store,
        service=SCOPE.service,
        environment=SCOPE.environment,
        start=end - span_s,
        end=end,
        now=now,
        slot_s=slot_s,
    )


def known(view):
    """Return the points that have data, by their start."""
    return {point.start: point.figures for point in view.points if point.figures is not None}


def test_a_store_without_data_is_unknown_and_empty():
    """An application that was never seen is not shown as healthy."""
    view = look(MemoryStore())

    assert (Level.UNKNOWN, Reason.NEVER_SEEN) == (view.status.level, view.status.reason)
    assert view.data_age_s is None
    assert (0, None, None) == (
        view.figures.requests,
        view.figures.requests_per_s,
        view.figures.error_rate,
    )
    assert 60 == len(view.points)
    assert {} == known(view)


def test_error_rate_counts_what_a_status_cannot_tell():
    """Errors are 5xx, broken and unhandled; all are those with a duration and disconnects."""
    labels = {"method": "GET", "route": "/"}
    values = {
        **requests([0.1] * 90),
        **requests([0.1] * 5, status="503"),
        series(catalogue.HTTP_BROKEN, **labels): 2.0,
        series(catalogue.HTTP_UNHANDLED, **labels): 1.0,
        series(catalogue.HTTP_DISCONNECTS, **labels): 5.0,
    }
    store = MemoryStore()
    store.add_frames([minute(NOW - 600, values)])

    view = look(store)

    assert (100, 8) == (view.figures.requests, view.figures.errors)
    assert pytest.approx(0.08) == view.figures.error_rate
    assert pytest.approx(0.08) == view.routes[0].error_rate
    assert 100 == view.routes[0].requests


def test_error_rate_follows_what_the_settings_call_bad():
    """Excused 5xx are no errors, and what is called bad below 500 is one."""
    labels = {"method": "GET", "route": "/"}
    values = {
        **requests([0.1] * 90),
        **requests([0.1] * 10, status="503"),
        series(catalogue.HTTP_BAD, **labels): 4.0,
        series(catalogue.HTTP_EXCUSED, **labels): 7.0,
    }
    store = MemoryStore()
    store.add_frames([minute(NOW - 600, values)])

    view = look(store)

    assert (100, 7) == (view.figures.requests, view.figures.errors)
    assert pytest.approx(0.07) == view.figures.error_rate
    assert pytest.approx(0.07) == view.routes[0].error_rate


def test_an_excuse_for_what_failed_before_is_no_negative_error():
    """The count of errors is never below zero, and the window's sum is exact."""
    excused = {series(catalogue.HTTP_EXCUSED, method="GET", route="/"): 3.0}
    store = MemoryStore()
    store.add_frames(
        [
            minute(NOW - 660, requests([0.1] * 5, status="503")),
            minute(NOW - 600, {**requests([0.1] * 5), **excused}),
        ]
    )

    view = look(store)

    assert {NOW - 660: 5, NOW - 600: 0} == {
        at: figures.errors for at, figures in known(view).items()
    }
    assert 2 == view.figures.errors


def test_a_client_error_is_no_error():
    """A 404 is the client's mistake and does not raise the error rate."""
    store = MemoryStore()
    store.add_frames([minute(NOW - 600, requests([0.1] * 10, status="404"))])

    assert 0.0 == look(store).figures.error_rate


def test_minutes_and_slots_join_without_gap_or_double_count():
    """What is rolled up is counted from minutes, the rest from slots, each request once."""
    store = MemoryStore()
    store.add_frames(
        [
            minute(NOW - 120, requests([0.1] * 60)),
            *(slot(NOW - 120 + at, requests([0.1] * 10)) for at in range(0, 120, 10)),
        ]
    )

    view = look(store)

    assert 120 == view.figures.requests
    assert {NOW - 120: 60, NOW - 60: 60} == {
        at: figures.requests for at, figures in known(view).items()
    }


def test_a_short_window_shows_single_slots():
    """A quarter of an hour is drawn slot by slot, though its minutes are rolled up already."""
    store = MemoryStore()
    store.add_frames(
        [
            minute(NOW - 120, requests([0.1] * 60)),
            *(slot(NOW - 120 + at, requests([0.1] * 10)) for at in range(0, 60, 10)),
        ]
    )

    view = look(store, span_s=900)

    assert {NOW - 120 + at: 10 for at in range(0, 60, 10)} == {
        at: figures.requests for at, figures in known(view).items()
    }


def test_a_minute_whose_slots_are_gone_is_drawn_as_a_minute():
    """Where slots are kept no more, or in part, the whole minute is shown instead."""
    store = MemoryStore()
    store.add_frames(
        [
            minute(NOW - 120, requests([0.1] * 60)),
            slot(NOW - 80, requests([0.1] * 10)),
            slot(NOW - 70, requests([0.1] * 10)),
        ]
    )

    view = look(store, span_s=900)

    assert {NOW - 120: 60} == {at: figures.requests for at, figures in known(view).items()}


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(0, 5), min_size=36, max_size=36),
    rolled_minutes=st.integers(0, 6),
    span_s=st.sampled_from([600, 900, 3_600]),
)
def test_every_request_is_counted_once_wherever_the_roll_up_stands(counts, rolled_minutes, span_s):
    """However far the roll-up has come, and whatever the range, the total is the same."""
    slots = [
        slot(NOW - 360 + index * 10, requests([0.1] * count), worker=1 + index % 2)
        for index, count in enumerate(counts)
    ]
    store = MemoryStore()
    store.add_frames(slots)
    for number in range(rolled_minutes):
        start = int(NOW) - 360 + number * 60
        inside = [frame for frame in slots if start <= frame.key.start < start + 60]
        store.add_frames([minute(start, merge_frames(inside))])

    view = look(store, span_s=span_s)

    assert sum(counts) == view.figures.requests


def test_the_rate_is_of_the_time_that_has_data():
    """A service that started ten minutes ago shows its true rate on an hour's page."""
    store = MemoryStore()
    store.add_frames([minute(NOW - 60 * at, requests([0.1] * 120)) for at in range(1, 11)])

    assert pytest.approx(2.0) == look(store).figures.requests_per_s


def test_an_unfinished_slot_counts_for_the_time_that_has_passed():
    """After an early flush the rate is of the seconds so far, and the point says so."""
    store = MemoryStore()
    store.add_frames([slot(NOW, requests([0.1] * 8))])

    view = look(store, now=NOW + 4, end=NOW + 4, span_s=900)

    assert pytest.approx(2.0) == view.figures.requests_per_s
    assert view.points[-1].partial
    assert not view.points[0].partial


def test_gaps_stay_gaps():
    """A minute without data is neither zero nor guessed; an idle one is zero."""
    store = MemoryStore()
    store.add_frames([minute(NOW - 180, requests([0.1])), minute(NOW - 60, {})])

    view = look(store)
    by_start = {point.start: point.figures for point in view.points}

    assert by_start[int(NOW) - 120] is None
    assert 0.0 == by_start[int(NOW) - 60].requests_per_s
    assert by_start[int(NOW) - 60].error_rate is None


@pytest.mark.parametrize(
    ("span_s", "points"), [(900, 91), (3_600, 60), (21_600, 360), (86_400, 360)]
)
def test_no_range_has_more_points_than_a_chart_can_show(span_s, points):
    """Every range is drawn with at most 360 points."""
    view = look(MemoryStore(), span_s=span_s, end=NOW + 7.5, now=NOW + 7.5)

    assert points == len(view.points)


def test_percentiles_are_of_all_routes_together():
    """Quantiles come from merged histograms, not from averages of averages."""
    store = MemoryStore()
    values = {**requests([0.1] * 90, route="/a"), **requests([2.0] * 10, route="/b")}
    store.add_frames([minute(NOW - 60 * at, values) for at in (5, 6)])

    figures = look(store).figures

    assert pytest.approx(0.1, rel=0.011) == figures.p50_s
    assert pytest.approx(2.0, rel=0.011) == figures.p95_s


def test_figures_are_compared_with_the_hour_before():
    """The period of the same length before tells whether it got better or worse."""
    store = MemoryStore()
    store.add_frames(
        [minute(NOW - 60 * at, requests([0.2] * (60 if at <= 60 else 30))) for at in range(1, 121)]
    )

    view = look(store)

    assert (pytest.approx(1.0), pytest.approx(0.5)) == (
        view.figures.requests_per_s,
        view.before.requests_per_s,
    )


def test_an_hour_that_was_hardly_seen_is_not_compared_with():
    """Right after the first install there is nothing to compare with."""
    store = MemoryStore()
    store.add_frames([minute(NOW - 60 * at, requests([0.2])) for at in range(1, 80)])

    assert look(store).before is None


def test_worst_routes_are_those_with_most_errors_and_time():
    """A route that fails comes before one that is only busy, and the shares are of the whole."""
    store = MemoryStore()
    values = {
        **requests([0.01] * 1_000, route="/busy"),
        **requests([0.5] * 20, method="POST", route="/fails", status="500"),
        **requests([1.0] * 30, route="/slow"),
    }
    store.add_frames([minute(NOW - 300, values)])

    rows = look(store).routes

    assert ["/fails", "/slow", "/busy"] == [row.route for row in rows]
    assert (1.0, pytest.approx(0.2), 20) == (
        rows[0].error_rate,
        rows[0].time_share,
        rows[0].requests,
    )
    assert pytest.approx(1.0, rel=0.011) == rows[1].p95_s


def test_cpu_of_the_workers_is_added_up_and_a_host_is_counted_once():
    """Two workers at 40 % are 80 % of a core; the host's figure is the host's, not twice."""
    store = MemoryStore()
    for worker in (1, 2):
        values = {
            series(catalogue.PROCESS_CPU, host="web-1", worker=str(worker)): Gauge(0.4, 0.4, 0.4),
            series(catalogue.HOST_CPU, host="web-1"): Gauge(0.5, 0.5, 0.5),
        }
        store.add_frames([slot(NOW - 30, values, worker=worker)])
        # An early flush of the same slot: the later reading takes the earlier one's place.
        store.add_frames([Frame(key=FrameKey(10, int(NOW) - 30, worker, 1), values=values)])

    figures = look(store).figures

    assert (pytest.approx(0.8), pytest.approx(0.5), None) == (
        figures.app_cpu,
        figures.host_cpu,
        figures.host_memory,
    )


def test_other_services_are_not_shown():
    """A database that several services share shows each of them its own figures."""
    other = Scope(service="billing", environment="production")
    labels = {"method": "GET", "route": "/", "status": "200"}
    store = MemoryStore()
    store.add_frames(
        [
            minute(
                NOW - 60,
                {
                    series(catalogue.HTTP_DURATION, other, **labels): Histogram([0.1] * 50),
                    **requests([0.1] * 3),
                },
            )
        ]
    )

    assert 3 == look(store).figures.requests


def test_the_age_of_the_data_is_that_of_the_newest_heartbeat():
    """The page knows how old its data are, even where a frozen window is shown."""
    store = MemoryStore()
    worker = store.register(SCOPE, host="web-1", pid=1, at=NOW - 100)
    frame = Frame(key=FrameKey(10, int(NOW) - 20, worker.id, 0), values=requests([0.1]))
    store.write(Batch(scope=SCOPE, frame=frame, at=NOW - 7))
    store.mark_evaluated(service=SCOPE.service, environment=SCOPE.environment, at=NOW - 7)

    view = look(store, end=NOW - 7_200)

    assert 7.0 == view.data_age_s
    assert Level.OK == view.status.level
    assert (1, 1) == (view.workers, view.hosts)


def test_the_worst_alert_is_first_however_many_are_newer():
    """Thirty newer warnings hide neither a critical alert nor that there are more of them."""
    store = made_shop(incident=False)
    fire(store, now=NOW - 60)
    for number in range(30):
        fire(store, now=NOW, rule="Slow", severity="warning", group=f'route="/{number}"')

    view = look(store)

    assert (Level.CRITICAL, "High error rate.") == (view.status.level, view.status.sentence)
    assert ["critical"] + 19 * ["warning"] == [one.severity for one in view.incidents]
    assert 11 == view.more_incidents


def test_firing_incidents_are_shown_with_value_and_threshold():
    """What is firing is shown with since when, how bad, and against which limit."""
    store = made_shop(incident=False)
    fire(store, now=NOW)

    view = look(store)
    (one,) = view.incidents

    assert (Level.CRITICAL, Reason.FIRING) == (view.status.level, view.status.reason)
    assert ("High error rate", NOW - 900, 900.0, 0.074, 0.05) == (
        one.rule,
        one.since,
        one.lasted_s,
        one.value,
        one.threshold,
    )
    assert "7.4 % (31 of 420 in 1 min) > 5 %" == one.summary


def test_issues_come_with_their_counts_of_the_window():
    """The newest errors are listed with how often they happened in the window and in all."""
    store = made_shop(incident=False)
    worker = store.workers(service=SCOPE.service, environment=SCOPE.environment, seen_since=0)[0]
    add_issues(store, now=NOW, worker=worker.id)

    rows = {row.type: row for row in look(store).issues}
    payment = rows["shop.payments.PaymentTimeout"]

    assert 3 == len(rows)
    assert (168, 168, True) == (payment.count, payment.total, payment.is_new)
    assert 168 == sum(payment.counts)
    assert 24 == len(payment.counts)


@pytest.mark.parametrize(("span_s", "most"), [(900, 11), (3_600, 11), (21_600, 31), (86_400, 103)])
def test_a_page_asks_the_store_twice_an_hour_at_most(span_s, most):
    """The overview costs seven queries, and one or two for each hour that it reads."""
    asked = []

    class Counting:
        """Passes every call on to a real store and notes it."""

        def __init__(self, store):
            self.store = store

        def __getattr__(self, name):
            if name != "description":  # asks nothing
                asked.append(name)
            return getattr(self.store, name)

    look(Counting(made_shop()), span_s=span_s)

    assert most >= len(asked), asked


@pytest.mark.parametrize("span_s", [5_400, 21_600, 86_400])
def test_a_page_reads_an_hour_at_a_time(span_s):
    """However long the range, no read spans more than an hour, and none is read twice."""
    reads = []

    class Noting(MemoryStore):
        """A real store that notes which spans of minutes are read."""

        def frames(self, resolution, *, since, until, **others):
            if resolution == 60:
                reads.append((since, until))
            return super().frames(resolution, since=since, until=until, **others)

    store = Noting()
    store.add_frames([minute(NOW - 60 * at, requests([0.1])) for at in range(1, 2 * 1_440 + 1)])

    view = look(store, span_s=span_s)

    assert 3_600 >= max(until - since for since, until in reads)
    assert [until for _, until in reads[:-1]] == [since for since, _ in reads[1:]]
    assert span_s // 60 == view.figures.requests == view.before.requests
    assert view.figures.requests == sum(row.requests for row in view.routes)


def test_the_host_gets_its_turn_between_frames():
    """Composing a page pauses at least once per frame that it reads."""
    pauses = []
    store = MemoryStore()
    store.add_frames([minute(NOW - 60 * at, requests([0.1])) for at in range(1, 51)])

    overview(
        store,
        service=SCOPE.service,
        environment=SCOPE.environment,
        start=NOW - 3_600,
        end=NOW,
        now=NOW,
        slot_s=10,
        pause=lambda: pauses.append(1),
    )

    assert 50 <= len(pauses)


def test_an_issue_page_has_the_newest_event_and_a_trend():
    """The page of an issue shows its last occurrence and its counts over a day."""
    store = made_shop()

    page = issue_page(store, 1, now=NOW)

    assert "shop.payments.PaymentTimeout" == page.issue.type
    assert 168 == sum(page.trend)
    assert 48 == len(page.trend)
    assert page.event.at > NOW - 200
    assert issue_page(store, 99, now=NOW) is None


def comparable(view):
    """Return what every store must show alike; sums of seconds may differ in the last digits."""
    routes = [replace(row, time_share=round(row.time_share, 4)) for row in view.routes]
    incidents = [replace(one, id=0) for one in view.incidents]
    return replace(view, storage="", routes=routes, incidents=incidents)


@pytest.mark.parametrize("span_s", [900, 3_600, 21_600])
def test_every_store_gives_the_same_page(store, span_s):
    """A page shows the same, whatever database it comes from."""
    fill(store)

    view = look(store, span_s=span_s)

    assert comparable(look(made_shop(), span_s=span_s)) == comparable(view)
