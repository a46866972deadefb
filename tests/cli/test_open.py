"""`watchkeeper open`."""

import re
import sqlite3
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner
from processes import until, uvicorn

from watchkeeper.cli import watchkeeper
from watchkeeper.cli.probing import places
from watchkeeper.dashboard.access import Access, mention
from watchkeeper.storage import open_store

APP = """
import watchkeeper
from fastapi import FastAPI

app = FastAPI()
watchkeeper.watch(app, watchkeeper.Settings(enabled=True))
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database of an application that ran once."""
    monkeypatch.chdir(tmp_path)
    for name in ("WATCHKEEPER_DATABASE_URL", "WATCHKEEPER_CONFIG", "WATCHKEEPER_PUBLIC_URL"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "watchkeeper.db"
    store = open_store(str(path))
    store.migrate()
    store.close()
    return path


def test_the_link_signs_in_once(file: Path):
    """The token of the printed link is good once, and only once."""
    result = CliRunner().invoke(watchkeeper, ["open", "--db", str(file)])

    assert result.exit_code == 0
    token = parse_qs(urlsplit(result.stdout.strip()).query)["token"][0]
    store = open_store(str(file))
    access = Access()
    assert access.is_token_good(token, store, now=time.time())
    assert not access.is_token_good(token, store, now=time.time())
    store.close()


def test_the_link_is_printed_where_nobody_says_who_listens(
    file: Path, monkeypatch: pytest.MonkeyPatch
):
    """Some systems hide it: the address is a guess then."""

    def hidden(kind: str) -> list[object]:
        raise PermissionError("/proc/net/tcp")

    monkeypatch.setattr("psutil.net_connections", hidden)

    result = CliRunner().invoke(watchkeeper, ["open", "--db", str(file)])

    assert 0 == result.exit_code
    assert result.stdout.startswith("http://127.0.0.1:8000/watchkeeper/login?token=")
    assert "is a guess" in result.stderr


def test_the_link_is_all_of_standard_output(file: Path):
    """Only the link goes to standard output, so that it can be piped."""
    result = CliRunner().invoke(watchkeeper, ["open", "--db", str(file)])

    assert re.fullmatch(r"http://[^/]+/watchkeeper/login\?token=[\w.-]+\n", result.stdout)
    assert "works once, for 5 min" in result.stderr


def test_the_link_leads_to_where_the_application_listens(file: Path):
    """Nobody needs to say the port; of several applications on the machine all are named."""
    (file.parent / "shop.py").write_text(APP)

    with uvicorn("shop:app", folder=file.parent, ready="/watchkeeper/livez") as server:
        place = f"http://127.0.0.1:{server.port}"
        assert until(lambda: place in map(str, places("", watched_only=True)))
        result = CliRunner().invoke(watchkeeper, ["open"])

    assert place in result.stdout + result.stderr


def test_the_public_address_is_used(file: Path, monkeypatch: pytest.MonkeyPatch):
    """With public_url set the link leads there."""
    monkeypatch.setenv("WATCHKEEPER_PUBLIC_URL", "https://shop.example/")

    result = CliRunner().invoke(watchkeeper, ["open"])

    assert result.stdout.startswith("https://shop.example/watchkeeper/login?token=")
    assert "public_url" not in result.stderr
    assert "(from the default)" in result.stderr


def test_a_missing_database_is_said_and_not_made(tmp_path: Path):
    """No database, no link: exit code 3, and nothing is made."""
    missing = tmp_path / "none.db"

    result = CliRunner().invoke(watchkeeper, ["open", "--db", str(missing)])

    assert result.exit_code == 3
    assert "there is no database" in result.stderr
    assert not missing.exists()


def test_a_dashboard_that_is_off_is_said(file: Path, monkeypatch: pytest.MonkeyPatch):
    """A link to a dashboard that is switched off would lead nowhere."""
    monkeypatch.setenv("WATCHKEEPER_DASHBOARD", "0")

    result = CliRunner().invoke(watchkeeper, ["open"])

    assert result.exit_code == 64
    assert "dashboard: it is switched off" in result.stderr


def test_settings_in_code_are_found_by_the_module(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With --app the settings that only the code knows are used."""
    import subprocess
    import sys

    file.rename(tmp_path / "elsewhere.db")
    (tmp_path / "shopapp.py").write_text(
        "from fastapi import FastAPI\n"
        "from watchkeeper import Settings, watch\n"
        "app = FastAPI()\n"
        "watch(app, Settings(database_url='elsewhere.db', public_url='https://in.code'))\n"
    )

    done = subprocess.run(
        [sys.executable, "-m", "watchkeeper.cli", "open", "--app", "shopapp:app"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )

    assert done.stdout.startswith("https://in.code/watchkeeper/login?token=")
    assert "(from the code of shopapp:app)" in done.stderr
    assert done.returncode == 0


def test_who_made_a_link_is_written_down(file: Path):
    """The audit names the link by a part of its hash, and holds nothing that signs in."""
    result = CliRunner().invoke(watchkeeper, ["open", "--service", "shop"])

    token = parse_qs(urlsplit(result.stdout.strip()).query)["token"][0]
    store = open_store(str(file))
    (entry,) = store.audits(service="shop", environment="production", since=0, until=1e12, limit=9)
    store.close()
    assert ("link.make", f"link {mention(token)}") == (entry.action, entry.target)
    assert entry.actor.startswith("cli")
    assert token not in repr(entry)


def test_a_link_is_made_where_there_is_no_audit_yet(file: Path):
    """On tables of the schema before, which the application brings up to date, it works too."""
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TABLE wk_audit")

    result = CliRunner().invoke(watchkeeper, ["open"])

    assert result.exit_code == 0
    assert "/login?token=" in result.stdout
    assert "Traceback" not in result.stderr
