"""`watchkeeper deploy`."""

import getpass
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from watchkeeper.cli import watchkeeper
from watchkeeper.core.metrics import Scope
from watchkeeper.storage import open_store

HERE = {"service": "shop", "environment": "staging"}
ALWAYS = {"since": 0.0, "until": 1e12, "limit": 9}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database of an application that ran once."""
    path = tmp_path / "watchkeeper.db"
    store = open_store(str(path))
    store.migrate()
    store.close()
    return path


def deploy(file: Path, *arguments: str):
    """Run the verb on the shop's staging."""
    options = ["--db", str(file), "--service", "shop", "--environment", "staging"]
    return CliRunner().invoke(watchkeeper, ["deploy", *options, *arguments])


def test_a_release_is_marked_by_hand(file: Path):
    """The mark tells when and by whom, and so does the audit."""
    began = time.time()

    result = deploy(file, "v2.31")

    assert (0, "v2.31 is marked; shop (staging), sqlite watchkeeper.db\n") == (
        result.exit_code,
        result.stdout,
    )
    store = open_store(str(file))
    (mark,) = store.releases(**HERE, **ALWAYS)
    (entry,) = store.audits(**HERE, **ALWAYS)
    store.close()
    who = f"cli {getpass.getuser()}"
    assert ("v2.31", who) == (mark.scope.release, mark.by)
    assert began <= mark.at <= time.time()
    assert ("release.mark", who, "v2.31") == (entry.action, entry.actor, entry.target)


def test_a_release_that_is_marked_keeps_its_mark(file: Path):
    """Whoever comes second is told so, and nothing is written."""
    store = open_store(str(file))
    scope = Scope(service="shop", environment="staging", release="v2.31")
    store.register(scope, host="web-1", pid=1, at=100.0)

    result = deploy(file, "v2.31")

    assert (0, "v2.31 is marked already; shop (staging), sqlite watchkeeper.db\n") == (
        result.exit_code,
        result.stdout,
    )
    (mark,) = store.releases(**HERE, **ALWAYS)
    assert (100.0, "") == (mark.at, mark.by)
    assert [] == store.audits(**HERE, **ALWAYS)
    store.close()


def test_a_release_needs_a_name(file: Path):
    """An empty variable in a deployment script is a mistake, told with its code."""
    result = deploy(file, " ")

    assert 64 == result.exit_code
    assert "a release needs a name" in result.stderr


def test_a_missing_database_is_said_and_not_made(tmp_path: Path):
    """No database: exit code 3, and nothing is made."""
    missing = tmp_path / "none.db"

    result = deploy(missing, "v1")

    assert 3 == result.exit_code
    assert not missing.exists()
