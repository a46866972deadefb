"""Flask: rules as routes, and the exceptions that never reach WSGI."""

import gc
import weakref

import pytest
from flask import Blueprint, Flask, Response, abort, stream_with_context
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

import watchkeeper.integrations as integrations
from watchkeeper.exceptions import ConfigurationError


def flask() -> Flask:
    app = Flask(__name__)

    @app.get("/items/<int:item>")
    def item(item: int) -> str:
        return str(item)

    @app.get("/fail/<name>")
    def fail(name: str) -> str:
        raise ValueError(name)

    @app.get("/folder/")
    def folder() -> str:
        return "ok"

    return app


def call(app: Flask, path: str, method: str = "GET") -> int:
    """Make a request as a server does, reading and closing the response; its status."""
    return app.test_client().open(path, method=method, buffered=True).status_code


@pytest.mark.trap("404, slash redirect, unknown method", "flask")
@pytest.mark.parametrize(
    ("method", "path", "outcome"),
    [
        ("GET", "/items/7", "answered GET /items/<int:item> 200"),
        ("HEAD", "/items/7", "answered HEAD /items/<int:item> 200"),
        ("GET", "/items/x", "answered GET (unmatched) 404"),
        ("GET", "/nothing", "answered GET (unmatched) 404"),
        ("GET", "/folder", "answered GET (unmatched) 308"),
        ("DELETE", "/items/7", "answered DELETE (unmatched) 405"),
        ("BREW", "/items/7", "answered _OTHER (unmatched) 405"),
        ("GET", "/static/no.css", "answered GET (quiet) 404"),
    ],
)
def test_rules_are_routes(recorded, method: str, path: str, outcome: str):
    """Requests count under their rule, all others together; never a raw path."""
    app = flask()
    integrations.watch(app)

    call(app, path, method)

    assert {outcome: 1} == recorded.outcomes()
    assert 0 == recorded.active


@pytest.mark.trap("mounted and included", "flask")
def test_blueprints_have_their_prefixes(recorded):
    """A blueprint's routes begin with where it is registered."""
    blueprint = Blueprint("api", __name__, url_prefix="/api")
    blueprint.add_url_rule("/<name>", view_func=lambda name: name)
    app = flask()
    app.register_blueprint(blueprint, url_prefix="/v1")
    integrations.watch(app)

    call(app, "/v1/x")

    assert {"answered GET /v1/<name> 200": 1} == recorded.outcomes()


@pytest.mark.trap("mounted and included", "flask")
def test_the_mount_point_of_an_application_is_no_part_of_its_routes(recorded):
    """Where the deployment puts an application does not change its series."""
    app = flask()
    integrations.watch(app)

    Client(DispatcherMiddleware(Flask("outer"), {"/app": app})).get("/app/items/1")

    assert {"answered GET /items/<int:item> 200": 1} == recorded.outcomes()


@pytest.mark.parametrize("testing", [False, True])
def test_an_unhandled_exception_is_a_500_and_one_issue(recorded, testing: bool):
    """Whether Flask answers 500 or raises again (when testing): one error, one issue."""
    app = flask()
    app.testing = testing
    integrations.watch(app)

    if testing:
        with pytest.raises(ValueError, match="x"):
            call(app, "/fail/x")
    else:
        assert 500 == call(app, "/fail/x")

    assert {"answered GET /fail/<name> 500": 1} == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()
    assert "/fail/<name>" == recorded.events[0].route
    assert 0 == recorded.active


@pytest.mark.trap("swallowed exception", "flask")
@pytest.mark.parametrize(("status", "issues"), [(500, 1), (503, 1), (409, 0)])
def test_an_exception_that_a_handler_swallows(recorded, status: int, issues: int):
    """An exception that a handler answers is an issue if the answer is a failure."""
    app = flask()
    app.register_error_handler(ValueError, lambda error: ("sorry", status))
    integrations.watch(app)

    call(app, "/fail/x")

    assert {f"answered GET /fail/<name> {status}": 1} == recorded.outcomes()
    assert issues == sum(recorded.issues().values())


def test_a_handler_of_500_sees_an_issue_whatever_it_answers(recorded):
    """An unhandled exception is an issue even if the page for it claims that all is well."""
    app = flask()
    app.register_error_handler(500, lambda error: ("sorry", 200))
    integrations.watch(app)

    call(app, "/fail/x")

    assert {"answered GET /fail/<name> 200": 1} == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()


@pytest.mark.trap("swallowed exception", "flask")
def test_an_abort_of_500_is_an_issue(recorded):
    """abort(503) is a failure that somebody wants to see; abort(404) is not."""
    app = flask()
    app.add_url_rule("/a", "a", lambda: abort(503))
    app.add_url_rule("/b", "b", lambda: abort(404))
    integrations.watch(app)

    call(app, "/a")
    call(app, "/b")

    assert {"answered GET /a 503": 1, "answered GET /b 404": 1} == recorded.outcomes()
    assert {ServiceUnavailable.__name__: 1} == recorded.issues()


def test_an_exception_in_a_stream_is_broken(recorded):
    """A stream that breaks off keeps its status, and is an error."""
    app = flask()

    @app.get("/stream")
    def stream() -> Response:
        def parts():
            yield "a"
            raise ValueError

        return Response(stream_with_context(parts()))

    integrations.watch(app)
    with pytest.raises(ValueError):  # noqa: PT011  # the application's own
        call(app, "/stream")

    assert {"answered GET /stream 200": 1, "broken GET /stream": 1} == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()


def test_a_response_that_nobody_reads_counts(recorded):
    """Flask's test client may neither read nor close a stream."""
    app = flask()
    app.add_url_rule("/stream", "stream", lambda: Response(iter(["a", "b"])))
    integrations.watch(app)

    response = app.test_client().get("/stream")
    del response

    assert {"answered GET /stream 200": 1} == recorded.outcomes()
    assert 0 == recorded.active


@pytest.mark.trap("installed twice or after start", "flask")
def test_watching_after_the_start_is_an_error(recorded):
    """Too late is told at once, with what to do."""
    app = flask()
    call(app, "/")

    with pytest.raises(ConfigurationError, match="before its first request"):
        integrations.watch(app)


@pytest.mark.trap("installed twice or after start", "flask")
def test_watching_twice_is_ignored_with_a_line(recorded, caplog: pytest.LogCaptureFixture):
    """A second watch() counts nothing twice and names the place of the first."""
    app = flask()
    integrations.watch(app)
    integrations.watch(app)

    call(app, "/items/1")

    assert {"answered GET /items/<int:item> 200": 1} == recorded.outcomes()
    assert "test_flask.py:" in caplog.text


def test_two_applications_keep_their_exceptions_apart(recorded):
    """An exception of one application is captured once, by its own watcher."""
    for _ in range(2):
        app = flask()
        integrations.watch(app)
        call(app, "/fail/x")

    assert {"ValueError": 2} == recorded.issues()


def test_an_application_is_freed_as_before(recorded):
    """An application that nobody holds is gone at once, without the garbage collector."""
    app = flask()
    integrations.watch(app)
    gone = weakref.ref(app)

    gc.disable()
    try:
        del app
        assert gone() is None
    finally:
        gc.enable()
