"""The names of our tables and indexes: with the user's prefix in place of `wk_`."""

import re
from typing import Any, Final

from sqlalchemy import Connection, Engine, event

PREFIX: Final = "wk_"  # what every name begins with in the code, and by default in the database
_OPTION: Final = "watchkeeper_prefix"
_OURS: Final = re.compile(rf"\b{PREFIX}")


def rename(engine: Engine, prefix: str) -> None:
    """Let every statement on an engine of ours speak of the names with the user's prefix."""
    if prefix == PREFIX:
        return
    engine.update_execution_options(**options(prefix))

    def renamed(
        _connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: object
    ) -> tuple[str, Any]:
        # A statement's text is ours alone, and holds names; all values are parameters.
        return renamed_text(statement, prefix), parameters

    event.listen(engine, "before_cursor_execute", renamed, retval=True)


def options(prefix: str) -> dict[str, str]:
    """Return the options of a connection that speaks of the names with a prefix."""
    return {_OPTION: prefix}


def renamed_text(statement: str, prefix: str) -> str:
    """Return a statement of the code with the user's prefix in its names."""
    return _OURS.sub(prefix, statement)


def actual(connection: Connection, name: str) -> str:
    """Return what a name of the code is in the database, to be given as a parameter."""
    return _prefix(connection) + name.removeprefix(PREFIX)


def known(connection: Connection, name: str) -> str:
    """Return what a name in the database is in the code; others' stay as they are."""
    prefix = _prefix(connection)
    return PREFIX + name.removeprefix(prefix) if name.startswith(prefix) else name


def _prefix(connection: Connection) -> str:
    return str(connection.get_execution_options().get(_OPTION, PREFIX))
