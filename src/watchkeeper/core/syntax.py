"""The failing statement of a function, told by its syntax: no layout, no names of variables.

Works on a parsed tree and a position in it; reading source files is `runtime/source.py`. The text
that is hashed is made here instead of by `ast.dump`, so that it is the same under every Python.
"""

import ast
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

MAX_SHOWN_CHARS: Final = 200

_CALLED: Final = frozenset(
    {"__init__", "__new__", "__call__", "__post_init__", "__init_subclass__"}
    | {"__enter__", "__exit__", "__aenter__", "__aexit__"}
)
_BLOCKS: Final = ("body", "orelse", "finalbody", "handlers", "cases")
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SCOPES: Final = (*_FUNCTIONS, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_EXPRESSIONS: Final[dict[str, type[ast.AST]]] = {
    "<lambda>": ast.Lambda,
    "<genexpr>": ast.GeneratorExp,
}
_COMPOUND: Final = (ast.stmt, ast.ExceptHandler, ast.match_case)
# What says nothing of what happens, or what only some versions of Python have.
_LEFT_OUT: Final = frozenset(
    {"annotation", "ctx", "kind", "returns", "simple", "type_comment", "type_params"}
)
_NAMED: Final = {  # nodes that hold the name of a variable as a text
    ast.arg: "arg",
    ast.ExceptHandler: "name",
    ast.MatchAs: "name",
    ast.MatchStar: "name",
    ast.MatchMapping: "rest",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where code stands in a source: lines from 1, columns in bytes from 0, None if not known."""

    line: int
    end_line: int
    column: int | None = None
    end_column: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement that failed: `digest` counts, `shown` (its first line, raw) is for people."""

    digest: str
    shown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """A statement as found in a tree; `names` are all that it mentions, `line` where it begins.

    `function` is the name of the innermost function or class around it, itself included.
    """

    digest: str
    line: int
    function: str
    names: frozenset[str]


def is_operator(function: str) -> bool:
    """Tell whether code runs a function without naming it, as `__getitem__` or `__set__`.

    Then the statement that used it says as much of what failed as the one in it.
    """
    return function.startswith("__") and function.endswith("__") and function not in _CALLED


def joined(statements: Sequence[Statement]) -> Statement | None:
    """Return statements that failed within each other, innermost first, as one; None for none."""
    if len(statements) < 2:
        return statements[0] if statements else None
    text = " in ".join(one.digest for one in statements)
    return Statement(digest=_digest(text), shown=statements[-1].shown)


def find_failing(
    tree: ast.Module, at: Position, *, outer: Set[str] = frozenset(), within: str = ""
) -> Failing | None:
    """Find the smallest statement around a position, of a compound one only its head.

    `outer` are the local variables of functions around the tree's; `within` is the name of the
    code: of a lambda or a generator its own expression is the statement, since what stands around
    it may be a whole table of them. None where no statement is.
    """
    path = list(_path_to(tree, at))
    if not path:
        return None
    statement: ast.AST | None = path[-1]
    if within in _EXPRESSIONS and at.column is not None:
        statement = _expression(path[-1], at, _EXPRESSIONS[within])
    if statement is None:
        return None
    writer = _Writer(_locals(path) | outer)
    text = writer.write(statement)
    return Failing(
        digest=_digest(text),
        line=_first_line(statement),
        function=_function(path),
        names=frozenset(writer.names),
    )


def _path_to(tree: ast.Module, at: Position) -> Iterator[ast.AST]:
    """Yield the statements around a position, outermost first."""
    node: ast.AST | None = tree
    while node is not None:
        node = next((inner for inner in _blocks(node) if _holds(inner, at)), None)
        if node is not None:
            yield node


def _expression(statement: ast.AST, at: Position, kind: type[ast.AST]) -> ast.AST | None:
    """Return the innermost one of a kind around a position, None if there is none."""
    found = None
    for node in ast.walk(statement):  # what is within others comes after them
        if isinstance(node, kind) and _holds(node, at):
            found = node
    return found


def _blocks(node: ast.AST) -> Iterator[ast.AST]:
    for name in _BLOCKS:
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield from block


def _holds(node: ast.AST, at: Position) -> bool:
    start, end = _span(node)
    if at.column is None or at.end_column is None:
        return start[0] <= at.line and at.end_line <= end[0]
    return start <= (at.line, at.column) and (at.end_line, at.end_column) <= end


def _span(node: ast.AST) -> tuple[tuple[int, int], tuple[int, int]]:
    if isinstance(node, ast.match_case):
        last: ast.AST = node.body[-1]
        return (node.pattern.lineno, node.pattern.col_offset), _span(last)[1]
    found: Any = node
    start = (found.lineno, found.col_offset)
    for decorator in getattr(node, "decorator_list", ()):
        start = min(start, (decorator.lineno, 0))
    return start, (found.end_lineno, found.end_col_offset)


def _function(path: list[ast.AST]) -> str:
    for node in reversed(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return node.name
    return ""


def _first_line(node: ast.AST) -> int:
    return _span(node)[0][0]


def _locals(path: list[ast.AST]) -> set[str]:
    """Return the local variables of the functions on the way, and those within the statement."""
    found: set[str] = set()
    for node in path[:-1]:
        if isinstance(node, _FUNCTIONS):
            found |= _bound(node)
    for node in ast.walk(path[-1]):
        if isinstance(node, _SCOPES):
            found |= _bound(node)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
    return found


def _bound(scope: ast.AST) -> set[str]:
    """Return the names that a function, a lambda or a comprehension binds."""
    found: set[str] = set()
    globals_: set[str] = set()
    for node in ast.walk(scope):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Global):
            globals_.update(node.names)
        elif type(node) in _NAMED:
            name = getattr(node, _NAMED[type(node)])
            if name:
                found.add(name)
    return found - globals_


class _Writer:
    """Writes a node as text, numbering the local variables in order of use."""

    def __init__(self, local: Set[str]) -> None:
        self.names: set[str] = set()
        self._local = local
        self._numbers: dict[str, int] = {}

    def write(self, node: ast.AST) -> str:
        """Return the text of a node."""
        if isinstance(node, ast.Name):
            self.names.add(node.id)
            return self._variable(node.id)
        if isinstance(node, ast.Constant):
            return _constant(node.value)
        if isinstance(node, ast.JoinedStr):
            return f"JoinedStr({self._pieces(node)})"
        if isinstance(node, ast.AnnAssign):
            return self._assignment(node)
        if isinstance(node, ast.Attribute):
            self.names.add(node.attr)
        fields = [
            f"{name}={self._field(node, name, value)}"
            for name, value in ast.iter_fields(node)
            if name not in _LEFT_OUT and not (name in _BLOCKS and isinstance(node, _COMPOUND))
            if value is not None and value != []
        ]
        return f"{type(node).__name__}({','.join(fields)})"

    def _field(self, node: ast.AST, name: str, value: object) -> str:
        if isinstance(value, list):
            return f"[{','.join(self._item(item) for item in value)}]"
        if isinstance(value, ast.AST):
            return self.write(value)
        if isinstance(value, str) and _NAMED.get(type(node)) == name:
            return self._variable(value)
        return ascii(value)

    def _item(self, item: object) -> str:
        return self.write(item) if isinstance(item, ast.AST) else ascii(item)

    def _variable(self, name: str) -> str:
        if name not in self._local:
            return name
        return f"${self._numbers.setdefault(name, len(self._numbers))}"

    def _assignment(self, node: ast.AnnAssign) -> str:
        """Write an annotated assignment as the plain one that it is."""
        target = self.write(node.target)
        value = f",value={self.write(node.value)}" if node.value is not None else ""
        return f"Assign(targets=[{target}]{value})"

    def _pieces(self, node: ast.JoinedStr) -> str:
        """Write an f-string: how its fixed text is cut up differs between versions of Python."""
        pieces: list[str] = []
        fixed = ""
        for value in node.values:
            if isinstance(value, ast.Constant):
                fixed += str(value.value)
                continue
            pieces += [ascii(fixed)] if fixed else []
            fixed = ""
            pieces.append(self._formatted(value))
        pieces += [ascii(fixed)] if fixed else []
        return ",".join(pieces)

    def _formatted(self, node: Any) -> str:
        spec = "" if node.format_spec is None else self._pieces(node.format_spec)
        return f"{{{self.write(node.value)}!{node.conversion}:{spec}}}"


def _constant(value: object) -> str:
    kind = type(value).__name__
    if isinstance(value, int):
        return f"{kind} {value:#x}"  # as decimal digits a huge one may not be written
    return f"{kind} {value!a}"


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()
