"""A worker that is killed is missed by another one, told by real processes on one database."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import until
from stored import side_by_side

from watchkeeper.core.metrics import Scope
from watchkeeper.core.missing import ALL, Missing, Reason
from watchkeeper.runtime.missing import missing_workers
from watchkeeper.storage import Store, open_store

SHOP = Scope(service="shop", environment="test")
WORKER = """
import sys
import time

import watchkeeper
from watchkeeper.app import obtain

kept = obtain(watchkeeper.Settings(
    enabled=True, database_url=sys.argv[1], service="shop", environment="test",
    slot="1s", flush_jitter="0s", alert_pack=False,
))
kept.start()
sys.stdin.read()
kept.stop()
"""

Spawn = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def spawn(sqlite_url: str, tmp_path: Path) -> Iterator[Spawn]:
    """Start workers that write each second until their input ends."""
    (tmp_path / "worker.py").write_text(WORKER)
    started: list[subprocess.Popen[bytes]] = []
    environ = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "worker.py", sqlite_url],
            cwd=tmp_path,
            env=environ,
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def shared(sqlite_url: str) -> Iterator[Store]:
    """The database of the workers."""
    store = open_store(sqlite_url)
    store.migrate()
    yield store
    store.close()


def pids(store: Store) -> set[int]:
    """Return the processes that are registered."""
    workers = store.workers(service="shop", environment="test", seen_since=0)
    return {worker.pid for worker in workers}


def gone(store: Store) -> list[Missing]:
    """Return who is missing by now."""
    return missing_workers(store, SHOP, now=time.time(), slot_s=1)


def number_of(store: Store, pid: int) -> str:
    workers = store.workers(service="shop", environment="test", seen_since=0)
    return next(str(worker.number) for worker in workers if worker.pid == pid)


def test_a_killed_worker_is_missed_and_its_successor_ends_that(spawn: Spawn, shared: Store):
    """kill -9 is seen by those who live; a clean stop is not; a restart takes the place."""
    one, killed, stopping = spawn(), spawn(), spawn()
    assert until(lambda: {one.pid, killed.pid, stopping.pid} <= pids(shared))
    assert until(lambda: side_by_side(shared, service="shop", environment="test"))

    stopping.communicate()
    os.kill(killed.pid, signal.SIGKILL)
    missed = until(lambda: gone(shared))

    assert [(number_of(shared, killed.pid), Reason.WORKER_SILENT)] == [
        (each.worker, each.reason) for each in missed
    ]
    again = spawn()
    assert until(lambda: again.pid in pids(shared) and not gone(shared))


def test_when_all_are_killed_one_stands_for_them(store: Store):
    """On every kind of database: nobody has written for a day, and that is one thing to tell."""
    for pid in (1, 2):
        store.register(SHOP, host="web-1", pid=pid, at=1_000.0)

    (everything,) = missing_workers(store, SHOP, now=1_000.0 + 86_400, slot_s=10)

    assert (ALL, ALL, Reason.ALL_SILENT) == (everything.host, everything.worker, everything.reason)
