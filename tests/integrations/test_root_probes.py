"""Probes at the root, where the host may have routes of the same names: those go first."""

import asyncio
import json
from functools import partial
from typing import Any

import django_site as site
import pytest
from asgi_client import TestClient
from django.http import HttpResponse
from django.urls import path, re_path
from fastapi import APIRouter, FastAPI
from flask import Flask
from litestar import Litestar
from litestar import get as litestar_get
from litestar.testing import TestClient as LitestarClient
from quart import Quart
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import watchkeeper.integrations as integrations
from watchkeeper.app import Watchkeeper


@pytest.fixture(autouse=True)
def started(watchkeeper: Watchkeeper) -> None:
    """Be ready, although no thread runs."""
    watchkeeper.health.started = True


OURS = {"status": "pass"}


async def theirs(request: Any) -> PlainTextResponse:
    """A page of the host's."""
    return PlainTextResponse("theirs")


def asked(app: Any, *paths: str) -> list[str]:
    """Ask an ASGI application for pages, in a word each: "ours", or what it says."""
    client = TestClient(app)
    return [said(answer.text) for answer in map(client.get, paths)]


def said(body: str) -> str:
    return "ours" if body.startswith('{"status":"pass"}') else body.strip('"')


def test_fastapi_keeps_its_own_health():
    """A route of FastAPI's, in a router too, is served by it; free names are probes."""
    app, router = FastAPI(), APIRouter()
    app.add_api_route("/health", lambda: "theirs")
    router.add_api_route("/livez", lambda: "theirs")
    app.include_router(router)
    integrations.watch(app)

    assert ["theirs", "theirs", "ours", "ours"] == asked(
        app, "/health", "/livez", "/readyz", "/watchkeeper/health"
    )


def test_a_route_for_another_method_is_the_hosts():
    """POST /health of the host's keeps working, and GET says 405 as before."""
    app = FastAPI()
    app.add_api_route("/health", lambda: "theirs", methods=["POST"])
    integrations.watch(app)

    assert "theirs" == TestClient(app).post("/health").json()
    assert 405 == TestClient(app).get("/health").status_code


@pytest.mark.parametrize("mounted_at", ["", "/shop"])
def test_starlette_with_a_mounted_application(mounted_at: str):
    """What is mounted keeps its health, at the root and below."""
    inner = Starlette(routes=[Route("/health", theirs)])
    app = Starlette(routes=[Mount(mounted_at, app=inner)])
    integrations.watch(app)

    assert ["theirs", "ours"] == asked(app, f"{mounted_at}/health", "/livez")


def test_a_page_for_every_path_takes_no_probe():
    """An application in the browser answers everything: that is no route of the name."""
    app = Starlette(routes=[Route("/{rest:path}", theirs)])
    app.router.routes.append(Route("/livez", theirs, methods=["POST"]))
    integrations.watch(app)

    assert ["ours", "theirs"] == asked(app, "/health", "/healthy")
    assert "theirs" == TestClient(app).post("/livez").text


def test_a_slash_at_the_end_is_the_hosts_way_of_writing():
    """Frameworks lead from /health to /health/, if that is there."""
    app = Starlette(routes=[Route("/health/", theirs)])
    integrations.watch(app)

    assert ["theirs", "theirs", "ours"] == asked(app, "/health", "/health/", "/livez")


def test_flask_keeps_its_own_health():
    """Flask's rules go first, one for all paths does not."""
    app = Flask(__name__)
    app.add_url_rule("/health", "health", lambda: "theirs")
    app.add_url_rule("/readyz/", "readyz", lambda: "theirs")
    app.add_url_rule("/livez", "livez", lambda: "theirs", methods=["POST"])
    app.add_url_rule("/<path:rest>", "page", lambda rest: "page")
    integrations.watch(app)
    client = app.test_client()

    assert "theirs" == client.get("/health").text
    assert "theirs" == client.get("/readyz", follow_redirects=True).text
    assert "theirs" == client.post("/livez").text
    assert OURS == client.get("/watchkeeper/health").json
    assert "page" == client.get("/anything").text


def test_flask_without_a_health_has_ours():
    """What is free is a probe."""
    app = Flask(__name__)
    integrations.watch(app)
    client = app.test_client()

    assert [OURS] * 3 == [client.get(path).json for path in ("/livez", "/readyz", "/health")]


def test_quart_keeps_its_own_health():
    """Quart's rules go first."""
    app = Quart(__name__)

    @app.get("/health")
    async def health() -> str:
        return "theirs"

    integrations.watch(app)

    async def ask() -> list[str]:
        client = app.test_client()
        answers = [await client.get(path) for path in ("/health", "/livez")]
        return [said(await answer.get_data(as_text=True)) for answer in answers]

    assert ["theirs", "ours"] == asyncio.run(ask())


def test_litestar_keeps_its_own_health():
    """Litestar's handlers go first."""

    @litestar_get("/health")
    async def health() -> str:
        return "theirs"

    app = Litestar([health])
    integrations.watch(app)
    with LitestarClient(app) as client:
        answers = [said(client.get(path).text) for path in ("/health", "/livez")]

    assert ["theirs", "ours"] == answers


class Urls:
    """Addresses of a Django project."""

    urlpatterns = (
        path("health", lambda request: HttpResponse("theirs")),
        path("livez/", lambda request: HttpResponse("theirs")),
        re_path(r"^.*$", lambda request: HttpResponse("page")),
    )


@pytest.mark.usefixtures("unhooked")
def test_django_keeps_its_own_health():
    """The project's patterns go first, under WSGI and ASGI."""
    with site.project("wsgi", ROOT_URLCONF=Urls) as app:
        ask = partial(site.wsgi, app)
        wsgi = [ask("/health")[2], ask("/livez/")[2], ask("/readyz")[2]]
    with site.project("asgi", ROOT_URLCONF=Urls) as app:
        answer = asyncio.run(site.asgi(app, "/health"))

    assert [b"theirs", b"theirs"] == wsgi[:2]
    assert OURS == json.loads(wsgi[2])
    assert b"theirs" == answer[2]


def test_a_wrapped_callable_tells_no_routes():
    """Of any other application nothing is known: who asks for probes at the root gets them."""
    app = integrations.asgi(Starlette(routes=[Route("/health", theirs)]))

    assert ["ours"] == asked(app, "/health")


def test_a_router_that_fails_takes_nothing(watchkeeper, caplog):
    """A probe answers whatever the host's router does; the fault is counted, not raised."""
    app = Starlette(routes=[Route("/health", theirs)])
    app.router.routes.insert(0, object())  # type: ignore[arg-type]
    integrations.watch(app)

    assert ["ours"] == asked(app, "/livez")
