"""The lag of a real event loop while something blocks it."""

import asyncio
import gc
import subprocess
import sys
import threading
import time
import weakref

import pytest

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Scope
from watchkeeper.core.slot import Gauge
from watchkeeper.runtime.loop_lag import LOOK_EVERY_S, MAX_LOOPS, LoopLag
from watchkeeper.runtime.recorder import Recorder


def lags(recorder: Recorder, lag: LoopLag) -> Histogram:
    """Return what was recorded of the loop's lag."""
    return by_loop(recorder, lag).get("1", Histogram())


def by_loop(recorder: Recorder, lag: LoopLag) -> dict[str, Histogram]:
    """Return what was recorded, by the number of the loop."""
    lag.record(host="web-1", worker="3")
    found: dict[str, Histogram] = {}
    for series, value in recorder.take().items():
        assert ("web-1", "3") == (series.label("host"), series.label("worker"))
        if isinstance(value, Histogram):
            found[series.label("loop")] = value
    return found


def make() -> tuple[Recorder, LoopLag]:
    recorder = Recorder(Scope(service="shop", environment="test"))
    return recorder, LoopLag(recorder)


def yes() -> bool:
    """Watch all the time."""
    return True


def test_a_loop_that_is_blocked_comes_late():
    """A call that blocks for 2.55 s makes 25 looks late, by about 2.45, 2.35 … 0.05 s."""
    recorder, lag = make()

    async def blocks() -> None:
        lag.follow(yes)
        await asyncio.sleep(0)
        time.sleep(2.55)  # noqa: ASYNC251  # that is what is measured
        await asyncio.sleep(0.05)

    asyncio.run(blocks())

    found = lags(recorder, lag)
    assert 25 <= found.count <= 28  # on a busy machine the block is a little longer
    assert 10 <= found.count_above(1.5) <= 12
    assert 20 <= found.count_above(0.5) <= 22
    assert 0 == found.count_above(3.5)


def test_a_loop_that_hangs_is_told_while_it_does():
    """The slot that is closed meanwhile has what is known by then; no look is counted twice."""
    recorder, lag = make()
    seen: list[int] = []

    def close_slots() -> None:
        for _ in range(2):
            time.sleep(0.75)
            seen.append(lags(recorder, lag).count)

    async def hangs() -> None:
        lag.follow(yes)
        await asyncio.sleep(0)
        other = threading.Thread(target=close_slots)
        other.start()
        time.sleep(1.95)  # noqa: ASYNC251
        await asyncio.sleep(0.05)
        other.join()

    asyncio.run(hangs())
    seen.append(lags(recorder, lag).count)

    first, second, rest = seen
    assert 6 <= first <= 8
    assert 6 <= second <= 9
    assert 19 <= first + second + rest <= 23


def test_an_idle_loop_is_looked_at_ten_times_a_second():
    """However often it is asked to follow."""
    recorder, lag = make()

    async def idles() -> None:
        for _ in range(21):
            lag.follow(yes)
            await asyncio.sleep(0.05)

    asyncio.run(idles())

    assert 5 <= lags(recorder, lag).count <= 12


def test_a_loop_that_serves_nobody_is_woken_once_a_second():
    """Waking costs; each of these looks counts ten times, so that seconds have equal weights."""
    recorder, lag = make()
    looks: set[int] = set()

    async def idles() -> None:
        lag.follow(yes)
        await asyncio.sleep(1.0)
        lags(recorder, lag)
        for _ in range(30):
            looks.add(lag._loops[1]._turn)
            await asyncio.sleep(0.1)

    asyncio.run(idles())

    assert 2 <= len(looks) <= 5
    assert 20 <= lags(recorder, lag).count <= 40


@pytest.mark.parametrize(("works", "least", "most"), [(True, 4, 12), (False, 1, 3)])
def test_a_loop_that_works_after_a_request_is_looked_at_quickly(
    works: bool, least: int, most: int
):
    """For half a second; one that sleeps again is left to sleep."""
    recorder, lag = make()

    async def serves() -> None:
        lag.follow(yes)
        until = time.monotonic() + 0.8
        while time.monotonic() < until:
            begun = time.thread_time()
            while works and time.thread_time() - begun < 0.003:
                pass
            await asyncio.sleep(0.02 if works else 0.8)

    asyncio.run(serves())

    found = lags(recorder, lag)
    assert least <= found.count
    assert found.count <= most or found.count_above(0.045)  # a busy machine makes it late


def test_a_loop_that_is_asked_now_and_then_has_all_its_seconds():
    """Else one block among rare requests would seem to be a large part of the time."""
    recorder, lag = make()

    async def serves() -> None:
        for _ in range(3):
            lag.follow(yes)
            await asyncio.sleep(1.0)
        lag.follow(yes)

    asyncio.run(serves())

    assert 25 <= lags(recorder, lag).count <= 40


def test_rest_after_a_block_counts_for_nothing():
    """Nobody looked then, and a loop that was late may have been so again."""
    recorder, lag = make()
    counted: list[int] = []

    async def serves() -> None:
        lag.follow(yes)
        await asyncio.sleep(0)
        time.sleep(0.5)  # noqa: ASYNC251
        await asyncio.sleep(1.0)  # quick looks for half a second
        counted.append(lags(recorder, lag).count)
        lag.follow(yes)
        counted.append(lags(recorder, lag).count)

    asyncio.run(serves())

    assert 8 <= counted[0]
    assert 0 == counted[1]


def test_a_request_makes_looks_quick_at_once():
    """What blocks after a quiet time is seen from the first request on."""
    recorder, lag = make()

    async def serves() -> None:
        lag.follow(yes)
        await asyncio.sleep(2.0)
        lags(recorder, lag)
        lag.follow(yes)
        await asyncio.sleep(0)
        time.sleep(0.75)  # noqa: ASYNC251
        await asyncio.sleep(0.05)

    asyncio.run(serves())

    found = lags(recorder, lag)
    assert 6 <= found.count_above(0.04) <= 9
    assert 4 <= found.count_above(0.2)


def test_each_loop_of_a_process_is_told_apart():
    """One that is blocked does not hide among others that are well; numbers are used again."""
    recorder, lag = make()
    both = threading.Barrier(2)

    def run(*, blocked: bool) -> None:
        async def serve() -> None:
            lag.follow(yes)
            await asyncio.sleep(0.05)
            both.wait()
            await asyncio.sleep(0.3)
            if blocked:
                time.sleep(0.7)  # noqa: ASYNC251
            await asyncio.sleep(0.4)

        asyncio.run(serve())

    threads = [threading.Thread(target=run, kwargs={"blocked": at == 1}) for at in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = by_loop(recorder, lag)
    asyncio.run(once_followed(lag))

    assert {"1", "2"} == found.keys()
    assert {"1"} == by_loop(recorder, lag).keys()


async def once_followed(lag: LoopLag) -> None:
    """Run a loop long enough for one look."""
    lag.follow(yes)
    await asyncio.sleep(LOOK_EVERY_S + 0.1)


def test_no_more_loops_are_watched_than_there_is_room_for():
    """A host that runs a loop for each task costs no more and more."""
    recorder, lag = make()
    everybody = threading.Barrier(MAX_LOOPS + 3)

    def run() -> None:
        async def serve() -> None:
            lag.follow(yes)
            everybody.wait()
            await asyncio.sleep(LOOK_EVERY_S * 2)

        asyncio.run(serve())

    threads = [threading.Thread(target=run) for _ in range(MAX_LOOPS + 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {str(number) for number in range(1, MAX_LOOPS + 1)} == by_loop(recorder, lag).keys()


def threads_of(recorder: Recorder, lag: LoopLag) -> tuple[Gauge, Gauge] | None:
    """Return the gauges of the thread pool: used, and at most."""
    lag.record(host="web-1", worker="3")
    found = {series.metric: value for series, value in recorder.take().items()}
    used = found.get("thread_pool_used_threads")
    most = found.get("thread_pool_max_threads")
    return (used, most) if isinstance(used, Gauge) and isinstance(most, Gauge) else None


def test_threads_that_block_are_counted():
    """Of the pool that functions which block run in, the most that were in use are told."""
    from anyio import to_thread

    recorder, lag = make()

    async def serve() -> tuple[Gauge, Gauge] | None:
        lag.follow(yes)
        await asyncio.gather(*(to_thread.run_sync(time.sleep, 0.5) for _ in range(3)))
        return threads_of(recorder, lag)

    found = asyncio.run(serve())

    assert (Gauge(0.0, 0.0, 3.0), Gauge(40.0, 40.0, 40.0)) == found


def test_a_host_without_anyio_has_no_thread_pool():
    """No series, never a zero; and anyio is not loaded for it."""
    script = """
import asyncio, sys
from watchkeeper.core.metrics import Scope
from watchkeeper.runtime.loop_lag import LoopLag
from watchkeeper.runtime.recorder import Recorder
recorder = Recorder(Scope(service="shop", environment="test"))
lag = LoopLag(recorder)
async def serve():
    lag.follow(lambda: True)
    await asyncio.sleep(0.25)
asyncio.run(serve())
lag.record(host="web-1", worker="3")
print(*[series.metric for series in recorder.take()], "anyio" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "event_loop_lag_seconds False" == done.stdout.strip()


def test_the_timer_ends_with_watching():
    """After a stop the loop is the host's alone; watching again looks again."""
    _, lag = make()
    on = True

    async def stops() -> list[int]:
        nonlocal on
        loop = asyncio.get_running_loop()
        lag.follow(lambda: on)
        counts = [len(loop._scheduled)]
        on = False
        await asyncio.sleep(LOOK_EVERY_S + 0.1)
        counts.append(len(loop._scheduled))
        lag.follow(lambda: on)
        counts.append(len(loop._scheduled))
        on = True
        lag.follow(lambda: on)
        return [*counts, len(loop._scheduled)]

    assert [1, 0, 0, 1] == asyncio.run(stops())


def test_no_loop_is_held():
    """A loop that is closed is gone, and the next one is followed."""
    recorder, lag = make()
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def once() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        lag.follow(yes)
        await asyncio.sleep(LOOK_EVERY_S + 0.1)

    asyncio.run(once())
    asyncio.run(once())
    gc.collect()

    assert [None, None] == [loop() for loop in loops]
    assert 2 <= lags(recorder, lag).count <= 4


def test_the_request_that_began_it_is_not_held():
    """The timer runs in a context of its own."""
    from contextvars import ContextVar

    request: ContextVar[object] = ContextVar("request")
    _, lag = make()

    class Request:
        pass

    async def serve() -> bool:
        one = Request()
        gone = weakref.ref(one)

        async def handle(what: Request) -> None:
            request.set(what)
            lag.follow(yes)

        await asyncio.create_task(handle(one))
        del one
        await asyncio.sleep(0)
        gc.collect()
        return gone() is None

    assert asyncio.run(serve())


def test_without_a_loop_there_is_nothing_to_follow():
    """A server by WSGI, and loops that are not asyncio's, have no lag: no series, never a 0."""
    recorder, lag = make()

    lag.follow(yes)

    assert 0 == lags(recorder, lag).count


def test_the_child_of_a_fork_begins_anew():
    """What the parent noted is the parent's."""
    recorder, lag = make()

    async def waits() -> None:
        lag.follow(yes)
        await asyncio.sleep(LOOK_EVERY_S + 0.1)

    asyncio.run(waits())
    lag.reset()

    assert 0 == lags(recorder, lag).count
