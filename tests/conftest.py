"""Fixtures that every floor's tests may use."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from servers import Postgres, postgres, redis

from watchkeeper.storage import Store, open_store


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Run one PostgreSQL server for all tests; the URL of its maintenance database."""
    with postgres() as server:
        yield server.url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """Run one Redis server for all tests; its URL."""
    with redis() as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> Iterator[str]:
    """Give a test the Redis server to itself, empty; the URL of a database."""
    from redis import Redis

    url = f"{redis_server}/0"
    with Redis.from_url(url) as client:
        client.flushall()
        yield url
        client.flushall()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL server for this test alone, which it may stop and start."""
    with postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """Make a database of the test's own on the real PostgreSQL server; its URL."""
    import psycopg

    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield f"{postgres_server.rpartition('/')[0]}/{name}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Name a SQLite file that does not exist yet; its URL."""
    return f"sqlite:///{tmp_path / 'watchkeeper.db'}"


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """Name a store of each kind in turn."""
    if request.param == "memory":
        return "memory://"
    fixture = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(fixture))


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """Open a store of each kind in turn, empty and migrated."""
    opened = open_store(store_url)
    opened.migrate()
    yield opened
    opened.close()
