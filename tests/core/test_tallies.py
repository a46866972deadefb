"""Frames are reduced to tallies that add up exactly, whatever they were split into."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.catalogue import (
    HTTP_BAD,
    HTTP_BROKEN,
    HTTP_DISCONNECTS,
    HTTP_DURATION,
    HTTP_EXCUSED,
    HTTP_UNHANDLED,
)
from watchkeeper.core.conditions import Filter
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import QUIET, Across, Kind, Metric, Series
from watchkeeper.core.rules import Alert, Origin, Rule, compile_alert
from watchkeeper.core.slot import Frame, FrameKey, Gauge, Value
from watchkeeper.core.tallies import (
    MAX_GROUPS,
    MAX_SERIES,
    Counting,
    Meter,
    Source,
    Tally,
    comparisons_of,
    is_failure,
    source_of,
)


def rule(when: str, **options: object) -> Rule:
    alert = Alert("A", when=when, **options)  # type: ignore[arg-type]
    return compile_alert(alert, where="a", origin=Origin.CODE)


def metered(when: str, **options: object) -> Meter:
    """Return the meter of a rule's condition."""
    made = rule(when, **options)
    return Meter(source_of(made, comparisons_of(made)[0].selector))


def series(metric: Metric, **labels: str) -> Series:
    return Series(metric.name, metric.kind, tuple(sorted(labels.items())), metric.across)


def frame(
    values: dict[Series, Value], *, start: int = 0, worker: int = 1, sequence: int = 0
) -> Frame:
    return Frame(key=FrameKey(10, start, worker, sequence), values=values)


def requests(route: str, status: str, seconds: list[float]) -> dict[Series, Value]:
    labels = {"method": "GET", "route": route, "status": status}
    return {series(HTTP_DURATION, **labels): Histogram(seconds)}


def test_the_error_rate_counts_each_failed_request_once() -> None:
    """Failed are 5xx, broken and unhandled ones; all are requests with a duration and disconnects.

    A broken response has its duration in the histogram already, under its status.
    """
    values = {
        **requests("/a", "200", [0.1] * 90),
        **requests("/a", "503", [0.1] * 4),
        **requests("/a", "404", [0.1] * 3),
        series(HTTP_BROKEN, method="GET", route="/a"): 2.0,
        series(HTTP_UNHANDLED, method="GET", route="/a"): 1.0,
        series(HTTP_DISCONNECTS, method="GET", route="/a"): 3.0,
        series(Metric(name="other_total", kind=Kind.COUNTER, help="")): 50.0,
    }

    tally = metered("error_rate > 5%").measure(frame(values))[""]

    assert (7.0, 100.0) == (tally.bad, tally.total)


def test_the_error_rate_follows_what_the_settings_call_bad() -> None:
    """Bad are 5xx without those that are excused, and what is called bad below 500."""
    values = {
        **requests("/a", "200", [0.1] * 90),
        **requests("/a", "503", [0.1] * 10),
        series(HTTP_BAD, method="GET", route="/a"): 4.0,
        series(HTTP_EXCUSED, method="GET", route="/a"): 7.0,
    }

    tally = metered("error_rate > 5%").measure(frame(values))[""]

    assert (7.0, 100.0) == (tally.bad, tally.total)


def test_an_excuse_may_come_a_slot_later() -> None:
    """A request that failed in one slot and is excused in the next one is no error."""
    meter = metered("error_rate > 5%")
    first = meter.measure(frame(requests("/a", "503", [0.1] * 3)))[""]
    excused = {series(HTTP_EXCUSED, method="GET", route="/a"): 3.0}

    first.add(meter.measure(frame(excused, start=10))[""])

    assert (0.0, 3.0) == (first.bad, first.total)


def test_a_percentile_becomes_a_count_of_slow_ones() -> None:
    """p95 > 1s asks how many took longer than a second, and clear how many than 0.8 s."""
    values = requests("/a", "200", [0.1] * 90 + [0.9] * 6 + [2.0] * 4)

    tally = metered("p95 > 1s").measure(frame(values))[""]

    assert (4, 10, 100) == (tally.above(1.0), tally.above(0.8), tally.total)


def test_filters_and_skips_choose_the_series() -> None:
    """A rule may be about some routes only."""
    values = {
        **requests("/api/a", "200", [0.1]),
        **requests("/api/b", "200", [0.1] * 2),
        **requests("/x", "200", [0.1] * 4),
    }

    only = metered("requests{route=~'/api/*'} > 5").measure(frame(values))
    skipped = metered("requests > 5", skip={"route": "/api/a"}).measure(frame(values))

    assert 3 == only[""].total
    assert 6 == skipped[""].total


@pytest.mark.parametrize(
    ("expected", "when"),
    [
        (2, "requests > 0"),
        (2, "error_rate > 5%"),
        (2, "p95 > 1s"),
        (2, "apdex < 0.8"),
        (2, "increase(http_server_request_duration_seconds) > 0"),
        (2, 'share(http_server_request_duration_seconds{status=~"5*"}) > 1%'),
        (2, 'requests{route=~"*"} > 0'),
        (3, 'requests{route="(quiet)"} > 0'),
    ],
)
def test_probes_and_static_files_are_no_traffic(expected: int, when: str) -> None:
    """They would hide that nobody else comes; a filter that names them counts them."""
    found = metered(when).measure(
        frame(requests("/a", "200", [0.1, 0.1]) | requests(QUIET, "200", [0.1] * 3))
    )

    assert expected == found[""].total


def test_by_makes_one_group_per_combination() -> None:
    """Each route is judged by itself."""
    values = {
        **requests("/a", "200", [0.1]),
        **requests("/a", "500", [0.1]),
        **requests("/b", "200", [0.1]),
    }
    meter = metered("error_rate > 5%", by="route")

    tallies = meter.measure(frame(values))

    assert {'route="/a"': (1.0, 2.0), 'route="/b"': (0.0, 1.0)} == {
        group: (tally.bad, tally.total) for group, tally in tallies.items()
    }
    assert (("route", "/a"),) == meter.groups['route="/a"']


def test_groups_beyond_the_maximum_are_judged_together() -> None:
    """A label with endless values cannot make endless alerts."""
    values: dict[Series, Value] = {}
    for number in range(MAX_GROUPS + 20):
        values |= requests(f"/{number}", "200", [0.1])
    meter = metered("requests > 5", by="route")

    tallies = meter.measure(frame(values))

    assert MAX_GROUPS + 1 == len(tallies)
    assert 20 == tallies['route="(other)"'].total


def test_a_forgotten_group_makes_room() -> None:
    """What has no data any more leaves nothing behind."""
    meter = metered("requests > 5", by="route")
    meter.measure(frame(requests("/a", "200", [0.1])))

    meter.forget(['route="/a"'])

    assert {} == meter.groups
    assert ['route="/a"'] == list(meter.measure(frame(requests("/a", "200", [0.1]))))


def test_remembered_series_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Series that come and go do not fill the memory."""
    assert 50_000 == MAX_SERIES
    monkeypatch.setattr("watchkeeper.core.tallies.MAX_SERIES", 2)
    meter = metered("requests > 5")

    for number in range(5):
        tallies = meter.measure(frame(requests(f"/{number}", "200", [0.1])))

        assert 1 == tallies[""].total


def test_rates_count_counters_and_observations() -> None:
    """rate() works on a counter and on a histogram."""
    orders = Metric(name="orders_total", kind=Kind.COUNTER, help="")
    renders = Metric(name="render_seconds", kind=Kind.HISTOGRAM, help="")
    values = {
        series(orders, plan="pro"): 3.0,
        series(orders, plan="free"): 5.0,
        series(renders): Histogram([0.1, 0.2]),
    }

    assert 8.0 == metered("rate(orders_total) > 1/s").measure(frame(values))[""].total
    assert 2.0 == metered("rate(render_seconds) > 1/s").measure(frame(values))[""].total
    assert {} == metered("last(orders_total) > 1").measure(frame(values))


def test_a_percentile_needs_a_histogram() -> None:
    """A counter or gauge has no percentile: the rule stays without data."""
    orders = Metric(name="orders_total", kind=Kind.COUNTER, help="")
    depth = Metric(name="queue_depth", kind=Kind.GAUGE, help="")
    values = {series(orders): 3.0, series(depth): Gauge(5.0, 5.0, 5.0)}

    for when in ("p95(orders_total) > 1", "p95(queue_depth) > 1"):
        tally = metered(when).measure(frame(values)).get("", Tally())

        assert (0, 0, None) == (tally.bad, tally.total, tally.histogram)


def test_gauges_of_several_workers_combine_as_declared() -> None:
    """A queue is summed over workers, the host's memory is not."""
    depth = Metric(name="queue_depth", kind=Kind.GAUGE, help="", across=Across.SUM)
    used = Metric(name="host_used", kind=Kind.GAUGE, help="", across=Across.MAX)
    last = Metric(name="version", kind=Kind.GAUGE, help="", across=Across.LAST)

    def over_two_workers(metric: Metric) -> Gauge | None:
        meter, sum_of = metered(f"last({metric.name}) > 1"), Tally()
        for worker, value in ((1, 5.0), (2, 3.0)):
            one = frame({series(metric): Gauge(value, value - 1, value + 1)}, worker=worker)
            sum_of.add(meter.measure(one)[""])
        return sum_of.gauge()

    assert Gauge(8.0, 6.0, 10.0) == over_two_workers(depth)
    assert Gauge(5.0, 2.0, 6.0) == over_two_workers(used)
    assert Gauge(3.0, 2.0, 6.0) == over_two_workers(last)
    assert Tally().gauge() is None


def test_the_last_flush_of_a_slot_has_the_last_value_of_a_gauge() -> None:
    """It does not matter in which order the flushes of one worker are read."""
    depth = Metric(name="queue_depth", kind=Kind.GAUGE, help="")
    meter = metered("last(queue_depth) > 1")
    tallies = [
        meter.measure(frame({series(depth): Gauge(value, value, value)}, sequence=sequence))[""]
        for sequence, value in ((1, 7.0), (0, 9.0), (2, 8.0))
    ]
    sum_of = Tally()

    for tally in tallies:
        sum_of.add(tally)

    assert Gauge(8.0, 7.0, 9.0) == sum_of.gauge()


@pytest.mark.parametrize(
    ("failed", "status"), [(True, "500"), (True, "599"), (False, "499"), (False, "5"), (False, "")]
)
def test_a_status_of_5xx_is_a_failure(failed: bool, status: str) -> None:
    """The client's mistakes are not the service's errors."""
    assert failed is is_failure(status)


def test_a_share_counts_what_passes_its_filters_among_all() -> None:
    """Failed runs among all runs of a job: the filter says which are bad."""
    runs = Metric(name="job_duration_seconds", kind=Kind.HISTOGRAM, help="")
    values: dict[Series, Value] = {
        series(runs, job="a", outcome="ok"): Histogram([0.1] * 8),
        series(runs, job="a", outcome="failed"): Histogram([0.1] * 2),
    }
    source = Source(
        counting=Counting.SHARE,
        metric=runs.name,
        filters=(Filter("outcome", "=", "failed"),),
        by=("job",),
    )

    tally = Meter(source).measure(frame(values))['job="a"']

    assert (2.0, 10.0) == (tally.bad, tally.total)


def test_apdex_keeps_how_long_good_requests_took() -> None:
    """A failed request satisfies nobody, however quick it was."""
    values = requests("/a", "200", [0.1] * 9) | requests("/a", "500", [0.1])
    source = Source(counting=Counting.APDEX)

    tally = Meter(source).measure(frame(values))[""]

    assert (1.0, 10.0, Histogram([0.1] * 9)) == (tally.bad, tally.total, tally.histogram)


def test_rules_on_the_same_thing_share_what_is_counted() -> None:
    """Other thresholds, windows and measures of the same requests need no second count."""
    one, two = rule("error_rate > 5%", by="route"), rule("requests > 9", by="route")
    other = rule("error_rate > 5%", by="route", skip={"route": "/a"})

    sources = [source_of(each, comparisons_of(each)[0].selector) for each in (one, two, other)]

    assert sources[0] == sources[1]
    assert sources[0] != sources[2]


def test_young_workers_are_left_out_of_latency_and_memory_only() -> None:
    """A cold start is slow and small, but its errors are errors."""
    slow, failing = rule("p95 > 1s"), rule("error_rate > 5%")
    memory, queue = rule("last(process_memory_usage_bytes) > 1GB"), rule("last(queue) > 1")

    assert [30.0, 30.0, 0.0, 0.0] == [
        source_of(each, comparisons_of(each)[0].selector).warmup_s
        for each in (slow, memory, failing, queue)
    ]


OBSERVATIONS = st.lists(
    st.tuples(
        st.integers(0, 3),  # worker
        st.integers(0, 2),  # flush
        st.sampled_from(["200", "500"]),
        st.floats(0.001, 10),
    ),
    max_size=40,
)


@given(OBSERVATIONS)
def test_any_split_into_frames_gives_the_same_tallies(
    observations: list[tuple[int, int, str, float]],
) -> None:
    """Workers and flushes are only a way to carry observations; nothing is lost or doubled."""
    whole: dict[str, list[float]] = defaultdict(list)
    parts: dict[tuple[int, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for worker, flush, status, seconds in observations:
        whole[status].append(seconds)
        parts[worker, flush][status].append(seconds)

    for when in ("error_rate > 5%", "p95 > 1s", "requests > 5"):
        meter, split = metered(when), Tally()
        for (worker, flush), by_status in parts.items():
            values: dict[Series, Value] = {}
            for status, seconds in by_status.items():
                values |= requests("/a", status, seconds)
            for tally in meter.measure(frame(values, worker=worker, sequence=flush)).values():
                split.add(tally)
        values = {}
        for status, seconds in whole.items():
            values |= requests("/a", status, seconds)
        together = meter.measure(frame(values)).get("", Tally())

        assert (together.bad, together.above(1.0), together.total) == (
            split.bad,
            split.above(1.0),
            split.total,
        )
