"""The event loop is the application's: nothing of ours blocks it, not even to open a file."""

import asyncio
import contextlib
import gc
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import django_site
import frameworks
import pytest
from django.core.handlers.asgi import ASGIHandler
from django.test import override_settings

from watchkeeper.app import forget_current, obtain
from watchkeeper.integrations.django.switch import switch_off
from watchkeeper.integrations.hooks import futures, logs, uncaught
from watchkeeper.settings import Settings

BLOCKING_EVENTS = ("open", "os.", "socket.", "sqlite3.", "subprocess.", "shutil.", "tempfile.")
BLOCKING_CALLS = {"sleep", "connect", "recv", "sendall", "accept", "fsync", "select", "poll"}
OTHERS = ("asyncio.", "selectors.")
IMPORTED = (futures, logs, uncaught)  # what a process' first start imports, and only that


class Watch:
    """Notes what this thread does that may block, and that comes from Watchkeeper's own code.

    Python's audit events tell of files, sockets, databases and processes, a profiler of sleeping.
    """

    def __init__(self) -> None:
        self.found: list[str] = []
        self._thread = 0

    def audit(self, event: str, arguments: tuple) -> None:
        """Be told by the interpreter of something that touches the world."""
        if self._thread == threading.get_ident() and event.startswith(BLOCKING_EVENTS):
            self._judge(f"{event}{arguments!r}", sys._getframe(1))

    def profile(self, frame: FrameType, event: str, called: Any) -> None:
        """Be told by the interpreter of a call."""
        if event == "c_call" and called.__name__ in BLOCKING_CALLS:
            self._judge(called.__qualname__, frame)

    def _judge(self, what: str, frame: FrameType | None) -> None:
        """Note an event if our code is nearer to it than anybody else's."""
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            if module.startswith("watchkeeper."):
                self.found.append(f"{what} in {module}:{frame.f_lineno}")
                return
            if module.startswith(OTHERS) or "site-packages" in frame.f_code.co_filename:
                return
            frame = frame.f_back

    def __enter__(self) -> "Watch":
        self._thread = threading.get_ident()
        sys.setprofile(self.profile)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        sys.setprofile(None)
        self._thread = 0


@pytest.fixture(scope="module")
def audited() -> Watch:
    """Listen to the interpreter's audit events, which cannot be ended, only ignored."""
    watch = Watch()
    sys.addaudithook(watch.audit)
    return watch


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Settings of a real Watchkeeper, with its thread and its database."""
    made = Settings(
        enabled=True, database_url=f"sqlite:///{tmp_path / 'watchkeeper.db'}", slot="1s"
    )
    yield made
    obtain(made).stop()
    forget_current()


def scope(path: str, **changes: object) -> dict:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"shop.example"), (b"x-request-start", b"t=1700000000")],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 80),
        "extensions": {},
        **changes,
    }


async def request(app: frameworks.Application, path: str) -> None:
    """Serve a request, whatever becomes of it."""
    done = asyncio.Event()
    waiting = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict:
        if waiting:
            return waiting.pop()
        await done.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            done.set()

    with contextlib.suppress(Exception):
        await app(scope(path), receive, send)


async def lifetime(app: frameworks.Application) -> None:
    """Start, serve requests of all kinds and stop, as a server does."""
    waiting: asyncio.Queue[dict] = asyncio.Queue()
    sent: asyncio.Queue[dict] = asyncio.Queue()
    running = asyncio.ensure_future(app({"type": "lifespan"}, waiting.get, sent.put))
    await waiting.put({"type": "lifespan.startup"})
    assert "lifespan.startup.complete" == (await sent.get())["type"]
    for path in ("/ok/x", "/fail/x", "/stream/x", "/break/x", "/late/x", "/nothing") * 3:
        await request(app, path)
    for path in ("/watchkeeper/livez", "/watchkeeper/readyz", "/watchkeeper/"):
        await request(app, path)
    await waiting.put({"type": "lifespan.shutdown"})
    assert "lifespan.shutdown.complete" == (await sent.get())["type"]
    await running


@pytest.mark.parametrize("framework", frameworks.NAMES)
@pytest.mark.trap("no blocking call", "fastapi", "starlette", "litestar", "quart", "asgi")
def test_nothing_of_ours_blocks_the_loop(
    audited: Watch, settings: Settings, monkeypatch: pytest.MonkeyPatch, framework: str
):
    """From start to stop, with errors, pages and a real database: no file and no sleep."""
    obtain(settings)
    app = frameworks.watched(framework)
    audited.found.clear()

    with asyncio.Runner(debug=True) as runner, audited:
        runner.run(lifetime(app))

    assert [] == audited.found


@pytest.mark.trap("no blocking call", "django")
@pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")  # Django's, of a request
def test_nothing_of_ours_blocks_the_loop_under_django(audited: Watch, settings: Settings):
    """The same for Django, whose first request is the start: it knows no lifespan."""
    paths = ("/async/1/", "/async-fail/x/", "/stream/async/", "/stream/async-broken/", "/nothing")
    obtain(settings)

    async def serve(app: frameworks.Application) -> None:
        for path in (*paths * 3, "/watchkeeper/livez", "/watchkeeper/"):
            await request(app, path)

    with override_settings(**django_site.OVERRIDES):
        app = ASGIHandler()
        audited.found.clear()
        with asyncio.Runner(debug=True) as runner, audited:
            runner.run(serve(app))
    switch_off()
    gc.collect()

    assert [] == audited.found


def test_what_blocks_would_be_found(audited: Watch):
    """The test above is no idle one: code that is named as ours is caught at a file and a nap."""
    module = {"__name__": "watchkeeper.integrations.guilty"}
    exec("import time\ndef nap():\n    open('/dev/null').close()\n    time.sleep(0)\n", module)  # noqa: S102
    audited.found.clear()

    with audited:
        module["nap"]()

    assert 2 == len(audited.found)
    assert "open" in audited.found[0]
    assert "sleep" in audited.found[1]
