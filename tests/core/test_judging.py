"""Rules are judged by windows that end now, and cleared by slots that everybody has written."""

from dataclasses import replace

import pytest

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.judging import judge as judge_evidence
from watchkeeper.core.judging import shown_value
from watchkeeper.core.metrics import Across, Kind, Series
from watchkeeper.core.moment import Moment
from watchkeeper.core.rules import Alert, Origin, Rule, compile_alert
from watchkeeper.core.slot import Gauge
from watchkeeper.core.tallies import Tally, Window
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
    floored = rule("error_rate > 40%", at_least=5)

    assert judge(floored, window((990, 4, 4)), MOMENT).breach is None
    assert judge(floored, window((990, 5, 5)), MOMENT).breach is True


def test_either_window_may_fire() -> None:
    """The short window sees a fast fault, the long one a slow one."""
    over = rule("error_rate > 5%", over=("1m", "5m"))
    slow_fault = window((710, 2, 10), (990, 2, 10))

    verdict = judge(over, slow_fault, MOMENT)

    assert verdict.breach is True
    assert (300.0, 4.0, 20.0, 0.2) == (verdict.window_s, verdict.bad, verdict.total, verdict.value)


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


def test_an_event_rule_has_nothing_to_judge() -> None:
    """What tells of single events watches no condition."""
    events = compile_alert(Alert("E", on="issue.new"), where="e", origin=Origin.CODE)

    with pytest.raises(TypeError, match="measures nothing"):
        judge(events, window(), MOMENT)
