"""Opening a database: addresses, files, drivers, and the sentences for what is wrong."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from servers import free_port
from stored import HERE, SHOP, batch, frame

from watchkeeper.exceptions import (
    ConfigurationError,
    StorageError,
    StorageUnavailableError,
)
from watchkeeper.storage import open_store
from watchkeeper.storage.store import Written


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("://", "database_url: this is not a URL"),
        ("oracle://root@db/shop", "database_url: oracle:// is not supported"),
        ("mysql+aiomysql://db/shop", "aiomysql is an asynchronous driver; write mysql+pymysql://"),
        ("postgresql+asyncpg://db/shop", "asyncpg is an asynchronous driver"),
        ("postgresql+nonsense://db/shop", "postgresql+nonsense:// is not known"),
        ("sqlite://", "SQLite needs a file"),
        ("sqlite:///:memory:", "SQLite needs a file"),
        ("memory:", "SQLite needs a file"),
        ("sqlite:////var/lib/memory:", "SQLite needs a file"),
        ("sqlite:watchkeeper.db", "sqlite: lacks two slashes"),
        ("postgresql+psycopg:/db/shop", "postgresql+psycopg: lacks two slashes"),
    ],
)
def test_an_address_that_makes_no_sense_is_refused_with_the_cure(url: str, message: str):
    """A wrong database_url is told at once, by name, with what to write instead."""
    with pytest.raises(ConfigurationError) as caught:
        open_store(url)

    assert message in str(caught.value)
    assert str(caught.value).startswith("database_url: ")
    assert "write" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "kind", "extra"),
    [
        ("postgresql+pg8000://db/shop", "postgresql", "postgres"),
        ("mysql+mysqldb://db/shop", "mariadb", "mariadb"),
    ],
)
def test_a_missing_driver_is_told_with_the_command_that_installs_it(
    url: str, kind: str, extra: str
):
    """Whoever forgot the extra reads what to install."""
    with pytest.raises(ConfigurationError) as caught:
        open_store(url)

    assert (
        f"database is {kind}:// but no driver is installed. "
        f'Run: pip install "watchkeeper[{extra}]". Monitoring is off; your app is unaffected.'
    ) == str(caught.value)


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"])
def test_mariadb_goes_by_both_of_its_names(scheme: str):
    """Whatever the URL begins with, the driver is the one that the extra installs."""
    store = open_store(f"{scheme}://shop:s3cret@127.0.0.1:{free_port()}/shop")

    assert store.description().startswith("mariadb 127.0.0.1:")
    with pytest.raises(StorageUnavailableError, match="unreachable"):
        store.migrate()


def test_opening_connects_to_nothing():
    """A database that is away does not delay the start, and no file is made before its time."""
    store = open_store(f"postgresql://nobody@127.0.0.1:{free_port()}/shop")

    assert store.description().startswith("postgresql 127.0.0.1:")


def test_the_name_of_a_store_holds_no_password():
    """Description and errors may be shown to everybody."""
    port = free_port()
    store = open_store(f"postgresql://shop:s3cret@127.0.0.1:{port}/shop")

    with pytest.raises(StorageUnavailableError) as caught:
        store.migrate()

    assert f"postgresql 127.0.0.1:{port}/shop" == store.description()
    assert "s3cret" not in str(caught.value)
    assert f"database 127.0.0.1:{port}/shop: unreachable" in str(caught.value)


def test_a_bare_path_is_a_sqlite_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The file stays where it was when the host changes its directory later."""
    monkeypatch.chdir(tmp_path)
    store = open_store("watchkeeper.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    store.migrate()
    store.close()

    assert "sqlite watchkeeper.db" == store.description()
    assert (tmp_path / "watchkeeper.db").exists()


def test_a_new_sqlite_file_is_laid_out_for_frames(sqlite_url: str):
    """Page size and vacuum mode can be chosen on a new file only, so they are right at once."""
    store = open_store(sqlite_url)
    store.migrate()
    store.close()

    file = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    found = [
        file.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_size", "auto_vacuum", "journal_mode")
    ]
    file.close()

    assert [16_384, 2, "wal"] == found


def test_room_that_pruning_made_is_given_back(sqlite_url: str):
    """After old frames were deleted the file shrinks, a bounded number of pages at a time."""
    store = open_store(sqlite_url)
    store.migrate()
    store.add_frames([frame(start, 1) for start in range(0, 30_000, 10)])
    path = sqlite_url.removeprefix("sqlite:///")

    def pages() -> int:
        file = sqlite3.connect(path)
        count = int(file.execute("PRAGMA page_count").fetchone()[0])
        file.close()
        return count

    before = pages()
    while store.prune_frames(10, before=30_000, limit=1_000):
        pass
    store.prepare(at=30_000)

    assert 20 < before - pages() <= 200


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path):
    """The sentence names the path, the reason and the setting."""
    store = open_store(str(tmp_path / "missing" / "watchkeeper.db"))

    with pytest.raises(StorageUnavailableError) as caught:
        store.migrate()

    assert f"cannot write {tmp_path}/missing/watchkeeper.db (there is no folder" in str(
        caught.value
    )
    assert "Set WATCHKEEPER_DATABASE_URL to a writable path." in str(caught.value)


def test_a_folder_that_is_not_writable_is_told():
    """Whoever runs the application as another user reads why nothing is stored."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        store = open_store(f"{folder}/watchkeeper.db")
        try:
            if os.getuid() == 0:  # root may write everywhere
                os.seteuid(65_534)
            with pytest.raises(StorageUnavailableError, match=r"\(permission denied\)"):
                store.migrate()
        finally:
            if os.getuid() == 0:
                os.seteuid(0)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path):
    """Somebody else's file is not overwritten, and trying again would not help."""
    path = tmp_path / "notes.txt"
    path.write_text("shopping list\n" * 100)
    store = open_store(str(path))

    with pytest.raises(StorageError, match="is damaged or no SQLite file") as caught:
        store.migrate()

    assert not isinstance(caught.value, StorageUnavailableError)
    assert "shopping list" == path.read_text()[:13]


def test_tables_that_are_missing_are_no_outage(sqlite_url: str):
    """A store that was never migrated says so."""
    store = open_store(sqlite_url)

    with pytest.raises(StorageError, match="no such table"):
        store.meta("schema")


def test_sqlalchemy_is_imported_by_opening_alone():
    """A host that imports the package does not pay for a library that it may not use."""
    code = (
        "import sys, watchkeeper.storage, watchkeeper.storage.memory;"
        "assert 'sqlalchemy' not in sys.modules;"
        "watchkeeper.storage.open_store('memory://');"
        "assert 'sqlalchemy' not in sys.modules;"
        "watchkeeper.storage.open_store('x.db');"
        "assert 'sqlalchemy' in sys.modules"
    )

    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "" == done.stderr


def test_a_forked_child_has_connections_of_its_own(sqlite_url: str):
    """A server that forks after its start does not share a connection with its workers."""
    store = open_store(sqlite_url)
    store.migrate()
    worker = store.register(SHOP, host="web", pid=1, at=0.0)

    child = os.fork()
    if not child:
        status = 1
        try:
            written = store.write(batch(frame(10, worker.id)))
            status = 0 if written is Written.STORED else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    store.write(batch(frame(20, worker.id)))

    assert 0 == status
    assert 2 == len(store.frames(10, since=0, until=60, **HERE))
    store.close()
