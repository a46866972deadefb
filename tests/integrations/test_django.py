"""Django under WSGI and ASGI alike: URL patterns as routes, and the exceptions it answers."""

from collections.abc import Callable
from functools import partial

import django_site as site
import pytest
from django.core.signals import request_finished

from watchkeeper.integrations.django.routes import template

pytestmark = [
    pytest.mark.usefixtures("unhooked"),
    # Django does not close the body of a request whose response fails on its way.
    pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning"),
]

STREAMS = {"wsgi": "/stream/", "asgi": "/stream/async-"}


@pytest.fixture(params=["wsgi", "asgi"])
def interface(request: pytest.FixtureRequest) -> str:
    """Each interface in turn."""
    return str(request.param)


@pytest.fixture
def project(interface: str) -> Callable:
    """What gives the small project's application, with further middleware inside of ours."""
    return partial(site.project, interface)


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
        ("GET", "/async-fail/missing/", "answered GET /async-fail/<name>/ 404"),
        ("GET", "/async-fail/denied/", "answered GET /async-fail/<name>/ 403"),
        ("GET", "/fail/missing/", "answered GET /fail/<name>/ 404"),
        ("GET", "/fail/denied/", "answered GET /fail/<name>/ 403"),
        ("GET", "/fail/suspicious/", "answered GET /fail/<name>/ 400"),
    ],
)
def test_patterns_are_routes(recorded, project: Callable, method: str, path: str, outcome: str):
    """Requests count under their whole URL pattern, all others together; never a raw path."""
    with project() as app:
        site.call(app, path, method)

    assert {outcome: 1} == recorded.outcomes()
    assert {} == recorded.issues()
    assert 0 == recorded.active


def test_languages_in_the_path_are_one_route(recorded, project: Callable):
    """Translated sites count each page once, not once per language."""
    with project(site.LOCALE) as app:
        site.call(app, "/en/about/")
        site.call(app, "/de/about/")

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
def test_an_unhandled_exception_is_a_500_and_one_issue(recorded, project: Callable, path: str):
    """Wherever a view or its template fails: one error, one issue, with route and id."""
    with project() as app:
        status, _, body = site.call(app, path, request_id="abc-1")

    route = path.replace("/x/", "/<name>/")
    assert (500, b"own page of errors") == (status, body)
    assert {f"answered GET {route} 500": 1} == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()
    (event,) = recorded.events
    assert (route, 500, "abc-1") == (event.route, event.status, event.request_id)
    assert 0 == recorded.active


@pytest.mark.trap("exception in middleware", "django")
def test_an_exception_in_a_middleware_is_an_issue(recorded, project: Callable):
    """What fails around the views counts under the route of the request."""
    with project("django_site.failing") as app:
        assert 500 == site.call(app, "/items/1/")[0]

    assert {"answered GET /items/<int:key>/ 500": 1} == recorded.outcomes()
    assert {"LookupError": 1} == recorded.issues()


def test_two_errors_of_one_request_are_two_issues(recorded, project: Callable):
    """A middleware that fails after a view failed has an error of its own."""
    with project("django_site.failing") as app:
        site.call(app, "/fail/x/")

    assert {"answered GET /fail/<name>/ 500": 1} == recorded.outcomes()
    assert {"ValueError": 1, "LookupError": 1} == recorded.issues()


@pytest.mark.trap("swallowed exception", "django")
@pytest.mark.parametrize(
    ("middleware", "status", "issues"), [("Answering", 500, 1), ("Apologizing", 409, 0)]
)
@pytest.mark.parametrize("path", ["/fail/x/", "/async-fail/x/"])
def test_an_exception_that_a_middleware_answers(
    recorded, project: Callable, path: str, middleware: str, status: int, issues: int
):
    """An exception that exception middleware answers is an issue if the answer is a failure."""
    with project(f"django_site.{middleware}") as app:
        site.call(app, path)

    assert {f"answered GET {path.replace('/x/', '/<name>/')} {status}": 1} == recorded.outcomes()
    assert issues == sum(recorded.issues().values())


def test_a_middleware_that_answers_before_the_views_has_no_route(recorded, project: Callable):
    """A request that never came to the URL patterns is unmatched, and it counts."""
    with project("django_site.refusing") as app:
        site.call(app, "/items/1/")

    assert {"answered GET (unmatched) 503": 1} == recorded.outcomes()


def test_the_place_among_the_middleware_does_not_matter(recorded, project: Callable):
    """Requests are measured around all middleware, wherever ours stands."""
    with project(MIDDLEWARE=["django_site.Answering", site.COMMON, site.WATCHED]) as app:
        site.call(app, "/fail/x/")
        site.call(app, "/items/1")

    assert {
        "answered GET /fail/<name>/ 500": 1,
        "answered GET (unmatched) 301": 1,
    } == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()


def test_a_page_of_errors_that_fails_itself(
    recorded, project: Callable, monkeypatch: pytest.MonkeyPatch
):
    """The error and the error of its page are one issue each; the latter reaches the server."""
    monkeypatch.setattr(site, "handler500", site.no_error_page)

    with project() as app, pytest.raises(KeyError):
        site.call(app, "/fail/x/")

    assert {"answered GET /fail/<name>/ 500": 1} == recorded.outcomes()
    assert {"ValueError": 1, "KeyError": 1} == recorded.issues()
    assert 0 == recorded.active


def test_an_exception_that_is_to_go_on_counts_once(recorded, project: Callable):
    """DEBUG_PROPAGATE_EXCEPTIONS hands exceptions to the server."""
    with project(DEBUG_PROPAGATE_EXCEPTIONS=True) as app, pytest.raises(ValueError, match="x"):
        site.call(app, "/fail/x/")

    assert {"answered GET /fail/<name>/ 500": 1} == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()


@pytest.mark.trap("exception after the start of a stream", "django")
@pytest.mark.trap("errors in WSGI iteration and close", "django")
def test_an_exception_in_a_stream_is_broken(recorded, interface: str, project: Callable):
    """A stream that breaks off keeps its status, and is an error."""
    with project() as app, pytest.raises(ValueError):  # noqa: PT011  # the application's own
        site.call(app, STREAMS[interface] + "broken/")

    assert {
        "answered GET /stream/<kind>/ 200": 1,
        "broken GET /stream/<kind>/": 1,
    } == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()


@pytest.mark.trap("errors in WSGI iteration and close", "django")
def test_an_exception_while_closing_counts(recorded, project: Callable):
    """What fails after the last byte is an error of the application all the same."""

    def fails(**more: object) -> None:
        raise ValueError

    request_finished.connect(fails)
    try:
        with project() as app, pytest.raises(ValueError):  # noqa: PT011
            site.call(app, "/items/1/")
    finally:
        request_finished.disconnect(fails)

    assert {
        "answered GET /items/<int:key>/ 200": 1,
        "unhandled GET /items/<int:key>/": 1,
    } == recorded.outcomes()
    assert {"ValueError": 1} == recorded.issues()


def test_answers_are_the_same_with_and_without(watchkeeper, interface: str, project: Callable):
    """Nothing that goes out is changed."""
    stream = STREAMS[interface] + "whole/"
    paths = ["/items/1/", "/items/1", "/no", "/async-fail/x/", "/fail/denied/", stream]
    if interface == "wsgi":
        paths.append("/file/")  # under ASGI Django warns of files, which it reads in a thread
    with project(MIDDLEWARE=site.OVERRIDES["MIDDLEWARE"][1:]) as app:
        bare = [site.call(app, path) for path in paths]

    with project() as app:
        assert bare == [site.call(app, path) for path in paths]


def test_the_mount_point_is_no_part_of_routes(recorded, project: Callable):
    """Where the deployment puts a project does not change its series."""
    with project() as app:
        site.call(app, "/items/1/", root="/app")

    assert {"answered GET /items/<int:key>/ 200": 1} == recorded.outcomes()


def test_pages_and_probes_answer_before_django(recorded, project: Callable):
    """Neither CSRF protection nor slashes nor hosts of Django's concern our own pages."""
    with project(ALLOWED_HOSTS=[]) as app:
        assert site.call(app, "/watchkeeper/livez")[0] in {200, 503}
        assert b"<html" in site.call(app, "/watchkeeper/", root="/app")[2]
        assert 403 != site.call(app, "/watchkeeper/login", "POST")[0]

    assert {} == recorded.outcomes()
