"""The built-in check of the host's database, against real servers."""

import gc
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from checked import check, found, nothing_left, states, told
from watchkeeper.core.health import CheckState
from watchkeeper.runtime.builtin.options import CheckFailedError
from watchkeeper.runtime.builtin.sql import Asking
from watchkeeper.runtime.checks import run_once

PLAIN = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
ASYNC = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}


@pytest.fixture
def url(sql_url: str) -> str:
    """Name a database of each kind in turn, with a plain driver."""
    scheme, _, rest = sql_url.partition("://")
    if scheme == "sqlite":
        Path(rest[1:]).touch()
    return f"{PLAIN[scheme]}://{rest}"


@pytest.fixture(params=["sqlite", "postgresql"])
def async_url(request: pytest.FixtureRequest) -> str:
    """Name a database of each kind that the tests have an async driver of."""
    fixture = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]
    scheme, _, rest = str(request.getfixturevalue(fixture)).partition("://")
    if scheme == "sqlite":
        Path(rest[1:]).touch()
    return f"{ASYNC[scheme]}://{rest}"


def test_a_database_that_answers_passes(url):
    """By its URL; the milliseconds are told."""
    one = found("database", url=url, timeout="10s")

    assert ("pass", "", "ms") == (one.state.value, one.output, one.unit)
    assert 0 < one.value < 10_000


def test_a_database_with_an_async_driver_passes(async_url: str):
    """By its URL and by its engine, in a loop of the check's own."""
    engine = create_async_engine(async_url)

    assert ("pass", "") == told("database", url=async_url, timeout="10s")
    assert ("pass", "") == told("database", url=engine, timeout="10s")


def test_an_engine_whose_pool_is_empty_passes(url):
    """The host's connections are not used."""
    engine = create_engine(url, pool_size=1, max_overflow=0)
    try:
        with engine.connect():
            assert ("pass", "") == told("database", url=engine, timeout="10s")
    finally:
        engine.dispose()


def test_a_slow_answer_is_a_warning(url):
    """`warn_after` holds for connecting, too."""
    state, text = told("database", url=url, warn_after="0.001ms", timeout="10s")

    assert "warn" == state
    assert text.startswith("answered in ")


@pytest.mark.parametrize(
    "driver",
    ["postgresql+psycopg", "postgresql+asyncpg", "mysql+pymysql"],
)
def test_a_server_that_is_away_is_told_in_plain_words(driver: str, closed_port: int):
    """The same words for every driver."""
    assert ("fail", f"connection refused by 127.0.0.1:{closed_port}") == told(
        "database",
        url=f"{driver}://shop:not-a-real-one@127.0.0.1:{closed_port}/shop",
        timeout="10s",
    )


@pytest.mark.parametrize(
    "driver",
    ["postgresql+psycopg", "postgresql+asyncpg", "mysql+pymysql"],
)
def test_a_server_that_hangs_ends_with_the_time(driver: str, silent):
    """One that takes connections and says nothing keeps no thread."""
    state, _ = told(
        "database", url=f"{driver}://shop@127.0.0.1:{silent.port}/shop", timeout="2500ms"
    )

    assert "fail" == state


def test_a_server_that_hangs_keeps_no_socket(silent):
    """Nor does what the driver's error holds, until the garbage collector comes by."""
    made = check("database", url=f"postgresql+psycopg://shop@127.0.0.1:{silent.port}/shop")
    run_once(made)
    gc.collect()
    gc.disable()
    try:
        with nothing_left():
            assert CheckState.FAIL is run_once(made).state
    finally:
        gc.enable()


def test_a_server_that_stops_answering_is_cut_off(postgres_url: str):
    """libpq waits for an answer as long as the connection stands."""
    name = postgres_url.replace("postgresql://", "postgresql+psycopg://")
    place = name.partition("@")[2].partition("/")[0]
    for target in (name, create_engine(name)):
        database = Asking(target)
        with pytest.raises(CheckFailedError, match=f"no answer from {place} in time"):
            database.ask(
                lambda one: one.exec_driver_sql("SELECT pg_sleep(60)"), deadline=monotonic() + 0.5
            )


def test_what_a_server_refuses_is_told_in_its_words(postgres_url: str):
    """A database that is not there, by its name."""
    name = postgres_url.replace("postgresql://", "postgresql+psycopg://").rpartition("/")[0]
    state, text = told("database", url=f"{name}/nowhere", timeout="10s")

    assert "fail" == state
    assert 'database "nowhere" does not exist' in text


def test_nothing_is_left_of_many_runs(url, closed_port: int):
    """Of URLs and of engines, of good runs and of bad ones."""
    engine = create_engine(url)
    try:
        assert {CheckState.PASS} == states(check("database", url=engine, timeout="10s"))
    finally:
        engine.dispose()
    bad: dict[str, Any] = {"url": f"mysql+pymysql://shop@127.0.0.1:{closed_port}/shop"}
    assert {CheckState.FAIL} == states(check("database", **bad), 50)


def test_nothing_is_left_of_many_runs_in_a_loop(async_url: str):
    """Each run has a loop of its own, which is closed."""
    assert {CheckState.PASS} == states(check("database", url=async_url, timeout="10s"))
