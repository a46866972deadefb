"""Any WSGI application: every request counts once, whatever becomes of it."""

import gc
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest

import watchkeeper.integrations as integrations

OK = "200 OK"


def environ(**changes: object) -> dict:
    made: dict = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/x",
        "QUERY_STRING": "",
        "SCRIPT_NAME": "",
    }
    setup_testing_defaults(made)
    return made | changes


class Server:
    """The server's side of one request."""

    def __init__(self) -> None:
        self.statuses: list[str] = []

    def start_response(self, status: str, headers: list, exc_info: object = None) -> Callable:
        self.statuses.append(status)
        return lambda data: None

    def serve(self, app: Callable, **changes: object) -> list[bytes]:
        """Serve a request as a server does: every part of the body, then close."""
        body = app(environ(**changes), self.start_response)
        try:
            return list(body)
        finally:
            if hasattr(body, "close"):
                body.close()


def answers(body: Iterable[bytes], status: str = OK) -> Callable:
    """Make an application that answers with this body object."""

    def app(environ: dict, start_response: Callable) -> Iterable[bytes]:
        start_response(status, [("Content-Type", "text/plain")])
        return body

    return app


class Body:
    """A body that can fail at each step."""

    def __init__(self, fail_at: str = "") -> None:
        self.fail_at = fail_at
        self.closed = 0
        self.parts = [b"a", b"b"]

    def __iter__(self) -> "Body":
        if self.fail_at == "iter":
            raise ValueError
        return self

    def __next__(self) -> bytes:
        if self.fail_at == "next":
            raise ValueError
        if not self.parts:
            raise StopIteration
        return self.parts.pop(0)

    def close(self) -> None:
        self.closed += 1
        if self.fail_at == "close":
            raise ValueError


@pytest.mark.parametrize("body", [[b"a", b"b"], (b"a", b"b"), iter([b"a", b"b"]), Body()])
def test_a_request_is_counted_and_passed_through(recorded, body: Iterable[bytes]):
    """Lists, iterators and objects with close() arrive as they were, and count once."""
    server = Server()

    assert [b"a", b"b"] == server.serve(integrations.wsgi(answers(body)))

    assert [OK] == server.statuses
    assert {"answered GET (unmatched) 200": 1} == recorded.outcomes()
    assert 0 == recorded.active
    assert getattr(body, "closed", 1) == 1


@pytest.mark.trap("errors in WSGI iteration and close", "wsgi")
def test_the_validator_is_content_around_and_inside(recorded):
    """The wrapper keeps every rule of WSGI towards both sides."""
    app = validator(integrations.wsgi(validator(answers([b"ok"]))))
    assert [b"ok"] == Server().serve(app)

    def generate(environ: dict, start_response: Callable) -> Iterator[bytes]:
        start_response(OK, [("Content-Type", "text/plain")])
        yield b"a"
        yield b"b"

    assert [b"a", b"b"] == Server().serve(validator(integrations.wsgi(validator(generate))))
    assert {"answered GET (unmatched) 200": 2} == recorded.outcomes()


def test_an_exception_before_the_response_is_a_500(recorded):
    """An unhandled exception is an error and an issue, and goes on to the server."""

    def app(environ: dict, start_response: Callable) -> Iterable[bytes]:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Server().serve(integrations.wsgi(app), HTTP_X_REQUEST_ID="abc-1")

    assert {"answered GET (unmatched) 500": 1} == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()
    assert "abc-1" == recorded.events[0].request_id
    assert 0 == recorded.active


@pytest.mark.trap("errors in WSGI iteration and close", "wsgi")
@pytest.mark.parametrize(
    ("fail_at", "outcomes"),
    [
        ("iter", {"answered GET (unmatched) 200": 1, "broken GET (unmatched)": 1}),
        ("next", {"answered GET (unmatched) 200": 1, "broken GET (unmatched)": 1}),
        ("close", {"answered GET (unmatched) 200": 1, "unhandled GET (unmatched)": 1}),
    ],
)
def test_an_exception_in_the_body_counts(recorded, fail_at: str, outcomes: dict[str, int]):
    """What fails while the body goes out, or after it, is an error and an issue."""
    with pytest.raises(ValueError):  # noqa: PT011  # the application's own
        Server().serve(integrations.wsgi(answers(Body(fail_at))))

    assert outcomes == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()
    assert 0 == recorded.active


def test_a_generator_that_fails_at_once_is_a_500(recorded):
    """A generator runs only when the server asks: there is no status yet."""

    def app(environ: dict, start_response: Callable) -> Iterator[bytes]:
        raise ValueError
        yield b""

    with pytest.raises(ValueError):  # noqa: PT011
        Server().serve(integrations.wsgi(app))

    assert {"answered GET (unmatched) 500": 1} == recorded.outcomes()


def test_a_response_changed_by_exc_info_counts_with_its_last_status(recorded):
    """An application may replace its response until it was sent."""

    def app(environ: dict, start_response: Callable) -> Iterable[bytes]:
        start_response(OK, [])
        try:
            raise ValueError
        except ValueError:
            import sys

            start_response("502 Bad Gateway", [], sys.exc_info())
        return [b""]

    server = Server()
    server.serve(integrations.wsgi(app))

    assert [OK, "502 Bad Gateway"] == server.statuses
    assert {"answered GET (unmatched) 502": 1} == recorded.outcomes()


@pytest.mark.trap("neither exhausted nor closed", "wsgi")
def test_a_body_that_is_only_closed_is_finished(recorded):
    """A server may close without reading on: the request is over."""
    body = integrations.wsgi(answers(Body()))(environ(), Server().start_response)
    next(iter(body))
    assert 1 == recorded.active

    body.close()

    assert {"answered GET (unmatched) 200": 1} == recorded.outcomes()
    assert 0 == recorded.active


def test_a_body_that_is_dropped_is_finished(recorded):
    """Test clients like to neither read nor close: the request counts all the same."""
    body = integrations.wsgi(answers(Body()))(environ(), Server().start_response)
    del body
    gc.collect()

    assert {"answered GET (unmatched) 200": 1} == recorded.outcomes()
    assert 0 == recorded.active


def test_a_file_wrapper_passes_unwrapped(recorded):
    """A file goes out as the server's own object, so that sendfile stays possible."""
    file = FileWrapper(BytesIO(b"file"))
    given = {"wsgi.file_wrapper": FileWrapper}

    body = integrations.wsgi(answers(file))(environ(**given), Server().start_response)

    assert file is body
    assert {"answered GET (unmatched) 200": 1} == recorded.outcomes()


def test_a_body_of_known_size_keeps_it(recorded):
    """Servers make a Content-Length of a body with one part; that stays so."""

    class Sized(list):
        """Not exactly a list, hence wrapped."""

    body = integrations.wsgi(answers(Sized([b"abc"])))(environ(), Server().start_response)

    assert 1 == len(body)
    assert [b"abc"] == list(body)


@pytest.mark.trap("installed twice or after start", "wsgi")
@pytest.mark.parametrize("passed_on", [lambda environ: environ, dict])
def test_wrapping_twice_counts_once(recorded, passed_on: Callable):
    """A second wrapping is ignored, a hidden one does not count."""
    once = integrations.wsgi(answers([b"ok"]))

    assert once is integrations.wsgi(once)
    Server().serve(integrations.wsgi(lambda environ, start: once(passed_on(environ), start)))

    assert {"answered GET (unmatched) 200": 1} == recorded.outcomes()


def test_a_request_within_a_request_counts_too(recorded):
    """An application that asks another one, or itself, has two requests."""
    inner = integrations.wsgi(answers([b"inner"]))

    def app(given: dict, start_response: Callable) -> Iterable[bytes]:
        body = Server().serve(inner, PATH_INFO="/inner")
        start_response(OK, [])
        return body

    assert [b"inner"] == Server().serve(integrations.wsgi(app))
    assert {"answered GET (unmatched) 200": 2} == recorded.outcomes()


def test_the_end_of_a_body_is_asked_for_once(recorded):
    """What an application's iterator does at its end happens as often as without us."""
    asked = []

    class Ends:
        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> bytes:
            asked.append(None)
            if len(asked) > 2:
                raise StopIteration
            return b"part"

    assert [b"part", b"part"] == Server().serve(integrations.wsgi(answers(Ends())))
    assert 3 == len(asked)


@pytest.mark.parametrize("path", ["/livez", "/watchkeeper/readyz"])
def test_probes_answer_from_memory_and_are_not_counted(recorded, path: str):
    """Health probes are no requests of the application."""
    server = Server()
    server.serve(integrations.wsgi(answers([b"ok"])), PATH_INFO=path)

    assert server.statuses[0] in {"200 OK", "503 Service Unavailable"}
    assert {} == recorded.outcomes()


def test_pages_answer_under_the_prefix(recorded):
    """The dashboard lives under its prefix, below any mount point."""
    server = Server()
    app = validator(integrations.wsgi(answers([b"ok"])))
    (page,) = server.serve(app, PATH_INFO="/watchkeeper/", SCRIPT_NAME="/app")

    assert ["503 Service Unavailable"] == server.statuses  # no database is open here
    assert b"<html" in page
    assert {} == recorded.outcomes()


@pytest.mark.parametrize("length", ["100000", "-1", "many"])
def test_a_page_refuses_a_body_that_it_cannot_want(recorded, length: str):
    """Forms are small and have a length."""
    server = Server()
    app = integrations.wsgi(answers([b"ok"]))
    changes = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": length}
    server.serve(app, PATH_INFO="/watchkeeper/login", **changes)

    assert server.statuses[0].startswith("4")


def test_a_switched_off_watchkeeper_leaves_the_application_alone(
    recorded, monkeypatch: pytest.MonkeyPatch
):
    """The kill-switch gives the application back as it was."""
    monkeypatch.setattr(recorded.watchkeeper, "enabled", False)
    app = answers([b"ok"])

    assert app is integrations.wsgi(app)
