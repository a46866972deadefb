"""A database that is locked, missing, full or gone: the host does not notice, nothing is lost."""

import contextlib
import os
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

import pytest
import written
from processes import get, until, uvicorn
from servers import missing

from watchkeeper.core.catalogue import HTTP_DURATION

APP = """
import watchkeeper
from fastapi import FastAPI

app = FastAPI()


@app.get("/hello")
def hello() -> str:
    return "hello"


watchkeeper.watch(app, watchkeeper.Settings(
    database_url=DATABASE, service="shop", environment="test", slot="1s", flush_jitter="0s",
))
"""
SLOT_S = 1.0


def shop(folder: Path, database_url: str):
    """A watched application under uvicorn."""
    (folder / "shop.py").write_text(APP.replace("DATABASE", repr(database_url)))
    return uvicorn("shop:app", folder=folder, ready="/watchkeeper/livez")


def counted(database_url: str) -> int:
    """How many requests the database knows of; 0 while it cannot be read."""
    return written.counted(database_url, HTTP_DURATION.name, slot_s=1).total()


class Customer:
    """Sends a request each 20 ms from a thread and notes each answer and its time."""

    def __init__(self, url: str) -> None:
        self.answers: list[tuple[float, int]] = []
        self._url = f"{url}/hello"
        self._gone = threading.Event()
        self._thread = threading.Thread(target=self._shop)

    def _shop(self) -> None:
        while not self._gone.is_set():
            try:
                status, _, _ = get(self._url)
            except OSError:
                return
            self.answers.append((time.time(), status))
            time.sleep(0.02)

    def __enter__(self) -> "Customer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._gone.set()
        self._thread.join(20)

    @property
    def sent(self) -> int:
        """How many requests were answered."""
        return len(self.answers)


def assert_nothing_lost(server, customer, database_url) -> None:
    """Every request was answered well, and each is counted once."""
    assert {200} == {status for _, status in customer.answers}
    assert customer.sent == until(
        lambda: (count := counted(database_url)) >= customer.sent and count, within_s=40
    ), server.log.read_text()


@pytest.mark.slow
def test_a_locked_database_delays_nothing_and_loses_nothing(tmp_path):
    """While another process holds the SQLite file, requests go on; later all of them are there."""
    url = str(tmp_path / "watchkeeper.db")
    with shop(tmp_path, url) as server, Customer(server.url) as customer:
        assert until(lambda: counted(url))
        lock = sqlite3.connect(url, isolation_level=None)
        lock.execute("begin exclusive")
        before = customer.sent
        time.sleep(14)
        assert customer.sent > before + 50
        lock.execute("rollback")
        lock.close()
        customer.__exit__()

        assert_nothing_lost(server, customer, url)
        assert 1 == server.log.read_text().count("database unreachable for")


@pytest.mark.slow
def test_a_missing_folder_is_told_once_and_waited_for(tmp_path):
    """A database that cannot be created is one line in the log; once it can be, all is written."""
    folder = tmp_path / "later"
    url = str(folder / "watchkeeper.db")
    with shop(tmp_path, url) as server, Customer(server.url) as customer:
        assert until(lambda: "cannot write" in server.log.read_text())
        time.sleep(2)
        folder.mkdir()
        assert until(lambda: counted(url))
        customer.__exit__()

        assert_nothing_lost(server, customer, url)
        assert 1 == server.log.read_text().count("cannot write")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    if os.geteuid() != 0:
        missing("only root may mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=False
    )
    if mounted.returncode != 0:
        missing("this machine does not allow mounting")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(filler: Path) -> None:
    """Write until there is no room left."""
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


@pytest.mark.slow
def test_a_full_disk_is_not_the_hosts_problem(tmp_path, small_disk):
    """With no room left requests go on; with room again everything held is written."""
    url = str(small_disk / "watchkeeper.db")
    filler = small_disk / "filler"
    with shop(tmp_path, url) as server, Customer(server.url) as customer:
        assert until(lambda: counted(url))
        fill(filler)
        assert until(lambda: "database unreachable for" in server.log.read_text())
        time.sleep(3)
        filler.unlink()
        customer.__exit__()

        assert_nothing_lost(server, customer, url)


@pytest.mark.slow
def test_a_killed_worker_loses_at_most_one_slot(tmp_path):
    """After `kill -9` everything older than one flush interval is in the database."""
    url = str(tmp_path / "watchkeeper.db")
    with shop(tmp_path, url) as server, Customer(server.url) as customer:
        assert until(lambda: counted(url) > 100)
        killed_at = time.time()
        server.kill()
        customer.__exit__()

        # One slot, and what the write itself takes on a busy machine.
        safe = sum(at < killed_at - SLOT_S - 0.5 for at, _ in customer.answers)
        assert safe <= counted(url) <= customer.sent


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["own_postgres", "own_mariadb"])
def test_a_database_server_that_goes_away_is_waited_for(tmp_path, request, kind):
    """A server stopped under load and started again: every request is counted once."""
    database = request.getfixturevalue(kind)
    url = database.shop_url
    with shop(tmp_path, url) as server, Customer(server.url) as customer:
        assert until(lambda: counted(url))
        database.stop()
        assert until(lambda: "database unreachable for" in server.log.read_text())
        time.sleep(4)
        database.start()
        assert until(lambda: "database is back after" in server.log.read_text(), within_s=40)
        customer.__exit__()

        assert_nothing_lost(server, customer, url)
