"""A watched process from its start to its end, told by real processes."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from watchkeeper.core.metrics import Series
from watchkeeper.storage import open_store
from watchkeeper.storage.records import Worker

BEGIN = """
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time

import watchkeeper
from watchkeeper.app import obtain
from watchkeeper.runtime import lifetime

done = watchkeeper.counter("done_total", "Things done.")


def watch():
    made = obtain(watchkeeper.Settings(
        enabled=True, database_url="sqlite:///watchkeeper.db", service="shop",
        environment="test", slot="1s", flush_jitter="0s", alert_pack=False,
    ))
    made.stop_within_s = 15.0  # on a busy machine two seconds are too few to write at all
    return made


def work(times):
    kept.start()
    done.inc(times)


def say(*words):
    print(*words, flush=True)


def wait(condition, seconds=10):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)


def names():
    return sorted(thread.name for thread in threading.enumerate())

"""
WITHIN_S = 30.0


class Told:
    """What a process said, how it ended, and what it left in the database."""

    def __init__(self, folder: Path, process: subprocess.Popen[str], out: str, err: str) -> None:
        self.said = out.split("\n")[:-1]
        self.errors = err
        self.code = process.returncode
        self.pid = process.pid
        store = open_store(f"sqlite:///{folder / 'watchkeeper.db'}")
        store.migrate()
        here = {"service": "shop", "environment": "test"}
        frames = store.frames(1, since=0, until=time.time() + 60, **here)
        self.workers: list[Worker] = store.workers(**here, seen_since=0)
        store.close()
        self.done = sum(
            value
            for frame in frames
            for series, value in frame.values.items()
            if isinstance(series, Series) and series.metric == "done_total"
        )


@pytest.fixture
def tell(tmp_path: Path):
    """Run a script in a process of its own, and signal it when it says so."""

    def run(script: str, *, send: int | None = None, times: int = 1) -> Told:
        path = tmp_path / "script.py"
        path.write_text(BEGIN + script)
        process = subprocess.Popen(
            [sys.executable, str(path)],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        before = ""
        try:
            if send is not None:
                for line in process.stdout:
                    before += line
                    if line == "ready\n":
                        break
                for _ in range(times):
                    process.send_signal(send)
            out, err = process.communicate(timeout=WITHIN_S)
        finally:
            process.kill()
            process.wait()
        return Told(tmp_path, process, before + out, err)

    return run


SERVE = """
kept = watch()
work(3)
say("ready")
time.sleep(60)
"""


def test_sigterm_writes_the_last_slot(tell):
    """A process without a handler dies of SIGTERM as before, but what it recorded is stored."""
    told = tell(SERVE, send=signal.SIGTERM)

    assert -signal.SIGTERM == told.code, told.errors
    assert 3 == told.done
    assert [True] == [worker.stopped_at is not None for worker in told.workers]


def test_a_process_that_recorded_nothing_dies_at_once(tell):
    """Before anything started there is nothing to write: SIGTERM ends the process there."""
    told = tell('kept = watch()\nsay("ready")\ntime.sleep(60)', send=signal.SIGTERM)

    assert -signal.SIGTERM == told.code
    assert [] == told.workers


def test_a_handler_set_later_is_the_only_one(tell):
    """A host that handles SIGTERM after watch() is not disturbed, and ends in its own order."""
    told = tell(
        """
kept = watch()
ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())
work(3)
say("ready")
ended.wait(60)
say("ended by myself")
sys.exit(7)
""",
        send=signal.SIGTERM,
    )

    assert 7 == told.code, told.errors
    assert ["ready", "ended by myself"] == told.said
    assert 3 == told.done


def test_a_handler_set_before_decides(tell):
    """A host that handled SIGTERM before watch() ends in its way; by then we are not ready."""
    told = tell(
        """
def mine(*_):
    say("mine", kept.health.draining)
    sys.exit(7)
signal.signal(signal.SIGTERM, mine)
kept = watch()
say(signal.getsignal(signal.SIGTERM) is mine)
work(3)
say("ready")
time.sleep(60)
""",
        send=signal.SIGTERM,
    )

    assert (7, ["True", "ready", "mine True"]) == (told.code, told.said), told.errors


def test_no_watching_leaves_a_handler_as_it_was(tell):
    """Once watching has ended, the host's handler stands there as if nothing had been."""
    told = tell(
        """
from watchkeeper.app import forget_current
def mine(*_): sys.exit(7)
signal.signal(signal.SIGTERM, mine)
kept = watch()
work(3)
say(signal.getsignal(signal.SIGTERM) is mine)
forget_current()
say(signal.getsignal(signal.SIGTERM) is mine)
""",
    )

    assert ["False", "True"] == told.said, told.errors


def test_a_loop_that_handles_sigterm_already_goes_on(tell):
    """Where watching starts on a loop of asyncio that handles SIGTERM, that goes on doing so."""
    told = tell(
        """
import asyncio

async def main():
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    work(3)
    say("ready")
    await ended.wait()
    say("ended by myself", kept.health.draining)

kept = watch()
asyncio.run(main())
""",
        send=signal.SIGTERM,
    )

    assert (0, ["ready", "ended by myself True"]) == (told.code, told.said), told.errors


def test_a_handler_that_calls_the_one_before_goes_on(tell):
    """A later handler that calls the one it found, as is polite, is not killed by that."""
    told = tell(
        """
kept = watch()
found = signal.getsignal(signal.SIGTERM)
def mine(*arguments):
    found(*arguments)
    say("still here", kept.health.draining)
    sys.exit(7)
signal.signal(signal.SIGTERM, mine)
work(3)
say("ready")
time.sleep(60)
""",
        send=signal.SIGTERM,
    )

    assert (7, ["ready", "still here True"]) == (told.code, told.said), told.errors


def test_a_loop_of_asyncio_handles_its_signals(tell):
    """asyncio's own handling of SIGTERM works as without us."""
    told = tell(
        """
import asyncio

async def main():
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    say("ready")
    await ended.wait()

kept = watch()
work(3)
asyncio.run(main())
say("ended by myself")
""",
        send=signal.SIGTERM,
    )

    assert (0, ["ready", "ended by myself"]) == (told.code, told.said), told.errors
    assert 3 == told.done


def test_a_handler_below_python_is_left_alone(tell):
    """Where C code handles SIGTERM without Python's knowing, it goes on doing so."""
    told = tell(
        """
libc = ctypes.CDLL(None)
libc.signal(signal.SIGTERM, libc._exit)  # ends with the signal's number
kept = watch()
say("ready")
time.sleep(60)
""",
        send=signal.SIGTERM,
    )

    assert signal.SIGTERM == told.code, told.errors


def test_a_second_sigterm_does_not_wait(tell):
    """Who asks twice gets a process that dies at once, whatever the database does."""
    told = tell(
        """
kept = watch()
kept.start()
real = kept.end
def slow():
    say("ending")
    time.sleep(60)
kept.end = slow
say("ready")
wait(lambda: False, 1)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
""",
        send=signal.SIGTERM,
    )

    assert -signal.SIGTERM == told.code
    assert ["ready", "ending"] == told.said


def test_it_starts_by_itself(tell):
    """A process that nobody asks anything is watched after a while, and seen in the database."""
    told = tell(
        """
kept = watch()
say(kept.started, names())
lifetime.follow(kept, start_after_s=0.2)
wait(lambda: kept.started and kept._flusher.worker)
say(kept.started, "watchkeeper" in names())
"""
    )

    assert ["False ['MainThread', 'watchkeeper-start']", "True True"] == told.said, told.errors
    assert [told.pid] == [worker.pid for worker in told.workers]


def test_there_is_no_thread_at_a_fork(tell):
    """What waits to start is gone when the process forks, and it never starts by itself then."""
    told = tell(
        """
os.register_at_fork(before=lambda: say("at the fork:", names()))
kept = watch()
lifetime.follow(kept, start_after_s=0.2)
if os.fork() == 0:
    os._exit(0)
os.wait()
time.sleep(0.5)
say(kept.started, names())
"""
    )

    # Hooks before a fork run in the reverse order: the script's, set first, runs last.
    assert ["at the fork: ['MainThread']", "False ['MainThread']"] == told.said, told.errors


def test_a_worker_of_gunicorn_starts_by_itself(tell):
    """A worker whose application was loaded before the fork is watched though nobody asks it."""
    told = tell(
        """
import gunicorn.arbiter
kept = watch()
lifetime.follow(kept, start_after_s=0.2)
if os.fork() == 0:
    wait(lambda: kept.started and kept._flusher.worker)
    sys.exit(0)
os.wait()
say(kept.started, names())
"""
    )

    assert ["False ['MainThread']"] == told.said, told.errors
    assert [True] == [worker.stopped_at is not None for worker in told.workers]


def test_the_parent_of_a_reloader_is_not_watched(tell):
    """The process that only restarts Flask's development server is no worker."""
    told = tell(
        """
import werkzeug._reloader
kept = watch()
lifetime.follow(kept, start_after_s=0.1)
time.sleep(0.5)
say(kept.started, names())
"""
    )

    assert ["False ['MainThread']"] == told.said, told.errors


def test_a_child_of_a_fork_is_a_worker_of_its_own(tell):
    """What parent and child record is stored once each, by two workers that stop cleanly."""
    told = tell(
        """
kept = watch()
work(1)
wait(lambda: kept._flusher.worker)
done.inc(2)
if os.fork() == 0:
    say(kept.started)
    work(30)
    sys.exit(0)
os.wait()
done.inc(400)
"""
    )

    assert ["False"] == told.said, told.errors
    assert 433 == told.done
    assert [True, True] == [worker.stopped_at is not None for worker in told.workers]


def test_a_child_of_a_fork_dies_of_sigterm_as_without_us(tell):
    """A forked child that is not watched keeps the default action: its parent may end it."""
    told = tell(
        """
kept = watch()
work(1)
child = os.fork()
if child == 0:
    say(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
    time.sleep(60)
time.sleep(0.2)
os.kill(child, signal.SIGTERM)
say(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    )

    assert ["True", "-15"] == told.said, told.errors


def test_forks_while_it_flushes_leave_no_child_stuck(tell):
    """A child forked in the midst of a flush works: no lock of the parent's threads is kept."""
    told = tell(
        """
kept = watch()
work(1)
wait(lambda: kept._flusher.worker)
busy = True
def flush():
    while busy:
        done.inc()
        kept.flush()
flushing = threading.Thread(target=flush)
flushing.start()
codes = set()
for number in range(20):
    child = os.fork()
    if child == 0:
        work(1)
        kept.stop()
        os._exit(0)
    codes.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
busy = False
flushing.join()
say(codes)
"""
    )

    assert ["{0}"] == told.said, told.errors
    assert 21 == len(told.workers)


def test_a_fork_without_hooks_is_noticed(tell):
    """A server in C that forks behind Python's back, as uWSGI does, gets its workers watched."""
    told = tell(
        """
kept = watch()
work(1)
wait(lambda: kept._flusher.worker)
with kept._flusher._cycle:  # not in the midst of a flush: nothing could be said of that child
    child = ctypes.PyDLL(None).fork()
if child == 0:
    say(kept.started, kept._flusher._thread.is_alive())
    kept.start()  # as is done when something new is met
    done.inc(30)
    wait(lambda: kept._flusher.worker)
    say(kept._flusher.worker.pid == os.getpid())
    kept.stop()
    os._exit(0)
os.waitpid(child, 0)
"""
    )

    # The lost thread seems to live; that it does not is what the process id tells.
    assert ["True True", "True"] == told.said, told.errors
    assert 31 == told.done
    assert 2 == len(told.workers)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_of_multiprocessing_write_their_last_slot(tell, method):
    """Forked children of multiprocessing run no atexit; their last slot is written even so."""
    told = tell(
        f"""
kept = watch()

def child():
    work(5)

if __name__ == "__main__":
    process = multiprocessing.get_context("{method}").Process(target=child)
    process.start()
    process.join()
    say(process.exitcode)
"""
    )

    assert ["0"] == told.said, told.errors
    assert 5 == told.done
    assert [True] == [worker.stopped_at is not None for worker in told.workers]


def test_nothing_starts_again_at_the_end(tell):
    """What happens after the last flush starts no thread and makes no worker."""
    told = tell(
        """
import atexit
atexit.register(lambda: (kept.start(), say(kept.started, "watchkeeper" in names())))
kept = watch()
work(3)
"""
    )

    assert ["False False"] == told.said, told.errors
    assert 3 == told.done
    assert 1 == len(told.workers)


def test_it_may_stop_and_start_again(tell):
    """Stopped and started again, as by two lifespans of one process, it is another worker."""
    told = tell(
        """
kept = watch()
work(1)
kept.stop()
work(20)
say(bool(kept.health.ready()))
"""
    )

    assert ["True"] == told.said, told.errors
    assert 21 == told.done
    assert [True, True] == [worker.stopped_at is not None for worker in told.workers]


GEVENT = """
from gevent import monkey
monkey.patch_all()
import gevent
from gevent.monkey import get_original
true_thread = get_original("_thread", "get_ident")
"""


def test_under_gevent_everything_is_written(tell):
    """With threads replaced by gevent's, it records, flushes, and writes the rest at SIGTERM."""
    told = tell(
        GEVENT
        + """
kept = watch()
work(1)
wait(lambda: kept._flusher.worker)
say(len(kept.failure))
done.inc(20)
say("ready")
gevent.sleep(60)
""",
        send=signal.SIGTERM,
    )

    assert (-signal.SIGTERM, ["0", "ready"]) == (told.code, told.said), told.errors
    assert 21 == told.done
    assert [True] == [worker.stopped_at is not None for worker in told.workers]


def test_under_gevent_the_loop_does_not_wait_for_an_import(tell):
    """SQLAlchemy is imported in a true thread: in gevent's loop every request would wait."""
    told = tell(
        GEVENT
        + """
class Seen:
    def find_spec(self, name, *_):
        if name == "sqlalchemy":
            say(true_thread() == main)

main = true_thread()
sys.meta_path.insert(0, Seen())
kept = watch()
work(1)
wait(lambda: kept._flusher.worker)
"""
    )

    assert ["False"] == told.said, told.errors
    assert 1 == told.done


OLD_UWSGI = """
import types
uwsgi = types.ModuleType("uwsgi")
uwsgi.worker_id = lambda: WORKER
uwsgi.has_threads = THREADS
sys.modules["uwsgi"] = uwsgi
"""


def test_without_threads_one_line_says_so(tell):
    """Older uWSGI stops threads by itself: one line says what to add, one what it cost."""
    told = tell(
        OLD_UWSGI.replace("WORKER", "1").replace("THREADS", "0")
        + """
from watchkeeper.core.catalogue import HTTP_DURATION
kept = watch()
kept.start()
kept.start()
say(names(), "--enable-threads" in kept.failure)
labels = {"method": "GET", "route": "/", "status": "200"}
for _ in range(7):
    kept.recorder.series(HTTP_DURATION, labels).record(0.1)
"""
    )

    first, *_, last = [line for line in told.errors.splitlines() if "--enable-threads" in line]
    assert ["['MainThread'] True"] == told.said, told.errors
    assert first.startswith("watchkeeper: uWSGI runs without --enable-threads")
    assert last.startswith("watchkeeper: 7 requests were not stored")
    assert 2 == told.errors.count("--enable-threads")
    assert [] == told.workers


def test_the_master_of_uwsgi_waits_for_its_workers(tell):
    """In uWSGI's master nothing starts; its hook starts each worker, after the host's own."""
    told = tell(
        OLD_UWSGI.replace("WORKER", "0").replace("THREADS", "1")
        + """
uwsgi.post_fork_hook = lambda: say("the host's own")
kept = watch()
say(names(), signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
child = ctypes.PyDLL(None).fork()
if child == 0:
    uwsgi.worker_id = lambda: 1
    uwsgi.post_fork_hook()
    say("watchkeeper-start" in names())
    os._exit(0)
os.waitpid(child, 0)
"""
    )

    assert ["['MainThread'] True", "the host's own", "True"] == told.said, told.errors
