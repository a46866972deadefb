"""The lag of a real event loop while something blocks it."""

import asyncio
import gc
import time
import weakref

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Scope
from watchkeeper.runtime.loop_lag import LOOK_EVERY_S, LoopLag
from watchkeeper.runtime.recorder import Recorder


def lags(recorder: Recorder, lag: LoopLag) -> Histogram:
    """Return what was recorded of the loop's lag."""
    lag.record(host="web-1", worker="3")
    for series, value in recorder.take().items():
        assert ("web-1", "3") == (series.label("host"), series.label("worker"))
        assert isinstance(value, Histogram)
        return value
    return Histogram()


def make() -> tuple[Recorder, LoopLag]:
    recorder = Recorder(Scope(service="shop", environment="test"))
    return recorder, LoopLag(recorder)


def yes() -> bool:
    """Watch all the time."""
    return True


def test_a_loop_that_is_blocked_comes_late():
    """A call that blocks for 2.6 s makes three looks late, by about 1.6, 0.6 and less."""
    recorder, lag = make()

    async def blocks() -> None:
        lag.follow(yes)
        await asyncio.sleep(0)
        time.sleep(2.6)  # noqa: ASYNC251  # that is what is measured
        await asyncio.sleep(0.05)

    asyncio.run(blocks())

    found = lags(recorder, lag)
    assert 2 == found.count
    assert 1 == found.count_above(1.5)
    assert 2 == found.count_above(0.5)
    assert 0 == found.count_above(2.5)


def test_an_idle_loop_is_looked_at_once_a_second():
    """However often it is asked to follow."""
    recorder, lag = make()

    async def idles() -> None:
        for _ in range(22):
            lag.follow(yes)
            await asyncio.sleep(LOOK_EVERY_S / 10)

    asyncio.run(idles())

    assert 2 == lags(recorder, lag).count


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
    assert 2 == lags(recorder, lag).count


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
