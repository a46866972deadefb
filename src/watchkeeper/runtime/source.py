"""Source files: read within bounds, and the failing statement that is found in them.

For the flusher's thread: it reads and parses. Each instruction is looked for once.
"""

import ast
import linecache
import os
import stat
import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from types import CodeType
from typing import Final, NamedTuple

from watchkeeper.core.syntax import Failing, Position, Statement, find_failing, joined
from watchkeeper.runtime.guard import guard

MAX_SOURCE_BYTES: Final = 2_000_000  # of a file that is worth reading for a few lines
MAX_PARSED_CHARS: Final = 200_000  # at once: the interpreter's lock is held meanwhile
MAX_INSTRUCTIONS: Final = 4_096  # remembered with their statements
MAX_SHOWN_CHARS: Final = 2_000  # of a statement's first line, before it is scrubbed and cut

_READING: Final = guard("reading a statement")
_FILENAME: Final = "<statement read by watchkeeper>"
_NOT_PARSED: Final = (SyntaxError, ValueError, RecursionError, MemoryError)


class Instruction(NamedTuple):
    """Where a frame stood: its code, and the offset of the instruction in bytes."""

    code: CodeType
    offset: int


class FailingStatements:
    """The statements of failed instructions, each read once; bounded.

    An error fails at one instruction, or at a few within each other, innermost first.
    """

    def __init__(self) -> None:
        """Begin with none."""
        # by id: comparing code objects compares their bytecode; the entry keeps the id taken
        self._found: dict[tuple[int, int], tuple[CodeType, Statement | None]] = {}

    def are_known(self, spots: Sequence[Instruction]) -> bool:
        """Tell whether all statements were looked for already."""
        return all((id(at.code), at.offset) in self._found for at in spots)

    def known(self, spots: Sequence[Instruction]) -> Statement | None:
        """Return the statement, as far as it was looked for and found."""
        nothing = (None, None)
        found = (self._found.get((id(at.code), at.offset), nothing)[1] for at in spots)
        return joined([statement for statement in found if statement is not None])

    def read(self, spots: Sequence[Instruction]) -> Statement | None:
        """Return the statement, from its source unless it is known; None without source."""
        for at in spots:
            if not self.are_known((at,)):
                self._read(at)
        return self.known(spots)

    def _read(self, at: Instruction) -> None:
        if len(self._found) >= MAX_INSTRUCTIONS:
            self._found.clear()  # rare, and what is in use is back soon
        found = None
        with _READING:
            found = failing_statement(at)
        self._found[id(at.code), at.offset] = (at.code, found)


def lines_of(filename: str) -> Sequence[str]:
    """Return the lines of a source file; none where it cannot be one, or is very large.

    Of code that lies in an archive or was typed in, those that its importer, or the shell that ran
    it, left with `linecache`.
    """
    if _is_readable(filename) or filename in linecache.cache:
        return linecache.getlines(filename)
    return ()


def failing_statement(at: Instruction) -> Statement | None:
    """Find the statement of an instruction in the source; None if it is not there."""
    code = at.code
    position = _position(at)
    lines = lines_of(code.co_filename)
    if position is None or not 0 < position.line <= len(lines):
        return None
    tree, start = _function(code, position, lines)
    if tree is None:
        tree, start = _parsed("".join(lines)), 0
    if tree is None:
        return None
    found = find_failing(
        tree,
        _moved(position, -start),
        outer=frozenset(code.co_freevars),
        within=code.co_name,
    )
    if found is None or not _may_be_of(code, found):
        return None
    shown = lines[found.line + start - 1].strip()[:MAX_SHOWN_CHARS]
    return Statement(digest=found.digest, shown=shown)


def _is_readable(filename: str) -> bool:
    """Tell whether source can be there: a code object may name anything, a device too."""
    try:
        found = os.stat(filename)
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size <= MAX_SOURCE_BYTES


def _position(at: Instruction) -> Position | None:
    nothing = (None, None, None, None)
    where = next(islice(at.code.co_positions(), max(at.offset, 0) // 2, None), nothing)
    line, end_line, column, end_column = where
    if line is None or at.offset < 0:
        return None
    return Position(line=line, end_line=end_line or line, column=column, end_column=end_column)


def _function(
    code: CodeType, position: Position, lines: Sequence[str]
) -> tuple[ast.Module | None, int]:
    """Parse the function's own lines, so that a large file need not be parsed for it.

    Returns the tree and how many lines of the file stand above it; None for a lambda and the like,
    and where these lines cannot be parsed alone.
    """
    first = code.co_firstlineno
    if code.co_name.startswith("<") or not 0 < first <= position.line:
        return None, 0
    head = lines[first - 1]
    indented = len(head) - len(head.lstrip())
    text = "".join(lines[first - 1 : _end(code, indented, lines)])
    before = "if 1:\n" if indented else ""  # which leaves columns and texts as they are
    return _parsed(before + text), first - 1 - bool(indented)


def _moved(position: Position, lines: int) -> Position:
    return replace(position, line=position.line + lines, end_line=position.end_line + lines)


def _end(code: CodeType, indented: int, lines: Sequence[str]) -> int:
    """Return the number of a function's last line: what follows is indented no more than it."""
    end = max((line or 0 for _, line, _, _ in code.co_positions()), default=0)
    while end < len(lines):
        line = lines[end]
        if line.strip() and len(line) - len(line.lstrip()) <= indented:
            break
        end += 1
    return end


def _parsed(text: str) -> ast.Module | None:
    if len(text) > MAX_PARSED_CHARS:
        return None
    _be_quiet()
    try:
        return ast.parse(text, filename=_FILENAME)
    except _NOT_PARSED:
        return None


def _be_quiet() -> None:
    """Let the parser not repeat the warnings that the host's own import of the file gave.

    By a filter for our file name alone: to set all filters aside for a moment is not safe while
    other threads run. Test runners and hosts may have dropped it since.
    """
    known = any(getattr(one[3], "pattern", one[3]) == _FILENAME for one in warnings.filters)
    if not known:
        warnings.filterwarnings("ignore", module=_FILENAME)


def _may_be_of(code: CodeType, found: Failing) -> bool:
    """Tell whether the source is the one that runs: it has the function, which has the names.

    A file may have been replaced since it was imported. What stands around a lambda or a generator
    is not in its code.
    """
    if code.co_name.startswith("<") and code.co_name != "<module>":
        return True
    if not code.co_name.startswith("<") and code.co_name != found.function:
        return False
    known = _names(code)
    return all(
        name in known or (name.startswith("__") and any(one.endswith(name) for one in known))
        for name in found.names
    )


def _names(code: CodeType) -> set[str]:
    found = {*code.co_names, *code.co_varnames, *code.co_cellvars, *code.co_freevars}
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            found |= _names(inner)
    return found
