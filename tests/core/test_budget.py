"""Less is stored step by step while room is short, and more again afterwards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.budget import (
    Decision,
    Reason,
    Room,
    Storing,
    Tier,
    decide,
    excess_bytes,
    shorten,
)
from watchkeeper.core.sampling import Level, most_sampled

BUDGET = 1_000
ALL = Storing.EVERYTHING
DAY_S = 86_400.0


def used(share: float, *, free: int = 0) -> Room:
    """Take up a share of the budget."""
    return Room(stored_bytes=round(share * BUDGET) + free, free_bytes=free)


def disk(free: float) -> Room:
    """Leave a share of a small disk free; 5 % are to be everybody else's."""
    return Room(stored_bytes=100, disk_bytes=10_000, disk_free_bytes=round(free * 10_000))


def look(before: Storing, room: Room, used_before: int | None = None) -> Decision:
    """Decide once."""
    return decide(before, room, budget_bytes=BUDGET, used_before_bytes=used_before)


def looks(*rooms: Room, before: Storing = ALL) -> list[Storing]:
    """Decide again and again, each time knowing what was used at the look before."""
    found: list[Storing] = []
    used_before = None
    for room in rooms:
        before = look(before, room, used_before).storing
        used_before = room.used_bytes
        found.append(before)
    return found


def test_everything_is_stored_while_there_is_room():
    """Below nine tenths of the budget, and with room on the disk, nothing changes."""
    assert Decision(storing=ALL, reason=Reason.ROOM) == look(ALL, used(0.89))
    assert Decision(storing=ALL, reason=Reason.ROOM) == look(ALL, disk(0.11))


@pytest.mark.parametrize(
    ("share", "last"),
    [(0.9, Storing.FEWER_DETAILS), (1.0, Storing.SHORTER), (1.05, Storing.COUNTS), (1.1, 0)],
)
def test_each_share_of_the_budget_has_its_step(share: float, last: int):
    """Less detail, then the finest tier for a shorter time, then counts only, then nothing."""
    found = looks(*[used(share)] * 5)

    assert list(range(3, last - 1, -1)) == [int(one) for one in found[: 4 - last]]
    assert {last} == {int(one) for one in found[4 - last :]}


def test_a_step_says_that_it_is_one_and_why():
    """It is logged once: only the look that changes something says so."""
    step = look(ALL, used(0.95))

    assert Decision(storing=Storing.FEWER_DETAILS, reason=Reason.BUDGET, stepped=True) == step
    assert Decision(storing=step.storing, reason=Reason.BUDGET) == look(step.storing, used(0.95))


def test_while_pruning_helps_nothing_more_is_given_up():
    """A budget that was lowered is reached by pruning; counts are stored all the while."""
    found = looks(*[used(3.0 - 0.1 * step) for step in range(8)])

    assert [3, 2, 2, 2, 2, 2, 2, 2] == [int(one) for one in found]
    assert Reason.PRUNING is look(Storing.SHORTER, used(2.0), used_before=2_100).reason


def test_a_disk_that_runs_full_is_answered_at_once():
    """From one look to the next a log or a dump may take what was left."""
    expected = Decision(storing=Storing.NOTHING, reason=Reason.DISK, stepped=True)

    assert expected == look(ALL, disk(0.02))
    assert expected == look(ALL, disk(0.0))
    assert [3, 2, 1, 0] == [
        int(look(ALL, disk(free)).storing) for free in (0.1, 0.07, 0.05, 0.025)
    ]


def test_the_reserve_of_a_large_disk_is_a_gibibyte():
    """Five per cent of four terabytes would be more than anybody wants to keep free."""
    large = Room(stored_bytes=1, disk_bytes=4 * 10**12, disk_free_bytes=3 * 10**9)

    assert ALL is look(ALL, large).storing


def test_it_goes_up_again_one_step_a_look():
    """With room again it comes back, but not all at once."""
    assert [1, 2, 3, 4, 4] == [int(one) for one in looks(*[used(0.1)] * 5, before=Storing(0))]


@pytest.mark.parametrize(
    ("before", "share"), [(3, 0.87), (2, 0.9), (2, 0.82), (1, 1.0), (0, 1.05)]
)
def test_a_step_is_not_taken_back_at_its_own_bound(before: int, share: float):
    """Between two bounds everything stays: storing does not go back and forth."""
    assert {before} == {int(one) for one in looks(*[used(share)] * 5, before=Storing(before))}


def test_room_that_is_filled_again_does_not_count():
    """Deleted rows make room inside a database long before its files shrink, if they ever do."""
    assert ALL is look(ALL, used(0.5, free=2_000)).storing


@given(
    st.sampled_from(Storing),
    st.floats(0, 3),
    st.none() | st.integers(0, 3_000),
    st.none() | st.integers(0, 10_000),
)
def test_more_room_never_means_that_less_is_stored(
    before: Storing, share: float, used_before: int | None, free: int | None
):
    """A decision follows the room: steps are by one, but for a disk that runs full."""
    size = None if free is None else 10_000
    room = Room(stored_bytes=round(share * BUDGET), disk_bytes=size, disk_free_bytes=free)

    decision = look(before, room, used_before)
    roomier = look(before, Room(stored_bytes=round(share * BUDGET / 2)), used_before)

    assert decision.storing <= roomier.storing
    assert decision.storing <= before + 1
    assert decision.storing >= before - 1 or decision.reason is Reason.DISK
    assert decision.stepped == (decision.storing != before)


def test_what_is_too_much_is_known_in_bytes():
    """Over the budget down to nine tenths of it; for a full disk no more than a quarter."""
    full = Room(stored_bytes=1_000, disk_bytes=10_000, disk_free_bytes=100)

    assert 0.0 == excess_bytes(used(0.99), budget_bytes=BUDGET)
    assert 200.0 == excess_bytes(used(1.1), budget_bytes=BUDGET)
    assert 250.0 == excess_bytes(full, budget_bytes=10_000)


def tier(name: str, size: int, *, keep_d: float, least_d: float, age_d: float = 99.0) -> Tier:
    """Name a tier with rows of so many days."""
    return Tier(
        name=name,
        used_bytes=size,
        oldest_at=(100.0 - age_d) * DAY_S,
        keep_s=keep_d * DAY_S,
        least_s=least_d * DAY_S,
    )


TIERS = [
    tier("slots", 400, keep_d=1.0, least_d=0.25),
    tier("minutes", 600, keep_d=14.0, least_d=2.0),
    tier("hours", 100, keep_d=400.0, least_d=30.0),
]


@pytest.mark.parametrize(
    ("excess", "kept_d"),
    [
        (0, {}),
        (100, {"slots": 0.75}),
        (300, {"slots": 0.25}),
        (600, {"slots": 0.25, "minutes": 7.0}),
        (9_999, {"slots": 0.25, "minutes": 2.0, "hours": 30.0}),
    ],
)
def test_the_finest_tier_goes_first(excess: float, kept_d: dict[str, float]):
    """A tier is shortened to its least before the next one loses anything."""
    kept = shorten(TIERS, excess_bytes=excess, now=100 * DAY_S)

    assert kept_d == {name: pytest.approx(seconds / DAY_S) for name, seconds in kept.items()}


def test_a_young_tier_is_shortened_from_its_age():
    """What is kept for 14 days but exists for two has two days to give."""
    young = [tier("minutes", 600, keep_d=14.0, least_d=1.0, age_d=2.0)]

    assert {"minutes": pytest.approx(1.5 * DAY_S)} == shorten(
        young, excess_bytes=150, now=100 * DAY_S
    )
    assert {} == shorten(
        [tier("minutes", 0, keep_d=14.0, least_d=1.0)], excess_bytes=1, now=100 * DAY_S
    )


def test_samples_follow_what_is_stored():
    """Fewer samples at the first steps, none once only counts are stored."""
    assert [Level.NONE, Level.NONE, Level.FEWER, Level.FEWER, Level.FULL] == [
        most_sampled(storing) for storing in sorted(Storing)
    ]
