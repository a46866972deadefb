"""A settings file with a fault: what it last said well is in force, for processes to come too."""

from pathlib import Path

import pytest
from stored import HERE, SHOP

from watchkeeper.app import Watchkeeper
from watchkeeper.core.rules import Alert, Origin
from watchkeeper.runtime.configured import channels_for
from watchkeeper.runtime.last_good import LastGood
from watchkeeper.runtime.rules_in_force import RulesInForce
from watchkeeper.runtime.written_rules import written_rules
from watchkeeper.settings import Settings, load
from watchkeeper.storage import Store

GOOD = """
alert_pack = false

[channels.oncall]
type = "webhook"
url = "https://hooks.example/t0k3n"

[channels.team]
type = "log"

[routing]
critical = ["oncall"]
warning = ["team"]

[[alert]]
name = "A"
when = "errors > 1"
severity = "critical"
channels = ["oncall"]

[[alert]]
name = "B"
slo = { target = "99%" }

[[alert]]
name = "C"
when = "p95 > 1s"
enabled = false
"""
OF_GOOD = ["A", "B (fast)", "B (middle)", "B (slow)", "C"]
BROKEN = GOOD.replace('url = "https', "url = https")


def process(
    folder: Path, text: str, code: Settings | None = None, **environ: str
) -> tuple[RulesInForce, Settings]:
    """Start a process with a file: it has read nothing of the database yet."""
    (folder / "watchkeeper.toml").write_text(text)
    loaded = load(code, environ=environ, directory=folder)
    written = written_rules(loaded)
    rules = RulesInForce(written, slot_s=10.0, channels=tuple(loaded.settings.channels))
    return rules, loaded.settings


def names(rules: RulesInForce) -> list[str]:
    """The rules in force that are not of the pack."""
    return sorted(rule.name for rule in rules.rules if rule.origin is not Origin.PACK)


def test_rules_of_a_file_outlive_a_restart_with_a_fault(store: Store, tmp_path: Path) -> None:
    """Just as they were, of the file, and who asks is told so with the cure."""
    before, _ = process(tmp_path, GOOD)
    before.keep_up(store, SHOP)

    after, _ = process(tmp_path, BROKEN)
    assert [] == names(after)
    after.keep_up(store, SHOP)

    assert OF_GOOD == names(after)
    assert {rule.name: rule for rule in before.rules} == {rule.name: rule for rule in after.rules}
    assert (
        "the settings file cannot be read: its 5 rules as last read are in force;"
        " mend it and start again",
        "messages to oncall, team wait until the settings file can be read;"
        " mend it and start again",
    ) == after.problems
    assert ("(file)",) == after.unreadable


def test_a_fault_at_the_top_loses_neither_channels_nor_the_place(
    store: Store, tmp_path: Path
) -> None:
    """Only that line is left out: the kept rules are found, and their channels are open."""
    before, _ = process(tmp_path, GOOD)
    before.keep_up(store, SHOP)

    after, settings = process(tmp_path, f'keep_slots = 24h\nservice = "shop"\n{GOOD}')
    after.keep_up(store, SHOP)

    assert OF_GOOD == names(after)
    assert ("shop", False) == (settings.service, settings.alert_pack)
    assert ["oncall", "team"] == list(settings.channels)
    assert (
        "the settings file cannot be read: its 5 rules as last read are in force;"
        " mend it and start again",
    ) == after.problems


def test_nothing_is_stored_while_the_file_cannot_say_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application is watched all the same, and the health page can say why."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "watchkeeper.toml").write_text('enabled = true\ndatabase_url = "other.db\n')
    made = Watchkeeper(load(environ={}))

    made.start()
    made.flush()
    made.stop()

    assert "WATCHKEEPER_DATABASE_URL" in made.failure
    assert ["watchkeeper.toml"] == [one.name for one in tmp_path.iterdir()]


def test_channels_of_a_file_are_kept_by_name_only(store: Store, tmp_path: Path) -> None:
    """Their addresses are secrets: they are in the file and nowhere else."""
    before, _ = process(tmp_path, GOOD)
    before.keep_up(store, SHOP)
    after, settings = process(tmp_path, BROKEN)
    after.keep_up(store, SHOP)

    lost = after.lost_channels

    assert lost is not None
    assert "t0k3n" not in store.last_good(**HERE)
    assert ("oncall", "team") == lost.channels
    assert ("oncall",) == channels_for(settings, {}, "critical", lambda: lost)
    assert ("team",) == channels_for(settings, {}, "warning", lambda: lost)
    assert before.lost_channels is None


def test_channels_of_the_environment_work_on(store: Store, tmp_path: Path) -> None:
    """Who gives channels there, or in code, is not told to wait for the file's."""
    before, _ = process(tmp_path, GOOD)
    before.keep_up(store, SHOP)

    after, settings = process(tmp_path, BROKEN, WATCHKEEPER_CHANNELS='{"urgent": {"type": "log"}}')
    after.keep_up(store, SHOP)

    assert OF_GOOD == names(after)
    assert ("urgent",) == channels_for(
        settings, {"urgent": 1}, "critical", lambda: after.lost_channels
    )


def test_a_process_with_a_fault_keeps_nothing(store: Store, tmp_path: Path) -> None:
    """However many start with it, the last good set stays."""
    before, _ = process(tmp_path, GOOD)
    before.keep_up(store, SHOP)
    kept = store.last_good(**HERE)

    for _ in range(2):
        process(tmp_path, BROKEN)[0].keep_up(store, SHOP)

    assert kept == store.last_good(**HERE)


def test_what_another_process_reads_well_is_taken_over(store: Store, tmp_path: Path) -> None:
    """The file is mended on one host: the others follow without a restart."""
    broken, _ = process(tmp_path, BROKEN)
    broken.keep_up(store, SHOP)
    assert (
        "the settings file cannot be read: no rule is kept; mend it and start again",
    ) == broken.problems

    mended, _ = process(tmp_path, GOOD)
    mended.keep_up(store, SHOP)
    broken.keep_up(store, SHOP)

    assert OF_GOOD == names(broken)


@pytest.mark.parametrize(
    ("off", "text"),
    [
        ("A", GOOD.replace("errors > 1", "errors")),
        ("B", GOOD.replace('"99%"', '"199%"')),
        ("C", GOOD.replace("p95 > 1s", "p95 > 1")),
        ("alert[0]", GOOD.replace('name = "A"', 'nome = "A"')),
    ],
)
def test_a_rule_with_a_fault_is_in_force_as_it_was(
    store: Store, tmp_path: Path, off: str, text: str
) -> None:
    """The others are as they are written now; what was good of it goes on being kept."""
    before, _ = process(tmp_path, GOOD)
    before.keep_up(store, SHOP)

    text = text.replace("[[alert]]", '[[alert]]\nname = "New"\nwhen = "errors > 9"\n[[alert]]', 1)
    off = "alert[1]" if off == "alert[0]" else off
    for _ in range(2):
        after, _ = process(tmp_path, text)
        after.keep_up(store, SHOP)

        assert [*OF_GOOD, "New"] == names(after)
        assert (off,) == after.unreadable
        assert "of the settings file cannot be read: its last form is in force" in str(
            after.problems
        )


def test_a_rule_that_was_taken_out_of_a_file_stays_out(store: Store, tmp_path: Path) -> None:
    """Only what cannot be read is taken from what was kept."""
    before, _ = process(tmp_path, GOOD)
    before.keep_up(store, SHOP)

    after, _ = process(tmp_path, '[[alert]]\nname = "A"\nwhen = "errors"\n')
    after.keep_up(store, SHOP)

    assert ["A"] == names(after)


def test_code_may_name_channels_of_a_file_that_cannot_be_read(
    store: Store, tmp_path: Path
) -> None:
    """The host starts: what is wrong is in the file, and not in the code."""
    code = Settings(alerts=[Alert("Mine", when="errors > 1", channels="oncall", quiet_while="A")])
    before, _ = process(tmp_path, GOOD, code)
    before.keep_up(store, SHOP)

    after, _ = process(tmp_path, BROKEN, code)
    after.keep_up(store, SHOP)

    assert sorted([*OF_GOOD, "Mine"]) == names(after)
    assert not any("Mine" in problem for problem in after.problems)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"v":2,"rules":7}', '{"v":1}', '{"v":1,"rules":["{","[]","7"]}', "null"],
)
def test_what_cannot_be_read_of_what_was_kept_is_left_out(text: str) -> None:
    """A newer version may have written it."""
    assert () == LastGood.from_text(text, slot_s=10.0).rules


def test_a_newer_form_still_says_whom_to_tell() -> None:
    """Names are read whatever the form of the rules."""
    found = LastGood.from_text('{"v":2,"rules":7,"channels":["a"]}', slot_s=10.0)

    assert ("a",) == found.channels
