"""`watchkeeper migrate` as a process, on each database, and what needs it."""

import json
import sqlite3
from pathlib import Path

import pytest
from kept import OURS, audited, object_of, run
from sqlalchemy import create_engine

from watchkeeper.storage import open_store

DRIVERS = {"postgresql:": "postgresql+psycopg:", "mysql:": "mysql+pymysql:"}


def execute(url: str, script: str) -> None:
    """Run a script by hand, statement by statement where the database takes but one."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.executescript(script)
        connection.close()
        return
    for scheme, driver in DRIVERS.items():
        url = url.replace(scheme, driver)
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in [script] if "postgresql" in url else script.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    engine.dispose()


def test_an_empty_database_is_brought_up_to_date(sql_url: str, tmp_path: Path):
    """The verb makes what is missing, and says when nothing is."""
    first = object_of(run("migrate", "--db", sql_url, *OURS, "--json", folder=tmp_path))
    second = run("migrate", "--db", sql_url, folder=tmp_path)

    assert 0 == first["before"] < first["schema"]
    assert second.stdout.endswith(f"(from --db): schema {first['schema']}: nothing to do\n")
    assert 3 == run("status", "--db", sql_url, *OURS, folder=tmp_path).returncode  # no data yet
    assert [("schema.migrate", {"before": 0})] == audited(sql_url)


def test_the_sql_can_be_run_by_hand(sql_url: str, tmp_path: Path):
    """What is printed, run by hand, leaves nothing to do; printing it makes nothing."""
    printed = run("migrate", "--db", sql_url, "--sql", folder=tmp_path)
    store = open_store(sql_url)

    assert 0 == printed.returncode, printed.stderr
    assert "" == printed.stderr
    assert [] == store.tables()
    execute(sql_url, printed.stdout)
    assert 25 == len(store.tables())
    assert store.schema().found == store.schema().known
    again = run("migrate", "--db", sql_url, "--sql", folder=tmp_path)
    assert ["-- nothing is missing"] == again.stdout.splitlines()[1:]
    store.close()


def test_the_sql_speaks_of_the_prefix_and_schema_that_are_set(postgres_url: str, tmp_path: Path):
    """With names of its own an installation gets SQL with these names only."""
    environ = {
        "WATCHKEEPER_DATABASE_URL": postgres_url,
        "WATCHKEEPER_TABLE_PREFIX": "mon_",
        "WATCHKEEPER_DATABASE_SCHEMA": "monitoring",
    }

    printed = run("migrate", "--sql", folder=tmp_path, environ=environ)

    execute(postgres_url, printed.stdout)
    assert "wk_" not in printed.stdout
    store = open_store(postgres_url, prefix="mon_", schema="monitoring")
    assert store.schema().found == store.schema().known
    assert "mon_frame" in [one.name for one in store.tables()]
    store.close()
    elsewhere = open_store(postgres_url)
    assert [] == elsewhere.tables()
    elsewhere.close()


def test_the_sql_as_json(sqlite_url: str, tmp_path: Path):
    """A script gets the statements one by one."""
    told = object_of(run("migrate", "--db", sqlite_url, "--sql", "--json", folder=tmp_path))

    assert (0, True) == (told["before"], any("CREATE TABLE wk_meta" in one for one in told["sql"]))


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["open"],
        ["prune", "--dry-run"],
        ["erase", "--user", "42", "--dry-run"],
        ["export", "issues"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_missing_tables_are_one_line_and_a_code(
    sql_url: str, arguments: list[str], tmp_path: Path
):
    """A verb that needs tables which are not there says what to run, and makes nothing."""
    store = open_store(sql_url)
    if sql_url.startswith("sqlite"):
        Path(sql_url.removeprefix("sqlite:///")).touch()

    done = run(*arguments, "--db", sql_url, folder=tmp_path)

    assert 3 == done.returncode
    assert (
        "watchkeeper: there are no tables yet, this version needs schema "
        f"{store.schema().known}. Run: watchkeeper migrate\n" == done.stderr
    )
    assert [] == store.tables()
    store.close()


def test_newer_tables_are_read_with_one_clear_line(sql_url: str, tmp_path: Path):
    """An older version still shows what it understands, says so, and changes nothing."""
    store = open_store(sql_url)
    known = store.migrate()
    store.set_meta("schema", str(known + 1))
    store.close()

    status = run("status", "--db", sql_url, *OURS, "--json", folder=tmp_path)
    migrated = run("migrate", "--db", sql_url, folder=tmp_path)

    line = f"watchkeeper: tables are schema {known + 1}, this version knows {known}. "
    assert (3, "unknown") == (status.returncode, json.loads(status.stdout)["level"])
    assert [line] == [one[: len(line)] for one in status.stderr.splitlines()]
    assert (3, 1) == (migrated.returncode, len(migrated.stderr.splitlines()))
    assert migrated.stderr.startswith(line)
