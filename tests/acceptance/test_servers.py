"""The servers that people run: nothing lost, nothing changed, under each of them."""

import http.client
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from processes import Server, until
from servers import free_port, missing

from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.rollup import merge_frames
from watchkeeper.exceptions import StorageError
from watchkeeper.storage import open_store
from watchkeeper.storage.records import Worker

pytestmark = pytest.mark.timeout(300)  # the first test waits for stories of others

SETTINGS = """
import os
import sys
import time

import watchkeeper

SETTINGS = watchkeeper.Settings(
    database_url="sqlite:///watchkeeper.db", service="shop", environment="test",
    slot="1s", flush_jitter="0s", alert_pack=False,
)
BARE = "BARE" in os.environ
"""
ASGI = (
    SETTINGS
    + """
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route


async def hello(request: Request) -> JSONResponse:
    return JSONResponse({"hello": request.path_params["name"]})


def slow(request: Request) -> JSONResponse:
    time.sleep(0.02)
    return JSONResponse(str(os.getpid()))


async def echo(request: Request) -> JSONResponse:
    return JSONResponse(len(await request.body()))


async def stream(request: Request) -> StreamingResponse:
    async def parts():
        for number in range(20):
            yield f"{number} " * 100

    return StreamingResponse(parts(), headers={"X-Twice": "a"})


async def fail(request: Request) -> JSONResponse:
    raise ValueError("as planned")


# Not FastAPI: the servers are what this is about, and many start.
app = Starlette(
    routes=[
        Route("/hello/{name}", hello),
        Route("/slow", slow),
        Route("/echo", echo, methods=["POST"]),
        Route("/stream", stream),
        Route("/fail", fail),
    ]
)
if not BARE:
    watchkeeper.watch(app, SETTINGS)
"""
)
WSGI = (
    SETTINGS
    + """
from flask import Flask, Response, request

app = Flask(__name__)


@app.get("/hello/<name>")
def hello(name: str) -> dict[str, str]:
    return {"hello": name}


@app.get("/slow")
def slow() -> str:
    time.sleep(0.02)
    return str(os.getpid())


@app.post("/echo")
def echo() -> str:
    return str(len(request.get_data()))


@app.get("/stream")
def stream() -> Response:
    return Response((f"{number} " * 100 for number in range(20)), headers={"X-Twice": "a"})


@app.get("/fail")
def fail() -> str:
    raise ValueError("as planned")


if not BARE:
    watchkeeper.watch(app, SETTINGS)
"""
)
PYWSGI = """
from gevent import monkey

monkey.patch_all()
import sys

from gevent.pywsgi import WSGIServer
from shop_wsgi import app

WSGIServer(("127.0.0.1", int(sys.argv[1])), app).serve_forever()
"""
PROBES = [
    ("GET", "/hello/anna", b""),
    ("HEAD", "/hello/anna", b""),
    ("POST", "/echo", b"x" * 5_000),
    ("GET", "/stream", b""),
    ("GET", "/fail", b""),
    ("GET", "/nowhere", b""),
    ("DELETE", "/hello/anna", b""),
]
VARYING = {"date"}  # headers that differ from one answer to the next
ALONE = {"--workers=2": "--workers=1", "--processes=2": "--processes=1"}  # answers are the same
AT_ONCE = 3  # servers
CLIENTS = 4
ROUNDS = 2
WITHIN_S = 20.0

PYTHON = sys.executable
GUNICORN = [PYTHON, "-m", "gunicorn", "-b", "127.0.0.1:{port}", "--no-control-socket"]
GRANIAN = [PYTHON, "-m", "granian", "--port={port}", "--workers=2"]
UWSGI = [
    str(Path(PYTHON).with_name("uwsgi")),
    "--http-socket=127.0.0.1:{port}",
    "--wsgi-file=shop_wsgi.py",
    "--callable=app",
    "--master",
    "--hook-master-start=unix_signal:15 gracefully_kill_them_all",
    "--need-app",
]


@dataclass(frozen=True)
class Kind:
    """A server as somebody starts it."""

    name: str
    command: list[str]
    workers: int = 1
    like: str = ""  # the kind whose bare answers these are to equal; empty: its own
    environ: dict[str, str] = field(default_factory=dict)


def gunicorn(name: str, *options: str) -> list[Kind]:
    """Name a kind of worker of gunicorn's, without and with the application loaded first."""
    command = [*GUNICORN, "--workers=2", *options]
    return [
        Kind(f"gunicorn-{name}", command, workers=2),
        Kind(
            f"gunicorn-{name}-preload",
            [*command, "--preload"],
            workers=2,
            like=f"gunicorn-{name}",
        ),
    ]


KINDS = [
    Kind(
        "uvicorn",
        [PYTHON, "-m", "uvicorn", "shop_asgi:app", "--port={port}", "--workers=2"],
        workers=2,
    ),
    Kind(
        "hypercorn",
        [PYTHON, "-m", "hypercorn", "shop_asgi:app", "--bind=127.0.0.1:{port}", "--workers=2"],
        workers=2,
    ),
    Kind(
        "granian-asgi",
        [*GRANIAN, "--interface=asgi", "shop_asgi:app"],
        workers=2,
    ),
    Kind(
        "granian-wsgi",
        [*GRANIAN, "--interface=wsgi", "shop_wsgi:app"],
        workers=2,
    ),
    *gunicorn("sync", "shop_wsgi:app"),
    *gunicorn("gthread", "--worker-class=gthread", "--threads=4", "shop_wsgi:app"),
    *gunicorn("gevent", "--worker-class=gevent", "shop_wsgi:app"),
    *gunicorn("uvicorn", "--worker-class=uvicorn.workers.UvicornWorker", "shop_asgi:app"),
    *gunicorn("asgi", "--worker-class=asgi", "shop_asgi:app"),
    Kind("waitress", [PYTHON, "-m", "waitress", "--listen=127.0.0.1:{port}", "shop_wsgi:app"]),
    Kind("cheroot", [PYTHON, "-m", "cheroot", "--bind=127.0.0.1:{port}", "shop_wsgi:app"]),
    Kind("gevent-pywsgi", [PYTHON, "serve_pywsgi.py", "{port}"]),
    Kind("daphne", [PYTHON, "-m", "daphne", "-b127.0.0.1", "-p{port}", "shop_asgi:app"]),
    Kind("uwsgi", [*UWSGI, "--processes=2", "--enable-threads"], workers=2),
    Kind("uwsgi-threads", [*UWSGI, "--processes=2", "--threads=4"], workers=2, like="uwsgi"),
    Kind(
        "uwsgi-lazy",
        [*UWSGI, "--processes=2", "--enable-threads", "--lazy-apps"],
        workers=2,
        like="uwsgi",
    ),
]
BY_NAME = {kind.name: kind for kind in KINDS}
Answer = tuple[int, list[tuple[str, str]], bytes]


def ask(port: int, method: str, path: str, body: bytes = b"") -> Answer:
    """Send one request over a connection of its own; the answer as it came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN_S)
    try:
        connection.request(method, path, body=body or None, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()
    finally:
        connection.close()


def start(kind: Kind, folder: Path, *, bare: bool = False) -> Server:
    """Prepare a server of a kind in a folder with the two applications."""
    (folder / "shop_asgi.py").write_text(ASGI)
    (folder / "shop_wsgi.py").write_text(WSGI)
    (folder / "serve_pywsgi.py").write_text(PYWSGI)
    environ = {
        "PYTHONHASHSEED": "0",  # Flask's Allow header comes in the order of a set
        **kind.environ,
        **({"BARE": "1"} if bare else {}),
    }
    return Server(
        kind.command if not bare else [ALONE.get(part, part) for part in kind.command],
        port=free_port(),
        folder=folder,
        environ=environ,
        ready="/watchkeeper/livez" if not bare else "/nowhere",
    )


def comparable(answer: Answer) -> Answer:
    """Leave out what differs from one answer to the next."""
    status, headers, body = answer
    return status, [pair for pair in headers if pair[0].lower() not in VARYING], body


class Load:
    """Requests from several clients at once; counts what was answered."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.sent: Counter[int] = Counter()  # by status
        self.pids: set[bytes] = set()
        self.wrong: list[BaseException] = []
        self._lock = threading.Lock()

    def ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        """Send a request, and count it."""
        answer = ask(self.port, method, path, body)
        with self._lock:
            self.sent[answer[0]] += 1
            if path == "/slow":
                self.pids.add(answer[2])
        return answer

    def run(self, *, workers: int) -> None:
        """Send every probe some times from each client, and on until each worker answered."""
        threads = [threading.Thread(target=self._shop, args=(workers,)) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [] == self.wrong

    def _shop(self, workers: int) -> None:
        try:
            for _ in range(ROUNDS):
                for method, path, body in PROBES:
                    self.ask(method, path, body)
            deadline = time.monotonic() + WITHIN_S
            while time.monotonic() < deadline:
                self.ask("GET", "/slow")
                if len(self.pids) >= workers:
                    break
        except (OSError, http.client.HTTPException) as error:
            self.wrong.append(error)


@dataclass
class Story:
    """What happened to one server from start to stop."""

    answers: list[Answer]
    sent: Counter[int]
    pids: set[bytes]
    before: Counter[int]  # what was sent by then
    while_running: Counter[int]
    stored: Counter[int]
    workers: list[Worker]
    exit_code: int | None
    log: str


def stored(folder: Path) -> tuple[Counter[int], list[Worker]]:
    """Read from the database how many requests it knows, by status, and the workers."""
    store = open_store(f"sqlite:///{folder / 'watchkeeper.db'}")
    here = {"service": "shop", "environment": "test"}
    try:
        frames = store.frames(1, since=0, until=time.time() + 60, **here)
        workers = store.workers(**here, seen_since=0)
    except StorageError:
        return Counter(), []
    finally:
        store.close()
    counts: Counter[int] = Counter()
    for series, value in merge_frames(frames).items():
        if series.metric == HTTP_DURATION.name:
            counts[int(series.label("status"))] += value.count
    return counts, workers


def tell(kind: Kind, folder: Path) -> Story:
    """Start a server, send requests, wait until they are stored, send more, and stop it."""
    with start(kind, folder) as server:
        load = Load(server.port)
        answers = [comparable(load.ask(*probe)) for probe in PROBES]
        load.run(workers=kind.workers)
        before = Counter(load.sent)
        until(lambda: stored(folder)[0] == before)
        while_running, _ = stored(folder)
        load.run(workers=0)
        server.stop()
    counts, workers = stored(folder)
    return Story(
        answers=answers,
        sent=load.sent,
        pids=load.pids,
        before=before,
        while_running=while_running,
        stored=counts,
        workers=workers,
        exit_code=server.process.returncode if server.process else None,
        log=server.log.read_text(),
    )


def answers_without(kind: Kind, folder: Path) -> list[Answer]:
    """Ask a server whose application nobody watches: one worker, for what is asked is few."""
    with start(kind, folder, bare=True) as server:
        try:
            return [comparable(ask(server.port, *probe)) for probe in PROBES]
        finally:
            server.kill()  # how it stops is told by the other one


class Stories:
    """The story of each kind, told once, some at a time."""

    def __init__(self, names: list[str], factory: pytest.TempPathFactory) -> None:
        self._telling = ThreadPoolExecutor(AT_ONCE)
        self._of: dict[str, Future[Story]] = {}
        self._bare: dict[str, Future[list[Answer]]] = {}
        for name in names:
            kind = BY_NAME[name]
            alike = kind.like or name
            self._of[name] = self._telling.submit(tell, kind, factory.mktemp(name))
            if alike not in self._bare:
                self._bare[alike] = self._telling.submit(
                    answers_without, BY_NAME[alike], factory.mktemp(f"bare-{alike}")
                )

    def of(self, name: str) -> Story:
        """Return what happened to a server with a watched application."""
        if name.startswith("uwsgi") and not Path(UWSGI[0]).exists():
            missing("uWSGI is not installed: it is built from source, with a C compiler")
        return self._of[name].result()

    def bare(self, name: str) -> list[Answer]:
        """Return the answers of a server of this kind with an application that is not watched."""
        return self._bare[BY_NAME[name].like or name].result()

    def close(self) -> None:
        """Tell no more."""
        self._telling.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def stories(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stories]:
    """Tell each story that a test asks for, once."""
    asked = [
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.module is request.module
        and hasattr(item, "callspec")
        and "name" in item.callspec.params
    ]
    stories = Stories(list(dict.fromkeys(asked)), tmp_path_factory)
    yield stories
    stories.close()


EVERY = pytest.mark.parametrize("name", list(BY_NAME))


@EVERY
def test_every_request_is_counted_once(stories: Stories, name: str):
    """After a clean stop the stored counts of all workers are exactly what was sent."""
    story = stories.of(name)

    assert story.sent == story.stored, story.log


@EVERY
def test_frames_are_written_while_it_runs(stories: Stories, name: str):
    """The flusher lives in each worker, also where the application was loaded before a fork."""
    story = stories.of(name)

    assert story.before == story.while_running, story.log


@EVERY
def test_each_worker_is_known_and_stops_cleanly(stories: Stories, name: str):
    """Each process that served is a worker of its own, and says goodbye."""
    story = stories.of(name)

    served = {int(pid.strip(b'"')) for pid in story.pids}
    assert served == {worker.pid for worker in story.workers}, story.log
    assert [] == [worker for worker in story.workers if worker.stopped_at is None], story.log


@EVERY
def test_answers_are_the_same_byte_for_byte(stories: Stories, name: str):
    """Status, headers and body are those of the application without Watchkeeper."""
    watched = stories.of(name).answers

    assert stories.bare(name) == watched


@pytest.mark.parametrize("worker", ["sync", "gevent"])
def test_workers_that_are_replaced_lose_nothing(worker: str, tmp_path: Path):
    """Workers of gunicorn that end after some requests write their last slot and say goodbye."""
    options = [f"--worker-class={worker}", "--max-requests=12", "shop_wsgi:app"]
    kind = Kind("recycled", [*GUNICORN, "--preload", *options])

    with start(kind, tmp_path) as server:
        load = Load(server.port)

        def replaced() -> bool:
            for _ in range(5):
                load.ask("GET", "/hello/anna")
            # A worker that is replaced within its first second has hardly opened the database.
            until(lambda: stored(tmp_path)[0] == load.sent)
            return len(stored(tmp_path)[1]) > 1

        assert until(replaced), server.log.read_text()
        server.stop()
    counts, workers = stored(tmp_path)

    assert load.sent == counts
    assert len(workers) > 1, server.log.read_text()
    assert [] == [worker for worker in workers if worker.stopped_at is None]
