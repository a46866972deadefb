"""What may be true is looked at, what cannot be is not."""

from dataclasses import replace

import pytest

from watchkeeper.core.conditions import Comparison
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Across, Kind, Series
from watchkeeper.core.rules import Alert, Origin, Rule, compile_alert
from watchkeeper.core.running import Running, needs
from watchkeeper.core.slot import Gauge
from watchkeeper.core.stirring import Stirring, nearest
from watchkeeper.core.tallies import Tally


def rule(when: str, **fields: object) -> Rule:
    alert = Alert("Mine", when=when, **{"over": "1m", "sure": False, **fields})
    return compile_alert(alert, where="test", origin=Origin.CODE, slot_s=10.0)


def level(value: float) -> Tally:
    series = Series("queue_depth", Kind.GAUGE, (), Across.MAX)
    return Tally(gauges={(0, series): (0, Gauge(value, value, value))})


def may(one: Rule, slots: dict[int, dict[str, Tally]], start: int) -> bool:
    """Look at every slot and tell whether the rule may be true at the last one."""
    stirring, term = Stirring(one, slot_s=10), one.when
    assert isinstance(term, Comparison)
    sums = {}
    for need in needs(one):
        running = sums[need] = Running(need[1], 10, need[2])
        running.move(start + 10, slots)

    def counted(_: Comparison, at: int) -> dict[str, Tally]:
        return slots.get(at, {})

    for at in sorted(slots):
        stirring.look(term, counted, at)
    return stirring.may_hold(term, sums, counted, start)


@pytest.mark.parametrize(
    ("when", "tally", "expected"),
    [
        ("error_rate > 5%", Tally(total=100.0, bad=50.0), True),
        ("error_rate > 5%", Tally(total=100.0), False),
        ("errors > 0", Tally(total=9.0, bad=1.0), True),
        ("errors > 0", Tally(total=9.0), False),
        ("requests > 0", Tally(total=9.0), True),
        ("requests == 0", Tally(total=9.0), True),
        ("last(queue_depth) > 100", level(101.0), True),
        ("last(queue_depth) > 100", level(99.0), False),
        ("last(queue_depth) < 100", level(99.0), True),
        ("last(queue_depth) < 100", level(101.0), False),
        ("last(queue_depth) == 100", level(7.0), True),
        ("apdex < 0.9", Tally(total=9.0), True),
    ],
)
def test_one_slot_tells_whether_something_may_be_true(when: str, tally: Tally, expected: bool):
    """Of one slot that is there alone."""
    assert expected is may(rule(when), {100: {"": tally}}, 100)


def test_what_stirred_matters_while_a_window_may_hold_it():
    """A window and the slots that clearing waits for; then it is past."""
    one, slots = rule("last(queue_depth) > 100"), {100: {"": level(101.0)}}

    assert may(one, slots, 180)
    assert not may(one, slots, 190)


def test_enough_in_each_of_the_last_slots_is_not_too_few():
    """Windows that end a little earlier for slow workers count."""
    busy = {at: {"": Tally(total=30.0)} for at in range(60, 110, 10)}

    assert not may(rule("requests < 20"), busy, 100)
    assert not may(rule("rate(orders_total) < 1/min"), busy, 100)
    assert may(rule("requests < 20"), {**busy, 80: {"": Tally(total=3.0)}}, 100)
    assert may(rule("requests < 20", by="route"), busy, 100)
    assert may(rule("requests < 0.5x same_time_last_week"), busy, 100)


def near(one: Rule, slots: dict[int, dict[str, Tally]]) -> tuple[float, str] | None:
    sums = {}
    for need in needs(one):
        running = sums[need] = Running(need[1], 10, need[2])
        running.move(110, slots)
    return nearest(one, sums, lambda _, at: slots.get(at, {}), 100)


def test_the_nearest_value_is_that_of_the_worst_group():
    """A share, a count, a rate, a level; of what is not summed nothing is told."""
    slots = {100: {"a": Tally(total=10.0, bad=1.0), "b": Tally(total=10.0, bad=4.0)}}

    assert (0.4, "b") == near(rule("error_rate > 50%", by="route"), slots)
    assert (4.0, "b") == near(rule("errors > 50", by="route"), slots)
    assert (0.0, "a") == near(rule("error_rate > 50%"), {100: {"a": Tally(total=1.0)}})
    assert (7.0, "") == near(rule("last(queue_depth) > 9"), {100: {"": level(7.0)}})
    assert (7.0, "") == near(rule("max(queue_depth) > 9"), {100: {"": level(7.0)}})
    assert (0.0, "") == near(rule("errors > 50"), {100: {"": Tally(total=1.0)}})
    assert (0.5, "") == near(rule("rate(orders_total) > 10/s"), {100: {"": Tally(total=30.0)}})
    assert near(rule("error_rate > 50%"), {}) is None
    assert near(rule("last(queue_depth) > 9"), {}) is None
    assert near(rule("errors > 3x same_time_last_week"), slots) is None
    assert near(rule("errors > 1 and requests > 2"), slots) is None


def test_a_window_of_hours_is_looked_at_once_a_minute_or_when_something_is_bad():
    """What leaves it does so by the minute."""
    errors = replace(rule("error_rate > 5%"), over_s=(7_200.0,))
    slow = replace(rule("p95 > 1s"), over_s=(7_200.0,))
    good, bad = {70: {"": Tally(total=9.0)}}, {70: {"": Tally(total=9.0, bad=1.0)}}

    assert may(errors, bad, 70)
    assert not may(errors, good, 70)
    assert may(errors, good, 120)
    assert not may(slow, {70: {"": Tally(total=9.0, histogram=Histogram([0.1]))}}, 70)
    assert may(slow, {70: {"": Tally(total=9.0, histogram=Histogram([3.0]))}}, 70)
