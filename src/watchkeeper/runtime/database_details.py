"""What of a database's error counts: its code and the names in it, never a value.

Reads attributes of drivers' exceptions; callers hold a guard, since a property may raise.
"""

import re
from typing import Final

from watchkeeper.runtime.bare import cause_of, module_of

MAX_MESSAGE_CHARS: Final = 1_000
MAX_WRAPPERS: Final = 4  # an ORM's exception around a dialect's around the driver's

_DATABASES: Final = frozenset(
    {"MySQLdb", "asyncpg", "django", "mysql", "psycopg", "psycopg2", "pymysql", "sqlalchemy"}
    | {"sqlite3"}
)
_WRAPPERS: Final = frozenset({"django", "sqlalchemy"})
_NAMES: Final = re.compile(
    r"constraint failed: ([\w., ]{1,200})"  # SQLite
    r"|no such (?:table|column|function): ([\w.]{1,200})"
    r"|has no column named (\w{1,200})"
    r"|for key '([^']{1,200})'"  # MySQL, MariaDB
    r"|CONSTRAINT `([^`]{1,200})`"
    r"|constraint '([^']{1,200})' is violated"
    r"|[Cc]olumn '([^']{1,200})' (?:cannot be null|in '|at row)"
    r"|for column ([\w`.]{1,200}) at row"
    r"|Field '([^']{1,200})' doesn't have"
    r"|(?:Table|Unknown table) '([^']{1,200})'"
    r"|constraint \"([^\"]{1,200})\""  # PostgreSQL
    r"|(?:relation|column|function|type|schema|table) \"?([\w.]{1,200})\"?[^\"]{0,200}"
    r" does not exist"
    r"|null value in column \"([^\"]{1,200})\""
)
_NEAR: Final = re.compile(
    r"near \"([^\"\n]{1,50})\": syntax error"  # SQLite
    r"|syntax error at or near \"([^\"\n]{1,50})"  # PostgreSQL
    r"|syntax to use near '([^\n]{1,50})"  # MySQL, MariaDB
)
_TOKEN: Final = re.compile(r"[^\W\d]\w*|[^\w\s]")  # a word or a sign; of a number nothing
_FIRST_NAMES: Final = re.compile(
    r"(?:constraint failed|no such table|no such column): ([\w., ]{1,200})|near (\"\w{1,50}\"):"
)


def is_database(kind: type) -> bool:
    """Tell whether a class is one of a database's packages."""
    return _package(kind) in _DATABASES


def database_detail(exc: BaseException) -> str:
    """Describe a database's error by its code and what it speaks of, never by values.

    The SQLSTATE or the driver's number; the constraint, else table and column, else the missing
    name or the word near a syntax error.
    """
    original = _original(exc)
    code = (
        getattr(original, "sqlstate", None)
        or getattr(original, "pgcode", None)
        or getattr(original, "sqlite_errorname", None)
        or next((arg for arg in original.args[:1] if isinstance(arg, int)), None)
    )
    subject = _subject(original) or _named(original)
    return " ".join(str(part) for part in (code, subject) if part)


def _package(kind: type) -> str:
    return str(module_of(kind)).partition(".")[0]


def _original(exc: BaseException) -> BaseException:
    """Return the driver's own exception, which an ORM wraps."""
    for _ in range(MAX_WRAPPERS):
        if _package(type(exc)) not in _WRAPPERS:
            break
        inner = getattr(exc, "orig", None) or cause_of(exc)
        if not isinstance(inner, BaseException) or not is_database(type(inner)):
            break
        exc = inner
    return exc


def _subject(original: BaseException) -> str:
    """Return what PostgreSQL's drivers say in fields of their own."""
    fields = getattr(original, "diag", None) or original
    constraint, table, column = (
        name if isinstance(name, str) else ""
        for name in (
            getattr(fields, f"{what}_name", None) for what in ("constraint", "table", "column")
        )
    )
    return constraint or (f"{table}.{column}" if table and column else column)


def _named(original: BaseException) -> str:
    """Return the name that a message speaks of, or the word near a syntax error."""
    message = next((arg for arg in original.args[:2] if isinstance(arg, str)), "")
    message = message[:MAX_MESSAGE_CHARS]
    near = _NEAR.search(message)
    if near is not None:
        token = _TOKEN.match(_first(near))
        return f"near {token.group()}" if token and token.group() not in "'\"`" else "near a value"
    # The last one: a value that stands before it may look like another.
    found = list(_NAMES.finditer(message.partition("\n")[0]))
    return _first(found[-1]).strip("`") if found else ""


def _first(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group)


def first_database_detail(exc: BaseException) -> str:
    """Return what the first version of the grouping took; not to be changed."""
    original = getattr(exc, "orig", None) or exc  # SQLAlchemy wraps the driver's
    if not isinstance(original, BaseException):
        return ""
    diagnostics = getattr(original, "diag", None)
    code = (
        getattr(original, "sqlstate", None)
        or getattr(original, "pgcode", None)
        or getattr(original, "sqlite_errorname", None)
        or next((arg for arg in original.args[:1] if isinstance(arg, int)), None)
    )
    constraint = getattr(diagnostics, "constraint_name", None)
    if constraint is None and module_of(type(original)) == "sqlite3":
        names = _FIRST_NAMES.search(str(original))
        constraint = names and (names[1] or names[2])
    return " ".join(str(part) for part in (code, constraint) if part)
