"""Spans: named parts of the host's own code, timed alone and within a request."""

import asyncio
import functools
import inspect
import threading
from collections.abc import Iterator

import pytest

from watchkeeper.core.metrics import OTHER, Scope
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime import observer as observers
from watchkeeper.runtime.observer import MAX_SPAN_NAMES, Observer
from watchkeeper.runtime.operations import OperationKind
from watchkeeper.runtime.record import Record, current
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.spans import span, timed


@pytest.fixture
def observer() -> Iterator[Observer]:
    """An observer that spans record with."""
    made = Observer(Recorder(Scope(service="shop", environment="test")))
    observers.bind(made)
    yield made
    observers.unbind()


@pytest.fixture
def record() -> Iterator[Record]:
    """A request that runs."""
    token = current.set(Record.beginning(0.0))
    yield current.get()
    current.reset(token)


def in_a_loop(test):
    """Run an async test in an event loop of its own."""

    @functools.wraps(test)
    def run(**given: object) -> None:
        asyncio.run(test(**given))

    return run


def counts(observer: Observer) -> dict[str, int]:
    """Return how many observations each span has."""
    return {
        series.label("span"): value.count
        for series, value in observer.recorder.take().items()
        if series.metric == "span_duration_seconds"
    }


def names(record: Record) -> list[str]:
    """Return the names of a request's spans, in the order in which they ended."""
    return [operation.name for operation, _, _ in record.inside.spans]


def test_a_block_is_timed_alone_and_within_its_request(observer: Observer, record: Record):
    """A span is a histogram, and a part of what is shown of the request."""
    with span("pricing"):
        pass

    ((operation, start, seconds),) = record.inside.spans
    assert (OperationKind.OWN, "pricing") == (operation.kind, operation.name)
    assert start > 0 <= seconds
    assert {"pricing": 1} == counts(observer)


def test_outside_of_a_request_there_is_the_histogram_only(observer: Observer):
    """A script's span needs no request."""
    with span("pricing"):
        pass

    assert {"pricing": 1} == counts(observer)


def test_spans_do_nothing_before_anything_watches(record: Record):
    """Code with spans runs unwatched as well."""

    @timed
    def price() -> int:
        return 3

    with span("pricing"):
        assert 3 == price()

    assert record.inside is None


def test_spans_nest(observer: Observer, record: Record):
    """The inner one ends first, and lies within the outer one."""
    with span("outer"), span("inner"):
        pass

    inner, outer = record.inside.spans
    assert ["inner", "outer"] == names(record)
    assert outer[1] <= inner[1]
    assert inner[1] + inner[2] <= outer[1] + outer[2]


def test_an_exception_goes_on_and_its_time_counts(observer: Observer):
    """A part that fails took time like any other."""
    error = ValueError("no price")

    with pytest.raises(ValueError, match="no price") as raised, span("pricing"):
        raise error

    assert error is raised.value
    assert {"pricing": 1} == counts(observer)


def test_a_decorated_function_is_what_it_was(observer: Observer):
    """Name, signature, docstring and result stay as they are."""

    @timed("pricing")
    def price(amount: int, *, tax: float = 0.2) -> float:
        """Return a price."""
        return amount * (1 + tax)

    assert 12.0 == price(10)
    assert 11.0 == price(10, tax=0.1)
    assert ("price", "Return a price.") == (price.__name__, price.__doc__)
    assert "(amount: int, *, tax: float = 0.2) -> float" == str(inspect.signature(price))
    assert {"pricing": 2} == counts(observer)


def test_without_a_name_it_is_the_functions_own(observer: Observer):
    """`@timed` alone names the span by module and function."""

    class Cart:
        @timed
        def total(self) -> int:
            return 7

    assert 7 == Cart().total()

    (name,) = counts(observer)
    assert name.endswith("test_spans." + Cart.total.__qualname__)


def test_a_span_decorates_too(observer: Observer):
    """`@span("pricing")` is `@timed("pricing")`; recursion times each call."""

    @span("pricing")
    def price(depth: int) -> int:
        return depth and price(depth - 1)

    price(2)

    assert {"pricing": 3} == counts(observer)


@in_a_loop
async def test_async_functions_are_timed_until_they_return(observer: Observer, record: Record):
    """The time of an async function is that of its work, not that of making the coroutine."""
    started, go = asyncio.Event(), asyncio.Event()

    @timed("pricing")
    async def price() -> str:
        started.set()
        await go.wait()
        return "7 EUR"

    task = asyncio.create_task(price())
    await started.wait()
    assert {} == counts(observer)
    go.set()

    assert "7 EUR" == await task
    assert {"pricing": 1} == counts(observer)
    assert ["pricing"] == names(record)
    assert inspect.iscoroutinefunction(price)


@in_a_loop
async def test_concurrent_blocks_do_not_mix(observer: Observer, record: Record):
    """Many tasks of one request have spans at once."""

    async def part(name: str) -> None:
        with span(name):
            await asyncio.sleep(0)

    await asyncio.gather(*[part(name) for name in "abc"])

    assert {"a": 1, "b": 1, "c": 1} == counts(observer)
    assert ["a", "b", "c"] == sorted(names(record))


@in_a_loop
async def test_a_cancelled_span_ends(observer: Observer):
    """The time until the cancellation counts, and the cancellation goes on."""
    started = asyncio.Event()

    @timed("pricing")
    async def price() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(price())
    await started.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert {"pricing": 1} == counts(observer)


def test_threads_count_exactly(observer: Observer):
    """Eight threads with one decorated function lose nothing."""
    price = timed("pricing")(lambda: None)

    def work() -> None:
        for _ in range(1_000):
            price()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {"pricing": 8_000} == counts(observer)


def test_names_without_end_are_bounded(observer: Observer):
    """Names made of an order's number do no harm: beyond 200 they count as one."""
    for number in range(10_000):
        with span(f"order {number}"):
            pass

    counted = counts(observer)
    assert MAX_SPAN_NAMES + 1 == len(counted)
    assert 10_000 - MAX_SPAN_NAMES == counted[OTHER]
    assert 10_000 - MAX_SPAN_NAMES == observer.recorder.dropped["spans"]


def test_a_long_name_is_cut(observer: Observer):
    """A name is a label: at most 200 characters."""
    for _ in range(2):
        with span("x" * 5_000):
            pass

    assert {"x" * 200: 2} == counts(observer)


def test_a_name_that_is_none_does_not_raise(observer: Observer):
    """A mistake within a request is ours to count, not the host's to suffer."""
    with span(None):
        pass

    assert {} == counts(observer)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: (yield), "is a generator, whose call returns before"),
        (staticmethod(len), "put it below @staticmethod"),
        (int, "<class 'int'> is not a function"),
        (7, "7 is not a function"),
    ],
)
def test_what_cannot_be_timed_is_refused_at_once(function: object, message: str):
    """The mistake is named where it is made, when the module is imported."""
    with pytest.raises(ConfigurationError, match=message):
        timed(function)


def test_an_async_generator_is_refused():
    """Its call returns before any of its work is done, too."""

    async def pages():
        yield 1

    with pytest.raises(ConfigurationError, match="is a generator"):
        timed(pages)


def test_partials_and_callable_objects_are_timed(observer: Observer):
    """Whatever can be called can be timed."""
    double = timed("double")(functools.partial(lambda factor, value: factor * value, 2))

    assert 6 == double(3)
    assert {"double": 1} == counts(observer)
