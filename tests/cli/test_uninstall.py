"""`watchkeeper uninstall` as a process, on each database."""

from pathlib import Path

from kept import object_of, run
from sqlalchemy import create_engine, inspect

from watchkeeper.storage import open_store

DRIVERS = {"postgresql:": "postgresql+psycopg:", "mysql:": "mysql+pymysql:"}
FOREIGN = ["orders", "wk_frame_10_999", "wk_frame_backup", "wkusers"]


def tables(url: str, *, make: bool = False) -> list[str]:
    """List the tables of a database; first make foreign ones with names like ours."""
    for scheme, driver in DRIVERS.items():
        url = url.replace(scheme, driver)
    engine = create_engine(url)
    if make:
        with engine.begin() as connection:
            for name in FOREIGN:
                connection.exec_driver_sql(f"CREATE TABLE {name} (start BIGINT)")
    names = sorted(inspect(engine).get_table_names())
    engine.dispose()
    return [name for name in names if not name.startswith("sqlite_")]


def test_without_consent_the_tables_are_listed_and_stay(sql_url: str, tmp_path: Path):
    """The verb lists what would go and refuses, with the code of wrong usage."""
    store = open_store(sql_url)
    store.migrate()
    before = tables(sql_url, make=True)

    done = run("uninstall", "--db", sql_url, folder=tmp_path)

    assert 64 == done.returncode
    assert "nothing was dropped: --yes drops these 25 tables" in done.stderr
    listed = [line.split()[0] for line in done.stdout.splitlines()]
    assert [one.name for one in store.tables()] == listed
    assert before == tables(sql_url)
    store.close()


def test_with_consent_ours_go_and_all_others_stay(sql_url: str, tmp_path: Path):
    """What the verb says it dropped is gone; foreign tables of similar names are there."""
    store = open_store(sql_url)
    store.migrate()
    tables(sql_url, make=True)
    store.close()

    told = object_of(run("uninstall", "--db", sql_url, "--yes", "--json", folder=tmp_path))
    again = run("uninstall", "--db", sql_url, "--yes", folder=tmp_path)

    assert FOREIGN == tables(sql_url)
    assert (True, 25) == (told["dropped"], len(told["tables"]))
    by_day = {one["name"] for one in told["tables"] if one["partitions"]}
    assert by_day == (
        {"wk_frame", "wk_event", "wk_sample"} if sql_url.startswith("postgresql") else set()
    )
    assert (0, "") == (again.returncode, again.stdout)
    assert "there are no tables of Watchkeeper's with the prefix wk_" in again.stderr


def test_only_the_set_prefix_goes(sql_url: str, tmp_path: Path):
    """Of two installations in one database the other one stays."""
    for prefix in ("wk_", "mon_"):
        store = open_store(sql_url, prefix=prefix)
        store.migrate()
        store.close()

    done = run(
        "uninstall", "--db", sql_url, "--yes", folder=tmp_path,
        environ={"WATCHKEEPER_TABLE_PREFIX": "mon_"},
    )  # fmt: skip

    assert 0 == done.returncode, done.stderr
    assert 25 == len(done.stdout.splitlines())
    assert all(line.startswith("mon_") for line in done.stdout.splitlines())
    assert not any(name.startswith("mon_") for name in tables(sql_url))
    store = open_store(sql_url)
    assert 25 == len(store.tables())
    store.close()


def test_newer_tables_stay(sql_url: str, tmp_path: Path):
    """A version that does not know every table of a newer one does not drop the half of them."""
    store = open_store(sql_url)
    known = store.migrate()
    store.set_meta("schema", str(known + 1))

    done = run("uninstall", "--db", sql_url, "--yes", folder=tmp_path)

    assert (3, "") == (done.returncode, done.stdout)
    assert f"tables are schema {known + 1}, this version knows {known}" in done.stderr
    assert 25 == len(store.tables())
    store.close()


def test_no_file_is_made_to_be_emptied(sqlite_url: str, tmp_path: Path):
    """Where there is no database the verb says so."""
    done = run("uninstall", "--db", sqlite_url, "--yes", folder=tmp_path)

    assert 3 == done.returncode
    assert "there is no database" in done.stderr
    assert [] == list(tmp_path.iterdir())


def test_the_page_shows_this_versions_tables(tmp_path: Path):
    """What the samples of the command line's page count is what there is."""
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")

    made = run("migrate", folder=tmp_path).stdout.strip()
    listed = run("uninstall", folder=tmp_path)

    assert made in page
    assert (listed.stdout + listed.stderr).strip().splitlines()[-1] in page
