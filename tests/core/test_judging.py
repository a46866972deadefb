"""Rules are judged by windows that end now, and cleared by slots that everybody has written."""

from dataclasses import replace
from typing import Any

import pytest

from watchkeeper.core.baselines import Baseline, Week
from watchkeeper.core.conditions import And, CheckFailing, Comparison
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.judging import judge as judge_evidence
from watchkeeper.core.judging import shown_value
from watchkeeper.core.metrics import Across, Kind, Series
from watchkeeper.core.missing import Missing, Reason
from watchkeeper.core.moment import Moment
from watchkeeper.core.rules import Alert, Origin, Rule, compile_alert
from watchkeeper.core.slot import Gauge
from watchkeeper.core.tallies import Past, Tally, Window, comparisons_of
from watchkeeper.core.verdicts import (
    Basis,
    CheckState,
    Evidence,
    Verdict,
    evidence_of,
)

NOW = 1005.0  # five seconds into the slot that starts at 1000
MOMENT = Moment(now=NOW, slot_s=10, settled_until=1000.0)
QUEUE = Series("queue_depth", Kind.GAUGE, (), Across.SUM)


def rule(when: str, **options: object) -> Rule:
    alert = Alert("A", when=when, **options)  # type: ignore[arg-type]
    return compile_alert(alert, where="a", origin=Origin.CODE, slot_s=10.0)


def judge(judged: Rule, seen: Evidence | Window | CheckState | None, moment: Moment) -> Verdict:
    """Judge a rule by one window for all that it measures, or by one check."""
    return judge_evidence(judged, evidence_of(seen), moment)


def window(*slots: tuple[int, float, float], written: range | None = None) -> Window:
    """Return a window of (slot, bad, total)."""
    tallies = {start: Tally(bad=bad, total=total) for start, bad, total in slots}
    return Window(tallies=tallies, written=frozenset(written if written is not None else tallies))


def observed(seconds: list[float], *, start: int = 990) -> Window:
    """Return a window with these durations in one slot."""
    tally = Tally(total=len(seconds), histogram=Histogram(seconds))
    return Window(tallies={start: tally}, written={start})


def gauges(**slots: float) -> Window:
    """Return a window of gauges: s990=5 is the value 5 in the slot that starts at 990."""
    tallies = {
        int(name[1:]): Tally(gauges={(1, QUEUE): (0, Gauge(value, value, value))})
        for name, value in slots.items()
    }
    return Window(tallies=tallies, written=frozenset(tallies))


@pytest.mark.parametrize(
    ("breach", "basis", "bad", "total"),
    [
        (None, Basis.NO_DATA, 0, 0),
        (False, Basis.MEASURED, 0, 3),
        (None, Basis.TOO_FEW, 1, 3),  # 33 %, but one error wakes nobody
        (None, Basis.TOO_FEW, 2, 2),
        (True, Basis.MEASURED, 3, 3),
        (True, Basis.MEASURED, 3, 9),
        (None, Basis.TOO_FEW, 3, 10),  # once in 87 minutes at 5 %: no certainty
        (None, Basis.TOO_FEW, 4, 40),  # 10 %, yet 5 % is still possible
        (True, Basis.MEASURED, 10, 50),
        (False, Basis.MEASURED, 50, 1000),  # exactly 5 %
        (None, Basis.TOO_FEW, 55, 1000),
        (True, Basis.MEASURED, 75, 1000),
    ],
)
def test_an_error_rate_is_believed_once_it_is_sure(
    breach: bool | None, basis: Basis, bad: float, total: float
) -> None:
    """A share on a few requests is unknown, neither true nor false."""
    verdict = judge(rule("error_rate > 5%"), window((990, bad, total)), MOMENT)

    assert (breach, basis) == (verdict.breach, verdict.basis)


@pytest.mark.parametrize(("breach", "bad", "total"), [(True, 1, 3), (False, 1, 20), (None, 0, 0)])
def test_without_the_guard_the_share_is_compared_plainly(
    breach: bool | None, bad: float, total: float
) -> None:
    """`sure = false` fires on the first error of three."""
    verdict = judge(rule("error_rate > 5%", sure=False), window((990, bad, total)), MOMENT)

    assert breach is verdict.breach


def test_at_least_sets_a_floor() -> None:
    """A rule may ask for more bad ones than the guard does."""
    floored = rule("error_rate > 30%", at_least=5)

    assert judge(floored, window((990, 4, 4)), MOMENT).breach is None
    assert judge(floored, window((990, 5, 5)), MOMENT).breach is True


def test_either_window_may_fire() -> None:
    """The short window sees a fast fault, the long one a slow one."""
    over = rule("error_rate > 5%", over=("1m", "5m"))
    slow_fault = window((710, 2, 10), (990, 3, 10))

    verdict = judge(over, slow_fault, MOMENT)

    assert verdict.breach is True
    assert (300.0, 5.0, 20.0, 0.25) == (
        verdict.window_s,
        verdict.bad,
        verdict.total,
        verdict.value,
    )


def test_a_window_is_full_slots_and_the_open_one() -> None:
    """One minute at slots of 10 s is five full slots and the one that still fills."""
    over = rule("error_rate > 5%", over="1m")

    assert judge(over, window((1000, 9, 9)), MOMENT).breach is True
    assert judge(over, window((950, 9, 9)), MOMENT).breach is True
    assert judge(over, window((940, 9, 9)), MOMENT).breach is None


@pytest.mark.parametrize(
    ("calm", "settled_until"),
    [(True, 1000.0), (False, 995.0), (False, 985.0), (False, 0.0), (True, 5000.0)],
)
def test_clearing_looks_at_slots_that_everybody_has_written(
    calm: bool, settled_until: float
) -> None:
    """It waits for slow workers, but at most two slots, and never for the future."""
    moment = Moment(now=NOW, slot_s=10, settled_until=settled_until)
    over = rule("error_rate > 5%", clear="error_rate < 3%", over="1m")

    # 4 of 100 until 990 is not clear; 4 of 200 with the slot at 990 is.
    verdict = judge(over, window((970, 4, 100), (990, 0, 100)), moment)

    assert (False, calm) == (verdict.breach, verdict.calm)


def test_between_the_thresholds_it_is_neither_true_nor_clear() -> None:
    """4.5 % is below "fires at 5 %" and above "clears at 3 %"."""
    both = rule("error_rate > 5%", clear="error_rate < 3%")

    verdict = judge(both, window((980, 45, 1000)), MOMENT)

    assert (False, False) == (verdict.breach, verdict.calm)


def test_every_window_with_data_must_be_clear() -> None:
    """A good minute does not end an alert whose five minutes are still bad."""
    both = rule("error_rate > 5%", over=("1m", "5m"))

    assert judge(both, window((800, 9, 60), (990, 0, 100)), MOMENT).calm is False
    assert judge(both, window((800, 0, 60), (990, 0, 100)), MOMENT).calm is True
    assert judge(both, window((800, 0, 60)), MOMENT).calm is True
    assert judge(both, window(), MOMENT).calm is None


def test_a_percentile_is_a_share_of_slow_ones() -> None:
    """p95 > 1s fires when surely more than 5 % took longer, and shows the real percentile."""
    slow = rule("p95 > 1s", over="1m")
    seen = observed([0.1] * 90 + [2.0] * 30)

    verdict = judge(slow, seen, MOMENT)

    assert verdict.breach is True
    assert (None, 30, 120) == (verdict.value, verdict.bad, verdict.total)
    assert 2.0 == pytest.approx(shown_value(verdict, evidence_of(seen), MOMENT), rel=0.011)
    assert shown_value(verdict, Evidence(), MOMENT) is None


def test_what_is_no_percentile_shows_what_it_was_judged_by() -> None:
    """The value of a count is the count."""
    seen = window((990, 1, 9))

    verdict = judge(rule("requests > 5"), seen, MOMENT)

    assert 9 == shown_value(verdict, evidence_of(seen), MOMENT)


def test_a_slot_without_a_histogram_is_passed_over() -> None:
    """The percentile that is shown is that of the slots which have one."""
    slow = rule("p95 > 1s", over="1m")
    seen = Window(
        tallies={980: Tally(total=1), 990: Tally(histogram=Histogram([2.0]), total=1)},
        written={980, 990},
    )

    verdict = judge(slow, seen, MOMENT)

    assert 2.0 == pytest.approx(shown_value(verdict, evidence_of(seen), MOMENT), rel=0.011)


@pytest.mark.parametrize(
    ("breach", "slow", "quick"),
    [
        (None, 2, 0),  # two slow ones are an accident
        (None, 3, 57),  # of sixty requests none need be beyond the 99th percentile
        (None, 3, 296),
        (False, 3, 297),  # 1 % of 300 are slow, which is what p99 says
        (True, 12, 288),
    ],
)
def test_a_rare_percentile_needs_so_many_that_some_are_expected_beyond_it(
    breach: bool | None, slow: int, quick: int
) -> None:
    """p99 takes three slow ones of at least 300."""
    seen = observed([0.1] * quick + [2.0] * slow)

    assert breach is judge(rule("p99 > 1s", over="1m"), seen, MOMENT).breach


def test_without_a_clear_condition_it_is_over_with_a_fifth_to_spare() -> None:
    """A rule that does not say when it is over is so below 80 % of its threshold."""
    bare = replace(rule("error_rate > 5%"), clear=None)

    assert judge(bare, window((980, 45, 1000)), MOMENT).calm is False
    assert judge(bare, window((980, 39, 1000)), MOMENT).calm is True
    assert judge(bare, window(), MOMENT).calm is None


def test_a_percentile_clears_by_its_own_threshold() -> None:
    """Nothing above 1 s but much above 0.8 s is not clear yet."""
    slow = rule("p95 > 1s", clear="p95 < 800ms", over="1m")

    verdict = judge(slow, observed([0.1] * 70 + [0.9] * 30, start=980), MOMENT)

    assert (False, False) == (verdict.breach, verdict.calm)


def test_a_missing_thing_needs_written_slots() -> None:
    """No request in a window that nobody wrote means nothing; in a written one it is an alarm."""
    none = rule("requests == 0", over="1m")

    assert judge(none, window(), MOMENT).breach is None
    assert judge(none, window(written=range(940, 1000, 10)), MOMENT).breach is True
    assert judge(none, window(written=range(960, 1000, 10)), MOMENT).breach is None
    assert judge(none, window((990, 0, 3), written=range(940, 1000, 10)), MOMENT).breach is False


def test_the_open_slot_does_not_make_a_rate_look_low() -> None:
    """A rate below a threshold is judged by full slots only."""
    low = rule("rate(orders_total) < 1/s", over="1m")
    written = range(940, 1010, 10)
    full = [(start, 0.0, 10.0) for start in range(940, 1000, 10)]

    verdict = judge(low, window(*full, written=written), MOMENT)

    assert (False, 1.0) == (verdict.breach, verdict.value)


def test_a_high_rate_counts_up_to_now() -> None:
    """A rate above a threshold is the increase over the time that has really passed."""
    high = rule("rate(orders_total) > 1/s", over="1m")

    verdict = judge(high, window((990, 0, 110)), MOMENT)

    assert verdict.value == pytest.approx(110 / 55)
    assert verdict.breach is True


def test_errors_and_requests_are_counts() -> None:
    """`errors > 20` counts failed requests, `requests > 20` all."""
    seen = window((990, 21, 40))

    assert judge(rule("errors > 20"), seen, MOMENT).value == 21
    assert judge(rule("errors > 20"), seen, MOMENT).breach is True
    assert judge(rule("requests > 50"), seen, MOMENT).breach is False
    assert judge(rule("requests > 30"), seen, MOMENT).value == 40


@pytest.mark.parametrize(
    ("breach", "when", "slots"),
    [
        (True, "last(queue_depth) > 4", {"s980": 1.0, "s990": 5.0}),
        (False, "last(queue_depth) > 4", {"s980": 5.0, "s990": 1.0}),
        (True, "max(queue_depth) > 4", {"s980": 5.0, "s990": 1.0}),
        (True, "min(queue_depth) < 2", {"s980": 5.0, "s990": 1.0}),
        (None, "min(queue_depth) > 0", {"s980": 5.0, "s990": 1.0}),  # too few slots to be sure
        (True, "min(queue_depth) > 0", {f"s{start}": 1.0 for start in range(950, 1010, 10)}),
        (None, "last(queue_depth) > 4", {}),
    ],
)
def test_gauges_are_judged_by_their_last_least_or_greatest(
    breach: bool | None, when: str, slots: dict[str, float]
) -> None:
    """A claim about the whole window needs most of its slots."""
    assert breach is judge(rule(when, over="1m"), gauges(**slots), MOMENT).breach


@pytest.mark.parametrize(
    ("breach", "calm", "check"),
    [
        (None, None, None),
        (None, None, CheckState(name="db", state="unknown", failures=9)),
        (False, False, CheckState(name="db", state="pass", failures=2)),
        (True, False, CheckState(name="db", state="fail", failures=3)),
        (False, False, CheckState(name="db", state="fail", successes=1)),
        (False, True, CheckState(name="db", state="pass", successes=2)),
    ],
)
def test_a_check_fails_after_three_and_clears_after_two(
    breach: bool | None, calm: bool | None, check: CheckState | None
) -> None:
    """One failed run is noise, and so is one good run."""
    verdict = judge(rule("check failing"), check, MOMENT)

    assert (breach, calm) == (verdict.breach, verdict.calm)


# ── trees ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("breach", "basis", "bad", "total"),
    [
        (True, Basis.MEASURED, 3, 20),
        (False, Basis.MEASURED, 2, 20),
        (False, Basis.MEASURED, 3, 40),
    ],
)
def test_what_and_joins_must_hold_together(
    breach: bool | None, basis: Basis, bad: float, total: float
) -> None:
    """Three errors of few requests, each counted over the same window."""
    both = rule("errors >= 3 and requests < 30", over="1m")
    seen = window((980, bad, total), written=range(900, 1010, 10))

    verdict = judge(both, seen, MOMENT)

    assert (breach, basis) == (verdict.breach, verdict.basis)


def test_one_of_what_or_joins_is_enough() -> None:
    """The term that is true is the one that is told."""
    either = rule("error_rate > 50% or requests > 100", over="1m", sure=False)

    verdict = judge(either, window((990, 3, 200)), MOMENT)

    assert (True, "requests", 200.0) == (
        verdict.breach,
        verdict.term.selector.measure,  # type: ignore[union-attr]
        verdict.value,
    )


@pytest.mark.parametrize(
    ("breach", "when", "depth"),
    [
        (None, "requests > 5 and last(queue_depth) > 4", None),  # true and unknown
        (False, "requests > 50 and last(queue_depth) > 4", None),  # false and unknown
        (True, "requests > 5 or last(queue_depth) > 4", None),  # true or unknown
        (None, "requests > 50 or last(queue_depth) > 4", None),  # false or unknown
        (True, "requests > 5 and last(queue_depth) > 4", 5.0),
        (True, "requests > 50 and requests > 90 or last(queue_depth) > 4", 5.0),
    ],
)
def test_unknown_is_a_third_value(breach: bool | None, when: str, depth: float | None) -> None:
    """What is not known decides only where it could make a difference."""
    made = rule(when, over="1m")
    depths = gauges() if depth is None else gauges(s990=depth)
    windows = {
        one.selector: depths if one.selector.metric == "queue_depth" else window((990, 0, 9))
        for one in comparisons_of(made)
    }

    assert breach is judge(made, Evidence(windows=windows), MOMENT).breach


def test_what_or_joins_is_over_when_all_of_it_is() -> None:
    """What and joins is over as soon as one part is."""
    either = replace(rule("errors > 5 or requests > 100", over="1m"), clear=None)
    both = replace(rule("errors > 5 and requests > 100", over="1m"), clear=None)
    written = range(900, 1000, 10)

    assert judge(either, window((980, 0, 90), written=written), MOMENT).calm is False
    assert judge(either, window((980, 0, 70), written=written), MOMENT).calm is True
    assert judge(both, window((980, 0, 150), written=written), MOMENT).calm is True
    assert judge(both, window((980, 5, 90), written=written), MOMENT).calm is False


def test_every_window_must_hold_where_that_is_asked() -> None:
    """A burn rate needs both windows to fire, and is over when one of them is good."""
    burn = rule("error_rate > 5%", over=("1m", "5m"), every_window=True, sure=False, at_least=1)

    assert judge(burn, window((990, 10, 100)), MOMENT).breach is True
    assert judge(burn, window((720, 0, 900), (990, 10, 100)), MOMENT).breach is False
    assert judge(burn, window((800, 90, 100)), MOMENT).breach is None
    assert judge(burn, window((800, 90, 100), (980, 0, 100)), MOMENT).calm is True


def test_the_second_level_has_a_guard_of_its_own() -> None:
    """More than 50 % on three requests is sure enough for 5 % only."""
    levels = rule(
        "error_rate > 5%", over="1m", worse={"when": "error_rate > 50%", "severity": "critical"}
    )

    assert (True, None) == breach_and_worse(judge(levels, window((990, 3, 4)), MOMENT))
    assert (True, False) == breach_and_worse(judge(levels, window((990, 9, 40)), MOMENT))
    assert (True, True) == breach_and_worse(judge(levels, window((990, 90, 100)), MOMENT))
    assert (False, None) == breach_and_worse(judge(levels, window((990, 0, 100)), MOMENT))


def test_a_share_of_enough_is_not_over_when_nobody_comes() -> None:
    """The recipe "Errors of a route": all of them failed, then nobody comes."""
    failing = rule("error_rate > 10% and requests >= 20", over="1m")

    verdict = judge(failing, window((960, 0, 0), (970, 0, 0), (980, 0, 0), (990, 0, 0)), MOMENT)

    assert verdict.calm is None


def breach_and_worse(verdict: Verdict) -> tuple[bool | None, bool | None]:
    return verdict.breach, verdict.worse


# ── the past ───────────────────────────────────────────────────────────────────────────────────


def usual(made: Rule, *requests: float, is_new: bool = False) -> dict[Any, Baseline]:
    """Return the baselines of a rule: so many requests, all failed, usual in each week."""
    weeks = tuple(Week(bad=4 * one, total=4 * one, share=0.25) for one in requests)
    return {
        (one.selector, window_s): Baseline(weeks=weeks, is_new=is_new)
        for one in comparisons_of(made)
        for window_s in made.over_s
    }


@pytest.mark.parametrize(
    ("breach", "basis", "requests"),
    [(True, Basis.MEASURED, (60.0,)), (None, Basis.NOT_ASKED, (40.0,)), (None, "no_history", ())],
)
def test_only_if_decides_whether_anything_is_known(
    breach: bool | None, basis: str, requests: tuple[float, ...]
) -> None:
    """No traffic at night is no news, nor is it in the first week."""
    quiet = rule("requests == 0", over="1m", only_if="requests{same_time_last_week} > 50")
    seen = window(written=range(900, 1010, 10))

    verdict = judge(quiet, Evidence(window=seen, baselines=usual(quiet, *requests)), MOMENT)

    assert (breach, basis) == (verdict.breach, verdict.basis)


def test_what_is_over_is_so_without_only_if() -> None:
    """An incident of the day may end at night."""
    quiet = rule("requests == 0", over="1m", only_if="requests{same_time_last_week} > 50")
    seen = window((980, 0, 5), written=range(900, 1010, 10))

    assert judge(quiet, Evidence(window=seen, baselines=usual(quiet, 1.0)), MOMENT).calm is True


@pytest.mark.parametrize(
    ("breach", "errors", "weeks"),
    [
        (False, 19, (0.0,)),  # below the floor, whatever was usual
        (True, 20, (0.0,)),
        (False, 60, (20.0,)),
        (True, 150, (20.0,)),
        (None, 150, ()),
    ],
)
def test_a_spike_is_surely_more_than_usual_and_enough(
    breach: bool | None, errors: float, weeks: tuple[float, ...]
) -> None:
    """With nothing usual and a floor of 20, nothing fires below 20."""
    spike = rule("errors > 3x same_time_last_week", over="1m", at_least=20)
    evidence = Evidence(window=window((990, errors, 900)), baselines=usual(spike, *weeks))

    verdict = judge(spike, evidence, MOMENT)

    assert breach is verdict.breach
    assert errors == verdict.value


@pytest.mark.parametrize(
    ("calm", "errors", "weeks"),
    [
        (True, 19, (0.0,)),  # below the floor
        (True, 40, (20.0,)),
        (False, 55, (20.0,)),
        (None, 55, ()),
    ],
)
def test_a_spike_is_over_below_its_factor_or_its_floor(
    calm: bool | None, errors: float, weeks: tuple[float, ...]
) -> None:
    """What was never usual is over when it is too little to have fired."""
    spike = rule("errors > 3x same_time_last_week", over="1m", at_least=20)
    seen = window((980, errors, 900), written=range(900, 1010, 10))

    evidence = Evidence(window=seen, baselines=usual(spike, *weeks))

    assert calm is judge(spike, evidence, MOMENT).calm


def test_without_a_baseline_at_hand_nothing_is_compared() -> None:
    """What cannot be looked up is unknown, not zero."""
    spike = rule("errors > 3x same_time_last_week", over="1m")
    seen = window((990, 90, 900), written=range(900, 1010, 10))

    verdict = judge(spike, seen, MOMENT)

    assert (None, Basis.NO_HISTORY) == (verdict.breach, verdict.basis)


def long_rule(**options: Any) -> Rule:
    made = rule("error_rate > 5%", over="1m", sure=False, at_least=1)
    return replace(made, over_s=(21_600.0,), **options)


def test_a_long_window_adds_hours_minutes_and_slots() -> None:
    """Each moment is counted once, from the tier that holds it."""
    past = Past(
        since=0.0,
        slots_from=79_980,
        minutes={79_200: Tally(bad=10, total=100), 40_000: Tally(bad=900, total=900)},
        hours={75_600: Tally(bad=20, total=200), 36_000: Tally(bad=900, total=900)},
    )
    slots = {79_970: Tally(bad=900, total=900), 79_990: Tally(bad=30, total=300)}
    moment = Moment(now=80_000.0, slot_s=10, settled_until=80_000.0)

    verdict = judge(long_rule(), Window(tallies=slots, written=slots, past=past), moment)

    assert (60.0, 600.0, True) == (verdict.bad, verdict.total, verdict.breach)


def test_a_long_window_is_unknown_until_it_was_read() -> None:
    """The first minutes after a start do not stand for days."""
    past = Past(since=70_000.0, slots_from=79_980)
    seen = Window(tallies={79_990: Tally(bad=9, total=9)}, written={79_990}, past=past)
    moment = Moment(now=80_000.0, slot_s=10, settled_until=80_000.0)

    verdict = judge(long_rule(), seen, moment)

    assert (None, None, Basis.NO_DATA) == (verdict.breach, verdict.calm, verdict.basis)
    assert judge(long_rule(), replace(seen, past=None), moment).breach is None


def test_a_count_over_a_long_window_needs_the_slots_that_are_held() -> None:
    """Of six hours only the last minutes are held as slots: these must have been written."""
    quiet = replace(rule("requests < 50", over="1m"), over_s=(21_600.0,))
    past = Past(since=0.0, slots_from=79_940, hours={75_600: Tally(total=20)})
    moment = Moment(now=80_000.0, slot_s=10, settled_until=80_000.0)
    written = frozenset(range(79_940, 80_000, 10))

    assert judge(quiet, Window(written=written, past=past), moment).breach is True
    assert judge(quiet, Window(past=past), moment).breach is None


# ── workers, apdex ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("breach", "calm", "hosts"), [(True, False, ("a",)), (False, True, ()), (False, True, ("b",))]
)
def test_a_worker_is_missing_or_not(breach: bool, calm: bool, hosts: tuple[str, ...]) -> None:
    """A rule may be about the workers of some hosts only; the value is for how long."""
    gone = tuple(
        Missing(host=host, worker="1", reason=Reason.WORKER_SILENT, seen_at=965.0)
        for host in hosts
    )

    verdict = judge(rule('worker{host="a"} missing'), Evidence(missing=gone), MOMENT)

    assert (breach, calm, 40.0 if breach else 0.0) == (verdict.breach, verdict.calm, verdict.value)


def test_a_rule_may_be_about_some_checks_only() -> None:
    """The worst of the checks that are meant decides; those of others do not count."""
    made = rule('check{check="db"} failing')
    states = (
        CheckState(name="db", state="pass", successes=2),
        CheckState(name="cache", state="fail", failures=9),
    )

    verdict = judge(made, Evidence(checks=states), MOMENT)

    assert (False, True, 0.0) == (verdict.breach, verdict.calm, verdict.value)


def test_checks_joined_by_hand_are_never_found_over() -> None:
    """The language keeps them apart: nothing says when the whole would be good again."""
    check, errors = CheckFailing(), rule("errors > 5").when
    assert isinstance(errors, Comparison)
    made = replace(rule("errors > 5", over="1m"), when=And((check, errors)), clear=None)

    assert judge(made, window((980, 0, 9)), MOMENT).calm is None


def test_workers_that_were_not_looked_at_are_unknown() -> None:
    """Nobody is missing only if somebody has looked."""
    verdict = judge(rule("worker missing"), Evidence(), MOMENT)

    assert (None, None) == (verdict.breach, verdict.calm)


def test_apdex_is_judged_by_how_long_requests_took() -> None:
    """Half of the requests are frustrating: the users are not content."""
    content = rule("apdex < 0.7", over="1m")
    tallies = {
        start: Tally(total=10, histogram=Histogram([0.1] * 5 + [9.0] * 5))
        for start in range(930, 1000, 10)
    }

    verdict = judge(content, Window(tallies=tallies, written=tallies), MOMENT)

    assert (True, 0.5) == (verdict.breach, verdict.value)


def test_an_event_rule_has_nothing_to_judge() -> None:
    """What tells of single events watches no condition."""
    events = compile_alert(Alert("E", on="issue.new"), where="e", origin=Origin.CODE)

    with pytest.raises(TypeError, match="measures nothing"):
        judge(events, window(), MOMENT)
