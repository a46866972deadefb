"""Every worker killed: told once from outside, and over when workers are back. Real processes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kept import run
from processes import Server, get, until, uvicorn
from receivers import Receiver
from stored import side_by_side

from watchkeeper.storage import Store, open_store

pytestmark = pytest.mark.timeout(300)

APP = """
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import watchkeeper


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


app = Starlette(routes=[Route("/", hello)])
watchkeeper.watch(app)
"""
# Workers tell nobody: what arrives was sent by the check.
SETTINGS = """
enabled = true
database_url = "sqlite:///watchkeeper.db"
service = "shop"
environment = "test"
slot = "1s"
flush_jitter = "0s"
alert_pack = false

[channels.oncall]
type = "webhook"
url = "{url}"

[[alert]]
name = "Worker missing"
when = "worker missing"
by = ["host", "worker"]
keep = "0s"
severity = "warning"
"""
SILENT_WITHIN_S = 60.0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Whom the check tells."""
    with Receiver() as running:
        yield running


@pytest.fixture
def server(tmp_path: Path, receiver: Receiver) -> Iterator[Server]:
    """Two workers of one application."""
    (tmp_path / "shop.py").write_text(APP)
    (tmp_path / "watchkeeper.toml").write_text(SETTINGS.replace("{url}", receiver.url))
    made = uvicorn("shop:app", folder=tmp_path, workers=2)
    yield made
    made.kill() if made.process and made.process.poll() is None else None


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The database of the application."""
    opened = open_store(f"sqlite:///{tmp_path / 'watchkeeper.db'}")
    opened.migrate()
    yield opened
    opened.close()


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run what cron runs."""
    environ = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    return subprocess.run(
        [sys.executable, "-m", "watchkeeper.cli", "check", "--alert"],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def live(store: Store) -> int:
    """Count the workers that have written just now."""
    workers = store.workers(service="shop", environment="test", seen_since=time.time() - 3)
    return sum(one.stopped_at is None for one in workers)


def told(receiver: Receiver) -> list[tuple[str, str]]:
    """Say what has arrived: status and worker."""
    return [
        (one.json()["status"], one.json()["alerts"][0]["labels"]["worker"])
        for one in receiver.received
    ]


def serve(server: Server, store: Store) -> None:
    """Ask until both workers write."""
    assert until(lambda: get(server.url) and live(store) == 2, within_s=30)


def test_one_message_while_all_are_dead_and_one_when_they_are_back(
    server: Server, store: Store, receiver: Receiver, tmp_path: Path
):
    """kill -9 of everything: one run tells it, the next adds nothing, coming back ends it."""
    with server:
        serve(server, store)
        fine = check(tmp_path)
        assert (0, []) == (fine.returncode, told(receiver)), fine.stdout + fine.stderr
        server.kill()
    # Only looks: whom that tells nothing is told by the next one.
    silent = until(
        lambda: run("check", folder=tmp_path).returncode == 2,
        within_s=SILENT_WITHIN_S,
        every_s=1,
    )
    assert silent
    assert [] == told(receiver)
    tellers = [check(tmp_path) for _ in range(3)]

    assert [2, 2, 2] == [one.returncode for one in tellers]
    assert "nothing has written for" in tellers[0].stdout
    assert [("firing", "(all)")] == told(receiver)

    with server:
        serve(server, store)
        assert until(lambda: len(receiver.received) == 2)
        assert [("firing", "(all)"), ("resolved", "(all)")] == told(receiver)
        assert 0 == check(tmp_path).returncode


def test_a_worker_that_lives_tells_of_one_that_was_killed(
    store: Store, receiver: Receiver, tmp_path: Path, server: Server
):
    """Two hosts on one database: one is killed, the other one tells, and nobody else is needed."""
    other = uvicorn("shop:app", folder=tmp_path)
    with server, other:
        assert until(lambda: get(server.url) and get(other.url) and live(store) == 3, within_s=30)
        assert until(lambda: side_by_side(store, service="shop", environment="test"))
        other.kill()
        assert until(lambda: receiver.received, within_s=SILENT_WITHIN_S)
        time.sleep(3)

        assert ["firing"] == [status for status, _ in told(receiver)]
