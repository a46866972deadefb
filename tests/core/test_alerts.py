"""The state machine of an alert: one row per edge, then the laws."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.alerts import (
    Instance,
    Notice,
    Reason,
    State,
    Transition,
    advance,
    evaluate,
    fail,
    remove,
)
from watchkeeper.core.moment import Moment
from watchkeeper.core.pack import PACK
from watchkeeper.core.rules import Alert, Origin, Rule, compile_alert
from watchkeeper.core.slot import slot_start
from watchkeeper.core.tallies import Tally, Window
from watchkeeper.core.verdicts import Basis, CheckState, Verdict

OK, PENDING, FIRING, RECOVERING = State.OK, State.PENDING, State.FIRING, State.RECOVERING
TRUE = Verdict(breach=True, calm=False, basis=Basis.MEASURED, value=0.2, bad=20, total=100)
BETWEEN = Verdict(breach=False, calm=False, basis=Basis.MEASURED, value=0.04, bad=4, total=100)
CLEAR = Verdict(breach=False, calm=True, basis=Basis.MEASURED, value=0.0, bad=0, total=100)
TOO_FEW = Verdict(breach=None, calm=None, basis=Basis.TOO_FEW, value=0.5, bad=1, total=2)
NO_DATA = Verdict(breach=None, calm=None, basis=Basis.NO_DATA)
OLD_GOOD = Verdict(breach=None, calm=True, basis=Basis.NO_DATA)  # in the longer window
NOT_ASKED = Verdict(breach=None, calm=None, basis=Basis.NOT_ASKED)
NO_HISTORY = Verdict(breach=None, calm=None, basis=Basis.NO_HISTORY)
WORSE = replace(TRUE, worse=True)


def rule(**options: Any) -> Rule:
    alert = Alert("A", **{"when": "error_rate > 5%", "over": "1m", **options})
    return compile_alert(alert, where="a", origin=Origin.CODE, slot_s=10.0)


def instance(state: State, **fields: Any) -> Instance:
    """Return an instance that was last evaluated at 995, in the slot before that of `step`."""
    defaults = {"since": 900.0, "evaluated_at": 995.0, "slot": 990, "settled": 990}
    return Instance(state=state, **{**defaults, **fields})


def step(
    before: Instance, verdict: Verdict, *, now: float = 1005.0, fresh: int = 1, **options: Any
) -> Transition:
    moment = Moment(now=now, slot_s=10, settled_until=slot_start(now, 10))
    return advance(rule(**options), verdict, before, moment, fresh_slots=fresh)


def flapping(state: State, **fields: Any) -> Instance:
    return instance(state, flapping=True, flaps=(*THRICE, 980.0, 990.0), **fields)


SETTLED = {"slot_s": 10, "settled_until": 1000.0}
HOLD = {"hold": "1m"}
ALERT = {"no_data": "alert"}
KEEP_0 = {"keep": "0s"}
HASH = rule().deciding
THRICE = (700.0, 800.0, 900.0)
LONG_AGO = (-9_000.0, -8_000.0, -7_000.0, -6_000.0)
EDGES = [
    # before, verdict, options → state, reason, notice
    (instance(OK), TRUE, {}, FIRING, Reason.FIRED, Notice.FIRING),
    (instance(OK), TRUE, HOLD, PENDING, Reason.BREACH, None),
    (instance(OK), BETWEEN, {}, OK, Reason.STEADY, None),
    (instance(OK), CLEAR, {}, OK, Reason.STEADY, None),
    (instance(OK), TOO_FEW, {}, OK, Reason.UNKNOWN, None),
    (instance(OK), NO_DATA, {"no_data": "ok"}, OK, Reason.UNKNOWN, None),
    (instance(OK), NO_DATA, {"no_data": "alert"}, OK, Reason.UNKNOWN, None),
    (
        instance(OK, unknown_slots=29),
        NO_DATA,
        {"no_data": "alert"},
        FIRING,
        Reason.NO_DATA,
        Notice.FIRING,
    ),
    (instance(PENDING, true_slots=3), TRUE, HOLD, PENDING, Reason.HOLDING, None),
    (instance(PENDING, true_slots=5), TRUE, HOLD, FIRING, Reason.FIRED, Notice.FIRING),
    (instance(PENDING), BETWEEN, HOLD, PENDING, Reason.TOLERATED, None),
    (instance(PENDING, missed_slots=1), BETWEEN, HOLD, OK, Reason.PASSED_BY, None),
    (instance(PENDING), CLEAR, {**HOLD, "tolerate": 0}, OK, Reason.PASSED_BY, None),
    (instance(PENDING, true_slots=5), TOO_FEW, HOLD, PENDING, Reason.UNKNOWN, None),
    # What is gone before it fired is forgotten where a rule takes no data for the end.
    (
        instance(PENDING, unknown_slots=29),
        NO_DATA,
        {**HOLD, "no_data": "ok"},
        OK,
        Reason.NO_DATA,
        None,
    ),
    (
        instance(PENDING, unknown_slots=9),
        NO_DATA,
        {**HOLD, "no_data": "ok"},
        PENDING,
        Reason.UNKNOWN,
        None,
    ),
    (instance(FIRING), TRUE, {}, FIRING, Reason.STILL_TRUE, None),
    (instance(FIRING), BETWEEN, {}, FIRING, Reason.BETWEEN, None),
    (instance(FIRING), CLEAR, {}, RECOVERING, Reason.CLEAR, None),
    (instance(FIRING), CLEAR, {"keep": "0s"}, OK, Reason.RESOLVED, Notice.RESOLVED),
    (instance(FIRING), NO_DATA, {}, FIRING, Reason.UNKNOWN, None),
    (instance(FIRING, unknown_slots=99), NO_DATA, {}, FIRING, Reason.UNKNOWN, None),
    (
        instance(FIRING, unknown_slots=28),
        NO_DATA,
        {"no_data": "ok"},
        FIRING,
        Reason.UNKNOWN,
        None,
    ),
    (
        instance(FIRING, unknown_slots=29),
        NO_DATA,
        {"no_data": "ok"},
        OK,
        Reason.NO_DATA,
        Notice.RESOLVED,
    ),
    (
        instance(FIRING, unknown_slots=29),
        NO_DATA,
        {"no_data": "alert"},
        FIRING,
        Reason.UNKNOWN,
        None,
    ),
    # What fires because data stay away is over once they are back, or nobody asks for them.
    (instance(FIRING, no_data=True), OLD_GOOD, ALERT, FIRING, Reason.UNKNOWN, None),
    (
        instance(RECOVERING, no_data=True, clear_slots=11),
        OLD_GOOD,
        ALERT,
        RECOVERING,
        Reason.UNKNOWN,
        None,
    ),
    (instance(FIRING, no_data=True), CLEAR, ALERT, RECOVERING, Reason.CLEAR, None),
    (
        instance(FIRING, no_data=True),
        replace(OLD_GOOD, basis=Basis.NOT_ASKED),
        ALERT,
        RECOVERING,
        Reason.CLEAR,
        None,
    ),
    (instance(FIRING), OLD_GOOD, ALERT, RECOVERING, Reason.CLEAR, None),
    (instance(RECOVERING, clear_slots=3), CLEAR, {}, RECOVERING, Reason.KEEPING, None),
    (instance(RECOVERING, clear_slots=11), CLEAR, {}, OK, Reason.RESOLVED, Notice.RESOLVED),
    (instance(RECOVERING, clear_slots=11), TRUE, {}, FIRING, Reason.RELAPSED, None),
    (instance(RECOVERING, clear_slots=11), BETWEEN, {}, RECOVERING, Reason.BETWEEN, None),
    (instance(RECOVERING, clear_slots=11), NO_DATA, {}, RECOVERING, Reason.UNKNOWN, None),
    # What is not asked, or has nothing to compare with, changes no state and counts no time.
    (instance(OK, unknown_slots=29), NOT_ASKED, ALERT, OK, Reason.NOT_ASKED, None),
    (instance(OK, unknown_slots=29), NO_HISTORY, ALERT, OK, Reason.NO_HISTORY, None),
    (instance(PENDING, true_slots=5), NOT_ASKED, HOLD, PENDING, Reason.NOT_ASKED, None),
    (instance(FIRING), NOT_ASKED, {"no_data": "ok"}, FIRING, Reason.NOT_ASKED, None),
    (instance(RECOVERING), NO_HISTORY, {}, RECOVERING, Reason.NO_HISTORY, None),
    # The second level is told once, and only upward.
    (instance(OK), WORSE, {}, FIRING, Reason.FIRED, Notice.FIRING),
    (instance(FIRING), WORSE, {}, FIRING, Reason.WORSENED, Notice.WORSE),
    (instance(FIRING, worse=True), WORSE, {}, FIRING, Reason.STILL_TRUE, None),
    (instance(FIRING, worse=True), TRUE, {}, FIRING, Reason.STILL_TRUE, None),
    (instance(RECOVERING), WORSE, {}, FIRING, Reason.WORSENED, Notice.WORSE),
    # An edit is told once for each form of the rule.
    (instance(FIRING, rule_hash="old"), TRUE, {}, FIRING, Reason.EDITED, Notice.CHANGED),
    (
        instance(FIRING, rule_hash="old", edits=("old", HASH)),
        TRUE,
        {},
        FIRING,
        Reason.STILL_TRUE,
        None,
    ),
    (
        instance(FIRING, rule_hash="old", edits=tuple("abcdef")),
        TRUE,
        {},
        FIRING,
        Reason.STILL_TRUE,
        None,
    ),
    (instance(RECOVERING, rule_hash="old"), TRUE, {}, FIRING, Reason.EDITED, Notice.CHANGED),
    # A new hold never puts back what fires.
    (instance(FIRING, rule_hash="old"), TRUE, HOLD, FIRING, Reason.EDITED, Notice.CHANGED),
    (instance(FIRING, rule_hash="old"), CLEAR, KEEP_0, OK, Reason.RULE_CHANGED, Notice.RESOLVED),
    # What fired and ended four times within the hour flaps, and ends after twice as long.
    (instance(OK, flaps=THRICE), TRUE, {}, FIRING, Reason.FIRED, Notice.FIRING),
    (instance(OK, flaps=(*THRICE, 990.0)), TRUE, {}, FIRING, Reason.FLAPPING, Notice.FLAPPING),
    (instance(OK, flaps=LONG_AGO), TRUE, {}, FIRING, Reason.FIRED, Notice.FIRING),
    (flapping(RECOVERING, clear_slots=12), CLEAR, {}, RECOVERING, Reason.KEEPING, None),
    (flapping(RECOVERING, clear_slots=23), CLEAR, {}, OK, Reason.RESOLVED, Notice.RESOLVED),
    (flapping(FIRING), CLEAR, KEEP_0, RECOVERING, Reason.CLEAR, None),
    (flapping(RECOVERING, clear_slots=1), CLEAR, KEEP_0, OK, Reason.RESOLVED, Notice.RESOLVED),
    (flapping(RECOVERING), TRUE, {}, FIRING, Reason.RELAPSED, None),
]


@pytest.mark.parametrize(
    ("before", "verdict", "options", "state", "reason", "notice"),
    EDGES,
    ids=[f"{edge[0].state}-{edge[4]}-{number}" for number, edge in enumerate(EDGES)],
)
def test_every_edge(
    before: Instance,
    verdict: Verdict,
    options: dict[str, Any],
    state: State,
    reason: Reason,
    notice: Notice | None,
) -> None:
    """Each state and verdict lead to one next state, with its reason and what people are told."""
    transition = step(before, verdict, **options)

    assert (state, reason, notice) == (
        transition.after.state,
        transition.reason,
        transition.notice,
    )


def test_between_the_thresholds_the_time_to_keep_starts_anew() -> None:
    """Two clear minutes in a row end an incident, not two clear minutes altogether."""
    assert 0 == step(instance(RECOVERING, clear_slots=11), BETWEEN).after.clear_slots


def test_hold_counts_slots_of_data_not_time() -> None:
    """Slots without data do not bring a pending alert nearer to firing."""
    pending = instance(PENDING, true_slots=5)

    assert PENDING == step(pending, TRUE, fresh=0, **HOLD).after.state
    assert FIRING == step(pending, TRUE, fresh=1, **HOLD).after.state


def test_several_evaluations_in_one_slot_count_once() -> None:
    """Trouble is looked at each second; a minute is a minute nevertheless."""
    pending = instance(PENDING, true_slots=3, slot=1000, settled=1000)
    recovering = instance(RECOVERING, clear_slots=3, slot=1000, settled=1000)
    missed = instance(PENDING, missed_slots=1, slot=1000, settled=1000)

    assert 3 == step(pending, TRUE, fresh=0, **HOLD).after.true_slots
    assert 3 == step(recovering, CLEAR, fresh=0).after.clear_slots
    assert Reason.TOLERATED == step(missed, CLEAR, fresh=0, **HOLD).reason


def test_a_late_evaluation_counts_the_slots_that_passed() -> None:
    """Three slots at once are three slots."""
    assert (
        6
        == step(
            instance(PENDING, true_slots=3), TRUE, now=1025.0, fresh=3, hold="2m"
        ).after.true_slots
    )
    assert 6 == step(instance(RECOVERING, clear_slots=3), CLEAR, now=1025.0).after.clear_slots


def test_a_gap_is_never_elapsed_time() -> None:
    """After the machine slept, neither hold nor keep has passed meanwhile."""
    assert (
        4
        == step(
            instance(PENDING, true_slots=3), TRUE, now=1045.0, fresh=3, hold="2m"
        ).after.true_slots
    )
    assert 4 == step(instance(RECOVERING, clear_slots=3), CLEAR, now=9000.0).after.clear_slots


def test_a_pending_alert_survives_a_short_restart() -> None:
    """A deploy of under a minute does not start the hold anew, a longer one does."""
    pending = instance(PENDING, true_slots=5, breached_at=900.0)

    short = step(pending, TRUE, now=1054.0, **HOLD)
    long = step(pending, TRUE, now=1100.0, **HOLD)
    over = step(pending, CLEAR, now=1100.0, **HOLD)

    assert (FIRING, 900.0) == (short.after.state, short.after.breached_at)
    assert (PENDING, 1100.0, 0) == (
        long.after.state,
        long.after.breached_at,
        long.after.true_slots,
    )
    assert (OK, Reason.PASSED_BY) == (over.after.state, over.reason)


def failing(*starts: int) -> Window:
    return Window(tallies={start: Tally(50, 50) for start in starts}, written=starts)


def test_a_clock_set_back_a_little_changes_nothing() -> None:
    """Clocks of several hosts differ: what one of them has judged waits for the others."""
    firing = instance(FIRING, slot=1020, settled=1020)

    near = evaluate(rule(), Window(), firing, now=1005.0, slot_s=10, settled_until=1000.0)

    assert (Reason.CLOCK_BACK, firing) == (near.reason, near.after)
    assert not near.is_change


def test_a_clock_set_back_far_is_followed_and_no_time_has_passed() -> None:
    """What it then sees is judged, and neither `hold` nor `keep` is shorter for it."""
    jumped = instance(RECOVERING, slot=9000, settled=9000, clear_slots=3)
    calm = Window(tallies={990: Tally(9, 0)}, written={990})

    firing = evaluate(rule(), failing(990), Instance(slot=9000), now=1005.0, **SETTLED)
    keeping = evaluate(rule(), calm, jumped, now=1005.0, **SETTLED)

    assert (FIRING, 1000) == (firing.after.state, firing.after.slot)
    assert (Reason.KEEPING, 3, 1000) == (
        keeping.reason,
        keeping.after.clear_slots,
        keeping.after.slot,
    )


@pytest.mark.parametrize(("most", "ahead_s"), [(6, 0), (7, 15), (7, 40), (13, 80)])
def test_hosts_with_clocks_apart_hold_about_as_long_as_one_alone(most: int, ahead_s: int) -> None:
    """Two evaluate by turns, and only one has requests: its slots are those that count."""
    before, fired = Instance(), 0
    held = rule(over="5m", hold="1m", sure=False)
    for number in range(20):
        now = 1_009.9 + 10 * number
        window = failing(*range(1_000, int(now), 10))
        seen = now + (ahead_s if number % 2 else 0)
        before = evaluate(held, window, before, now=seen, slot_s=10, settled_until=seen).after
        fired = fired or (number if before.state is FIRING else 0)

    assert 5 <= fired <= most


def test_an_incident_remembers_its_beginning_and_its_peak() -> None:
    """Messages tell since when and how bad it was."""
    worse = Verdict(breach=True, calm=False, basis=Basis.MEASURED, value=0.5, bad=5, total=10)
    first = step(instance(OK), TRUE).after

    second = step(first, worse, now=1015.0).after
    third = step(second, TRUE, now=1025.0).after

    assert (1005.0, 1005.0) == (third.breached_at, third.fired_at)
    assert (0.2, 0.5) == (third.value, third.peak)


def test_what_cannot_be_put_into_a_number_keeps_the_last_peak() -> None:
    """A verdict may have no value: the alert still fires, and the peak stays what it was."""
    unmeasured = replace(TRUE, value=None)
    calm = replace(CLEAR, value=None)

    fired = step(instance(OK), unmeasured).after
    again = step(step(instance(OK), TRUE).after, unmeasured, now=1015.0).after
    clear = step(again, calm, now=1025.0).after

    assert (FIRING, None, None) == (fired.state, fired.value, fired.peak)
    assert (FIRING, None, 0.2) == (again.state, again.value, again.peak)
    assert (RECOVERING, None, 0.2) == (clear.state, clear.value, clear.peak)


def test_the_peak_of_something_missing_is_its_lowest() -> None:
    """For a rule with < the worst is the least."""
    low = {"when": "requests < 5", "over": "1m"}
    least = Verdict(breach=True, calm=False, basis=Basis.MEASURED, value=1.0)
    more = Verdict(breach=True, calm=False, basis=Basis.MEASURED, value=3.0)

    after = step(step(instance(OK), least, **low).after, more, now=1015.0, **low).after

    assert (3.0, 1.0) == (after.value, after.peak)


def test_a_changed_rule_keeps_its_incident_and_says_so_at_the_end() -> None:
    """Raising the threshold ends an incident as "because the rule was changed"."""
    firing = step(instance(OK), TRUE).after

    recovering = step(firing, CLEAR, now=1015.0, when="error_rate > 50%")
    resolved = step(
        Instance.from_data({**recovering.after.to_data(), "clear_slots": 11}),
        CLEAR,
        now=1025.0,
        when="error_rate > 50%",
    )

    assert (RECOVERING, None) == (recovering.after.state, recovering.notice)
    assert (Reason.RULE_CHANGED, Notice.RESOLVED) == (resolved.reason, resolved.notice)


def test_what_flapped_does_so_again_within_the_hour() -> None:
    """When it ends it is no longer flapping, but how often it fired is not forgotten."""
    ended = step(flapping(RECOVERING, clear_slots=23), CLEAR).after
    again = step(ended, TRUE, now=1015.0)
    later = step(ended, TRUE, now=9_000.0)

    assert (False, 5) == (ended.flapping, len(ended.flaps))
    assert (Notice.FLAPPING, 5) == (again.notice, len(again.after.flaps))
    assert (Notice.FIRING, 1) == (later.notice, len(later.after.flaps))


def test_what_has_reached_the_second_level_keeps_it_until_it_ends() -> None:
    """A severity goes up while it fires, never down, and the next incident begins below."""
    first = step(instance(OK), WORSE).after
    later = step(first, TRUE, now=1015.0).after
    ended = step(instance(RECOVERING, clear_slots=11, worse=True), CLEAR).after

    assert (True, True, False) == (first.worse, later.worse, ended.worse)


LEVELS: dict[str, Any] = {
    "hold": "5m",
    "worse": {"when": "error_rate > 50%", "severity": "critical"},
}
SOONER = {**LEVELS, "worse": {**LEVELS["worse"], "hold": "30s"}}
AT_ONCE = {**LEVELS, "worse": {**LEVELS["worse"], "hold": "0s"}}


def states(verdicts: list[Verdict], **options: Any) -> list[tuple[State, bool]]:
    before, found = instance(OK), []
    for number, verdict in enumerate(verdicts):
        before = step(before, verdict, now=1005.0 + 10 * number, **options).after
        found.append((before.state, before.worse))
    return found


def test_a_second_level_may_fire_sooner_than_the_first() -> None:
    """What is far worse need not wait as long; by default it does."""
    assert (PENDING, False) == states([WORSE] * 30, **LEVELS)[-1]
    assert (FIRING, True) == states([WORSE] * 31, **LEVELS)[-1]
    assert [(PENDING, False)] * 3 + [(FIRING, True)] == states([WORSE] * 4, **SOONER)
    assert [(FIRING, True)] == states([WORSE], **AT_ONCE)


def test_a_second_level_holds_in_a_row() -> None:
    """Being less bad in between, or not at all, starts its time anew."""
    broken = [WORSE, WORSE, TRUE, WORSE, WORSE, BETWEEN, WORSE, WORSE, WORSE]

    assert (PENDING, False) == states(broken, **SOONER)[-1]
    assert (FIRING, True) == states([*broken, WORSE], **SOONER)[-1]


def test_where_the_first_level_fires_the_second_waits_for_its_own_hold_only() -> None:
    """Without one it is told at once."""
    quick = {"hold": "0s"}

    assert [(FIRING, False), (FIRING, True)] == states([TRUE, WORSE], **{**LEVELS, **quick})
    assert [False] * 4 + [True] == [
        worse for _, worse in states([TRUE] + [WORSE] * 4, **{**SOONER, **quick})
    ]


@pytest.mark.parametrize(
    ("is_told", "edit"),
    [
        (False, {"description": "Call Ada."}),
        (False, {"channels": "phone", "repeat": "1h"}),
        (False, {"severity": "critical"}),
        (True, {"when": "error_rate > 6%"}),
        (True, {"keep": "3m"}),
    ],
)
def test_an_edit_that_decides_nothing_is_no_change(is_told: bool, edit: dict[str, Any]) -> None:
    """Only what was judged by another condition ends "because the rule was changed"."""
    firing = step(instance(OK), TRUE).after
    ending = replace(firing, state=RECOVERING, clear_slots=99)

    told = step(firing, TRUE, now=1015.0, **edit)
    ended = step(ending, CLEAR, now=1015.0, **edit)

    assert (Notice.CHANGED if is_told else None) == told.notice
    assert (Reason.RULE_CHANGED if is_told else Reason.RESOLVED) == ended.reason


def test_an_evaluation_that_fails_keeps_the_state() -> None:
    """An error is never the end of an incident; the next success forgets it."""
    failed = fail("A", instance(FIRING, failures=1), now=1005.0)
    again = step(failed.after, TRUE, now=1015.0)
    healthy = step(instance(OK, failures=2), CLEAR)

    assert (FIRING, 2, Reason.FAILED, None) == (
        failed.after.state,
        failed.after.failures,
        failed.reason,
        failed.notice,
    )
    assert failed.is_change
    assert (0, 0) == (again.after.failures, healthy.after.failures)
    assert healthy.is_change


VERDICTS = st.sampled_from([TRUE, WORSE, BETWEEN, CLEAR, TOO_FEW, NO_DATA, NOT_ASKED, NO_HISTORY])


@given(
    st.lists(st.tuples(VERDICTS, st.integers(1, 12)), max_size=60),
    st.sampled_from(["0s", "30s"]),
    st.sampled_from(["0s", "30s"]),
    st.sampled_from(["keep", "ok", "alert"]),
)
def test_people_are_told_of_beginnings_and_ends_in_turn(
    history: list[tuple[Verdict, int]], hold: str, keep: str, no_data: str
) -> None:
    """Never firing twice without an end between, never an end of what did not fire."""
    options = {"hold": hold, "keep": keep, "no_data": no_data, "no_data_after": "1m"}
    before, now, open_notice = Instance(), 1005.0, False
    for verdict, times in history:
        for _ in range(times):
            now += 10
            transition = step(before, verdict, now=now, **options)
            before = Instance.from_data(json.loads(json.dumps(transition.after.to_data())))
            if transition.notice in (Notice.FIRING, Notice.FLAPPING):
                assert not open_notice
                open_notice = True
            elif transition.notice is not None:
                assert open_notice
                open_notice = transition.notice is not Notice.RESOLVED
            assert open_notice is before.is_firing


@given(st.lists(VERDICTS, max_size=40), st.sampled_from(["0s", "30s"]))
def test_calm_ends_whatever_was(history: list[Verdict], keep: str) -> None:
    """After twice `keep` without trouble nothing fires, whatever came before."""
    before, now = Instance(), 1005.0
    for verdict in [*history, *[CLEAR] * 8]:
        now += 10
        before = step(before, verdict, now=now, keep=keep).after

    assert OK == before.state


def test_a_removed_rule_resolves_what_fires() -> None:
    """A rule that is gone leaves nobody waiting."""
    assert Notice.RESOLVED == remove("A", instance(RECOVERING), now=1005.0).notice
    assert remove("A", instance(PENDING), now=1005.0).notice is None
    assert Reason.RULE_REMOVED == remove("A", instance(FIRING), now=1005.0).reason


def test_a_healthy_instance_is_not_written() -> None:
    """Evaluating costs the database nothing while all is well."""
    assert not step(instance(OK), CLEAR).is_change
    assert not step(instance(OK), NO_DATA).is_change


def test_what_was_unknown_and_is_known_again_starts_anew() -> None:
    """The time without data is counted from its own beginning each time."""
    after = step(instance(OK, unknown_slots=20), CLEAR, no_data="alert")

    assert 0 == after.after.unknown_slots
    assert after.is_change


def test_a_check_fires_and_recovers() -> None:
    """Three failures fire; two good runs end it at once."""
    checks = compile_alert(Alert("C", when="check failing"), where="c", origin=Origin.CODE)
    failing = CheckState(name="db", state="fail", failures=3)
    good = CheckState(name="db", state="pass", successes=2)

    fired = evaluate(checks, failing, Instance(), now=1005.0, slot_s=10, settled_until=0)
    resolved = evaluate(checks, good, fired.after, now=1015.0, slot_s=10, settled_until=0)

    assert (Notice.FIRING, Notice.RESOLVED) == (fired.notice, resolved.notice)


INSTANCES = st.builds(
    Instance,
    state=st.sampled_from(list(State)),
    since=st.floats(0, 2e9),
    breached_at=st.none() | st.floats(0, 2e9),
    evaluated_at=st.floats(900, 1100),
    slot=st.integers(0, 110).map(lambda number: number * 10),
    settled=st.integers(0, 110).map(lambda number: number * 10),
    true_slots=st.integers(0, 50),
    missed_slots=st.integers(0, 5),
    clear_slots=st.integers(0, 50),
    unknown_slots=st.integers(0, 50),
    value=st.none() | st.floats(0, 1),
)
WINDOWS = st.dictionaries(
    st.integers(90, 101).map(lambda number: number * 10),
    st.integers(0, 50).flatmap(
        lambda bad: st.builds(
            Tally, bad=st.just(float(bad)), total=st.integers(bad, 200).map(float)
        )
    ),
).map(lambda tallies: Window(tallies=tallies, written=frozenset(tallies)))


@given(INSTANCES)
def test_a_stored_instance_reads_back_the_same(before: Instance) -> None:
    """Nothing is forgotten in the database."""
    assert before == Instance.from_data(json.loads(json.dumps(before.to_data())))


def test_a_stored_instance_may_be_older_or_newer_than_this_version() -> None:
    """Missing fields have their defaults, unknown ones are left out."""
    assert Instance() == Instance.from_data({})
    assert Instance(state=FIRING) == Instance.from_data({"state": "firing", "moods": 3})


@given(INSTANCES, WINDOWS, st.sampled_from(["0s", "1m"]), st.sampled_from(["keep", "ok", "alert"]))
def test_an_evaluation_is_decided_by_its_arguments(
    before: Instance, window: Window, hold: str, no_data: str
) -> None:
    """The same arguments give the same transition; people are told exactly of the two edges."""
    judged = rule(hold=hold, no_data=no_data)

    one = evaluate(judged, window, before, now=1005.0, slot_s=10, settled_until=1000.0)
    two = evaluate(judged, window, before, now=1005.0, slot_s=10, settled_until=1000.0)

    assert one == two
    begins = not before.is_firing and one.after.is_firing
    ends = before.is_firing and not one.after.is_firing
    assert begins is (one.notice is Notice.FIRING)
    assert ends is (one.notice is Notice.RESOLVED)


@pytest.mark.parametrize(("slots", "per_slot"), [(3, 50), (6, 5)])
def test_a_real_fault_is_found_soon(slots: int, per_slot: int) -> None:
    """20 % of errors fire within 30 s at 300 requests a minute, within a minute at 30."""
    tallies = {start: Tally(total=per_slot, bad=0) for start in range(0, 600, 10)}
    before = Instance()

    for number in range(slots):
        start = 600 + number * 10
        tallies[start] = Tally(total=per_slot, bad=per_slot / 5)
        window = Window(tallies=tallies, written=tallies.keys())
        before = evaluate(
            PACK[0], window, before, now=start + 9.5, slot_s=10, settled_until=start
        ).after

    assert FIRING == before.state
