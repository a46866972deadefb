"""Running sums choose the groups to look at: never one too few."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.judging import judge
from watchkeeper.core.moment import Moment
from watchkeeper.core.rules import Alert, Origin, Rule, compile_alert
from watchkeeper.core.running import Running, needs, size, suspects
from watchkeeper.core.tallies import Tally, Window, comparisons_of
from watchkeeper.core.verdicts import Evidence

SLOT_S = 10


def rule(when: str, **options: object) -> Rule:
    alert = Alert("A", when=when, **{"by": "route", "over": ("1m", "5m"), **options})  # type: ignore[arg-type]
    return compile_alert(alert, where="a", origin=Origin.CODE, slot_s=SLOT_S)


def tally(bad: int, total: int, seconds: float = 0.1) -> Tally:
    durations = [seconds] * bad + [0.1] * (total - bad)
    return Tally(bad=bad, total=total, histogram=Histogram(durations))


def sums(made: Rule, slots: dict[int, dict[str, Tally]], *, end: int) -> dict[object, Running]:
    found = {}
    for need in needs(made):
        _, window_s, limit = need
        found[need] = Running(window_s, SLOT_S, limit)
        found[need].move(end, slots)
    return found  # type: ignore[return-value]


RULES = [
    rule("error_rate > 5%"),
    rule("error_rate > 20%", sure=False, at_least=0),
    rule("p95 > 1s"),
    rule("errors >= 3"),
    rule("requests > 20"),
    rule("rate(http_server_request_duration_seconds) > 1/s"),
    rule("errors > 3 and requests < 30"),
    rule("errors > 30 or requests > 50"),
    rule("error_rate > 5%", every_window=True),
]
SLOTS = st.dictionaries(
    st.integers(60, 101).map(lambda number: number * SLOT_S),
    st.dictionaries(
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 20).flatmap(
            lambda bad: st.builds(
                tally, st.just(bad), st.integers(bad, 60), st.sampled_from([0.1, 2.0])
            )
        ),
    ),
)


@given(SLOTS, st.sampled_from(RULES))
def test_no_group_that_is_true_is_passed_over(
    slots: dict[int, dict[str, Tally]], made: Rule
) -> None:
    """Whatever a rule is true of is among those that are looked at."""
    chosen = suspects(made, sums(made, slots, end=1_010), slot_s=SLOT_S)  # type: ignore[arg-type]
    moment = Moment(now=1_005.0, slot_s=SLOT_S, settled_until=1_000.0)

    for group in ("a", "b", "c"):
        tallies = {start: found[group] for start, found in slots.items() if group in found}
        window = Window(tallies=tallies, written=slots.keys())
        windows = {one.selector: window for one in comparisons_of(made)}
        if judge(made, Evidence(windows=windows), moment).breach:
            assert chosen is None or group in chosen


@given(SLOTS, st.lists(st.integers(1, 15), max_size=8))
def test_sums_that_moved_on_are_those_of_the_slots(
    slots: dict[int, dict[str, Tally]], steps: list[int]
) -> None:
    """However a window came to where it is, it holds its slots and no others."""
    moved, end = Running(60.0, SLOT_S, 1.0), 700
    for number in steps:
        end += number * SLOT_S
        moved.move(end, slots)

    fresh = Running(60.0, SLOT_S, 1.0)
    fresh.move(end, slots)
    moved.move(end, slots)

    assert fresh.bad == moved.bad
    assert fresh.total == moved.total


def test_what_is_counted_later_is_added_if_the_window_holds_it() -> None:
    """A late frame counts in the windows that it belongs to."""
    running = Running(60.0, SLOT_S, None)
    running.move(1_010, {})

    running.put(990, {"a": tally(2, 9)})
    running.put(900, {"a": tally(5, 9)})

    assert ({"a": 2}, {"a": 9}) == (running.bad, running.total)


def test_what_grows_is_taken_away_and_put_back() -> None:
    """A slot adds what it holds altogether, whatever it added before."""
    running, before, after = Running(60.0, SLOT_S, None), {"a": tally(2, 9)}, {"a": tally(5, 20)}
    running.move(1_010, {})

    running.put(990, before)
    running.take(990, before)
    running.put(990, after)
    running.take(900, before)

    assert ({"a": 5}, {"a": 20}) == (running.bad, running.total)


@pytest.mark.parametrize(
    "when",
    [
        "requests == 0",
        "error_rate > 0%",
        "last(queue_depth) > 4",
        "requests < 5 and last(queue_depth) > 4",
        "requests > 5 or last(queue_depth) > 4",
    ],
)
def test_where_sums_say_nothing_every_group_is_looked_at(when: str) -> None:
    """Nothing is known of what is missing, nor of gauges."""
    made = rule(when)

    assert suspects(made, sums(made, {}, end=1_010), slot_s=SLOT_S) is None  # type: ignore[arg-type]


def test_sums_that_are_not_there_yet_hide_nothing() -> None:
    """Without its sums a rule looks at every group; an event rule has none."""
    events = compile_alert(Alert("E", on="issue.new"), where="e", origin=Origin.CODE)

    assert suspects(rule("requests > 5"), {}, slot_s=SLOT_S) is None
    assert suspects(events, {}, slot_s=SLOT_S) is None
    assert {} == needs(events)


def test_of_long_windows_every_group_is_looked_at() -> None:
    """Sums are kept of slots only."""
    from dataclasses import replace

    long = replace(rule("requests > 5"), over_s=(300.0, 21_600.0))

    assert suspects(long, sums(long, {}, end=1_010), slot_s=SLOT_S) is None  # type: ignore[arg-type]


def test_a_spike_is_looked_for_from_its_floor_on() -> None:
    """What was usual is looked up for those only that could fire."""
    spike = rule("errors > 3x same_time_last_week", at_least=20)
    slots = {1_000: {"a": tally(19, 30), "b": tally(20, 30)}}

    assert ["b"] == sorted(suspects(spike, sums(spike, slots, end=1_010), slot_s=SLOT_S) or ())  # type: ignore[arg-type]


def test_the_largest_is_the_one_with_most_that_is_bad() -> None:
    """Of many groups those are told of that trouble most."""
    made = rule("error_rate > 5%")
    slots = {1_000: {"a": tally(9, 10), "b": tally(30, 100), "c": tally(0, 500)}}
    found = sums(made, slots, end=1_010)

    assert [9, 30] == [size(made, group, found) for group in ("a", "b")]  # type: ignore[arg-type]
    assert 0.0 == size(made, "a", {})
