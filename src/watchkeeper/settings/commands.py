"""The management command that this process was started as, where it is Django's or alike."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

_PROGRAMS: Final = frozenset({"manage.py", "django-admin", "django-admin.exe"})
_MODULE: Final = ("django", "__main__.py")  # what argv begins with under `python -m django`

SERVER: Final = "runserver"
ONE_OFF: Final = frozenset(
    {
        "changepassword",
        "check",
        "clearsessions",
        "collectstatic",
        "compilemessages",
        "createcachetable",
        "createsuperuser",
        "dbshell",
        "diffsettings",
        "dumpdata",
        "findstatic",
        "flush",
        "help",
        "inspectdb",
        "loaddata",
        "makemessages",
        "makemigrations",
        "migrate",
        "ogrinspect",
        "optimizemigration",
        "remove_stale_contenttypes",
        "sendtestemail",
        "shell",
        "shell_plus",
        "showmigrations",
        "sqlflush",
        "sqlmigrate",
        "sqlsequencereset",
        "squashmigrations",
        "startapp",
        "startproject",
        "test",
        "testserver",
        "version",
    }
)
"""All of Django's own commands but `runserver`: they serve nobody. Others are the user's."""


def management_command(argv: Sequence[str]) -> str:
    """Return the management command of a process, from its arguments; empty if it is none."""
    if len(argv) < 2:
        return ""
    program = PurePath(argv[0])
    if program.name in _PROGRAMS or program.parts[-2:] == _MODULE:
        return argv[1]
    return ""


def one_off_command(argv: Sequence[str]) -> str:
    """Return the management command of a process if it is one that serves nobody, else nothing.

    >>> one_off_command(["manage.py", "migrate", "shop"])
    'migrate'
    """
    command = management_command(argv)
    return command if command in ONE_OFF else ""


def own_command(argv: Sequence[str]) -> str:
    """Return the management command of a process if it is none of Django's own, else nothing.

    >>> own_command(["manage.py", "import_orders"])
    'import_orders'
    """
    command = management_command(argv)
    return "" if command in ONE_OFF or command == SERVER else command
