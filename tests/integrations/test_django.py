"""Django under WSGI: URL patterns as routes, and the exceptions that never reach WSGI."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import django_site as site
import pytest
from django.core.checks import run_checks
from django.core.exceptions import MiddlewareNotUsed
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import got_request_exception, request_finished
from django.test import Client, override_settings

import watchkeeper.integrations as integrations
from watchkeeper.app import forget_current
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.integrations.django import Middleware
from watchkeeper.integrations.django.routes import template
from watchkeeper.integrations.django.switch import project_settings, switch_off, switch_on
from watchkeeper.settings import Settings


@pytest.fixture(autouse=True)
def unhooked() -> Iterator[None]:
    """Leave Django as it was after each test."""
    yield
    switch_off()


@contextmanager
def project(*middleware: str, **overrides: Any) -> Iterator[Callable]:
    """Give the small project's WSGI application, with further middleware inside of ours."""
    chain = [*site.OVERRIDES["MIDDLEWARE"], *middleware]
    with override_settings(**{**site.OVERRIDES, "MIDDLEWARE": chain, **overrides}):
        yield WSGIHandler()


@pytest.mark.trap("404, slash redirect, unknown method", "django")
@pytest.mark.trap("mounted and included", "django")
@pytest.mark.parametrize(
    ("method", "path", "outcome"),
    [
        ("GET", "/", "answered GET / 200"),
        ("GET", "/items/7/", "answered GET /items/<int:key>/ 200"),
        ("HEAD", "/items/7/", "answered HEAD /items/<int:key>/ 200"),
        ("GET", "/async/7/", "answered GET /async/<int:key>/ 200"),
        ("GET", "/class/", "answered GET /class/ 200"),
        ("GET", "/shop/orders/7/", "answered GET /shop/orders/<int:key>/ 200"),
        ("GET", "/shop/by-2026-11/", "answered GET /shop/by-<day>/page/<var>/ 200"),
        ("GET", "/items/x/", "answered GET (unmatched) 404"),
        ("GET", "/nothing/here", "answered GET (unmatched) 404"),
        ("GET", "/items/7", "answered GET (unmatched) 301"),
        ("GET", "/only-post/", "answered GET /only-post/ 405"),
        ("POST", "/class/", "answered POST /class/ 403"),
        ("BREW", "/class/", "answered _OTHER /class/ 403"),
        ("GET", "/fail/missing/", "answered GET /fail/<name>/ 404"),
        ("GET", "/fail/denied/", "answered GET /fail/<name>/ 403"),
        ("GET", "/fail/suspicious/", "answered GET /fail/<name>/ 400"),
        ("GET", "/file/", "answered GET /file/ 200"),
        ("GET", "/stream/plain/", "answered GET /stream/<kind>/ 200"),
    ],
)
def test_patterns_are_routes(recorded, method: str, path: str, outcome: str):
    """Requests count under their whole URL pattern, all others together; never a raw path."""
    with project() as app:
        site.wsgi(app, path, method)

    assert {outcome: 1} == recorded.outcomes()
    assert {} == recorded.issues()
    assert 0 == recorded.active


def test_languages_in_the_path_are_one_route(recorded):
    """Translated sites count each page once, not once per language."""
    with project(site.LOCALE) as app:
        site.wsgi(app, "/en/about/")
        site.wsgi(app, "/de/about/")

    assert {"answered GET /<language>/about/ 200": 2} == recorded.outcomes()


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", "/"),
        ("feed.xml", "/feed.xml"),
        ("c++/<slug:name>/", "/c++/<slug:name>/"),
        (r"^articles/(?P<year>[0-9]{4})/$", "/articles/<year>/"),
        (r"^articles/([0-9]{4})/(?P<rest>.*)\Z", "/articles/<var>/<rest>"),
        (r"^sitemap\.xml$", "/sitemap.xml"),
        (r"^(?i:about)/?$", "/about/"),
        (r"^(?:en|de)/news/$", "/(en|de)/news/"),
        (r"^v\d+/[a-z][a-z0-9_\]-]*/(?!admin)\w{2,3}$", "/v<var>/<var>/<var>"),
        (r"^(?P<a>(?P<b>x(y|z))+)/(?=q)$", "/<a>/"),
        (r"shop/<int:key>/(?P<page>\d+)$", "/shop/<int:key>/<page>"),
        (r"^/slash/$", "/slash/"),
        (r"^broken/(((", "/broken/<var>"),
    ],
)
def test_patterns_become_readable(pattern: str, expected: str):
    """Regular expressions lose their syntax; what path() takes stays as it was written."""
    assert expected == template(pattern)


@pytest.mark.trap("unhandled exception", "django")
@pytest.mark.parametrize("path", ["/fail/x/", "/async-fail/x/", "/page/x/"])
def test_an_unhandled_exception_is_a_500_and_one_issue(recorded, path: str):
    """Wherever a view or its template fails: one error, one issue, with route and id."""
    with project() as app:
        status, _, body = site.wsgi(app, path, HTTP_X_REQUEST_ID="abc-1")

    route = path.replace("/x/", "/<name>/")
    assert (500, b"own page of errors") == (status, body)
    assert {f"answered GET {route} 500": 1} == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()
    (event,) = recorded.events
    assert (route, 500, "abc-1") == (event.route, event.status, event.request_id)
    assert 0 == recorded.active


@pytest.mark.trap("exception in middleware", "django")
def test_an_exception_in_a_middleware_is_an_issue(recorded):
    """What fails around the views counts under the route of the request."""
    with project("django_site.failing") as app:
        assert 500 == site.wsgi(app, "/items/1/")[0]

    assert {"answered GET /items/<int:key>/ 500": 1} == recorded.outcomes()
    assert {"LookupError": 1} == recorded.issues()


def test_two_errors_of_one_request_are_two_issues(recorded):
    """A middleware that fails after a view failed has an error of its own."""
    with project("django_site.failing") as app:
        site.wsgi(app, "/fail/x/")

    assert {"answered GET /fail/<name>/ 500": 1} == recorded.outcomes()
    assert {"ValueError": 1, "LookupError": 1} == recorded.issues()


@pytest.mark.trap("swallowed exception", "django")
@pytest.mark.parametrize(
    ("middleware", "status", "issues"), [("Answering", 500, 1), ("Apologizing", 409, 0)]
)
def test_an_exception_that_a_middleware_answers(
    recorded, middleware: str, status: int, issues: int
):
    """An exception that exception middleware answers is an issue if the answer is a failure."""
    with project(f"django_site.{middleware}") as app:
        site.wsgi(app, "/fail/x/")

    assert {f"answered GET /fail/<name>/ {status}": 1} == recorded.outcomes()
    assert issues == sum(recorded.issues().values())


def test_a_middleware_that_answers_before_the_views_has_no_route(recorded):
    """A request that never came to the URL patterns is unmatched, and it counts."""
    with project("django_site.refusing") as app:
        site.wsgi(app, "/items/1/")

    assert {"answered GET (unmatched) 503": 1} == recorded.outcomes()


def test_the_place_among_the_middleware_does_not_matter(recorded):
    """Requests are measured around all middleware, wherever ours stands."""
    with project(MIDDLEWARE=["django_site.Answering", site.COMMON, site.WATCHED]) as app:
        site.wsgi(app, "/fail/x/")
        site.wsgi(app, "/items/1")

    assert {
        "answered GET /fail/<name>/ 500": 1,
        "answered GET (unmatched) 301": 1,
    } == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()


def test_a_page_of_errors_that_fails_itself(recorded, monkeypatch: pytest.MonkeyPatch):
    """The error and the error of its page are one issue each; the latter reaches the server."""
    monkeypatch.setattr(site, "handler500", site.no_error_page)

    with project() as app, pytest.raises(KeyError):
        site.wsgi(app, "/fail/x/")

    assert {"answered GET /fail/<name>/ 500": 1} == recorded.outcomes()
    assert {"ValueError": 1, "KeyError": 1} == recorded.issues()
    assert 0 == recorded.active


def test_an_exception_that_is_to_go_on_counts_once(recorded):
    """DEBUG_PROPAGATE_EXCEPTIONS hands exceptions to the server."""
    with project(DEBUG_PROPAGATE_EXCEPTIONS=True) as app, pytest.raises(ValueError, match="x"):
        site.wsgi(app, "/fail/x/")

    assert {"answered GET /fail/<name>/ 500": 1} == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()


@pytest.mark.trap("exception after the start of a stream", "django")
@pytest.mark.trap("errors in WSGI iteration and close", "django")
def test_an_exception_in_a_stream_is_broken(recorded):
    """A stream that breaks off keeps its status, and is an error."""
    with project() as app, pytest.raises(ValueError):  # noqa: PT011  # the application's own
        site.wsgi(app, "/stream/broken/")

    assert {
        "answered GET /stream/<kind>/ 200": 1,
        "broken GET /stream/<kind>/": 1,
    } == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()


@pytest.mark.trap("errors in WSGI iteration and close", "django")
def test_an_exception_while_closing_counts(recorded):
    """What fails after the last byte is an error of the application all the same."""

    def fails(**more: object) -> None:
        raise ValueError

    request_finished.connect(fails)
    try:
        with project() as app, pytest.raises(ValueError):  # noqa: PT011
            site.wsgi(app, "/items/1/")
    finally:
        request_finished.disconnect(fails)

    assert {
        "answered GET /items/<int:key>/ 200": 1,
        "unhandled GET /items/<int:key>/": 1,
    } == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()


@pytest.mark.trap("file_wrapper", "django")
def test_a_file_goes_out_as_the_servers_own_object(recorded):
    """Sendfile stays possible: the server gets the very object of its file wrapper."""
    given = site.environ("/file/", **{"wsgi.file_wrapper": FileWrapper})

    with project() as app:
        body = app(given, lambda status, headers: lambda data: None)
        assert FileWrapper is type(body)
        body.close()

    assert {"answered GET /file/ 200": 1} == recorded.outcomes()


@pytest.mark.trap("neither exhausted nor closed", "django")
def test_a_response_that_nobody_reads_counts(recorded):
    """A server may drop a response without reading or closing it."""
    with project() as app:
        app(site.environ("/stream/plain/"), lambda status, headers: lambda data: None)

    assert {"answered GET /stream/<kind>/ 200": 1} == recorded.outcomes()
    assert 0 == recorded.active


def test_the_validator_is_content_around_and_inside(recorded):
    """The hook keeps every rule of WSGI."""
    with project() as app:
        outer = validator(integrations.wsgi(validator(app)))
        assert b"item 1" == site.wsgi(outer, "/items/1/")[2]


def test_answers_are_the_same_with_and_without(watchkeeper):
    """Nothing that goes out is changed."""
    paths = ("/items/1/", "/items/1", "/no", "/fail/x/", "/fail/denied/", "/stream/plain/")
    with project(MIDDLEWARE=site.OVERRIDES["MIDDLEWARE"][1:]) as app:
        bare = [site.wsgi(app, path) for path in (*paths, "/file/")]

    with project() as app:
        assert bare == [site.wsgi(app, path) for path in (*paths, "/file/")]


def test_the_mount_point_is_no_part_of_routes(recorded):
    """Where the deployment puts a project does not change its series."""
    with project() as app:
        site.wsgi(app, "/items/1/", SCRIPT_NAME="/app")

    assert {"answered GET /items/<int:key>/ 200": 1} == recorded.outcomes()


def test_pages_and_probes_answer_before_django(recorded):
    """Neither CSRF protection nor slashes nor hosts of Django's concern our own pages."""
    with project(ALLOWED_HOSTS=[]) as app:
        assert site.wsgi(app, "/watchkeeper/livez")[0] in {200, 503}
        assert b"<html" in site.wsgi(app, "/watchkeeper/", SCRIPT_NAME="/app")[2]
        assert 403 != site.wsgi(app, "/watchkeeper/login", "POST")[0]

    assert {} == recorded.outcomes()


def test_an_upload_that_breaks_off_is_no_issue(recorded):
    """A client that leaves in mid-upload is no fault of the application's."""

    class Gone(BytesIO):
        def read(self, *size: int) -> bytes:
            raise OSError("gone")

    form = {"CONTENT_TYPE": "application/x-www-form-urlencoded", "CONTENT_LENGTH": "9"}
    with project() as app:
        assert 500 == site.wsgi(app, "/form/", "POST", **form, **{"wsgi.input": Gone()})[0]

    assert {"answered POST /form/ 500": 1} == recorded.outcomes()
    assert {} == recorded.issues()


@pytest.mark.trap("installed twice or after start", "django")
def test_hooking_twice_and_wrapping_besides_count_once(recorded):
    """Both lines, a second setup and a wrapper of the user's own make one request of one."""
    with project() as app:
        assert switch_on()
        hooked = WSGIHandler.__call__
        assert switch_on()
        assert hooked is WSGIHandler.__call__
        site.wsgi(integrations.wsgi(app), "/items/1/")

    assert {"answered GET /items/<int:key>/ 200": 1} == recorded.outcomes()


def test_switching_off_leaves_django_as_it_was(watchkeeper):
    """Every hook is taken out again."""
    before = (
        WSGIHandler.__call__,
        ASGIHandler.__call__,
        BaseHandler.process_exception_by_middleware,
        list(got_request_exception.receivers),
    )
    switch_on()

    switch_off()

    assert before == (
        WSGIHandler.__call__,
        ASGIHandler.__call__,
        BaseHandler.process_exception_by_middleware,
        list(got_request_exception.receivers),
    )


def test_djangos_test_client_works_beside(recorded):
    """Django's own client passes no server: nothing is recorded, nothing fails."""
    with project():
        assert 200 == Client().get("/items/1/").status_code
        assert 500 == Client(raise_request_exception=False).get("/fail/x/").status_code

    assert {} == recorded.outcomes()


def test_a_switched_off_watchkeeper_leaves_the_stack(watchkeeper, monkeypatch: pytest.MonkeyPatch):
    """Where Watchkeeper is off, its middleware takes itself out and nothing is hooked."""
    monkeypatch.setattr(watchkeeper, "enabled", False)
    before = WSGIHandler.__call__

    with pytest.raises(MiddlewareNotUsed):
        Middleware(lambda request: None)

    assert before is WSGIHandler.__call__


def test_the_kill_switch_leaves_django_alone(monkeypatch: pytest.MonkeyPatch):
    """WATCHKEEPER_ENABLED=0 wins over everything, and not one hook is put in."""
    monkeypatch.setenv("WATCHKEEPER_ENABLED", "0")
    before = WSGIHandler.__call__
    try:
        with project(WATCHKEEPER={"enabled": True}) as app:
            assert b"item 1" == site.wsgi(app, "/items/1/")[2]
    finally:
        forget_current()

    assert before is WSGIHandler.__call__


def test_under_pytest_django_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    """Tests set Django up before the first of them has a name; a wish of one's own still wins."""
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    before = WSGIHandler.__call__
    try:
        with project():
            assert before is WSGIHandler.__call__
        forget_current()
        with project(WATCHKEEPER={"enabled": True}):
            assert before is not WSGIHandler.__call__
    finally:
        forget_current()


def test_a_forgotten_middleware_is_told_by_djangos_checks(watchkeeper):
    """`manage.py check` names the missing line; with both lines it is content."""
    ours = {"INSTALLED_APPS": ["watchkeeper.integrations.django"]}

    with override_settings(**{**site.OVERRIDES, **ours}):
        assert [] == [found.id for found in run_checks()]
    with override_settings(**{**site.OVERRIDES, **ours, "MIDDLEWARE": []}):
        assert ["watchkeeper.W001"] == [found.id for found in run_checks()]


def test_the_reloaders_parent_is_left_alone(watchkeeper, monkeypatch: pytest.MonkeyPatch):
    """`runserver` has two processes; only the one that serves is watched."""
    monkeypatch.setattr("sys.argv", ["manage.py", "runserver"])
    monkeypatch.delenv("RUN_MAIN", raising=False)
    assert not switch_on()

    monkeypatch.setenv("RUN_MAIN", "true")
    assert switch_on()


def test_settings_are_those_of_the_project():
    """WATCHKEEPER in the settings is a dict or a Settings object; without it the usual holds."""
    alert = {"name": "Slow", "when": "p95 > 1s"}
    with override_settings(WATCHKEEPER={"service": "shop", "alerts": [alert]}):
        made = project_settings()
        assert made is not None
        assert ("shop", "Slow") == (made.service, made.alerts[0].name)
    given = Settings(service="shop")
    with override_settings(WATCHKEEPER=given):
        assert given is project_settings()
    with override_settings(WATCHKEEPER=None):
        assert project_settings() is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"servise": "shop"}, 'did you mean "service"'),
        ("shop", "neither a dict nor watchkeeper.Settings"),
        ({"alerts": [{"name": "x", "when": "p95 >"}], "slot": "7s"}, "slot: '7s'"),
        ({"alerts": [{"nome": "x"}]}, r'WATCHKEEPER\["alerts"\]\[0\]'),
    ],
)
def test_wrong_settings_are_an_error_that_names_them(given: object, message: str):
    """A wrong value in the project's settings stops it at its start, with the cure."""
    with (
        override_settings(WATCHKEEPER=given),
        pytest.raises(ConfigurationError, match=message),
    ):
        project_settings()
