"""Conditions are read from one line, written back the same, and refused with the cure."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.catalogue import HOST_MEMORY, HTTP_DURATION
from watchkeeper.core.conditions import (
    WORDS,
    CheckFailing,
    Comparison,
    Condition,
    Filter,
    Measure,
    Operator,
    Selector,
    condition_from_data,
    condition_to_data,
    glob_matches,
    write_condition,
    write_labels,
)
from watchkeeper.core.grammar import parse_condition
from watchkeeper.exceptions import ConfigurationError


def quantile(q: float, metric: str = HTTP_DURATION.name, *filters: Filter) -> Selector:
    return Selector(measure=Measure.QUANTILE, metric=metric, quantile=q, filters=filters)


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
        ("write check failing", "check failing now"),
        ('a label filter is written {route="/checkout"}', "p95{route} > 1s"),
        ('a label filter is written {route="/checkout"}', "p95{route=/x} > 1s"),
        ("stands a comma", "p95{a='1' b='2'} > 1s"),
        ('a label filter is written {route="/checkout"}', "p95{"),
        ("at most 10 label filters", "p95{" + ",".join(["a='1'"] * 11) + "} > 1s"),
        ("a backslash that means nothing", r"p95{a='\q'} > 1s"),
        ("'and' is not understood by this version", "error_rate > 5% and requests > 9"),
        ("'3x' is not understood", "errors > 3x same_time_last_week"),
        ("'not' is not understood", "not error_rate > 5%"),
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


FILTERS = st.lists(
    st.builds(
        Filter,
        st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True),
        st.sampled_from(["=", "!=", "=~"]),
        st.text(max_size=12),
    ),
    max_size=3,
    unique=True,
).map(lambda parts: tuple(sorted(parts, key=lambda part: (part.label, part.operator, part.value))))
METRICS = st.from_regex(r"[a-z][a-z_]{0,10}(_seconds|_bytes|_ratio|_total)?", fullmatch=True)
SELECTORS = st.one_of(
    st.builds(
        lambda word, filters: Selector(measure=word.measure, metric=word.metric, filters=filters),
        st.sampled_from(list(WORDS.values())),
        FILTERS,
    ),
    st.builds(
        lambda measure, metric, filters: Selector(measure=measure, metric=metric, filters=filters),
        st.sampled_from([Measure.RATE, Measure.LAST, Measure.MIN, Measure.MAX]),
        METRICS,
        FILTERS,
    ),
    st.builds(
        lambda per_mille, metric, filters: quantile(float(f"{per_mille}e-3"), metric, *filters),
        st.integers(1, 999),
        st.one_of(st.just(HTTP_DURATION.name), METRICS),
        FILTERS,
    ),
)
THRESHOLDS = {
    "share": st.floats(0, 1, exclude_max=True),
    "seconds": st.floats(0, 1e6),
    "bytes": st.integers(0, 2**50).map(float),
    "rate": st.floats(0, 1e6),
    "number": st.floats(-1e12, 1e12),
}
COMPARISONS = SELECTORS.flatmap(
    lambda selector: st.builds(
        Comparison,
        st.just(selector),
        st.sampled_from(list(Operator)),
        THRESHOLDS[selector.unit],
    )
)
CONDITIONS = st.one_of(COMPARISONS, st.builds(CheckFailing, FILTERS))


@given(CONDITIONS)
def test_a_written_condition_reads_back_the_same(condition: Condition) -> None:
    """Text is a complete form of a condition."""
    assert condition == parse_condition(write_condition(condition))


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
                ]
            ),
            max_size=15,
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
    assert 'route="/a,b",host="x\\"y"' == write_labels((("route", "/a,b"), ("host", 'x"y')))


@pytest.mark.parametrize(
    ("accepted", "operator", "value"),
    [(True, "=", "/a"), (False, "=", "/b"), (True, "!=", "/b"), (False, "!=", "/a")],
)
def test_a_filter_compares_a_label(accepted: bool, operator: str, value: str) -> None:
    """A label is equal or not; one that is absent is the empty text."""
    assert accepted is Filter("route", operator, "/a").accepts(value)
    assert (operator == "!=") is Filter("route", operator, "/a").accepts("")
