"""`watchkeeper deploy`."""

import getpass
import json
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


@pytest.mark.parametrize("name", ["v" * 201, "v1\nv2", "v\x1b[31m1"])
def test_a_name_that_could_not_be_kept_is_refused(file: Path, name: str):
    """Too long, or with characters that steer a terminal: nothing is marked."""
    result = deploy(file, name)

    assert 64 == result.exit_code
    assert "at most 200 characters, all of them printable" in result.stderr
    assert "no release is marked\n" == deploy(file).stdout


def test_what_is_back_is_named(file: Path):
    """Without a name --again would list the marks, and a pipeline go on."""
    result = deploy(file, "--again")

    assert 64 == result.exit_code
    assert "--again: which release is back?" in result.stderr


def test_a_missing_database_is_said_and_not_made(tmp_path: Path):
    """No database: exit code 3, and nothing is made."""
    missing = tmp_path / "none.db"

    result = deploy(missing, "v1")

    assert 3 == result.exit_code
    assert not missing.exists()


def test_a_mark_of_the_past_is_set(file: Path):
    """A pipeline that knows when it deployed says so: by a moment, or by how long ago it was."""
    now = time.time()

    moment = deploy(file, "v1", "--at", "2026-11-01T08:30")
    ago = deploy(file, "v2", "--at", "10m", "--json")

    assert (0, 0) == (moment.exit_code, ago.exit_code)
    told = json.loads(ago.stdout)
    assert ("v2", "new", True) == (told["release"], told["kind"], told["new"])
    assert now - 602 <= told["at"] <= now - 590
    store = open_store(str(file))
    assert 1_793_521_800.0 == store.releases(**HERE, **ALWAYS)[-1].at
    store.close()


@pytest.mark.parametrize("moment", ["soon", "2999-01-01"])
def test_what_is_to_come_cannot_be_marked(file: Path, moment: str):
    """Exit code 64."""
    result = deploy(file, "v1", "--at", moment)

    assert 64 == result.exit_code
    assert "--at: " in result.stderr


def test_a_release_that_is_back_is_marked_once_more(file: Path):
    """Only if another one was live meanwhile."""
    for number, name in enumerate(("v1", "v2")):
        deploy(file, name, "--at", f"{9 - number}m")

    back = deploy(file, "v1", "--again", "--json")
    twice = deploy(file, "v1", "--again")

    assert (True, "return") == tuple(json.loads(back.stdout)[key] for key in ("new", "kind"))
    assert "v1 is marked already" in twice.stdout


def test_marks_are_listed(file: Path):
    """Without a name, newest first, with who set them and what is back."""
    empty = deploy(file)
    deploy(file, "v1", "--at", "2026-11-01T08:30")
    deploy(file, "v2", "--at", "2026-11-02T08:30")
    deploy(file, "v1", "--at", "2026-11-03T08:30", "--again")

    listed = deploy(file)
    since = deploy(file, "--at", "2026-11-02", "--json")

    who = f"by cli {getpass.getuser()}"
    assert "no release is marked\n" == empty.stdout
    assert [
        f"2026-11-03 08:30:00 UTC  v1   again, {who}",
        f"2026-11-02 08:30:00 UTC  v2   {who}",
        f"2026-11-01 08:30:00 UTC  v1   {who}",
    ] == listed.stdout.splitlines()
    assert ["v1", "v2"] == [one["release"] for one in json.loads(since.stdout)["releases"]]


def test_a_mark_under_a_name_that_nobody_has_is_warned_of(file: Path):
    """The wrong service is a slip that would otherwise show when the mark is missed."""
    store = open_store(str(file))
    store.register(Scope(service="tea", environment="production"), host="a", pid=1, at=1.0)
    store.close()

    result = deploy(file, "v2.31")

    assert 0 == result.exit_code
    assert "nobody has written as shop (staging) here; there is tea (production)" in result.stderr
