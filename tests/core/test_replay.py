"""What a rule would have done, told from its transitions."""

import pytest

from watchkeeper.core.alerts import evaluate, remove
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.instance import Instance, State, Transition
from watchkeeper.core.replay import MAX_GROUPS, Replay, rescaled, skipped
from watchkeeper.core.replayed import (
    MAX_SPELLS,
    Calmer,
    Closest,
    Outcome,
    Short,
    Skipped,
    Unknown,
    left_out,
)
from watchkeeper.core.rule import Rule
from watchkeeper.core.rules import Alert, Origin, compile_alert
from watchkeeper.core.tallies import Tally, Window
from watchkeeper.core.verdicts import CheckState, Evidence


def rule(name: str = "Errors", **fields: object) -> Rule:
    values = {"when": "error_rate > 5%", "over": "1m", "keep": "20s", "sure": False, **fields}
    if "on" in fields:
        values = {"on": fields["on"]}
    return compile_alert(Alert(name, **values), where="test", origin=Origin.CODE, slot_s=10.0)


class Played:
    """A rule on its way through slots, each transition noted by a replay."""

    def __init__(self, rule: Rule) -> None:
        self.replay = Replay(rule)
        self.states: dict[str, Instance] = {}

    def step(
        self, group: str, seen: Window | Evidence | CheckState | None, *, now: float, slot_s: int
    ) -> None:
        def judge(rule: Rule, before: Instance) -> Transition:
            return evaluate(rule, seen, before, now=now, slot_s=slot_s, settled_until=now)

        done = judge(self.replay.rule, self.states.get(group, Instance()))
        self.replay.note(group, done, judge, now=now)
        self.states[group] = done.after

    def outcome(self) -> Outcome:
        return self.replay.outcome()


def play(played: Played, bads: list[float | None], *, group: str = "", slot_s: int = 10) -> None:
    """Judge slots, each the only one of its window, of 100 requests with so many bad ones."""
    for number, bad in enumerate(bads, start=1):
        start = number * slot_s
        tallies = {} if bad is None else {start: Tally(total=100.0, bad=bad)}
        window = Window(tallies=tallies, written={start, start - slot_s})
        if bad is not None:
            # What is clear is told by the slots before the open one.
            tallies[start - slot_s] = Tally(total=1.0, bad=0.0)
        played.step(group, window, now=start + slot_s - 0.001, slot_s=slot_s)


BAD, GOOD = 50.0, 0.0


def test_a_time_that_it_fires_is_a_spell():
    """When it began, fired and was over, how bad it was, and how long it was true."""
    replay = Played(rule())

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
    replay = Played(rule())

    play(replay, [BAD] * 3)

    assert [None] == [one.resolved_at for one in replay.outcome().spells]


def test_the_nearest_miss_is_told():
    """A rule that never fired tells how near it came, where and when."""
    replay = Played(rule())

    play(replay, [1.0, 4.0, 2.0], group='route="/a"')

    closest = replay.outcome().closest
    assert (
        Closest(
            value=pytest.approx(0.0396, abs=1e-3),
            limit=0.05,
            at=29.999,
            group='route="/a"',
            short_of=Short.LIMIT,
        )
        == closest
    )


def test_what_was_too_few_to_be_sure_is_told_as_such():
    """A miss for want of certainty says so."""
    replay = Played(rule(sure=True))

    play(replay, [7.0])

    closest = replay.outcome().closest
    assert closest is not None
    assert Short.FEW == closest.short_of


def test_what_was_true_too_short_is_told_as_such():
    """A miss for want of time: nearer than a higher share that was too few to be sure."""
    replay = Played(rule(sure=True, hold="30m"))

    play(replay, [7.0, None, None, None, None, None, None, BAD, BAD, GOOD])

    closest = replay.outcome().closest
    assert closest is not None
    assert Short.HOLD == closest.short_of


@pytest.mark.parametrize(
    ("fields", "short"),
    [
        ({"only_if": "requests > 1000"}, Short.ONLY_IF),
        ({"when": "errors > 5", "at_least": 100}, Short.FEW),
    ],
)
def test_what_else_was_missing_is_told(fields: dict[str, object], short: Short):
    """Beyond the limit while nobody asked, or below the floor."""
    replay = Played(rule(**fields))

    play(replay, [GOOD] * 11 + [6.0])

    closest = replay.outcome().closest
    assert closest is not None
    assert short == closest.short_of


def test_one_window_of_several_is_not_enough():
    """Beyond the limit in the short window, whose share was noted before the engine looked."""
    replay = Played(rule(over=("1m", "30m"), every_window=True))
    tallies = {at: Tally(total=100.0, bad=0.0) for at in range(0, 3_600, 10)}
    tallies[3_600] = Tally(total=100.0, bad=90.0)
    now = 3_609.999
    replay.replay.measure(0.5, "", now=now)

    replay.step("", Window(tallies=tallies, written=set(tallies)), now=now, slot_s=10)

    closest = replay.outcome().closest
    assert closest is not None
    assert (0.5, Short.WINDOW) == (closest.value, closest.short_of)


def test_what_was_seen_before_it_is_judged_is_told_by_the_judgement():
    """The value is that of the window that was nearest, the reason that of the engine."""
    replay = Played(rule(hold="5m"))
    replay.replay.measure(0.9, "", now=29.999)
    play(replay, [GOOD, BAD])

    closest = replay.outcome().closest
    assert closest is not None
    assert (0.9, Short.HOLD) == (closest.value, closest.short_of)


def test_a_value_that_should_be_large_came_near_when_it_was_small():
    """Below a threshold, the smallest value is the nearest."""
    replay = Played(rule(when="requests < 50"))

    for start, total in ((10, 200.0), (20, 90.0), (30, 120.0)):
        at = range(start - 60, start + 1, 10)
        window = Window(tallies={start - 10: Tally(total=total)}, written=set(at))
        replay.step("", window, now=start + 1.0, slot_s=10)

    closest = replay.outcome().closest
    assert closest is not None
    assert (90.0, 50.0, 21.0) == (closest.value, closest.limit, closest.at)


def test_a_percentile_is_told_as_a_share():
    """p95 > 1 s came as near as the share of what took longer than a second."""
    replay = Played(rule(when="p95 > 1s"))

    tally = Tally(total=100.0, histogram=Histogram([0.1] * 98 + [2.0] * 2))
    window = Window(tallies={10: tally}, written={10})
    replay.step("", window, now=19.0, slot_s=10)
    replay.step("", Window(), now=99.0, slot_s=10)

    closest = replay.outcome().closest
    assert closest is not None
    assert (0.02, 0.05, 19.0) == (closest.value, closest.limit, closest.at)


def test_without_data_nothing_came_near():
    """Where nothing was measured there is no nearest miss."""
    replay = Played(rule())
    checks = Played(rule(when="check failing", over=None, sure=None, by="check"))

    play(replay, [None, None])
    checks.step("", None, now=10.0, slot_s=10)
    checks.step("", CheckState(name="db", state="pass", successes=9), now=20.0, slot_s=10)

    assert replay.outcome().closest is None
    assert checks.outcome().closest is None


def test_a_noisy_rule_is_told_the_hold_that_calms_it():
    """Short spells one after the other: the shortest `hold` that leaves but few of them."""
    replay = Played(rule(keep="10s"))

    short = [BAD] * 3 + [GOOD] * 10
    long = [BAD] * 20 + [GOOD] * 10
    play(replay, short * 7 + long)
    done = replay.outcome()

    assert (8, 7) == (done.fired, done.short)
    assert done.is_noisy
    assert Calmer(hold_s=60.0, fired=1) == done.calmer


def test_the_best_of_poor_holds_is_told_if_it_helps_at_all():
    """Where no `hold` leaves few, the one that leaves least is told; none if all leave most."""
    some = Played(rule(keep="10s"))
    none = Played(rule(keep="10s"))

    play(some, ([BAD] * 3 + [GOOD] * 10) * 6 + ([BAD] * 200 + [GOOD] * 10) * 4)
    play(none, ([BAD] * 3 + [GOOD] * 10) * 6)
    others = none.outcome()

    assert Calmer(hold_s=60.0, fired=4) == some.outcome().calmer
    assert Calmer(hold_s=60.0, fired=0) == others.calmer


def test_no_hold_helps_where_everything_is_long_enough():
    """A noisy rule whose short spells are longer than any `hold` tried gets no advice."""
    replay = Played(rule(keep="10s", hold="30m"))

    assert replay.outcome().calmer is None
    noisy = Played(rule(keep="10s", hold="20m"))
    noisy.replay._noted.fired = 10
    noisy.replay._noted.short = 9
    noisy.replay._noted.others = {1_800.0: 9}
    assert noisy.outcome().calmer is None


def test_more_spells_than_are_listed_are_counted():
    """The list is bounded, the count is not."""
    replay = Played(rule(keep="10s"))

    play(replay, ([BAD] + [GOOD] * 3) * (MAX_SPELLS + 10))
    done = replay.outcome()

    assert MAX_SPELLS + 10 == done.fired
    assert MAX_SPELLS == len(done.spells)


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


def test_without_a_bad_one_nothing_is_near():
    """Of a share of which there never was a bad one, nothing is as near as it came."""
    replay = Played(rule())

    play(replay, [GOOD, GOOD])

    closest = replay.outcome().closest
    assert closest is not None
    assert (0.0, 0.05, 19.999) == (closest.value, closest.limit, closest.at)


def test_slots_of_another_length_go_on():
    """Counts of slots are those of as much time; who is well has none to count."""
    replay = Played(rule(hold="5m"))

    play(replay, [BAD] * 3, slot_s=60)
    before = replay.states[""]
    replay.replay.rescale(6.0)

    assert State.PENDING == before.state
    assert 6 * before.true_slots == rescaled(before, 6.0).true_slots
    assert Instance() == rescaled(Instance(), 6.0)


def test_only_so_many_groups_are_remembered():
    """Groups that are well are forgotten; beyond the maximum no further one is listed."""
    replay = Played(rule())

    play(replay, [GOOD], group="good")
    for number in range(MAX_GROUPS + 5):
        play(replay, [BAD], group=str(number))
    for number in range(MAX_GROUPS + 5):
        play(replay, [GOOD] * 9, group=str(number))

    assert MAX_GROUPS == replay.outcome().fired
    assert not replay.replay._tracks


def test_messages_incidents_and_events_are_counted():
    """What was told is counted as it was, and an event is a time of its own."""
    replay = Replay(rule(on="issue.new"))

    replay.began()
    replay.event('issue="1"', started_at=5.0, now=9.0)
    replay.told()
    done = replay.outcome()

    assert replay.has_fired
    assert (1, 1, 1) == (done.fired, done.incidents, done.messages)
    assert [('issue="1"', 5.0, 9.0)] == [
        (one.group, one.started_at, one.fired_at) for one in done.spells
    ]


def test_what_nobody_looks_at_any_more_is_over():
    """An end without a judgement is an end; of what was well there is none."""
    replay = Played(rule())

    play(replay, [BAD] * 3)
    replay.replay.over("", now=99.0)
    replay.replay.over("other", now=99.0)
    ended = remove("Errors", replay.states[""], now=99.0)

    assert State.OK == ended.after.state
    assert [99.0] == [one.resolved_at for one in replay.outcome().spells]


def test_for_how_long_nobody_can_tell_is_said():
    """The reason is the one that counts for most of the time."""
    replay = Replay(rule())

    assert (Unknown.NO, 0) == (replay.outcome().unknown, replay.outcome().unknown_s)
    replay.cannot_tell(Unknown.COARSE, 3_600.0)
    replay.cannot_tell(Unknown.NO_HISTORY, 2_000.0)
    replay.cannot_tell(Unknown.NO_HISTORY, 2_000.0)

    assert (Unknown.NO_HISTORY, 4_000) == (replay.outcome().unknown, replay.outcome().unknown_s)
