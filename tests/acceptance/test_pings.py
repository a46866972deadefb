"""Pings by the real curl: counted exactly over workers, in every framework, and missed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from kept import object_of, run
from processes import Server, get, until, uvicorn
from servers import free_port
from written import counted

FASTAPI = """
from fastapi import FastAPI
app = FastAPI()
"""
LITESTAR = """
from litestar import Litestar
app = Litestar(route_handlers=[])
"""
QUART = """
from quart import Quart
app = Quart(__name__)
"""
FLASK = """
from flask import Flask
app = Flask(__name__)
"""
WATCHED = """
from watchkeeper import Settings, watch
watch(app, Settings(
    service="shop", environment="test", database_url="watchkeeper.db", slot="1s",
    flush_jitter="0s", enabled=True, dashboard=False,
))
"""
DJANGO = """
import os
from pathlib import Path
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

settings.configure(
    SECRET_KEY="for tests", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__,
    INSTALLED_APPS=["watchkeeper.integrations.django"],
    MIDDLEWARE=[
        "watchkeeper.integrations.django.Middleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
    WATCHKEEPER={
        "service": "shop", "environment": "test", "slot": "1s", "flush_jitter": "0s",
        "database_url": str(Path(__file__).with_name("watchkeeper.db")), "enabled": True,
    },
)
urlpatterns = [path("", lambda request: HttpResponse("hello"))]
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
app = (get_asgi_application if os.environ.get("ASGI") else get_wsgi_application)()
"""
HERE = ("--service", "shop", "--environment", "test")
READY = "/watchkeeper/livez"


def gunicorn(target: str, *, folder: Path, workers: int = 1) -> Server:
    """Prepare gunicorn serving `module:app` from a folder."""
    command = [sys.executable, "-m", "gunicorn", target, "--bind", "127.0.0.1:{port}",
               "--workers", str(workers)]  # fmt: skip
    return Server(command, port=free_port(), folder=folder, ready=READY)


@contextmanager
def serving(framework: str, folder: Path, *, workers: int = 1) -> Iterator[Server]:
    """Serve an application of a framework, watched."""
    apps = {"fastapi": FASTAPI, "litestar": LITESTAR, "quart": QUART, "flask": FLASK}
    text = apps[framework] + WATCHED if framework in apps else DJANGO
    (folder / "shop.py").write_text(text)
    is_wsgi = framework in ("flask", "django")
    environ = {"ASGI": "1"} if framework == "django-asgi" else {}
    server = (
        gunicorn("shop:app", folder=folder, workers=workers)
        if is_wsgi
        else uvicorn("shop:app", folder=folder, workers=workers, environ=environ, ready=READY)
    )
    with server:
        assert until(lambda: run("jobs", *HERE, folder=folder).stdout)
        yield server


def address(server: Server, name: str, *options: str) -> str:
    """Make an address for a job."""
    made = run("ping", "add", name, *options, "--json", *HERE, folder=server.folder)
    path = object_of(made)["url"].partition("/watchkeeper/")[2]
    url = f"{server.url}/watchkeeper/{path}"
    assert until(lambda: "200" == curl(f"{url}/log"))  # one worker knows it
    return url


def curl(url: str, *options: str) -> str:
    """Call an address as a crontab does; the status of the answer."""
    done = subprocess.run(
        ["curl", "-sS", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", *options, url],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "framework", ["fastapi", "litestar", "quart", "flask", "django", "django-asgi"]
)
def test_every_framework_hears_pings(framework: str, tmp_path: Path):
    """GET, HEAD and POST, without a sign-in or a token against forgery, with any log."""
    log = tmp_path / "backup.log"
    log.write_bytes(b"tar: no space left, password=hunter2\n" * 8_000)  # 300 kB
    with serving(framework, tmp_path) as server:
        url = address(server, "backup", "--every", "24h")
        wrong = url[:-1] + ("a" if url[-1] != "a" else "b")

        answers = [
            curl(url),
            curl(f"{url}/start", "-X", "POST"),
            curl(f"{url}/0", "--head"),
            curl(f"{url}/3", "--data-binary", f"@{log}"),
            curl(f"{url}/fail", "-d", "x=1", "-H", "Origin: https://evil.example"),
            curl(url, "-X", "PUT"),
            # before the addresses were read in this slot a stranger may be told to try again
            until(lambda: (status := curl(wrong)) != "503" and status),
            curl(f"{url}/stop"),
            curl(f"{server.url}/watchkeeper/ping/"),
        ]
        facts = until(
            lambda: (found := shown(tmp_path))["outcomes"] == {"failed": 2, "ok": 2} and found
        )

    assert ["200", "200", "200", "200", "200", "405", "404", "404", "404"] == answers
    assert facts, shown(tmp_path)
    assert "failed" == facts["last_run"]["outcome"]
    assert "hunter2" not in (tmp_path / "watchkeeper.db").read_bytes().decode("latin-1")


def shown(folder: Path, name: str = "backup") -> dict:
    """Return what `watchkeeper jobs NAME` tells."""
    return json.loads(run("jobs", name, "--json", *HERE, folder=folder).stdout)


@pytest.mark.slow
def test_pings_count_exactly_with_several_workers(tmp_path: Path):
    """Start and end are heard by any of four workers: each run counts once, with its time."""
    with serving("fastapi", tmp_path, workers=4) as server:
        urls = [address(server, f"job {number}", "--every", "24h") for number in range(4)]

        def job(url: str) -> list[str]:
            calls = [f"{url}{rest}" for _ in range(5) for rest in ("/start", "/0")]
            return [until(lambda call=call: "200" == curl(call) and "200") for call in calls]

        with ThreadPoolExecutor(4) as crew:
            answers = [status for some in crew.map(job, urls) for status in some]
        curl(f"{urls[0]}/1")
    url = f"sqlite:///{tmp_path / 'watchkeeper.db'}"

    assert ["200"] * 40 == answers
    assert {f"job {number} ok": 5 for number in range(4)} | {"job 0 failed": 1} == counted(
        url, "job_duration_seconds", "job", "outcome", slot_s=1
    )
    table = run("jobs", *HERE, folder=tmp_path)
    assert 1 == table.returncode, table.stdout
    assert "failed" in table.stdout


@pytest.mark.slow
def test_a_stranger_is_told_nothing(tmp_path: Path):
    """Unknown, malformed and removed addresses answer alike."""
    with serving("fastapi", tmp_path) as server:
        gone = address(server, "old")
        assert "200" == curl(gone)
        run("ping", "remove", "old", *HERE, folder=tmp_path)
        base = f"{server.url}/watchkeeper/ping"
        assert until(lambda: "404" == curl(gone))

        paths = (gone, f"{base}/{'x' * 32}", f"{base}/x", f"{base}/{'x' * 32}/start")

        # before the addresses were read in this slot all of them may be told to try again
        assert until(lambda: {b"not found"} == {get(path)[2] for path in paths})
