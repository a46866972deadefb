"""Errors that are met amid a start or a stop, in the thread that is at it."""

import gc
import logging
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from watchkeeper.app import Watchkeeper, capture_exception, forget_current, obtain
from watchkeeper.integrations.hooks import hook
from watchkeeper.settings import Settings
from watchkeeper.storage import open_store

log = logging.getLogger("shop")


@pytest.fixture
def wk(tmp_path: Path) -> Iterator[Watchkeeper]:
    made = obtain(
        Settings(enabled=True, database_url=f"sqlite:///{tmp_path / 'wk.db'}", service="shop")
    )
    made.quiet = True
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
