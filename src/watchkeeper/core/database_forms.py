"""What databases and their drivers tell of values: a statement, a row, a password."""

import re
from typing import Final

from watchkeeper.core.form import MASK, Form, after_start, between


def _parameters(match: re.Match[str]) -> str:
    return f"{match['start']}{MASK}]"


def _sql(match: re.Match[str]) -> str:
    return _SQL_LITERAL.sub("?", match.group())


_SQL_LITERAL: Final = re.compile(r"'(?:[^']|'')*+(?:'|\Z)")

DATABASE_FORMS: Final = (
    Form(  # what SQLAlchemy tells of a statement that failed: its values are anybody's
        hint=("[sql: ",),
        pattern=re.compile(r"\[SQL: (?s:.*?)(?:\](?=\\n|\s|\Z)|\Z)"),
        replacement=_sql,
    ),
    Form(  # the values of a new row, with its columns' names or without, over several lines
        hint=("insert into", "replace into", "ignore into"),
        pattern=re.compile(
            r"\b(?:INSERT|REPLACE|IGNORE)\s{1,4}INTO\s{1,4}[\w.\"`\[\]]{1,200}+\s{0,20}"
            r"(?:\([^()']{1,2000}+\)\s{0,20})?(?:VALUES?\b|SELECT\b|SET\b)"
            r"(?:[^'\r\n]|'(?:[^']|'')*+(?:'|\Z)|[\r\n]{1,2}+(?=\s{0,20}[(,)']))*+",
            re.IGNORECASE,
        ),
        replacement=_sql,
    ),
    Form(  # CREATE USER ann WITH PASSWORD '…', IDENTIFIED BY '…'
        hint=re.compile(r"password\s{1,4}'|identified\s"),
        pattern=re.compile(
            r"(?P<start>\b(?:PASSWORD|(?i:(?:with|encrypted|set)\s{1,4}password)|"
            r"(?:IDENTIFIED|(?i:user\s{1,4}[\w'\"@%.`]{1,80}+\s{1,4}identified))"
            r"(?i:\s{1,4}(?:with\s{1,4}[\w'\"]{1,60}\s{1,4})?(?:by|as|using)"
            r"(?:\s{1,4}password)?))\s{1,4})'(?:[^']|'')*+(?:'|\Z)"
        ),
        replacement=after_start,
    ),
    Form(
        hint=("[parameters: ",),
        pattern=re.compile(r"(?P<start>\[parameters: )(?s:.*?)(?:\](?=\\n|\s{0,4}\(Back|\Z)|\Z)"),
        replacement=_parameters,
    ),
    Form(  # and what PostgreSQL and MariaDB tell of a row
        hint=(")=(", "row contains (", "duplicate entry '"),
        pattern=re.compile(
            r"(?P<start>Key \((?:[^()\n]|\((?:[^()\n]|\([^()\n]{0,60}\)){0,100}+\)){1,200}+\)=\(|"
            r"[Rr]ow contains \(|Duplicate entry ')"
            r"[^\n]*?(?P<end>\)(?=[ .\\]|$)|' for key|$)",
            re.MULTILINE,
        ),
        replacement=between,
    ),
    Form(
        hint=("incorrect ",),
        pattern=re.compile(
            r"(?P<start>\b[Ii]ncorrect [\w()]{1,20} value: ')[^\n]*?(?P<end>' for |'?$)",
            re.MULTILINE,
        ),
        replacement=between,
    ),
)
"""In this order."""
