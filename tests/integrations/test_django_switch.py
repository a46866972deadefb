"""Whether Django is watched: hooked once, left alone where nobody is served, as settings say."""

from functools import partial

import django_site as site
import pytest
from django.core.checks import run_checks
from django.core.exceptions import MiddlewareNotUsed
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import got_request_exception
from django.test import override_settings

import watchkeeper.integrations as integrations
from watchkeeper.app import forget_current
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.integrations.django import Middleware
from watchkeeper.integrations.django.switch import project_settings, switch_off, switch_on
from watchkeeper.settings import Settings

pytestmark = pytest.mark.usefixtures("unhooked")

project = partial(site.project, "wsgi")


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
