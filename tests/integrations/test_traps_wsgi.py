"""What holds for every WSGI application, of Flask or not: same requests, same outcomes."""

import gc
import time
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest
from flask import Flask, Response, send_file

import watchkeeper.integrations as integrations

Between = Callable[[], object]

wsgi_framework = pytest.mark.parametrize("framework", ["flask", "wsgi"])


def nothing() -> None:
    """Go on at once."""


def parts(between: Between, *, fail: bool) -> Iterator[bytes]:
    yield b"a"
    between()
    if fail:
        raise KeyError("stream")
    yield b"b"


def flask(between: Between) -> Callable:
    app = Flask(__name__)

    @app.get("/ok/<name>")
    def ok(name: str) -> str:
        return name

    @app.get("/fail/<name>")
    def fail(name: str) -> str:
        raise KeyError(name)

    @app.get("/exit/<name>")
    def leave(name: str) -> str:
        raise SystemExit(1)

    @app.get("/stream/<name>")
    def stream(name: str) -> Response:
        return Response(parts(between, fail=False))

    @app.get("/break/<name>")
    def broken(name: str) -> Response:
        return Response(parts(between, fail=True))

    @app.get("/late/<name>")
    def later(name: str) -> Response:
        response = Response("ok")
        response.call_on_close(between)
        return response

    @app.get("/file/<name>")
    def file(name: str) -> Response:
        return send_file(BytesIO(b"file"), "text/plain")

    integrations.watch(app)
    return app


class Late:
    """A body that has something to do when it is closed."""

    def __init__(self, between: Between) -> None:
        self.close = between

    def __iter__(self) -> Iterator[bytes]:
        yield b"ok"


def wsgi(between: Between) -> Callable:
    def app(environ: dict, start_response: Callable) -> Iterable[bytes]:
        what = environ["PATH_INFO"].split("/")[1]
        if what == "fail":
            raise KeyError("fail")
        if what == "exit":
            raise SystemExit(1)
        if what == "silent":
            return []
        start_response("200 OK", [("Content-Type", "text/plain")])
        if what == "file":
            return environ["wsgi.file_wrapper"](BytesIO(b"file"))
        bodies: dict[str, Iterable[bytes]] = {
            "ok": [b"ok"],
            "stream": parts(between, fail=False),
            "break": parts(between, fail=True),
            "late": Late(between),
        }
        return bodies[what]

    return integrations.wsgi(app)


def make(framework: str, between: Between = nothing) -> Callable:
    """Make an application that is watched."""
    return (flask if framework == "flask" else wsgi)(between)


def route(framework: str, what: str) -> str:
    return f"/{what}/<name>" if framework == "flask" else "(unmatched)"


def begin(app: Callable, what: str, **changes: object) -> Iterable[bytes]:
    """Begin a request as a server does; the body."""
    environ: dict = {"REQUEST_METHOD": "GET", "PATH_INFO": f"/{what}/x", "SCRIPT_NAME": ""}
    environ["QUERY_STRING"] = ""
    setup_testing_defaults(environ)
    return app(environ | changes, lambda status, headers, exc_info=None: lambda data: None)


def serve(app: Callable, what: str, **changes: object) -> bytes:
    """Serve a request to its end."""
    body = begin(app, what, **changes)
    try:
        return b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()


@wsgi_framework
@pytest.mark.trap("unhandled exception", "flask", "wsgi")
def test_an_unhandled_exception_is_one_error_and_one_issue(recorded, framework: str):
    """Whether the framework answers it or lets it go: a 500, and an issue."""
    app = make(framework)
    if framework == "flask":
        serve(app, "fail")
    else:
        with pytest.raises(KeyError):
            serve(app, "fail")

    assert {f"answered GET {route(framework, 'fail')} 500": 1} == recorded.outcomes()
    assert {"KeyError": 1} == recorded.issues()
    assert 0 == recorded.active


@wsgi_framework
@pytest.mark.trap("background tasks", "flask", "wsgi")
def test_a_request_ends_with_its_response(recorded, framework: str):
    """Work that is left for the close of the response is not part of its duration."""
    during: list[dict[str, int]] = []
    app = make(framework, lambda: during.append(recorded.outcomes()))

    serve(app, "late")

    assert [{f"answered GET {route(framework, 'late')} 200": 1}] == during
    assert {} == recorded.outcomes()


@wsgi_framework
@pytest.mark.trap("background tasks", "flask", "wsgi")
@pytest.mark.trap("errors in WSGI iteration and close", "flask", "wsgi")
def test_work_at_the_close_that_fails_is_unhandled(recorded, framework: str):
    """The response was fine, the work after it was not."""

    def fail() -> None:
        raise KeyError("late")

    with pytest.raises(KeyError):
        serve(make(framework, fail), "late")

    expected = route(framework, "late")
    assert {f"answered GET {expected} 200": 1, f"unhandled GET {expected}": 1} == (
        recorded.outcomes()
    )
    assert {"KeyError": 1} == recorded.issues()


@wsgi_framework
@pytest.mark.trap("exception after the start of a stream", "flask", "wsgi")
@pytest.mark.trap("errors in WSGI iteration and close", "flask", "wsgi")
def test_a_stream_that_fails_is_broken(recorded, framework: str):
    """The status stays what the client got, the response counts as broken."""
    with pytest.raises(KeyError):
        serve(make(framework), "break")

    expected = route(framework, "break")
    assert {f"answered GET {expected} 200": 1, f"broken GET {expected}": 1} == recorded.outcomes()
    assert {"KeyError": 1} == recorded.issues()
    assert 0 == recorded.active


@wsgi_framework
@pytest.mark.trap("cancelled before a response", "flask", "wsgi")
def test_a_request_that_the_server_gives_up_is_no_longer_active(recorded, framework: str):
    """A worker that is told to exit in the midst of a request leaves no request active."""
    with pytest.raises(SystemExit):
        serve(make(framework), "exit")

    assert 0 == recorded.active
    assert 1 == sum(recorded.outcomes().values())


@wsgi_framework
@pytest.mark.trap("streaming", "flask", "wsgi")
def test_a_stream_has_two_times(recorded, framework: str):
    """Of a stream both the time to its first byte and that to its end are recorded."""
    serve(make(framework, lambda: time.sleep(0.05)), "stream")

    total = f"answered GET {route(framework, 'stream')} 200"
    first = f"first byte {route(framework, 'stream')}"
    assert {total: 1} == recorded.outcomes()
    assert {first: 1} == recorded.also
    assert recorded.seconds[total] - recorded.seconds[first] >= 0.05


@wsgi_framework
@pytest.mark.trap("queue time", "flask", "wsgi")
@pytest.mark.parametrize("header", ["HTTP_X_REQUEST_START", "HTTP_X_QUEUE_START"])
def test_the_time_in_a_proxys_queue_is_recorded(recorded, framework: str, header: str):
    """A proxy that says when a request came to it tells how long it waited for us."""
    serve(make(framework), "ok", **{header: f"t={time.time() - 30:.3f}"})

    queued = f"queued {route(framework, 'ok')}"
    recorded.outcomes()
    assert 1 == recorded.also[queued]
    assert 29 < recorded.seconds[queued] < 300


@wsgi_framework
@pytest.mark.trap("neither exhausted nor closed", "flask", "wsgi")
def test_a_response_that_nobody_reads_is_finished(recorded, framework: str):
    """Test clients like to neither read nor close: the request counts all the same."""
    body = begin(make(framework), "stream")
    assert 1 == recorded.active
    del body
    gc.collect()

    assert {f"answered GET {route(framework, 'stream')} 200": 1} == recorded.outcomes()
    assert 0 == recorded.active


@wsgi_framework
@pytest.mark.trap("file_wrapper", "flask", "wsgi")
def test_a_file_wrapper_passes_unwrapped(recorded, framework: str):
    """A file goes out as the server's own object, so that sendfile stays possible."""
    body = begin(make(framework), "file", **{"wsgi.file_wrapper": FileWrapper})

    assert FileWrapper is type(body)
    body.close()
    assert {f"answered GET {route(framework, 'file')} 200": 1} == recorded.outcomes()


@wsgi_framework
@pytest.mark.trap("errors in WSGI iteration and close", "flask", "wsgi")
@pytest.mark.parametrize("what", ["ok", "stream", "late"])
def test_the_validator_is_content(recorded, framework: str, what: str):
    """The wrapper keeps every rule of WSGI towards the server."""
    serve(validator(make(framework)), what)

    assert {f"answered GET {route(framework, what)} 200": 1} == recorded.outcomes()


@pytest.mark.trap("no response started", "wsgi")
def test_a_response_that_never_starts_is_an_error(recorded):
    """An application that returns without a status has failed, though quietly."""
    serve(make("wsgi"), "silent")

    assert {"answered GET (unmatched) 500": 1} == recorded.outcomes()


@pytest.mark.trap("404, slash redirect, unknown method", "wsgi")
def test_a_method_outside_of_the_standard_is_other(recorded):
    """Invented methods and paths cannot make series without end."""
    app = make("wsgi")
    for number in range(20):
        serve(app, "ok", REQUEST_METHOD=f"X{number}", PATH_INFO=f"/ok/{number}")

    assert {"answered _OTHER (unmatched) 200": 20} == recorded.outcomes()


@pytest.mark.trap("exception in middleware", "flask")
@pytest.mark.parametrize("place", ["before", "after", "wsgi"])
def test_an_exception_in_middleware_is_one_error_and_one_issue(recorded, place: str):
    """Functions and WSGI middleware around the views fail the request as a view does."""
    app = Flask(__name__)
    app.add_url_rule("/ok/<name>", view_func=lambda name: name)

    def fail(*args: object) -> None:
        raise KeyError("no")

    if place == "before":
        app.before_request(fail)
    elif place == "after":
        app.after_request(fail)
    else:
        app.wsgi_app = fail
    integrations.watch(app)
    if place == "wsgi":
        with pytest.raises(KeyError):
            serve(app, "ok")
    else:
        serve(app, "ok")

    route = "(unmatched)" if place == "wsgi" else "/ok/<name>"
    assert {f"answered GET {route} 500": 1} == recorded.outcomes()
    assert {"KeyError": 1} == recorded.issues()
