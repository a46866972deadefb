"""A host pays only for what it uses: no framework and no page machinery that it does not have."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

NEVER = {
    "watchkeeper.storage.store",
    "jinja2",
    "click",
    "rich",
    "smtplib",
    "urllib.request",
    "apprise",
    "sqlalchemy",
    "psutil",
    "watchkeeper.core.grammar",
    "watchkeeper.core.pack",
}
FLASK = """
    from flask import Flask
    app = Flask("host")
    app.add_url_rule("/", "index", lambda: "ok")
    brought = set(sys.modules)
    import watchkeeper
    watchkeeper.watch(app, settings).started = True
    app.test_client().get("/").get_data()
"""
STARLETTE = """
    import asyncio
    from starlette.applications import Starlette
    app = Starlette()
    brought = set(sys.modules)
    import watchkeeper
    watchkeeper.watch(app, settings).started = True
    async def receive(): return {"type": "http.request"}
    async def send(message): pass
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(app(scope, receive, send))
"""
DJANGO = """
    from django.conf import settings as project
    from django.http import HttpResponse
    from django.urls import path
    urlpatterns = [path("", lambda request: HttpResponse("ok"))]
    project.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None)
    project.WATCHKEEPER = settings
    project.INSTALLED_APPS += ["watchkeeper.integrations.django"]
    project.MIDDLEWARE = ["watchkeeper.integrations.django.Middleware", *project.MIDDLEWARE]
    import django.core.handlers.asgi, django.core.wsgi, wsgiref.util
    brought = set(sys.modules)
    app = django.core.wsgi.get_wsgi_application()
    from watchkeeper.app import current
    current().started = True
    environ = {}
    wsgiref.util.setup_testing_defaults(environ)
    assert b"ok" == b"".join(app(environ, lambda status, headers: None))
"""


# What the store and its files need: loaded in the background, once the host serves.
OF_THE_STORE = {"watchkeeper.storage.store", "tempfile", "lzma", "bz2", "shutil"}


def test_an_import_loads_no_store():
    """Neither its protocols and rows nor what packs files."""
    script = f"""
import sys
import watchkeeper
print(" ".join(sorted(set(sys.modules) & {OF_THE_STORE!r})))
"""

    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )

    assert [] == result.stdout.split()


@pytest.mark.parametrize(
    ("host", "never"),
    [
        (
            FLASK,
            NEVER - {"jinja2", "click", "urllib.request"} | {"starlette", "fastapi", "asyncio"},
        ),
        (STARLETTE, NEVER | {"flask", "fastapi"}),
        (DJANGO, NEVER | {"flask", "starlette", "fastapi"}),
    ],
    ids=["flask", "starlette", "django"],
)
def test_serving_requests_imports_only_what_it_needs(host: str, never: set[str], tmp_path: Path):
    """After watch() and a request, nothing for pages, mail or other frameworks is loaded."""
    script = f"""
import sys
from watchkeeper.settings import Settings
settings = Settings(enabled=True, database_url="sqlite:///{tmp_path}/w.db")
{textwrap.dedent(host)}
print(" ".join(sorted((set(sys.modules) - brought) & {never!r})))
"""

    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )

    assert set() == never & set(result.stdout.split())
