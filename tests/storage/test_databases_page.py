"""What the page "Databases" tells an administrator to do is enough."""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from servers import MariaDB
from stored import SHOP, batch, frame

from watchkeeper.storage import open_store
from watchkeeper.storage.store import Written

PAGE = Path(__file__).parents[2] / "docs" / "databases.md"


@pytest.fixture
def name() -> str:
    """Make a name of this test's own, of a role and of what it owns."""
    return f"test_{uuid4().hex}"


def told(block: str, name: str) -> list[str]:
    """Return the statements of a block of the page, with a name of the test's own."""
    text = PAGE.read_text("utf-8")
    found = re.search(rf"^```sql {block}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    sql = found[1].replace("shop_monitor", name).replace("monitoring", name)
    return [statement for statement in sql.split(";\n") if statement]


@pytest.fixture
def postgres_role(postgres_server: str, name: str) -> Iterator[str]:
    """Follow the page on PostgreSQL; the URL of what it made."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        for statement in told("postgresql", name):
            connection.execute(statement)
    place = postgres_server.partition("@")[2].rpartition("/")[0]
    yield f"postgresql://{name}@{place}/{name}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        connection.execute(f"DROP ROLE {name}")


@pytest.fixture
def mariadb_user(mariadb_server: MariaDB, name: str) -> Iterator[str]:
    """Follow the page on MariaDB; the URL of what it made."""
    with mariadb_server.administer() as cursor:
        for statement in told("mariadb", name):
            cursor.execute(statement)
    place = mariadb_server.url.partition("@")[2]
    yield f"mariadb://{name}:change me@{place}/{name}"
    with mariadb_server.administer() as cursor:
        cursor.execute(f"DROP DATABASE {name}")
        cursor.execute(f"DROP USER '{name}'@'%'")


@pytest.mark.parametrize("fixture", ["postgres_role", "mariadb_user"])
def test_the_rights_that_the_page_gives_are_enough(request: pytest.FixtureRequest, fixture: str):
    """The user of the page makes the tables, writes and prunes."""
    store = open_store(request.getfixturevalue(fixture))

    store.migrate()
    store.prepare(at=100.0)
    worker = store.register(SHOP, host="web", pid=1, at=0.0)

    assert Written.STORED == store.write(batch(frame(10, worker.id)))
    assert store.size_bytes() > 0
    assert 1 == store.prune_frames(10, before=60.0, limit=9)
    store.close()


def test_a_schema_of_its_own_is_enough(postgres_url: str, name: str):
    """Within the application's database the user needs no more than its schema."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for statement in told("postgresql-schema", name):
            connection.execute(statement)
    store = open_store(postgres_url.replace("watchkeeper@", f"{name}@"), schema=name)

    store.migrate()
    store.prepare(at=100.0)
    worker = store.register(SHOP, host="web", pid=1, at=0.0)

    assert Written.STORED == store.write(batch(frame(10, worker.id)))
    store.close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {name} CASCADE")
        connection.execute(f"DROP ROLE {name}")
