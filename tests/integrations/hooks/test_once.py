"""One exception that several hooks see is one event, of its request, in each framework."""

import asyncio
import functools
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import Any

import django_site as site
import frameworks
import litestar
import pytest
from apscheduler.events import EVENT_JOB_ERROR
from apscheduler.schedulers.background import BackgroundScheduler
from asgi_client import TestClient
from django.http import HttpRequest
from django.urls import path
from fastapi import FastAPI
from flask import Flask
from litestar.logging import LoggingConfig
from quart import Quart

import watchkeeper.integrations as integrations
from served import Client
from watchkeeper.app import Watchkeeper, forget_current, obtain
from watchkeeper.integrations.hooks import logs, uncaught
from watchkeeper.integrations.instruments import apscheduler
from watchkeeper.runtime.guard import take_errors
from watchkeeper.runtime.jobs import job
from watchkeeper.runtime.record import Record, current
from watchkeeper.settings import Settings

pytestmark = pytest.mark.usefixtures("unhooked")
log = logging.getLogger("shop.orders")
FRAMEWORKS = ("flask", "fastapi", "django-wsgi", "django-asgi", "quart", "litestar")


def work() -> None:
    raise ValueError("no paper")


def plain() -> None:
    work()


def logged() -> None:
    """Log what fails, twice, and let it go on."""
    try:
        work()
    except ValueError as error:
        log.exception("printing failed")
        log.error("really", exc_info=error)
        raise


def answered() -> str:
    """Log what fails, and answer all the same."""
    try:
        work()
    except ValueError:
        log.exception("printing failed")
    return "sorry"


def line() -> str:
    log.error("stock of %s is low", "A-1")
    return "sorry"


VIEWS: dict[str, Callable[[], Any]] = {
    "plain": plain,
    "logged": logged,
    "answered": answered,
    "line": line,
}


def _django(view: Callable[[], Any]) -> Callable[[HttpRequest], Any]:
    @functools.wraps(view)
    def called(request: HttpRequest) -> Any:
        return site.HttpResponse(view())

    return called


urlpatterns = [path(name, _django(view)) for name, view in VIEWS.items()]


@contextmanager
def serving(framework: str) -> Iterator[Callable[[str], object]]:
    """Give what asks the watched application of a framework for a path."""
    if framework == "flask":
        app = Flask("shop")
        for name, view in VIEWS.items():
            app.add_url_rule(f"/{name}", name, view)
        integrations.watch(app)
        yield lambda path: app.test_client().get(path).close()
    elif framework == "fastapi":
        api = FastAPI()
        for name, view in VIEWS.items():
            api.get(f"/{name}")(view)
        integrations.watch(api)
        yield TestClient(api, raise_server_exceptions=False).get
    elif framework == "quart":
        quart = Quart("shop")
        for name, view in VIEWS.items():
            quart.add_url_rule(f"/{name}", name, view)
        integrations.watch(quart)
        yield lambda path: asyncio.run(quart.test_client().get(path))
    elif framework == "litestar":
        handlers = [
            litestar.get(f"/{name}", sync_to_thread=True)(view) for name, view in VIEWS.items()
        ]
        one = litestar.Litestar(handlers, logging_config=LoggingConfig(log_exceptions="always"))
        integrations.watch(one)
        yield TestClient(one, raise_server_exceptions=False).get
    else:
        interface = framework.removeprefix("django-")
        with site.project(interface, ROOT_URLCONF=__name__) as application:
            yield lambda path: site.call(application, path)


@pytest.fixture
def told(recorded) -> Iterator:
    uninstall = logs.install(recorded.watchkeeper)
    yield recorded
    uninstall()


def test_a_failed_request_leads_to_its_exception_not_to_a_line_of_a_log(told):
    """Also if a line was logged after it, or before."""
    for lines in ("before", "after"):
        record = Record.beginning(0.0)
        token = current.set(record)
        try:
            if lines == "before":
                log.error("cleanup is late")
            try:
                work()
            except ValueError:
                log.exception("printing failed")
            if lines == "after":
                log.error("cleanup is late")
        finally:
            current.reset(token)

        assert "ValueError" == record.opened().issue.type


class Page:
    """Fails when it is collected."""

    def __del__(self) -> None:
        raise ValueError("no paper")


def test_what_a_collection_brings_up_is_none_of_the_request_that_runs(told):
    """Neither its route, nor whether that request saw the exception, means anything."""
    uninstall = uncaught.install(told.watchkeeper)
    before, sys.unraisablehook.before = sys.unraisablehook.before, lambda args: None
    api = FastAPI()
    seen = ValueError("background")

    @api.get("/first")
    async def first() -> None:
        log.error("failed", exc_info=seen)

    @api.get("/second")
    async def second() -> None:
        logging.getLogger("asyncio").error("never retrieved", exc_info=seen)
        Page()

    integrations.watch(api)
    try:
        for path in ("/first", "/second"):
            TestClient(api).get(path)
    finally:
        sys.unraisablehook.before = before
        uninstall()

    counts, events = told.watchkeeper.issues.take()
    assert [1, 1] == [count.count for count in counts]
    assert ["/first", ""] == [event.route for event in events]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_logged_in_a_view_that_fails_it_is_one_event(told, framework: str):
    """It is the same issue as where nothing is logged, and its request is known."""
    fingerprints = []
    with serving(framework) as get:
        for name in ("plain", "logged"):
            get(f"/{name}")
            counts, events = told.watchkeeper.issues.take()
            assert [("ValueError", 1)] == [(one.type, one.count) for one in counts]
            assert [f"/{name}"] == [event.route for event in events]
            fingerprints.append(counts[0].fingerprint)

    assert fingerprints[0] == fingerprints[1]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("name", "kind"), [("answered", "ValueError"), ("line", "orders")])
def test_what_is_logged_in_a_view_that_answers_is_seen(told, framework: str, name, kind):
    """Nobody else would see it; it has the request's route and id."""
    with serving(framework) as get:
        get(f"/{name}")

    assert {kind: 1} == told.issues()
    assert (f"/{name}", "GET") == (told.events[0].route, told.events[0].method)
    assert told.events[0].request_id


def test_logged_in_a_job_that_fails_it_is_one_event(told):
    """A run that logs its error, and one that does not, are the same issue."""
    fingerprints = []
    for function in (plain, logged):
        with pytest.raises(ValueError, match="no paper"):
            job("print")(function)()
        (count,), (event,) = told.watchkeeper.issues.take()
        assert (1, "job:print") == (count.count, event.route)
        fingerprints.append(count.fingerprint)

    assert fingerprints[0] == fingerprints[1]


class SoldOutError(ValueError):
    """Something that the shop expects now and then."""


class NoSocksError(SoldOutError):
    """A kind of it."""


def is_sold_out(error: BaseException) -> bool:
    return "sold out" in str(error)


def cannot_judge(error: BaseException) -> bool:
    raise RuntimeError(error)


@pytest.fixture
def expecting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Watchkeeper]]:
    """Make a Watchkeeper that expects some exceptions."""

    def make(*expected: object) -> Watchkeeper:
        settings = Settings(enabled=True, database_url="memory://", expected_exceptions=expected)
        made = obtain(settings)
        undo.append(logs.install(made))
        return made

    undo: list[Callable[[], None]] = []
    monkeypatch.setattr(Watchkeeper, "start", lambda self: None)
    yield make
    for one in undo:
        one()
    forget_current()


@pytest.mark.parametrize(
    ("expected", "error"),
    [
        (SoldOutError, SoldOutError()),
        (SoldOutError, NoSocksError()),
        ("builtins.ValueError", NoSocksError()),
        (is_sold_out, KeyError("sold out")),
    ],
    ids=["class", "subclass", "name", "function"],
)
def test_expected_exceptions_are_captured_by_no_hook(expecting, expected, error):
    """By their type, by a base of it, or by a function that is asked."""
    watchkeeper = expecting(expected)

    log.error("no socks", exc_info=error)
    with pytest.raises(type(error)), job("print"):
        raise error
    log.error("printing failed", exc_info=OSError("no paper"))

    counts, _ = watchkeeper.issues.take()
    assert ["OSError"] == [count.type for count in counts]


def test_a_function_that_cannot_judge_hides_nothing(expecting):
    """Its own failure is counted as one of ours, and the exception is an issue."""
    watchkeeper = expecting(cannot_judge)
    take_errors()

    log.error("printing failed", exc_info=OSError("no paper"))

    assert 1 == len(watchkeeper.issues.take()[0])
    assert {"expected_exceptions": 1} == take_errors()


def test_a_scheduled_run_that_raises_is_one_event(told):
    """APScheduler logs the exception before the run ends; it is the run's all the same."""
    ended = threading.Event()
    uninstall = apscheduler.install(told.watchkeeper.observer)
    scheduler = BackgroundScheduler(timezone=UTC)
    scheduler.add_listener(lambda event: ended.set(), EVENT_JOB_ERROR)
    scheduler.start()
    try:
        scheduler.add_job(plain, name="print")
        assert ended.wait(20.0)
    finally:
        scheduler.shutdown()
        uninstall()

    assert {"ValueError": 1} == told.issues()
    assert "job:print" == told.events[0].route


@pytest.mark.parametrize("framework", frameworks.NAMES)
@pytest.mark.parametrize("what", ["fail", "break", "late"])
def test_a_server_that_logs_what_it_gets_adds_nothing(told, framework: str, what: str):
    """Whether before the answer, in its midst or after it: the exception counts once."""

    async def serve() -> None:
        client = Client(f"/{what}/x")
        try:
            await application(client.scope, client.receive, client.send)
        except Exception as error:
            logging.getLogger("uvicorn.error").exception("in ASGI application", exc_info=error)
        await asyncio.gather(
            *(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True
        )

    application = frameworks.watched(framework)
    asyncio.run(serve())

    assert {"KeyError": 1} == told.issues()


@pytest.mark.parametrize(("others", "count"), [(0, 1), (1, 2)])
def test_a_group_of_what_was_logged_adds_nothing(told, others: int, count: int):
    """A task logs why it fails; the group that its request gets is news if there is more in it."""

    async def fail() -> None:
        try:
            plain()
        except ValueError:
            log.exception("printing failed")
            raise

    async def fail_silently() -> None:
        raise KeyError("order")

    api = FastAPI()

    @api.get("/orders")
    async def orders() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            for _ in range(others):
                group.create_task(fail_silently())

    integrations.watch(api)
    TestClient(api, raise_server_exceptions=False).get("/orders")

    assert count == sum(told.issues().values())
