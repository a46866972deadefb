"""`watchkeeper config show` and `watchkeeper config check`."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from watchkeeper.cli import watchkeeper
from watchkeeper.cli.config import masked


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without settings, and wide output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("WATCHKEEPER_DATABASE_URL", "WATCHKEEPER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def lines_of(output: str) -> dict[str, list[str]]:
    """Take the table apart: setting → its columns."""
    rows = [line.split() for line in output.splitlines() if line.strip()]
    return {row[0]: row[1:] for row in rows}


def test_each_value_is_shown_with_its_origin(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Defaults, file and environment are told apart."""
    (folder / "watchkeeper.toml").write_text('service = "shop"\nslot = "5s"\n')
    monkeypatch.setenv("WATCHKEEPER_SLOT", "2s")

    result = CliRunner().invoke(watchkeeper, ["config", "show"])

    assert result.exit_code == 0
    rows = lines_of(result.stdout)
    assert rows["service"] == ["shop", "file"]
    assert rows["slot"] == ["2s", "environment"]
    assert rows["hold"] == ["1h", "default"]


def test_secrets_are_masked(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """No password, key or address of a hook is shown."""
    (folder / "watchkeeper.toml").write_text(
        'database_url = "postgresql://shop:hunter2@db/shop"\n'
        'password = "hunter2"\n'
        "[channels.team]\n"
        'type = "webhook"\n'
        'url = "https://hooks.example/T0/hunter2"\n'
        'secret = "hunter2"\n'
    )
    monkeypatch.setenv("WATCHKEEPER_SECRET_KEY", "hunter2")

    result = CliRunner().invoke(watchkeeper, ["config", "show"])

    assert "hunter2" not in result.output
    assert "postgresql://***@db/shop" in result.output
    assert "https://hooks.example/***" in result.output


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("database_url", "sqlite:///shop.db", "sqlite:///shop.db"),
        ("database_url", "shop.db", "shop.db"),
        (
            "database_url",
            "postgresql://a:p@h/d?password=x&a=b",
            "postgresql://***@h/d?password=***&a=b",
        ),
        ("url", "https://h/x?y=z", "https://h/***"),
        ("url", "https://h", "https://h"),
        ("url", "https://a:p@h:8443/x", "https://***@h:8443/***"),
        ("url", "tgram://123:token/chat", "tgram://***"),
        ("url", "hush", "***"),
        ("url", "", ""),
        ("urls", ["json://a:p@h/x", "https://h/x"], "[json://***, https://h/***]"),
        ("heartbeat_url", "https://h/ping/token", "https://h/***"),
        ("routing", {"critical": ["a", "b"]}, "{critical = [a, b]}"),
        ("password", "", ""),
        ("enabled", None, ""),
        ("dashboard", True, "true"),
    ],
)
def test_values_are_shown_plainly(name: str, value: object, shown: str):
    """Values are shown as in a file, without what is secret in them."""
    assert masked(name, value) == shown


def test_good_settings_pass(folder: Path):
    """Nothing wrong: one line and exit code 0."""
    result = CliRunner().invoke(watchkeeper, ["config", "check"])

    assert result.exit_code == 0
    assert result.stdout.startswith("✔")


def test_everything_wrong_is_told_with_its_place(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Each mistake is a line with file, line and cure; the exit code is 64."""
    (folder / "watchkeeper.toml").write_text(
        'servise = "shop"\n'
        "[channels.team]\n"
        'type = "webhok"\n'
        "[[alert]]\n"
        'name = "High error rate"\n'
        'when = "error_rate > 5"\n'
    )
    monkeypatch.setenv("WATCHKEEPER_SLOT", "7s")

    result = CliRunner().invoke(watchkeeper, ["config", "check"])

    assert result.exit_code == 64
    assert (
        'watchkeeper.toml:1: unknown setting "servise"; did you mean "service"?' in result.stderr
    )
    assert "watchkeeper.toml:6" in result.stderr
    assert "WATCHKEEPER_SLOT" in result.stderr
    assert "channels.team.type" in result.stderr


def test_a_wrong_health_check_is_told_with_its_line(folder: Path):
    """A check that would be off is found before the start."""
    (folder / "watchkeeper.toml").write_text('[health.checks.mail]\ntype = "mial"\n')

    result = CliRunner().invoke(watchkeeper, ["config", "check"])

    assert 64 == result.exit_code
    assert "watchkeeper.toml:2: health.checks.mail.type: 'mial' is not" in result.stderr


def test_a_rule_is_checked_with_the_slots_that_are_set(folder: Path):
    """A window that is fine for short slots is fine, and one that is too short is not."""
    rule = '[[alert]]\nname = "Fast"\nwhen = "error_rate > 5%"\nover = "10s"\n'
    (folder / "watchkeeper.toml").write_text(f'slot = "1s"\n{rule}')

    result = CliRunner().invoke(watchkeeper, ["config", "check"])

    assert result.exit_code == 0


def test_a_verb_does_not_guess_what_the_file_cannot_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Exit code 64 with the cure; an option is as good as the line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "watchkeeper.toml").write_text("service = shop\n")

    guessed = CliRunner().invoke(watchkeeper, ["deploy", "v1"])
    named = CliRunner().invoke(watchkeeper, ["deploy", "v1", "--service", "shop"])

    assert 64 == guessed.exit_code
    assert "WATCHKEEPER_SERVICE" in guessed.stderr
    assert "there is no database" in named.stderr
