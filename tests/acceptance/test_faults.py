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
from watchkeeper.storage import open_store

# A clock that is as wrong as the file "offset" says: seconds that it is ahead.
CLOCK = """
import pathlib, time

right, offset = time.time, pathlib.Path("offset")


def wrong() -> float:
    try:
        return right() + float(offset.read_text() or 0)
    except (OSError, ValueError):
        return right()


time.time = wrong
"""
APP = """
import watchkeeper
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


def fail(request: Request) -> PlainTextResponse:
    return PlainTextResponse("no", status_code=500)


app = Starlette(routes=[Route("/hello", hello), Route("/fail", fail)])
watchkeeper.watch(app, watchkeeper.Settings(
    database_url=DATABASE, service="shop", environment="test", slot="1s", flush_jitter="0s",
    spool="spool",
))
"""
SLOT_S = 1.0
EVERY_S = 0.1  # a request of each customer's: more of them show no more
AWAY_S = 60.0
STOPPED_WITHIN_S = 6.0  # two for the last slot; the server itself, on a busy machine, the rest


def shop(folder: Path, database_url: str, *, before: str = ""):
    """A watched application under uvicorn; `before` runs before anything of it is imported."""
    folder.mkdir(exist_ok=True)
    (folder / "shop.py").write_text(before + APP.replace("DATABASE", repr(database_url)))
    return uvicorn("shop:app", folder=folder, ready="/watchkeeper/livez")


def counted(database_url: str) -> int:
    """How many requests the database knows of; 0 while it cannot be read."""
    return written.counted(database_url, HTTP_DURATION.name, slot_s=1).total()


def incidents(database_url: str) -> list[str]:
    """Name the rules that fire."""
    store = open_store(database_url)
    found = store.incidents(
        service="shop", environment="test", states=["firing"], since=0, limit=9
    )
    store.close()
    return [one.rule for one in found]


class Customer:
    """Sends a request every so often from a thread and notes each answer and its time."""

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
            time.sleep(EVERY_S)

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
        time.sleep(30)
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
    """A file system of 4 MB."""
    if os.geteuid() != 0:
        missing("only root may mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=False
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
        assert until(lambda: counted(url) > 20)
        killed_at = time.time()
        server.kill()
        customer.__exit__()

        # One slot, and what the write itself takes on a busy machine.
        safe = sum(at < killed_at - SLOT_S - 0.5 for at, _ in customer.answers)
        assert safe <= counted(url) <= customer.sent


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_database_server_that_is_away_for_a_minute_is_waited_for(
    tmp_path, own_postgres, own_mariadb
):
    """Servers stopped for a minute under load: every request is counted once, and none waits."""
    servers = {"postgres": own_postgres, "mariadb": own_mariadb}
    urls = {kind: database.shop_url for kind, database in servers.items()}
    with contextlib.ExitStack() as stack:
        shops = {
            kind: stack.enter_context(shop(tmp_path / kind, url)) for kind, url in urls.items()
        }
        customers = {kind: stack.enter_context(Customer(one.url)) for kind, one in shops.items()}
        for kind, database in servers.items():
            assert until(lambda kind=kind: counted(urls[kind]))
            database.stop()
        time.sleep(AWAY_S)
        for kind, database in servers.items():
            assert "database unreachable for" in shops[kind].log.read_text()
            database.start()
        for kind, one in shops.items():
            assert until(
                lambda one=one: "database is back after" in one.log.read_text(), within_s=60
            )
            customers[kind].__exit__()

            assert_nothing_lost(one, customers[kind], urls[kind])


def spools(folder: Path) -> list[Path]:
    """List the files that hold what waits."""
    return sorted((folder / "spool").rglob("*.spool"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["own_postgres", "own_mariadb"])
def test_what_waits_outlives_the_process_and_the_next_ones_death(tmp_path, request, kind):
    """Stopped while the database is away, killed while it writes the rest: counted once."""
    database = request.getfixturevalue(kind)
    url = database.shop_url
    sent = 0
    with shop(tmp_path, url) as server, Customer(server.url) as customer:
        assert until(lambda: counted(url))
        database.stop()
        assert until(lambda: "database unreachable for" in server.log.read_text())
        time.sleep(3)
        customer.__exit__()
        sent += customer.sent
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < STOPPED_WITHIN_S
        assert 1 == len(spools(tmp_path)), server.log.read_text()
        assert "slots before the end" in server.log.read_text()
    with shop(tmp_path, url) as never, Customer(never.url) as customer:
        time.sleep(3)  # this one never sees the database
        customer.__exit__()
        sent += customer.sent
        never.stop()
        assert 2 == len(spools(tmp_path)), never.log.read_text()

    database.start()
    for delay_s in (0.0, 0.02, 0.3):
        with shop(tmp_path, url) as killed:
            until(lambda: counted(url) > 0, every_s=0.02)
            time.sleep(delay_s)
            killed.kill()
    with shop(tmp_path, url) as last:
        assert until(lambda: not spools(tmp_path), within_s=40), last.log.read_text()

        assert sent == until(lambda: (count := counted(url)) >= sent and count)
        time.sleep(2)
        assert sent == counted(url)


@pytest.mark.slow
def test_a_clock_that_jumps_loses_nothing(tmp_path):
    """An hour forward, then an hour back: every request counted once, and no hour of silence.

    An outage that begins after that is told as soon as ever.
    """
    url = str(tmp_path / "watchkeeper.db")
    clock = tmp_path / "offset"
    with shop(tmp_path, url, before=CLOCK) as server, Customer(server.url) as customer:
        assert until(lambda: counted(url))
        for offset_s in (3_600, 0, -3_600, 0):
            clock.write_text(str(offset_s))
            time.sleep(1)
            before = counted(url)
            assert until(lambda before=before: counted(url) > before)
        assert [] == incidents(url)
        for _ in range(100):
            get(f"{server.url}/fail")
        assert until(lambda: "High error rate" in incidents(url), within_s=10)
        customer.__exit__()

        assert customer.sent + 100 == until(
            lambda: (count := counted(url)) >= customer.sent + 100 and count
        )
        assert "failed" not in server.log.read_text()


@pytest.mark.slow
def test_a_clock_set_back_while_the_database_is_away_ends_no_waiting_late(tmp_path):
    """A pause between two tries that would last an hour more is over at once."""
    url = str(tmp_path / "watchkeeper.db")
    clock = tmp_path / "offset"
    clock.write_text("3600")
    with shop(tmp_path, url, before=CLOCK) as server, Customer(server.url) as customer:
        assert until(lambda: counted(url))
        lock = sqlite3.connect(url, isolation_level=None)
        lock.execute("begin exclusive")
        assert until(lambda: "database unreachable for" in server.log.read_text(), within_s=40)
        clock.write_text("0")
        lock.execute("rollback")
        lock.close()
        assert until(lambda: "database is back after" in server.log.read_text(), within_s=40)
        customer.__exit__()

        assert_nothing_lost(server, customer, url)
