"""What a rule would have done, told from its transitions."""

from dataclasses import replace

import pytest

from watchkeeper.core.conditions import And, CheckFailing, Comparison, Past, WorkerMissing
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.instance import Instance, State
from watchkeeper.core.replay import MAX_GROUPS, Replay, is_quiet, skipped
from watchkeeper.core.replayed import (
    MAX_SPELLS,
    Calmer,
    Closest,
    Skipped,
    Spell,
    collected,
    left_out,
    messages,
    of_events,
)
from watchkeeper.core.rule import Rule
from watchkeeper.core.rules import Alert, Origin, compile_alert
from watchkeeper.core.tallies import Tally, Window
from watchkeeper.core.verdicts import CheckState


def rule(name: str = "Errors", **fields: object) -> Rule:
    values = {"when": "error_rate > 5%", "over": "1m", "keep": "20s", "sure": False, **fields}
    if "on" in fields:
        values = {"on": fields["on"]}
    return compile_alert(Alert(name, **values), where="test", origin=Origin.CODE, slot_s=10.0)


def play(replay: Replay, bads: list[float | None], *, group: str = "", slot_s: int = 10) -> None:
    """Judge slots, each the only one of its window, of 100 requests with so many bad ones."""
    for number, bad in enumerate(bads, start=1):
        start = number * slot_s
        tallies = {} if bad is None else {start: Tally(total=100.0, bad=bad)}
        window = Window(tallies=tallies, written={start, start - slot_s})
        now = start + slot_s - 0.001
        if bad is not None:
            # What is clear is told by the slots before the open one.
            tallies[start - slot_s] = Tally(total=1.0, bad=0.0)
        replay.step(group, window, now=now, slot_s=slot_s, settled_until=now)


BAD, GOOD = 50.0, 0.0


def test_a_time_that_it_fires_is_a_spell():
    """When it began, fired and was over, how bad it was, and how long it was true."""
    replay = Replay(rule())

    play(replay, [GOOD] * 3 + [BAD] * 4 + [80.0] + [GOOD] * 10)
    done = replay.outcome()

    (spell,) = done.spells
    assert 1 == done.fired
    assert 49.999 == spell.started_at
    assert 49.999 == spell.fired_at
    assert 0.8 > spell.peak > 0.7
    assert pytest.approx(40.0) == spell.true_s
    assert spell.resolved_at is not None
    assert 1 == done.short
    assert not done.is_noisy
    assert done.closest is None
    assert done.calmer is None


def test_what_lasts_has_no_end():
    """A rule that fires at the end of the past is listed without an end."""
    replay = Replay(rule())

    play(replay, [BAD] * 3)

    assert [None] == [one.resolved_at for one in replay.outcome().spells]
    assert [""] == list(replay.lasting())


def test_the_nearest_miss_is_told():
    """A rule that never fired tells how near it came, where and when."""
    replay = Replay(rule())

    play(replay, [1.0, 4.0, 2.0], group='route="/a"')

    closest = replay.outcome().closest
    assert (
        Closest(
            value=pytest.approx(0.0396, abs=1e-3),
            limit=0.05,
            at=29.999,
            group='route="/a"',
            certain=True,
        )
        == closest
    )


def test_what_was_too_few_to_be_sure_is_told_as_such():
    """A miss for want of certainty says so."""
    replay = Replay(rule(sure=True))

    play(replay, [7.0])

    closest = replay.outcome().closest
    assert closest is not None
    assert not closest.certain


def test_a_value_that_should_be_large_came_near_when_it_was_small():
    """Below a threshold, the smallest value is the nearest."""
    replay = Replay(rule(when="requests < 50"))

    for start, total in ((10, 200.0), (20, 90.0), (30, 120.0)):
        at = range(start - 60, start + 1, 10)
        window = Window(tallies={start - 10: Tally(total=total)}, written=set(at))
        replay.step("", window, now=start + 1.0, slot_s=10, settled_until=start + 1.0)

    closest = replay.outcome().closest
    assert closest is not None
    assert (90.0, 50.0, 21.0) == (closest.value, closest.limit, closest.at)


def test_a_percentile_is_told_as_a_share():
    """p95 > 1 s came as near as the share of what took longer than a second."""
    replay = Replay(rule(when="p95 > 1s"))

    tally = Tally(total=100.0, histogram=Histogram([0.1] * 98 + [2.0] * 2))
    window = Window(tallies={10: tally}, written={10})
    replay.step("", window, now=19.0, slot_s=10, settled_until=19.0)
    replay.step("", Window(), now=99.0, slot_s=10, settled_until=99.0)

    closest = replay.outcome().closest
    assert closest is not None
    assert (0.02, 0.05, 19.0) == (closest.value, closest.limit, closest.at)


def test_without_data_nothing_came_near():
    """Where nothing was measured there is no nearest miss."""
    replay = Replay(rule())
    checks = Replay(rule(when="check failing", over=None, sure=None, by="check"))

    play(replay, [None, None])
    checks.step("", None, now=10.0, slot_s=10, settled_until=10.0)
    checks.step("", CheckState(name="db", state="pass", successes=9), now=20.0, slot_s=10,
                settled_until=20.0)  # fmt: skip

    assert replay.outcome().closest is None
    assert checks.outcome().closest is None


def test_a_noisy_rule_is_told_the_hold_that_calms_it():
    """Short spells one after the other: the shortest `hold` that leaves but few of them."""
    replay = Replay(rule(keep="10s"))

    short = [BAD] * 3 + [GOOD] * 10
    long = [BAD] * 20 + [GOOD] * 10
    play(replay, short * 7 + long)
    done = replay.outcome()

    assert (8, 7) == (done.fired, done.short)
    assert done.is_noisy
    assert Calmer(hold_s=60.0, fired=1) == done.calmer


def test_the_best_of_poor_holds_is_told_if_it_helps_at_all():
    """Where no `hold` leaves few, the one that leaves least is told; none if all leave most."""
    some = Replay(rule(keep="10s"))
    none = Replay(rule(keep="10s"))

    play(some, ([BAD] * 3 + [GOOD] * 10) * 6 + ([BAD] * 200 + [GOOD] * 10) * 4)
    play(none, ([BAD] * 3 + [GOOD] * 10) * 6)
    others = none.outcome()

    assert Calmer(hold_s=60.0, fired=4) == some.outcome().calmer
    assert Calmer(hold_s=60.0, fired=0) == others.calmer


def test_no_hold_helps_where_everything_is_long_enough():
    """A noisy rule whose short spells are longer than any `hold` tried gets no advice."""
    replay = Replay(rule(keep="10s", hold="30m"))

    assert replay.outcome().calmer is None
    noisy = Replay(rule(keep="10s", hold="20m"))
    noisy._noted.fired = 10
    noisy._noted.short = 9
    noisy._noted.others = {1_800.0: 9}
    assert noisy.outcome().calmer is None


def test_followers_are_told_together():
    """The first is told at once, who comes within the wait goes with the next message."""
    assert 0 == collected([], wait_s=30.0)
    assert 1 == collected([5.0], wait_s=30.0)
    assert 2 == collected([5.0, 6.0, 34.9], wait_s=30.0)
    assert 2 == collected([5.0, 35.0], wait_s=30.0)
    assert 3 == collected([5.0, 6.0, 36.0], wait_s=30.0)
    assert 3 == collected([5.0, 5.0, 5.0], wait_s=0.0)


def test_messages_are_counted_with_ends_and_reminders():
    """One when it fires, one when it is over, and a reminder each four hours between."""
    spell = Spell(group="", started_at=0.0, fired_at=0.0, resolved_at=9 * 3_600.0)
    lasts = Spell(group="b", started_at=99_999.0, fired_at=99_999.0)

    assert 4 == messages(rule(), [spell])
    assert 5 == messages(rule(), [spell, lasts])
    assert 2 == messages(rule(repeat="0s"), [spell])


def test_what_comes_again_is_told_once_more():
    """Within the cooldown the second time is told, further ones are not, and the end once."""
    spells = [
        Spell(group="", started_at=at, fired_at=at, resolved_at=at + 60)
        for at in (0.0, 300.0, 600.0, 900.0, 5_000.0)
    ]

    assert 4 + 2 == messages(rule(group_wait="0s", cooldown="10m"), spells)
    assert 10 == messages(rule(group_wait="0s", cooldown="0s"), spells)
    assert 3 == messages(rule(cooldown="10m"), [*spells[:1], replace(spells[1], resolved_at=None)])


def test_slots_of_another_length_go_on():
    """Counts of slots are those of as much time."""
    replay = Replay(rule(hold="5m"))

    play(replay, [BAD] * 3, slot_s=60)
    before = replay._tracks[""].instance
    replay.rescale(6.0)
    after = replay._tracks[""].instance

    assert State.PENDING == before.state
    assert 6 * before.true_slots == after.true_slots


def test_who_is_well_has_no_slots_to_count():
    """Slots of another length change nothing for a group that is well."""
    replay = Replay(rule())

    play(replay, [1.0])
    replay.rescale(6.0)

    assert Instance() == replay._tracks[""].instance


def test_more_groups_than_are_remembered_make_room():
    """Groups that are well are forgotten, those that are not are kept."""
    replay = Replay(rule())

    play(replay, [BAD], group="bad")
    for number in range(MAX_GROUPS + 5):
        play(replay, [1.0], group=str(number))

    assert "bad" in replay._tracks
    assert len(replay._tracks) <= MAX_GROUPS


def test_more_spells_than_are_listed_are_counted():
    """The list is bounded, the count is not."""
    replay = Replay(rule(keep="10s"))

    play(replay, ([BAD] + [GOOD] * 3) * (MAX_SPELLS + 10))
    done = replay.outcome()

    assert MAX_SPELLS + 10 == done.fired
    assert MAX_SPELLS == len(done.spells)
    assert done.messages >= 2 * 10


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, Skipped.NO),
        ({"enabled": False}, Skipped.OFF),
        ({"on": "issue.new"}, Skipped.NO),
    ],
)
def test_what_can_be_replayed(fields: dict[str, object], why: Skipped):
    """Comparisons, checks and events are replayed, what is off is not."""
    assert why == skipped(rule(**fields))
    assert why == left_out(rule(**fields), why).skipped


def test_what_cannot_be_replayed():
    """Silent workers, earlier weeks, long windows and several conditions are not replayed."""
    when = rule().when
    assert isinstance(when, Comparison)
    last_week = Past.SAME_TIME_LAST_WEEK
    before = replace(when, selector=replace(when.selector, past=last_week))

    assert Skipped.WORKERS == skipped(replace(rule(), when=WorkerMissing()))
    assert Skipped.BASELINE == skipped(replace(rule(), when=replace(when, against=last_week)))
    assert Skipped.BASELINE == skipped(replace(rule(), only_if=before))
    assert Skipped.NO == skipped(replace(rule(), only_if=when))
    assert Skipped.LONG_WINDOW == skipped(replace(rule(), over_s=(300.0, 7_200.0)))
    assert Skipped.MIXED == skipped(replace(rule(), when=And((when, CheckFailing()))))
    assert Skipped.NO == skipped(replace(rule(), when=And((when, when))))


def test_an_event_rule_tells_events():
    """Each event is a spell of its own."""
    done = of_events(rule(on="issue.new"), [(5.0, "a"), (6.0, "b")])

    assert (2, 2) == (done.fired, done.messages)
    assert ["a", "b"] == [one.group for one in done.spells]


def test_without_a_bad_one_nothing_is_near():
    """Of a share of which there never was a bad one, nothing is as near as it came."""
    replay = Replay(rule())

    play(replay, [GOOD, GOOD])

    closest = replay.outcome().closest
    assert closest is not None
    assert (0.0, 0.05, 19.999) == (closest.value, closest.limit, closest.at)


def test_who_is_well_is_not_judged():
    """Without a bad one in the window no share can be too large; all else must be judged."""
    good, bad = Window(tallies={10: Tally(total=5.0)}), Window(tallies={10: Tally(bad=1.0)})

    assert is_quiet(rule(), good)
    assert not is_quiet(rule(), bad)
    assert not is_quiet(rule(), Window())
    assert not is_quiet(rule(), None)
    assert not is_quiet(rule(when="error_rate > 5% and requests > 3"), good)
    assert not is_quiet(rule(when="error_rate < 50%"), good)
    assert not is_quiet(rule(when="requests > 5"), good)
    assert not is_quiet(rule(when="p95 > 1s"), good)
    assert not is_quiet(rule(no_data="alert"), good)
