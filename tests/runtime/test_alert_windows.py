"""What the rules see of a frame does not depend on whether it was read back or handed over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


SLOW = compile_alert(
    Alert("Slow", when="p95 > 300ms", over="1m"), where="test", origin=Origin.CODE, slot_s=10.0
)
DURATIONS = st.lists(st.sampled_from([0.1, 0.299, 0.3, 2.0, 3_000.0]), max_size=9)


def timed(slot: int, sequence: int, durations: list[float]) -> Frame:
    labels = (*SCOPE.labels, ("method", "GET"), ("route", "/"), ("status", "200"))
    series = Series(HTTP_DURATION.name, Kind.HISTOGRAM, tuple(sorted(labels)))
    values = {series: Histogram(durations)} if durations else {}
    return Frame(key=FrameKey(10, 10_000 + slot * 10, 1, sequence), values=values)


@given(st.lists(st.tuples(st.integers(0, 12), DURATIONS), max_size=30))
def test_however_frames_came_the_sums_are_those_of_their_slots(
    frames: list[tuple[int, list[float]]],
):
    """What lies near the limit counts alike when it comes, when it is merged and when it goes."""
    found = Windows([SLOW], scope=SCOPE, slot_s=10)
    newest = 0
    for sequence, (slot, durations) in enumerate(frames):
        newest = max(newest, slot)
        found.move(10_000.0 + newest * 10)
        found.add(timed(slot, sequence, durations))
    found.move(10_000.0 + newest * 10)

    window, slots = found.window("Slow", ""), range(10_000 + newest * 10 - 50, 99_999, 10)
    expected = sum(one.above(0.3) for start, one in window.tallies.items() if start in slots)
    total = sum(one.total for start, one in window.tallies.items() if start in slots)
    assert (expected or total) == found.size(SLOW, "")


def test_an_hour_of_requests_just_below_the_limit_hides_no_trouble():
    """With two frames a slot, a percentile rule still sees that everything is slow now."""
    found = Windows([SLOW], scope=SCOPE, slot_s=10)
    for slot in range(360):
        found.move(10_000.0 + slot * 10)
        found.add(timed(slot, 0, [0.1] * 100 + [0.299] * 20))
        found.add(timed(slot, 1, [0.1] * 100 + [2.0]))
    for slot in range(360, 366):
        found.move(10_000.0 + slot * 10)
        found.add(timed(slot, 0, [2.0] * 50))

    assert [""] == list(found.suspects(SLOW) or ())
