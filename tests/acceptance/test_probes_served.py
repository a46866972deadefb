"""The probes under real servers: from the start to the end, with all else in trouble."""

import http.client
import json
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.request import urlopen

import pytest
from processes import Server, get, until, uvicorn
from servers import free_port, postgres

from health_documents import problems
from watchkeeper.dashboard.access import Access
from watchkeeper.dashboard.http import Request
from watchkeeper.dashboard.sums import Query
from watchkeeper.dashboard.uptime import Past
from watchkeeper.storage import open_store
from watchkeeper.storage.memory import MemoryStore

pytestmark = pytest.mark.timeout(300)

SETTINGS = """
import os
import sys
import threading
import time

import watchkeeper

DATABASE = os.environ.get("DATABASE", "sqlite:///watchkeeper.db")
CHECKS = {
    "storage": {"type": "database", "url": DATABASE, "every": "1s", "timeout": "1s"},
} if "postgres" in DATABASE else {}
SETTINGS = watchkeeper.Settings(
    enabled=True, database_url=DATABASE,
    service="shop", environment="test", slot="1s", flush_jitter="0s", alert_pack=False,
    health_at_root=True, secret_key="made up for this test",
    health_checks=CHECKS,
)


@watchkeeper.health_check("search", every="1s", timeout="1s")
def search() -> None:
    return None
"""
ASGI = (
    SETTINGS
    + """
import asyncio

from fastapi import FastAPI

app = FastAPI()


@app.get("/wait/{seconds}")
async def wait(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "waited"


@app.get("/block/{seconds}")
async def block(seconds: float) -> str:
    time.sleep(seconds)
    return "blocked"


@app.get("/busy/{seconds}")
def busy(seconds: float) -> str:
    time.sleep(seconds)
    return "busy"


watchkeeper.watch(app, SETTINGS)
"""
)
WSGI = (
    SETTINGS
    + """
from flask import Flask

app = Flask(__name__)


@app.get("/wait/<seconds>")
def wait(seconds: str) -> str:
    time.sleep(float(seconds))
    return "waited"


watchkeeper.watch(app, SETTINGS)
"""
)
PYTHON = (sys.executable, "-m")
COMMANDS = {
    "uvicorn": (*PYTHON, "uvicorn", "shop_asgi:app", "--port", "{port}"),
    "uvloop": (*PYTHON, "uvicorn", "shop_asgi:app", "--port", "{port}", "--workers", "2"),
    "hypercorn": (*PYTHON, "hypercorn", "shop_asgi:app", "--bind", "127.0.0.1:{port}"),
    "gunicorn-sync": (*PYTHON, "gunicorn", "shop_wsgi:app", "--bind", "127.0.0.1:{port}"),
    "gunicorn-threads": (
        *(*PYTHON, "gunicorn", "shop_wsgi:app", "--bind", "127.0.0.1:{port}"),
        *("--threads", "4"),
    ),
    "waitress": (
        *(*PYTHON, "waitress", "--listen", "127.0.0.1:{port}", "--threads", "4"),
        "shop_wsgi:app",
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop_asgi.py").write_text(ASGI)
    (tmp_path / "shop_wsgi.py").write_text(WSGI)
    return tmp_path


def serve(name: str, folder: Path, **environ: str) -> Server:
    """A server of the shop that is not started yet."""
    return Server(
        COMMANDS[name],
        port=free_port(),
        folder=folder,
        ready="/watchkeeper/livez",
        environ={"PYTHONPATH": str(folder), **environ},
    )


def ask(port: int, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Ask once; raises OSError if nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers={"Connection": "close"})
        answer = connection.getresponse()
        headers = {key.lower(): value for key, value in answer.getheaders()}
        return answer.status, headers, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("name", COMMANDS)
def test_from_start_to_end(folder: Path, name: str):
    """Alive and ready while it serves; no request is told "ready" after SIGTERM."""
    with serve(name, folder) as server:
        for path in ("/watchkeeper/livez", "/watchkeeper/readyz", "/livez", "/readyz"):
            status, headers, body = ask(server.port, path)
            assert (200, {"status": "pass"}) == (status, json.loads(body))
            assert [] == problems(status, headers["content-type"], json.loads(body))
            assert "no-store" == headers["cache-control"]
            told = ask(server.port, path, "HEAD")
            assert (200, b"", headers["content-length"]) == (
                told[0],
                told[2],
                told[1]["content-length"],
            )
            assert (405, "GET, HEAD") == (
                ask(server.port, path, "POST")[0],
                ask(server.port, path, "POST")[1]["allow"],
            )
        assert server.process is not None
        # A request under way keeps the process there for a while after the signal.
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request("GET", "/wait/3")
        time.sleep(1)

        server.process.send_signal(signal.SIGTERM)
        time.sleep(SEEN_WITHIN_S.get(name, 1.0))
        after = []
        while server.process.poll() is None and len(after) < 2_000:
            try:
                after.append(ask(server.port, "/readyz")[0])
            except (OSError, http.client.HTTPException):
                after.append(0)
            time.sleep(0.005)
        connection.close()

    assert after
    assert set(after) <= {0, 503}


# Elsewhere a first process gets the signal and tells its workers; all of it on a busy machine.
SEEN_WITHIN_S = {"uvicorn": 0.3, "waitress": 0.02}  # waitress waits for nobody


def test_a_blocked_event_loop_cannot_say_that_it_lives(folder: Path):
    """While code blocks the loop livez has no answer, which is the truth; then it has one."""
    with uvicorn("shop_asgi:app", folder=folder, ready="/watchkeeper/livez") as server:
        blocking = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        blocking.request("GET", "/block/2")
        time.sleep(0.3)

        with pytest.raises(TimeoutError):
            get(f"{server.url}/livez", timeout_s=1)
        blocking.getresponse().read()
        after = get(f"{server.url}/livez")[0]
        blocking.close()

    assert 200 == after


def test_no_worker_thread_is_needed(folder: Path):
    """With every thread of the framework busy the probes answer: they are served on the loop."""
    with uvicorn("shop_asgi:app", folder=folder, ready="/watchkeeper/livez") as server:
        busy = [
            http.client.HTTPConnection("127.0.0.1", server.port, timeout=20) for _ in range(60)
        ]
        for connection in busy:
            connection.request("GET", "/busy/3")
        time.sleep(0.5)
        answers = [get(f"{server.url}{path}")[0] for path in ("/livez", "/readyz", "/health")]
        busy[-1].sock.settimeout(0.01)
        with pytest.raises(TimeoutError):
            busy[-1].sock.recv(1)
        for connection in busy:
            connection.close()

    assert [200, 200, 200] == answers


def signed_in() -> dict[str, str]:
    """The cookie of somebody who has signed in."""
    request = Request(method="GET", root="/watchkeeper", path="/")
    access = Access(secret_key="made up for this test")
    _, cookie = access.sign_in(request, MemoryStore(), session="somebody")
    return {"cookie": cookie.partition(";")[0]}


def fetch(url: str, **headers: str) -> tuple[int, str]:
    """Fetch a page with headers: its status and text."""
    try:
        with urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_probes_do_not_need_the_database(folder: Path):
    """With PostgreSQL stopped a process lives, is ready, and says what fails to who may know."""
    with postgres() as database:
        server = serve("uvicorn", folder, DATABASE=database.url)
        with server:
            health = f"{server.url}/health"
            until(lambda: '"pass"' in fetch(health)[1])
            before = fetch(health)
            database.stop()
            until(lambda: fetch(health)[0] == 503)
            probes = [fetch(f"{server.url}/{name}") for name in ("livez", "readyz", "health")]
            told = fetch(health, **signed_in())
            lines = fetch(f"{health}?verbose", **signed_in())[1].splitlines()
            page = fetch(health, accept="text/html", **signed_in())
            stranger = fetch(health, accept="text/html")

    assert (200, '{"status":"pass"}') == before
    assert [(200, '{"status":"pass"}')] * 2 == probes[:2]
    assert (503, '{"status":"fail"}') == probes[2]
    assert [] == problems(told[0], "application/health+json", json.loads(told[1]))
    assert "does not pass: storage" == json.loads(told[1])["output"]
    assert ["[+]process ok", "health check failed"] == [lines[0], lines[-1]]
    assert any(line.startswith("[-]storage failed: ") for line in lines)
    assert any(line.startswith("[+]search ok") for line in lines)
    assert 503 == page[0]
    assert "storage" in page[1]
    assert "Uptimes are not known" in page[1]
    assert (503, False) == (stranger[0], "storage" in stranger[1])


def test_probes_do_not_need_the_file_of_sqlite(folder: Path):
    """With its file deleted under it a process goes on, and so do its probes."""
    with serve("uvicorn", folder) as server:
        until(lambda: '"pass"' in fetch(f"{server.url}/health")[1])
        for file in folder.glob("watchkeeper.db*"):
            if file.is_file():
                file.unlink()
        time.sleep(3)
        probes = [fetch(f"{server.url}/{name}") for name in ("livez", "readyz", "health")]

    assert [(200, '{"status":"pass"}')] * 3 == probes


def test_the_time_in_which_a_worker_was_killed_is_unknown(folder: Path):
    """`kill -9` for some seconds: that time is neither up nor down."""
    store = open_store(f"sqlite:///{folder / 'watchkeeper.db'}")
    store.migrate()
    scope = {"service": "shop", "environment": "test"}

    def passes(since: float) -> bool:
        return any(one.state == "pass" and one.at > since for one in store.checks(**scope))

    with serve("uvicorn", folder) as server:
        assert until(lambda: passes(0))
        begin = time.time()
        time.sleep(3)
        killed = time.time()
        server.kill()
    time.sleep(8)
    with serve("uvicorn", folder):
        started = time.time()
        assert until(lambda: passes(started))
        time.sleep(2)
        now = time.time()
        query = Query(store=store, **scope, start=begin, end=now, now=now, slot_s=1)
        past = Past(query)
        check, service = past.uptime("search", begin, now), past.service(begin, now)
        is_now = past.now("search").state
    store.close()

    assert "pass" == is_now
    assert check == service
    assert 1.0 == check.share
    assert 8.0 - 2.5 < check.unknown_s
    assert started - killed - 2.5 < check.unknown_s < started - killed + 5.0
    assert now - begin == pytest.approx(check.pass_s + check.unknown_s)
