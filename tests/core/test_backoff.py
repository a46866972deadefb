"""Sampling gives way step by step when watching gets dear, and comes back when it is calm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.backoff import UP_AFTER, Decision, Reason, State, decide
from watchkeeper.core.sampling import Level

WELL = {"cpu_share": 0.001, "flush_s": 0.01, "failing": False}
COSTLY = {
    Reason.CPU: {**WELL, "cpu_share": 0.02},
    Reason.SLOW_STORAGE: {**WELL, "flush_s": 6.0},
    Reason.STORAGE_AWAY: {**WELL, "failing": True},
}


def after(*slots: dict[str, float | bool], state: State | None = None) -> list[Decision]:
    """Decide slot after slot, with a budget of 1 % and slots of 10 s."""
    decisions: list[Decision] = []
    for slot in slots:
        before = decisions[-1].state if decisions else state or State()
        decisions.append(decide(before, budget=0.01, slot_s=10.0, **slot))
    return decisions


def test_everything_is_sampled_while_all_is_well():
    """Cheap and fast: nothing changes."""
    assert {(Level.FULL, Reason.WELL, False)} == {
        (each.level, each.reason, each.stepped) for each in after(*[WELL] * 20)
    }


@pytest.mark.parametrize("reason", COSTLY)
def test_two_costly_slots_are_a_step_down(reason: Reason):
    """CPU above budget, slow storage or none at all: fewer samples, then none, each with why."""
    decisions = after(*[COSTLY[reason]] * 6)

    assert [2, 1, 1, 0, 0, 0] == [each.level for each in decisions]
    assert [False, True, False, True, False, False] == [each.stepped for each in decisions]
    assert [Reason.WAITING, reason, Reason.WAITING, reason, reason, reason] == [
        each.reason for each in decisions
    ]


def test_one_costly_slot_is_no_reason():
    """A start, a garbage collection or one slow commit does not change anything."""
    decisions = after(WELL, COSTLY[Reason.CPU], WELL, COSTLY[Reason.SLOW_STORAGE], WELL)

    assert {Level.FULL} == {each.level for each in decisions}


def test_six_calm_slots_are_a_step_up():
    """It comes back slowly, one step a minute."""
    decisions = after(*[WELL] * 12, state=State(level=Level.NONE))

    assert [0] * 5 + [1] * 6 + [2] == [each.level for each in decisions]
    assert 2 == sum(each.stepped for each in decisions)
    assert (Reason.WELL, True) == (decisions[5].reason, decisions[5].stepped)


def test_just_below_a_bound_is_neither_calm_nor_costly():
    """A load at the very bound does not make the level swing."""
    near = {**WELL, "cpu_share": 0.009}

    assert {Level.FEWER} == {
        each.level for each in after(*[near] * 50, state=State(level=Level.FEWER))
    }
    assert {Level.FULL} == {each.level for each in after(*[near] * 50)}


def test_a_costly_slot_begins_the_calm_ones_anew():
    """Six calm slots are six in a row."""
    slots = ([WELL] * (UP_AFTER - 1) + [COSTLY[Reason.CPU]]) * 10

    assert {Level.FEWER} == {each.level for each in after(*slots, state=State(level=Level.FEWER))}


slots = st.fixed_dictionaries(
    {
        "cpu_share": st.floats(0, 0.05),
        "flush_s": st.floats(0, 12),
        "failing": st.booleans(),
    }
)


@given(st.lists(slots, max_size=60))
def test_levels_change_one_step_at_a_time_and_not_often(every):
    """Whatever happens: single steps, told when they happen, never two within two slots."""
    decisions = after(*every)

    before, since = Level.FULL, 2
    for each in decisions:
        since += 1
        assert each.stepped == (each.level != before)
        assert abs(each.level - before) <= 1
        if each.stepped:
            assert since >= 2
            since = 0
        before = each.level
