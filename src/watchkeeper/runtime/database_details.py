"""What of a database's error counts: its code and the names in it, never a value.

Attributes are read as they are held; of what is computed that of drivers only is asked for.
Callers hold a guard, since that may raise.
"""

import re
from typing import Any, Final

from watchkeeper.runtime.bare import (
    args_of,
    attribute_of,
    bases_of,
    cause_of,
    module_of,
    package_of,
    qualname_of,
)

MAX_MESSAGE_CHARS: Final = 1_000
MAX_WRAPPERS: Final = 4  # an ORM's exception around a dialect's around the driver's

MAX_REMEMBERED: Final = 4_096  # types

_FIRST_DATABASES: Final = frozenset(
    {"MySQLdb", "asyncpg", "django", "mysql", "psycopg", "psycopg2", "pymysql", "sqlalchemy"}
    | {"sqlite3"}
)
_WRAPPERS: Final = frozenset({"django", "peewee", "sqlalchemy", "tortoise"})
_DATABASES: Final = _FIRST_DATABASES | _WRAPPERS
_BASES: Final = (
    {"Error", "DatabaseError"},
    {"Error", "InterfaceError"},
)  # of a driver's (PEP 249)
_NAMES: Final = re.compile(
    r"constraint failed: (?:index '([^']{1,200})|([\w., \"]{1,200}))"  # SQLite, DuckDB
    r"|Duplicate key \"(\w{1,200}):"
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
    r"|(?:relation|column|function|type|schema|table) \"?([\w.]{1,200})\"?"
    r"(?: of relation \"[^\"]{1,200}\"|[^\"]{0,200}) does not exist"
    r"|null value in column \"([^\"]{1,200})\""
    r"|constraint \(([^()]{1,200})\) violated"  # Oracle
    r"|cannot insert NULL into \(([^()]{1,200})\)"
    r"|\"([^\"]{1,200})\": invalid identifier"
    r"|KEY constraint '([^']{1,200})'"  # SQL Server
    r"|NULL into column '([^']{1,200})'"
    r"|Invalid (?:column|object) name '([^']{1,200})'"
)
_NEAR: Final = re.compile(
    r"near \"([^\"\n]{1,50})\": syntax error"  # SQLite
    r"|syntax error at or near \"([^\"\n]{1,50})"  # PostgreSQL
    r"|syntax to use near '([^\n]{1,50})"  # MySQL, MariaDB
    r"|Incorrect syntax near '([^\n]{1,50})"  # SQL Server
)
_TOKEN: Final = re.compile(r"[^\W\d]\w*|[^\w\s]")  # a word or a sign; of a number nothing
_SQLSTATE: Final = re.compile(r"[0-9A-Z]{5}")
_known: Final[dict[int, tuple[type, bool]]] = {}  # by id; the entry keeps it taken
_FIRST_NAMES: Final = re.compile(
    r"(?:constraint failed|no such table|no such column): ([\w., ]{1,200})|near (\"\w{1,50}\"):"
)


def is_database(kind: type) -> bool:
    """Tell whether a class is one of a database's packages, or inherits as a driver's error does.

    Asked for each error that has attributes, so what was found is remembered.
    """
    found = _known.get(id(kind))
    if found is None:
        if len(_known) >= MAX_REMEMBERED:
            _known.clear()
        found = _known[id(kind)] = (kind, package_of(kind) in _DATABASES or _is_driver(kind))
    return found[1]


def was_database(kind: type) -> bool:
    """Tell whether the first version knew a class as a database's; not to be changed."""
    return package_of(kind) in _FIRST_DATABASES


def database_detail(exc: BaseException) -> str:
    """Describe a database's error by its code and what it speaks of, never by values.

    The SQLSTATE or the driver's number; the constraint, else table and column, else the missing
    name or the word near a syntax error.
    """
    original = _original(exc)
    told, message = _told(original)
    code = _code(original) or told
    subject = _subject(original) or _named(message)
    return " ".join(str(part) for part in (code, subject) if part)


def _held(owner: object, name: str) -> Any:
    return attribute_of(owner, name, trusted=_DATABASES)


def _wrapped(exc: BaseException) -> BaseException | None:
    """Return what SQLAlchemy wraps."""
    inner = _held(exc, "orig")
    # not isinstance, which asks the value's `__class__`
    return inner if issubclass(type(inner), BaseException) else None


def _code(original: BaseException) -> object:
    """Return the SQLSTATE or the name of the code, where there is an attribute of it."""
    codes = (_held(original, name) for name in ("sqlstate", "pgcode", "sqlite_errorname"))
    return next((code for code in codes if type(code) is str and code), None)


def _is_driver(kind: type) -> bool:
    package = package_of(kind)
    names = {qualname_of(base) for base in bases_of(kind) if package_of(base) == package}
    return any(bases <= names for bases in _BASES)


def _original(exc: BaseException) -> BaseException:
    """Return the driver's own exception, which an ORM wraps."""
    for _ in range(MAX_WRAPPERS):
        if package_of(type(exc)) not in _WRAPPERS:
            break
        inner: Any = _wrapped(exc) or cause_of(exc) or next(iter(args_of(exc)), None)
        # not isinstance, which asks the value's `__class__`
        if not issubclass(type(inner), BaseException) or not is_database(type(inner)):
            break
        exc = inner
    return exc


def _subject(original: BaseException) -> str:
    """Return what PostgreSQL's drivers say in fields of their own."""
    fields = _held(original, "diag")
    fields = original if fields is None else fields
    constraint, table, column = (
        name if type(name) is str else ""
        for name in (_held(fields, f"{what}_name") for what in ("constraint", "table", "column"))
    )
    return constraint or (f"{table}.{column}" if table and column else column)


def _told(original: BaseException) -> tuple[object, str]:
    """Return code and message as a driver gives them: as arguments, or in the first of them."""
    first, second = (*args_of(original), None, None)[:2]
    if type(first) is dict:  # pg8000: the fields of PostgreSQL's answer
        return first.get("C"), str(first.get("M"))
    if type(full := _held(first, "full_code")) is str:  # oracledb
        return full, str(_held(first, "message") or "")
    if type(first) is not str:
        number = first if issubclass(type(first), int) else None
        return number, second if type(second) is str else ""
    if type(second) is str and _SQLSTATE.fullmatch(first):  # pyodbc
        return first, second
    return None, first


def _named(message: str) -> str:
    """Return the name that a message speaks of, or the word near a syntax error."""
    message = message[:MAX_MESSAGE_CHARS]
    near = _NEAR.search(message)
    if near is not None:
        token = _TOKEN.match(_first(near))
        return f"near {token.group()}" if token and token.group() not in "'\"`" else "near a value"
    # The last one: a value that stands before it may look like another.
    found = list(_NAMES.finditer(message.partition("\n")[0]))
    return _first(found[-1]).strip("`").replace('"', "") if found else ""


def _first(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group)


def first_database_detail(exc: BaseException) -> str:
    """Return what the first version of the grouping took; not to be changed."""
    original = _wrapped(exc) or exc
    diagnostics = _held(original, "diag")
    numbers = (arg for arg in args_of(original)[:1] if issubclass(type(arg), int))
    code = _code(original) or next(numbers, None)
    constraint = _held(diagnostics, "constraint_name")
    if constraint is None and module_of(type(original)) == "sqlite3":
        names = _FIRST_NAMES.search(str(original))
        constraint = names and (names[1] or names[2])
    return " ".join(str(part) for part in (code, constraint) if part)
