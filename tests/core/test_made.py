"""Series that are made when an hour is sealed."""

from watchkeeper.core.catalogue import HTTP_ALL, HTTP_DURATION, SELF_UP
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.made import make
from watchkeeper.core.metrics import Kind, Scope, Series
from watchkeeper.core.slot import Frame, FrameKey, Gauge

SHOP = Scope(service="shop", environment="production", release="v1")
NEXT = Scope(service="shop", environment="production", release="v2")
OTHER = Scope(service="other", environment="production")
HERE = (("environment", "production"), ("service", "shop"))


def duration(status: str, scope: Scope = SHOP, route: str = "/") -> Series:
    """Name the series of one route and status."""
    labels = {"method": "GET", "route": route, "status": status}
    return Series(
        HTTP_DURATION.name, Kind.HISTOGRAM, tuple(sorted((*scope.labels, *labels.items())))
    )


def made(*frames: tuple[int, dict]) -> dict[str, dict[tuple, dict]]:
    """Make the series of minute frames given as (minute, values), by metric and labels."""
    found: dict = {}
    pauses: list[int] = []
    make(
        [Frame(key=FrameKey(60, 7_200 + 60 * at, 0, 0), values=one) for at, one in frames],
        found,
        pause=lambda: pauses.append(1),
    )
    assert len(frames) == len(pauses)
    by_metric: dict[str, dict[tuple, dict]] = {}
    for series, minutes in found.items():
        by_metric.setdefault(series.metric, {})[series.labels] = minutes
    return by_metric


def test_all_requests_of_a_class_are_one_series():
    """Routes, methods, codes of one class and releases are merged, minute by minute."""
    first = {duration("200"): Histogram([0.1]), duration("503"): Histogram([0.5])}
    more = {duration("204", NEXT, "/b"): Histogram([0.2])}

    found = made((0, first), (0, more), (59, more))[HTTP_ALL.name]

    well, failed = ((*HERE, ("status", status)) for status in ("2xx", "5xx"))
    assert {0: Histogram([0.1, 0.2]), 59: Histogram([0.2])} == found[well]
    assert {0: Histogram([0.5])} == found[failed]
    assert Histogram([0.1]) == first[duration("200")]


def test_each_scope_is_up_in_its_minutes():
    """A minute in which anything of a service was recorded is one in which it was there."""
    gauge = Series("disk_ratio", Kind.GAUGE, OTHER.labels)

    found = made((3, {gauge: Gauge(0.5, 0.5, 0.5)}), (4, {duration("200"): Histogram([1.0])}))

    up = found[SELF_UP.name]
    assert {3: Gauge(1, 1, 1)} == up[("environment", "production"), ("service", "other")]
    assert {4: Gauge(1, 1, 1)} == up[HERE]
