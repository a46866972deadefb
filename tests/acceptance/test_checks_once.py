"""Health checks of a cluster, in real processes: what is asked is asked once for all."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import get, preloaded, until
from receivers import Receiver

from watchkeeper.storage import Store, open_store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

APP = """
import json
import os
import socket
import urllib.request

socket.gethostname = lambda: os.environ["SHOP_HOST"]

import watchkeeper
from starlette.applications import Starlette

app = Starlette()  # starts sooner than FastAPI: here many do
watchkeeper.watch(app, watchkeeper.Settings(**json.loads(os.environ["SHOP_SETTINGS"])))


@watchkeeper.health_check("payment", every="3s", timeout="3s")
def payment_answers() -> None:
    urllib.request.urlopen(os.environ["PROVIDER"]).close()


@watchkeeper.health_check("own disk", every="3s", scope="worker")
async def disk_is_there() -> str:
    return "there"
"""
HOSTS = {"sqlite": 1, "postgresql": 2}  # a file is on one machine
WORKERS = 4
EVERY_S = 3.0
TIMES = 24
PASS, FAIL = (200, "pass"), (503, "fail")
WATCHED_S = 30.0
HERE = {"service": "shop", "environment": "test"}
WITHIN_S = 60.0


@contextmanager
def served(folder: Path, url: str, provider: Receiver, *, hosts: int) -> Iterator[list[str]]:
    """Serve hosts of four workers each; where they answer."""
    (folder / "shop.py").write_text(APP)
    settings = {"enabled": True, "database_url": url, "slot": "1s", "flush_jitter": "0s", **HERE}
    servers = [
        preloaded(
            "shop:app",
            folder=folder,
            workers=WORKERS,
            environ={
                "SHOP_SETTINGS": json.dumps(settings),
                "SHOP_HOST": f"host-{number}",
                "PROVIDER": provider.url,
            },
            ready="/watchkeeper/livez",
        )
        for number in range(hosts)
    ]
    try:
        for server in servers:
            server.__enter__()
        yield [server.url for server in servers]
    finally:
        for server in servers:
            server.stop()


def other_answer(urls: list[str], expected: tuple[int, str]) -> tuple[int, str] | None:
    """Ask so often that every worker answers, each connection being another one's.

    The first answer that is another one than expected, None if there is none.
    """
    for url in urls * TIMES:
        status, _, body = get(f"{url}/watchkeeper/health")
        if (status, json.loads(body)["status"]) != expected:
            return status, json.loads(body)["status"]
    return None


def runner(store: Store) -> int:
    """Return the process that ran the check last."""
    ran_by = next(one for one in store.checks(**HERE) if one.name == "payment").data["ran_by"]
    workers = store.workers(**HERE, seen_since=0)
    return next(one.pid for one in workers if one.id == ran_by)


def history(store: Store) -> list[tuple[str, str]]:
    """Return the transitions of the shared check, oldest first."""
    found = store.check_changes(**HERE, since=0, limit=99)
    return [(one.before, one.after) for one in reversed(found) if one.name == "payment"]


@pytest.mark.parametrize("kind", HOSTS)
def test_many_workers_ask_a_provider_as_often_as_one_would(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
):
    """All answer probes by it, also after the one that asks was killed; a change is told once."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_url")
    with Receiver() as provider, served(tmp_path, url, provider, hosts=HOSTS[kind]) as urls:
        store = open_store(url)
        until(lambda: other_answer(urls, PASS) is None, within_s=WITHIN_S, every_s=0.5)
        before, began = len(provider.received), time.monotonic()
        time.sleep(WATCHED_S)
        asked, lasted_s = len(provider.received) - before, time.monotonic() - began
        other = other_answer(urls, PASS)
        own = [one for one in store.checks(**HERE) if one.name == "own disk"]

        provider.answer(500)
        os.kill(runner(store), signal.SIGKILL)
        until(lambda: ("pass", "fail") in history(store), within_s=WITHIN_S)
        until(lambda: other_answer(urls, FAIL) is None, within_s=WITHIN_S, every_s=0.5)
        failed = history(store)
        store.close()

    assert other is None
    # A machine that is busy may let a worker take over from one that is slow: not eight times.
    assert lasted_s / EVERY_S - 3 <= asked <= 1.5 * lasted_s / EVERY_S
    assert HOSTS[kind] * WORKERS == len(own)
    assert [("unknown", "pass"), ("pass", "fail")] == failed
