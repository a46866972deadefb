"""What databases and their drivers tell of values: a statement, a row, a password."""

import re
from typing import Final

from watchkeeper.core.form import MASK, Form, between


def _parameters(match: re.Match[str]) -> str:
    return f"{match['start']}{MASK}]"


def _sql(match: re.Match[str]) -> str:
    return _SQL_LITERAL.sub("?", match.group())


_SQL_LITERAL: Final = re.compile(r"'(?:[^']|'')*+'")

DATABASE_FORMS: Final = (
    Form(  # what SQLAlchemy tells of a statement that failed: its values are anybody's
        hint=("[sql: ",),
        pattern=re.compile(r"\[SQL: (?s:.*?)(?:\](?=\\n|\s|\Z)|\Z)"),
        replacement=_sql,
    ),
    Form(
        hint=("insert into",),
        pattern=re.compile(
            r"\bINSERT\s{1,4}INTO\s[^()]{1,200}+\([^()]{1,1000}+\)\s{0,4}VALUES[^\r\n]*+",
            re.IGNORECASE,
        ),
        replacement=_sql,
    ),
    Form(
        hint=("[parameters: ",),
        pattern=re.compile(r"(?P<start>\[parameters: )(?s:.*?)(?:\](?=\\n|\s{0,4}\(Back|\Z)|\Z)"),
        replacement=_parameters,
    ),
    Form(  # and what PostgreSQL and MariaDB tell of a row
        hint=(")=(", "row contains (", "duplicate entry '"),
        pattern=re.compile(
            r"(?P<start>Key \([^()]{1,200}\)=\(|[Rr]ow contains \(|Duplicate entry ')"
            r"[^\n]*?(?P<end>\)(?=[ .\\]|$)|' for key|$)",
            re.MULTILINE,
        ),
        replacement=between,
    ),
)
"""In this order."""
