"""What nobody caught, in real processes: after their end the database holds it, once."""

import gc
import sys
import threading

import pytest

from run_scripts import WATCHED, issues, run
from watchkeeper.app import Watchkeeper
from watchkeeper.integrations.hooks import uncaught

ENDINGS = {
    "main thread": ("raise ValueError('no paper')", 1, {"ValueError: no paper": 1}),
    "logged before": (
        """
import logging
logging.getLogger("shop").addHandler(logging.NullHandler())
try: raise ValueError("no paper")
except ValueError: logging.getLogger("shop").exception("printing failed"); raise
""",
        1,
        {"ValueError: no paper": 1},
    ),
    "exit": ("import sys; sys.exit(3)", 3, {}),
    "thread": (
        """
import threading
def work(): raise ValueError("no paper")
thread = threading.Thread(target=work); thread.start(); thread.join()
""",
        0,
        {"ValueError: no paper": 1},
    ),
    "timer": (
        """
import threading
def work(): raise ValueError("no paper")
timer = threading.Timer(0, work); timer.start(); timer.join()
""",
        0,
        {"ValueError: no paper": 1},
    ),
    "exit of a thread": (
        """
import sys, threading
thread = threading.Thread(target=sys.exit, args=(3,)); thread.start(); thread.join()
""",
        0,
        {},
    ),
    "atexit": (
        """
import atexit
@atexit.register
def bye(): raise ValueError("no paper")
""",
        0,
        {"ValueError: no paper": 1},
    ),
    "finalizer": (
        """
class Page:
    def __del__(self): raise ValueError("no paper")
del (page := [Page()])[0]
""",
        0,
        {"ValueError: no paper": 1},
    ),
    "generator": (
        """
def pages():
    try: yield
    finally: raise ValueError("no paper")
one = pages(); next(one); del one
""",
        0,
        {"ValueError: no paper": 1},
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ends_a_process_or_is_printed_is_an_issue(tmp_path, ending: str):
    """It is stored once, and the process says and returns what it would without us."""
    script, code, found = ENDINGS[ending]

    done = run(tmp_path, WATCHED + script)
    alone = run(tmp_path, WATCHED + script, WATCHKEEPER_ENABLED="0")

    assert found == issues(tmp_path)
    assert (code, code) == (done.returncode, alone.returncode)
    assert [line for line in alone.stderr.splitlines() if "0x" not in line] == [
        line for line in done.stderr.splitlines() if "0x" not in line
    ]


def test_a_hook_of_the_host_may_end_the_process(tmp_path):
    """What the exception was is written before the hook that was there is called."""
    script = """
import os, sys
sys.excepthook = lambda *what: os._exit(7)
"""

    done = run(tmp_path, script + WATCHED + "raise ValueError('no paper')")

    assert 7 == done.returncode
    assert {"ValueError: no paper": 1} == issues(tmp_path)


def test_an_interrupt_is_no_error(tmp_path):
    """Who presses Ctrl-C gets the traceback, and no issue."""
    done = run(tmp_path, WATCHED + "raise KeyboardInterrupt")

    assert done.stderr.endswith("KeyboardInterrupt\n")
    assert {} == issues(tmp_path)


def test_switched_off_the_interpreter_is_left_alone(tmp_path):
    """With WATCHKEEPER_CAPTURE_UNCAUGHT=0 nothing of it is recorded."""
    run(tmp_path, WATCHED + "raise ValueError('no paper')", WATCHKEEPER_CAPTURE_UNCAUGHT="0")

    assert {} == issues(tmp_path)


def hooks() -> list[object]:
    return [sys.excepthook, threading.excepthook, sys.unraisablehook]


def test_the_hooks_that_were_there_come_back(watchkeeper: Watchkeeper):
    """Taken out, nothing of ours is left."""
    before = hooks()

    uninstall = uncaught.install(watchkeeper)
    assert not set(before) & set(hooks())
    uninstall()

    assert before == hooks()


def test_a_hook_that_somebody_put_over_ours_stays(recorded, monkeypatch: pytest.MonkeyPatch):
    """It may call ours, which goes on to the one before, and tells nothing any more."""
    called: list[object] = []
    monkeypatch.setattr(sys, "excepthook", lambda *what: called.append(what))
    uninstall = uncaught.install(recorded.watchkeeper)
    ours = sys.excepthook
    theirs = lambda *what: ours(*what)  # noqa: E731  # as short as theirs are
    sys.excepthook = theirs

    uninstall()

    assert sys.excepthook is theirs
    error = ValueError("no paper")
    sys.excepthook(ValueError, error, None)
    assert [(ValueError, error, None)] == called
    assert {} == recorded.issues()


def test_our_own_threads_tell_nothing(recorded, monkeypatch: pytest.MonkeyPatch):
    """What ends a thread of ours is counted elsewhere; a check's thread runs the host's code."""
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    uninstall = uncaught.install(recorded.watchkeeper)

    def fail() -> None:
        raise ValueError("no paper")

    try:
        for name in ("watchkeeper", "watchkeeper-oncall", "watchkeeper-check-search"):
            thread = threading.Thread(target=fail, name=name)
            thread.start()
            thread.join()
    finally:
        uninstall()

    assert {"ValueError": 1} == recorded.issues()
    assert {"thread": "watchkeeper-check-search"} == recorded.events[0].data["context"]


def test_a_finalizer_that_runs_while_we_hold_a_lock_harms_nobody(recorded):
    """What Python can only print comes amid anything: it is noted without a lock."""
    issues = recorded.watchkeeper.issues

    class Page:
        def __del__(self) -> None:
            raise ValueError("no paper")

    page = [Page()]
    uninstall = uncaught.install(recorded.watchkeeper)
    before, sys.unraisablehook.before = sys.unraisablehook.before, lambda args: None
    try:
        with issues.groups.lock:
            page.clear()
    finally:
        sys.unraisablehook.before = before
        uninstall()

    assert issues.is_pressing
    assert {"ValueError": 1} == recorded.issues()


def test_what_collections_bring_up_amid_a_capture_counts(recorded):
    """Where errors and cyclic garbage come together, many collections run amid our own work."""
    issues = recorded.watchkeeper.issues

    class Page:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            raise ValueError("no paper")

    uninstall = uncaught.install(recorded.watchkeeper)
    before, sys.unraisablehook.before = sys.unraisablehook.before, lambda args: None
    usual = gc.get_threshold()
    gc.collect()
    gc.set_threshold(5)
    try:
        for number in range(1_000):
            Page()
            issues.capture(KeyError(number), context={"pages": [{"number": number}]})
        gc.set_threshold(*usual)
        gc.collect()
    finally:
        gc.set_threshold(*usual)
        sys.unraisablehook.before = before
        uninstall()

    assert {"KeyError": 1_000, "ValueError": 1_000} == recorded.issues()


FORKS = {
    "os.fork": """
import logging, os, sys
if os.fork():
    os.wait()
else:
    logging.error("no paper")
    sys.exit()
""",
    "multiprocessing": """
import logging, multiprocessing, sys
def work(): logging.error("no paper")
process = multiprocessing.get_context("fork").Process(target=work)
process.start(); process.join()
""",
    "thread of a child": """
import multiprocessing, threading
def fail(): raise ValueError("no paper")
def work():
    thread = threading.Thread(target=fail); thread.start(); thread.join()
process = multiprocessing.get_context("fork").Process(target=work)
process.start(); process.join()
""",
}


@pytest.mark.parametrize("how", FORKS)
def test_the_child_of_a_fork_writes_what_its_hooks_saw(tmp_path, how: str):
    """It begins to watch with its first error, and writes it at its end, once."""
    run(tmp_path, WATCHED + FORKS[how])

    title = "ValueError: no paper" if how == "thread of a child" else "root: no paper"
    assert {title: 1} == issues(tmp_path)


def test_hooks_come_with_the_start_and_go_with_the_stop(tmp_path):
    """A process that is not watched yet, or not any more, is as it would be without us."""
    script = """
import logging, sys, threading
from concurrent.futures import Future
def hooks():
    return [sys.excepthook, threading.excepthook, sys.unraisablehook,
            logging.Logger.callHandlers, vars(Future)["result"]]
before = hooks()
import watchkeeper
watched = watchkeeper.watch(settings=watchkeeper.Settings(service="nightly"))
during = hooks()
watched.stop()
print(len([1 for one in during if one in before]), before == hooks())
"""
    assert "0 True\n" == run(tmp_path, script).stdout
