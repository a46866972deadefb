"""`watchkeeper health` on a real SQLite file, and its probe against real servers."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from dashboards import minute, slot
from processes import until, uvicorn

from watchkeeper.cli import watchkeeper
from watchkeeper.cli.probing import Place, ask_all, places
from watchkeeper.core.metrics import Scope
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.store import Batch, CheckChange, CheckResult

SCOPE = Scope(service="shop", environment="production")
APP = """
import watchkeeper
from fastapi import FastAPI

app = FastAPI()
watchkeeper.watch(app, watchkeeper.Settings(
    enabled=True, database_url="sqlite:///shop.db", service="shop", environment="production",
    slot="1s", flush_jitter="0s", alert_pack=False,
))


@watchkeeper.health_check("pay", every="1s", critical={critical})
def pay():
    raise ConnectionError("refused")
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a database, in a directory without any other settings."""
    monkeypatch.chdir(tmp_path)
    for name in ("WATCHKEEPER_DATABASE_URL", "WATCHKEEPER_CONFIG", "WATCHKEEPER_SERVICE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "shop.db"


@pytest.fixture
def store(file: Path) -> Iterator[Store]:
    """A database that an application writes to."""
    made = open_store(f"sqlite:///{file}")
    made.migrate()
    yield made
    made.close()


def tell(store: Store, *checks: tuple[str, str, bool], lived_s: int = 3_600) -> None:
    """Store checks (name, state, critical) of a worker that lives, in that state for long."""
    now = time.time()
    start = int(now - lived_s) // 60 * 60
    worker = store.register(SCOPE, host="web-1", pid=1, at=start).id
    this_minute = int(now) // 60 * 60
    store.add_frames([minute(at, {}) for at in range(start, this_minute, 60)])
    for at in range(this_minute, int(now) // 10 * 10, 10):
        store.write(Batch(scope=SCOPE, frame=slot(at, {}, worker=worker), at=at + 10))
    results = [
        CheckResult(
            name=name,
            state=state,
            since=start,
            at=now - 5,
            duration_s=0.0012,
            output="" if state == "pass" else "no answer\x1b[2J",
            critical=critical,
        )
        for name, state, critical in checks
    ]
    changes = [
        CheckChange(name=name, worker=0, before="unknown", after=state, at=start)
        for name, state, _ in checks
    ]
    frame = slot(int(now) // 10 * 10 - 10, {}, worker=worker + 1_000)
    store.write(Batch(scope=SCOPE, frame=frame, at=now, checks=results, check_changes=changes))
    store.write(Batch(scope=SCOPE, frame=slot(int(now) // 10 * 10, {}, worker=worker), at=now))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(watchkeeper, ["health", "--service", "shop", *arguments])


@pytest.mark.parametrize(
    ("checks", "code"),
    [
        ([("database", "pass", True), ("mail", "pass", False)], 0),
        ([("database", "pass", True), ("mail", "fail", False)], 1),
        ([("database", "warn", True)], 1),
        ([("database", "fail", True), ("mail", "pass", False)], 2),
        ([], 3),
    ],
)
def test_the_exit_code_is_the_state(file, store, checks, code):
    """0 pass, 1 warn, 2 fail, 3 unknown: what fails and is not critical is a warning."""
    tell(store, *checks)

    result = run("--db", str(file))

    assert code == result.exit_code, result.output


def test_the_table_tells_each_check(file, store):
    """State, since when, the last run, what it says, and uptimes; no text steers the terminal."""
    tell(store, ("database", "pass", True), ("mail", "fail", False))

    output = run("--db", str(file)).output.splitlines()

    assert output[0].startswith("▲ warn   shop (production)   uptime  24h 100 % of 1 h")
    assert "  CHECK     STATE  SINCE" == output[1][:24]
    assert ["✔", "database", "pass"] == output[2].split()[:3]
    assert "1.2 ms" in output[2]
    assert 3 == output[2].count("100 % of 1 h")
    assert ["✖", "mail", "*", "fail"] == output[3].split()[:4]
    assert "no answer\N{REPLACEMENT CHARACTER}[2J" in output[3]
    assert 3 == output[3].count("0.0 % of 1 h")
    assert "  * not critical: its failure is a warning" == output[4]


def test_one_check_by_name(file, store):
    """A name alone asks for that check, whose own state is the exit code."""
    tell(store, ("database", "pass", True), ("mail", "fail", False))

    assert 0 == run("database", "--db", str(file)).exit_code
    assert 2 == run("mail", "--db", str(file)).exit_code


def test_an_unknown_name_is_met_with_the_nearest(file, store):
    """A slip of the finger is told with what was meant."""
    tell(store, ("database", "pass", True))

    result = run("databse", "--db", str(file))

    assert 64 == result.exit_code
    assert "no health check 'databse'; did you mean 'database'?" in result.stderr


def test_the_same_as_json(file, store):
    """`--json` has what the table has, as one object; the time nobody looked is told apart."""
    tell(store, ("database", "pass", True))

    found = json.loads(run("--db", str(file), "--json").output)

    assert ("pass", "shop", "production") == (
        found["state"],
        found["service"],
        found["environment"],
    )
    (check,) = found["checks"]
    assert ("database", "pass", 1.0) == (
        check["name"],
        check["state"],
        check["uptimes"]["7d"]["share"],
    )
    assert 86_400 == sum(
        check["uptimes"]["24h"][key] for key in ("pass_s", "warn_s", "fail_s", "unknown_s")
    )
    assert check["uptimes"]["24h"]["unknown_s"] > 80_000


def test_what_nobody_renews_is_unknown(file, store):
    """Where no worker lives any more, the last results say nothing of now."""
    worker = store.register(SCOPE, host="web-1", pid=1, at=time.time() - 900).id
    at = int(time.time()) - 600
    result = CheckResult(name="database", state="pass", since=at, at=at, duration_s=0.001)
    store.write(
        Batch(scope=SCOPE, frame=slot(at, {}, worker=worker), at=float(at), checks=[result])
    )

    result = run("database", "--db", str(file))

    assert 3 == result.exit_code
    assert "unknown" in result.output


@pytest.mark.parametrize(
    ("critical", "ask", "code"),
    [(True, "health", 1), (False, "health", 0), (True, "readyz", 0), (True, "livez", 0)],
)
def test_a_containers_probe_asks_the_server_beside_it(
    tmp_path: Path, critical: bool, ask: str, code: int
):
    """`--probe` finds the port by itself: 0 for pass and warn, 1 for fail."""
    (tmp_path / "shop.py").write_text(APP.replace("{critical}", str(critical)))

    with uvicorn("shop:app", folder=tmp_path, ready="/watchkeeper/livez") as server:
        place = f"http://127.0.0.1:{server.port}/watchkeeper"
        deadline = time.monotonic() + 20
        status = ""
        while status != ("fail" if critical else "warn") and time.monotonic() < deadline:
            time.sleep(0.2)
            status = json.loads(run("--url", place, "--json").output)["status"]
        result = run("--probe", "--ask", ask, "--url", place)

    assert code == result.exit_code, result.output


def test_the_port_is_found_without_configuration(tmp_path: Path):
    """In a container nothing needs to be said: the interpreter that listens is asked."""
    (tmp_path / "shop.py").write_text(APP.replace("{critical}", "False"))

    with uvicorn("shop:app", folder=tmp_path, ready="/watchkeeper/livez") as server:
        # Where others are watched it is found once it is known to be, which takes its thread a
        # moment; in a network of its own, like a container's, nobody else would be found.
        assert until(lambda: server.port in [place.port for place in places("/watchkeeper")])


def test_nobody_there_is_unhealthy(tmp_path: Path):
    """A process that does not answer is not left alone."""
    result = run("--probe", "--url", "http://127.0.0.1:9/watchkeeper")

    assert 1 == result.exit_code
    assert result.output.startswith("unknown   no Watchkeeper answers")


@pytest.fixture
def answering() -> Iterator[Callable[[str, str], Place]]:
    """Serve the same answer at every address: a status, as this media type."""
    servers: list[tuple[HTTPServer, threading.Thread]] = []

    def make(status: str, media_type: str = "application/health+json") -> Place:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """Answer."""
                body = json.dumps({"status": status}).encode()
                self.send_response(200)
                self.send_header("content-type", media_type)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Print nothing."""

        server = HTTPServer(("127.0.0.1", 0), Answer)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        servers.append((server, thread))
        return Place("127.0.0.1", server.server_port, "/watchkeeper")

    yield make
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_another_server_says_does_not_count(answering):
    """Only a health document of ours is an answer: this one says pass in its own words."""
    place = answering("pass", "application/json")

    result = run("--probe", "--url", str(place))

    assert 1 == result.exit_code


def test_who_listens_and_says_nothing_hides_nobody(answering):
    """A debugger beside the application takes connections and never answers them."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = Place("127.0.0.1", silent.getsockname()[1], "/watchkeeper")
        found = ask_all([place, answering("pass"), place], "health")

    assert ("pass", True) == (found.state.value, found.works)


def test_of_several_that_answer_the_worst_counts(answering):
    """Whoever fails first is told."""
    bad = answering("fail")

    found = ask_all([answering("pass"), bad, answering("warn")], "readyz")

    assert ("fail", f"{bad}/readyz") == (found.state.value, found.url)


@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1:8000", "http://x:y/"])
def test_a_wrong_address_is_told(url: str):
    """What is no address is wrong usage, with an example."""
    result = run("--probe", "--url", url)

    assert 64 == result.exit_code
    assert "such as http://127.0.0.1:8000/watchkeeper" in result.stderr


def test_a_name_and_a_probe_do_not_go_together():
    """A process tells strangers no names of checks."""
    assert 64 == run("database", "--probe").exit_code


def test_the_probe_loads_no_driver_of_a_database():
    """A container's check comes each 30 s: it opens no database and loads none of it."""
    script = (
        "import sys\nfrom click.testing import CliRunner\n"
        "from watchkeeper.cli import watchkeeper\n"
        "CliRunner().invoke(watchkeeper, ['health', '--probe', '--url', 'http://127.0.0.1:9/x'])\n"
        "print(sorted({'sqlalchemy', 'jinja2', 'urllib.request'} & set(sys.modules)))"
    )

    told = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ},
    )

    assert "[]\n" == told.stdout
