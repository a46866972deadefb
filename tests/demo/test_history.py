"""The made hour behind the demo."""

from pathlib import Path
from types import ModuleType

import pytest

from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Scope
from watchkeeper.dashboard.queries import overview
from watchkeeper.demo.history import MINUTES, PAST, frames, write_history
from watchkeeper.demo.profiles import ENVIRONMENT, SERVICE
from watchkeeper.demo.serve import copy_shop, load_shop
from watchkeeper.storage import Store, open_store

UNTIL = 1_800_000_000
BEGIN = UNTIL - 3_600
SCOPE = Scope(service=SERVICE, environment=ENVIRONMENT)


@pytest.fixture
def shop(tmp_path: Path) -> ModuleType:
    """The demo shop, copied to a folder of its own as the demo does."""
    copy_shop(tmp_path)
    return load_shop(tmp_path)


@pytest.fixture
def store(tmp_path: Path, shop: ModuleType) -> Store:
    """A database with the made hour in it."""
    made = open_store(f"sqlite:///{tmp_path / 'watchkeeper.db'}")
    made.migrate()
    write_history(made, shop=shop, root=tmp_path, until=UNTIL)
    yield made
    made.close()


def test_the_same_hour_is_made_each_time():
    """The seed fixes every figure, so that screenshots and tests can rely on them."""
    assert list(frames(SCOPE, begin=BEGIN)) == list(frames(SCOPE, begin=BEGIN))


def test_every_minute_is_there_and_no_more():
    """The history is an hour of whole minutes that ends where it should."""
    starts = [frame.key.start for frame in frames(SCOPE, begin=BEGIN)]

    assert starts == list(range(BEGIN, UNTIL, 60))


def test_failed_requests_equal_the_issues_counts(store: Store):
    """Each error of the past is counted as a request of status 500 and in its issue."""
    view = overview(
        store,
        service=SERVICE,
        environment=ENVIRONMENT,
        start=BEGIN,
        end=UNTIL,
        now=UNTIL,
        slot_s=5,
    )

    expected = sum(past.count(minute) for past in PAST for minute in range(MINUTES))
    assert view.figures.errors == expected
    assert sum(issue.total for issue in view.issues) == expected


def test_the_hour_is_as_busy_as_it_should_be(store: Store):
    """About twenty requests a second, and no gap in the charts."""
    view = overview(
        store,
        service=SERVICE,
        environment=ENVIRONMENT,
        start=BEGIN,
        end=UNTIL,
        now=UNTIL,
        slot_s=5,
    )

    assert view.figures.requests_per_s == pytest.approx(20, rel=0.15)
    assert all(point.figures is not None for point in view.points)


def test_issues_of_the_past_have_real_stack_traces(store: Store):
    """The errors were raised in the shop's own code, so their frames are application frames."""
    issues = store.issues(service=SERVICE, environment=ENVIRONMENT, seen_since=BEGIN, limit=10)

    culprits = {issue.culprit for issue in issues}
    assert culprits == {"shop:voucher_percent", "shop:invoice_total", "shop:thumbnail"}
    event = store.events(issues[0].id, limit=1)[0]
    assert event.data["frames"][-1]["app"] is True
    assert event.data["frames"][-1]["source"]


def test_issues_of_the_past_were_dealt_with(store: Store):
    """One is resolved in the next release, one muted, one commented on: pages have states."""
    found = store.issues(service=SERVICE, environment=ENVIRONMENT, seen_since=BEGIN, limit=10)

    assert {
        "shop:voucher_percent": ("muted", "cli mira"),
        "shop:invoice_total": ("open", ""),
        "shop:thumbnail": ("resolved", "cli mira"),
    } == {one.culprit: (one.state, one.state_by) for one in found}
    assert [1, 1, 1] == [len(store.issue_entries(one.id, limit=9)) for one in found]


def test_latency_has_two_modes():
    """Cached and uncached answers differ, so that percentiles have something to say."""
    merged = Histogram()
    for frame in frames(SCOPE, begin=BEGIN):
        for series, value in frame.values.items():
            if series.metric == HTTP_DURATION.name and series.label("route") == "/catalogue":
                assert isinstance(value, Histogram)
                merged.merge(value)

    assert merged.quantile(0.99) > 5 * merged.quantile(0.5)
