"""Alerts are compiled with every default explicit; contradictions are refused."""

from dataclasses import replace

import pytest

from watchkeeper.core.conditions import write_condition
from watchkeeper.core.pack import PACK, default_pack
from watchkeeper.core.rules import (
    Alert,
    NoData,
    Origin,
    Rule,
    alert_from_mapping,
    compile_alert,
    describe,
    merge_rules,
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
    ],
)
def test_the_clear_threshold_leaves_a_fifth_to_spare(clear: str, when: str) -> None:
    """Without `clear` an alert ends at 80 % of its threshold, so that it does not flap."""
    rule = compiled(Alert("A", when=when))

    assert rule.clear is not None
    assert clear == write_condition(rule.clear)


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
            "alert[0].sure: works for error_rate and percentiles",
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
            "alert[0].worse: only a condition on a metric",
            Alert("A", when="check failing", worse={"when": "p99 > 3s", "severity": "critical"}),
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
        (
            "a.toml:3.only_if: is not known by this version; remove it",
            {"name": "A", "only_if": "x"},
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
        compile_alert(alert_from_mapping(table, where="a.toml:3"), where="a.toml:3", origin="file")

    assert str(raised.value).startswith(message.removesuffix(".name"))


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


def test_the_pack_says_in_plain_words_what_it_does() -> None:
    """Each rule can be explained in one sentence."""
    assert [
        "High error rate: error_rate > 5%, over 1 min or 5 min, if statistically sure, critical.",
        "Slow responses: p95 > 1s, over 5 min, if statistically sure, for 2 min, warning.",
        "Health check failing: check failing, critical.",
        "New issue: on issue.new, warning.",
        "Issue came back: on issue.came_back, warning.",
        "Storage growth: last(watchkeeper_storage_used_ratio) > 80%, over 10 min, warning.",
    ] == [describe(rule) for rule in PACK]
