"""What a worker takes for trouble follows the rules that are enabled."""

from math import inf

import pytest

from watchkeeper.core.pack import default_pack
from watchkeeper.core.rules import Alert, Origin, compile_alert
from watchkeeper.core.trouble import Thresholds, is_urgent, thresholds

LEVELS = {"when": "error_rate > 3%", "severity": "critical"}


@pytest.mark.parametrize(
    ("error_rate", "slow_s", "alert"),
    [
        (0.05, inf, Alert("A", when="error_rate > 5%")),
        (inf, inf, Alert("A", when="error_rate > 5%", enabled=False)),
        (inf, inf, Alert("A", when="error_rate < 5%")),
        (0.05, 1.0, Alert("A", when="p95 > 1s")),
        (0.01, 0.3, Alert("A", when="p99 > 300ms")),
        (inf, inf, Alert("A", when="p99(render_seconds) > 10ms")),
        (0.02, 2.0, Alert("A", when="error_rate > 2% and p90 > 2s")),
        (inf, inf, Alert("A", when="errors > 5")),
        (inf, inf, Alert("A", when="check failing")),
        (inf, inf, Alert("A", on="issue.new")),
    ],
)
def test_trouble_begins_where_a_rule_does(error_rate: float, slow_s: float, alert: Alert) -> None:
    """A percentile begins at the share that it leaves, each part of a joined condition counts."""
    made = compile_alert(alert, where="a", origin=Origin.CODE)

    assert Thresholds(error_rate=error_rate, slow_s=slow_s) == thresholds([made])


def test_the_lowest_of_all_rules_and_levels_counts() -> None:
    """A second level may look at something that the first one does not."""
    rules = [
        compile_alert(one, where="a", origin=Origin.CODE)
        for one in (
            Alert("A", when="error_rate > 1%", worse={**LEVELS, "when": "error_rate > 9%"}),
            Alert("B", when="p95 > 2s", worse={**LEVELS, "when": "p95 > 4s"}),
        )
    ]

    assert Thresholds(error_rate=0.01, slow_s=2.0) == thresholds(rules)


def test_rules_that_counts_decide_are_urgent() -> None:
    """Of the pack: what requests and jobs may make fire within a slot."""
    assert {
        "High error rate",
        "Slow responses",
        "Everything fails",
        "Errors on a quiet service",
        "Error spike",
        "Job failed",
    } == {rule.name for rule in default_pack() if is_urgent(rule)}


@pytest.mark.parametrize(
    ("when", "urgent"),
    [
        ("error_rate > 5%", True),
        ("error_rate < 1%", False),
        ("increase(orders_total) > 5", True),
        ("last(orders_waiting) > 5", True),
        ("requests == 0", False),
        ("memory_used > 90%", False),
        ("memory_used > 90% or error_rate > 5%", True),
        ("max(watchkeeper_failed_flushes) >= 3", False),
        ("check failing", False),
        ("worker missing", False),
    ],
)
def test_a_rule_is_urgent_if_a_count_may_make_it_fire(when: str, urgent: bool) -> None:
    """What is looked at once a slot, and what is too little, waits for its end."""
    made = compile_alert(Alert("One", when=when), where="test", origin=Origin.CODE)

    assert urgent is is_urgent(made)
