"""The SQL for a person to run leads to the same tables as the automatic way."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from stored import SHOP, batch, frame

from watchkeeper.exceptions import SchemaError
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.store import Written

DRIVERS = {"postgresql:": "postgresql+psycopg:", "mysql:": "mysql+pymysql:"}
COLUMNS = """
SELECT n.nspname, c.relname, c.relkind, pg_get_expr(c.relpartbound, c.oid),
       a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstorage,
       pg_get_expr(d.adbin, d.adrelid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE n.nspname NOT LIKE 'pg_%' AND n.nspname <> 'information_schema'
ORDER BY 1, 2, 5
"""
INDEXES = "SELECT schemaname, indexdef FROM pg_indexes WHERE schemaname NOT LIKE 'pg_%' ORDER BY 2"
OPTIONS = [{}, {"prefix": "mon_"}]


def execute(url: str, script: str) -> None:
    """Run a script as the database's own command line does: as it is, statement by statement."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.executescript(script)
        connection.close()
        return
    cursor, close = _cursor(url)
    for statement in [script] if url.startswith("postgresql") else script.split(";\n"):
        if statement.strip():
            cursor.execute(statement)
    close()


def _cursor(url: str) -> Any:
    for scheme, driver in DRIVERS.items():
        url = url.replace(scheme, driver)
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    connection = engine.raw_connection()

    def close() -> None:
        connection.close()
        engine.dispose()

    return connection.cursor(), close


def described(url: str) -> list[Any]:
    """Describe everything that is in a database, to the letter."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        found: list[Any] = connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
        ).fetchall()
        found += [
            connection.execute(f"PRAGMA {pragma}").fetchone()
            for pragma in ("page_size", "auto_vacuum", "journal_mode")
        ]
        connection.close()
        return [[" ".join(str(word).split()) for word in row] for row in found]
    cursor, close = _cursor(url)
    found = []
    if url.startswith("postgresql"):
        for query in (COLUMNS, INDEXES):
            cursor.execute(query)
            found += cursor.fetchall()
    else:
        cursor.execute("SHOW TABLES")
        for (table,) in sorted(cursor.fetchall()):
            cursor.execute(f"SHOW CREATE TABLE {table}")
            made = cursor.fetchall()[0][1]
            found.append(" ".join(word for word in made.split() if "AUTO_INCREMENT=" not in word))
    close()
    return found


def emptied(url: str, store: Store) -> None:
    """Make a database empty again, and of a file the very first page too."""
    store.remove()
    store.close()
    if url.startswith("sqlite"):
        for end in ("", "-wal", "-shm"):
            Path(url.removeprefix("sqlite:///") + end).unlink(missing_ok=True)


@pytest.mark.parametrize("options", OPTIONS, ids=["wk_", "mon_"])
def test_the_printed_sql_makes_the_same_tables(sql_url: str, options: dict[str, str]):
    """On an empty database a person gets to the letter what the application would make."""
    store = open_store(sql_url, **options)
    store.migrate()
    automatic = described(sql_url)
    emptied(sql_url, store)

    execute(sql_url, ";\n".join(store.missing_sql()) + ";\n")

    assert automatic == described(sql_url)
    assert [] == store.missing_sql()
    assert store.schema().known == store.migrate()
    worker = store.register(SHOP, host="web", pid=1, at=100.0)
    assert Written.STORED == store.write(batch(frame(100, worker.id)))
    store.close()


@pytest.mark.parametrize("sql_url", ["postgresql"], indirect=True)
def test_the_printed_sql_makes_the_schema_too(sql_url: str):
    """The tables land in the schema that is set, which is made."""
    store = open_store(sql_url, schema="monitoring")
    store.migrate()
    automatic = described(sql_url)
    store.remove()
    execute(sql_url, "DROP SCHEMA monitoring;\n")

    execute(sql_url, ";\n".join(store.missing_sql()) + ";\n")

    assert automatic == described(sql_url)
    assert {"monitoring"} == {row[0] for row in automatic}
    assert [] == store.missing_sql()
    store.close()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("sql_url", ["sqlite", "postgresql"], indirect=True)
def test_the_printed_sql_brings_older_tables_up_to_date(
    sql_url: str, version: int, tmp_path: Path
):
    """Only the steps that are missing are printed, and they lead to the same as taking them."""
    kind = "sqlite" if sql_url.startswith("sqlite") else "postgresql"

    def old_tables() -> None:
        for number in range(1, version + 1):
            script = Path(__file__).with_name(f"schema_{number}_{kind}.sql").read_text("utf-8")
            execute(sql_url, script)
        execute(sql_url, "DELETE FROM wk_meta;\n")
        execute(sql_url, f"INSERT INTO wk_meta VALUES ('schema', '{version}');\n")

    store = open_store(sql_url)
    old_tables()
    store.migrate()
    automatic = described(sql_url)
    emptied(sql_url, store)
    old_tables()
    before = described(sql_url)

    statements = store.missing_sql()

    # The last line is a file's journal mode, which a connection of ours sets.
    assert before[:-1] == described(sql_url)[:-1]
    execute(sql_url, ";\n".join(statements) + ";\n")
    assert automatic == described(sql_url)
    assert store.schema().known == store.schema().found
    store.close()


def test_asking_makes_nothing(sqlite_url: str):
    """Neither the version nor the SQL of a database that is not there makes its file."""
    store = open_store(sqlite_url)

    assert 0 == store.schema().found
    assert store.missing_sql()
    assert [] == store.tables()
    assert [] == store.remove()
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()


def test_newer_tables_are_left_alone(sql_url: str):
    """What a newer version made is neither changed nor removed by an older one."""
    store = open_store(sql_url)
    known = store.migrate()
    store.set_meta("schema", str(known + 1))

    for refused in (store.missing_sql, store.remove):
        with pytest.raises(SchemaError, match=f"tables are schema {known + 1}, this version"):
            refused()

    assert (known + 1, known) == (store.schema().found, store.schema().known)
    assert store.tables()
    store.close()


FOREIGN = (
    "CREATE TABLE wk_frame_backup (start BIGINT);\n"
    "CREATE TABLE wk_users (id BIGINT);\n"
    "CREATE TABLE wkmeta (name VARCHAR(20));\n"
    "CREATE TABLE wk_frame_10_999 (resolution BIGINT, start BIGINT);\n"
    "CREATE TABLE mon_meta (name VARCHAR(20), value VARCHAR(20));\n"
    "CREATE TABLE orders (id BIGINT);\n"
)


def test_foreign_tables_stay(sql_url: str):
    """Exactly what is ours is dropped, however similar the names of others are."""
    execute(sql_url, FOREIGN)
    before = described(sql_url)
    store = open_store(sql_url)
    store.migrate()
    others = open_store(sql_url, prefix="other_")
    others.migrate()
    if sql_url.startswith("postgresql"):
        store.prepare(at=100.0)
    with_others_only = [one.name for one in others.tables()]

    dropped = store.remove()

    assert 25 == len(dropped)
    assert with_others_only == [one.name for one in others.tables()]
    assert others.schema().found == others.schema().known
    others.remove()
    if not sql_url.startswith("sqlite"):  # whose table of counters stays, empty
        assert before == described(sql_url)
    store.close()
    others.close()


def test_a_foreign_table_of_our_very_name_stays(sql_url: str):
    """A table with a column that ours never had is somebody else's."""
    store = open_store(sql_url)
    store.migrate()
    execute(sql_url, "DROP TABLE wk_token;\nCREATE TABLE wk_token (colour VARCHAR(9));\n")

    dropped = store.remove()

    assert "wk_token" not in [one.name for one in dropped]
    assert any("wk_token" in str(one) for one in described(sql_url))
    store.close()


@pytest.mark.parametrize("sql_url", ["postgresql"], indirect=True)
def test_days_go_with_their_table(sql_url: str):
    """The partitions are counted, and none is left."""
    store = open_store(sql_url)
    store.migrate()

    dropped = {one.name: one.partitions for one in store.remove()}

    assert (11, 6, 6, 0) == tuple(
        dropped[name] for name in ("wk_frame", "wk_event", "wk_sample", "wk_hour")
    )
    assert [] == described(sql_url)
    store.close()
