"""The demo as a newcomer runs it: real processes, real HTTP, real alerts."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

import psutil
import pytest

COMMAND = [sys.executable, "-m", "watchkeeper.cli", "demo"]
KEYS = {
    "requests_sent",
    "requests_counted",
    "requests_counted_after_restart",
    "errors_sent",
    "errors_counted",
    "issues",
    "alert_lag_s",
    "firing_messages",
    "resolved_messages",
    "p95_true_s",
    "p95_shown_s",
    "dashboard_status",
    "flush_ms_p50",
    "database_bytes",
    "messages",
}


def environment(folder: Path) -> dict[str, str]:
    """Return an environment whose temporary folder is the test's, with settings in the way."""
    return {
        **os.environ,
        "TMPDIR": str(folder),
        "WATCHKEEPER_ENABLED": "0",  # the user's own kill-switch does not stop the demo
        "WATCHKEEPER_DATABASE_URL": "postgresql://127.0.0.1:1/nowhere",
    }


@pytest.mark.slow
def test_one_round_measures_what_really_happened(tmp_path: Path):
    """In one round every request is counted, each alert tells once and soon, and p95 is right."""
    done = subprocess.run(
        [*COMMAND, "--once", "--json"],
        capture_output=True,
        text=True,
        timeout=90,
        env=environment(tmp_path),
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    assert set(measured) == KEYS
    assert measured["requests_sent"] > 500
    assert measured["requests_counted"] == measured["requests_sent"]
    assert measured["requests_counted_after_restart"] == measured["requests_sent"]
    assert measured["errors_sent"] > 10
    assert measured["errors_counted"] == measured["errors_sent"]
    assert measured["issues"] == 2
    assert set(measured["messages"]) == {"High error rate", "Slow responses"}
    for told in measured["messages"].values():
        assert (told["firing"], told["resolved"]) == (1, 1)
        assert told["lag_s"] <= 3
    assert measured["firing_messages"] == measured["resolved_messages"] == 2
    assert measured["alert_lag_s"] <= 3
    assert measured["p95_shown_s"] == pytest.approx(measured["p95_true_s"], rel=0.022)
    assert measured["dashboard_status"] == 200
    assert measured["flush_ms_p50"] > 0
    assert measured["database_bytes"] > 0
    assert list(tmp_path.glob("watchkeeper-demo-*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_can_be_looked_at_and_ends_cleanly(tmp_path: Path, number: signal.Signals):
    """The printed link shows the dashboard; Ctrl-C ends every process and removes the folder."""
    demo = subprocess.Popen(
        COMMAND,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(tmp_path),
        cwd=tmp_path,
    )
    watchdog = threading.Timer(80, demo.kill)
    watchdog.start()
    try:
        assert demo.stdout is not None
        link = ""
        for line in demo.stdout:
            if line.startswith("dashboard"):
                link = line.split()[1]
                break
        with urllib.request.urlopen(link, timeout=20) as page:
            body = page.read().decode()
        children = psutil.Process(demo.pid).children(recursive=True)

        demo.send_signal(number)
        rest = demo.stdout.read()
        demo.wait(30)
    finally:
        watchdog.cancel()
        demo.kill()
        demo.wait()
        if demo.stdout is not None:
            demo.stdout.close()

    assert demo.returncode == 0, rest
    assert "tea-shop" in body
    assert len(children) == 1
    assert not any(child.is_running() for child in children)
    assert list(tmp_path.glob("watchkeeper-demo-*")) == []
    assert "Traceback" not in rest


@pytest.mark.slow
def test_a_killed_demo_leaves_no_process(tmp_path: Path):
    """Even kill -9 of the demo ends the shop: it does not outlive whom it serves."""
    demo = subprocess.Popen(
        COMMAND,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(tmp_path),
        cwd=tmp_path,
    )
    watchdog = threading.Timer(80, demo.kill)
    watchdog.start()
    try:
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith("dashboard"):
                break
        children = psutil.Process(demo.pid).children(recursive=True)
    finally:
        watchdog.cancel()
        demo.kill()
        demo.wait()
        if demo.stdout is not None:
            demo.stdout.close()

    _, alive = psutil.wait_procs(children, timeout=20)
    assert len(children) == 1
    assert alive == []


def test_a_port_in_use_is_named(tmp_path: Path):
    """A port that somebody else has is told in one line; nothing is left behind."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        done = subprocess.run(
            [*COMMAND, "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=80,
            env=environment(tmp_path),
            cwd=tmp_path,
        )

    assert done.returncode == 1
    assert f"port {port} cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.glob("watchkeeper-demo-*")) == []


def test_a_missing_package_is_named(tmp_path: Path):
    """Without FastAPI the demo says in one line what to install."""
    hidden = tmp_path / "sitecustomize.py"
    hidden.write_text(
        "import sys\n"
        "from importlib.machinery import PathFinder\n"
        "class Hiding(PathFinder):\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'fastapi':\n"
        "            return None\n"
        "        return super().find_spec(name, path, target)\n"
        "sys.meta_path[:] = [Hiding if one is PathFinder else one for one in sys.meta_path]\n"
    )

    done = subprocess.run(
        [*COMMAND, "--once"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "TMPDIR": tempfile.gettempdir()},
        cwd=tmp_path,
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert 'Run: pip install "watchkeeper[demo]"' in done.stderr
    assert "Traceback" not in done.stderr
