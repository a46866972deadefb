"""Conditions are read from one line, written back the same, and refused with the cure."""

import re
from contextlib import suppress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.rules_made import CONDITIONS, quantile

from watchkeeper.core.catalogue import HOST_MEMORY, HTTP_DURATION
from watchkeeper.core.conditions import (
    FUNCTIONS,
    WORDS,
    And,
    CheckFailing,
    Comparison,
    Condition,
    Filter,
    Measure,
    Operator,
    Or,
    Past,
    Selector,
    WorkerMissing,
    glob_matches,
    terms,
    write_condition,
    write_labels,
)
from watchkeeper.core.grammar import EBNF, MAX_TEXT, parse_condition
from watchkeeper.core.stored_conditions import condition_from_data, condition_to_data
from watchkeeper.exceptions import ConfigurationError

LAST_WEEK = Past.SAME_TIME_LAST_WEEK
FAILING = Comparison(WORDS["error_rate"], Operator.ABOVE, 0.05)
BUSY = Comparison(WORDS["requests"], Operator.AT_LEAST, 30.0)
SLOW = Comparison(quantile(0.95), Operator.ABOVE, 1.0)


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (Comparison(WORDS["error_rate"], Operator.ABOVE, 0.05), "error_rate > 5%"),
        (Comparison(WORDS["error_rate"], Operator.BELOW, 0.03), "error_rate<0.03"),
        (Comparison(quantile(0.95), Operator.ABOVE, 1.0), "p95 > 1s"),
        (Comparison(quantile(0.999), Operator.AT_LEAST, 0.25), "p99.9 >= 250ms"),
        (Comparison(WORDS["requests"], Operator.EQUAL, 0.0), "requests == 0"),
        (Comparison(WORDS["errors"], Operator.ABOVE, 20.0), "errors > 20"),
        (
            Comparison(
                Selector(measure=Measure.LAST, metric=HOST_MEMORY.name), Operator.ABOVE, 0.9
            ),
            "memory_used > 90%",
        ),
        (
            Comparison(quantile(0.95, "pdf_render_duration_seconds"), Operator.ABOVE, 2.0),
            "p95(pdf_render_duration_seconds) > 2s",
        ),
        (
            Comparison(
                Selector(
                    measure=Measure.RATE,
                    metric="orders_total",
                    filters=(Filter("plan", "=", "pro"),),
                ),
                Operator.BELOW,
                1 / 60,
            ),
            'rate(orders_total{plan="pro"}) < 1/min',
        ),
        (
            Comparison(
                Selector(measure=Measure.LAST, metric="queue_depth"), Operator.ABOVE, 100.0
            ),
            "last(queue_depth) > 100",
        ),
        (
            Comparison(Selector(measure=Measure.MAX, metric="heap_bytes"), Operator.ABOVE, 512e6),
            "max(heap_bytes) > 512MB",
        ),
        (
            Comparison(
                quantile(
                    0.95,
                    HTTP_DURATION.name,
                    Filter("method", "!=", "GET"),
                    Filter("route", "=~", "/api/*"),
                ),
                Operator.ABOVE,
                0.8,
            ),
            "p95 { route =~ '/api/*', method != 'GET' } > 800ms",
        ),
        (And((FAILING, BUSY)), "error_rate > 5% and requests >= 30"),
        (Or((FAILING, SLOW)), "error_rate > 5%  or\tp95 > 1s"),
        (Or((And((FAILING, BUSY)), SLOW)), "error_rate > 5% and requests >= 30 or p95 > 1s"),
        (Or((SLOW, And((FAILING, BUSY)))), "p95 > 1s or error_rate > 5% and requests >= 30"),
        (
            Comparison(WORDS["error_rate"], Operator.AT_MOST, 0.05),
            "not error_rate > 5%",
        ),
        (
            And((BUSY, Comparison(quantile(0.95), Operator.AT_LEAST, 1.0))),
            "requests >= 30 and not p95 < 1s",
        ),
        (
            Comparison(WORDS["errors"], Operator.ABOVE, 3.0, LAST_WEEK),
            "errors > 3x same_time_last_week",
        ),
        (
            And((Comparison(WORDS["errors"], Operator.ABOVE, 1.5, LAST_WEEK), BUSY)),
            "errors > 1.5x   same_time_last_week and requests >= 30",
        ),
        (
            Comparison(
                Selector(
                    measure=Measure.REQUESTS,
                    metric="",
                    filters=(Filter("route", "=", "/x"),),
                    past=LAST_WEEK,
                ),
                Operator.ABOVE,
                50.0,
            ),
            'requests{same_time_last_week, route="/x"} > 50',
        ),
        (
            Comparison(
                Selector(
                    measure=Measure.SHARE,
                    metric="job_duration_seconds",
                    filters=(Filter("outcome", "=", "failed"),),
                ),
                Operator.AT_LEAST,
                0.2,
            ),
            "share(job_duration_seconds{outcome='failed'}) >= 20%",
        ),
        (
            Comparison(
                Selector(measure=Measure.INCREASE, metric="orders_total"), Operator.BELOW, 5.0
            ),
            "increase(orders_total) < 5",
        ),
        (Comparison(WORDS["apdex"], Operator.BELOW, 0.85), "apdex < 0.85"),
        (Comparison(WORDS["disk_used"], Operator.ABOVE, 0.9), "disk_used > 90%"),
        (Comparison(quantile(0.999856), Operator.ABOVE, 0.3), "p99.9856 > 300ms"),
        (WorkerMissing(), "worker missing"),
        (WorkerMissing((Filter("host", "=~", "web-*"),)), 'worker{host=~"web-*"} missing'),
        (CheckFailing(), "check failing"),
        (CheckFailing((Filter("check", "=", "db"),)), 'check{check="db"} failing'),
        (
            Comparison(
                quantile(0.5, HTTP_DURATION.name, Filter("route", "=", 'it\'s "x" {}')),
                Operator.ABOVE,
                1.0,
            ),
            r"""p50{route='it\'s "x" {}'} > 1s""",
        ),
    ],
)
def test_conditions_are_read(condition: Condition, text: str) -> None:
    """The grammar knows short words, functions, label filters and units."""
    assert condition == parse_condition(text)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("a rate is a share: write 5% or 0.05.", "error_rate > 5"),
        ("a duration needs its unit: write 1s or 250ms.", "p95 > 1"),
        ("a rate per time needs its unit: write 1/min or 5/s.", "rate(orders_total) < 1"),
        ("a size needs its unit: write 512MB.", "last(heap_bytes) > 512"),
        ("write a plain number such as 100.", "requests > 5%"),
        ("write a plain number such as 100.", "last(queue) > inf"),
        ("a number so large is never reached", "last(queue) > 1e999"),
        ("did you mean 'error_rate'?", "eror_rate > 5%"),
        ("rate(queue), last(queue) or p95(queue)", "queue > 5"),
        ("p100 is no percentile between p0 and p100; write p95", "p100 > 1s"),
        ("p0 is no percentile", "p0 > 1s"),
        ("write last(metric_name)", "last > 5"),
        ("write rate(metric_name)", "rate() > 5/s"),
        ("a closing bracket ) is missing", "rate(x > 5/s"),
        ("takes no metric in brackets", "error_rate(x) > 5%"),
        ("after p95 comes >, >=, <, <=, == or != and a value", "p95 1s"),
        ("a condition starts with what is measured", "> 5%"),
        ("a condition starts with what is measured", ""),
        ("write check failing", "check broken"),
        ("between two comparisons stands and or or", "check failing now"),
        ('a label filter is written {route="/checkout"}', "p95{route} > 1s"),
        ('a label filter is written {route="/checkout"}', "p95{route=/x} > 1s"),
        ("stands a comma", "p95{a='1' b='2'} > 1s"),
        ('a label filter is written {route="/checkout"}', "p95{"),
        ("at most 10 label filters", "p95{" + ",".join(["a='1'"] * 11) + "} > 1s"),
        ("a backslash that means nothing", r"p95{a='\q'} > 1s"),
        ("write a plain number", "requests > 9; errors > 5"),
        ("there are no brackets", "error_rate > 5% and (requests > 9)"),
        ("between two comparisons stands and or or", "check failing check failing"),
        ("a condition starts with what is measured", "error_rate > 5% and"),
        ("there are no brackets", "(error_rate > 5%)"),
        ("a rate is a share: write 5% or 0.05", "error_rate > 5% requests > 9"),
        ("at most 8 comparisons", " and ".join(["errors > 9"] * 9)),
        ("check failing cannot be turned round", "not check failing"),
        ("worker missing cannot be turned round", "not worker missing"),
        ("'not' is not known", "not not errors > 1"),
        ("write worker missing", "worker failing"),
        ("write check failing", "check{same_time_last_week} failing"),
        ("write how many times as many: errors > 3x", "errors > same_time_last_week"),
        ("write how many times as many: errors > 3x", "errors > 3 same_time_last_week"),
        ("write how many times as many: errors > 3x", "errors > 0x same_time_last_week"),
        ("write how many times as many: errors > 3x", "errors > manyx same_time_last_week"),
        ("write a plain number", "errors > 3x"),
        ("only counts have a same_time_last_week", "p95 > 3x same_time_last_week"),
        ("only counts have a same_time_last_week", "error_rate{same_time_last_week} > 5%"),
        (
            "only counts have a same_time_last_week",
            "errors{same_time_last_week} > 3x same_time_last_week",
        ),
        (
            'a label filter is written {route="/checkout"}',
            "errors{same_time_last_week, same_time_last_week} > 3",
        ),
        ("stands a comma", "errors{same_time_last_week route='/x'} > 3"),
        ("share needs a filter", "share(orders_total) > 5%"),
        ("write increase(metric_name)", "increase > 5"),
        ("a backslash that means nothing", r"p95{a='\ud800'} > 1s"),
        ("half of a character", "p95{a='\ud800'} > 1s"),
        ("a condition has at most 500 characters", "p95 > " + "1" * 500),
    ],
)
def test_a_wrong_condition_names_the_cure(message: str, text: str) -> None:
    """What is not understood is refused with a sentence that says what to write."""
    with pytest.raises(ConfigurationError) as raised:
        parse_condition(text, where="alert[0].when")

    assert str(raised.value).startswith('alert[0].when: "')
    assert message in str(raised.value)


def test_words_inside_of_a_label_value_mean_nothing() -> None:
    """A route may be called "salt and pepper"."""
    condition = parse_condition("p95{route='/salt and pepper'} > 1s")

    assert 'p95{route="/salt and pepper"} > 1s' == write_condition(condition)


def test_the_grammar_that_is_shown_names_every_word() -> None:
    """What the page shows as the grammar is what the parser knows."""
    shown = set(re.findall(r'"([a-z_]+)"', EBNF))
    known = {*WORDS, *FUNCTIONS, "and", "or", "not", "x", LAST_WEEK.value}

    assert known | {"check", "failing", "worker", "missing"} == shown
    assert {operator.value for operator in Operator} <= set(re.findall(r'"([<>=!]+)"', EBNF))


@pytest.mark.parametrize("operator", list(Operator))
@given(value=st.floats(allow_nan=False), threshold=st.floats(allow_nan=False))
def test_not_turns_a_comparison_round(operator: Operator, value: float, threshold: float) -> None:
    """Exactly one of a comparison and its opposite holds."""
    turned = operator.inverse

    assert operator.holds(value, threshold) is not turned.holds(value, threshold)


def test_a_long_condition_is_read_in_a_moment() -> None:
    """The time to read a text grows with its length and not faster."""
    text = " or ".join(["p95{a='" + "\\\\" * 10 + "'} > 1s"] * 8)

    assert 8 == len(terms(parse_condition(text)))


@given(CONDITIONS)
def test_a_written_condition_reads_back_the_same(condition: Condition) -> None:
    """Text is a complete form of a condition."""
    text = write_condition(condition)

    assume(len(text) <= MAX_TEXT)
    assert condition == parse_condition(text)


@given(CONDITIONS)
def test_a_stored_condition_reads_back_the_same(condition: Condition) -> None:
    """JSON is a complete form of a condition."""
    assert condition == condition_from_data(condition_to_data(condition))


@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(
            st.sampled_from(
                [
                    "p95",
                    "error_rate",
                    "rate",
                    "(",
                    ")",
                    "{",
                    "}",
                    "'",
                    '"',
                    "\\",
                    ">",
                    "5%",
                    " ",
                    "check",
                    "failing",
                    "=",
                    "=~",
                    "x",
                    ",",
                    "1s",
                    " and ",
                    " or ",
                    "not ",
                    "worker",
                    "missing",
                    "3x",
                    "same_time_last_week",
                    "errors",
                    "share",
                ]
            ),
            max_size=20,
        ).map("".join),
    )
)
def test_no_text_crashes_the_parser(text: str) -> None:
    """Any text is either a condition or a ConfigurationError."""
    with suppress(ConfigurationError):
        assert parse_condition(text)


@pytest.mark.parametrize(
    ("matches", "pattern", "value"),
    [
        (True, "/api/*", "/api/orders"),
        (True, "*", ""),
        (True, "/a?c", "/abc"),
        (True, "*x*", "axb"),
        (True, "a**", "a"),
        (False, "/api/*", "/apx"),
        (False, "/a?", "/a"),
        (False, "", "a"),
        (True, "/items/[id]", "/items/[id]"),
        (True, "*ab", "aab"),
    ],
)
def test_globs_know_star_and_question_mark(matches: bool, pattern: str, value: str) -> None:
    """A star stands for any text, a question mark for one character, all else for itself."""
    assert matches is glob_matches(pattern, value)


def test_a_glob_of_many_stars_ends() -> None:
    """A hostile pattern cannot hold up the evaluation."""
    assert not glob_matches("*a" * 100 + "b", "a" * 2_000)


def test_a_group_is_written_like_a_label_filter() -> None:
    """The text of a group is unambiguous whatever its values hold."""
    assert 'host="x\\"y",route="/a,b"' == write_labels((("route", "/a,b"), ("host", 'x"y')))


@pytest.mark.parametrize(
    ("accepted", "operator", "value"),
    [(True, "=", "/a"), (False, "=", "/b"), (True, "!=", "/b"), (False, "!=", "/a")],
)
def test_a_filter_compares_a_label(accepted: bool, operator: str, value: str) -> None:
    """A label is equal or not; one that is absent is the empty text."""
    assert accepted is Filter("route", operator, "/a").accepts(value)
    assert (operator == "!=") is Filter("route", operator, "/a").accepts("")
