"""The command line as a whole: help, errors and exit codes."""

import subprocess
import sys
from importlib import import_module

import click
import pytest
from click.testing import CliRunner

from watchkeeper.cli import watchkeeper
from watchkeeper.cli.verbs import VERBS, Verbs
from watchkeeper.exceptions import ConfigurationError, StorageError, WatchkeeperError


def test_help_lists_every_verb_with_one_line():
    """The help page names each verb and says what it does."""
    result = CliRunner().invoke(watchkeeper, ["--help"])

    assert result.exit_code == 0
    for name, verb in VERBS.items():
        assert any(name in line and verb.help in line for line in result.output.splitlines())


def test_without_a_verb_the_help_is_shown():
    """Typing the bare name is a question, not a mistake."""
    result = CliRunner().invoke(watchkeeper, [])

    assert result.exit_code == 0
    assert "Verbs:" in result.output


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_explains_itself(name: str):
    """Each verb has a help page that begins with what it does."""
    result = CliRunner().invoke(watchkeeper, [name, "--help"])

    assert result.exit_code == 0
    assert import_module(f"watchkeeper.cli.{VERBS[name].module}").command.help


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["statsu"], "No such command 'statsu'. Did you mean 'status'? See: watchkeeper --help"),
        (["status", "--xyz"], "No such option '--xyz'. See: watchkeeper status --help"),
        (["errors", "shwo"], "Did you mean 'show'?"),
        (["demo", "--port", "x"], "'x' is not a valid integer"),
    ],
)
def test_wrong_usage_is_one_line_and_64(args: list[str], said: str):
    """What is not understood is told in words, with where to read on."""
    result = CliRunner().invoke(watchkeeper, args, prog_name="watchkeeper")

    assert result.exit_code == 64
    assert said in result.stderr
    assert 1 == result.stderr.count("\n")


def test_the_version_is_an_option_too():
    """Who tries `--version` first is answered as by the verb."""
    asked, verb = (CliRunner().invoke(watchkeeper, [word]) for word in ("--version", "version"))

    assert 0 == asked.exit_code
    assert verb.output == asked.output


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("slot: wrong"), 64),
        (StorageError("database away"), 3),
        (WatchkeeperError("no luck"), 1),
    ],
)
def test_errors_are_one_line_and_a_code(error: WatchkeeperError, code: int):
    """An error is one line on standard error and a code for scripts; never a traceback."""

    class Failing(Verbs):
        """A group whose only verb fails."""

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            """Return a verb that raises."""

            @click.command()
            def fail() -> None:
                raise error

            return fail

    result = CliRunner().invoke(Failing("watchkeeper"), ["anything"])

    assert result.exit_code == code
    assert result.stderr == f"watchkeeper: {error}\n"
    assert result.stdout == ""


def test_version_names_the_package():
    """The version is what the installed package says."""
    result = CliRunner().invoke(watchkeeper, ["version"])

    assert result.exit_code == 0
    assert result.output.startswith("watchkeeper 0.")


def test_the_help_page_imports_no_verb():
    """Asking for help is quick: neither SQLAlchemy nor rich is imported for it."""
    code = (
        "import sys\n"
        "from watchkeeper.cli import watchkeeper\n"
        "try:\n"
        "    watchkeeper.main(['--help'], prog_name='watchkeeper')\n"
        "except SystemExit:\n"
        "    pass\n"
        "print([name for name in ('sqlalchemy', 'rich', 'jinja2') if name in sys.modules])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.splitlines()[-1] == "[]"
