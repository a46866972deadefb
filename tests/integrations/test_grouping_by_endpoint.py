"""Errors that a framework raises for an endpoint, and class-based views: which are one issue."""

import asyncio
from collections.abc import Callable

import django_site as site
import pytest
from asgi_client import TestClient
from fastapi import FastAPI
from flask import Flask
from litestar import Litestar
from litestar.testing import TestClient as LitestarClient
from quart import Quart
from starlette.applications import Starlette
from starlette.routing import Route

import watchkeeper.integrations as integrations
from raising import Deployments, deployed
from watchkeeper import job
from watchkeeper.core.fingerprint import FIRST_VERSION, Rule, value_of
from watchkeeper.core.raised import Raised, TraceFrame

__all__ = ["deployed"]  # a fixture

CART = "def total(prices): return prices['sku']"

WEB = """
    async def timing(request, call_next):
        return await call_next(request)

    class Pure:
        def __init__(self, app): self.app = app
        async def __call__(self, scope, receive, send):
            await self.app(scope, receive, send)

    def litestar(app):
        return Pure(app)

    class Django:
        def __init__(self, get): self.get = get
        def __call__(self, request): return self.get(request)
"""

FASTAPI = """
    from fastapi import Depends
    from pydantic import BaseModel

    class Order(BaseModel):
        number: int

    def wrong(): return {"number": "x"}
    def also_wrong(): return {"number": "y"}
    def endless(): return {"amount": float("nan")}
    async def also_endless(): return {"amount": float("inf")}

    def user(): return {}["user"]
    def one(user=Depends(user)): return user
    def two(user=Depends(user)): return user
"""


@pytest.fixture
def groups(recorded) -> Callable[[], list[str]]:
    """Return the fingerprints of the issues since the last call."""

    def take() -> list[str]:
        counts, _ = recorded.watchkeeper.issues.take()
        return sorted({count.fingerprint for count in counts})

    return take


def fastapi(deployed: Deployments, middleware: str) -> TestClient:
    """Return a client of an application whose middleware is one of its own modules."""
    views, web = deployed.load(FASTAPI, "shop.views"), deployed.load(WEB, "shop.web")
    app = FastAPI()
    if middleware == "http":
        app.middleware("http")(web.timing)
    elif middleware == "pure":
        app.add_middleware(web.Pure)
    for name in ("wrong", "also_wrong"):
        app.get(f"/{name}", response_model=views.Order)(getattr(views, name))
    for name in ("endless", "also_endless"):
        app.get(f"/{name}", response_model=None)(getattr(views, name))
    for name in ("one", "two"):
        app.get(f"/{name}")(getattr(views, name))
    integrations.watch(app)
    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("pages", "issues"),
    [(("wrong", "also_wrong"), 2), (("endless", "also_endless"), 2), (("one", "two"), 1)],
)
def test_a_middleware_does_not_count_for_what_happens_behind_it(
    deployed: Deployments, groups, pages: tuple[str, ...], issues: int
):
    """Answers that do not fit fail per endpoint, a dependency at its own place."""
    found = []
    for middleware in ("none", "http", "pure"):
        client = fastapi(deployed, middleware)
        assert [500] * len(pages) == [client.get(f"/{page}").status_code for page in pages]
        found.append(groups())

    assert issues == len(found[0])
    assert found[0] == found[1] == found[2]


def test_what_a_middleware_itself_does_is_one_issue(deployed: Deployments, groups):
    """A library that fails within a middleware fails there, whichever endpoint was served."""
    web = deployed.load(
        """
        import json
        async def parsing(request, call_next):
            await call_next(request)
            return json.loads("{")
        """,
        "shop.web",
    )
    app = FastAPI()
    app.middleware("http")(web.parsing)
    views = deployed.load("def one(): return 1\ndef two(): return 2", "shop.views")
    app.get("/one")(views.one)
    app.get("/two")(views.two)
    integrations.watch(app)
    client = TestClient(app, raise_server_exceptions=False)

    assert [500, 500] == [client.get("/one").status_code, client.get("/two").status_code]
    assert 1 == len(groups())


def test_answers_of_litestar_that_cannot_be_written_fail_per_endpoint(
    deployed: Deployments, groups
):
    """With a middleware as without."""
    views = deployed.load(
        """
        from litestar import get

        @get("/one")
        async def one() -> dict: return {"a": object()}

        @get("/two")
        async def two() -> dict: return {"b": object()}
        """,
        "shop.views",
    )
    web = deployed.load(WEB, "shop.web")
    found = []
    for middleware in ([], [web.litestar]):
        app = Litestar([views.one, views.two], middleware=middleware)
        integrations.watch(app)
        with LitestarClient(app, raise_server_exceptions=False) as client:
            assert [500, 500] == [client.get("/one").status_code, client.get("/two").status_code]
        found.append(groups())

    assert 2 == len(found[0])
    assert found[0] == found[1]


DJANGO = """
    import json
    from django.urls import path
    from django.views import View
    from django.views.generic import ListView, TemplateView
    from shop.cart import total

    class Orders(TemplateView): template_name = "orders.html"
    class Users(TemplateView): template_name = "users.html"
    class OrderList(ListView): pass
    class UserList(ListView): pass
    def nothing(request): pass
    def also_nothing(request): pass

    class Order(View):
        def get(self, request): return total({})
        def post(self, request): return json.loads("")
    class Refund(View):
        def get(self, request): return total({})
        def post(self, request): return json.loads("")

    class Named(ListView):
        def get_queryset(self): return total({})

    def page(request): return total({})

    urlpatterns = [
        path("template/1/", Orders.as_view()), path("template/2/", Users.as_view()),
        path("list/1/", OrderList.as_view()), path("list/2/", UserList.as_view()),
        path("none/1/", nothing), path("none/2/", also_nothing),
        path("class/1/", Order.as_view()), path("class/2/", Refund.as_view()),
        path("class/3/", page),
        path("inherited/", Named.as_view()),
    ]
"""


def django(middleware: str, interface: str, *pages: str) -> None:
    """Ask for pages ("GET list/1/"), each of which fails."""
    more = [middleware] if middleware else []
    chain = [site.WATCHED, *more]
    with site.project(interface, ROOT_URLCONF="shop.urls", MIDDLEWARE=chain) as app:
        for page in pages:
            method, _, path = page.partition(" ")
            if interface == "wsgi":
                assert 500 == site.wsgi(app, f"/{path}", method)[0]
            else:
                assert 500 == asyncio.run(site.asgi(app, f"/{path}", method))[0]


@pytest.mark.usefixtures("unhooked")
@pytest.mark.parametrize(
    ("pages", "issues"),
    [
        (("GET template/1/", "GET template/2/"), 2),
        (("GET list/1/", "GET list/2/"), 2),
        (("GET none/1/", "GET none/2/"), 2),
        (("GET class/1/", "GET class/2/", "GET class/3/"), 1),
        (("POST class/1/", "POST class/2/"), 2),
        (("GET inherited/",), 1),
    ],
)
def test_views_of_django_are_told_apart(
    deployed: Deployments, groups, pages: tuple[str, ...], issues: int
):
    """Functions or classes, with a middleware as without, under ASGI as under WSGI."""
    deployed.load(CART, "shop.cart")
    deployed.load(WEB, "shop.web")
    deployed.load(DJANGO, "shop.urls")
    found = []
    for middleware, interface in (("", "wsgi"), ("shop.web.Django", "wsgi"), ("", "asgi")):
        django(middleware, interface, *pages)
        found.append(groups())

    assert issues == len(found[0])
    assert found[0] == found[1] == found[2]


METHOD_VIEWS = """
    from {framework}.views import MethodView, View
    from shop.cart import total

    {function} page(): return total({{}})

    class Order(MethodView):
        {function} get(self): return total({{}})
        {function} post(self): return total({{}})

    class Refund(View):
        {function} dispatch_request(self): return total({{}})

    class Nothing(MethodView):
        {function} get(self): pass

    class AlsoNothing(MethodView):
        {function} get(self): pass

    {function} first(): return 1 / len({{}})
    {function} second(): return total({{}})

    {function} nothing1(): pass
    {function} nothing2(): pass
"""


def method_views(deployed: Deployments, framework: str) -> Callable[[str, str], int]:
    """Return what makes a request to an application of Flask or Quart."""
    function = "def" if framework == "flask" else "async def"
    source = METHOD_VIEWS.format(framework=framework, function=function)
    views = deployed.load(source, "shop.views")
    app = (Flask if framework == "flask" else Quart)(__name__)
    for name in ("page", "nothing1", "nothing2"):
        app.get(f"/{name}")(getattr(views, name))
    for name in ("Order", "Refund", "Nothing", "AlsoNothing"):
        app.add_url_rule(f"/{name}", view_func=getattr(views, name).as_view(name))
    app.get("/both")(views.first)
    app.post("/both")(views.second)
    integrations.watch(app)

    def call(method: str, path: str) -> int:
        if framework == "flask":
            return app.test_client().open(path, method=method).status_code

        async def main() -> int:
            return (await app.test_client().open(path, method=method)).status_code

        return asyncio.run(main())

    return call


@pytest.mark.parametrize("framework", ["flask", "quart"])
def test_one_bug_is_one_issue_through_views_of_all_kinds(
    deployed: Deployments, groups, framework: str
):
    """Functions, classes with a method each, those without, rules of one path, and a job."""
    cart = deployed.load(CART, "shop.cart")
    call = method_views(deployed, framework)
    for method, path in [("GET", "page"), ("GET", "Order"), ("POST", "Order"), ("HEAD", "Order")]:
        assert 500 == call(method, f"/{path}")
    assert 500 == call("GET", "/Refund")
    jobs = deployed.load("def nightly(total): return total({})", "shop.jobs")
    with pytest.raises(KeyError):
        job("nightly")(jobs.nightly)(cart.total)

    one = groups()
    assert 500 == call("GET", "/both")
    groups()
    assert 500 == call("POST", "/both")

    assert 1 == len(one)
    assert one == groups()


@pytest.mark.parametrize("framework", ["flask", "quart"])
def test_views_that_return_nothing_are_an_issue_each(
    deployed: Deployments, groups, framework: str
):
    """Functions whose names differ in a number, and classes with a method of the same name."""
    deployed.load(CART, "shop.cart")
    call = method_views(deployed, framework)

    for path in ("nothing1", "nothing2", "Nothing", "AlsoNothing"):
        assert 500 == call("GET", f"/{path}")

    assert 4 == len(groups())


def test_a_class_that_is_an_endpoint_of_starlette_is_dropped_like_a_function(
    deployed: Deployments, groups
):
    """With a middleware as without; what fails in two of them is two issues."""
    deployed.load(CART, "shop.cart")
    web = deployed.load(WEB, "shop.web")
    views = deployed.load(
        """
        from starlette.endpoints import HTTPEndpoint
        from shop.cart import total

        async def page(request): return total({})
        class Order(HTTPEndpoint):
            async def get(self, request): return total({})
            def post(self, request): return 1 / len({})
        class Refund(HTTPEndpoint):
            def get(self, request): return total({})
            def post(self, request): return 1 / len({})
        """,
        "shop.views",
    )
    found = []
    for middleware in ((), (web.Pure,)):
        names = ("page", "Order", "Refund")
        app = Starlette(routes=[Route(f"/{name}", getattr(views, name)) for name in names])
        for one in middleware:
            app.add_middleware(one)
        integrations.watch(app)
        client = TestClient(app, raise_server_exceptions=False)
        assert [500] * 3 == [client.get(f"/{name}").status_code for name in names]
        found.append(groups())
        assert [500] * 2 == [client.post(f"/{name}").status_code for name in names[1:]]
        found.append(groups())

    assert [1, 2] == [len(one) for one in found[:2]]
    assert found[:2] == found[2:]


def test_issues_of_class_based_views_go_on(deployed: Deployments, recorded):
    """The first version knew another endpoint of Flask's, and its value is still the alias."""
    deployed.load(CART, "shop.cart")
    assert 500 == method_views(deployed, "flask")("GET", "/Order")

    (count,) = recorded.watchkeeper.issues.take()[0]
    frames = [
        TraceFrame(module="shop.views", function="get"),
        TraceFrame(module="shop.cart", function="total"),
    ]
    view = TraceFrame(module="flask.views", function="view")
    first = Raised(type="KeyError", frames=frames, endpoint=view)

    assert (value_of(first, Rule(version=FIRST_VERSION)),) == tuple(count.aliases)
