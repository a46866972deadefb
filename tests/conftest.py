"""Fixtures that every floor's tests may use."""

import gc
import os
import shutil
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from servers import MariaDB, Postgres, mariadb, postgres, redis

from watchkeeper.storage import Store, open_store


def pytest_collection_finish() -> None:
    """Let the collector pass over what lives as long as the tests do: all modules, all tests."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let the collector see all again."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust one of the machine's authorities, here and in processes: nothing here is so far away.

    To load them all takes 20 ms, which each connection to MariaDB does.
    """
    found = ssl.create_default_context().get_ca_certs(binary_form=True)
    with pytest.MonkeyPatch.context() as patch:
        if found and "SSL_CERT_FILE" not in os.environ:
            file = tmp_path_factory.mktemp("trusted") / "authority.pem"
            file.write_text(ssl.DER_cert_to_PEM_cert(found[0]))
            patch.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture(scope="session", autouse=True)
def patience() -> Iterator[None]:
    """Wait for a text of an exception for as long as it takes: a busy machine makes none late.

    What is late once is not asked again by this process. Tests of what blocks are `impatient`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("watchkeeper.runtime.texts.PATIENCE_S", 30.0)
        yield


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


@contextmanager
def _database(postgres_server: str, *, like: str = "template1") -> Iterator[str]:
    """Make a database as another one is, until the block ends; its URL."""
    import psycopg

    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        # To copy files takes half the time of logging what is in them, which is newer.
        copying = "STRATEGY FILE_COPY" if connection.info.server_version >= 150_000 else ""
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {like} {copying}")
    yield f"{postgres_server.rpartition('/')[0]}/{name}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """Make a database of the test's own on the real PostgreSQL server; its URL."""
    with _database(postgres_server) as url:
        yield url


def _migrate(url: str) -> None:
    opened = open_store(url)
    opened.migrate()
    opened.close()


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> Iterator[str]:
    """Make a PostgreSQL database with our tables, to be copied; its name."""
    with _database(postgres_server) as url:
        _migrate(url)
        yield url.rpartition("/")[2]


@pytest.fixture
def migrated_postgres_url(postgres_server: str, migrated_postgres: str) -> Iterator[str]:
    """Make a database of the test's own with our tables in it, by copying: its URL."""
    with _database(postgres_server, like=migrated_postgres) as url:
        yield url


@pytest.fixture
def own_mariadb() -> Iterator[MariaDB]:
    """Run a MariaDB server for this test alone, which it may stop and start."""
    with mariadb() as server:
        yield server


@contextmanager
def _mariadb_database(server: MariaDB, tables: Sequence[str] = ()) -> Iterator[str]:
    """Make a database, and tables in it, until the block ends; its URL."""
    name = f"test_{uuid4().hex}"
    with server.administer() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET latin1")  # ours is our business
        cursor.execute(f"USE {name}")
        for statement in tables:
            cursor.execute(statement)
    yield f"{server.url}/{name}"
    with server.administer() as cursor:
        cursor.execute(f"DROP DATABASE {name}")


@pytest.fixture
def mariadb_url(mariadb_server: MariaDB) -> Iterator[str]:
    """Make a database of the test's own on the real MariaDB server; its URL."""
    with _mariadb_database(mariadb_server) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_mariadb(mariadb_server: MariaDB) -> list[str]:
    """Make our tables on MariaDB once; the statements that make the same ones, rows included."""
    statements = []
    with _mariadb_database(mariadb_server) as url, mariadb_server.administer() as cursor:
        _migrate(url)
        name = url.rpartition("/")[2]
        cursor.execute(f"USE {name}")
        cursor.execute("SHOW TABLES")
        tables = [table for (table,) in cursor.fetchall()]
        for table in tables:
            cursor.execute(f"SHOW CREATE TABLE {table}")
            statements.append(cursor.fetchone()[1])
        for table in tables:
            cursor.execute(f"SELECT * FROM {table}")
            for row in cursor.fetchall():
                values = ", ".join(cursor.connection.escape(value) for value in row)
                statements.append(f"INSERT INTO {table} VALUES ({values})")
    return statements


@pytest.fixture
def migrated_mariadb_url(mariadb_server: MariaDB, migrated_mariadb: list[str]) -> Iterator[str]:
    """Make a database of the test's own with our tables in it, by what tells of them: its URL."""
    with _mariadb_database(mariadb_server, migrated_mariadb) as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Name a SQLite file that does not exist yet; its URL."""
    return f"sqlite:///{tmp_path / 'watchkeeper.db'}"


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a SQLite file with our tables, to be copied."""
    file = tmp_path_factory.mktemp("migrated") / "watchkeeper.db"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def migrated_sqlite_url(sqlite_url: str, migrated_sqlite: Path) -> str:
    """Make a SQLite file of the test's own with our tables in it, by copying: its URL."""
    shutil.copyfile(migrated_sqlite, sqlite_url.removeprefix("sqlite:///"))
    return sqlite_url


DATABASES = {"sqlite": "sqlite_url", "postgresql": "postgres_url", "mariadb": "mariadb_url"}


@pytest.fixture(params=list(DATABASES))
def sql_url(request: pytest.FixtureRequest) -> str:
    """Name an empty database of each kind in turn."""
    return str(request.getfixturevalue(DATABASES[request.param]))


@pytest.fixture(params=list(DATABASES))
def migrated_url(request: pytest.FixtureRequest) -> str:
    """Name a database of each kind in turn, with our tables in it and nothing else.

    To copy tables takes a third of the time of making them.
    """
    return str(request.getfixturevalue(f"migrated_{DATABASES[request.param]}"))


@pytest.fixture(params=["memory", *DATABASES])
def store_url(request: pytest.FixtureRequest) -> str:
    """Name a store of each kind in turn, with nothing in it but its tables."""
    if request.param == "memory":
        return "memory://"
    return str(request.getfixturevalue(f"migrated_{DATABASES[request.param]}"))


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """Open a store of each kind in turn, empty and migrated."""
    opened = open_store(store_url)
    opened.migrate()
    yield opened
    opened.close()
