"""The life of a watched process: when watching begins in it, and when its last slot is written.

Watching starts at the first event that a surface tells: a server's start-up, a request. This
module adds what no surface tells: a process that nobody asks anything, forks, and ends.

- Start: `START_AFTER_S` after `follow`, by a thread that only waits, and that a fork ends before
  it happens. So there is no thread of ours at a fork, and a process that has forked, such as the
  master of a preforking server, never starts by itself. Its children do where they are known to
  be workers (gunicorn's, uWSGI's); any other child starts at its first event.
- Fork: the child begins anew (`os.register_at_fork`). uWSGI forks without running these hooks;
  its own hook is used, and `Watchkeeper.start` compares process ids besides.
- End: `atexit`; the finalizers of multiprocessing, whose forked children run no `atexit`; and
  SIGTERM where nobody handles it and the process would die at once (waitress, cheroot, scripts).
  A host that has a handler, now or later, ends in its own order: what it runs then, lifespan or
  `atexit`, is known to us already. All that we add is that the process is not ready any more from
  the signal on, where its handler is there when watching starts in the main thread.
"""

import _thread
import atexit
import contextlib
import importlib.util
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, Protocol

from watchkeeper.runtime.guard import forget_errors, guard

START_AFTER_S: Final = 5.0
PARKED_WITHIN_S: Final = 0.1  # how long a fork waits for the thread that waits; it ends at once
OUTLIVED_AFTER_S: Final = 60.0  # who lives so long after SIGTERM is the first process of its host

# A process whose main thread stays in C runs no handler of Python's: SIGTERM would do nothing.
LOOPS_IN_C: Final = ("bjoern", "fastwsgi", "meinheld", "socketify")
EMBEDDERS: Final = ("uwsgi", "mod_wsgi")  # signals are theirs, whatever Python believes

NO_THREADS: Final = (
    "uWSGI runs without --enable-threads, so background threads stand still: "
    "nothing is stored; add `enable-threads = true`"
)


class Watched(Protocol):
    """What is started and ended with its process: a Watchkeeper."""

    started: bool

    def start(self) -> None:
        """Start watching; further calls do nothing."""

    def drain(self) -> None:
        """Answer "not ready" from now on."""

    def end(self) -> None:
        """Write what is left and never start again: the process ends."""

    def outlive(self) -> None:
        """Take `end` back: the process did not end."""

    def forget(self) -> None:
        """Begin anew, in the child of a fork."""


class Lifetime:
    """Follows the process on behalf of one watched object."""

    def __init__(self, watched: Watched, *, start_after_s: float = START_AFTER_S) -> None:
        """Wait to start by itself, unless this is a master that is about to fork."""
        self.watched = watched
        self._start_after_s = start_after_s
        self._timer: _Timer | None = None
        self._pid = os.getpid()
        self._finalized_in = 0  # the process id for which multiprocessing was told
        uwsgi = _uwsgi()
        if uwsgi is None or uwsgi.worker_id() > 0:
            self._wait()

    def cancel(self) -> None:
        """Do not start by itself any more; no thread of this remains."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def begin_anew(self) -> None:
        """Begin in the child of a fork; a worker that nobody asks anything starts by itself."""
        self._timer = None
        self._pid = os.getpid()
        self.watched.forget()
        # gevent replaces threads after the fork: one begun before would run beside its loop.
        if "gunicorn.arbiter" in sys.modules and "gevent" not in sys.modules:
            self._wait()

    def serve_uwsgi(self) -> None:
        """Begin in a worker of uWSGI, which may be the process that loaded the application."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self.watched.forget()
        if _uwsgi().worker_id() > 0:  # mules and spoolers start with their first deed
            self._wait()

    def began(self) -> None:
        """Note that watching started here: see to it that the end of this process is seen."""
        _chain_sigterm()
        _announce_sigterm()
        process = sys.modules.get("multiprocessing.process")
        if process is None or process.parent_process() is None:
            return
        if self._finalized_in != os.getpid():
            from multiprocessing.util import Finalize

            self._finalized_in = os.getpid()
            Finalize(None, _end, exitpriority=-1)  # below 0: when its own children have ended

    def _wait(self) -> None:
        if obstacle():
            return
        with guard("start"):  # no more threads: the first event starts it all the same
            self._timer = _Timer(self.watched.start, after_s=self._start_after_s)


class _Timer:
    """A thread that waits, then starts watching; holds no lock while it waits."""

    def __init__(self, start: Callable[[], None], *, after_s: float) -> None:
        self._start = start
        self._after_s = after_s
        self._cancelled = threading.Event()
        self._starter = _thread.start_new_thread
        self._thread = threading.Thread(target=self._run, name="watchkeeper-start", daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        self._cancelled.set()
        if self._thread is not threading.current_thread():
            self._thread.join(PARKED_WITHIN_S)

    def _run(self) -> None:
        if self._cancelled.wait(self._after_s) or _is_reloader():
            return
        # Where gevent has replaced threads meanwhile, what starts here would never run.
        if self._starter is _thread.start_new_thread:
            with guard("start"):
                self._start()


_followed: list[Lifetime] = []  # the one of this process, or none
_hooked: list[bool] = []  # whether the interpreter calls us, which cannot be undone


def follow(watched: Watched, *, start_after_s: float = START_AFTER_S) -> None:
    """Start by itself after a while, begin anew after a fork, and write the rest at the end."""
    leave()
    if not _hooked:
        _hooked.append(True)
        if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
            os.register_at_fork(before=_before_fork, after_in_child=_in_child)
        atexit.register(_end)
        _join_uwsgi()
    _followed.append(Lifetime(watched, start_after_s=start_after_s))
    _chain_sigterm()


def leave() -> None:
    """Follow nothing any more."""
    for lifetime in _followed:
        lifetime.cancel()
    _followed.clear()
    _unchain_sigterm()


def began(watched: Watched) -> None:
    """Note that this object started in this process."""
    for lifetime in _followed:
        if lifetime.watched is watched:
            with guard("start"):
                lifetime.began()


def obstacle() -> str:
    """Say in a sentence why background threads cannot work in this process; empty if they do."""
    uwsgi = _uwsgi()
    return NO_THREADS if uwsgi is not None and not getattr(uwsgi, "has_threads", True) else ""


def _before_fork() -> None:
    for lifetime in _followed:
        with guard("fork"):
            lifetime.cancel()


def _in_child() -> None:
    forget_errors()
    _unchain_sigterm()  # a child that never watches dies as it would without us
    for lifetime in _followed:
        with guard("fork"):
            lifetime.begin_anew()


def _end() -> None:
    for lifetime in _followed:
        with guard("exit"):
            lifetime.cancel()
            lifetime.watched.end()


def _chain_sigterm() -> None:
    """Handle SIGTERM if nobody does, so that the last slot is written before the process dies."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL or _is_caught_below():
        return
    if any(name in sys.modules for name in (*EMBEDDERS, *LOOPS_IN_C)):
        return
    if any(importlib.util.find_spec(name) for name in LOOPS_IN_C):
        return
    with contextlib.suppress(ValueError):  # a sub-interpreter has no signals
        signal.signal(signal.SIGTERM, _on_sigterm)


def _unchain_sigterm() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with contextlib.suppress(ValueError):  # not in the main thread
        if handler is _on_sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        elif isinstance(handler, _Announced):
            signal.signal(signal.SIGTERM, handler.of_host)


class _Announced:
    """A host's handler of SIGTERM, with the word before it that this process is not ready."""

    def __init__(self, of_host: Callable[[int, FrameType | None], Any]) -> None:
        self.of_host = of_host

    def __call__(self, number: int, frame: FrameType | None) -> Any:
        """Take no lock, as any handler of ours; all else is the host's."""
        for lifetime in _followed:
            lifetime.watched.drain()
        return self.of_host(number, frame)


def _announce_sigterm() -> None:
    """Be told of SIGTERM by the host's own handler, in the process that serves."""
    if threading.current_thread() is not threading.main_thread():
        return
    handler = signal.getsignal(signal.SIGTERM)
    if not callable(handler) or handler is _on_sigterm or isinstance(handler, _Announced):
        return
    if any(name in sys.modules for name in EMBEDDERS):
        return
    with contextlib.suppress(ValueError):  # a sub-interpreter has no signals
        signal.signal(signal.SIGTERM, _Announced(handler))
        signal.siginterrupt(signal.SIGTERM, False)  # as asyncio and servers have set it


def _is_caught_below() -> bool:
    """Tell whether somebody handles SIGTERM without Python's knowing: libev, an embedder."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            caught = next((line for line in status if line.startswith("SigCgt:")), "SigCgt: 0")
    except OSError:  # not on Linux
        return False
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    """Die of SIGTERM as the process would without us, but write the last slot before.

    Takes no lock and waits for nothing: it interrupts the main thread anywhere, also in the midst
    of our own code. A second SIGTERM ends the process at once.
    """
    for lifetime in _followed:
        lifetime.watched.drain()
    if signal.getsignal(signal.SIGTERM) is not _on_sigterm:
        return  # a handler set later calls the one it found: dying is its decision
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if any(lifetime.watched.started for lifetime in _followed):
        with contextlib.suppress(RuntimeError):  # no more threads
            _thread.start_new_thread(_end_and_die, ())
            return
    signal.raise_signal(signal.SIGTERM)


def _end_and_die() -> None:
    try:
        _end()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
    # The kernel spares the first process of a container; the orchestrator will not for long.
    time.sleep(OUTLIVED_AFTER_S)
    for lifetime in _followed:
        lifetime.watched.outlive()


def _is_reloader() -> bool:
    """Tell whether this is the parent of Flask's development server, which serves nothing."""
    return "werkzeug._reloader" in sys.modules and "WERKZEUG_RUN_MAIN" not in os.environ


def _uwsgi() -> Any:
    """Return the module that uWSGI puts into its processes, or None elsewhere."""
    module = sys.modules.get("uwsgi")
    return module if hasattr(module, "worker_id") else None


def _join_uwsgi() -> None:
    """Begin anew in each worker that uWSGI forks from now on, after the host's own hook."""
    uwsgi = _uwsgi()
    if uwsgi is None:
        return
    before = getattr(uwsgi, "post_fork_hook", None)

    def post_fork() -> None:
        if callable(before):
            before()
        forget_errors()
        for lifetime in _followed:
            with guard("fork"):
                lifetime.serve_uwsgi()

    uwsgi.post_fork_hook = post_fork
