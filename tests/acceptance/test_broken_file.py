"""A settings file that breaks while an alert fires, and kill -9. Real processes and receiver."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kept import run
from processes import Server, get, until, uvicorn
from receivers import Receiver

from watchkeeper.storage import Store, open_store
from watchkeeper.storage.store import Incident

pytestmark = pytest.mark.timeout(300)

APP = """
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import watchkeeper


async def ready(request: Request) -> Response:
    return Response("ready")


async def work(request: Request) -> Response:
    return Response(status_code=500 if Path("failing").exists() else 200)


app = Starlette(routes=[Route("/", ready), Route("/work", work)])
watchkeeper.watch(app)
"""
GOOD = """
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
name = "Failing"
when = "errors > 0"
over = "3s"
keep = "2s"
severity = "critical"
"""
HERE = {"service": "shop", "environment": "test"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Who is told."""
    with Receiver() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The database of the application."""
    opened = open_store(f"sqlite:///{tmp_path / 'watchkeeper.db'}")
    opened.migrate()
    yield opened
    opened.close()


def incidents(store: Store, state: str) -> list[Incident]:
    """List what fires, or is over."""
    return store.incidents(**HERE, states=(state,), since=0.0, limit=9)


def told(receiver: Receiver) -> list[str]:
    """Say what has arrived."""
    return [one.json()["status"] for one in receiver.received]


def ask(server: Server, *, times: int = 1) -> bool:
    """Send requests; always true, for `until`."""
    for _ in range(times):
        get(f"{server.url}/work")
    return True


def status(folder: Path) -> str:
    """Run what a person asks first."""
    return run("status", folder=folder).stdout


def test_nothing_is_lost_when_the_file_breaks_while_an_alert_fires(
    tmp_path: Path, receiver: Receiver, store: Store
):
    """The rule goes on, its end is noticed, and the message is sent once the file is mended."""
    file, failing = tmp_path / "watchkeeper.toml", tmp_path / "failing"
    (tmp_path / "shop.py").write_text(APP)
    good = GOOD.replace("{url}", receiver.url)
    file.write_text(good)
    failing.touch()
    with uvicorn("shop:app", folder=tmp_path) as server:
        assert until(lambda: ask(server) and told(receiver) == ["firing"], within_s=30)
        assert until(lambda: store.outbox_waiting(**HERE) == 0)  # else it is sent again

        file.write_text(good.replace('\nurl = "', "\nurl = "))
        server.kill()

    (before,) = store.alerts(**HERE)
    with uvicorn("shop:app", folder=tmp_path) as server:
        assert until(lambda: ask(server) and store.alerts(**HERE)[0].version > before.version)
        assert 1 == len(incidents(store, "firing"))
        failing.unlink()
        assert until(lambda: ask(server) and incidents(store, "resolved"), within_s=30)
        assert until(lambda: store.outbox_waiting(**HERE) == 1)
        shown = status(tmp_path)
        assert "watchkeeper.toml:12: cannot be read (" in shown
        assert "its 1 rules as last read are in force" in shown
        assert "messages to oncall wait until the settings file can be read" in shown
        log = server.log.read_text()
        assert "messages to oncall wait until the settings file can be read" in log
        assert ["firing"] == told(receiver)
        server.kill()

    file.write_text(good)
    with uvicorn("shop:app", folder=tmp_path) as server:
        assert until(lambda: ask(server) and len(told(receiver)) == 2, within_s=30)
        assert until(lambda: store.outbox_waiting(**HERE) == 0)
        ask(server, times=5)

    assert ["firing", "resolved"] == told(receiver)
    assert "cannot be read" not in status(tmp_path)


def test_what_begins_while_the_file_is_broken_is_told_when_it_is_mended(
    tmp_path: Path, receiver: Receiver, store: Store
):
    """Whom to tell is known by name; the address is read again with the file."""
    file, failing = tmp_path / "watchkeeper.toml", tmp_path / "failing"
    (tmp_path / "shop.py").write_text(APP)
    good = GOOD.replace("{url}", receiver.url)
    file.write_text(good)
    with uvicorn("shop:app", folder=tmp_path) as server:
        assert until(lambda: ask(server) and store.last_good(**HERE), within_s=30)
        assert receiver.url not in store.last_good(**HERE)
        file.write_text(good.replace('\nurl = "', "\nurl = "))
        server.kill()
    failing.touch()
    with uvicorn("shop:app", folder=tmp_path) as server:
        assert until(lambda: ask(server) and incidents(store, "firing"), within_s=30)
        assert until(lambda: store.outbox_waiting(**HERE) == 1)
        file.write_text(good)
        server.kill()

    with uvicorn("shop:app", folder=tmp_path) as server:
        assert until(lambda: ask(server) and told(receiver), within_s=30)
        ask(server, times=5)

    assert ["firing"] == told(receiver)


def test_a_bad_line_at_the_top_silences_nobody(tmp_path: Path, receiver: Receiver, store: Store):
    """Database, service, rules and channels are those of before: its end is told at once."""
    file, failing = tmp_path / "watchkeeper.toml", tmp_path / "failing"
    (tmp_path / "shop.py").write_text(APP)
    good = GOOD.replace("{url}", receiver.url)
    file.write_text(good)
    failing.touch()
    with uvicorn("shop:app", folder=tmp_path) as server:
        assert until(lambda: ask(server) and told(receiver) == ["firing"], within_s=30)
        assert until(lambda: store.outbox_waiting(**HERE) == 0)  # else it is sent again
        file.write_text(f"keep_slots = 24h{good}")
        server.kill()
    failing.unlink()

    with uvicorn("shop:app", folder=tmp_path) as server:
        assert until(lambda: ask(server) and told(receiver) == ["firing", "resolved"], within_s=30)

    assert "watchkeeper.toml:1: cannot be read (" in status(tmp_path)
    assert 1 == len(incidents(store, "resolved"))
