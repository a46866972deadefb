"""The built-in check of a queue, against Redis, RQ, Celery, and SQL databases."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from checked import check, found, states, told
from watchkeeper.core.health import CheckState


def mail(words: str) -> None:
    """Be a job."""


def fill(url: str, name: str, count: int) -> None:
    from redis import Redis

    with Redis.from_url(url) as client:
        client.rpush(name, *range(count))


@pytest.mark.parametrize(
    ("count", "expected"), [(5, ("pass", "")), (6, ("warn", "6 wait")), (11, ("fail", "11 wait"))]
)
def test_a_list_in_redis_is_counted(redis_url: str, count: int, expected: Any):
    """Above these numbers it warns and fails; the number is told."""
    fill(redis_url, "mails", count)
    one = found("queue_depth", url=redis_url, list="mails", warn_above=5, fail_above=10)

    assert expected == (one.state.value, one.output)
    assert (float(count), "jobs") == (one.value, one.unit)


def test_the_database_of_the_url_is_looked_at(redis_url: str):
    """A list of the same name elsewhere is another queue; one that is not there is empty."""
    fill(redis_url, "mails", 3)
    elsewhere = f"{redis_url.rpartition('/')[0]}/1"

    assert 0.0 == found("queue_depth", url=elsewhere, list="mails").value
    assert 3.0 == found("queue_depth", url=redis_url, list="mails").value


def test_what_is_no_list_is_told(redis_url: str):
    """Redis' own words say so."""
    from redis import Redis

    with Redis.from_url(redis_url) as client:
        client.set("mails", "1")
    state, words = told("queue_depth", url=redis_url, list="mails")

    assert "fail" == state
    assert "answered WRONGTYPE" in words


def test_a_queue_of_rq_is_counted(redis_url: str):
    """By the name that the application gives it."""
    from redis import Redis
    from rq import Queue

    with Redis.from_url(redis_url) as client:
        queue = Queue("mails", connection=client)
        for _ in range(4):
            queue.enqueue(print, "hello")

    assert 4.0 == found("queue_depth", url=redis_url, rq="mails").value


def test_a_queue_of_celery_is_counted_over_all_priorities(redis_url: str):
    """Each priority is a list of its own in Redis."""
    from celery import Celery

    app = Celery("shop", broker=redis_url)
    app.conf.broker_transport_options = {"queue_order_strategy": "priority"}
    task = app.task(mail)
    with app.connection_or_acquire() as connection:
        for priority in (0, 0, 4, 9):
            task.apply_async(("hello",), priority=priority, queue="mails", connection=connection)
    app.close()

    assert 4.0 == found("queue_depth", url=redis_url, celery="mails").value


def url_of(sql_url: str) -> str:
    """Name the driver that tests have."""
    scheme, _, rest = sql_url.partition("://")
    drivers = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
    return f"{drivers.get(scheme, scheme)}://{rest}"


@pytest.fixture
def jobs(sql_url: str) -> str:
    """A table with seven jobs, of which three wait; the URL of its database."""
    engine = create_engine(url_of(sql_url))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE jobs (id INTEGER, done INTEGER)"))
        for number in range(7):
            connection.execute(text(f"INSERT INTO jobs VALUES ({number}, {int(number < 4)})"))
    engine.dispose()
    return url_of(sql_url)


def test_a_query_that_counts_is_asked(jobs: str):
    """On every database, over a connection of the check's own."""
    one = found("queue_depth", url=jobs, query="SELECT count(*) FROM jobs WHERE done = 0")

    assert ("pass", 3.0, "jobs") == (one.state.value, one.value, one.unit)


@pytest.mark.parametrize("query", ["DELETE FROM jobs", "INSERT INTO jobs VALUES (99, 0)"])
def test_a_query_changes_nothing(jobs: str, query: str):
    """The connection reads only, whatever the statement says."""
    state, _ = told("queue_depth", url=jobs, query=query)

    assert "fail" == state
    assert 7.0 == found("queue_depth", url=jobs, query="SELECT count(*) FROM jobs").value


@pytest.mark.parametrize("query", ["SELECT id, done FROM jobs", "SELECT 'x'", "SELECT NULL"])
def test_a_query_must_return_one_number(jobs: str, query: str):
    """Anything else is told."""
    assert ("fail", "the query must return one row with one number") == told(
        "queue_depth", url=jobs, query=query
    )


def test_a_query_that_takes_too_long_ends_with_the_time(sqlite_url: str):
    """A statement without an end is ended, so that no thread is kept."""
    Path(sqlite_url.removeprefix("sqlite:///")).touch()
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    )

    state, _ = told("queue_depth", url=sqlite_url, query=endless, timeout="300ms")

    assert "fail" == state


def test_a_query_that_takes_too_long_ends_on_postgresql_too(postgres_url: str):
    """The server is told the time that is left."""
    state, words = told(
        "queue_depth", url=url_of(postgres_url), query="SELECT pg_sleep(60)", timeout="500ms"
    )

    assert "fail" == state
    assert "in time" in words or "statement timeout" in words


def test_a_redis_that_is_away_is_told(closed_port: int):
    """With the words of the other checks."""
    assert ("fail", f"connection refused by 127.0.0.1:{closed_port}") == told(
        "queue_depth", url=f"redis://127.0.0.1:{closed_port}", list="mails"
    )


def test_nothing_is_left_of_many_runs(redis_url: str, jobs: str):
    """Neither of Redis nor of SQL."""
    count = "SELECT count(*) FROM jobs"

    assert {CheckState.PASS} == states(check("queue_depth", url=redis_url, celery="mails"))
    assert {CheckState.PASS} == states(check("queue_depth", url=jobs, query=count))
    assert {CheckState.FAIL} == states(check("queue_depth", url=jobs, query="SELECT wrong"), 20)
