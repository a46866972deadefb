"""Errors that come again are appended without a lock, and none is lost or counted twice."""

import threading
from collections.abc import Callable

from watchkeeper.core.metrics import Scope
from watchkeeper.runtime.inlet import FOLD_AT, Inlet
from watchkeeper.runtime.issues import Issues
from watchkeeper.runtime.known import Known
from watchkeeper.runtime.occurrences import BEYOND

SCOPE = Scope(service="shop", environment="test")
THREADS, EACH = 8, 20_000


def issues() -> Issues:
    return Issues(SCOPE, clock=lambda: 1_000.0)


def fails(deep: bool) -> None:
    if deep:
        [][0]
    raise IndexError("other")


def capture(found: Issues, work: Callable[[], None], **given: str) -> None:
    try:
        work()
    except IndexError as error:
        found.capture(error, **given)  # type: ignore[arg-type]


def counted(found: Issues) -> dict[str, int]:
    counts, _ = found.take()
    return {count.culprit + count.fingerprint: count.count for count in counts}


def test_every_error_is_counted_while_slots_are_taken() -> None:
    """Threads that raise as others take: the counts of all takes are what was raised."""
    found, ended = issues(), threading.Event()
    total = 0

    def storm() -> None:
        for _ in range(EACH):
            capture(found, lambda: fails(True))

    threads = [threading.Thread(target=storm) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    watch = threading.Thread(target=lambda: [one.join() for one in threads] and ended.set())
    watch.start()
    while not ended.is_set():
        total += sum(counted(found).values())
    watch.join()
    total += sum(counted(found).values())

    assert THREADS * EACH == total


def test_two_bugs_of_one_type_stay_apart_when_they_alternate() -> None:
    """The latest trace of a type is only a guess, which each error is compared with."""
    found = issues()

    for number in range(1_000):
        capture(found, lambda deep=number % 2 == 0: fails(deep))  # type: ignore[misc]

    assert [500, 500] == sorted(counted(found).values())


def test_an_error_with_a_context_is_not_taken_for_one_without() -> None:
    """Where an error came from counts, though the traces are equal."""
    found = issues()

    def after_another() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise_it()

    def raise_it() -> None:
        raise IndexError("second")

    def alone() -> None:
        raise_it()

    for work in (alone, after_another) * 3:
        capture(found, work)

    assert 2 == len(counted(found))


def test_samples_are_due_at_the_powers_of_two() -> None:
    """What waits without being counted is not forgotten when a sample is due."""
    found = issues()

    for _ in range(1_000):
        capture(found, lambda: fails(True))
    _, samples = found.take()

    assert 10 == len(samples)  # 1, 2, 4 … 512


def test_a_worse_level_is_not_lost_among_errors() -> None:
    """An error that ends the process says so, however many came before it."""
    found = issues()

    for level in ("error", "error", "error", "critical", "error", "error"):
        capture(found, lambda: fails(True), level=level)
    counts, _ = found.take()

    assert [(6, "critical")] == [(count.count, count.level) for count in counts]


def test_an_inlet_has_a_bound() -> None:
    """When many wait, the next one goes the long way, which counts them all."""
    inlet: Inlet[Known] = Inlet("key")
    inlet.after(4)

    taken = [inlet.take(BEYOND, 1.0, None) for _ in range(2 * FOLD_AT)]

    assert len(inlet) <= FOLD_AT
    assert taken.count(True) == len(inlet)


def test_what_is_appended_to_a_closed_inlet_is_taken_back() -> None:
    """Whoever comes too late counts in another way, once."""

    class Closing(Inlet[Known]):
        def append(self, entry: "Known | tuple[Known, str, str, str]") -> None:
            self.closed = True  # as another thread may do in this moment
            super().append(entry)

    inlet = Closing("key")
    inlet.after(4)

    assert not inlet.take(BEYOND, 1.0, None)
    assert [] == inlet


def test_what_was_drained_after_closing_is_counted() -> None:
    """Who closes an inlet counts what is in it."""

    class Closing(Inlet[Known]):
        def append(self, entry: "Known | tuple[Known, str, str, str]") -> None:
            super().append(entry)
            self.closed = True
            self.drained = list(self.drain())

        __slots__ = ("drained",)

    inlet = Closing("key")
    inlet.after(4)

    assert inlet.take(BEYOND, 1.0, None)
    assert [(BEYOND, "", "", "", 1)] == inlet.drained


def test_what_is_taken_back_while_it_is_drained_is_counted_once() -> None:
    """Who looks at a closed inlet amid its draining counts its own, and the drain the others."""
    taken_back: list[bool] = []

    class Switching(Inlet[Known]):
        def after(self, counted: int) -> None:
            super().after(counted)
            # another thread goes on after its append
            if getattr(self, "closed", False) and not taken_back:
                taken_back.append(not self._is_counted())

    inlet = Switching("key")
    inlet.after(4)
    for _ in range(3):
        inlet.append(BEYOND)

    inlet.closed = True
    drained = list(inlet.drain())

    assert [True] == taken_back
    assert [(BEYOND, "", "", "", 2)] == drained
    assert 6 == inlet.counted
