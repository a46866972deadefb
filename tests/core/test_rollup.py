"""Rolling up loses nothing, doubles nothing, and treats gauges as what they are."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Across, Kind, Series
from watchkeeper.core.rollup import merge_frames, merge_time, merge_workers
from watchkeeper.core.slot import Frame, FrameKey, Gauge

ORDERS = Series("orders_total", Kind.COUNTER, ())
LATENCY = Series("latency_seconds", Kind.HISTOGRAM, ())
QUEUE = Series("queue_length", Kind.GAUGE, (), Across.SUM)
DISK = Series("disk_ratio", Kind.GAUGE, (), Across.MAX)
VERSION = Series("version", Kind.GAUGE, (), Across.LAST)

parts = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=5),  # slot
        st.integers(min_value=1, max_value=3),  # worker
        st.integers(min_value=0, max_value=1_000),  # orders
        st.lists(st.floats(min_value=1e-4, max_value=10), max_size=10),
    ),
    max_size=20,
)


def frame(start: int, worker: int, sequence: int, values: dict) -> Frame:
    return Frame(key=FrameKey(10, start, worker, sequence), values=values)


def test_counters_add_up():
    """What several workers counted is counted once each."""
    assert {ORDERS: 5.0} == merge_workers([{ORDERS: 2.0}, {ORDERS: 3.0}])
    assert {ORDERS: 5.0} == merge_time([{ORDERS: 2.0}, {ORDERS: 3.0}])


def test_series_of_one_part_only_stay():
    """A series that only one worker has is in the result as it is."""
    assert {ORDERS: 2.0, QUEUE: Gauge(1, 1, 1)} == merge_workers(
        [{ORDERS: 2.0}, {QUEUE: Gauge(1, 1, 1)}]
    )


def test_merging_leaves_the_parts_alone():
    """What was merged can be merged again: the histograms handed in do not change."""
    first, second = {LATENCY: Histogram([1.0])}, {LATENCY: Histogram([2.0])}

    merge_workers([first, second])

    assert Histogram([1.0]) == first[LATENCY]
    assert Histogram([2.0]) == second[LATENCY]


def test_gauges_of_workers_combine_as_declared():
    """A queue adds up over workers, a disk shows the fullest, a version the last."""
    one = {QUEUE: Gauge(3, 1, 4), DISK: Gauge(0.5, 0.4, 0.6), VERSION: Gauge(7, 7, 7)}
    two = {QUEUE: Gauge(2, 2, 2), DISK: Gauge(0.3, 0.2, 0.9), VERSION: Gauge(8, 8, 8)}

    merged = merge_workers([one, two])

    assert Gauge(5, 3, 6) == merged[QUEUE]
    assert Gauge(0.5, 0.2, 0.9) == merged[DISK]
    assert Gauge(8, 7, 8) == merged[VERSION]


def test_gauges_over_time_keep_the_last_and_the_extremes():
    """Over time the newest reading counts, with the lowest and highest ever read."""
    merged = merge_time([{QUEUE: Gauge(3, 1, 9)}, {QUEUE: Gauge(2, 2, 2)}])

    assert {QUEUE: Gauge(2, 1, 9)} == merged


def test_flushes_of_one_worker_follow_each_other():
    """Two flushes within a slot are one worker's readings, not two workers'."""
    frames = [
        frame(0, 1, 1, {QUEUE: Gauge(5, 5, 5)}),
        frame(0, 1, 2, {QUEUE: Gauge(1, 1, 1)}),
        frame(0, 2, 1, {QUEUE: Gauge(10, 10, 10)}),
    ]

    assert {QUEUE: Gauge(11, 11, 15)} == merge_frames(frames)


def test_late_parts_of_a_rolled_up_minute_stand_beside_the_rest():
    """A late worker's share of a minute adds to it instead of following it."""
    frames = [
        frame(0, 0, 1, {QUEUE: Gauge(5, 5, 5)}),
        frame(0, 0, 2, {QUEUE: Gauge(1, 1, 1)}),
    ]

    assert {QUEUE: Gauge(6, 6, 6)} == merge_frames(frames)


def test_a_long_merge_gives_way_again_and_again():
    """Whoever merges many series can let others run in between."""
    pauses: list[None] = []
    many = {replace(ORDERS, metric=f"orders_{number}_total"): 1.0 for number in range(250)}

    merged = merge_frames([frame(0, 1, 1, many)], pause=lambda: pauses.append(None))

    assert many == merged
    assert 3 == len(pauses)


def test_values_of_another_type_are_left_out():
    """A damaged frame neither stops a merge nor replaces what is already known."""
    assert {ORDERS: 2.0} == merge_time([{ORDERS: 2.0}, {ORDERS: Histogram([1.0])}])
    assert {ORDERS: 2.0} == merge_time([{ORDERS: 2.0}, {ORDERS: Gauge(1, 1, 1)}])


@given(parts, st.randoms())
def test_no_observation_is_lost_or_doubled(
    made: list[tuple[int, int, int, list[float]]], random: object
):
    """Counts after a roll-up are those before it, in whatever order frames arrive."""
    frames = [
        frame(slot * 10, worker, sequence, {ORDERS: float(orders), LATENCY: Histogram(values)})
        for sequence, (slot, worker, orders, values) in enumerate(made)
    ]
    random.shuffle(frames)

    merged = merge_frames(frames)

    everything = Histogram(value for *_, values in made for value in values)
    assert sum(orders for _, _, orders, _ in made) == merged.get(ORDERS, 0)
    assert everything.buckets == merged.get(LATENCY, Histogram()).buckets
    assert everything.count == merged.get(LATENCY, Histogram()).count
