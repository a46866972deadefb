"""`watchkeeper rules`."""

import json
import time
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kept import OURS, http, requests
from stored import frame

from watchkeeper.cli import watchkeeper
from watchkeeper.core.slot import slot_start
from watchkeeper.core.verdicts import Basis
from watchkeeper.runtime import idle_rules
from watchkeeper.storage import open_store
from watchkeeper.storage.store import AlertChange, AlertRow

HERE = {"service": "shop", "environment": "production"}
FILE = """\
service = "shop"
[channels.oncall]
type = "log"
[[alert]]
name = "Slow responses"
when = "p95 > 2s"
[[alert]]
name = "Mine"
when = "errors > 5"
shadow = true
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with settings and the database of an application that ran once."""
    (tmp_path / "watchkeeper.toml").write_text(FILE, "utf-8")
    store = open_store(str(tmp_path / "watchkeeper.db"))
    store.migrate()
    store.close()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, stdin: str | None = None) -> Result:
    """Run the verb."""
    return CliRunner().invoke(watchkeeper, ["rules", *arguments], input=stdin)


def data(*arguments: str, stdin: str | None = None):
    """Run the verb for JSON."""
    result = run(*arguments, "--json", stdin=stdin)
    assert 0 == result.exit_code, result.output
    return json.loads(result.stdout)


def listed() -> dict[str, tuple[str, str]]:
    """Where each rule comes from, and how it is."""
    return {rule["name"]: (rule["origin"], rule["state"]) for rule in data("list")["rules"]}


def put(folder: Path, rule: str, group: str, state: str) -> None:
    """Store the state of an instance, as an evaluation would."""
    store = open_store(str(folder / "watchkeeper.db"))
    row = AlertRow(**HERE, rule=rule, group=group, state=state, data={})
    assert store.save_alert(AlertChange(row=row), at=1.0) is not None
    store.close()


def test_a_rule_that_cannot_judge_is_not_listed_as_well(folder: Path):
    """Nothing that it measures was ever written, or there is no week to compare with."""
    store = open_store(f"sqlite:///{folder / 'watchkeeper.db'}")
    bases = {"Disk": Basis.NO_DATA, "No traffic": Basis.NO_HISTORY}
    idle_rules.write(store, bases, service=HERE["service"], environment=HERE["environment"])
    store.close()

    rules = listed()
    told = run("explain", "Disk").stdout

    assert "no data" == rules["Disk"][1]
    assert "no earlier week yet" == rules["No traffic"][1]
    assert told.startswith("Disk: no data")


def test_rules_are_listed_with_origin_and_state(folder: Path):
    """Each rule says where it comes from and how it is now."""
    put(folder, "Slow responses", "", "firing")
    put(folder, "Memory", 'host="a"', "firing")
    put(folder, "Memory", 'host="b"', "recovering")
    put(folder, "CPU", "", "pending")
    run("disable", "Disk")

    result = run("list")

    rules = listed()
    assert ("file", "firing") == rules["Slow responses"]
    assert ("pack", "firing (2)") == rules["Memory"]
    assert ("pack", "pending") == rules["CPU"]
    assert ("database", "off") == rules["Disk"]
    assert ("pack", "ok") == rules["No traffic"]
    assert 0 == result.exit_code
    assert "Mine" in result.stdout
    assert "ok (shadow)" in result.stdout
    assert "rules in the application's code are not known here" in result.stderr


def test_without_a_database_nothing_is_called_ok(folder: Path):
    """What is not known is not shown as green."""
    (folder / "watchkeeper.db").unlink()

    result = run("list", "--json")
    explained = run("explain", "cpu")

    shown = json.loads(result.stdout)
    assert 1 == result.exit_code
    assert {"unknown"} == {rule["state"] for rule in shown["rules"]}
    assert "rules in the database are not known" in shown["problems"][0]
    assert "CPU: unknown" == explained.stdout.splitlines()[0]


def test_a_rule_is_explained(folder: Path):
    """Sentences say when it fires, when it ends, who is told, and where it comes from."""
    run("set", "-", stdin='{"name": "Slow responses", "when": "p95 > 3s"}')

    result = run("explain", "slow Responses")

    assert 0 == result.exit_code
    assert [
        "Slow responses: ok",
        "  Fires when p95 of the response time is above 3 s in the last 1 min or 5 min, "
        "once that is statistically certain, from 3 on (warning).",
        "  Ends when p95 of the response time is below 2.4 s for 2 min.",
        "  Tells oncall, again every 4 h.",
        "  It is of the database; reset brings back that of the file.",
    ] == result.stdout.splitlines()
    assert "It is of the pack." == data("explain", "CPU")["sentences"][-1]


def test_a_name_that_is_none_is_told_with_the_nearest(folder: Path):
    """A slip costs no search."""
    for verb in ("explain", "disable", "enable", "reset"):
        result = run(verb, "Memry")

        assert 64 == result.exit_code
        assert "there is no rule 'Memry'; did you mean 'Memory'?" in result.stderr


def test_a_file_is_checked_without_a_database(folder: Path):
    """Each rule is explained; a mistake has file and line, and the exit code says so."""
    (folder / "watchkeeper.db").unlink()
    (folder / "other.toml").write_text(
        '[[alert]]\nname = "A"\nwhen = "errors > 5"\n\n[[alert]]\nname = "B"\nfor = "5m"\n'
    )

    right, wrong = run("check"), run("check", "other.toml")

    assert 0 == right.exit_code
    assert ["✔ Slow responses", "✔ Mine"] == [
        line for line in right.stdout.splitlines() if line.startswith("✔")
    ]
    assert 64 == wrong.exit_code
    assert "✔ A" in wrong.stdout
    assert (
        "✘ other.toml:7: alert[1].for: unknown key; write 'hold'; this rule is off\n"
        == wrong.stderr
    )
    shown = run("check", "other.toml", "--json")
    assert 64 == shown.exit_code
    assert ["A"] == [rule["name"] for rule in json.loads(shown.stdout)["rules"]]


def test_a_misspelt_channel_is_marked_and_left_out(folder: Path):
    """It says who is told instead: the other channels of the rule, else those of its severity."""
    (folder / "other.toml").write_text(
        '[channels.ops]\ntype = "log"\n[channels.team]\ntype = "log"\n'
        '[routing]\nwarning = ["team"]\n'
        '[[alert]]\nname = "A"\nwhen = "errors > 5"\nchannels = ["opps", "ops"]\n'
        '[[alert]]\nname = "B"\nwhen = "errors > 5"\nchannels = ["opps"]\n',
        "utf-8",
    )

    result = run("check", "other.toml")

    shown = [line.strip().split(",")[0] for line in result.stdout.splitlines()]
    assert ["✘ A", "Tells ops", "✘ B", "Tells team"] == [
        line for line in shown if line.startswith(("✘", "✔", "Tells"))
    ]
    assert 2 == result.stderr.count("there is no channel 'opps'; did you mean 'ops'?")


def test_an_empty_file_says_what_to_write(folder: Path):
    """Nothing wrong, and nothing there."""
    (folder / "empty.toml").write_text("", "utf-8")

    result = run("check", "empty.toml")

    assert (0, "there is no rule in empty.toml; write [[alert]] tables\n") == (
        result.exit_code,
        result.stdout,
    )


def test_what_is_exported_can_be_set(folder: Path):
    """TOML and JSON go out and come in again, as they are."""
    before = data("explain", "Disk")["hash"]
    toml = run("export", "disk", "Memory").stdout

    assert ["Disk", "Memory"] == [one["name"] for one in tomllib.loads(toml)["alert"]]
    assert ["Disk", "Memory"] == [one["name"] for one in data("set", "-", stdin=toml)]
    assert before == data("explain", "Disk")["hash"]
    exported = run("export", "--json").stdout
    assert len(listed()) == len(data("set", "-", stdin=exported))
    assert {"database"} == {origin for origin, _ in listed().values()}


def test_a_rule_is_changed_and_reset(folder: Path):
    """The database wins, until it is taken out again; who did it is written down."""
    (folder / "rule.toml").write_text('[[alert]]\nname = "Mine"\nwhen = "errors > 9"\n')

    said = [
        run("set", "rule.toml").stdout,
        run("disable", "mine").stdout,
        run("enable", "MINE").stdout,
        run("reset", "mine").stdout,
    ]

    follows = "every worker follows with its next evaluation"
    assert [
        f"Mine is set; {follows}\n",
        f"Mine is off; {follows}\n",
        f"Mine is on; {follows}\n",
        "Mine is that of the file again\n",
    ] == said
    history = run("history", "mine").stdout
    assert ["rule.reset", "rule.enable", "rule.disable", "rule.set"] == [
        line.split()[3] for line in history.splitlines() if " UTC " in line
    ]
    assert '    when: "errors > 5" → "errors > 9"' in history
    assert "rule.reset" == data("history", "Mine")[0]["action"]
    assert "nobody has changed CPU in the database\n" == run("history", "CPU").stdout


def test_a_rule_of_the_database_alone_is_gone_after_a_reset(folder: Path):
    """Nothing stands below it."""
    run("set", "-", stdin='{"name": "New", "on": "issue.new"}')
    run("set", "-", stdin='{"name": "Other", "on": "issue.new"}')

    assert "New is gone; it was in the database only\n" == run("reset", "New").stdout
    assert {"name": "Other", "origin": None} == data("reset", "Other")
    assert {"name": "Mine", "enabled": False} == {
        key: value for key, value in data("disable", "Mine")[0].items() if key != "hash"
    }
    assert [True] == [one["enabled"] for one in data("enable", "Mine")]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ('-:3: alert[0].when: "errors >"', '[[alert]]\nname = "A"\nwhen = "errors >"\n'),
        ("-: alert[0]: an alert is a table", "[7]"),
        ("-: is neither TOML nor JSON", "name = "),
        ("-: is neither TOML nor JSON", "[" * 100_000),
        ("-: there is no rule in it", ""),
        ("-: holds 'service'; only rules are stored", 'service = "x"'),
        ("-: has more than 1000000 bytes", " " * 1_000_001),
        ("there is no channel 'x'", '{"name": "A", "on": "issue.new", "channels": "x"}'),
        (
            "there is no rule 'B'",
            '[{"name": "C", "on": "issue.new"}, '
            '{"name": "A", "on": "issue.new", "quiet_while": "B"}]',
        ),
    ],
)
def test_what_is_wrong_is_not_stored(message: str, text: str, folder: Path):
    """All rules of a file are set, or none."""
    result = run("set", "-", stdin=text)

    assert 64 == result.exit_code
    assert message in result.stderr
    assert "database" not in {origin for origin, _ in listed().values()}


MISSPELT = """\
service = "shop"
[[alert]]
name = "Checkout"
when = 'error_rate{route="/chekout"} > 5%'
"""


def test_what_was_never_recorded_is_hinted_at(folder: Path):
    """By check and list, where a database holds data; nothing is wrong with the rule itself."""
    (folder / "watchkeeper.toml").write_text(MISSPELT, "utf-8")

    before = run("check")
    store = open_store(str(folder / "watchkeeper.db"))
    series = http(method="GET", route="/checkout", status="200")
    start = slot_start(time.time() - 60, 10)
    store.add_frames([frame(start, 1, values={series: requests(0.1)})])
    store.close()
    after, listed_now = run("check"), run("list")

    assert "!" not in before.stderr
    assert (0, 0) == (after.exit_code, listed_now.exit_code)
    for shown in (after, listed_now):
        assert "! Checkout: route = '/chekout' was never recorded" in shown.stderr
        assert "did you mean '/checkout'?" in shown.stderr
    assert 1 == len(data("check")["hints"])
    assert 1 == len(data("list")["hints"])


def test_hints_are_looked_up_where_it_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """A check of rules elsewhere, as in a pipeline, names database and service."""
    (folder / "rules").mkdir()
    (folder / "rules" / "rules.toml").write_text(MISSPELT.replace('service = "shop"', ""))
    store = open_store(str(folder / "watchkeeper.db"))
    series = http(method="GET", route="/checkout", status="200")
    store.add_frames([frame(slot_start(time.time() - 60, 10), 1, values={series: requests(0.1)})])
    store.close()
    monkeypatch.chdir(folder / "rules")

    here = data("check", "rules.toml")
    there = data("check", "rules.toml", "--db", str(folder / "watchkeeper.db"), *OURS)

    assert (0, 1) == (len(here["hints"]), len(there["hints"]))


def test_a_silence_for_no_rule_is_hinted_at(folder: Path):
    """It is set, for the rule may be one of the code; the nearest name is told."""
    arguments = ["silence", "add", "--rule", "Slow response", "--rule", "Min*", "--for", "1h"]

    shown = CliRunner().invoke(watchkeeper, arguments)

    assert 0 == shown.exit_code, shown.output
    assert "there is no rule 'Slow response'; did you mean 'Slow responses'?" in shown.stderr
    assert "Min*" not in shown.stderr


def test_where_no_terminal_is_a_rule_is_one_line(folder: Path):
    """What is piped can be searched by line: no condition is broken, nothing trails."""
    done = run("list")

    (line,) = [one for one in done.stdout.splitlines() if one.startswith("Job failed")]
    assert 'share(job_duration_seconds{outcome="failed"}) >= 20%' in line
    assert not [one for one in done.stdout.splitlines() if one != one.rstrip()]
