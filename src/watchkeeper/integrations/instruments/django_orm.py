"""Django's ORM: each statement of its connections, by their execute wrappers.

Connections belong to threads, so each is met when it is opened; those that the installing thread
holds are met at once. COMMIT and ROLLBACK do not pass execute wrappers.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

from django.conf import settings  # type: ignore[import-untyped]
from django.db import connections  # type: ignore[import-untyped]
from django.db.backends.signals import connection_created  # type: ignore[import-untyped]

from watchkeeper.core.covered import Cover, covered
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.observer import Observer

_GUARD: Final = guard("django_orm")


def install(observer: Observer) -> Callable[[], None]:
    """Record what every connection executes; return what undoes that."""
    statements = _Statements(observer)
    connection_created.connect(statements.opened, weak=False)
    if settings.configured:
        for connection in connections.all(initialized_only=True):
            statements.opened(connection=connection)

    def uninstall() -> None:
        connection_created.disconnect(statements.opened)
        statements.leave()

    return uninstall


class _Statements:
    """The execute wrapper of every connection."""

    def __init__(self, observer: Observer) -> None:
        self._executed = observer.executed
        self._connections: weakref.WeakSet[Any] = weakref.WeakSet()
        self._on = True

    def opened(self, *, connection: Any, **_: object) -> None:
        """Join a connection's wrappers, as the outermost: others are taken off from the end."""
        with _GUARD:
            if self.execute not in connection.execute_wrappers:
                connection.execute_wrappers.insert(0, self.execute)
                self._connections.add(connection)

    def leave(self) -> None:
        """Leave the wrappers of every connection."""
        self._on = False
        for connection in list(self._connections):
            if self.execute in connection.execute_wrappers:
                connection.execute_wrappers.remove(self.execute)

    def execute(
        self,
        execute: Callable[..., Any],
        sql: Any,
        params: object,
        many: bool,  # the wrapper's signature
        context: dict[str, Any],
    ) -> Any:
        """Execute a statement and record how long it took."""
        if not self._on or covered.get() is Cover.OWN:
            return execute(sql, params, many, context)
        token = covered.set(Cover.ABOVE)
        failed = True
        start = perf_counter()
        try:
            result = execute(sql, params, many, context)
            failed = False
            return result
        finally:
            seconds = perf_counter() - start
            covered.reset(token)
            try:
                cursor = context["cursor"].cursor
                self._executed(
                    _system(context["connection"]),
                    _text(sql, cursor),
                    start=start,
                    seconds=seconds,
                    rows=-1 if failed else cursor.rowcount,
                    failed=failed,
                )
            except Exception as problem:  # noqa: BLE001  # a border: see `Guard.swallow`
                _GUARD.swallow(problem)


def _text(sql: Any, cursor: object) -> str:
    """Return the text of a statement, which may be one of psycopg's composed ones."""
    return sql if isinstance(sql, str) else str(sql.as_string(cursor))


def _system(connection: Any) -> str:
    """Name the kind of database as OpenTelemetry does."""
    if connection.vendor == "mysql" and vars(connection).get("mysql_is_mariadb"):
        return "mariadb"
    return str(connection.vendor)
