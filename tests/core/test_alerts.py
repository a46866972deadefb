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


HOLD = {"hold": "1m"}
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
    (instance(RECOVERING, clear_slots=3), CLEAR, {}, RECOVERING, Reason.KEEPING, None),
    (instance(RECOVERING, clear_slots=11), CLEAR, {}, OK, Reason.RESOLVED, Notice.RESOLVED),
    (instance(RECOVERING, clear_slots=11), TRUE, {}, FIRING, Reason.RELAPSED, None),
    (instance(RECOVERING, clear_slots=11), BETWEEN, {}, RECOVERING, Reason.BETWEEN, None),
    (instance(RECOVERING, clear_slots=11), NO_DATA, {}, RECOVERING, Reason.UNKNOWN, None),
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


def test_a_clock_set_back_changes_nothing() -> None:
    """It waits, and finds a new anchor if the clock jumped far."""
    firing = instance(FIRING, slot=1020, settled=1020)
    jumped = instance(FIRING, slot=9000, settled=9000)

    near = evaluate(rule(), Window(), firing, now=1005.0, slot_s=10, settled_until=1000.0)
    far = evaluate(rule(), Window(), jumped, now=1005.0, slot_s=10, settled_until=1000.0)

    assert (Reason.CLOCK_BACK, firing) == (near.reason, near.after)
    assert (Reason.CLOCK_BACK, FIRING, 1000) == (far.reason, far.after.state, far.after.slot)
    assert not near.is_change
    assert far.is_change


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
