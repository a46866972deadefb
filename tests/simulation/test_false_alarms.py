"""Days of a made-up service, evaluated slot by slot: how often people are woken for nothing."""

import random

import pytest

from watchkeeper.core.alerts import Instance, Notice, evaluate
from watchkeeper.core.pack import PACK
from watchkeeper.core.tallies import Tally, Window

pytestmark = pytest.mark.slow


def test_a_healthy_service_wakes_nobody() -> None:
    """1 % of errors at 30 requests a minute: at most one false alarm in two days."""
    high = PACK[0]
    source = random.Random(7)  # noqa: S311  # a simulation that repeats
    tallies: dict[int, Tally] = {}
    before, alarms = Instance(), 0

    for start in range(0, 2 * 86_400, 10):
        total = sum(source.random() < 0.5 for _ in range(10))
        bad = sum(source.random() < 0.01 for _ in range(total))
        tallies[start] = Tally(total=total, bad=bad, unclear=bad)
        tallies.pop(start - 400, None)
        transition = evaluate(
            high,
            Window(tallies=tallies, written=tallies.keys()),
            before,
            now=start + 9.5,
            slot_s=10,
            settled_until=start,
        )
        before = transition.after
        alarms += transition.notice is Notice.FIRING

    assert alarms <= 1
