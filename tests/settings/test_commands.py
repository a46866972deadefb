"""Management commands: which of them serve nobody."""

import pytest
from django.core.management import find_commands
from django.core.management.commands import runserver

from watchkeeper.settings.commands import ONE_OFF, one_off_command, own_command


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["manage.py", "migrate"], "migrate"),
        (["/srv/shop/manage.py", "test", "orders"], "test"),
        (["/usr/bin/django-admin", "shell"], "shell"),
        (["/lib/python3/site-packages/django/__main__.py", "check"], "check"),
        (["manage.py", "runserver"], ""),
        (["manage.py", "send_invoices"], ""),
        (["manage.py"], ""),
        (["gunicorn", "migrate"], ""),
        (["/lib/python3/site-packages/uvicorn/__main__.py", "test"], ""),
        ([], ""),
    ],
)
def test_one_off_commands_are_known(argv: list[str], command: str):
    """A migration or a shell is nothing to watch; a server or a command of one's own is."""
    assert command == one_off_command(argv)


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["manage.py", "migrate"], ""),
        (["manage.py", "runserver"], ""),
        (["manage.py", "send_invoices"], "send_invoices"),
        (["/usr/bin/django-admin", "send_invoices", "--all"], "send_invoices"),
        (["manage.py"], ""),
        (["gunicorn", "shop.wsgi"], ""),
    ],
)
def test_own_commands_are_those_that_django_does_not_bring(argv: list[str], command: str):
    """Their errors are to be seen from their beginning on."""
    assert command == own_command(argv)


def test_every_command_of_django_but_the_server_is_one_off():
    """What Django brings is known by name, whichever of its own apps brings it."""
    import django

    folders = [f"{django.__path__[0]}/core/management"]
    folders += [
        f"{django.__path__[0]}/contrib/{app}/management"
        for app in ("auth", "contenttypes", "gis", "sessions", "staticfiles")
    ]

    known = {name for folder in folders for name in find_commands(folder)}

    assert runserver.__name__.rpartition(".")[2] in known
    assert known - {"runserver"} == known & ONE_OFF
