"""`watchkeeper verdict` on a real application: two releases, of which one made a route worse."""

import json
import subprocess
from pathlib import Path

from kept import run
from processes import Server, get, until, uvicorn

from watchkeeper.storage import open_store

APP = """
import os

from fastapi import FastAPI, HTTPException

import watchkeeper

app = FastAPI()
paid = 0


@app.get("/")
async def home() -> str:
    return "home"


@app.get("/pay")
async def pay() -> str:
    global paid
    paid += 1
    if os.environ["FAULT"] == "1" and paid % 5 == 0:
        raise HTTPException(500)
    return "paid"


watchkeeper.watch(app, watchkeeper.Settings(
    enabled=True, database_url="sqlite:///watchkeeper.db", service="shop", environment="test",
    slot="1s", flush_jitter="0s", alert_pack=False,
))
"""
REQUESTS = 150


def release(folder: Path, name: str, *, fault: bool) -> Server:
    """Prepare a release of the shop; the platform names it."""
    return uvicorn(
        "shop:app",
        folder=folder,
        environ={"GIT_SHA": name, "FAULT": str(int(fault))},
    )


def visit(*servers: Server) -> None:
    """Ask for both pages many times, of each server in turn."""
    for _ in range(REQUESTS):
        for server in servers:
            get(f"{server.url}/")
            get(f"{server.url}/pay")


def verdict(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the verb as a pipeline does."""
    options = ["--db", "sqlite:///watchkeeper.db", "--service", "shop", "--environment", "test"]
    options += ["--warm-up", "0s"]
    return run("verdict", *options, *arguments, folder=folder)


def test_the_route_that_a_release_made_worse_is_named(tmp_path: Path):
    """Exactly that one, with exit code 2; a harmless release gets 0, an unknown one 3."""
    (tmp_path / "shop.py").write_text(APP)
    for name, fault in (("v1", False), ("v2", False), ("v3", True)):
        with release(tmp_path, name, fault=fault) as server:
            visit(server)

    harmless = verdict(tmp_path, "--release", "v2", "--json")
    worse = verdict(tmp_path, "--release", "v3", "--json")
    shown = verdict(tmp_path, "--release", "v3")
    unknown = verdict(tmp_path, "--release", "v9")

    assert (0, "") == (harmless.returncode, harmless.stderr), harmless.stdout
    assert "same" == json.loads(harmless.stdout)["outcome"]
    found = json.loads(worse.stdout)
    assert (2, "worse") == (worse.returncode, found["outcome"])
    assert ["/pay"] == [one["route"] for one in found["routes"] if one["outcome"] == "worse"]
    assert ("v2", 1.0) == (found["compared"]["previous"], found["covered"])
    assert "GET /pay" in shown.stdout
    assert "errors 20 %" in shown.stdout
    assert (3, True) == (unknown.returncode, "no worker has run v9 yet" in unknown.stdout)


def test_old_and_new_workers_side_by_side_are_told_apart(tmp_path: Path):
    """In a rolling deploy each request counts for the release of the worker that answered it."""
    (tmp_path / "shop.py").write_text(APP)
    with release(tmp_path, "v1", fault=False) as old, release(tmp_path, "v2", fault=True) as new:
        visit(old, new)
        store = open_store(f"sqlite:///{tmp_path / 'watchkeeper.db'}")
        store.migrate()
        marks = {"service": "shop", "environment": "test", "since": 0.0, "until": 1e12, "limit": 9}
        assert until(lambda: 2 == len(store.releases(**marks)))
        store.close()

    done = verdict(tmp_path, "--release", "v2", "--against", "v1", "--wait", "1s", "--json")

    found = json.loads(done.stdout)
    assert (2, "worse") == (done.returncode, found["outcome"])
    (pay,) = [one for one in found["routes"] if one["outcome"] == "worse"]
    errors = next(one for one in pay["comparisons"] if one["measure"] == "errors")
    assert (0.2, 0.0) == (round(errors["value"], 2), errors["before"])
