"""The built-in check of the workers, on a store of each kind."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from checked import check, found, nothing_left, told
from watchkeeper import Settings
from watchkeeper.core.metrics import Scope
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.runtime.checks import run_once
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.store import Batch

SCOPE = Scope(service="shop", environment="production", release="1")


@dataclass
class Us:
    """This process' Watchkeeper, as far as checks look at it."""

    store: Store | None
    settings: Settings
    scope: Scope = SCOPE
    clock: Callable[[], float] = time.time


@pytest.fixture
def us(store: Store) -> Us:
    """A Watchkeeper with an empty store."""
    return Us(store=store, settings=Settings())


def register(us: Us, *, pid: int, ago_s: float, since_s: float = 0.0) -> int:
    """Let a worker begin `since_s` ago and write for the last time `ago_s` ago."""
    assert us.store is not None
    now = time.time()
    worker = us.store.register(us.scope, host="a", pid=pid, at=now - max(ago_s, since_s)).id
    key = FrameKey(10, int(now - ago_s) // 10 * 10, worker, 0)
    us.store.write(Batch(scope=us.scope, frame=Frame(key=key), at=now - ago_s))
    return worker


def test_workers_that_write_are_counted(us: Us):
    """As many as there are; at least one is wanted."""
    register(us, pid=1, ago_s=0)
    register(us, pid=2, ago_s=0)
    one = found("worker_heartbeat", own=us)

    assert ("pass", "", 2.0, "workers") == (one.state.value, one.output, one.value, one.unit)


def test_fewer_workers_than_wanted_fail(us: Us):
    """The number that write, and that are wanted; not at once, as who just began writes soon."""
    made = check("worker_heartbeat", own=us, at_least=3)
    register(us, pid=1, ago_s=0)

    looks = []
    for later_s in (0.0, 19.0, 21.0):
        us.clock = lambda later_s=later_s: time.time() + later_s
        looks.append(run_once(made))

    assert [
        ("warn", "only just begun: 1 of at least 3 workers write"),
        ("warn", "only just begun: 1 of at least 3 workers write"),
        ("fail", "1 of at least 3 workers write"),
    ] == [(one.state.value, one.output) for one in looks]


def test_a_worker_that_fell_silent_fails_by_its_number(us: Us):
    """One that others do not replace is missing; who has just begun may be its replacement."""
    made = check("worker_heartbeat", own=us)
    register(us, pid=1, ago_s=20, since_s=100)
    register(us, pid=2, ago_s=0, since_s=100)

    looks = []
    for later_s in (0.0, 15.0, 25.0):
        us.clock = lambda later_s=later_s: time.time() + later_s
        looks.append(run_once(made))

    assert [
        ("pass", ""),
        ("warn", "only just begun: missing: 1"),
        ("fail", "missing: 1"),
    ] == [(one.state.value, one.output) for one in looks]


def test_a_worker_that_stopped_cleanly_is_not_missing(us: Us):
    """A deploy is no failure."""
    assert us.store is not None
    first = register(us, pid=1, ago_s=40)
    us.store.stop_worker(first, at=time.time() - 39)
    register(us, pid=2, ago_s=0)

    assert ("pass", "") == told("worker_heartbeat", own=us)


AWAY = ("warn", "not known: Watchkeeper's own database does not answer")


def test_without_an_open_database_nothing_is_known(us: Us):
    """Before the first flush: that the monitor is away makes no service unhealthy."""
    us.store = None

    assert AWAY == told("worker_heartbeat", own=us)


def test_while_the_database_is_away_nothing_is_known(us: Us, tmp_path: Path):
    """What is open does not answer any more."""
    us.store = open_store(f"sqlite:///{tmp_path}/no-folder/wk.db")

    assert AWAY == told("worker_heartbeat", own=us)


def test_nothing_is_left_of_many_runs(us: Us):
    """Our own store's connections are used."""
    register(us, pid=1, ago_s=0)
    made = check("worker_heartbeat", own=us)
    run_once(made)

    with nothing_left():
        assert {"pass"} == {run_once(made).state.value for _ in range(200)}
