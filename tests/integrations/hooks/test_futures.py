"""Work of executors whose result nobody asks for: an issue, once; what is asked for is not."""

import asyncio
import gc
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait

import pytest

from run_scripts import WATCHED, issues, run
from watchkeeper.integrations.hooks import futures


@pytest.fixture
def watched(recorded) -> Iterator:
    uninstall = futures.install(recorded.watchkeeper)
    yield recorded
    uninstall()


def fail() -> None:
    raise ValueError("no paper")


def test_a_future_that_nobody_asks_is_an_issue(watched):
    """The work's own traceback is shown, though nothing of it was kept alive."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(fail)
        pool.submit(int)

    assert {"ValueError": 1} == watched.issues()
    assert "fail" == watched.events[0].data["frames"][-1]["function"]


def asked_later(pool: ThreadPoolExecutor) -> None:
    future = pool.submit(fail)
    wait([future])
    with pytest.raises(ValueError, match="no paper"):
        future.result()


def asked_before(pool: ThreadPoolExecutor) -> None:
    with pytest.raises(ValueError, match="no paper"):
        pool.submit(fail).result()


def looked_at(pool: ThreadPoolExecutor) -> None:
    assert "no paper" == str(pool.submit(fail).exception())


def by_callback(pool: ThreadPoolExecutor) -> None:
    pool.submit(fail).add_done_callback(lambda future: future.exception())


def completed(pool: ThreadPoolExecutor) -> None:
    for future in as_completed([pool.submit(fail)]):
        future.exception()


def mapped(pool: ThreadPoolExecutor) -> None:
    with pytest.raises(ValueError, match="no paper"):
        list(pool.map(lambda _: fail(), [1]))


def awaited(pool: ThreadPoolExecutor) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="no paper"):
            await asyncio.get_running_loop().run_in_executor(pool, fail)

    asyncio.run(main())


@pytest.mark.parametrize(
    "ask", [asked_later, asked_before, looked_at, by_callback, completed, mapped, awaited]
)
def test_what_is_asked_for_is_the_callers_business(watched, ask):
    """However it is asked, before or after it failed."""
    with ThreadPoolExecutor(1) as pool:
        ask(pool)
    gc.collect()

    assert {} == watched.issues()


def test_no_frame_of_ours_is_in_the_traceback(watched):
    """What the caller gets is what it would get without us."""
    future: Future[None] = Future()
    future.set_exception(ValueError("no paper"))

    try:
        future.result()
    except ValueError as error:
        files = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}

    assert {__file__, sys.modules[Future.__module__].__file__} == files


def test_an_exception_that_was_seen_before_is_one_event(watched):
    """Captured within the work, it does not count again when its future is dropped."""

    def work() -> None:
        try:
            fail()
        except ValueError as error:
            watched.watchkeeper.capture(error)
            raise

    with ThreadPoolExecutor(1) as pool:
        pool.submit(work)

    assert {"ValueError": 1} == watched.issues()


def test_a_future_is_collected_at_once(watched):
    """Nothing of ours keeps a failed future, its exception or its frames."""

    class Order:
        pass

    def work() -> None:
        order.append(Order())
        raise ValueError(order.pop())

    order: list[Order] = []
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work)
    gc.collect()

    assert not [one for one in gc.get_objects() if type(one) is Order]


def test_failed_futures_are_bounded(watched, monkeypatch: pytest.MonkeyPatch):
    """Of more at once than a number nobody remembers whether they were asked."""
    monkeypatch.setattr(futures, "MAX_WATCHED", 2)
    kept: list[Future[None]] = []
    for _ in range(3):
        kept.append(Future())
        kept[-1].set_exception(ValueError("no paper"))

    kept.clear()

    assert {"ValueError": 2} == watched.issues()


def test_uninstalled_futures_are_what_they_were(recorded):
    """Taken out, nothing of ours is left."""
    before = dict(vars(Future))

    uninstall = futures.install(recorded.watchkeeper)
    assert before != dict(vars(Future))
    assert Future.result is before["result"]
    uninstall()

    assert before == dict(vars(Future))


LOST = {
    "a thread pool": """
from concurrent.futures import ThreadPoolExecutor
def work(): raise ValueError("no paper")
with ThreadPoolExecutor() as pool: pool.submit(work)
""",
    "a future that is kept to the end": """
from concurrent.futures import ThreadPoolExecutor
def work(): raise ValueError("no paper")
pool = ThreadPoolExecutor()
kept = pool.submit(work)
""",
    "a process pool": """
from concurrent.futures import ProcessPoolExecutor
from math import sqrt
with ProcessPoolExecutor(1) as pool: pool.submit(sqrt, -1)
""",
    "a callback": """
from concurrent.futures import Future
def work(future): raise ValueError("no paper")
future = Future()
future.add_done_callback(work)
future.set_result(None)
""",
    "a coroutine from another thread": """
import asyncio, threading
async def work(): raise ValueError("no paper")
loop = asyncio.new_event_loop()
thread = threading.Thread(target=loop.run_forever); thread.start()
future = asyncio.run_coroutine_threadsafe(work(), loop)
from concurrent.futures import wait
wait([future]); del future
loop.call_soon_threadsafe(loop.stop); thread.join(); loop.close()
""",
}


@pytest.mark.parametrize("how", LOST)
def test_lost_work_is_in_the_database(tmp_path, how: str):
    """After the end of the process, once."""
    run(tmp_path, WATCHED + LOST[how])

    title = "math domain error" if how == "a process pool" else "no paper"
    assert {f"ValueError: {title}": 1} == issues(tmp_path)


def test_switched_off_futures_are_left_alone(tmp_path):
    """With WATCHKEEPER_CAPTURE_FUTURES=0."""
    run(tmp_path, WATCHED + LOST["a thread pool"], WATCHKEEPER_CAPTURE_FUTURES="0")

    assert {} == issues(tmp_path)
