"""What built-in checks do themselves is not in the application's figures."""

from pathlib import Path

import pytest
from observed import Observed
from sqlalchemy import create_engine
from sqlalchemy.pool import QueuePool

from checked import told
from watchkeeper.integrations.instruments import asyncpg, psycopg, sqlalchemy


@pytest.fixture
def instrumented(observed: Observed):
    """Instrument what the checks use."""
    undo = [one.install(observed.observer) for one in (psycopg, asyncpg, sqlalchemy)]
    yield observed
    for one in undo:
        one()


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_the_statements_of_checks_are_not_recorded(
    postgres_url: str, instrumented: Observed, driver: str
):
    """A query of the application's is one that the application made."""
    url = postgres_url.replace("postgresql://", f"postgresql+{driver}://")

    assert "pass" == told("database", url=url, timeout="10s")[0]
    assert "pass" == told("clock", url=url, timeout="10s")[0]
    assert "pass" == told("queue_depth", url=url, query="SELECT 1", timeout="10s")[0]
    assert ({}, {}, {}) == (
        instrumented.commands(), instrumented.statements(), instrumented.failed_commands()
    )  # fmt: skip


def test_neither_a_pool_nor_a_wait_is_added_to_those_of_an_engine(
    instrumented: Observed, tmp_path: Path
):
    """The check's connections are beside the host's pool."""
    (tmp_path / "shop.db").touch()
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}", poolclass=QueuePool)
    with engine.connect():
        before = instrumented.pools(), instrumented.pool_waits()

        assert "pass" == told("database", url=engine)[0]
        assert before == (instrumented.pools(), instrumented.pool_waits())
        assert {} == instrumented.statements()
    engine.dispose()
