"""What makes a round good, and what the show prints."""

import json
import time
from dataclasses import replace

import pytest

from watchkeeper.demo.receiver import Received
from watchkeeper.demo.round import Measured, RuleMessages, violations
from watchkeeper.demo.show import (
    FIRST_INCIDENT_S,
    INCIDENT_EVERY_S,
    INCIDENT_S,
    describe,
    is_incident,
)

GOOD = Measured(
    requests_sent=2_000,
    requests_counted=2_000,
    requests_counted_after_restart=2_000,
    errors_sent=70,
    errors_counted=70,
    issues=2,
    alert_lag_s=0.8,
    firing_messages=2,
    resolved_messages=2,
    p95_true_s=0.8,
    p95_shown_s=0.805,
    dashboard_status=200,
    flush_ms_p50=4.2,
    database_bytes=5_000_000,
    messages={
        "High error rate": RuleMessages(firing=1, resolved=1, lag_s=0.8),
        "Slow responses": RuleMessages(firing=1, resolved=1, lag_s=-0.2),
    },
)


def test_a_good_round_has_no_violations():
    """Equal counts, one message each way, a small lag and a close p95 are all that is asked."""
    assert violations(GOOD) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"requests_counted": 1_999}, "requests_counted"),
        ({"requests_counted_after_restart": 0}, "requests_counted_after_restart"),
        ({"errors_counted": 71}, "errors_counted"),
        ({"issues": 1}, "issues"),
        ({"dashboard_status": 503}, "dashboard_status"),
        ({"p95_shown_s": 0.83}, "p95_shown_s"),
        ({"p95_true_s": None}, "p95"),
        ({"requests_sent": 0, "requests_counted": 0}, "no requests"),
    ],
)
def test_each_figure_that_is_wrong_is_named(change: dict[str, object], named: str):
    """Whatever does not hold is said in a sentence that names the figure."""
    assert any(named in sentence for sentence in violations(replace(GOOD, **change)))


@pytest.mark.parametrize(
    "told",
    [
        RuleMessages(firing=2, resolved=1, lag_s=0.5),
        RuleMessages(firing=1, resolved=0, lag_s=0.5),
        RuleMessages(firing=1, resolved=1, lag_s=3.1),
        RuleMessages(firing=1, resolved=1, lag_s=None),
    ],
)
def test_each_rule_must_tell_once_and_in_time(told: RuleMessages):
    """A doubled, missing or late message of any rule is a violation."""
    wrong = replace(GOOD, messages={**GOOD.messages, "Slow responses": told})

    assert any("Slow responses" in sentence for sentence in violations(wrong))


def test_the_figures_are_one_json_object():
    """Scripts read the figures by their names."""
    figures = json.loads(GOOD.to_json())

    assert figures["requests_sent"] == 2_000
    assert figures["messages"]["High error rate"]["firing"] == 1


def test_the_figures_for_people_are_one_a_line():
    """Without --json each figure stands on a line of its own."""
    lines = GOOD.to_text().splitlines()

    assert any(line.split() == ["issues", "2"] for line in lines)


def test_incidents_come_and_go():
    """The first incident comes soon, ends, and comes again in a steady rhythm."""
    assert not is_incident(FIRST_INCIDENT_S - 1)
    assert is_incident(FIRST_INCIDENT_S)
    assert not is_incident(FIRST_INCIDENT_S + INCIDENT_S)
    assert is_incident(FIRST_INCIDENT_S + INCIDENT_EVERY_S)


def test_a_message_is_one_readable_line():
    """A received message is shown with time, severity, state and summary."""
    message = Received(
        at=1_800_000_000.0,
        message_id="m",
        rule="High error rate",
        severity="critical",
        status="firing",
        summary="High error rate: 12 % > 5 %",
        link="",
    )

    line = describe(message)

    assert line.startswith(time.strftime("%H:%M:%S", time.localtime(message.at)))
    assert "▲ FIRING" in line
    assert "critical" in line
    assert line.endswith("High error rate: 12 % > 5 %")
