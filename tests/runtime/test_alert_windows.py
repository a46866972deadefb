"""What the rules see of a frame does not depend on whether it was read back or handed over."""

import pytest

from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Kind, Scope, Series
from watchkeeper.core.rules import Alert, Origin, Rule, compile_alert
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.exceptions import StorageUnavailableError
from watchkeeper.runtime.windows import Windows
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import Batch

SCOPE = Scope(service="shop", environment="production")
NOW = 10_009.0


class Watched(MemoryStore):
    """A real store that tells which frames are asked of it, and fails on demand."""

    fails = False

    def frames(self, *args, **kwargs):
        if self.fails:
            raise StorageUnavailableError("connection refused")
        self.read = super().frames(*args, **kwargs)
        return list(self.read)


def rule() -> Rule:
    alert = Alert("Errors", when="error_rate > 5%", over="1m")
    return compile_alert(alert, where="test", origin=Origin.CODE, slot_s=10.0)


def windows() -> Windows:
    return Windows([rule()], scope=SCOPE, slot_s=10)


def written(store: MemoryStore, *, start: int = 10_000, sequence: int = 1) -> Frame:
    """Write a frame with 3 failed requests of 10, and something that no rule needs."""
    requests = {
        Series(
            HTTP_DURATION.name,
            Kind.HISTOGRAM,
            tuple(sorted((*SCOPE.labels, ("method", "GET"), ("route", "/"), ("status", status)))),
        ): Histogram([0.1] * count)
        for status, count in (("200", 7), ("500", 3))
    }
    other = {Series("orders_total", Kind.COUNTER, SCOPE.labels): 5.0}
    frame = Frame(key=FrameKey(10, start, 1, sequence), values=requests | other)
    store.write(Batch(scope=SCOPE, frame=frame, at=NOW))
    return frame


def counted(found: Windows) -> dict[int, tuple[float, float]]:
    tallies = found.window("Errors", "").tallies
    return {start: (one.bad, one.total) for start, one in tallies.items()}


@pytest.fixture
def store() -> Watched:
    """Give a store that knows the worker of the frames."""
    store = Watched()
    store.register(SCOPE, host="h", pid=1, at=NOW)
    return store


def test_what_was_just_written_is_not_read_back(store: Watched):
    """A worker judges its own requests without asking the database for them."""
    frame = written(store)

    found = windows()
    found.read(store, now=NOW, fresh=[frame])

    assert {10_000: (3.0, 10.0)} == counted(found)
    assert [] == store.read


def test_what_was_handed_over_counts_once(store: Watched):
    """The next evaluation does not count a frame again that it was given before."""
    frame = written(store)
    found = windows()
    found.read(store, now=NOW, fresh=[frame])

    found.read(store, now=NOW + 1, fresh=[frame])
    found.read(store, now=NOW + 2)

    assert {10_000: (3.0, 10.0)} == counted(found)


def test_a_frame_of_others_counts_beside_the_own(store: Watched):
    """What other workers, or earlier flushes, wrote is read as ever."""
    written(store, sequence=1)
    own = written(store, sequence=2)

    found = windows()
    found.read(store, now=NOW, fresh=[own])

    assert {10_000: (6.0, 20.0)} == counted(found)


def test_a_frame_handed_over_in_vain_is_read_later(store: Watched):
    """If the database fails in between, nothing is missing from the next evaluation."""
    frame = written(store)
    found = windows()
    store.fails = True
    with pytest.raises(StorageUnavailableError):
        found.read(store, now=NOW, fresh=[frame])
    store.fails = False

    found.read(store, now=NOW + 1)

    assert {10_000: (3.0, 10.0)} == counted(found)


def test_frames_of_no_window_are_left_out(store: Watched):
    """A backlog that is written late does not count where no rule looks."""
    frame = written(store, start=5_000)

    found = windows()
    found.read(store, now=NOW, fresh=[frame])

    assert {} == counted(found)
