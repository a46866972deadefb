"""The queries of the page "What it stores", run as they stand there on each database."""

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from dashboards import series as series_of
from stored import HERE, SHOP, batch, counted, fired, frame, incident, statement

from earlier import pasted
from watchkeeper.core import catalogue
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Metric, Scope, Series
from watchkeeper.core.slot import Frame, FrameKey, Gauge, Value
from watchkeeper.runtime.hours import seal
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.store import AlertChange, Audit, CheckChange, Release

PAGE = (Path(__file__).parents[2] / "docs" / "what-it-stores.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"^```sql ([\w-]+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
NOT_QUERIES = {"views-sqlite", "views-postgresql", "views-mariadb", "delete-details", "delete-all"}

HOUR_S, DAY_S = 3_600, 86_400
NOW = int(time.time()) // HOUR_S * HOUR_S
BUSY = NOW - 26 * HOUR_S
NEXT = NOW - 25 * HOUR_S
QUIET = NOW - 3 * DAY_S
LONG_AGO = NOW - 40 * DAY_S
BEFORE = replace(SHOP, release="v0")
MIB = 1_048_576.0
CLOSE = 0.022  # what an hour's percentiles are right to


def day(start: float) -> str:
    """Say the day of a moment as the page's views do."""
    return datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d")


def weekday(start: float) -> int:
    """Count the day of the week, Monday being 1."""
    return datetime.fromtimestamp(start, UTC).isoweekday()


def one(metric: Metric, value: Value, scope: Scope = SHOP, **labels: str) -> dict[Series, Value]:
    """Make one value."""
    return {series_of(metric, scope, **labels): value}


def requests(
    count: int, seconds: float, route: str, status: str = "200", scope: Scope = SHOP
) -> dict[Series, Value]:
    """Make requests that all took the same time."""
    labels = {"method": "GET", "route": route, "status": status}
    return one(catalogue.HTTP_DURATION, Histogram([seconds] * count), scope, **labels)


MADE: Mapping[int, Mapping[Series, Value]] = {
    BUSY: {
        **requests(100, 0.1, "/checkout"),
        **requests(10, 2.0, "/checkout", "500"),
        **requests(300, 0.02, "/"),
        **one(catalogue.HTTP_BROKEN, 3.0, method="GET", route="/checkout"),
        **one(catalogue.HTTP_EXCUSED, 1.0, method="GET", route="/checkout"),
        **one(catalogue.HTTP_DISCONNECTS, 7.0, method="GET", route="/"),
        **one(catalogue.DB_STATEMENT, Histogram([0.5] * 20), db="sqlite", statement=16 * "a"),
        **one(catalogue.DB_STATEMENT, Histogram([0.01] * 100), db="sqlite", statement=16 * "b"),
        **one(
            catalogue.PROCESS_MEMORY,
            Gauge(100 * MIB, 90 * MIB, 100 * MIB),
            host="web-1",
            worker="1",
        ),
    },
    BUSY + 60: one(
        catalogue.PROCESS_MEMORY, Gauge(300 * MIB, 90 * MIB, 400 * MIB), host="web-1", worker="1"
    ),
    NEXT: {**requests(50, 1.0, "/checkout"), **requests(5, 3.0, "/rare")},
    QUIET: requests(100, 0.02, "/", scope=BEFORE),
    LONG_AGO: requests(1_000, 9.0, "/old", scope=BEFORE),
}


@pytest.fixture
def query_url(migrated_url: str) -> Iterator[str]:
    """Name a database with made hours, issues and incidents in it, and the page's views."""
    store = open_store(migrated_url)
    store.migrate()
    store.add_frames(
        [
            Frame(key=FrameKey(60, start, 0, 0), values=values)
            for start, values in sorted(MADE.items())
        ]
    )
    while seal(store, now=float(NOW), pause=lambda: None):
        pass
    add_issues(store)
    add_incidents(store)
    kind = "mariadb" if migrated_url.startswith("m") else migrated_url.partition(":")[0]
    for view in BLOCKS[f"views-{kind}"].split(";\n"):
        if view.strip():
            ask(migrated_url, view)
    yield migrated_url
    store.close()


def add_issues(store: Store) -> None:
    """Write errors of two releases, their deploys and what people did."""
    store.mark_release(Release(scope=BEFORE, at=LONG_AGO - 60.0))
    store.mark_release(Release(scope=SHOP, at=BUSY - 600.0, by="cli alice"))
    worker = store.register(BEFORE, host="web", pid=1, at=float(LONG_AGO))
    old = counted("1:00000000000000bb", 99, LONG_AGO + 5.0, title="OldError: gone")
    new = counted("1:00000000000000aa", 3, BUSY + 1.0)
    store.write(batch(frame(LONG_AGO, worker.id, values={}), BEFORE, issues=[old]))
    again = replace(old, count=2, first_at=BUSY + 5.0, last_at=BUSY + 5.0)
    store.write(
        batch(
            frame(BUSY, worker.id, values={}),
            issues=[new, again],
            statements=[statement(16 * "a", BUSY, db="sqlite")],
            check_changes=[
                CheckChange(name="db", worker=0, before="pass", after="fail", at=BUSY + 1.0),
                CheckChange(name="db", worker=0, before="fail", after="pass", at=BUSY + 9.0),
                CheckChange(name="db", worker=0, before="pass", after="fail", at=BUSY + 20.0),
                CheckChange(name="db", worker=0, before="pass", after="fail", at=LONG_AGO + 1.0),
                CheckChange(name="db", worker=0, before="fail", after="pass", at=LONG_AGO + 2.0),
            ],
        )
    )
    later = replace(new, count=4, first_at=NEXT + 1.0, last_at=NEXT + 1.0)
    store.write(batch(frame(NEXT, worker.id, values={}), issues=[later]))
    store.audit(Audit(**HERE, at=BUSY + 1.0, actor="cli alice", action="link.make", target="l"))
    store.audit(Audit(**HERE, at=LONG_AGO + 1.0, actor="cli bob", action="link.make"))


def add_incidents(store: Store) -> None:
    """Save two incidents that are over, one that is not, and something without an end."""
    made = [
        incident(fired_at=BUSY + 60.0, started_at=BUSY, resolved_at=BUSY + 660.0),
        incident(fired_at=NEXT + 60.0, started_at=NEXT, resolved_at=NEXT + 1_260.0),
        incident(fired_at=NEXT + 90.0, started_at=NEXT, rule="Slow", severity="warning"),
        incident(fired_at=NEXT + 95.0, started_at=NEXT, rule="New issue", state="event"),
        incident(fired_at=LONG_AGO + 60.0, started_at=LONG_AGO, resolved_at=LONG_AGO + 9_999.0),
    ]
    for number, each in enumerate(made):
        row = replace(fired().row, group=str(number))
        assert store.save_alert(AlertChange(row=row, incident=each), at=each.started_at)


def ask(url: str, sql: str) -> list[tuple[Any, ...]]:
    """Run a query as a SQL client does; every number comes as a float."""
    return [
        tuple(float(cell) if isinstance(cell, int | Decimal) else cell for cell in row)
        for row in pasted(url, sql)
    ]


def close(*rows: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Expect rows, their numbers as exact as percentiles are."""
    return [
        tuple(
            pytest.approx(cell, rel=CLOSE) if isinstance(cell, float | int) else cell
            for cell in row
        )
        for row in rows
    ]


BY_DAY = Counter[str]()
ERRORS_BY_DAY = Counter[str]()
for start, total, errors in ((BUSY, 417, 12), (NEXT, 55, 0), (QUIET, 100, 0)):
    BY_DAY[day(start)] += total
    ERRORS_BY_DAY[day(start)] += errors

BY_WEEKDAY = Counter[tuple[str, int]]()
for route, start, total in (
    ("/", BUSY, 300),
    ("/", QUIET, 100),
    ("/checkout", BUSY, 110),
    ("/checkout", NEXT, 50),
    ("/rare", NEXT, 5),
):
    BY_WEEKDAY[route, weekday(start)] += total

EXPECTED: Mapping[str, list[tuple[Any, ...]]] = {
    # The ten failed ones of two seconds are too few for a percentile, as are the rare ones.
    "slowest-routes": close(("/checkout", 160, 0.5, 1.0), ("/", 400, 0.02, 0.02)),
    "slow-hours": close(("/rare", 1, 1.0), ("/checkout", 2, 0.375), ("/", 0, 0.0)),
    "error-rate-by-day": close(
        *(
            (at, BY_DAY[at], ERRORS_BY_DAY[at], ERRORS_BY_DAY[at] / BY_DAY[at])
            for at in sorted(BY_DAY)
        )
    ),
    "error-rate-by-release": close(("v0", 100, 0.0, 0.02), ("v1", 465, 10 / 465, 101 / 465)),
    # No weekday comes twice within these days.
    "traffic-by-weekday": close(
        *((*key, BY_WEEKDAY[key], BY_WEEKDAY[key]) for key in sorted(BY_WEEKDAY))
    ),
    "busiest-hours": close(
        *(
            (day(start), start // HOUR_S % 24, count, count / 3_600)
            for start, count in ((BUSY, 410), (QUIET, 100), (NEXT, 55))
        )
    ),
    "memory-by-day": close(("web-1", day(BUSY), 200.0, 400.0)),
    "statements-by-time": close(
        ("sqlite", "SELECT * FROM orders WHERE id = ?", 20, 10.0, 0.5),
        (None, None, 100, 1.0, 0.01),
    ),
    "issues-by-count": close(
        (2, "ValueError", "shop.orders:place", 7),
        (1, "ValueError", "shop.orders:place", 2),
    ),
    "issues-by-release": close((2, "ValueError: no such plan", "v1", 601 / 60)),
    "incidents-by-rule": close(
        ("High error rate", "critical", 2, 0, 15.0, 20.0),
        ("Slow", "warning", 1, 1, None, None),
    ),
    "failed-checks": close(("db", 2, BUSY + 20.0)),
    "audit": close((BUSY + 1.0, "cli alice", "link.make", "l")),
}


def test_every_query_of_the_page_is_tried():
    """There are ten and more, and what is expected of each stands here."""
    assert set(BLOCKS) - NOT_QUERIES == set(EXPECTED)
    assert len(EXPECTED) >= 10


def test_the_queries_say_what_they_promise(query_url: str):
    """Each query of the page, pasted, finds what was made."""
    found = {name: ask(query_url, BLOCKS[name]) for name in EXPECTED}

    assert EXPECTED == found


def test_a_percentile_of_hours_lies_between_theirs(query_url: str):
    """What the page says of percentiles holds: the whole is never above the largest part."""
    merged = Histogram()
    for values in MADE.values():
        for made, value in values.items():
            if made.label("route") == "/checkout" and isinstance(value, Histogram):
                merged.merge(value)
    (parts,) = ask(
        query_url,
        "SELECT MIN(p95), MAX(p95), AVG(p95) FROM monitoring_hours WHERE route = '/checkout'"
        " AND metric = 'http_server_request_duration_seconds'",
    )

    lowest, highest, mean = parts
    whole = merged.quantile(0.95)
    assert lowest <= whole <= highest * (1 + CLOSE)
    assert abs(mean - whole) / whole > 0.1  # and their mean is wrong
