"""Jobs that fail, are missed or fall silent: a real application tells a real receiver of each."""

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from kept import object_of, run
from processes import get, until, uvicorn
from receivers import Receiver

APP = """
import os
from dataclasses import replace
from fastapi import FastAPI
import watchkeeper
from watchkeeper.core.pack import ALERTS

app = FastAPI()
# The pack's own rules; only that a failure has to last two minutes is shortened.
rules = [replace(rule, hold="1s") for rule in ALERTS if rule.name == "Job failed"]
watchkeeper.watch(app, watchkeeper.Settings(
    service="shop", environment="test", database_url="watchkeeper.db", slot="1s",
    flush_jitter="0s", enabled=True, alerts=rules,
    channels={"oncall": {"type": "webhook", "url": os.environ["RECEIVER"]}},
))

@watchkeeper.job("invoices")
def invoices(): raise ValueError("no template")

@watchkeeper.job("reports", every="1h")
def reports(): pass

@watchkeeper.job("sync", every="4s", grace="2s")
def sync(): pass

@app.get("/run/{name}")
def run_job(name: str):
    try:
        {"invoices": invoices, "reports": reports, "sync": sync}[name]()
    except ValueError:
        return "failed"
"""
HERE = ("--service", "shop", "--environment", "test")


@pytest.mark.slow
def test_each_job_has_exactly_its_notice(tmp_path: Path):
    """One that failed, one that was missed and one that called no more: a notice each, once."""
    (tmp_path / "shop.py").write_text(APP)
    with (
        Receiver() as receiver,
        uvicorn(
            "shop:app",
            folder=tmp_path,
            environ={"RECEIVER": receiver.url},
            ready="/watchkeeper/livez",
        ) as server,
    ):

        def told() -> Counter[tuple[str, str]]:
            alerts = [alert for one in receiver.received for alert in one.json()["alerts"]]
            return Counter(
                (one["labels"]["alertname"], one["labels"].get("job", ""))
                for one in alerts
                if one["status"] == "firing"
            )

        for name in ("invoices", "reports", "sync"):
            get(f"{server.url}/run/{name}")
        options = ("--every", "4s", "--grace", "2s", "--json")
        assert until(lambda: run("jobs", *HERE, folder=tmp_path).stdout)
        made = object_of(run("ping", "add", "backup", *options, *HERE, folder=tmp_path))
        url = f"{server.url}/watchkeeper/ping/{made['token']}"
        ping = ["curl", "-fsS", "-m", "10", "-o", "/dev/null", f"{url}/0"]
        # a new address is known with the next slot
        assert until(lambda: subprocess.run(ping, check=False).returncode == 0)

        wanted = {("Job failed", "invoices"), ("Job late", "sync"), ("Job late", "backup")}
        assert until(lambda: wanted <= set(told()), within_s=40), (told(), server.log.read_text())
        listed = run("jobs", "--json", *HERE, folder=tmp_path)

    jobs = [key for key in told() if key[0].startswith("Job")]
    assert wanted == set(jobs)
    assert {1} == {told()[key] for key in wanted}
    assert 2 == listed.returncode
    states = {one["job"]: one["state"] for one in json.loads(listed.stdout)["jobs"]}
    assert ("failed", "ok", "late") == (states["invoices"], states["reports"], states["backup"])
