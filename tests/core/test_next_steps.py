"""What to do next: a line that fits the rule."""

from dataclasses import replace

import pytest

from watchkeeper.core.conditions import And, WorkerMissing
from watchkeeper.core.next_steps import MAX_STEPS, next_steps
from watchkeeper.core.pack import PACK
from watchkeeper.core.rules import Alert, Origin, Rule, compile_alert


def rule(**fields: object) -> Rule:
    return compile_alert(
        Alert("R", **fields),  # type: ignore[arg-type]
        where="test",
        origin=Origin.CODE,
        slot_s=10.0,
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"when": "error_rate > 5%"}, "Look at the issues that began shortly before."),
        ({"when": "errors > 5"}, "Look at the issues that began shortly before."),
        ({"when": "requests == 0"}, "See whether requests reach the application"),
        ({"when": "requests < 10"}, "See whether requests reach the application"),
        ({"when": "requests > 1000"}, "See which routes the requests are for"),
        ({"when": 'requests{status=~"4*"} > 100'}, "See which routes the requests are for"),
        ({"when": "error_rate > 10% and requests >= 20"}, "Look at the issues"),
        ({"when": "apdex < 0.7"}, "Look at the slowest routes"),
        ({"when": "last(watchkeeper_unreadable_rules) > 0"}, "Run watchkeeper config check"),
        ({"when": "p95 > 1s"}, "Look at the slowest routes"),
        ({"when": "memory_used > 90%"}, "See which worker grows"),
        ({"when": "cpu_used > 90%"}, "See which routes take the time"),
        ({"when": "check failing", "by": "check"}, "Read what the check said"),
        ({"on": "issue.new"}, "Open the issue"),
    ],
)
def test_each_kind_of_rule_has_its_next_step(fields, said):
    """One line is enough to begin with."""
    (step,) = next_steps(rule(**fields))

    assert step.startswith(said)


def test_runbook_and_release_come_first():
    """Whoever wrote a runbook knows best; a fresh release is the usual cause."""
    errors = replace(rule(when="error_rate > 5%"), runbook="https://wiki.example/errors")

    assert (
        "Follow the runbook: https://wiki.example/errors",
        "See what changed with release 42.",
        "Look at the issues that began shortly before.",
    ) == next_steps(errors, release="42")


def test_a_metric_of_ones_own_is_named():
    """Nobody but its author knows it, so that it is said where to begin."""
    assert ("See what drives queue_depth, and what else has changed since it began.",) == (
        next_steps(rule(when="last(queue_depth) > 100"))
    )


def test_of_several_conditions_each_has_its_step_once():
    """The list is short."""
    errors, slow, check = (
        rule(when=when, **more).when
        for when, more in (
            ("error_rate > 5%", {}),
            ("p95 > 1s", {}),
            ("check failing", {"by": "check"}),
        )
    )
    both = replace(
        rule(when="error_rate > 5%"), when=And((errors, errors, slow, check, WorkerMissing()))
    )

    assert MAX_STEPS == len(set(next_steps(both)))
    assert next_steps(both)[-1].startswith("See on its host")


@pytest.mark.parametrize(
    ("metric", "word"),
    [
        ("http_client_request_duration_seconds", "outgoing calls"),
        ("db_client_operation_duration_seconds", "statements"),
        ("db_client_connection_wait_time_seconds", "holds a connection"),
        ("job_duration_seconds", "job's last run"),
    ],
)
def test_a_metric_of_ours_says_where_to_look(metric: str, word: str):
    """What is slow outside, in the database, in its pool or in a job is looked for there."""
    (step,) = next_steps(rule(when=f"p95({metric}) > 1s"))

    assert word in step


def test_every_rule_of_the_pack_has_a_step():
    """Who is woken by a default rule is told where to look first."""
    assert [] == [one.name for one in PACK if not next_steps(one)]
