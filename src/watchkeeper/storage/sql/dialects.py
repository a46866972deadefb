"""The databases that there are, by the first word of their URLs."""

from collections.abc import Sequence
from typing import Final

from watchkeeper.storage.sql.dialect import Dialect
from watchkeeper.storage.sql.mariadb import MARIADB
from watchkeeper.storage.sql.postgresql import POSTGRESQL
from watchkeeper.storage.sql.sqlite import SQLITE

DIALECTS: Final[Sequence[Dialect]] = (SQLITE, POSTGRESQL, MARIADB)


def dialect_of(scheme: str) -> Dialect | None:
    """Find the database that a URL's scheme names, with or without a driver."""
    backend = scheme.partition("+")[0]
    return next((one for one in DIALECTS if backend in one.schemes), None)
