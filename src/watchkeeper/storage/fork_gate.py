"""The gate between our database work and a fork of the process: never both at once.

A child of a fork has one thread, but every lock as it was. Forked while another thread is inside
SQLite, or in the midst of an import, it would wait for ever the first time that it opens a SQLite
file, or imports that module: in our code or in the host's.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

PATIENCE_S: Final = 0.25  # how long a fork waits for a transaction; most take some milliseconds
IMPORT_PATIENCE_S: Final = 2.0  # and for the import of SQLAlchemy, once per process
LONGEST_S: Final = 5.0  # a fork that is under way for longer was not told to us as ended


class ForkGate:
    """Lets many threads pass at once, but none while the process forks."""

    def __init__(self) -> None:
        """Be open."""
        self.reset()

    @contextmanager
    def passing(self, *, patience_s: float = PATIENCE_S) -> Iterator[None]:
        """Do what a fork had better not interrupt; one waits for it, up to `patience_s`.

        May be entered again within itself.
        """
        if self._pid != os.getpid():  # forked by a server in C, without a word
            self.reset()
        me = threading.get_ident()
        if me in self._inside:
            yield
            return
        with self._changed:
            self._changed.wait_for(lambda: not self._closed, LONGEST_S)
            self._inside[me] = patience_s
        try:
            yield
        finally:
            with self._changed:
                self._inside.pop(me, None)  # in the child of a fork it is empty
                self._changed.notify_all()

    def close(self) -> None:
        """Let nobody in, and wait until the others are out, or have been waited for enough."""
        me, began = threading.get_ident(), monotonic()
        with self._changed:
            self._closed = True
            while others := [wait for thread, wait in self._inside.items() if thread != me]:
                left = max(others) - (monotonic() - began)
                if left <= 0 or not self._changed.wait(left):
                    break

    def open(self) -> None:
        """Let everybody in again."""
        with self._changed:
            self._closed = False
            self._changed.notify_all()

    def reset(self) -> None:
        """Be open and empty: the threads that were inside are those of the parent."""
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._closed = False
        self._inside: dict[int, float] = {}  # thread → how long a fork waits for it


fork_gate = ForkGate()
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(
        before=fork_gate.close, after_in_parent=fork_gate.open, after_in_child=fork_gate.reset
    )
