"""Users' own tests: `recording()` tells what their code recorded."""

import pytest
from sqlalchemy import create_engine, text

import watchkeeper
from watchkeeper.testing import recording


def test_spans_jobs_and_metrics_are_recorded_together():
    """One block shows what the code told in any way."""
    with (
        recording() as recorded,
        watchkeeper.job("recorded-import"),
        watchkeeper.span("recorded-download"),
    ):
        watchkeeper.counter("recorded_orders_total", "Orders.").inc(3)

    assert 3.0 == recorded.value("recorded_orders_total")
    assert 1 == recorded.value("job_duration_seconds", job="recorded-import", outcome="ok")
    assert 1 == recorded.histogram("span_duration_seconds", span="recorded-download").count


def test_a_failed_job_is_seen_to_have_failed():
    """The exception reaches the test as it reaches any caller."""
    with (
        recording() as recorded,
        pytest.raises(ValueError, match="no paper"),
        watchkeeper.job("recorded-report"),
    ):
        raise ValueError("no paper")

    assert 1 == recorded.value("job_duration_seconds", job="recorded-report", outcome="failed")
    assert 0 == recorded.value("job_duration_seconds", job="recorded-report", outcome="ok")


def test_statements_are_counted_without_their_values():
    """A test can hold that a page makes one query, not one per row."""
    engine = create_engine("sqlite://")
    with recording() as recorded, engine.connect() as connection:
        for number in (1, 2, 3):
            connection.execute(text(f"SELECT {number}"))
    engine.dispose()

    assert [3] == [count for said, count in recorded.statements().items() if "SELECT" in said]
    assert all("3" not in said for said in recorded.statements())


def test_nothing_is_recorded_after_the_block():
    """A recording ends with its block; the libraries are as they were."""
    engine = create_engine("sqlite://")
    with recording() as recorded:
        pass
    with watchkeeper.job("recorded-later"), engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    engine.dispose()

    assert 0 == recorded.value("job_duration_seconds")
    assert {} == recorded.statements()
