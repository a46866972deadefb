"""Tables older or newer than the application: it waits or reads, says so once, and serves on."""

import time
from pathlib import Path

import pytest
import written
from kept import run
from processes import Server, get, until, uvicorn

from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.storage import open_store

APP = """
import watchkeeper
from fastapi import FastAPI

app = FastAPI()


@app.get("/hello")
def hello() -> str:
    return "hello"


watchkeeper.watch(app, watchkeeper.Settings(
    database_url=DATABASE, service="shop", environment="test", slot="1s", flush_jitter="0s",
    open_access=True, migrate=MIGRATE,
))
"""


def shop(folder: Path, url: str, migrate: str) -> Server:
    """A watched application under uvicorn."""
    (folder / "shop.py").write_text(
        APP.replace("DATABASE", repr(url)).replace("MIGRATE", repr(migrate))
    )
    return uvicorn("shop:app", folder=folder, ready="/watchkeeper/livez")


def visit(server: Server, times: int) -> None:
    """Send requests that are answered well."""
    assert {200} == {get(f"{server.url}/hello")[0] for _ in range(times)}


@pytest.mark.slow
def test_an_application_that_may_not_change_tables_waits_for_a_person(
    sql_url: str, tmp_path: Path
):
    """It says once what to run, makes nothing, loses nothing, and goes on once that was run."""
    store = open_store(sql_url)
    needed = store.schema().known
    line = (
        f"watchkeeper: there are no tables yet, this version needs schema {needed}. "
        "Run: watchkeeper migrate; "
    )
    with shop(tmp_path, sql_url, "manual") as server:
        visit(server, 5)
        assert until(lambda: line in server.log.read_text())
        time.sleep(3)
        visit(server, 7)
        assert [] == store.tables()

        assert 0 == run("migrate", "--db", sql_url, folder=tmp_path).returncode

        assert until(
            lambda: 12 == written.counted(sql_url, HTTP_DURATION.name, slot_s=1).total(),
            within_s=40,
        ), server.log.read_text()
        assert 1 == server.log.read_text().count(line)
        assert "unreachable" not in server.log.read_text()
        assert "database is back after" in server.log.read_text()
    store.close()


@pytest.mark.slow
def test_an_older_application_reads_newer_tables_and_writes_nothing(
    sqlite_url: str, tmp_path: Path
):
    """One clear line in the log; requests and the dashboard are served; no row is written."""
    store = open_store(sqlite_url)
    known = store.migrate()
    store.set_meta("schema", str(known + 1))
    line = (
        f"watchkeeper: tables are schema {known + 1}, this version knows {known}. "
        "Upgrade watchkeeper in this process. Read-only until then."
    )
    with shop(tmp_path, sqlite_url, "auto") as server:
        visit(server, 5)
        assert until(lambda: line in server.log.read_text())
        time.sleep(3)
        visit(server, 5)

        status, _, page = get(f"{server.url}/watchkeeper/")
        assert 200 == status
        assert (
            f"This process stores nothing: {line.removeprefix('watchkeeper: ')}" in page.decode()
        )
        assert 1 == server.log.read_text().count("tables are schema")
    assert [] == store.workers(service="shop", environment="test", seen_since=0)
    assert [] == store.frames(1, since=0, until=time.time(), service="shop", environment="test")
    assert str(known + 1) == store.meta("schema")
    store.close()
