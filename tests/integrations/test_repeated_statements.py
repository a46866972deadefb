"""N+1: the same statement ten times or more in one request, from the handler to the alert."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import django_site as site
import pytest
from asgi_client import TestClient
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections, models
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path
from fastapi import FastAPI
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

import watchkeeper.integrations as integrations
from watchkeeper.app import Watchkeeper, forget_current, obtain
from watchkeeper.core.rules import Alert
from watchkeeper.integrations.django.switch import switch_off
from watchkeeper.notify.notifier import Notification
from watchkeeper.settings import Settings

ALIAS = "library"  # Django's name of the database
AUTHORS = 12
BOOKS = "SELECT title FROM books WHERE author = :author"
REPEATED = "db_client_repeated_statements_total"
CALLS = "db_client_statement_calls_total"

RULE = f"rate({REPEATED}{{route='/authors'}}) > 0/min"

Get = Callable[[str], object]


class Book(models.Model):
    """A row of the books that every test reads."""

    author = models.IntegerField(primary_key=True)
    title = models.TextField()

    class Meta:
        app_label = "repeated_statements"
        db_table = "books"
        managed = False


class Inbox:
    """A channel that keeps what it is sent."""

    def __init__(self) -> None:
        self.received: list[Notification] = []

    def send(self, notification: Notification) -> None:
        self.received.append(notification)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def watchkeeper(
    tmp_path: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Watchkeeper]:
    """A Watchkeeper whose only rule tells of N+1; no thread runs, the tests flush themselves."""
    monkeypatch.setattr(Watchkeeper, "start", lambda self: None)
    yield obtain(
        Settings(
            enabled=True,
            database_url=f"sqlite:///{tmp_path / 'watchkeeper.db'}",
            service="library",
            alerts=[Alert("N+1", when=RULE, over="1m")],
            alert_pack=False,
            channels={"inbox": inbox},
        )
    )
    switch_off()
    forget_current()


@pytest.fixture
def database(tmp_path: Path) -> str:
    """A database with the books of twelve authors; its path."""
    file = tmp_path / "library.db"
    engine = create_engine(f"sqlite:///{file}", poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE books (author int, title text)"))
        for author in range(AUTHORS):
            connection.execute(text("INSERT INTO books VALUES (:n, 'x')"), {"n": author})
    return str(file)


def with_fastapi(database: str, cleanup: ExitStack) -> Get:
    engine = create_engine(f"sqlite:///{database}", poolclass=NullPool)
    app = FastAPI()

    def ask(times: int) -> None:
        with engine.connect() as connection:
            for author in range(times):
                connection.execute(text(BOOKS), {"author": author}).all()

    app.get("/authors")(lambda: ask(AUTHORS))
    app.get("/author")(lambda: ask(9))
    integrations.watch(app)
    return TestClient(app).get


def with_async_fastapi(database: str, cleanup: ExitStack) -> Get:
    engine = create_async_engine(f"sqlite+aiosqlite:///{database}", poolclass=NullPool)
    app = FastAPI()

    async def ask(times: int) -> None:
        async with engine.connect() as connection:
            for author in range(times):
                (await connection.execute(text(BOOKS), {"author": author})).all()

    @app.get("/authors")
    async def authors() -> None:
        await ask(AUTHORS)

    @app.get("/author")
    async def author() -> None:
        await ask(9)

    integrations.watch(app)
    return TestClient(app).get


def with_flask(database: str, cleanup: ExitStack) -> Get:
    engine = create_engine(f"sqlite:///{database}", poolclass=NullPool)
    app = Flask(__name__)

    def ask(times: int) -> str:
        with engine.connect() as connection:
            for author in range(times):
                connection.execute(text(BOOKS), {"author": author}).all()
        return ""

    app.add_url_rule("/authors", "authors", lambda: ask(AUTHORS))
    app.add_url_rule("/author", "author", lambda: ask(9))
    integrations.watch(app)
    return app.test_client().get


def ask(times: int) -> HttpResponse:
    for author in range(times):
        list(Book.objects.using(ALIAS).filter(author=author).values_list("title"))
    return HttpResponse()


def authors(request: HttpRequest) -> HttpResponse:
    return ask(AUTHORS)


def author(request: HttpRequest) -> HttpResponse:
    return ask(9)


class Urls:
    """Django's URL configuration."""

    urlpatterns = (path("authors", authors), path("author", author))


def with_django(database: str, cleanup: ExitStack) -> Get:
    given = {ALIAS: {"ENGINE": "django.db.backends.sqlite3", "NAME": database}, "default": {}}
    connections.databases[ALIAS] = connections.configure_settings(given)[ALIAS]
    cleanup.callback(connections.databases.pop, ALIAS)
    cleanup.callback(connections.__delitem__, ALIAS)
    cleanup.callback(lambda: connections[ALIAS].close())
    cleanup.enter_context(override_settings(**{**site.OVERRIDES, "ROOT_URLCONF": Urls}))
    app = WSGIHandler()
    return lambda url: site.wsgi(app, url)


@pytest.mark.parametrize("make", [with_fastapi, with_async_fastapi, with_flask, with_django])
def test_repeated_statements_are_counted_shown_and_alerted_on(
    make: Callable[[str, ExitStack], Get], watchkeeper: Watchkeeper, database: str, inbox: Inbox
):
    """Twelve executions in one request are an N+1 of its route; nine are none."""
    scope = {"service": "library", "environment": watchkeeper.settings.environment}
    with ExitStack() as cleanup:
        get = make(database, cleanup)
        for url in ("/authors", "/author", "/authors"):
            get(url)
    watchkeeper.flush()

    texts = {one.fingerprint: one for one in watchkeeper.store.statements(**scope)}
    (statement,) = [one for one in texts.values() if "books" in one.text]
    now = time.time()
    frames = watchkeeper.store.frames(10, since=now - 60, until=now + 60, **scope)
    found = {
        (series.metric, series.label("route")): value
        for frame in frames
        for series, value in frame.values.items()
        if series.metric in (REPEATED, CALLS)
        and series.label("statement") == statement.fingerprint
    }
    assert {
        (CALLS, "/authors"): 24,
        (CALLS, "/author"): 9,
        (REPEATED, "/authors"): 2,
    } == found
    assert statement.callers[0].rpartition(":")[0].endswith("ask")
    watchkeeper.stop()
    assert ["N+1"] == [sent.payload["rule"] for sent in inbox.received]
