"""One id per request: in its event, its sample, its log lines and its response's header."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django_site
import frameworks
import pytest
from asgi_client import TestClient
from fastapi import FastAPI
from flask import Flask, Response

import watchkeeper
from watchkeeper.app import Watchkeeper, forget_current, obtain
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.integrations.request_ids import RequestIdFilter
from watchkeeper.settings import Settings

HEADER = {"request_id_header": "X-Request-ID"}
log = logging.getLogger("orders")


class Lines(logging.Handler):
    """Keeps what a format with id and route makes of log records."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(request_id)s %(route)s %(message)s"))
        self.addFilter(RequestIdFilter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """The lines that are logged during the test."""
    handler = Lines()
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler.lines
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)


@pytest.fixture
def settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Watchkeeper]]:
    """Makes the Watchkeeper of the process with settings; its threads do not run."""
    monkeypatch.setattr(Watchkeeper, "start", lambda self: None)
    made: list[Watchkeeper] = []

    def make(**settings: Any) -> Watchkeeper:
        made.append(
            obtain(Settings(enabled=True, database_url=str(tmp_path / "wk.db"), **settings))
        )
        made[0].started = True
        return made[0]

    yield make
    for one in made:
        one.started = False
    forget_current()


def fastapi() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{key}")
    def item(key: int) -> int:
        log.info("looked up")
        return key

    @app.get("/fail")
    async def fail() -> None:
        log.info("about to fail")
        await asyncio.sleep(0)
        log.info("failing")
        raise KeyError("socks")

    return app


def flask() -> Flask:
    app = Flask("shop")

    @app.get("/items/<int:key>")
    def item(key: int) -> dict[str, int]:
        log.info("looked up")
        return {"key": key}

    @app.get("/fail")
    def fail() -> None:
        log.info("about to fail")
        log.info("failing")
        raise KeyError("socks")

    return app


@pytest.fixture(params=[fastapi, flask], ids=["fastapi", "flask"])
def shop(request: pytest.FixtureRequest, settled) -> Callable[..., Any]:
    """Makes a client of a watched shop: `get(path, headers)` returns the response's headers."""

    def make(**settings: Any) -> tuple[Watchkeeper, Callable[..., Any]]:
        made = settled(**settings)
        app = request.param()
        watchkeeper.watch(app)
        if isinstance(app, FastAPI):
            client: Any = TestClient(app, raise_server_exceptions=False)
        else:
            client = app.test_client()

        def get(path: str, **headers: str) -> Any:
            answer = client.get(path, headers=headers)
            assert answer.text
            return answer.headers

        return made, get

    return make


def test_event_sample_log_and_header_name_the_same_request(shop, lines):
    """One id finds all that is known of a request, made where the client sent none."""
    made, get = shop(**HEADER)

    sent = get("/fail")["X-Request-ID"]

    (event,) = made.issues.take()[1]
    (sample,) = made.sampler.take()
    assert 32 == len(sent)
    assert [sent, sent] == [event.request_id, sample.request_id]
    assert [f"{sent} /fail about to fail", f"{sent} /fail failing"] == lines


def test_the_clients_id_is_taken_over(shop, lines):
    """An id that a proxy made is the request's everywhere."""
    made, get = shop(**HEADER)

    sent = get("/items/7", **{"X-Request-ID": "edge-41"})["X-Request-ID"]

    (sample,) = made.sampler.take()
    assert ["edge-41", "edge-41"] == [sent, sample.request_id]
    assert ["edge-41"] == [line.split(" ", maxsplit=1)[0] for line in lines]


def test_an_id_that_is_not_harmless_is_not_sent_back(shop):
    """What a client wrote into a header of its own does not come back in ours."""
    _, get = shop(**HEADER)

    for hostile in ("a b", "<script>", "x" * 65, "a;b", "{}"):
        assert 32 == len(get("/items/7", **{"X-Request-ID": hostile})["X-Request-ID"])


def test_the_header_can_have_another_name(shop):
    """Ids are read from the header that they are sent back in."""
    made, get = shop(request_id_header="X-Correlation-Id")

    headers = get("/items/7", **{"X-Correlation-ID": "c-1", "X-Request-ID": "r-1"})

    assert "c-1" == headers["X-Correlation-ID"]
    assert "X-Request-ID" not in headers
    assert ["c-1"] == [sample.request_id for sample in made.sampler.take()]


def test_no_header_is_sent_unless_asked_for(shop):
    """Answers stay as the application made them."""
    _, get = shop()

    assert "X-Request-ID" not in get("/items/7", **{"X-Request-ID": "edge-41"})


def test_the_applications_own_header_stays(settled):
    """An application that sends ids itself is left to it."""
    settled(**HEADER)
    app = Flask("shop")
    app.add_url_rule("/", "own", lambda: Response("own", headers={"x-request-id": "mine"}))
    watchkeeper.watch(app)

    answer = app.test_client().get("/", headers={"X-Request-ID": "edge-41"})

    assert ["mine"] == answer.headers.getlist("X-Request-ID")


@pytest.mark.parametrize("framework", ["fastapi", "starlette", "litestar", "quart"])
@pytest.mark.parametrize(("path", "status"), [("/ok/x", 200), ("/fail/x", 500), ("/none", 404)])
def test_every_framework_sends_it(settled, framework, path, status):
    """Whatever the answer, the framework's own pages of errors too."""
    settled(**HEADER)
    client = TestClient(frameworks.watched(framework), raise_server_exceptions=False)

    answer = client.get(path, headers={"X-Request-ID": "edge-41"})

    assert (status, "edge-41") == (answer.status_code, answer.headers["X-Request-ID"])


@pytest.mark.usefixtures("unhooked")
@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
@pytest.mark.parametrize(("path", "status"), [("/items/7/", 200), ("/fail/x/", 500)])
def test_django_sends_it(settled, interface, path, status):
    """Under both of its interfaces."""
    settled(**HEADER)
    with django_site.project(interface) as app:
        found, headers, _ = django_site.call(app, path, request_id="edge-41")

    sent = {name.lower(): value for name, value in headers}
    assert (status, "edge-41") == (found, sent["x-request-id"])


def test_any_asgi_application_sends_it(settled):
    """Without a framework too, and with the name in lower case, as HTTP/2 wants it."""
    settled(**HEADER)
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    async def keep(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"x-request-id", b"e-1")]}
    asyncio.run(watchkeeper.asgi(app)(scope, None, keep))

    assert [(b"x-request-id", b"e-1")] == sent[0]["headers"]


def test_any_wsgi_application_sends_it(settled):
    """Without a framework too; the application's list of headers is left as it is."""
    settled(**HEADER)
    own = [("Content-Type", "text/plain")]
    sent: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", own)
        return [b"ok"]

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_X_REQUEST_ID": "e-1"}
    body = watchkeeper.wsgi(app)(environ, lambda status, headers, *_: sent.extend(headers))

    assert [b"ok"] == list(body)
    assert [*own, ("X-Request-ID", "e-1")] == sent
    assert [("Content-Type", "text/plain")] == own


def test_lines_outside_of_requests_are_marked_as_such(lines):
    """A format that names the id works for every line of the process."""
    log.info("starting")

    assert ["- - starting"] == lines


def test_a_thread_of_its_own_is_outside_of_the_request(settled, lines):
    """Where the request's context does not follow, no line claims to be of the request."""
    settled()
    app = Flask("shop")

    @app.get("/")
    def page() -> str:
        thread = threading.Thread(target=log.info, args=("beside",))
        thread.start()
        thread.join()
        log.info("within")
        return "ok"

    watchkeeper.watch(app)
    app.test_client().get("/", headers={"X-Request-ID": "edge-41"})

    assert ["- - beside", "edge-41 / within"] == lines


def test_lines_of_a_job_name_it(settled, lines):
    """A job's line has its name, and the id of the request that it runs within, if any."""
    settled()
    app = Flask("shop")
    job = watchkeeper.job("import")(lambda: log.info("importing"))
    app.add_url_rule("/", "page", lambda: job() or "ok")
    watchkeeper.watch(app)

    job()
    app.test_client().get("/", headers={"X-Request-ID": "edge-41"})

    assert ["- job:import importing", "edge-41 job:import importing"] == lines


def test_what_a_record_says_itself_stays(lines):
    """An id that was given with `extra` is not replaced."""
    log.info("told", extra={"request_id": "given"})

    assert ["given - told"] == lines


def test_a_callback_that_logs_is_not_asked_for_its_own_line(settled, lines):
    """A `route_name` callback may log: that line has the id and no route."""

    def name(seen: Any) -> str:
        log.info("naming")
        return "/named"

    settled(route_name=name)
    app = Flask("shop")
    app.add_url_rule("/", "page", lambda: log.info("within") or "ok")
    watchkeeper.watch(app)

    app.test_client().get("/", headers={"X-Request-ID": "edge-41"})

    assert "edge-41 /named within" in lines
    assert "- - naming" in lines


@pytest.mark.parametrize(
    "name", ["X Request", "X-Request:", "X\r\nSet-Cookie", "Ü", "-x", "x" * 65]
)
def test_a_name_that_no_header_has_is_refused(name):
    """A setting that would break every answer is found at the start."""
    with pytest.raises(ConfigurationError, match="is no name of a header"):
        Settings(request_id_header=name)


def test_a_name_that_means_something_else_is_refused():
    """The id does not take the place of a header that browsers act on."""
    with pytest.raises(ConfigurationError, match="means something else"):
        Settings(request_id_header="Set-Cookie")
