"""What the garbage collector does, by really collecting."""

import gc
import sys
import threading
from collections.abc import Iterator

import pytest

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Scope
from watchkeeper.core.slot import Gauge, Value
from watchkeeper.runtime.garbage import Garbage
from watchkeeper.runtime.guard import take_errors
from watchkeeper.runtime.live import LiveSeries
from watchkeeper.runtime.recorder import Recorder


class Listening:
    """A collector that is listened to, and what was recorded of it."""

    def __init__(self) -> None:
        self.recorder = Recorder(Scope(service="shop", environment="test"))
        self.garbage = Garbage(self.recorder)

    def found(self) -> dict[str, Value]:
        """Return what was recorded since the last call, by metric and generation."""
        self.garbage.record(host="web-1", worker="3")
        return {
            f"{series.metric} {series.label('generation')}".strip(): value
            for series, value in self.recorder.take().items()
        }


@pytest.fixture
def listening() -> Iterator[Listening]:
    made = Listening()
    made.garbage.start()
    yield made
    made.garbage.stop()


def test_runs_and_their_time_are_told(listening: Listening):
    """Each run counts for its generation, and has its time."""
    listening.found()
    for _ in range(3):
        gc.collect()
    gc.collect(0)

    found = listening.found()

    assert 3 <= found["cpython_gc_collections_total 2"]
    pauses = found["cpython_gc_pause_seconds"]
    assert isinstance(pauses, Histogram)
    assert 4 <= pauses.count
    assert 0 < pauses.quantile(1.0) < 10


def test_what_ran_before_is_not_counted():
    """The first look has no increase: what the process did before is no news."""
    gc.collect()
    listening = Listening()

    found = listening.found()

    assert not [name for name in found if name.startswith("cpython_gc_collections_total")]
    assert "cpython_gc_pause_seconds" not in found


def test_allocated_blocks_are_told(listening: Listening):
    """As the interpreter counts them."""
    blocks = listening.found()["cpython_allocated_blocks"]

    assert isinstance(blocks, Gauge)
    assert sys.getallocatedblocks() == pytest.approx(blocks.last, rel=0.5)


def test_a_collection_amid_recording_holds_nobody_up(listening: Listening):
    """The collector runs in any thread, amid any line of ours, and everything is counted."""
    rounds = 300

    def collect() -> None:
        for _ in range(rounds):
            gc.collect(0)

    threads = [threading.Thread(target=collect) for _ in range(3)]
    listening.found()
    for thread in threads:
        thread.start()
    counted = 0
    while any(thread.is_alive() for thread in threads):
        counted += _pauses(listening.found())
    for thread in threads:
        thread.join()
    counted += _pauses(listening.found())

    assert rounds <= counted  # two that are asked for at once are one


def _pauses(found: dict[str, Value]) -> int:
    value = found.get("cpython_gc_pause_seconds")
    return value.count if isinstance(value, Histogram) else 0


def test_every_pause_counts_and_none_is_kept(listening: Listening):
    """A program that makes much garbage is told exactly, in a room that does not grow."""
    listening.found()
    for _ in range(5_000):
        gc.collect(0)

    assert listening.garbage._pauses is not None
    assert len(listening.garbage._pauses.pending) < 500
    assert 5_000 <= _pauses(listening.found()) < 5_200


def test_nothing_listens_after_the_stop():
    """The interpreter is left as it was, also when asked twice or when the host tidied up."""
    before = list(gc.callbacks)
    listening = Listening()
    listening.garbage.start()
    listening.garbage.start()
    started = len(gc.callbacks)
    listening.garbage.stop()
    listening.garbage.stop()

    assert len(before) + 1 == started
    assert before == gc.callbacks


def test_a_fault_of_ours_stays_with_us(listening: Listening, monkeypatch: pytest.MonkeyPatch):
    """It is swallowed, and does not come up as an exception that nobody could catch."""
    told: list[object] = []

    def fails(series: LiveSeries, value: float) -> None:
        raise RuntimeError("a fault of ours")

    listening.found()
    take_errors()
    with monkeypatch.context() as faulty:
        faulty.setattr(sys, "unraisablehook", told.append)
        faulty.setattr(LiveSeries, "record", fails)
        gc.collect()

    assert [] == told
    assert 1 <= take_errors()["garbage collection"]


def test_a_run_that_began_before_has_no_time(listening: Listening):
    """Listening may begin amid a collection of another thread."""
    listening.found()
    gc.disable()
    try:
        listening.garbage._called("stop", {})

        assert 0 == _pauses(listening.found())
    finally:
        gc.enable()


def test_the_child_of_a_fork_begins_anew(listening: Listening):
    """What the parent noted is the parent's."""
    listening.found()
    gc.collect()
    listening.recorder.reset()
    listening.garbage.reset()
    gc.collect(0)

    found = listening.found()
    assert 0 == _pauses(found)
    assert not [name for name in found if name.startswith("cpython_gc_collections_total")]
