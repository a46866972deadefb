"""What to do first stands in each message, by the kind of rule."""

from dataclasses import replace

import pytest

from watchkeeper.core.conditions import And, CheckFailing, Comparison, Or, WorkerMissing
from watchkeeper.core.next_steps import (
    BAD_REQUESTS,
    CHECK,
    EVENT,
    MANY_REQUESTS,
    NO_TRAFFIC,
    OTHER,
    SLOW,
    WORKER,
    next_steps,
)
from watchkeeper.core.pack import PACK
from watchkeeper.core.rule import Rule
from watchkeeper.core.rules import Alert, Origin, compile_alert


def rule(when: str) -> Rule:
    return compile_alert(Alert("A", when=when), where="a", origin=Origin.CODE)


@pytest.mark.parametrize(
    ("when", "steps"),
    [
        ("error_rate > 5%", BAD_REQUESTS),
        ("errors > 20", BAD_REQUESTS),
        ("requests == 0", NO_TRAFFIC),
        ("requests < 5", NO_TRAFFIC),
        ("requests > 5000", MANY_REQUESTS),
        ("p95 > 1s", SLOW),
        ("check failing", CHECK),
        ("last(queue_depth) > 100", OTHER),
    ],
)
def test_each_kind_of_rule_has_its_first_step(when: str, steps: tuple[str, ...]):
    """Who is woken is told where to look first."""
    assert steps == next_steps(rule(when))


@pytest.mark.parametrize(
    ("metric", "word"),
    [
        ("http_client_request_duration_seconds", "outgoing calls"),
        ("db_client_operation_duration_seconds", "statements"),
        ("job_duration_seconds", "job"),
    ],
)
def test_a_metric_of_ours_has_its_own_step(metric: str, word: str):
    """What is slow says where: outside, in the database, in a job."""
    (step,) = next_steps(rule(f"p95({metric}) > 1s"))

    assert word in step


def test_an_event_leads_to_its_issue():
    """An issue that is new or came back is opened."""
    event = next(one for one in PACK if one.is_event)

    assert EVENT == next_steps(event)


def test_a_worker_that_is_missing_is_looked_for():
    """A crash or a kill leaves its trace on the host."""
    missing = replace(rule("check failing"), when=WorkerMissing())

    assert WORKER == next_steps(missing)


def test_of_a_composite_the_first_term_counts():
    """ "a and b or c" is looked at where it begins."""
    when = rule("p95 > 1s").when
    assert isinstance(when, Comparison)
    composite = replace(rule("p95 > 1s"), when=Or((And((when, CheckFailing())), WorkerMissing())))

    assert SLOW == next_steps(composite)


def test_every_rule_of_the_pack_has_a_step_of_its_own():
    """No default rule is answered by a commonplace."""
    assert [] == [one.name for one in PACK if next_steps(one) == OTHER]
