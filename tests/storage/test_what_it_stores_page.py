"""The page "What it stores" names every table and column, and what it tells to run does that."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from servers import MariaDB
from sqlalchemy import Column, Double, Integer, LargeBinary, String, Text, inspect, make_url
from stored import HERE, SHOP, VALUES, batch, counted, event, frame, sample

from earlier import engine_of, pasted
from watchkeeper.runtime import retention
from watchkeeper.settings import Settings
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.records import MAX_PAST_WORKERS
from watchkeeper.storage.sql.schema import metadata
from watchkeeper.storage.sql.steps import STEPS

PAGE = (Path(__file__).parents[2] / "docs" / "what-it-stores.md").read_text("utf-8")


@dataclass(frozen=True)
class Told:
    """What the page tells of a table."""

    key: list[str]
    columns: list[tuple[str, str]]


def told() -> dict[str, Told]:
    """Read the tables off the page."""
    tables = {}
    for section in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        name = section.partition("\n")[0]
        if not name.startswith("wk_"):
            continue
        key = re.search(r"Key:\s((?:`\w+`,?\s*)+)\.", section)
        rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", section, re.MULTILINE)
        assert key is not None, name
        assert all(means.strip() for _, _, means in rows)
        tables[name] = Told(re.findall(r"`(\w+)`", key[1]), [(row[0], row[1]) for row in rows])
    return tables


def word(column: Column[object]) -> str:
    """Say a column's type as the page does."""
    kinds = {Text: "text", Double: "number", Integer: "integer", LargeBinary: "bytes"}
    kind = next((word for kind, word in kinds.items() if isinstance(column.type, kind)), "")
    if not kind:
        assert isinstance(column.type, String)
        kind = f"text ≤ {column.type.length}"
    return kind + (" or null" if column.nullable else "")


def script(name: str, language: str = "sql") -> list[str]:
    """Return the statements of a block of the page."""
    found = re.search(rf"^```{language} {name}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return [one.strip() for one in found[1].split(";\n") if one.strip()]


def run(url: str, statements: list[str]) -> None:
    """Run statements as a SQL client does."""
    for statement in statements:
        pasted(url, statement)


def filled(url: str) -> Store:
    """Open a store with an issue, an event, a sample and a frame."""
    store = open_store(url)
    store.migrate()
    worker = store.register(SHOP, host="web", pid=1, at=0.0)
    one = frame(10, worker.id)
    store.write(batch(one, issues=[counted()], events=[event(1)], samples=[sample(1)]))
    return store


def test_every_table_is_there_with_each_of_its_columns():
    """No column is missing, none is told that is not there, and types and keys are right."""
    assert {
        table.name: Told(
            [column.name for column in table.primary_key],
            [(column.name, word(column)) for column in table.columns],
        )
        for table in metadata.tables.values()
    } == told()


def test_every_table_is_in_the_overview():
    """The first table of the page tells of each how long it is kept."""
    rows = [row for row in PAGE.splitlines() if row.startswith("| [`wk_")]

    assert sorted(metadata.tables) == sorted(re.findall(r"\(#(wk_\w+)\)", "\n".join(rows)))


@pytest.mark.parametrize(
    ("table", "kept"),
    [
        ("wk_frame", Settings().keep_slots),
        ("wk_chunk", Settings().keep_minutes),
        ("wk_hour", Settings().keep_hours),
        ("wk_event", Settings().keep_events),
        ("wk_sample", Settings().keep_samples),
        ("wk_issue", retention.KEEP_ISSUES_S),
        ("wk_check", retention.KEEP_CHECKS_S),
        ("wk_incident", retention.KEEP_INCIDENTS_S),
        ("wk_silence", retention.KEEP_SILENCES_S),
        ("wk_release", retention.KEEP_RELEASES_S),
        ("wk_audit", retention.KEEP_AUDITS_S),
        ("wk_worker", retention.KEEP_WORKERS_S),
    ],
)
def test_how_long_it_is_kept_is_right(table: str, kept: str | float):
    """The figures are those of the settings and of the code."""
    (row,) = [row for row in PAGE.splitlines() if row.startswith(f"| [`{table}`]")]
    span = (
        kept.replace("d", " days").replace("h", " hours")
        if isinstance(kept, str)
        else f"{kept / retention.DAY_S:g} days"
    )

    assert f"| {span}" in row


def test_how_many_are_kept_is_right():
    """So are the numbers of rows."""
    assert f"{Settings().max_samples:,} at most (`max_samples`)" in PAGE
    assert f"the newest {MAX_PAST_WORKERS}" in PAGE
    assert 3 * 3_600 == retention.KEEP_SEALED_S


def test_the_page_deletes_details(migrated_url: str):
    """Events and samples are gone, and all that is counted stays."""
    store = filled(migrated_url)

    run(migrated_url, script("delete-details"))

    assert [] == store.samples(**HERE, since=0, until=100, limit=9)
    (issue,) = store.issues(**HERE, seen_since=0, limit=9)
    assert [] == store.events(issue.id, limit=9)
    assert 1 == issue.count
    store.close()


def test_the_page_deletes_everything(migrated_url: str):
    """Nothing of ours is left, partitions and views included."""
    store = filled(migrated_url)
    store.prepare(at=1_800_000_000.0)
    store.close()
    kind = "mariadb" if migrated_url.startswith("m") else migrated_url.partition(":")[0]
    run(migrated_url, script(f"views-{kind}"))

    run(migrated_url, script("delete-all"))

    engine = engine_of(migrated_url)
    left = inspect(engine)
    assert ([], []) == (
        [name for name in left.get_table_names() if name != "sqlite_sequence"],
        left.get_view_names(),
    )
    engine.dispose()


def shell(line: str, folder: Path) -> None:
    """Run a command line of the page."""
    program = line.split()[0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    subprocess.run(line, shell=True, cwd=folder, check=True, timeout=60)  # noqa: S602  # the page's


def assert_whole(url: str) -> None:
    """See that a copy of what `filled` made is a database to go on with."""
    copy = open_store(url)
    assert STEPS[-1].number == copy.migrate()
    (one,) = copy.frames(10, since=0, until=60, **HERE)
    assert VALUES == one.values
    (issue,) = copy.issues(**HERE, seen_since=0, limit=9)
    assert 1 == len(copy.events(issue.id, limit=9))
    assert 2 == copy.register(SHOP, host="web", pid=1, at=1.0).number
    copy.close()


def test_the_page_backs_sqlite_up(tmp_path: Path):
    """The copy that is made while a worker is at it is a whole database."""
    store = filled(f"sqlite:///{tmp_path / 'watchkeeper.db'}")

    shell(script("sqlite", "sh")[0], tmp_path)

    store.close()
    assert_whole(f"sqlite:///{tmp_path / 'backup.db'}")


def test_the_page_backs_postgresql_up(postgres_url: str, postgres_server: str, tmp_path: Path):
    """The dump goes back into an empty database, partitions and all."""
    store = filled(postgres_url)
    name = f"test_{uuid4().hex}"

    shell(script("postgresql", "sh")[0].replace(" monitoring ", f" '{postgres_url}' "), tmp_path)

    store.close()
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        copy = f"{postgres_server.rpartition('/')[0]}/{name}"
        try:
            shell(f"psql --quiet -v ON_ERROR_STOP=1 '{copy}' < backup.sql > log.txt", tmp_path)
            assert_whole(copy)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_the_page_backs_mariadb_up(mariadb_url: str, mariadb_server: MariaDB, tmp_path: Path):
    """The dump goes back into an empty database."""
    store = filled(mariadb_url)
    name = f"test_{uuid4().hex}"
    url = make_url(mariadb_url)
    client = f"--protocol=tcp -h{url.host} -P{url.port} -u{url.username}"
    command = script("mariadb", "sh")[0].replace(" monitoring ", f" {url.database} ")

    shell(command.replace("mariadb-dump", f"mariadb-dump {client}"), tmp_path)

    store.close()
    with mariadb_server.administer() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        try:
            shell(f"mariadb {client} {name} < backup.sql", tmp_path)
            assert_whole(f"{mariadb_server.url}/{name}")
        finally:
            cursor.execute(f"DROP DATABASE {name}")
