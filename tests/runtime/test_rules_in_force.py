"""Rules are joined by name; those of the database are followed, changed and written down."""

from dataclasses import replace
from pathlib import Path

import pytest
from stored import HERE, SHOP

from watchkeeper.app import Watchkeeper
from watchkeeper.core.conditions import write_condition
from watchkeeper.core.pack import UNREADABLE
from watchkeeper.core.rules import Alert, Origin, Rule, compile_alert
from watchkeeper.core.self_metrics import SELF_UNREADABLE_RULES
from watchkeeper.exceptions import ConfigurationError, RuleChangedError
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.rule_changes import RuleChanges
from watchkeeper.runtime.rules_in_force import RulesInForce
from watchkeeper.runtime.written_rules import Written, written_rules
from watchkeeper.settings import Settings, load
from watchkeeper.storage import Store
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import Audit, StoredRule
from watchkeeper.testing import ManualClock

SLOW = "Slow responses"
NOW = 1_000.0


def compiled(alert: Alert, origin: Origin = Origin.DATABASE) -> Rule:
    return compile_alert(alert, where="a", origin=origin, slot_s=10.0)


def condition(rules: RulesInForce, name: str) -> tuple[str, str, bool]:
    """What a rule in force says, where it comes from, and whether it is on."""
    rule = rules.rule(name)
    assert rule is not None
    assert rule.when is not None
    return write_condition(rule.when), rule.origin.value, rule.enabled


@pytest.fixture
def rules() -> RulesInForce:
    """The pack, and a rule of the code."""
    made = written_rules(load(Settings(alerts=[Alert("Mine", when="errors > 5")]), environ={}))
    return RulesInForce(made, slot_s=10.0)


def changes(store: Store, rules: RulesInForce, by: str = "cli alice") -> RuleChanges:
    """Act for Alice."""
    return RuleChanges(
        store=store, scope=SHOP, in_force=rules, by=by, clock=lambda: NOW, channels=("oncall",)
    )


def put(store: Store, name: str, json: str, *, version: int = 0) -> None:
    """Write a row as a newer version, or a broken one, might have."""
    row = StoredRule(**HERE, name=name, json=json, hash="x", version=version)
    audit = Audit(**HERE, at=1.0, actor="x", action="rule.set", target=name)
    assert store.save_rule(row, at=1.0, audit=audit) is not None


def settings_of(folder: Path, text: str, code: Settings | None = None) -> Written:
    """The rules of a file, and of code beside it."""
    (folder / "watchkeeper.toml").write_text(text, "utf-8")
    return written_rules(load(code, environ={}, directory=folder))


def test_a_file_overrides_code_and_code_the_pack(tmp_path: Path) -> None:
    """Rules are joined by name, whatever else is set where."""
    code = Settings(alerts=[Alert(SLOW, when="p95 > 2s"), Alert("Mine", when="errors > 5")])

    written = settings_of(tmp_path, '[[alert]]\nname = "Mine"\nwhen = "errors > 9"\n', code)
    rules = RulesInForce(written, slot_s=10.0)

    assert ("p95 > 2s", "code", True) == condition(rules, SLOW)
    assert ("errors > 9", "file", True) == condition(rules, "Mine")
    assert ("error_rate > 5%", "pack", True) == condition(rules, "High error rate")
    assert () == written.problems


def test_an_objective_of_a_file_is_three_rules(tmp_path: Path) -> None:
    """The three are in force, each by its own name."""
    written = settings_of(
        tmp_path, 'alert_pack = false\n[[alert]]\nname = "A"\nslo = { target = "99%" }\n'
    )

    assert ["A (fast)", "A (middle)", "A (slow)"] == [rule.name for rule in written.rules]


@pytest.mark.parametrize(
    ("problem", "off", "text"),
    [
        (
            "watchkeeper.toml:5: alert[1].when: ",
            "B",
            '[[alert]]\nname = "A"\nwhen = "errors > 1"\n[[alert]]\nwhen = "x"\nname = "B"\n',
        ),
        (
            "watchkeeper.toml:4: alert 'A': there are two of this name, and this is the second; ",
            "A",
            '[[alert]]\nname = "A"\nwhen = "errors > 1"\n[[alert]]\nname = "A"\non="issue.new"\n',
        ),
        (
            "watchkeeper.toml:4: rule 'A': quiet_while: there is no rule 'B'; remove it",
            "A",
            '[[alert]]\nname = "A"\nwhen = "errors > 1"\nquiet_while = "B"\n',
        ),
        (
            "watchkeeper.toml:4: alert[0].over: a window of 15s is shorter than two slots",
            "A",
            '[[alert]]\nname = "A"\nwhen = "errors > 1"\nover = "15s"\n',
        ),
        (
            "watchkeeper.toml:5: rule 'A': channels: there is no channel 'opps'; remove it",
            "A",
            '[[alert]]\nname = "A"\nwhen = "errors > 1"\n\nchannels = "opps"\n',
        ),
    ],
)
def test_a_wrong_rule_of_a_file_is_told(problem: str, off: str, text: str, tmp_path: Path) -> None:
    """The others hold, and a figure says that one does not."""
    (tmp_path / "watchkeeper.toml").write_text(text, "utf-8")
    loaded = load(environ={}, directory=tmp_path)
    written = written_rules(loaded)

    (told,) = [*loaded.problems, *written.problems]

    assert told.startswith(problem)
    assert (off,) == written.unreadable
    assert "High error rate" in [rule.name for rule in written.rules]


def test_rules_of_the_environment_have_no_line_of_the_file(tmp_path: Path) -> None:
    """They stand instead of those of the file, whose lines would be wrong."""
    (tmp_path / "watchkeeper.toml").write_text('[[alert]]\nname = "F"\nwhen = "errors > 1"\n')
    rules = '[{"name": "A", "when": "errors > 1", "over": "15s"}]'
    loaded = load(environ={"WATCHKEEPER_ALERTS": rules}, directory=tmp_path)

    (told,) = written_rules(loaded).problems

    assert told.startswith("alert[0].over: a window of 15s")


@pytest.mark.parametrize(
    ("message", "alerts"),
    [
        ("alerts.1..when: ", [Alert("A", when="errors > 1"), Alert("B", when="x")]),
        ("two of this name", [Alert("A", when="errors > 1"), Alert("A", when="errors > 2")]),
        ("there is no channel 'x'", [Alert("A", when="errors > 1", channels="x")]),
        ("more than 500 rules", [Alert(str(n), when="errors > 1") for n in range(501)]),
    ],
)
def test_a_wrong_rule_of_the_code_raises(message: str, alerts: list[Alert]) -> None:
    """Whoever writes code sees it at the start."""
    with pytest.raises(ConfigurationError, match=message):
        written_rules(load(Settings(alerts=alerts), environ={}))


def test_a_rule_of_the_database_is_in_force_everywhere(store: Store, rules: RulesInForce) -> None:
    """What one process sets, another one follows, and who asks knows where it comes from."""
    other = RulesInForce(Written(rules=rules.rules), slot_s=10.0)
    told: list[int] = []
    other.on_change = lambda rules: told.append(len(rules))
    other.follow(store, SHOP)

    changes(store, rules).set_rules([compiled(Alert(SLOW, when="p95 > 2s"))])

    assert ("p95 > 2s", "database", True) == condition(rules, SLOW)
    assert ("p95 > 1s", "pack", True) == condition(other, SLOW)
    assert other.follow(store, SHOP)
    assert ("p95 > 2s", "database", True) == condition(other, SLOW)
    assert not other.follow(store, SHOP)
    assert [len(rules.rules)] == told


def test_a_reset_rule_is_as_it_was_written(store: Store, rules: RulesInForce) -> None:
    """The rule below it is in force again; one that was nowhere else is gone."""
    alice = changes(store, rules)
    alice.set_rules([compiled(Alert("Mine", when="errors > 9"))])
    alice.set_rules([compiled(Alert("New", when="errors > 9"))])

    assert "errors > 5" == write_condition(alice.reset("Mine").when)  # type: ignore[union-attr]
    assert None is alice.reset("New")

    assert ("errors > 5", "code", True) == condition(rules, "Mine")
    assert None is rules.rule("New")
    with pytest.raises(ConfigurationError, match="is not in the database; it is of the code"):
        alice.reset("Mine")


def test_a_rule_is_switched_off_and_on(store: Store, rules: RulesInForce) -> None:
    """On again it is as it was written, and nothing is left in the database."""
    alice = changes(store, rules)

    alice.disable("CPU")
    alice.disable("CPU")

    assert ("cpu_used > 90%", "database", False) == condition(rules, "CPU")
    alice.enable("CPU")
    assert ("cpu_used > 90%", "pack", True) == condition(rules, "CPU")
    assert [] == store.stored_rules(**HERE)


def test_a_changed_rule_is_switched_off_as_it_is(store: Store, rules: RulesInForce) -> None:
    """Switching does not take a change away."""
    alice = changes(store, rules)
    alice.set_rules([compiled(Alert("CPU", when="cpu_used > 50%"))])

    alice.disable("CPU")
    alice.enable("CPU")

    assert ("cpu_used > 50%", "database", True) == condition(rules, "CPU")


def test_the_history_tells_who_changed_what(store: Store, rules: RulesInForce) -> None:
    """Each change has who, when, what was before and what is after."""
    alice = changes(store, rules)
    alice.set_rules([compiled(Alert("Mine", when="errors > 9"))])
    alice.disable("CPU")
    alice.reset("Mine")

    history = alice.history("Mine")

    assert [("rule.reset", "cli alice"), ("rule.set", "cli alice")] == [
        (one.action, one.actor) for one in history
    ]
    assert {
        "before": {"name": "Mine", "when": "errors > 5", "origin": "code"},
        "after": {"name": "Mine", "when": "errors > 9", "origin": "database"},
    } == history[1].data
    assert ["rule.disable"] == [one.action for one in alice.history("CPU")]


@pytest.mark.parametrize("name", ["Cpu", "cpu", "CPUs"])
def test_a_wrong_name_is_told_with_the_nearest(name: str, rules: RulesInForce) -> None:
    """Who mistypes a name is helped."""
    store = MemoryStore()

    with pytest.raises(ConfigurationError, match=f"no rule '{name}'; did you mean 'CPU'"):
        changes(store, rules).disable(name)
    with pytest.raises(ConfigurationError, match="no rule 'zzzz'; see: rules list"):
        changes(store, rules).reset("zzzz")


def test_the_database_holds_so_many_rules_and_no_more(rules: RulesInForce) -> None:
    """Whatever is stored is bounded."""
    store = MemoryStore()
    many = [compiled(Alert(str(number), when="errors > 9")) for number in range(501)]

    with pytest.raises(ConfigurationError, match="the database holds at most 500 rules"):
        changes(store, rules).set_rules(many)

    assert [] == store.stored_rules(**HERE)


def test_a_rule_that_names_nothing_is_refused(rules: RulesInForce) -> None:
    """What it names must exist before it is stored."""
    store = MemoryStore()
    alice = changes(store, rules)

    with pytest.raises(ConfigurationError, match="no channel 'onkall'; did you mean 'oncall'"):
        alice.set_rules([compiled(Alert("New", when="errors > 9", channels="onkall"))])

    assert [] == store.stored_rules(**HERE)


class _Overtaken(MemoryStore):
    """A store in which somebody else is faster, always."""

    def save_rule(self, rule: StoredRule, *, at: float, audit: Audit) -> StoredRule | None:
        """Somebody else has saved this rule meanwhile."""
        return super().save_rule(replace(rule, version=rule.version + 7), at=at, audit=audit)

    def delete_rule(self, **given: object) -> bool:
        """Somebody else has deleted it."""
        return super().delete_rule(**{**given, "version": 7})  # type: ignore[arg-type]


def test_who_comes_second_is_told_so(rules: RulesInForce) -> None:
    """No change is lost without a word."""
    store = _Overtaken()

    with pytest.raises(RuleChangedError, match="Somebody else changed this rule meanwhile"):
        changes(store, rules).set_rules([compiled(Alert("New", when="errors > 9"))])

    rule = compiled(Alert("New", when="errors > 9"))
    row = StoredRule(**HERE, name="New", json=rule.to_json(), hash=rule.hash)
    audit = Audit(**HERE, at=1.0, actor="x", action="rule.set", target="New")
    assert MemoryStore.save_rule(store, row, at=1.0, audit=audit) is not None
    with pytest.raises(RuleChangedError):
        changes(store, rules).reset("New")


GOOD = compiled(Alert(SLOW, when="p95 > 2s")).to_json()


@pytest.mark.parametrize(
    "json",
    [
        "",
        "[" * 100_000,
        "{}",
        '{"v":2}',
        GOOD.replace('"v":1', '"v":1,"later":true'),
        GOOD.replace('"hold":0.0', '"hold":"x"'),
        GOOD.replace('"over":[60.0,300.0]', '"over":[5.0]'),
        GOOD.replace('"over":[60.0,300.0]', '"over":["1m"]'),
        GOOD.replace('"severity":"warning"', '"severity":"loud"'),
        GOOD.replace('"name":"Slow responses"', '"name":"Other"'),
        GOOD.replace('"hold":0.0', '"hold":-1.0'),
        GOOD.replace('"tolerate":1', '"tolerate":null'),
        GOOD.replace('"when":[">",', '"when":["≈",'),
    ],
)
def test_a_damaged_rule_of_the_database_takes_nothing_with_it(
    json: str, rules: RulesInForce
) -> None:
    """Its last good form stays in force, or the one below; a figure and a sentence say so."""
    store = MemoryStore()
    recorder = Recorder(SHOP)
    fresh = RulesInForce(
        Written(rules=rules.rules), slot_s=10.0, channels=["oncall"], recorder=recorder
    )
    changes(store, rules).set_rules([compiled(Alert("CPU", when="cpu_used > 50%"))])
    put(store, SLOW, GOOD)
    rules.follow(store, SHOP)
    assert ("p95 > 2s", "database", True) == condition(rules, SLOW)
    assert json != GOOD

    put(store, SLOW, json, version=1)
    rules.follow(store, SHOP)
    fresh.follow(store, SHOP)

    assert ("p95 > 2s", "database", True) == condition(rules, SLOW)
    assert ("p95 > 1s", "pack", True) == condition(fresh, SLOW)
    assert ("cpu_used > 50%", "database", True) == condition(fresh, "CPU")
    assert rules.problems[0].endswith("its last form stays in force")
    assert fresh.problems[0].endswith("it is not in force")
    assert (SLOW,) == rules.unreadable
    (gauge,) = [
        value
        for series, value in recorder.take().items()
        if series.metric == SELF_UNREADABLE_RULES.name
    ]
    assert 1.0 == gauge.last


def test_a_stored_rule_whose_channel_is_gone_is_told(rules: RulesInForce) -> None:
    """It stays in force; nobody would notice otherwise that it tells nobody."""
    store = MemoryStore()
    put(store, "New", compiled(Alert("New", when="errors > 9", channels="gone")).to_json())

    rules.follow(store, SHOP)

    assert ("rule 'New': channels: there is no channel 'gone'; remove it",) == rules.problems
    assert ("errors > 9", "database", True) == condition(rules, "New")


def test_a_rule_that_cannot_be_read_is_an_incident(tmp_path: Path) -> None:
    """Somebody is told of a bad rule, not just who looks, and of its end."""
    clock = ManualClock(1_000_000_005.0)
    settings = Settings(
        enabled=True, database_url="memory://", alerts=[Alert("Mine", when="errors > 5")]
    )
    wk = Watchkeeper(load(settings, environ={}, directory=tmp_path), clock=clock)
    place = {"service": wk.scope.service, "environment": wk.scope.environment}
    audit = Audit(**place, at=1.0, actor="x", action="rule.set", target="Mine")

    def cycles(count: int) -> set[str]:
        for _ in range(count):
            wk.flush()
            clock.move(10.0)
        assert wk.store is not None
        return {row.rule for row in wk.store.alerts(**place) if row.state == "firing"}

    assert UNREADABLE not in cycles(2)
    assert wk.store is not None
    bad = StoredRule(**place, name="Mine", json="{", hash="x")
    assert wk.store.save_rule(bad, at=1.0, audit=audit) is not None

    assert UNREADABLE in cycles(3)
    assert wk.store.delete_rule(**place, name="Mine", version=1, audit=audit)
    assert UNREADABLE not in cycles(30)
    wk.stop()
