"""What the tables are made of: one set of metadata, and makers of the columns that recur."""

from typing import Final

from sqlalchemy import BigInteger, Column, Dialect, Double, Integer, MetaData, String, Text
from sqlalchemy.dialects.mysql import MEDIUMTEXT

from watchkeeper.storage.rows import MAX_NAME

MARIADB: Final = ("mysql", "mariadb")  # as SQLAlchemy knows it, by what the URL says

metadata = MetaData()

# SQLite gives rowids to "INTEGER PRIMARY KEY" only; they are 64-bit there as well.
Id = BigInteger().with_variant(Integer, "sqlite")
# TEXT of MariaDB ends at 64 kB.
LongText = Text().with_variant(MEDIUMTEXT(), *MARIADB)


def is_mariadb(dialect: Dialect) -> bool:
    """Tell whether a dialect is that of MariaDB or MySQL."""
    return dialect.name in MARIADB


def name(column: str) -> "Column[str]":
    """Make a column for a label's value."""
    return Column(column, String(MAX_NAME), nullable=False)


def moment(column: str, *, nullable: bool = False) -> "Column[float]":
    """Make a column for a moment, in seconds since the epoch."""
    return Column(column, Double, nullable=nullable)
