"""Settings from code, environment and file: who wins, and what a mistake says."""

import json
import re

import pytest

from watchkeeper.core.scrub import scrub_text
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.settings import UNREADABLE_FILE, Origin, Settings, load

FILE = """
database_url = "file.db"
environment = "staging"
release = "from-file"
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with a watchkeeper.toml that tests overwrite."""
    (tmp_path / "watchkeeper.toml").write_text(FILE)
    return tmp_path


def loaded(folder, code=None, **environ):
    return load(code, environ=environ, directory=folder)


def test_code_wins_over_environment_over_file_over_defaults(folder):
    """Each setting comes from the strongest source that names it, and says from which."""
    result = loaded(
        folder,
        Settings(release="from-code"),
        WATCHKEEPER_RELEASE="from-environment",
        WATCHKEEPER_ENVIRONMENT="test",
    )

    assert ("from-code", Origin.CODE) == (result.settings.release, result.origins["release"])
    assert ("test", Origin.ENVIRONMENT) == (
        result.settings.environment,
        result.origins["environment"],
    )
    assert Origin.FILE == result.origins["database_url"]
    assert ("/watchkeeper", Origin.DEFAULT) == (
        result.settings.dashboard_prefix,
        result.origins["dashboard_prefix"],
    )


def test_a_default_written_in_code_still_wins(folder):
    """Writing down the default in code is saying it."""
    result = loaded(folder, Settings(environment="production"))

    assert "production" == result.settings.environment


def test_relative_database_paths_start_at_the_file(folder):
    """A database named in a file lies beside that file, wherever the process was started."""
    below = folder / "src" / "shop"
    below.mkdir(parents=True)

    result = loaded(below)

    assert str(folder / "file.db") == result.settings.database_url


@pytest.mark.parametrize(
    ("written", "expected"), [("spools", "{}/spools"), ("/data", "/data"), ("off", "off")]
)
def test_a_relative_folder_for_spools_starts_at_the_file(folder, written, expected):
    """The folder lies beside the file that names it; `off` is no folder."""
    (folder / "watchkeeper.toml").write_text(f'spool = "{written}"\n')

    assert expected.format(folder) == loaded(folder).settings.spool


def test_pyproject_is_read_where_there_is_no_own_file(tmp_path):
    """[tool.watchkeeper] in pyproject.toml says the same in the same words."""
    (tmp_path / "pyproject.toml").write_text('[tool.watchkeeper]\nservice = "shop"\n')

    assert "shop" == loaded(tmp_path).settings.service


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            'retension_days = 3\nkeep_slot = "3h"',
            'watchkeeper.toml:2: unknown setting "keep_slot"; did you mean "keep_slots"?',
        ),
        (
            'environment = "x"\nhold = "long"',
            "watchkeeper.toml:2: hold: 'long' is not a duration",
        ),
        (
            '[[alert]]\nname = "Errors"\n\nwhen = "error_rate > 5"\n',
            'watchkeeper.toml:4: alert[0].when: "error_rate > 5" — a rate is a share: write 5%',
        ),
        ("service = ", "watchkeeper.toml:1: cannot be read"),
        (
            "[capture]\nlog = false\n",
            'watchkeeper.toml:2: in [capture], unknown setting "log"; did you mean "logs"?',
        ),
        ("capture = false\n", "watchkeeper.toml:1: write a table: [capture]"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_with_its_place(tmp_path, text, problem):
    """A wrong value in a file names file, line and cure; the default holds, the host starts."""
    (tmp_path / "watchkeeper.toml").write_text(text)

    result = loaded(tmp_path)

    assert any(problem in line for line in result.problems), result.problems
    assert "1h" == result.settings.hold
    assert () == tuple(result.settings.alerts)


def test_what_is_captured_has_a_table_of_its_own(folder):
    """`[capture]` holds the settings that begin with that word."""
    (folder / "watchkeeper.toml").write_text("[capture]\nlogs = false\ncrashes = false\n")

    result = loaded(folder)

    assert (False, True, True, False) == (
        result.settings.capture_logs,
        result.settings.capture_uncaught,
        result.settings.capture_futures,
        result.settings.capture_crashes,
    )
    assert Origin.FILE == result.origins["capture_logs"]


def test_a_mistake_in_the_environment_is_one_line_with_its_name(folder):
    """A wrong variable is named; the default holds."""
    result = loaded(folder, WATCHKEEPER_MAX_ROUTES="many", WATCHKEEPER_DATABSE_URL="x.db")

    assert 300 == result.settings.max_routes
    assert [
        'WATCHKEEPER_DATABSE_URL: unknown setting "databse_url"; did you mean "database_url"?',
        "WATCHKEEPER_MAX_ROUTES: 'many' is not a whole number; the default is in force",
    ] == list(result.problems)


def test_a_bad_rule_does_not_take_the_good_ones_with_it(tmp_path):
    """Of two rules in a file the wrong one is off and the right one holds."""
    (tmp_path / "watchkeeper.toml").write_text(
        '[[alert]]\nname = "Bad"\nwhen = "eror_rate > 5%"\n'
        '[[alert]]\nname = "Good"\nwhen = "error_rate > 10%"\n'
    )

    result = loaded(tmp_path)

    assert ["Good"] == [alert.name for alert in result.settings.alerts]
    assert 1 == len(result.problems)


def test_a_bad_silence_does_not_take_the_good_ones_with_it(tmp_path):
    """The wrong one is off and named with its place, the right ones hold."""
    (tmp_path / "watchkeeper.toml").write_text(
        '[[silence]]\nmatch = {}\nevery = "at night"\n'
        '[[silence]]\nmatch = { severity = "warning" }\nuntil = 2026-05-02T02:00:00+02:00\n'
        '[quiet_hours]\nevery = "daily 22:00-07:00 Europe/Berlin"\n'
    )

    result = loaded(tmp_path)

    assert [{"severity": "warning"}] == [one["match"] for one in result.settings.silences]
    assert {"every": "daily 22:00-07:00 Europe/Berlin"} == result.settings.quiet_hours
    (problem,) = result.problems
    assert problem.startswith("watchkeeper.toml:3: silence[0].every: 'at night' is no time")
    assert problem.endswith("; this silence is off")


def test_nested_values_in_the_environment_are_json(folder):
    """Channels and rules can be given as JSON."""
    result = loaded(
        folder,
        WATCHKEEPER_CHANNELS=json.dumps({"ops": {"type": "log"}}),
        WATCHKEEPER_ALERTS=json.dumps([{"name": "Errors", "when": "error_rate > 5%"}]),
        WATCHKEEPER_DASHBOARD="no",
    )

    assert () == result.problems
    assert {"ops": {"type": "log"}} == result.settings.channels
    assert ["Errors"] == [alert.name for alert in result.settings.alerts]
    assert result.settings.dashboard is False


def test_values_are_fetched_from_the_environment(tmp_path):
    """`env:NAME` keeps secrets out of the file."""
    (tmp_path / "watchkeeper.toml").write_text(
        'secret_key = "env:KEY"\n[channels.ops]\ntype = "webhook"\nurl = "env:OPS_URL"\n'
    )

    result = loaded(tmp_path, KEY="s3cret", OPS_URL="https://ops.example/hook")

    assert "s3cret" == result.settings.secret_key
    assert "https://ops.example/hook" == result.settings.channels["ops"]["url"]


def test_a_missing_variable_is_named(tmp_path):
    """A reference to a variable that is not set is a problem, not a silent empty text."""
    (tmp_path / "watchkeeper.toml").write_text(
        '[channels.ops]\ntype = "log"\nurl = "env:NO_TOKEN"\n'
    )

    (told,) = loaded(tmp_path).problems

    assert 'there is no environment variable NO_TOKEN for "env:NO_TOKEN"' == told
    assert told == scrub_text(told)  # as the log shows it


@pytest.mark.parametrize(
    ("code", "environ", "enabled"),
    [
        (None, {}, True),
        (None, {"PYTEST_CURRENT_TEST": "test_shop.py"}, False),
        (Settings(enabled=True), {"PYTEST_CURRENT_TEST": "test_shop.py"}, True),
        (Settings(enabled=False), {}, False),
        (Settings(enabled=True), {"WATCHKEEPER_ENABLED": "0"}, False),
        (None, {"WATCHKEEPER_ENABLED": "1", "PYTEST_CURRENT_TEST": "x"}, True),
    ],
)
def test_the_kill_switch_wins_over_all(tmp_path, code, environ, enabled):
    """WATCHKEEPER_ENABLED=0 switches off whatever code says; tests are off unless asked for."""
    assert enabled is load(code, environ=environ, directory=tmp_path).enabled


def test_a_wrong_route_to_a_channel_in_the_file_is_a_problem(tmp_path):
    """Routing to a channel that does not exist is said; every channel gets everything then."""
    (tmp_path / "watchkeeper.toml").write_text('[routing]\ncritical = ["oncall"]\n')

    result = loaded(tmp_path)

    assert {} == result.settings.routing
    problem = "watchkeeper.toml:2: routing.critical: there is no channel 'oncall'; "
    assert result.problems[0].startswith(problem)


def test_what_code_says_wrongly_raises(tmp_path):
    """Routing in code to a channel that does not exist raises at start."""
    with pytest.raises(ConfigurationError, match="there is no channel"):
        loaded(tmp_path, Settings(routing={"critical": ["oncall"]}))


def test_release_is_found_in_the_usual_variables(tmp_path):
    """Without a setting the release is what the platform says."""
    assert "abc123" == loaded(tmp_path, GIT_SHA="abc123").settings.release


def test_the_table_capture_holds_the_settings_of_errors(tmp_path):
    """`[capture]` is a place for them; others, and mistakes, are told with their line."""
    (tmp_path / "watchkeeper.toml").write_text(
        '[capture]\nfingerprint_frames = 1\nin_app_include = ["shop"]\nfingerprint_frame = 1\n'
        'fingerprint_transparent = "shop.util.*"\nslot = "5s"\n'
    )

    found = loaded(tmp_path)

    assert (1, ["shop"], "10s") == (
        found.settings.place_frames,
        found.settings.in_app_include,
        found.settings.slot,
    )
    assert [
        'watchkeeper.toml:4: in [capture], unknown setting "fingerprint_frame"; did you mean '
        '"fingerprint_frames"?',
        "watchkeeper.toml:5: fingerprint_transparent: 'shop.util.*' is no list; "
        'write ["shop.util"]; the default is in force',
        "watchkeeper.toml:6: slot does not belong in [capture]",
    ] == list(found.problems)


@pytest.mark.parametrize(("text", "frames"), [("1", 1), ("2", 2), ("all", 0)])
def test_the_frames_of_a_place_can_be_set_by_a_variable(tmp_path, text, frames):
    """A number or a word, as in a file."""
    found = loaded(tmp_path, WATCHKEEPER_FINGERPRINT_FRAMES=text)

    assert (frames, ()) == (found.settings.place_frames, found.problems)


def test_a_capture_that_is_no_table_is_a_problem(tmp_path):
    """The line says what to write."""
    (tmp_path / "watchkeeper.toml").write_text("capture = 1\n")

    assert ("watchkeeper.toml:1: write a table: [capture]",) == loaded(tmp_path).problems


@pytest.mark.parametrize(
    ("text", "environ"),
    [("service = ", {}), ("", {"WATCHKEEPER_ALERTS": "[{"})],
)
def test_rules_that_cannot_be_read_at_all_count_as_unreadable(tmp_path, text, environ):
    """Whoever evaluates knows then that there are rules of which nothing is known."""
    (tmp_path / "watchkeeper.toml").write_text(text)

    result = load(environ=environ, directory=tmp_path)

    assert (UNREADABLE_FILE,) == result.unreadable


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ("test", 'environment = "test"\nhold = '),
        ("test", 'environment = "test"\n[channels.a]\ntype = "log"\n[channels.b]\ntype ='),
        ("test", 'environment = "test"\n[channels.a]\ntype = "log"\n[channels.b\n'),
        ("test", 'environment = "test"\n[capture]\nlogs = """\n[channels.a]\ntype = "log"\n'),
        ("test", 'hold = """\nenvironment = "test"\n'),
        ("test", '<<<<<<< HEAD\nenvironment = "test"\n'),
        ("test", 'hold = 24h\nenvironment = "test"\n[channels.b\n'),
        ("test", 'quiet_routes = [\n"/a"\n"/b",\n]\nslot = 1s\nenvironment = "test"\n'),
        ("test", 'quiet_routes = ["/a",\nenvironment = "test"\n[channels.a]\ntype = "log"\n'),
    ],
)
def test_what_stands_around_a_fault_of_the_file_is_in_force(tmp_path, environment, text):
    """So the process finds its database, and its rules there; the fault is told with its line."""
    (tmp_path / "watchkeeper.toml").write_text(text)

    found = loaded(tmp_path)

    assert environment == found.settings.environment
    assert re.match(r"watchkeeper.toml:\d+: cannot be read \(.*Mend it", found.problems[0])
    assert (UNREADABLE_FILE,) == found.unreadable
    assert "" == found.obstacle


def test_half_of_a_value_is_none(tmp_path):
    """A list that a line of is wrong counts as not written; what follows it is read."""
    text = 'quiet_routes = [\n"/a"\n"/b",\n]\nslot = "1s"\n'
    (tmp_path / "watchkeeper.toml").write_text(text)

    found = loaded(tmp_path)

    assert Settings().quiet_routes == found.settings.quiet_routes
    assert 1 == found.settings.slot_s


def test_a_table_of_a_project_file_is_read_around_a_fault(tmp_path):
    """Wherever the fault is: in the table, or in one before it."""
    text = '[project]\n{0}[tool.watchkeeper]\n{1}service = "shop"\n[tool.other]\nx =\n'
    for before, within in (("x =\n", ""), ("", "hold = 2h\n")):
        (tmp_path / "pyproject.toml").write_text(text.format(before, within))

        assert "shop" == loaded(tmp_path).settings.service
        assert "" == loaded(tmp_path).obstacle


@pytest.mark.parametrize(
    ("lost", "text"),
    [
        (("service",), b"service = shop\n"),
        (("service",), b'service "shop"\n'),
        (("service",), b'service = "a"\n=======\nservice = "b"\n'),
        (("service",), b'service = "caf\xe9"\n'),
        (("environment", "database_url"), b"database_url = x\nenvironment = y\n"),
        ((), b'# service = "caf\xe9"\nservice = "shop"\n'),
        ((), b"[channels.a]\nservice = x\n"),
        (("service", "database_url"), b"x\n" * 51),
    ],
)
def test_a_file_that_cannot_say_where_to_store_is_an_obstacle(tmp_path, lost, text):
    """Nothing is stored under a guessed name: what is kept under the right one is not found."""
    (tmp_path / "watchkeeper.toml").write_bytes(text)

    found = loaded(tmp_path)

    assert lost == found.lost
    assert bool(lost) == bool(found.obstacle)
    assert all(f"WATCHKEEPER_{name.upper()}" in found.obstacle for name in lost)


def test_what_the_environment_says_is_not_lost(tmp_path):
    """Where to store is known however the file is."""
    (tmp_path / "watchkeeper.toml").write_text("service = shop\n")

    assert "" == loaded(tmp_path, WATCHKEEPER_SERVICE="shop").obstacle


def test_a_file_that_cannot_be_opened_is_an_obstacle(tmp_path):
    """It may say where to store."""
    assert ("service", "database_url") == loaded(tmp_path, WATCHKEEPER_CONFIG="nosuch.toml").lost


@pytest.mark.parametrize(
    ("channels", "text"),
    [
        (["a"], '[channels.a]\ntype = "log"\n[channels.b]\ntype = "log"\nx =\n'),
        (["a", "b"], '[channels.a]\ntype = "log"\n[channels.b]\ntype = "log"\n[x\n'),
        ([], '[channels.a]\ntype = "log"\nx =\n'),
    ],
)
def test_a_table_counts_if_it_is_whole_before_the_fault(tmp_path, channels, text):
    """Half of one is none: its other keys may follow after the fault."""
    (tmp_path / "watchkeeper.toml").write_text(text)

    assert channels == list(loaded(tmp_path).settings.channels)


def test_a_file_that_is_not_utf_8_counts_up_to_there(tmp_path):
    """The line of the first wrong byte is told."""
    (tmp_path / "watchkeeper.toml").write_bytes(b'environment = "test"\n# caf\xe9\nhold = "1m"\n')

    found = loaded(tmp_path)

    assert "test" == found.settings.environment
    assert found.problems[0].startswith("watchkeeper.toml:2: cannot be read (")


def test_rules_before_a_fault_do_not_count(tmp_path):
    """They were written as a set, which is kept as it was last read whole."""
    (tmp_path / "watchkeeper.toml").write_text('[[alert]]\nname = "A"\nwhen = "errors > 1"\n[x\n')

    assert () == loaded(tmp_path).file_alerts
