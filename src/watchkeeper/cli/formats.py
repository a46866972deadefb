"""CSV and JSON lines: rows in, text out."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Row = Mapping[str, Any]
"""A row to be written: numbers, texts, None, and mappings or lists of such."""

# What makes a spreadsheet take a text for a formula; an apostrophe before it makes it a text. One
# that begins with an apostrophe gets another one, so that a reader may take away the first.
_ACTIVE: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝", "＋", "－", "＠")


def csv_text(columns: Sequence[str]) -> Callable[[Row | None], str]:
    """Return what writes a row as a line of CSV, and the heading for None.

    As RFC 4180 has it. Numbers are as exact as they are stored, mappings and lists are JSON, None
    is empty.
    """

    def written(row: Row | None) -> str:
        cells = columns if row is None else [_cell(row[column]) for column in columns]
        line = io.StringIO(newline="")
        csv.writer(line, lineterminator="\r\n").writerow(cells)
        return line.getvalue()

    return written


def jsonl_text(_: Sequence[str]) -> Callable[[Row | None], str]:
    """Return what writes a row as a line of JSON; there is no heading."""
    return lambda row: "" if row is None else json.dumps(row) + "\n"


FORMATS: Final[Mapping[str, Callable[[Sequence[str]], Callable[[Row | None], str]]]] = {
    "csv": csv_text,
    "jsonl": jsonl_text,
}


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_ACTIVE) else value
    return repr(value) if isinstance(value, float) else json.dumps(value)
