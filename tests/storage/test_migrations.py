"""From one schema to the next: once, under a lock, and never downwards."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect
from stored import HERE, SHOP, batch, frame, sample

from earlier import engine_of, execute, make_earlier
from watchkeeper.exceptions import SchemaError, StorageUnavailableError
from watchkeeper.runtime.hours import seal
from watchkeeper.storage import open_store
from watchkeeper.storage.sql import SqlStore
from watchkeeper.storage.sql.database import Database
from watchkeeper.storage.sql.migrations import migrate
from watchkeeper.storage.sql.schema import metadata
from watchkeeper.storage.sql.steps import STEPS, Step
from watchkeeper.storage.store import Audit

CHILD = """
import sys
from concurrent.futures import ThreadPoolExecutor
from watchkeeper.core.metrics import Scope
from watchkeeper.storage import open_store
sys.stdin.readline()
scope = Scope(service="shop", environment="production")
def start(_):
    store = open_store(sys.argv[1])
    line = f"{store.migrate()} {store.register(scope, host='web', pid=1, at=100.0).number}"
    store.close()
    return line
with ThreadPoolExecutor(3) as threads:
    print("\\n".join(threads.map(start, range(3))))
"""


@pytest.fixture
def url(sql_url: str) -> str:
    """Name an empty database of each kind in turn."""
    return sql_url


def opened(url: str) -> SqlStore:
    """Open the SQL store of a URL."""
    store = open_store(url)
    assert isinstance(store, SqlStore)
    return store


def test_workers_that_start_together_make_one_schema(url: str):
    """Nine workers in three processes that start on an empty database all find the tables."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    outputs = [child.communicate(timeout=100) for child in children]

    assert [""] * 3 == [errors for _, errors in outputs]
    version = STEPS[-1].number
    assert [f"{version} {number}" for number in range(1, 10)] == sorted(
        line for output, _ in outputs for line in output.splitlines()
    )


def test_newer_tables_are_left_alone(url: str):
    """An older process says what is wrong and changes nothing."""
    store = opened(url)
    version = store.migrate()
    store.set_meta("schema", str(version + 1))

    with pytest.raises(SchemaError) as caught:
        store.migrate()

    assert (
        f"tables are schema {version + 1}, this version knows {version}. "
        "Upgrade watchkeeper in this process. Read-only until then."
    ) == str(caught.value)
    store.close()


def steps(*more: Step) -> Sequence[Step]:
    """Return the steps of today and further ones."""
    return (*STEPS, *more)


def add_column(database: Database, connection: Connection) -> None:
    """Change the schema as a later version may do."""
    database.dialect.change(connection, "ALTER TABLE wk_meta ADD COLUMN note INTEGER")


def fail(database: Database, connection: Connection) -> None:
    """Break after a change was made."""
    add_column(database, connection)
    raise RuntimeError("the power went off")


def test_a_further_step_is_taken_once(url: str):
    """An upgrade runs the steps that are missing and remembers them."""
    store = opened(url)
    store.migrate()
    later = STEPS[-1].number + 1
    further = steps(Step(number=later, title="a column", run=add_column))

    assert later == migrate(store._database, further)
    assert later == migrate(store._database, further)
    assert str(later) == store.meta("schema")
    store.close()


def add_slowly(database: Database, connection: Connection) -> None:
    """Change the schema by a statement that takes a third of a second and more."""
    slow = {
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        "WHERE i < 3000000) SELECT max(i) FROM n",
        "postgresql": "SELECT pg_sleep(0.3)",
        "mariadb": "SELECT SLEEP(0.3)",
    }
    connection.exec_driver_sql(slow[database.dialect.name]).all()
    add_column(database, connection)


def test_a_step_has_more_time_than_a_flush(url: str):
    """What is too long for a statement of every day is not for a change of large tables."""
    fresh = opened(url)
    fresh.migrate()
    fresh.close()
    store = open_store(url, statement_timeout_s=0.1)
    assert isinstance(store, SqlStore)
    later = STEPS[-1].number + 1

    done = migrate(
        store._database, steps(Step(number=later, title="a large table", run=add_slowly))
    )

    assert later == done
    with (
        pytest.raises(StorageUnavailableError, match="took too long"),
        store._database.write() as connection,
    ):
        add_slowly(store._database, connection)
    store.close()


def test_a_step_that_breaks_is_taken_again(url: str):
    """After a crash the schema is still the old one, though MariaDB may have changed a table."""
    store = opened(url)
    store.migrate()
    number = STEPS[-1].number + 1

    with pytest.raises(RuntimeError, match="the power went off"):
        migrate(store._database, steps(Step(number=number, title="breaks", run=fail)))

    assert str(STEPS[-1].number) == store.meta("schema")
    further = steps(Step(number=number, title="works", run=add_column))
    assert number == migrate(store._database, further)
    store.close()


@pytest.mark.parametrize("sql_url", ["mariadb"], indirect=True)
def test_an_installation_that_broke_in_its_midst_is_finished(url: str):
    """MariaDB keeps each table that was made; the next process makes the rest."""
    store = opened(url)
    store.migrate()
    whole = structure(url)
    execute(
        url,
        "DROP TABLE wk_token;\nDROP INDEX wk_sample_route ON wk_sample;\nDELETE FROM wk_meta;\n",
    )

    store.migrate()

    assert whole == structure(url)
    store.close()


def structure(url: str) -> dict[str, object]:
    """Describe every table of ours: its columns, its key and its indexes."""
    engine = engine_of(url)
    found = inspect(engine)
    described = {
        table: (
            [
                (one["name"], str(one["type"]), one["nullable"], one["default"])
                for one in found.get_columns(table)
            ],
            found.get_pk_constraint(table)["constrained_columns"],
            sorted((one["name"], one["column_names"]) for one in found.get_indexes(table)),
        )
        for table in metadata.tables
    }
    engine.dispose()
    return described


@pytest.fixture
def old_url(url: str, old_version: int) -> str:
    """Name a database as an earlier version left it, with an issue, a minute and workers in it."""
    make_earlier(url, old_version)
    return url


@pytest.fixture
def old_version(request: pytest.FixtureRequest) -> int:
    """Tell which version it was."""
    return int(request.param)


# MariaDB came with the third.
with_old_tables = pytest.mark.parametrize(
    ("sql_url", "old_version"),
    [
        *((kind, version) for version in range(1, 8) for kind in ("sqlite", "postgresql")),
        *(("mariadb", version) for version in range(3, 8)),
    ],
    indirect=True,
)


@with_old_tables
def test_tables_of_an_earlier_schema_are_brought_up_to_date(old_url: str):
    """An upgrade keeps what is stored, and what has tables since then can be written."""
    store = opened(old_url)

    assert 8 == store.migrate()

    assert ("8", "1700000000.5") == (store.meta("schema"), store.meta("installed_at"))
    assert 1 == seal(store, now=20_000.0, pause=lambda: None)
    orders = store.hours(since=7_200, until=7_201, **HERE, metrics=["orders_total"])
    assert [3.0] == [row.hour.sum for row in orders]
    (issue,) = store.issues(**HERE, seen_since=0, limit=9)
    assert (7, 3, "KeyError: sku") == (issue.id, issue.count, issue.title)
    assert ("open", 0.0, "", {}, 0, 0) == (
        issue.state,
        issue.state_at,
        issue.state_by,
        issue.state_data,
        issue.version,
        issue.users,
    )
    store.prepare(at=100.0)
    worker = store.register(SHOP, host="web", pid=1, at=100.0)
    store.write(batch(frame(100, worker.id), samples=[sample(1, at=105.0)]))
    assert [105.0] == [one.at for one in store.samples(**HERE, since=0, until=200, limit=9)]
    store.audit(Audit(**HERE, at=100.0, actor="cli", action="link.make"))
    assert ["cli"] == [one.actor for one in store.audits(**HERE, since=0, until=200, limit=9)]
    (incident,) = store.incidents(**HERE, states=["firing"], since=0, limit=9)
    assert (3, None, "", "") == (
        incident.id,
        incident.acked_at,
        incident.acked_by,
        incident.ack_note,
    )
    (message,) = store.claim(
        at=100.0, hold_s=60.0, channels=["mail"], limit=9, scope=("shop", "production")
    )
    assert (3, "", "") == (message.incident, message.service, message.environment)
    store.close()


def test_a_process_of_before_goes_on_alerting(url: str):
    """What it leaves out, because its schema did not have it, has a value all the same."""
    store = opened(url)
    store.migrate()
    execute(
        url,
        "INSERT INTO wk_incident (service, environment, rule, label_group, severity, state,"
        " started_at, reason, data)"
        " VALUES ('shop', 'production', 'Slow', '', 'warning', 'firing', 10.0, '', '{}');\n"
        "INSERT INTO wk_outbox (message_id, incident, kind, sequence, channel, payload, status,"
        " attempts, created_at, next_try_at, claim, claim_until, last_error)"
        " VALUES ('a4', 1, 'firing', 0, 'mail', '{}', 'due', 0, 20.0, 20.0, '', 0.0, '');\n",
    )

    (incident,) = store.incidents(**HERE, states=["firing"], since=0, limit=9)
    (message,) = store.outbox(incident=incident.id, limit=9)

    assert (None, "", "") == (incident.acked_at, incident.acked_by, incident.ack_note)
    assert ("", "", 0) == (message.service, message.environment, message.priority)
    store.close()


@with_old_tables
def test_what_ran_before_an_upgrade_is_marked(old_url: str):
    """Each release that workers of the last days ran has its mark: when the first one started."""
    store = opened(old_url)
    store.migrate()
    store.register(SHOP, host="web", pid=1, at=9_999.0)

    marks = store.releases(**HERE, since=0, until=1e12, limit=9)

    assert [("v2", 9_000.0, ""), ("v1", 7_100.0, "")] == [
        (one.scope.release, one.at, one.by) for one in marks
    ]
    store.close()


@pytest.mark.parametrize(("sql_url", "old_version"), [("mariadb", 3)], indirect=True)
def test_a_step_that_broke_in_its_midst_is_finished(old_url: str):
    """MariaDB keeps the first table; marks that were set by then stay as they are."""
    store = opened(old_url)
    store.migrate()
    execute(
        old_url,
        "DROP TABLE wk_audit;\n"
        "DELETE FROM wk_release WHERE at > 8000;\n"
        "UPDATE wk_release SET set_by = 'me';\n"
        "UPDATE wk_meta SET value = '3' WHERE name = 'schema';\n",
    )

    assert 8 == store.migrate()

    assert ["", "me"] == [one.by for one in store.releases(**HERE, since=0, until=1e12, limit=9)]
    assert [] == store.audits(**HERE, since=0, until=1e12, limit=9)
    store.close()


@with_old_tables
def test_an_upgraded_database_is_like_a_fresh_one(old_url: str, tmp_path: Path):
    """The steps lead to the same columns, keys and indexes as an installation of today."""
    store = opened(old_url)
    store.migrate()
    store.close()
    upgraded = structure(old_url)
    if old_url.startswith("sqlite"):
        fresh_url = f"sqlite:///{tmp_path / 'fresh.db'}"
    else:
        execute(old_url, "".join(f"DROP TABLE {name};\n" for name in metadata.tables))
        fresh_url = old_url
    fresh = opened(fresh_url)
    fresh.migrate()
    fresh.close()

    assert structure(fresh_url) == upgraded


def test_all_tables_have_our_prefix(url: str):
    """Whoever looks into the database sees which tables are ours."""
    store = opened(url)
    store.migrate()

    assert all(name.startswith("wk_") for name in metadata.tables)
    assert 25 == len(metadata.tables)
    store.close()
