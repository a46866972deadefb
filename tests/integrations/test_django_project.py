"""A whole Django project with its admin: the same answers with Watchkeeper as without it."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import written
from processes import Server, until, uvicorn
from servers import free_port

from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.storage import open_store

FILES = {
    "manage.py": """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
if __name__ == "__main__":
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
""",
    "shop/__init__.py": "",
    "shop/settings.py": """
import os
SECRET_KEY = "for tests"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
STATIC_URL = "static/"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "main.db"}}
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
if os.environ.get("WATCHED"):
    INSTALLED_APPS += ["watchkeeper.integrations.django"]
    MIDDLEWARE = ["watchkeeper.integrations.django.Middleware", *MIDDLEWARE]
    WATCHKEEPER = {"service": "shop", "environment": "test", "slot": "1s"}
""",
    "shop/urls.py": """
from django.contrib import admin
from django.http import HttpResponse
from django.urls import path
def fail(request):
    raise ValueError("no")
urlpatterns = [
    path("", lambda request: HttpResponse("hello")),
    path("fail/", fail),
    path("admin/", admin.site.urls),
]
""",
    "shop/asgi.py": """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
from django.core.asgi import get_asgi_application
application = get_asgi_application()
""",
    "shop/tests.py": """
from django.test import Client, LiveServerTestCase, SimpleTestCase
class Works(SimpleTestCase):
    def test_works(self):
        self.assertEqual(200, Client().get("/").status_code)
""",
}
ROUTES = {
    "/",
    "/fail/",
    "/admin/",
    "/admin/login/",
    "/admin/logout/",
    "/admin/auth/user/",
    "/admin/auth/user/add/",
    "/admin/auth/user/<path:object_id>/change/",
    "/admin/<url>",
    "(unmatched)",
}
USER = {"username": "keeper", "password": "a long enough word"}
MAKE_USER = f"""
import watchkeeper.app
from django.contrib.auth.models import User
assert not watchkeeper.app.current().enabled
User.objects.create_superuser(**{USER!r})
"""
# What differs between any two answers of the same server.
VARIES = (
    (re.compile(r'(csrfmiddlewaretoken" value=")[^"]+'), r"\1-"),
    (re.compile(r"(csrftoken|sessionid|messages)=[^;]{20,}"), r"\1=-"),
    (re.compile(r"expires=[^;]+"), "expires=-"),
    (re.compile(r"127\.0\.0\.1:[0-9]+"), "host"),
    (re.compile(r"\d\d:\d\d:\d\d|\d+:\d\d [ap]\.m\."), "time"),
)
Answer = tuple[int, list[tuple[str, str]], str]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project, migrated and with an administrator, that each test copies."""
    folder = tmp_path_factory.mktemp("project")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    said = manage(folder, "migrate", "--no-input", "-v0")
    said += manage(folder, "shell", "-c", MAKE_USER)
    (folder / "said.txt").write_text(said)
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    """A project of the test's own."""
    return Path(shutil.copytree(template, tmp_path / "project"))


def environ(*, watched: bool) -> dict[str, str]:
    """Make the environment of a process that is none of pytest's."""
    return {
        "WATCHED": "1" if watched else "",
        "PYTEST_VERSION": "",
        "PYTHONWARNINGS": "",
    }


def manage(folder: Path, *arguments: str, watched: bool = True, code: int = 0) -> str:
    """Run a management command, which ends with a code; what it printed."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=folder,
        env=kept | environ(watched=watched),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert code == done.returncode, done.stderr
    return done.stdout + done.stderr


def runserver(folder: Path, *options: str, watched: bool) -> Server:
    """Prepare Django's own server, under WSGI."""
    command = [sys.executable, "manage.py", "runserver", *options, "127.0.0.1:{port}"]
    return Server(command, port=free_port(), folder=folder, environ=environ(watched=watched))


def asgi_server(folder: Path, *, watched: bool) -> Server:
    """Prepare a server for ASGI."""
    return uvicorn("shop.asgi:application", folder=folder, environ=environ(watched=watched))


def visit(url: str) -> list[Answer]:
    """Go through the admin as a person would: log in, look around, add a user, log out."""
    answers: list[Answer] = []
    with httpx.Client(base_url=url, headers={"accept-encoding": "identity"}) as client:

        def get(path: str, method: str = "GET") -> httpx.Response:
            answer = client.request(method, path)
            answers.append(masked(answer))
            return answer

        def post(path: str, **form: str) -> None:
            token = client.cookies.get("csrftoken", "")
            data = {"csrfmiddlewaretoken": token, **form}
            answers.append(masked(client.post(path, data=data)))

        get("/")
        get("/", "HEAD")
        get("/nothing")
        get("/admin")
        get("/admin/")
        get("/fail/")
        post("/admin/login/", **USER)  # without a token: forbidden
        get("/admin/login/")
        post("/admin/login/", username="keeper", password="wrong")
        post("/admin/login/?next=/admin/", **USER)
        get("/admin/")
        get("/admin/auth/user/?q=keep")
        get("/admin/auth/user/add/")
        post("/admin/auth/user/add/", username="new", password1="1", password2="2")
        post(
            "/admin/auth/user/add/",
            username="second",
            usable_password="true",
            password1="quite a long word",
            password2="quite a long word",
        )
        get("/admin/auth/user/")
        get("/admin/auth/user/1/change/")
        get("/admin/nothing/here/")
        post("/admin/logout/")
        get("/admin/auth/user/")
    return answers


def masked(answer: httpx.Response) -> Answer:
    """Return an answer without what differs each time."""
    texts = [value for name, value in answer.headers.multi_items() if name != "date"]
    names = [name for name, _ in answer.headers.multi_items() if name != "date"]
    body = answer.text
    for pattern, calm in VARIES:
        texts = [pattern.sub(calm, text) for text in texts]
        body = pattern.sub(calm, body)
    return answer.status_code, list(zip(names, texts, strict=True)), body


def counted(folder: Path) -> Mapping[str, int]:
    """Return how many requests each route had, as stored."""
    if not (folder / "watchkeeper.db").exists():  # to ask it would make it
        return {}
    url = f"sqlite:///{folder / 'watchkeeper.db'}"
    return written.counted(url, HTTP_DURATION.name, "route", slot_s=1)


def tables(folder: Path) -> Sequence[str]:
    """Name the tables of the project's own database."""
    with sqlite3.connect(folder / "main.db") as main:
        rows = main.execute("select name from sqlite_master order by name").fetchall()
    main.close()
    return [name for (name,) in rows]


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_the_admin_answers_the_same_and_every_request_counts(template: Path, tmp_path, kind: str):
    """Byte for byte as without us, but for tokens and times; and nothing in its database."""

    def served(name: str, *, watched: bool) -> tuple[list[Answer], Path]:
        folder = Path(shutil.copytree(template, tmp_path / name))
        make = asgi_server(folder, watched=watched)
        if kind == "wsgi":
            make = runserver(folder, "--noreload", watched=watched)
        make.ready = "/watchkeeper/livez"
        with make as server:
            answers = visit(server.url)
            if watched:
                until(lambda: sum(counted(folder).values()) >= len(answers))
        return answers, folder

    with ThreadPoolExecutor(2) as both:
        bare, watched = (
            both.submit(served, name, watched=name == "watched") for name in ("bare", "watched")
        )
    (bare_answers, bare_folder), (answers, folder) = bare.result(), watched.result()

    for expected, got in zip(bare_answers, answers, strict=True):
        assert expected == got
    assert {200, 301, 302, 403, 404, 500} == {status for status, _, _ in answers}
    assert len(answers) == sum(counted(folder).values())
    assert ROUTES == set(counted(folder))
    assert tables(bare_folder) == tables(folder)
    assert not (bare_folder / "watchkeeper.db").exists()


def test_commands_that_serve_nobody_are_not_watched(folder: Path):
    """A migration, a shell, the tests: no line, no file, nothing started."""
    said = (folder / "said.txt").read_text() + manage(folder, "test", "-v0")

    assert "watchkeeper" not in said
    assert not (folder / "watchkeeper.db").exists()


COMMAND = """
import logging
from django.core.management.base import BaseCommand
from watchkeeper.app import current
current().stop_within_s = 30.0  # on a busy machine it would go to a file, for the next process
log = logging.getLogger("shop")
class Command(BaseCommand):
    def add_arguments(self, parser): parser.add_argument("order")
    def handle(self, order, **options):
        if order == "odd": log.error("an odd order")
        if order == "bad": raise ValueError("no such order")
"""


def test_errors_of_the_projects_own_commands_are_issues(folder: Path):
    """One that raises, and one that logs an error; one that does well leaves nothing."""
    commands = folder / "shop" / "management" / "commands"
    commands.mkdir(parents=True)
    (commands / "print_order.py").write_text(COMMAND)
    with (folder / "shop" / "settings.py").open("a") as settings:
        settings.write('INSTALLED_APPS += ["shop"]\n')

    assert "" == manage(folder, "print_order", "good")
    assert not (folder / "watchkeeper.db").exists()
    manage(folder, "print_order", "odd")
    said = manage(folder, "print_order", "bad", code=1)

    assert said.endswith("ValueError: no such order\n")
    store = open_store(f"sqlite:///{folder / 'watchkeeper.db'}")
    found = store.issues(service="shop", environment="test", seen_since=0, limit=9)
    store.close()
    assert {"shop: an odd order": 1, "ValueError: no such order": 1} == {
        one.title: one.count for one in found
    }


def test_the_reloading_server_is_watched_once(folder: Path):
    """Of the two processes of `runserver` only the one that serves begins to watch."""
    server = runserver(folder, watched=True)
    with server:
        until(lambda: counted(folder))
        log = server.log.read_text()
        server.kill()  # both: the parent would leave its child behind

    assert 1 == log.count("watchkeeper: on")
