"""Messages say in one plain sentence what is wrong, with the counts."""

from dataclasses import replace
from typing import Any

import pytest

from watchkeeper.core.conditions import Or, WorkerMissing
from watchkeeper.core.messages import (
    MAX_SUMMARY,
    digest_summary,
    firing_summary,
    removed_summary,
    resolved_summary,
    several_summary,
    without_name,
)
from watchkeeper.core.pack import PACK
from watchkeeper.core.rules import Alert, Origin, Rule, compile_alert


def rule(when: str, **options: Any) -> Rule:
    return compile_alert(Alert("A", when=when, **options), where="a", origin=Origin.CODE)


@pytest.mark.parametrize(
    ("summary", "judged", "labels", "value", "bad", "total", "window_s"),
    [
        (
            "High error rate: 12.4 % (31 of 250 in 1 min) > 5 %",
            PACK[0],
            {},
            0.124,
            31,
            250,
            60.0,
        ),
        (
            "Slow responses: p95 1.98 s (300 of 2000 slower in 5 min) > 1 s",
            PACK[1],
            {},
            1.98,
            300,
            2000,
            300.0,
        ),
        (
            "Health check failing: db has failed 3 times in a row",
            PACK[2],
            {"check": "db"},
            3.0,
            3,
            0,
            0.0,
        ),
        ("Health check failing: db is silent", PACK[2], {"check": "db"}, None, 0, 0, 0.0),
        (
            "A (route /x): 40 % (4 of 10 in 1 min) > 5 %",
            rule("error_rate > 5%", by="route"),
            {"route": "/x"},
            0.4,
            4,
            10,
            60.0,
        ),
        (
            "A: 30/h (over 5 min) < 1/min",
            rule("rate(x_total) < 1/min"),
            {},
            0.5 / 60,
            0,
            0,
            300.0,
        ),
        ("A: 612 MB (over 5 min) > 512 MB", rule("last(x_bytes) > 512MB"), {}, 612e6, 0, 0, 300.0),
        (
            "A: p95 2 MB (4 of 10 above in 1 min) > 1 MB",
            rule("p95(x_bytes) > 1MB"),
            {},
            2e6,
            4,
            10,
            60.0,
        ),
        (
            "A: no data, error_rate > 5% cannot be judged",
            rule("error_rate > 5%"),
            {},
            None,
            0,
            0,
            60.0,
        ),
        ("New issue", PACK[3], {}, None, 0, 0, 0.0),
    ],
)
def test_a_firing_message_prints_the_counts(
    summary: str,
    judged: Rule,
    labels: dict[str, str],
    value: float | None,
    bad: float,
    total: float,
    window_s: float,
) -> None:
    """Value, counts, window and threshold stand in one line."""
    assert summary == firing_summary(
        judged, labels, value=value, bad=bad, total=total, window_s=window_s
    )


def test_a_resolved_message_says_how_long_it_lasted() -> None:
    """People read how long it was and how it is now."""
    assert "High error rate: resolved after 4 min, now 0.4 %" == resolved_summary(
        PACK[0], {}, value=0.004, lasted_s=240.0
    )
    assert "Health check failing: db: resolved after 30 s" == resolved_summary(
        PACK[2], {"check": "db"}, value=0.0, lasted_s=30.0
    )
    assert "High error rate: resolved after 0 ms, because the rule was changed" == (
        resolved_summary(
            PACK[0], {}, value=None, lasted_s=-5.0, because="because the rule was changed"
        )
    )
    assert "Old: resolved after 1 h, rule removed" == removed_summary("Old", lasted_s=3600.0)


def test_a_digest_names_the_first_and_counts_the_rest() -> None:
    """One issue is told by its title, several by their number."""
    assert "New issue: KeyError: 'a'" == digest_summary(PACK[3], ["KeyError: 'a'"])
    assert "New issue: 12 of them, the first KeyError: 'a'" == digest_summary(
        PACK[3], ["KeyError: 'a'", "b"], more=10
    )


def test_a_hostile_title_stays_one_short_line() -> None:
    """What the application raised cannot break a subject line."""
    summary = digest_summary(PACK[3], ["a\r\nBcc: x\n" + "y" * 1_000])

    assert MAX_SUMMARY == len(summary)
    assert summary.startswith("New issue: a Bcc: x yyy")


def test_several_alerts_are_counted_and_the_first_one_is_said():
    """The rule's name stands once; one alone says what it says; none, the rule's name."""
    assert "Slow: 3 of them, the first (route /a): p95 2 s" == several_summary(
        "Slow", ["Slow (route /a): p95 2 s", "Slow (route /b): p95 3 s"], more=1
    )
    assert "Slow: p95 2 s" == several_summary("Slow", ["Slow: p95 2 s"])
    assert "Slow" == several_summary("Slow", [])


def test_of_several_conditions_the_one_that_decided_is_said():
    """A message names what is wrong, not what else the rule looks at."""
    slow, errors = rule("p95 > 1s").when, rule("error_rate > 5%").when
    both = replace(rule("error_rate > 5%"), when=Or((errors, slow)))
    figures = {"value": 2.0, "bad": 3, "total": 10, "window_s": 60.0}

    assert "A: p95 2 s (3 of 10 slower in 1 min) > 1 s" == firing_summary(
        both, {}, **figures, term=slow
    )
    assert "A" == firing_summary(both, {}, **figures)
    assert "A: resolved after 1 min, now 500 ms" == resolved_summary(
        both, {}, value=0.5, lasted_s=60, term=slow
    )


def test_a_missing_worker_is_said_with_how_long_it_is_silent():
    """Host and worker are its labels."""
    missing = replace(rule("error_rate > 5%"), name="Worker missing", when=WorkerMissing())
    labels = {"host": "web-1", "worker": "3"}
    figures = {"bad": 1, "total": 0, "window_s": 0.0}

    assert "Worker missing (host web-1, worker 3): silent for 42 s" == firing_summary(
        missing, labels, value=42.0, **figures
    )
    assert "Worker missing: silent" == firing_summary(missing, {}, value=None, **figures)


def test_a_comparison_with_earlier_weeks_says_what_is_usual():
    """Without a known figure, only the factor."""
    spike = rule("errors > 3x same_time_last_week", over="15m", at_least=20)
    figures = {"value": 60.0, "bad": 60, "window_s": 900.0}

    assert "A: 60 (in 15 min, usually 7) > 3 × the same time in earlier weeks" == firing_summary(
        spike, {}, total=7, **figures
    )
    assert "A: 60 (in 15 min) > 3 × the same time in earlier weeks" == firing_summary(
        spike, {}, total=0, **figures
    )


def test_the_largest_of_many_groups_says_how_many_more_there_are():
    """Beyond the groups that are told apart."""
    assert "A (route /x): 40 % (4 of 10 in 1 min) > 5 %, and 7 more" == firing_summary(
        rule("error_rate > 5%", by="route"),
        {"route": "/x"},
        value=0.4,
        bad=4,
        total=10,
        window_s=60.0,
        more=7,
    )


def test_a_message_about_a_share_of_a_metric_prints_the_counts():
    """A share without its counts hides that it was one run of one."""
    failed = rule('share(job_duration_seconds{outcome="failed"}) >= 20%', by="job")

    assert "A (job nightly): 100 % (3 of 3 in 1 h) >= 20 %" == firing_summary(
        failed, {"job": "nightly"}, value=1.0, bad=3, total=3, window_s=3600.0
    )


def test_where_nobody_serves_any_more_the_message_says_so():
    """The worst message of all is a sentence, not two names of labels."""
    missing = next(one for one in PACK if one.name == "Worker missing")
    everybody = {"host": "(all)", "worker": "(all)"}
    told = {"bad": 4.0, "total": 0.0, "window_s": 0.0}

    assert "Worker missing: no worker has written for 54.9 s" == firing_summary(
        missing, everybody, value=54.9, **told
    )
    assert "Worker missing: no worker has written any more" == firing_summary(
        missing, everybody, value=None, **told
    )
    assert "Worker missing: resolved after 2 min" == resolved_summary(
        missing, everybody, value=0.0, lasted_s=120.0
    )


@pytest.mark.parametrize(
    ("said", "summary", "labels"),
    [
        ("40 % > 5 %", "A: 40 % > 5 %", {}),
        ("40 % > 5 %", "A (route /x): 40 % > 5 %", {"route": "/x"}),
        ("40 % > 5 %", "A (route /x: (1 of 2)): 40 % > 5 %", {"route": "/x: (1 of 2)"}),
        ("40 % > 5 %", "A (route /a b): 40 % > 5 %", {"route": "/a \n b"}),
        ("db is silent", "A: db is silent", {"check": "db"}),
        ("A", "A", {}),
        ("Another: 40 %", "Another: 40 %", {"route": "/x"}),
        ("Ab: 40 %", "Ab: 40 %", {}),
    ],
)
def test_a_summary_can_leave_out_what_stands_beside_it(
    said: str, summary: str, labels: dict[str, str]
):
    """Rule and group are shown once, whatever the group's name holds."""
    assert said == without_name(summary, "A", labels)


def test_a_long_group_costs_no_figure():
    """The name of a group is cut before what was measured."""
    labels = {"route": "/" + "x" * 400}
    summary = firing_summary(
        rule("error_rate > 5%", by="route"), labels, value=0.4, bad=4, total=10, window_s=60.0
    )

    assert MAX_SUMMARY == len(summary)
    assert "40 % (4 of 10 in 1 min) > 5 %" == without_name(summary, "A", labels)
