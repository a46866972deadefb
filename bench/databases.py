"""The databases that storing is measured on: a SQLite file, and servers started for the purpose.

Servers keep what is committed as those of production do, which the tests' do not.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, create_engine, make_url, text

from watchkeeper.storage import Store, open_store

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
import servers  # the tests' own servers

SQLITE: Final = "sqlite"
SERVERS: Final = ("postgresql", "mariadb")
NAMES: Final = (SQLITE, *SERVERS)


@dataclass(frozen=True, slots=True)
class Place:
    """Where empty databases are made: a folder, or a server."""

    name: str
    where: str

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """Make an empty database; its URL."""
        if self.name == SQLITE:
            path = Path(self.where) / f"{name}.db"
            yield f"sqlite:///{path}"
            for end in ("", "-wal", "-shm"):
                Path(f"{path}{end}").unlink(missing_ok=True)
            return
        url = make_url(self.where)
        administer = create_engine(driver(self.where), isolation_level="AUTOCOMMIT")
        with administer.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield url.set(database=name).render_as_string(hide_password=False)
        with administer.connect() as connection:
            force = " WITH (FORCE)" if self.name == "postgresql" else ""
            connection.execute(text(f"DROP DATABASE {name}{force}"))
        administer.dispose()


@contextmanager
def place(name: str) -> Iterator[Place]:
    """Run the server of a name, or make a folder for SQLite's files, until the block ends."""
    if name == "postgresql":
        with servers.postgres(durable=True) as server:
            yield Place(name, server.url)
    elif name == "mariadb":
        with servers.mariadb(durable=True) as server:
            yield Place(name, server.shop_url)
    else:
        with tempfile.TemporaryDirectory(prefix="watchkeeper-bench-") as folder:
            yield Place(name, folder)


def available() -> list[str]:
    """Return the databases that this machine has."""
    mariadb = shutil.which("mariadb-install-db") is not None
    there = {
        SQLITE: True,
        "postgresql": servers.postgres_programs() is not None,
        "mariadb": mariadb,
    }
    return [name for name in NAMES if there[name]]


@contextmanager
def opened(url: str) -> Iterator[Store]:
    """Open the store of an empty database, its tables made."""
    store = open_store(url)
    try:
        store.migrate()
        yield store
    finally:
        store.close()


@contextmanager
def engine(url: str) -> Iterator[Engine]:
    """Give an engine of our own for what is asked past the store."""
    made = create_engine(driver(url))
    try:
        yield made
    finally:
        made.dispose()


def driver(url: str) -> str:
    """Return a URL with the driver that the store would choose."""
    drivers = {"postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql"}
    drivers["mysql"] = drivers["mariadb"]
    parsed = make_url(url)
    parsed = parsed.set(drivername=drivers.get(parsed.drivername, parsed.drivername))
    return parsed.render_as_string(hide_password=False)
