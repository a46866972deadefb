"""Rules are written back as a user would write them, and read back the same."""

import json
import tomllib

from hypothesis import assume, given
from tests.rules_made import ALERTS

from watchkeeper.core.grammar import MAX_TEXT
from watchkeeper.core.pack import PACK
from watchkeeper.core.rule import Alert, Origin, Rule
from watchkeeper.core.rule_text import rule_to_mapping, write_rules, write_toml
from watchkeeper.core.rules import alert_from_mapping, compile_alert, compile_alerts


def compiled(alert: Alert) -> Rule:
    return compile_alert(alert, where="a", origin=Origin.CODE, slot_s=10.0)


def read(toml: str) -> tuple[Rule, ...]:
    """The rules of a settings file."""
    return tuple(
        compile_alert(alert_from_mapping(table, where="a"), where="a", origin=Origin.CODE)
        for table in tomllib.loads(toml)["alert"]
    )


def test_only_what_is_not_the_default_is_written() -> None:
    """A rule comes out as short as it was written."""
    rule = compiled(
        Alert(
            "Slow route",
            when="p95{route!='/x'} > 1s",
            by="route",
            over="5m",
            hold="2m",
            skip={"route": ["/reports/*"], "the host": "a"},
            worse={"when": "p95 > 3s", "severity": "critical", "hold": "1m"},
        )
    )

    assert (
        "[[alert]]\n"
        'name  = "Slow route"\n'
        'when  = "p95{route!=\\"/x\\"} > 1s"\n'
        'over  = ["5m"]\n'
        'hold  = "2m"\n'
        'by    = ["route"]\n'
        'skip  = { route = ["/reports/*"], "the host" = ["a"] }\n'
        'worse = { when = "p95{route!=\\"/x\\"} > 3s", severity = "critical", '
        'hold = "1m" }\n'
    ) == write_toml(rule_to_mapping(rule))


def test_the_pack_reads_back_the_same() -> None:
    """The default rules written to a file are the default rules."""
    assert [rule.hash for rule in PACK] == [rule.hash for rule in read(write_rules(PACK))]


def test_the_rules_of_an_objective_read_back_the_same() -> None:
    """Each of the three can be written alone."""
    alert = Alert("A", slo={"target": "99.95%", "good": "duration < 1s"}, at_least=10)
    rules = compile_alerts(alert, where="a", origin=Origin.CODE)

    assert rules == read(write_rules(rules))


@given(ALERTS)
def test_a_printed_rule_reads_back_the_same(alert: Alert) -> None:
    """What is exported as TOML or as JSON is the same rule when it is read again."""
    rule = compiled(alert)
    mapping = rule_to_mapping(rule)
    assume(all(len(mapping.get(key, "")) <= MAX_TEXT for key in ("when", "clear", "only_if")))

    (from_toml,) = read(write_toml(mapping))
    from_json = alert_from_mapping(json.loads(json.dumps(mapping)), where="a")

    assert rule == from_toml
    assert rule == compile_alert(from_json, where="a", origin=Origin.CODE)


@given(ALERTS)
def test_a_stored_rule_reads_back_the_same(alert: Alert) -> None:
    """The canonical JSON is complete, and its hash depends on nothing else."""
    rule = compiled(alert)

    again = Rule.from_json(rule.to_json(), origin=Origin.CODE)

    assert (rule, rule.hash) == (again, again.hash)
