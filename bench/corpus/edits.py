"""Edits that leave a bug what it is: layout, names of locals, comments, hints, logs, order."""

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

Edit = Callable[[str], str]
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


def unchanged(source: str) -> str:
    """Leave the source as it is."""
    return source


def shifted(source: str) -> str:
    """Add forty lines above, and a few between the functions."""
    head = "\n".join(f"# line {number}" for number in range(40))
    return f"{head}\n" + source.replace("\n\n\ndef ", "\n\n\n# moved down\n\n\ndef ")


def unparsed(source: str) -> str:
    """Write the source as Python itself does: other quotes, brackets and breaks, no comments."""
    return ast.unparse(ast.parse(source))


def narrow(source: str) -> str:
    """Format for narrow columns: most statements go over several lines."""
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "24"]
    quotes = ["--config", 'format.quote-style="single"', "-"]
    done = subprocess.run([*command, *quotes], input=source, capture_output=True, text=True)
    return done.stdout or source


def commented(source: str) -> str:
    """Put a comment above every statement of a function and behind every line that ends one."""
    lines = source.splitlines()
    above: dict[int, int] = {}
    behind: set[int] = set()
    for function in _functions(ast.parse(source)):
        for node in ast.walk(function):
            if isinstance(node, ast.stmt) and node is not function:
                above[node.lineno] = node.col_offset
                behind.add(node.end_lineno or node.lineno)
    edited = []
    for number, line in enumerate(lines, 1):
        decorated = edited and edited[-1].lstrip().startswith("@")
        if number in above and not decorated and not line.lstrip().startswith(("elif", "else")):
            edited.append(" " * above[number] + "# why this is so")
        edited.append(line + ("  # noted" if number in behind else ""))
    return "\n".join(edited) + "\n"


def hinted(source: str) -> str:
    """Annotate every argument and result, as a string so that nothing is evaluated."""
    tree = ast.parse(source)
    for function in _functions(tree):
        function.returns = function.returns or ast.Constant("object")
        for argument in (*function.args.args, *function.args.kwonlyargs):
            if argument.arg not in {"self", "cls"}:
                argument.annotation = argument.annotation or ast.Constant("object")
    return ast.unparse(tree)


def logged(source: str) -> str:
    """Begin every function with a log call, and end each branch of an `if` with another."""
    tree = ast.parse(source)
    for function in _functions(tree):
        function.body.insert(0, _log("entered"))
        for node in ast.walk(function):
            if isinstance(node, ast.If) and not isinstance(node.body[-1], ast.Raise | ast.Return):
                node.body.append(_log("taken"))
    return _with_import(tree, "import logging")


def moved(source: str) -> str:
    """Turn the order of neighbouring functions round."""
    tree = ast.parse(source)
    body: list[ast.stmt] = []
    run: list[ast.stmt] = []
    for statement in tree.body:
        if isinstance(statement, _FUNCTIONS) and not statement.decorator_list:
            run.insert(0, statement)
            continue
        body += [*run, statement]
        run = []
    tree.body = body + run
    return ast.unparse(tree)


def renamed(source: str) -> str:
    """Give every local variable and every argument another name."""
    tree = ast.parse(source)
    kept = {"self", "cls", "owner", "instance", "_"}
    kept |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg}
    for statement in tree.body:
        functions = [statement] if isinstance(statement, _FUNCTIONS) else []
        if isinstance(statement, ast.ClassDef):
            functions = [inner for inner in statement.body if isinstance(inner, _FUNCTIONS)]
        for function in functions:
            names = sorted(_locals(function) - kept)
            _Renamer({name: f"{name[::-1]}_{number}" for number, name in enumerate(names)}).visit(
                function
            )
    return ast.unparse(ast.fix_missing_locations(tree))


def everything(source: str) -> str:
    """Apply all of them, one after the other."""
    for edit in (moved, renamed, hinted, logged, narrow, commented, shifted):
        source = edit(source)
    return source


EDITS: Final[dict[str, Edit]] = {
    "lines added above": shifted,
    "unparsed": unparsed,
    "narrow columns": narrow,
    "comments": commented,
    "type hints": hinted,
    "log lines": logged,
    "functions moved": moved,
    "locals renamed": renamed,
    "all edits together": everything,
}
"""What may be done to the source of the whole application between two deploys."""


def write(shop: Path, folder: Path, edit: Edit) -> None:
    """Write the edited application into a folder."""
    for path in shop.rglob("*"):
        target = folder / shop.name / path.relative_to(shop)
        if path.suffix == ".py":
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(edit(path.read_text("utf-8")), "utf-8")
        elif path.is_file() and "__pycache__" not in path.parts:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(path.read_text("utf-8"), "utf-8")


class _Renamer(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.AST:  # ast's spelling
        node.id = self._names.get(node.id, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg = self._names.get(node.arg, node.arg)
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        if node.name:
            node.name = self._names.get(node.name, node.name)
        return self.generic_visit(node)


def _functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)]


def _locals(function: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
    return found


def _log(text: str) -> ast.stmt:
    return ast.parse(f"logging.getLogger(__name__).debug({text!r})").body[0]


def _with_import(tree: ast.Module, statement: str) -> str:
    tree.body.insert(1, ast.parse(statement).body[0])
    return ast.unparse(ast.fix_missing_locations(tree))
