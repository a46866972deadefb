"""What watching costs is measured while it runs, and sampling gives way when it is too much."""

import logging

import pytest

from watchkeeper.core.metrics import Scope
from watchkeeper.core.sampling import Level
from watchkeeper.core.slot import Gauge
from watchkeeper.runtime.own_cost import OwnCost
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.testing import ManualClock

SLOT_S = 10.0


class Process:
    """A process that is watched, whose slots the test lets pass."""

    def __init__(self, *, budget: float = 0.01) -> None:
        self.clock = ManualClock()
        self.recorder = Recorder(Scope(service="shop", environment="test"))
        self.cost = OwnCost(self.recorder, slot_s=SLOT_S, budget=budget)
        self.levels: list[Level] = []
        self.cost.on_level = self.levels.append
        self.slot()

    def slot(self, *, requests: int = 0, flush_s: float = 0.0, failing: bool = False):
        """Let a slot pass and close it."""
        self.clock.move(SLOT_S)
        return self.close(requests=requests, flush_s=flush_s, failing=failing)

    def close(self, *, requests: int = 0, flush_s: float = 0.0, failing: bool = False):
        """Close the slot now."""
        return self.cost.slot_closed(
            self.clock(), requests=requests, flush_s=flush_s, failing=failing
        )

    def gauges(self) -> dict[str, float]:
        """Read the gauges since the last call."""
        taken = self.recorder.take()
        return {one.metric: value.last for one, value in taken.items() if type(value) is Gauge}


@pytest.fixture
def process() -> Process:
    return Process()


def spin(cost: OwnCost) -> None:
    """Use some CPU time as the own thread would."""
    with cost.background():
        sum(range(200_000))


def test_one_request_a_second_is_measured(process: Process):
    """However many come, measuring costs next to nothing."""
    due = [start for start in (5.0, 5.1, 5.9, 6.0, 6.5, 9.0) if process.cost.is_due(start)]

    assert [5.0, 6.0, 9.0] == due


def test_what_requests_pay_is_their_number_times_the_median(process: Process):
    """A million requests at 4 µs in ten seconds are 40 % of a core; outliers change nothing."""
    for seconds in (4e-6, 3e-6, 4e-6, 5e-3, 4e-6):
        process.cost.measured(seconds)

    figures = process.slot(requests=1_000_000)

    assert 4e-6 == figures.request_s
    assert 0.4 == pytest.approx(figures.total)
    assert 0.0 == figures.background
    assert 0.4 == pytest.approx(process.gauges()["watchkeeper_cpu_utilization_ratio"])


def test_the_own_threads_time_is_counted(process: Process):
    """What the background thread spends goes into the share and into a counter."""
    spin(process.cost)

    figures = process.slot()

    assert 0 < figures.background == figures.total
    values = {one.metric: value for one, value in process.recorder.take().items()}
    spent_s = values["watchkeeper_cpu_seconds_total"]
    assert figures.background * SLOT_S == pytest.approx(spent_s)
    assert 0.0 == process.slot().background


def test_measurements_are_a_metric(process: Process):
    """What recording takes of a request is stored as a histogram."""
    process.cost.measured(3e-6)
    process.cost.measured(4e-6)

    (histogram,) = [
        value
        for one, value in process.recorder.take().items()
        if one.metric == "watchkeeper_request_overhead_seconds"
    ]

    assert 2 == histogram.count


def test_a_flush_within_a_slot_decides_nothing(process: Process):
    """Quick flushes in trouble count together, so that a short busy moment is no reason."""
    for _ in range(30):
        spin(process.cost)
        process.clock.move(0.1)
        process.close(requests=10)

    assert [] == process.levels
    assert 0.0 == process.cost.figures.background
    process.clock.move(7.0)
    assert 0 < process.close().background


def test_quick_flushes_in_trouble_do_not_cost_samples():
    """While something is wrong flushes come each second; samples are worth most just then."""
    process = Process(budget=1e-9)

    for _ in range(5):
        spin(process.cost)
        process.clock.move(1.0)
        process.close()
        process.clock.move(SLOT_S - 1.0)
        process.close()
    in_trouble = list(process.levels)
    for _ in range(2):
        spin(process.cost)
        process.slot()

    assert [] == in_trouble
    assert [Level.FEWER] == process.levels


def test_the_start_does_not_count():
    """What loading costs in the first slot says nothing about the next ones."""
    process = Process(budget=1e-9)
    process.cost = OwnCost(process.recorder, slot_s=SLOT_S, budget=1e-9)
    spin(process.cost)

    process.slot()

    assert 0.0 == process.slot().background


def test_too_much_cpu_lowers_sampling_step_by_step(caplog: pytest.LogCaptureFixture):
    """Above the budget: fewer samples, then none; each step is told once, and is a metric."""
    process = Process(budget=1e-6)
    levels = []

    with caplog.at_level(logging.WARNING, "watchkeeper"):
        for _ in range(6):
            spin(process.cost)
            process.slot()
            levels.append(process.gauges()["watchkeeper_sampling_level"])

    assert [2, 1, 1, 0, 0, 0] == levels
    assert [Level.FEWER, Level.NONE] == process.levels
    first, second = (record.message for record in caplog.records)
    assert first.startswith(
        "watchkeeper: sampling failed and ordinary requests only from now on: the own thread takes"
    )
    assert second.startswith("watchkeeper: sampling nothing from now on: the own thread takes")
    assert second.endswith("of a core, more than 0.0%; counts stay exact.")


def test_a_slow_or_absent_database_lowers_sampling_too(caplog: pytest.LogCaptureFixture):
    """The line tells which it was, and when all is well again."""
    process = Process()

    with caplog.at_level(logging.WARNING, "watchkeeper"):
        for _ in range(2):
            process.slot(flush_s=6.04)
        for _ in range(2):
            process.slot(failing=True)
        for _ in range(12):
            process.slot()

    assert [
        "watchkeeper: sampling failed and ordinary requests only from now on: "
        "writing a slot takes 6 s; counts stay exact.",
        "watchkeeper: sampling nothing from now on: the database is away; counts stay exact.",
        "watchkeeper: sampling failed and ordinary requests only from now on: "
        "watching is cheap again; counts stay exact.",
        "watchkeeper: sampling everything from now on: watching is cheap again; "
        "counts stay exact.",
    ] == [record.message for record in caplog.records]
    assert Level.FULL is process.cost.level


def test_counting_requests_is_not_held_against_the_budget(process: Process):
    """However busy the application, its samples stay: less of them would not make it cheaper."""
    process.cost.measured(5e-6)

    for _ in range(10):
        process.slot(requests=200_000)

    assert Level.FULL is process.cost.level


def test_a_budget_of_nothing_means_no_samples():
    """With 0 % the first work at all is too much."""
    process = Process(budget=0.0)
    for _ in range(4):
        spin(process.cost)
        process.slot()

    assert Level.NONE is process.cost.level


def test_a_clock_set_back_begins_anew(process: Process):
    """Figures never come from a negative span of time."""
    spin(process.cost)
    process.clock.move(-3_600)

    process.slot()

    assert 0.0 == process.slot().background


def test_a_forked_child_begins_anew(process: Process):
    """What the parent spent is the parent's."""
    spin(process.cost)
    process.cost.reset()
    process.slot()

    assert 0.0 == process.slot().background
