"""An objective is three plain rules, each of which asks whether the budget burns too fast."""

import pytest

from watchkeeper.core.conditions import write_condition
from watchkeeper.core.rules import Alert, Rule, compile_alerts
from watchkeeper.exceptions import ConfigurationError


def compiled(alert: Alert) -> tuple[Rule, ...]:
    return compile_alerts(alert, where="alert[0]", origin="code", slot_s=10.0)


def written(rule: Rule) -> tuple[str, str, tuple[float, ...], str]:
    assert rule.when is not None
    assert rule.clear is not None
    assert rule.every_window
    assert rule.sure
    return write_condition(rule.when), write_condition(rule.clear), rule.over_s, rule.severity


def test_availability_is_three_rules() -> None:
    """Fast, middle and slow: 14.4, 6 and 1 times as fast as the budget of 30 days allows."""
    rules = compiled(
        Alert(
            "Availability",
            slo={"target": "99.9%", "good": "status < 500", "period": "30d"},
            severity={"fast": "critical", "slow": "warning"},
            channels="oncall",
        )
    )

    assert ["Availability (fast)", "Availability (middle)", "Availability (slow)"] == [
        rule.name for rule in rules
    ]
    assert [
        ("error_rate > 1.44%", "error_rate < 1.152%", (300.0, 3_600.0), "critical"),
        ("error_rate > 0.6%", "error_rate < 0.48%", (1_800.0, 21_600.0), "critical"),
        ("error_rate > 0.1%", "error_rate < 0.08%", (21_600.0, 259_200.0), "warning"),
    ] == [written(rule) for rule in rules]
    assert {("oncall",)} == {rule.channels for rule in rules}


def test_latency_is_a_percentile() -> None:
    """More than 1.44 % slower than 300 ms is a 98.56th percentile above 300 ms."""
    rules = compiled(
        Alert("Latency", slo={"target": "99.9%", "good": "duration < 300ms"}, by="route")
    )

    assert [
        ("p98.56 > 0.3s", "p98.56 <= 0.3s", (300.0, 3_600.0), "warning"),
        ("p99.4 > 0.3s", "p99.4 <= 0.3s", (1_800.0, 21_600.0), "warning"),
        ("p99.9 > 0.3s", "p99.9 <= 0.3s", (21_600.0, 259_200.0), "warning"),
    ] == [written(rule) for rule in rules]


def test_a_shorter_period_burns_slower() -> None:
    """2 % of 14 days' budget in an hour is 6.72 times as fast; never slower than allowed."""
    rules = compiled(Alert("A", slo={"target": "99%", "period": "14d"}))

    assert ["error_rate > 6.72%", "error_rate > 2.8%", "error_rate > 1%"] == [
        write_condition(rule.when) for rule in rules if rule.when is not None
    ]


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (
            "slo.target: 14.4 × the budget of 7% is more than all requests; "
            "write a target above 93.1%",
            {"slo": {"target": "93%"}},
        ),
        ("slo.target: an objective lies between", {"slo": {"target": "100%"}}),
        ("slo.target: an objective lies between", {"slo": {"target": "0%"}}),
        ("slo.target: '99.9' is not a share", {"slo": {"target": 99.9}}),
        ("slo.period: a period is 7d to 90d long", {"slo": {"target": "99%", "period": "1d"}}),
        ("slo.period: 'month' is not a", {"slo": {"target": "99%", "period": "month"}}),
        (
            "slo.good: 'status < 400' is not known; write status < 500 or duration < 300ms",
            {"slo": {"target": "99%", "good": "status < 400"}},
        ),
        ("slo.good: '5' is not a duration", {"slo": {"target": "99%", "good": "duration < 5"}}),
        ("when: an objective sets it by itself", {"slo": {"target": "99%"}, "when": "p95 > 1s"}),
        ("over: an objective sets it by itself", {"slo": {"target": "99%"}, "over": "5m"}),
        (
            "severity: write { fast = ",
            {"slo": {"target": "99%"}, "severity": {"fast": "critical"}},
        ),
        (
            "severity.slow: 'warnin' is not known; did you mean 'warning'?",
            {"slo": {"target": "99%"}, "severity": {"fast": "critical", "slow": "warnin"}},
        ),
        ("severity: 'x' is not known", {"slo": {"target": "99%"}, "severity": "x"}),
        ("name: an alert's name has 1 to 100", {"slo": {"target": "99%"}, "name": "x" * 95}),
        ("name: an alert's name has 1 to 100", {"slo": {"target": "99%"}, "name": 7}),
    ],
)
def test_a_wrong_objective_names_the_cure(message: str, fields: dict) -> None:
    """What cannot be kept, or says a thing twice, is refused."""
    with pytest.raises(ConfigurationError) as raised:
        compiled(Alert(**{"name": "A", **fields}))

    assert str(raised.value).startswith(f"alert[0].{message}")
