"""Errors that are met amid a start or a stop, in the thread that is at it."""

import faulthandler
import gc
import logging
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from processes import until

from watchkeeper.app import Watchkeeper, capture_exception, forget_current, obtain
from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.pace import Reason
from watchkeeper.exceptions import StorageUnavailableError
from watchkeeper.integrations import watch
from watchkeeper.integrations.hooks import hook
from watchkeeper.notify.notifier import Notification
from watchkeeper.runtime import crashes
from watchkeeper.settings import Settings, load
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.store import Outgoing
from watchkeeper.testing import ManualClock

GOOD = {"method": "GET", "route": "/", "status": "200"}

log = logging.getLogger("shop")


@pytest.fixture
def wk(tmp_path: Path) -> Iterator[Watchkeeper]:
    made = obtain(
        Settings(enabled=True, database_url=f"sqlite:///{tmp_path / 'wk.db'}", service="shop")
    )
    made.quiet = True
    made.stop_within_s = 15.0  # loading the database's packages takes its time on a busy machine
    hook(made)
    yield made
    forget_current()


def titles(tmp_path: Path) -> dict[str, int]:
    store = open_store(f"sqlite:///{tmp_path / 'wk.db'}")
    store.migrate()
    found = store.issues(service="shop", environment="production", seen_since=0, limit=5)
    store.close()
    return {one.title: one.count for one in found}


def ends(work: Callable[[], None]) -> bool:
    """Tell whether work ends, rather than waiting for itself."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20.0)
    return not thread.is_alive()


class Loud:
    """Hooks into libraries that log an error while they are loaded."""

    def install(self) -> None:
        log.error("no such plugin")

    def uninstall(self) -> None:
        """Nothing was hooked."""


class Connection:
    """One that nobody closed, which is seen when it is collected."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        log.error("connection was not closed")


def test_an_error_that_is_logged_amid_a_start_is_an_issue(wk, tmp_path):
    """As by a library while hooks are put into it; the process starts, and the error counts."""
    assert wk.hooks is not None
    wk.hooks.install()
    wk.instruments = Loud()

    assert ends(wk.start)

    wk.stop()
    assert {"shop: no such plugin": 1} == titles(tmp_path)


def test_an_error_that_is_logged_amid_a_stop_holds_up_nobody(wk, monkeypatch):
    """A collection of garbage may come at any moment; what it logs does not start us again."""
    wk.start()
    look = wk.own_cost.look_now
    Connection()
    monkeypatch.setattr(wk.own_cost, "look_now", lambda: (gc.collect(), look()))

    assert ends(wk.stop)

    assert not wk.started


def test_the_child_of_a_fork_that_only_captures_writes_it(wk, tmp_path):
    """It begins to watch with what it captures, as with any other error."""

    def work() -> None:
        try:
            raise ValueError("no paper")
        except ValueError as error:
            capture_exception(error)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()

    assert {"ValueError: no paper": 1} == titles(tmp_path)


def test_without_an_exception_it_is_the_one_being_handled(wk):
    """And where none is, there is nothing to record."""
    capture_exception()
    capture_exception(None)
    try:
        raise ValueError("no paper")
    except ValueError:
        capture_exception(order_id=17)

    (count,), (event,) = wk.issues.take()
    assert ("ValueError: no paper", 1) == (count.title, count.count)
    assert {"order_id": 17} == event.data["context"]


@pytest.fixture
def limit(monkeypatch) -> set[str]:
    """Name threads that cannot start, as at a limit of threads."""
    names: set[str] = set()
    start = threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if thread.name in names:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    return names


def test_where_no_thread_can_start_the_host_goes_on_and_the_next_event_starts_it(wk, limit):
    """Not ready until then, for nothing is stored."""
    limit.add("watchkeeper")
    wk.start()
    at_first = wk.started, bool(wk.health.ready())
    limit.clear()
    wk.start()

    assert (False, False) == at_first
    assert (True, True) == (wk.started, bool(wk.health.ready()))
    until(lambda: wk.store)


def test_what_a_process_recorded_that_never_had_a_thread_is_written_by_the_next(
    wk, tmp_path, limit
):
    """It goes to a file at the end, once."""
    limit.add("watchkeeper")
    wk.start()
    wk.capture(ValueError("no paper"))
    wk.stop()
    wk.stop()
    limit.clear()
    following = Watchkeeper(load(wk.settings))
    with following._flusher._cycle:
        following._flusher._flush(time.time(), Reason.SLOT_ENDS)
    following.stop()

    assert {"ValueError: no paper": 1} == titles(tmp_path)


def test_a_script_is_watched_where_no_thread_can_start(limit):
    """Its own line, watch(), raises nothing."""
    limit.update(("watchkeeper", "watchkeeper-start"))

    made = watch(settings=Settings(enabled=True, database_url="memory://", service="shop"))
    forget_current()

    assert not made.started


def test_a_process_whose_goodbye_failed_begins_anew_as_another_worker(wk, monkeypatch):
    """The database went away after the last write."""

    def away(*_: object, **__: object) -> None:
        raise StorageUnavailableError

    wk.start()
    first = until(lambda: wk._flusher.worker)
    ended = []
    monkeypatch.setattr(wk.store, "stop_worker", away)
    monkeypatch.setattr(wk._flusher._parts.writer.crashes, "end", lambda: ended.append("end"))
    wk.stop()
    after = wk._flusher.worker
    wk.start()
    second = until(lambda: wk._flusher.worker)

    assert (None, ["end"]) == (after, ended)
    assert first.id != second.id


class Inbox:
    """A channel that takes its time, and keeps what it is sent."""

    def __init__(self) -> None:
        self.received: list[Notification] = []

    def send(self, notification: Notification) -> None:
        time.sleep(0.3)
        self.received.append(notification)


@pytest.fixture
def inbox() -> Inbox:
    """A channel of a process that tells nothing by itself."""
    return Inbox()


@pytest.fixture
def telling(inbox) -> Iterator[tuple[Watchkeeper, ManualClock]]:
    """Make a process that delivers to the channel, with a clock that the test moves."""
    clock = ManualClock(1_000_000_005.0)
    settings = Settings(
        enabled=True, database_url="memory://", service="shop", channels={"inbox": inbox}
    )
    made = Watchkeeper(load(settings), clock=clock)
    made.quiet = True
    made.stop_within_s = 15.0
    yield made, clock
    made.stop()


def put_message(store: Store, *, sequence: int, at: float) -> None:
    """Put a message into the outbox, as another process may."""
    message = Outgoing(kind="test", sequence=sequence, channel="inbox", payload={}, due_at=at)
    store.enqueue([message], service="shop", environment="production", at=at)


def test_a_process_that_begins_anew_delivers_again(telling, inbox):
    """What stopped with it goes on with it."""
    wk, clock = telling
    for sequence in (1, 2):
        wk.start()
        store = until(lambda: wk.store)
        put_message(store, sequence=sequence, at=clock())
        wk.stop()

    assert 2 == len(inbox.received)


def test_a_last_flush_that_opens_the_database_waits_for_its_messages(telling, inbox, monkeypatch):
    """The database was away until the process ended."""
    wk, clock = telling
    store = open_store("memory://")
    store.migrate()
    put_message(store, sequence=1, at=clock())
    answers = [StorageUnavailableError()]

    def opened(*_: object, **__: object) -> Store:
        if answers:
            raise answers.pop()
        return store

    monkeypatch.setattr("watchkeeper.storage.open_store", opened)
    wk.start()
    until(lambda: wk._flusher._parts.writer.away_since)
    clock.move(5)
    wk.stop()

    assert 1 == len(inbox.received)


def test_what_a_process_records_first_is_of_the_slot_it_starts_in(telling):
    """It was made, or forked, an hour before anybody asked it for anything."""
    wk, clock = telling
    clock.move(3_600)
    wk.start()
    wk.recorder.series(HTTP_DURATION, GOOD).record(0.05)
    wk.stop()

    frames = wk.store.frames(10, since=0, until=2e9, service="shop", environment="production")
    recorded = [
        frame.key.start
        for frame in frames
        if any(one.metric == HTTP_DURATION.name for one in frame.values)
    ]
    assert [1_000_003_600] == recorded


@pytest.mark.skipif(sys.platform == "win32", reason="no crashes are read there")
def test_a_crash_of_a_process_that_begins_anew_would_be_told(tmp_path, monkeypatch):
    """It has a file for its last words again, and leaves none behind."""
    monkeypatch.setattr(faulthandler, "is_enabled", lambda: False)
    monkeypatch.setattr(faulthandler, "enable", lambda file: None)  # it stays the test runner's
    kept: list[IO[bytes]] = []
    monkeypatch.setattr(crashes, "_kept", kept)
    settings = Settings(
        enabled=True,
        database_url=f"sqlite:///{tmp_path / 'wk.db'}",
        service="shop",
        capture_crashes=True,
    )
    made = Watchkeeper(load(settings))
    made.quiet = True
    made.stop_within_s = 15.0
    for _ in range(2):
        made.start()
        assert until(lambda: list(tmp_path.glob("**/*.crash")))
        until(lambda: made.store)
        made.stop()
    for one in kept:
        one.close()

    assert not list(tmp_path.glob("**/*.crash"))
