"""What is swallowed is counted, wherever it came."""

import gc
import sys
import threading

import pytest

from watchkeeper.core.metrics import Scope
from watchkeeper.runtime import guard as guards
from watchkeeper.runtime.guard import FOLD_AT, guard, take_errors
from watchkeeper.runtime.issues import Issues


@pytest.fixture(autouse=True)
def _fresh() -> None:
    take_errors()


def test_each_error_counts_once_in_any_thread():
    """However many there are between two looks."""
    border = guard("test")

    def fail() -> None:
        for _ in range(FOLD_AT):
            with border:
                raise ValueError

    threads = [threading.Thread(target=fail) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {"test": 4 * FOLD_AT} == take_errors()
    assert {} == take_errors()


class HostileError(Exception):
    """One whose attributes cannot be read."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


class Page:
    """Fails when it is collected."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        raise HostileError


def test_an_error_in_a_finalizer_amid_our_counting_waits_for_nothing(monkeypatch):
    """A collection of garbage may come while this very thread counts errors."""
    issues = Issues(Scope(service="shop", environment="test"))
    monkeypatch.setattr(sys, "unraisablehook", lambda args: issues.hold(args.exc_value))

    def count() -> None:
        for _ in range(FOLD_AT - 1):
            guards._report("test", None)
        Page()
        with guards._lock:
            gc.collect()

    thread = threading.Thread(target=count, daemon=True)
    thread.start()
    thread.join(20.0)

    assert not thread.is_alive()
    assert {"test": FOLD_AT - 1, "exception text": 1} == take_errors()
