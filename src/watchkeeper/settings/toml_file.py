"""The settings file: where it is, and what it says as far as it can be read."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

MAX_CUTS: Final = 50  # lines that are left out, and places that the file is tried to end at
PLACE: Final = ("service", "environment", "database_url", "database_schema", "table_prefix")
"""Keys that say under which name, and where, everything is kept."""
_UNKNOWN: Final = (
    "service",
    "database_url",
)  # what may well be in a file that nothing is known of
_WORD: Final = re.compile(r"[^\w#]*(\w+)")  # the first one of a statement


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlFile:
    """What a file says; with a fault, what it says around that, and a sentence about it.

    `left_out` has the keys of the root table that are written in a line with a fault.
    """

    text: str = ""
    content: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""  # "watchkeeper.toml:12: cannot be read (…)"; "": there is none
    left_out: tuple[str, ...] = ()


def config_file(environ: Mapping[str, str], directory: Path) -> Path | None:
    """Find the file: WATCHKEEPER_CONFIG, else the nearest watchkeeper.toml or pyproject.toml."""
    named = environ.get("WATCHKEEPER_CONFIG")
    if named:
        return directory / named
    for folder in (directory, *directory.parents):
        own = folder / "watchkeeper.toml"
        if own.is_file():
            return own
        project = folder / "pyproject.toml"
        if project.is_file() and _has_table(project):
            return project
    return None


def _has_table(project: Path) -> bool:
    try:
        return "[tool.watchkeeper" in project.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def read_toml(file: Path, *, root: tuple[str, ...] = ()) -> TomlFile:
    """Read a file; never raises for what is wrong with it.

    A line of the root table with a fault counts as not written. So does another table with a
    fault, with all after it. Of a file that cannot be opened, service and database are left out.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        return TomlFile(fault=f"{file.name}: cannot be read ({error})", left_out=_UNKNOWN)
    try:
        text = raw.decode("utf-8").replace("\r\n", "\n")
        return TomlFile(text=text, content=tomllib.loads(text))
    except UnicodeDecodeError as error:
        text = raw.decode("utf-8", errors="replace").replace("\r\n", "\n")
        line, fault = raw.count(b"\n", 0, error.start), str(error)
    except tomllib.TOMLDecodeError as error:
        line, fault = _line(error, text), str(error)
    content, left_out = _around(text.split("\n"), root)
    fault = f"{file.name}:{line + 1}: cannot be read ({fault})"
    return TomlFile(text=text, content=content, fault=fault, left_out=left_out)


def obstacle(lost: Sequence[str], prefix: str) -> str:
    """Say why nothing is stored if a file's keys of `PLACE` cannot be read, and the cure."""
    if not lost:
        return ""
    variables = ", ".join(prefix + name.upper() for name in lost)
    return (
        f"the settings file cannot be read where it says {', '.join(lost)}: nothing is stored, as"
        f" that would be elsewhere than before; mend it and start again, or set {variables}"
    )


def _around(lines: list[str], root: tuple[str, ...]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Return what is whole, and the keys of the root table that are not."""
    heads = [number for number, line in enumerate(lines) if line.lstrip().startswith("[")]
    heads.append(len(lines))
    begin, end = 0, 0 if root else heads[0]
    for head, after in pairwise(heads):
        if root and _words(lines[head]) == root:
            begin, end = head, after
    table = lines[begin:end]
    left_out = _mend(table, has_head=bool(root))
    whole = [*lines[:begin], *table, *lines[end:]]
    for stop in _stops(whole, heads, end):
        try:
            return tomllib.loads("\n".join(whole[:stop])), left_out
        except tomllib.TOMLDecodeError:
            continue  # the fault begins further up: a text that is not closed
    return tomllib.loads("\n".join(table)), left_out


def _words(head: str) -> tuple[str, ...]:
    """Return the names that a table's head consists of."""
    return tuple(re.findall(r"[\w-]+", head.partition("#")[0]))


def _mend(table: list[str], *, has_head: bool) -> tuple[str, ...]:
    """Empty the lines of a table that statements with a fault begin in; return their words."""
    words: list[str] = []
    for _ in range(MAX_CUTS):
        line = _first_fault(table)
        if line is None:
            return tuple(words)
        if has_head and line == 0:
            break
        words += [found[1] for found in (_WORD.match(table[line]),) if found]
        # What follows of the statement has a fault of its own. Half a value is none, but what
        # stands behind a text or a list that is not closed is to be found.
        table[line] = ""
    table[:] = [""] * len(table)
    return _UNKNOWN


def _first_fault(table: Sequence[str]) -> int | None:
    """Return the line that the first statement with a fault begins in; None: there is none."""
    end = next((number for number, line in enumerate(table) if "\ufffd" in line), len(table))
    text = "\n".join(table[:end])
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        for number in range(min(_line(error, text), end - 1), 0, -1):
            if _is_whole(table[:number]):
                return number
        return 0
    return end if end < len(table) else None


def _is_whole(lines: Sequence[str]) -> bool:
    try:
        tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError:
        return False
    return True


def _stops(lines: Sequence[str], heads: Sequence[int], end: int) -> Iterator[int]:
    """Yield where the whole part may end that has the root table in it, the latest first."""
    text = "\n".join(lines)
    fault = next((number for number, line in enumerate(lines) if "\ufffd" in line), len(lines))
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        fault = min(fault, _line(error, text))
    before = [one for one in heads if end <= one <= fault]
    yield from before[: -MAX_CUTS - 1 : -1]


def _line(error: Exception, text: str) -> int:
    """Return the line of a fault, from 0 on; at the end of the text it is the last one."""
    found = re.search(r"at line (\d+)", str(error))
    return int(found[1]) - 1 if found else text.count("\n")
