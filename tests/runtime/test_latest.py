"""The next error of a storm is told by comparing its trace, and only where that tells all."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from watchkeeper.core.metrics import Scope
from watchkeeper.runtime.issues import Issues
from watchkeeper.runtime.latest import MAX_FRAMES
from watchkeeper.runtime.record import Record, RequestContext, current

TIMES = 3


class OwnClassError(Exception):
    """Says by its class how it is grouped."""

    __watchkeeper_fingerprint__ = ("by", "class")


class ComputedError(Exception):
    """Says by its number how it is grouped, as its class computes."""

    def __init__(self, number: int) -> None:
        super().__init__("out of stock")
        self.args = (number,)

    def __getattr__(self, name: str) -> tuple[str, str]:
        if name != "__watchkeeper_fingerprint__":
            raise AttributeError(name)
        return ("number", str(self.args[0]))


def raising(error: BaseException) -> None:
    raise error


def found(
    work: Callable[[int], None], own: Callable[[BaseException], object] | None = None
) -> list[int]:
    """Return how often each issue was counted, after several errors."""
    issues = Issues(Scope(service="shop", environment="test"), own=own)
    for number in range(TIMES):
        try:
            work(number)
        except (KeyError, OwnClassError, ComputedError) as error:
            issues.capture(error)
    return sorted(count.count for count in issues.take()[0])


def down(depth: int) -> None:
    if depth == 0:
        raise KeyError("deep")
    down(depth - 1)


def test_the_same_trace_is_one_issue() -> None:
    """Errors that come from the same place, one after the other."""
    assert [TIMES] == found(lambda number: raising(KeyError(number)))


@pytest.mark.parametrize("longer", [0, 1, 50])
def test_a_trace_too_long_to_compare_is_one_issue(longer: int) -> None:
    """Such ones are told by their key."""
    assert [TIMES] == found(lambda number: down(MAX_FRAMES + longer))


def test_another_line_of_the_same_function_is_another_trace() -> None:
    """The code is the same, the instruction is not."""

    def work(number: int) -> None:
        if number == 1:
            raise KeyError("one")
        raise KeyError("other")

    assert [1, TIMES - 1] == found(work)


def test_a_shorter_trace_is_another_one() -> None:
    """One that begins as the latest did, and ends before it, or goes on."""

    def one() -> None:
        raise KeyError("deep")

    def two() -> None:
        one()

    def three() -> None:
        two()

    known = []
    issues = Issues(Scope(service="shop", environment="test"))
    for work in (two, one, two, three, two):
        try:
            work()
        except KeyError as error:
            known.append(issues.capture(error))

    assert known[0] is known[2] is known[4]
    assert 3 == len(set(known))


def test_a_class_says_how_it_is_grouped() -> None:
    """From two places, and yet one issue."""

    def work(number: int) -> None:
        if number == 1:
            raise OwnClassError
        raise OwnClassError

    assert [TIMES] == found(work)


def test_a_class_that_computes_its_fingerprint_is_asked_each_time() -> None:
    """From one place, and yet an issue for each number."""
    assert [1] * TIMES == found(lambda number: raising(ComputedError(number)))


def test_the_configured_function_is_asked_each_time() -> None:
    """From one place, and yet an issue for each value."""
    assert [1] * TIMES == found(
        lambda number: raising(KeyError(number)), own=lambda error: str(error.args[0])
    )


def test_a_fingerprint_given_with_the_capture_counts() -> None:
    """Before, between and after errors without any."""
    issues = Issues(Scope(service="shop", environment="test"))
    for given in (None, ["mine"], None):
        try:
            down(2)
        except KeyError as error:
            issues.capture(error, fingerprint=given)

    assert [1, 2] == sorted(count.count for count in issues.take()[0])


def test_a_cause_tells_an_error_apart() -> None:
    """The same trace with and without another error before it."""

    def work(number: int) -> None:
        try:
            if number == 1:
                raise ValueError("before")
        except ValueError as error:
            cause: ValueError | None = error
        else:
            cause = None
        raise KeyError("after") from cause

    assert [1, TIMES - 1] == found(work)


@pytest.mark.parametrize(
    "name", ["__getattribute__", "__traceback__", "__cause__", "__context__", "__dict__"]
)
def test_a_class_that_overrides_what_is_read_is_never_asked(name: str) -> None:
    """Its errors are told by what the interpreter holds, each time."""
    asked: list[str] = []

    def ask(error: BaseException, name: str = name) -> object:
        asked.append(name)
        return BaseException.__getattribute__(error, name)

    override = ask if name == "__getattribute__" else property(ask)
    kind = type("OverridingError", (KeyError,), {name: override})
    issues = Issues(Scope(service="shop", environment="test"))
    wrongly: list[str] = []
    for number in range(TIMES):
        error = kind(number)
        try:
            raising(error)
        except KeyError:
            asked.clear()
            issues.capture(error)
            wrongly += [name for name in asked if name != "__watchkeeper_fingerprint__"]

    assert [] == wrongly
    assert [TIMES] == [count.count for count in issues.take()[0]]


def test_a_copied_namespace_is_read_past() -> None:
    """A class made of another one's namespace has a `__dict__` of that one's, which refuses."""

    class Mixin:
        pass

    kind = type("CopiedError", (KeyError,), dict(Mixin.__dict__))

    assert [TIMES] == found(lambda number: raising(kind(number)))


def test_a_class_that_changes_later_is_counted_all_the_same() -> None:
    """What is read plainly may begin to raise; the long way takes over."""
    kind = type("ChangingError", (KeyError,), {})
    issues = Issues(Scope(service="shop", environment="test"))
    for number in range(2 * TIMES):
        if number == TIMES:
            kind.__context__ = property(lambda self: 1 / 0)
        try:
            raising(kind(number))
        except KeyError as error:
            issues.capture(error)

    assert [2 * TIMES] == [count.count for count in issues.take()[0]]


class AskingRecord(Record):
    """A request whose framework does something when it is asked which one it is."""

    __slots__ = ("asks",)

    def describe(self) -> RequestContext | None:
        self.asks()
        return RequestContext(method="GET", route="/")


def asking(asks: Callable[[], object]) -> AskingRecord:
    record = AskingRecord.beginning(0.0)
    record.asks = asks
    return record


def test_threads_that_capture_the_same_object_count_it_once() -> None:
    """The first marks it before anything of the host's is asked."""
    issues = Issues(Scope(service="shop", environment="test"))

    def work(number: int) -> None:
        raise KeyError(number)

    def capture(error: BaseException) -> None:
        current.set(asking(lambda: time.sleep(0.001)))
        issues.capture(error)

    with ThreadPoolExecutor(2) as threads:
        for number in range(40):
            try:
                work(number)
            except KeyError as error:
                list(threads.map(capture, [error, error]))

    assert 40 == sum(count.count for count in issues.take()[0])


def test_a_request_that_cannot_be_described_loses_no_error() -> None:
    """Its errors count without method and route, on each way."""
    issues = Issues(Scope(service="shop", environment="test"))

    def work(number: int) -> None:
        raise KeyError(number)

    def capture_all() -> None:
        current.set(asking(lambda: 1 / 0))
        for number in range(1_000):
            try:
                work(number)
            except KeyError as error:
                issues.capture(error)

    copy_context().run(capture_all)

    assert 1_000 == sum(count.count for count in issues.take()[0])


def test_the_same_object_is_counted_once() -> None:
    """It is marked when it is captured, on the quick way as on the long one."""

    def work(number: int) -> None:
        raise KeyError(number)

    issues = Issues(Scope(service="shop", environment="test"))
    again = []
    for number in range(20):
        try:
            work(number)
        except KeyError as error:
            issues.capture(error)
            again.append(issues.capture(error))

    assert [None] * 20 == again
    assert [20] == [count.count for count in issues.take()[0]]


def test_an_error_captured_amid_a_capture_is_counted() -> None:
    """A collection of garbage may run a finalizer at any moment, and that may capture."""

    class Clock:
        nested = True

        def __call__(self) -> float:
            if not self.nested:
                self.nested = True
                capture(2)
            return 5.0

    clock = Clock()
    issues = Issues(Scope(service="shop", environment="test"), clock=clock)

    def work(number: int) -> None:
        raise KeyError(number)

    def capture(number: int) -> None:
        try:
            work(number)
        except KeyError as error:
            issues.capture(error)

    for _ in range(5):
        capture(1)
    clock.nested = False
    capture(1)

    assert clock.nested
    assert 7 == sum(count.count for count in issues.take()[0])
