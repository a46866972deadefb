"""Runs of health checks that misbehave: nothing is left of them, and the others go on."""

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from receivers import Receiver

from watchkeeper.core.health import warn
from watchkeeper.runtime.checks import Check, make_check
from watchkeeper.runtime.health import MAX_HUNG, MAX_RUNNING, Health
from watchkeeper.runtime.watched import RETRY_S

START = 1_700_000_000.0
EVERY_S = 30.0
RUNS = 4_000
MAX_LEFT_BYTES = 100_000  # of 2,800 runs: 36 bytes of each would be seen, less than any object


class Driver:
    """Drives checks on a clock that it moves, as fast as they run."""

    def __init__(self, checks: list[Check]) -> None:
        self.now = START
        self.checks = checks
        self.health = Health(checks, clock=lambda: self.now)

    def until(self, condition: Callable[[], object], *, within_s: float = 60.0) -> None:
        """Go on until something is so."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            self.health.run_due(self.now)
            self.health.take()
            self.now += EVERY_S
            time.sleep(0.001)

    def states(self) -> Counter[str]:
        """Count the checks in each state."""
        return Counter(one.state.value for one in self.health.report(self.now))


def own_threads() -> int:
    """Count the threads of checks."""
    return sum(one.name.startswith("watchkeeper-check") for one in threading.enumerate())


def settled_threads(wanted: int) -> int:
    """Count them once those have ended whose result is there already, or have had the time."""
    deadline = time.monotonic() + 5
    while own_threads() != wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    return own_threads()


@pytest.fixture
def free() -> Iterator[threading.Event]:
    """Let what hangs go at the end."""
    event = threading.Event()
    yield event
    event.set()


class Misbehaving:
    """Checks that do what checks do, and what they should not; they count their runs."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.done: Counter[str] = Counter()

    @property
    def checks(self) -> list[Check]:
        """Every check; those that hang are past their time-out soon."""
        short = (self.hangs, self.hangs_async, self.ignores_its_end)
        others = (self.connects, self.connects_async, self.fails, self.exits, self.interrupts)
        return [
            *(make_check(one.__name__, one, timeout="10ms") for one in short),
            *(make_check(one.__name__, one, timeout="10s") for one in others),
        ]

    def connects(self) -> str:
        self.done["connects"] += 1
        with socket.create_connection(("127.0.0.1", self.port), timeout=2.0):
            return "there"

    async def connects_async(self) -> object:
        self.done["connects_async"] += 1
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.close()
        await writer.wait_closed()
        return warn("slow")

    def hangs(self) -> None:
        self.done["hangs"] += 1
        time.sleep(0.03)

    async def hangs_async(self) -> None:
        self.done["hangs_async"] += 1
        await asyncio.Event().wait()

    async def ignores_its_end(self) -> None:
        self.done["ignores_its_end"] += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.03)

    def fails(self) -> None:
        self.done["fails"] += 1
        raise ConnectionError("refused")

    def exits(self) -> None:
        self.done["exits"] += 1
        raise SystemExit

    def interrupts(self) -> None:
        self.done["interrupts"] += 1
        raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_thousands_of_runs_leave_nothing_behind():
    """No thread, no connection and no memory, whatever the checks do."""
    with Receiver() as provider:
        made = Misbehaving(provider.port)
        driver = Driver(made.checks)
        driver.until(lambda: made.done.total() >= RUNS / 4)
        threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
        tracemalloc.start()
        driver.until(lambda: made.done.total() >= RUNS * 0.3)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        driver.until(lambda: made.done.total() >= RUNS, within_s=150.0)
        ended(within_s=10.0)
        gc.collect()
        left, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert 8 == len(made.done)
    assert 0 == own_threads()
    assert threading.active_count() <= threads
    assert len(os.listdir("/proc/self/fd")) <= files
    assert MAX_LEFT_BYTES > left - before


def ended(*, within_s: float) -> None:
    """Wait until no check runs."""
    deadline = time.monotonic() + within_s
    while own_threads() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_checks_that_hang_are_bounded_and_the_others_go_on(free: threading.Event):
    """Each keeps one thread at most; those of twenty are given up, and replaced."""
    ran: list[int] = []
    hanging = [
        make_check(f"hangs {number}", lambda: free.wait(60), timeout="10ms")
        for number in range(MAX_HUNG)
    ]
    driver = Driver([*hanging, make_check("well", lambda: ran.append(1))])

    driver.until(lambda: driver.states()["fail"] == MAX_HUNG)
    before = len(ran)
    driver.until(lambda: len(ran) > before + 20)

    assert {"fail": MAX_HUNG, "pass": 1} == driver.states()
    assert MAX_HUNG <= own_threads() <= MAX_HUNG + 1


def test_no_number_of_hanging_checks_takes_more_threads(free: threading.Event):
    """Beyond the limit nothing is run, and so unknown, until one of those that hang has ended."""
    again: set[int] = set()

    def hang(number: int) -> None:
        if free.is_set():
            again.add(number)
        free.wait(60)

    many = range(MAX_HUNG + 2 * MAX_RUNNING)
    hanging = [
        make_check(f"hangs {number}", partial(hang, number), timeout="10ms") for number in many
    ]
    driver = Driver(hanging)

    driver.until(lambda: driver.states()["fail"] == MAX_HUNG + MAX_RUNNING)
    rounds = iter(range(50))
    driver.until(lambda: next(rounds, None) is None)
    most = own_threads()
    states = driver.states()
    free.set()
    driver.until(lambda: again == set(many))

    assert MAX_HUNG + MAX_RUNNING == most
    assert {"fail": MAX_HUNG + MAX_RUNNING, "unknown": MAX_RUNNING} == states


def test_an_async_check_that_ignores_its_end_has_failed(free: threading.Event):
    """It may swallow the cancellation; its time is over all the same, and others run."""

    async def ignores() -> None:
        while not free.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    ran: list[int] = []
    driver = Driver(
        [
            make_check("ignores", ignores, timeout="10ms"),
            make_check("well", lambda: ran.append(1)),
        ]
    )

    driver.until(lambda: driver.states() == {"fail": 1, "pass": 1})
    before = len(ran)
    driver.until(lambda: len(ran) > before + 5)

    assert 1 == settled_threads(1)


def test_a_check_that_is_removed_while_it_hangs_blocks_nothing(free: threading.Event):
    """Its thread is given up at once."""
    hanging = [
        make_check(f"hangs {number}", lambda: free.wait(60), timeout="1m")
        for number in range(MAX_RUNNING)
    ]
    driver = Driver([*hanging])
    driver.health.run_due(driver.now)
    driver.checks[:] = [make_check("well", lambda: None)]

    driver.until(lambda: driver.states() == {"pass": 1})

    assert MAX_RUNNING == settled_threads(MAX_RUNNING)


def test_a_thread_that_cannot_start_fails_no_check(monkeypatch):
    """The checks that were to start with it run; each of those without a thread is tried again."""
    ran: Counter[str] = Counter()
    long = [
        make_check(name, partial(ran.update, [name]), every="7d", timeout="10s")
        for name in ("first", "second", "third")
    ]
    driver = Driver(long)
    start, refused = threading.Thread.start, ["first", "third"]

    def limited(thread: threading.Thread) -> None:
        if refused and thread.name == f"watchkeeper-check-{refused[0]}":
            del refused[0]
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    driver.health.run_due(driver.now)
    assert 0 == settled_threads(0)
    at_first = ran.copy()
    driver.now += RETRY_S
    driver.health.run_due(driver.now)
    assert 0 == settled_threads(0)

    assert {"second": 1} == at_first
    assert {"first": 1, "second": 1, "third": 1} == ran
    assert {"pass": 3} == driver.states()


BLOCKS_SIGNALS = """
import signal, sys, time
from watchkeeper.runtime.checks import make_check
from watchkeeper.runtime.health import Health

def blocks():
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    print("blocked", flush=True)
    time.sleep(60)

def handles():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

health = Health(
    [make_check("blocks", blocks, timeout="50ms"), make_check("handles", handles)],
    clock=time.time,
)
while True:
    health.run_due(time.time())
    time.sleep(0.01)
"""


def test_a_check_that_blocks_signals_keeps_nobody_from_ending_the_process():
    """Neither blocking nor handling them in a check's thread concerns the process."""
    with subprocess.Popen(
        [sys.executable, "-c", BLOCKS_SIGNALS], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=20)

    assert ("blocked\n", -signal.SIGTERM) == (said, code)
