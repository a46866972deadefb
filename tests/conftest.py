"""Fixtures that every floor's tests may use."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from servers import MariaDB, Postgres, mariadb, postgres, redis

from watchkeeper.storage import Store, open_store


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Run one PostgreSQL server for all tests; the URL of its maintenance database."""
    with postgres() as server:
        yield server.url


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDB]:
    """Run one MariaDB server for all tests."""
    with mariadb() as server:
        yield server


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
def own_mariadb() -> Iterator[MariaDB]:
    """Run a MariaDB server for this test alone, which it may stop and start."""
    with mariadb() as server:
        yield server


@pytest.fixture
def mariadb_url(mariadb_server: MariaDB) -> Iterator[str]:
    """Make a database of the test's own on the real MariaDB server; its URL."""
    name = f"test_{uuid4().hex}"
    with mariadb_server.administer() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET latin1")  # ours is our business
    yield f"{mariadb_server.url}/{name}"
    with mariadb_server.administer() as cursor:
        cursor.execute(f"DROP DATABASE {name}")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Name a SQLite file that does not exist yet; its URL."""
    return f"sqlite:///{tmp_path / 'watchkeeper.db'}"


DATABASES = {"sqlite": "sqlite_url", "postgresql": "postgres_url", "mariadb": "mariadb_url"}


@pytest.fixture(params=list(DATABASES))
def sql_url(request: pytest.FixtureRequest) -> str:
    """Name an empty database of each kind in turn."""
    return str(request.getfixturevalue(DATABASES[request.param]))


@pytest.fixture(params=["memory", *DATABASES])
def store_url(request: pytest.FixtureRequest) -> str:
    """Name a store of each kind in turn."""
    if request.param == "memory":
        return "memory://"
    return str(request.getfixturevalue(DATABASES[request.param]))


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """Open a store of each kind in turn, empty and migrated."""
    opened = open_store(store_url)
    opened.migrate()
    yield opened
    opened.close()
