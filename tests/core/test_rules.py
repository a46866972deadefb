"""Alerts are compiled with every default explicit; contradictions are refused."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.clearing import default_clear, is_beyond
from watchkeeper.core.conditions import (
    WORDS,
    CheckFailing,
    Comparison,
    Operator,
    Or,
    WorkerMissing,
    write_condition,
)
from watchkeeper.core.pack import PACK, default_pack
from watchkeeper.core.rules import (
    Alert,
    NoData,
    Origin,
    Rule,
    alert_from_mapping,
    causes_first,
    compile_alert,
    compile_alerts,
    merge_rules,
    wrong_references,
)
from watchkeeper.exceptions import ConfigurationError


def compiled(alert: Alert) -> Rule:
    return compile_alert(alert, where="alert[0]", origin=Origin.CODE, slot_s=10.0)


def test_a_short_alert_gets_every_default() -> None:
    """One line is a complete rule."""
    rule = compiled(Alert("Errors", when="error_rate > 5%"))

    assert (60.0, 300.0) == rule.over_s
    assert rule.sure
    assert 3.0 == rule.at_least
    assert 0.0 == rule.hold_s
    assert 120.0 == rule.keep_s
    assert "warning" == rule.severity
    assert NoData.KEEP is rule.no_data
    assert rule.clear is not None
    assert "error_rate < 4%" == write_condition(rule.clear)


@pytest.mark.parametrize(
    ("clear", "when"),
    [
        ("p95 < 0.8s", "p95 > 1s"),
        ("rate(orders_total) > 5/s", "rate(orders_total) < 4/s"),
        ("requests != 0", "requests == 0"),
        ("requests == 0", "requests != 0"),
        ("last(queue) < 80", "last(queue) >= 100"),
        ("last(job_lateness_seconds) <= 0s", "last(job_lateness_seconds) > 0s"),
        ("last(balance) < -125", "last(balance) > -100"),
        ("last(balance) > -80", "last(balance) < -100"),
        ("apdex > 0.925", "apdex < 0.85"),
        ("errors < 2.4x same_time_last_week", "errors > 3x same_time_last_week"),
        ("errors < 2.4 or requests > 37.5", "errors >= 3 and requests < 30"),
        ("error_rate < 8%", "error_rate > 10% and requests >= 20"),
        ("apdex > 0.9", "apdex < 0.8 and rate(orders_total) > 1/s"),
        ("p95 < 0.8s or requests > 37.5", "p95 > 1s and requests < 30 and errors > 2"),
        (
            "error_rate < 8% and requests < 80",
            "error_rate > 10% and requests >= 20 or requests > 100",
        ),
        ("errors < 8 and p95 < 0.8s", "errors > 10 or p95 > 1s"),
        (
            "errors < 8 and last(queue) < 4 or requests > 6.25 and last(queue) < 4",
            "errors > 10 and requests < 5 or last(queue) > 5",
        ),
    ],
)
def test_the_clear_threshold_leaves_a_fifth_to_spare(clear: str, when: str) -> None:
    """Without `clear` an alert ends at 80 % of its threshold, so that it does not flap."""
    rule = compiled(Alert("A", when=when))

    assert rule.clear is not None
    assert clear == write_condition(rule.clear)


def test_a_range_ends_on_either_side() -> None:
    """Where one measure is held between two thresholds, being beyond one of them is enough."""
    rule = compiled(
        Alert("A", when="last(x) > 5 and last(x) < 9", clear="last(x) <= 4 or last(x) >= 9")
    )

    assert rule.clear is not None
    assert "last(x) <= 4 or last(x) >= 9" == write_condition(rule.clear)


@given(
    st.sampled_from(list(Operator)),
    st.integers(-2, 2),
    st.sampled_from(list(Operator)),
    st.integers(-2, 2),
)
def test_what_is_beyond_never_holds_at_once(
    operator: Operator, threshold: int, end: Operator, limit: int
) -> None:
    """No value both fires and ends an alert whose two conditions were accepted."""
    when = Comparison(WORDS["requests"], operator, threshold)
    clear = Comparison(WORDS["requests"], end, limit)

    together = [
        value / 2
        for value in range(-7, 8)
        if operator.holds(value / 2, threshold) and end.holds(value / 2, limit)
    ]

    assert is_beyond(when, clear) is not bool(together)


def test_a_baseline_has_a_floor() -> None:
    """Three times as many as usual means nothing where usual is one."""
    assert 20.0 == compiled(Alert("A", when="errors > 3x same_time_last_week")).at_least
    assert 0.0 == compiled(Alert("A", when="errors < 0.5x same_time_last_week")).at_least


def test_a_worker_is_told_apart_by_host_and_number() -> None:
    """A missing worker is an instance of its own, and is over when it is back."""
    rule = compiled(Alert("A", when="worker missing"))

    assert ("host", "worker") == rule.by
    assert 0.0 == rule.keep_s
    assert None is rule.clear


def test_every_field_reaches_the_rule() -> None:
    """Who is told, how and when is part of a rule."""
    rule = compiled(
        Alert(
            "A",
            when="requests == 0",
            only_if="requests{same_time_last_week} > 50",
            over="10m",
            quiet_while=["Everything fails", "Everything fails"],
            escalate_after="15m",
            escalate_to="boss",
            channels=["oncall", "team"],
            group_wait="1m",
            warmup="2m",
            max_groups=7,
            shadow=True,
            description="Nobody comes.",
            runbook="https://wiki.example/traffic",
        )
    )

    assert rule.only_if is not None
    assert "requests{same_time_last_week} > 50" == write_condition(rule.only_if)
    assert ("Everything fails",) == rule.quiet_while
    assert (900.0, ("boss",)) == (rule.escalate_after_s, rule.escalate_to)
    assert ("oncall", "team") == rule.channels
    assert (60.0, 120.0, 7, True) == (
        rule.group_wait_s,
        rule.warmup_s,
        rule.max_groups,
        rule.shadow,
    )
    assert ("Nobody comes.", "https://wiki.example/traffic") == (rule.description, rule.runbook)


def test_causes_stand_before_what_they_explain() -> None:
    """What begins with its cause is judged after it, so that nobody is told of both."""
    rules = [
        compiled(Alert("C", when="errors > 1", quiet_while=["B", "A"])),
        compiled(Alert("B", when="errors > 1", quiet_while=["A", "nowhere"])),
        compiled(Alert("D", when="errors > 1")),
        compiled(Alert("A", when="errors > 1")),
        compiled(Alert("X", when="errors > 1", quiet_while="Y")),
        compiled(Alert("Y", when="errors > 1", quiet_while="X")),
    ]

    assert ["D", "A", "B", "C", "X", "Y"] == [rule.name for rule in causes_first(rules)]


def test_names_of_rules_and_channels_must_exist() -> None:
    """What nobody is called is told with the nearest name; two rules cannot quiet each other."""
    rules = [
        compiled(Alert("Down", when="error_rate > 50%", quiet_while="Slow")),
        compiled(Alert("Slow", when="p95 > 1s", quiet_while=["Down", "Dwn"], channels="tema")),
        compiled(Alert("C", on="issue.new", escalate_after="1h", escalate_to=["x"])),
        compiled(Alert("D", on="issue.new", quiet_while="Down", channels="team")),
    ]

    assert [
        "rule 'Down': quiet_while: it and 'Slow' quiet each other; remove one of the two",
        "rule 'Slow': quiet_while: it and 'Down' quiet each other; remove one of the two",
        "rule 'Slow': quiet_while: there is no rule 'Dwn'; did you mean 'Down'?",
        "rule 'Slow': channels: there is no channel 'tema'; did you mean 'team'?",
        "rule 'C': escalate_to: there is no channel 'x'; remove it",
    ] == [sentence for _, sentence in wrong_references(rules, channels=["team"])]


def test_a_clear_condition_inherits_the_filters() -> None:
    """The filter need not be written twice."""
    rule = compiled(Alert("A", when="p95{route='/x'} > 1s", clear="p95 < 500ms"))

    assert rule.clear is not None
    assert 'p95{route="/x"} < 0.5s' == write_condition(rule.clear)


def test_a_second_condition_may_repeat_the_filters() -> None:
    """Written twice they must be the same, and the rule is the same as with one."""
    worse = {"when": "p95{route='/x'} > 3s", "severity": "critical"}
    short = {"when": "p95 > 3s", "severity": "critical"}
    when = "p95{route='/x'} > 1s"

    repeated = compiled(Alert("A", when=when, clear="p95{route='/x'} < 500ms", worse=worse))
    inherited = compiled(Alert("A", when=when, clear="p95 < 500ms", worse=short))

    assert repeated == inherited
    with pytest.raises(ConfigurationError, match="measures something else"):
        compiled(Alert("A", when=when, clear="p95{route='/y'} < 500ms"))


def test_a_health_check_is_over_at_once_and_told_apart_by_name() -> None:
    """A check says itself when it is good again."""
    rule = compiled(Alert("Checks", when="check failing"))

    assert 0.0 == rule.keep_s
    assert ("check",) == rule.by
    assert () == rule.over_s


def test_default_windows_follow_long_slots() -> None:
    """A deployment with long slots gets windows of at least two of them."""
    rule = compile_alert(
        Alert("A", when="error_rate > 5%"), where="a", origin=Origin.CODE, slot_s=60.0
    )

    assert (120.0, 300.0) == rule.over_s
    assert (120.0, 300.0) == default_pack(slot_s=60.0)[0].over_s


@pytest.mark.parametrize(
    ("message", "alert"),
    [
        ("alert[0].when: an alert has either when", Alert("A")),
        (
            "alert[0].when: an alert has either when",
            Alert("A", when="p95 > 1s", on="issue.new"),
        ),
        ("alert[0].name: an alert's name has 1 to 100 characters", Alert(" ", when="p95 > 1s")),
        ("alert[0].name: ", Alert("x" * 101, when="p95 > 1s")),
        (
            "alert[0].clear: error_rate < 6% contradicts error_rate > 5%",
            Alert("A", when="error_rate > 5%", clear="error_rate < 6%"),
        ),
        (
            "alert[0].clear: error_rate > 3% contradicts error_rate > 5%",
            Alert("A", when="error_rate > 5%", clear="error_rate > 3%"),
        ),
        (
            "alert[0].clear: requests < 1 contradicts requests < 5",
            Alert("A", when="requests < 5", clear="requests < 1"),
        ),
        (
            "alert[0].clear: requests == 0 contradicts requests == 0",
            Alert("A", when="requests == 0", clear="requests == 0"),
        ),
        (
            "alert[0].clear: measures something else than p95 > 1s",
            Alert("A", when="p95 > 1s", clear="p99 < 1s"),
        ),
        (
            "alert[0].clear: measures something else than p95 > 1s",
            Alert("A", when="p95 > 1s", clear="check failing"),
        ),
        ("alert[0].clear: only a condition", Alert("A", on="issue.new", clear="p99 < 1s")),
        (
            "alert[0].over: a window of 15s is shorter than two slots; write at least 20s",
            Alert("A", when="p95 > 1s", over="15s"),
        ),
        ("alert[0].over: a window is at most 1h long", Alert("A", when="p95 > 1s", over="2h")),
        ("alert[0].over: 1 to 4 windows", Alert("A", when="p95 > 1s", over=())),
        (
            "alert[0].over: '1 m' is not a duration; write '1m'",
            Alert("A", when="p95 > 1s", over="1 m"),
        ),
        ("alert[0].over: only a condition", Alert("A", when="check failing", over="1m")),
        (
            "alert[0].hold: '5' is not a duration; write '5s'",
            Alert("A", when="p95 > 1s", hold="5"),
        ),
        (
            "alert[0].severity: 'critcal' is not known; did you mean 'critical'?",
            Alert("A", when="p95 > 1s", severity="critcal"),
        ),
        (
            "alert[0].severity: 'p1' is not known; choose info, warning, critical",
            Alert("A", when="p95 > 1s", severity="p1"),
        ),
        (
            "alert[0].on: 'issue.neu' is not known; did you mean 'issue.new'?",
            Alert("A", on="issue.neu"),
        ),
        (
            "alert[0].sure: works for error_rate, share and percentiles",
            Alert("A", when="requests > 5", sure=True),
        ),
        ("alert[0].sure: works for", Alert("A", when="p95 < 1s", sure=True)),
        ("alert[0].when: a share or percentile is compared with", Alert("A", when="p95 == 1s")),
        (
            "alert[0].by: health checks are told apart",
            Alert("A", when="check failing", by="route"),
        ),
        (
            "alert[0].by: at most 5 labels, each once",
            Alert("A", when="p95 > 1s", by=("route", "route")),
        ),
        ("alert[0].by: an event rule has one instance", Alert("A", on="issue.new", by="type")),
        ("alert[0].worse: write {", Alert("A", when="p95 > 1s", worse={"when": "p95 > 3s"})),
        (
            "alert[0].worse.when: must compare like",
            Alert("A", when="p95 > 1s", worse={"when": "p99 > 3s", "severity": "critical"}),
        ),
        (
            "alert[0].worse: only a single condition on a metric",
            Alert("A", when="check failing", worse={"when": "p99 > 3s", "severity": "critical"}),
        ),
        (
            "alert[0].worse.when: p95 > 0.5s is not worse than p95 > 1s",
            Alert("A", when="p95 > 1s", worse={"when": "p95 > 500ms", "severity": "critical"}),
        ),
        (
            "alert[0].worse.when: requests < 5 is not worse than requests < 2",
            Alert(
                "A", when="requests < 2", worse={"when": "requests < 5", "severity": "critical"}
            ),
        ),
        (
            "alert[0].worse.severity: warning is not above warning",
            Alert("A", when="p95 > 1s", worse={"when": "p95 > 3s", "severity": "warning"}),
        ),
        (
            "alert[0].worse.clear: the second level lasts until the alert ends; remove it",
            Alert(
                "A",
                when="p95 > 1s",
                worse={"when": "p95 > 3s", "severity": "critical", "clear": "p95 < 4s"},
            ),
        ),
        (
            "alert[0].worse: only a single condition",
            Alert(
                "A",
                when="p95 > 1s or errors > 5",
                worse={"when": "p95 > 3s", "severity": "critical"},
            ),
        ),
        (
            "alert[0].clear: error_rate <= 5% contradicts error_rate >= 5%",
            Alert("A", when="error_rate >= 5%", clear="error_rate <= 5%"),
        ),
        (
            "alert[0].clear: requests > 10 contradicts errors >= 3 and requests < 30",
            Alert("A", when="errors >= 3 and requests < 30", clear="errors < 1 or requests > 10"),
        ),
        (
            "alert[0].clear: measures something else than errors >= 3 and requests < 30",
            Alert("A", when="errors >= 3 and requests < 30", clear="p95 < 1s"),
        ),
        (
            "alert[0].clear: a share or percentile is compared with",
            Alert("A", when="p95 > 1s", clear="p95 == 1s"),
        ),
        (
            "alert[0].when: same_time_last_week is compared with >",
            Alert("A", when="errors == 3x same_time_last_week"),
        ),
        (
            "alert[0].when: requests{same_time_last_week} > 5 does not change; only_if has it",
            Alert("A", when="requests{same_time_last_week} > 5"),
        ),
        (
            "alert[0].when: check failing and worker missing stand alone",
            Alert("A", when="errors > 5 and check failing"),
        ),
        (
            "alert[0].only_if: only a condition on a metric",
            Alert("A", when="check failing", only_if="errors > 5"),
        ),
        (
            "alert[0].only_if: compares metrics",
            Alert("A", when="errors > 5", only_if="check failing"),
        ),
        (
            "alert[0].by: workers are told apart by",
            Alert("A", when="worker missing", by="host"),
        ),
        ("alert[0].over: only a condition", Alert("A", when="worker missing", over="1m")),
        ("alert[0].by: at most 5 labels", Alert("A", when="p95 > 1s", by=("",))),
        (
            "alert[0].over: a window is at most 3d long",
            Alert("A", when="p95 > 1s", over="4d", every_window=True),
        ),
        (
            "alert[0].quiet_while: a rule cannot quiet itself",
            Alert("A", when="p95 > 1s", quiet_while="A"),
        ),
        (
            "alert[0].escalate_to: needs when",
            Alert("A", when="p95 > 1s", escalate_to="boss"),
        ),
        (
            "alert[0].escalate_after: needs whom",
            Alert("A", when="p95 > 1s", escalate_after="15m"),
        ),
        ("alert[0].slo: an objective makes three rules", Alert("A", slo={"target": "99.9%"})),
        ("alert[0].name: write a text of one line", Alert("A\nB", when="p95 > 1s")),
        (
            "alert[0].max_groups: 0 is not a whole number from 1 to 1000",
            Alert("A", when="p95 > 1s", max_groups=0),
        ),
        (
            "alert[0].tolerate: -1 is not a whole number from 0 to 100",
            Alert("A", when="p95 > 1s", tolerate=-1),
        ),
        (
            "alert[0].after: True is not a whole number",
            Alert("A", when="check failing", after=True),
        ),
        (
            "alert[0].at_least: -1 is not a count; write 20",
            Alert("A", when="p95 > 1s", at_least=-1),
        ),
    ],
)
def test_a_wrong_alert_names_the_key_and_the_cure(message: str, alert: Alert) -> None:
    """Every mistake is told with its key and what to write instead."""
    with pytest.raises(ConfigurationError) as raised:
        compiled(alert)

    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("message", "table"),
    [
        ("a.toml:3.name", {"when": "p95 > 1s"}),
        ("a.toml:3.severty: unknown key; did you mean 'severity'?", {"name": "A", "severty": 1}),
        ("a.toml:3.zzz: unknown key; known are name, when", {"name": "A", "zzz": 1}),
        ("a.toml:3.for: unknown key; write 'hold'", {"name": "A", "for": "2m"}),
        ("a.toml:3.window: unknown key; write 'over'", {"name": "A", "window": "2m"}),
        (
            "a.toml:3.only_if: 7 is not a condition",
            {"name": "A", "when": "p95 > 1s", "only_if": 7},
        ),
        ("a.toml:3.slo: write { target", {"name": "A", "slo": "99.9%"}),
        ("a.toml:3.slo: write { target", {"name": "A", "slo": {"good": "status < 500"}}),
        ("a.toml:3.slo: write { target", {"name": "A", "slo": {"target": "99%", "x": 1}}),
        ("a.toml:3.slo.target: '5 %' is not a share", {"name": "A", "slo": {"target": "5 %"}}),
        ("a.toml:3.channels: 5 is neither", {"name": "A", "when": "p95 > 1s", "channels": 5}),
        ("a.toml:3.channels: a name is missing", {"name": "A", "on": "issue.new", "channels": ""}),
        (
            "a.toml:3.description: write a text of one line",
            {"name": "A", "on": "issue.new", "description": 5},
        ),
        (
            "a.toml:3.description: write a text of one line",
            {"name": "A", "on": "issue.new", "description": "x\ny"},
        ),
        (
            "a.toml:3.runbook: write an address",
            {"name": "A", "on": "issue.new", "runbook": "javascript:alert(1)"},
        ),
        (
            "a.toml:3.skip.route: at most 50 texts",
            {"name": "A", "when": "p95 > 1s", "skip": {"route": ["x"] * 51}},
        ),
        (
            "a.toml:3.skip: write {",
            {"name": "A", "when": "p95 > 1s", "skip": {str(n): [] for n in range(51)}},
        ),
        ("a.toml:3.when: 5 is not a condition", {"name": "A", "when": 5}),
        (
            "a.toml:3.by: 5 is neither a text nor a list",
            {"name": "A", "when": "p95 > 1s", "by": 5},
        ),
        ("a.toml:3.skip: write {", {"name": "A", "when": "p95 > 1s", "skip": ["x"]}),
        (
            "a.toml:3.enabled: 'no' is neither true nor false",
            {"name": "A", "when": "p95 > 1s", "enabled": "no"},
        ),
        (
            "a.toml:3.hold: '30' is not a duration; write '30s'",
            {"name": "A", "when": "p95 > 1s", "hold": 30},
        ),
        ("a.toml:3.name: an alert's name", {"name": 7, "when": "p95 > 1s"}),
        ("a.toml:3.severity: ", {"name": "A", "when": "p95 > 1s", "severity": {"fast": "x"}}),
        ("a.toml:3.worse: write {", {"name": "A", "when": "p95 > 1s", "worse": "x"}),
    ],
)
def test_a_wrong_table_names_the_key_and_the_cure(message: str, table: dict[str, object]) -> None:
    """A file may hold any type anywhere; each is refused with the place."""
    with pytest.raises(ConfigurationError) as raised:
        compile_alerts(
            alert_from_mapping(table, where="a.toml:3"), where="a.toml:3", origin="file"
        )

    assert str(raised.value).startswith(message.removesuffix(".name"))


def test_an_alert_is_a_table() -> None:
    """A file or a request may hold anything in place of a table."""
    with pytest.raises(ConfigurationError, match=r"^a\.toml:3: an alert is a table"):
        alert_from_mapping(7, where="a.toml:3")  # type: ignore[arg-type]


def test_what_stands_alone_has_no_clear_threshold() -> None:
    """A check and a worker say by themselves when they are good again."""
    assert None is default_clear(CheckFailing())
    assert None is default_clear(Or((WorkerMissing(), CheckFailing())))


def test_a_table_and_an_alert_compile_to_the_same_rule() -> None:
    """TOML and Python take the same words."""
    table = {
        "name": "Slow route",
        "when": "p95 > 1s",
        "by": "route",
        "over": ["5m"],
        "hold": "2m",
        "skip": {"route": ["/reports/*", "/health*"]},
    }
    alert = Alert(
        "Slow route",
        when="p95 > 1s",
        by="route",
        over="5m",
        hold="2m",
        skip={"route": ["/reports/*", "/health*"]},
    )

    rule = compile_alert(alert_from_mapping(table, where="t"), where="t", origin="code")

    assert compiled(alert) == rule
    assert rule.skips({"route": "/reports/1"})
    assert not rule.skips({"route": "/orders"})


@pytest.mark.parametrize("rule", PACK, ids=lambda rule: rule.name)
def test_a_stored_rule_reads_back_the_same(rule: Rule) -> None:
    """The canonical JSON is complete."""
    assert rule == Rule.from_json(rule.to_json(), origin=Origin.PACK)


def test_a_stored_rule_needs_only_what_decides() -> None:
    """What is absent has its default, as in a rule that a person wrote."""
    text = """{"v": 1, "name": "High error rate", "when": [">", ["error_rate", {}], 0.05],
        "clear": ["<", ["error_rate", {}], 0.03], "over": [60, 300], "hold": 0, "keep": 120,
        "sure": true, "by": [], "severity": "critical", "no_data": "keep", "repeat": 14400,
        "cooldown": 600}"""
    written = Alert(
        "High error rate",
        when="error_rate > 5%",
        clear="error_rate < 3%",
        over=("1m", "5m"),
        keep="2m",
        severity="critical",
    )

    assert compiled(written) == Rule.from_json(text, origin=Origin.CODE)


@pytest.mark.parametrize("gone", ["name", "when", "clear", "over", "keep", "sure", "severity"])
def test_a_stored_rule_that_lacks_what_decides_is_refused(gone: str) -> None:
    """Nothing is guessed of when it fires and ends."""
    data = json.loads(compiled(Alert("A", when="error_rate > 5%")).to_json())
    del data[gone]

    with pytest.raises(ConfigurationError, match="the stored rule"):
        Rule.from_json(json.dumps(data), origin=Origin.CODE)


def test_a_stored_event_rule_needs_no_condition() -> None:
    """It has its events."""
    data = json.loads(compiled(Alert("A", on="issue.new")).to_json())
    del data["when"], data["clear"]

    assert compiled(Alert("A", on="issue.new")) == Rule.from_json(
        json.dumps(data), origin=Origin.CODE
    )


def test_an_event_may_be_called_by_its_other_name() -> None:
    """An issue that returned is one that came back."""
    other = compiled(Alert("A", on=["issue.new", "issue.returned"]))

    assert compiled(Alert("A", on=["issue.new", "issue.came_back"])) == other


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"v": 1}', '{"v": 1, "x": 2}', '{"v": 2}'])
def test_a_damaged_stored_rule_is_refused(text: str) -> None:
    """What cannot be read is a ConfigurationError, never a crash."""
    with pytest.raises(ConfigurationError, match="the stored rule"):
        Rule.from_json(text, origin=Origin.DATABASE)


def test_the_hash_follows_what_is_decided_not_how_it_was_written() -> None:
    """Spelling and origin do not change a rule; a threshold does."""
    rule = compiled(Alert("A", when="p95{a='1', b='2'} > 1s"))
    respelled = compiled(Alert("A", when='p95 {b="2",a="1"} > 1000ms'))
    changed = compiled(Alert("A", when="p95{a='1', b='2'} > 2s"))

    assert rule.hash == respelled.hash == replace(rule, origin=Origin.FILE).hash
    assert rule.hash != changed.hash


def test_rules_of_the_same_name_are_replaced_in_place() -> None:
    """A rule of the file wins over code, and code over the pack."""
    mine = compiled(Alert("Slow responses", when="p95 > 2s"))
    other = compiled(Alert("Mine", when="p95 > 3s"))
    theirs = replace(mine, origin=Origin.FILE, enabled=False)

    rules = merge_rules(PACK, [mine, other], [theirs])

    assert [*(rule.name for rule in PACK), "Mine"] == [rule.name for rule in rules]
    assert Origin.FILE is rules[1].origin
    assert not rules[1].enabled


def test_levels_are_compared() -> None:
    """An unknown level is told rather than not."""
    rule = compiled(Alert("A", on="issue.new", level="error"))

    assert rule.is_reached_by("critical")
    assert rule.is_reached_by("odd")
    assert not rule.is_reached_by("warning")
