"""The table of traps: each is proven in each framework that can show it, or said to be impossible.

A test claims its rows with `@pytest.mark.trap("row", "framework", …)`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent.parent / "integrations"

ASGI: Final = ("fastapi", "starlette", "litestar", "quart", "asgi")
WSGI: Final = ("flask", "wsgi")
FRAMEWORKS: Final = (*ASGI, *WSGI, "django")  # which is both

ROWS: Final = (
    "background tasks",
    "unhandled exception",
    "exception in middleware",
    "swallowed exception",
    "exception after the start of a stream",
    "client leaves in mid-stream",
    "cancelled before a response",
    "trailers, pathsend, zero-copy",
    "mounted and included",
    "404, slash redirect, unknown method",
    "websockets and lifespan",
    "errors in WSGI iteration and close",
    "streaming",
    "queue time",
    "neither exhausted nor closed",
    "no response started",
    "file_wrapper",
    "no blocking call",
    "installed twice or after start",
)

IMPOSSIBLE: Final = {
    "ASGI has no such thing": [
        (row, framework)
        for row in (
            "errors in WSGI iteration and close",
            "neither exhausted nor closed",
            "file_wrapper",
        )
        for framework in ASGI
    ],
    "WSGI has no such thing": [
        (row, framework)
        for row in (
            "trailers, pathsend, zero-copy",
            "websockets and lifespan",
            "no blocking call",
        )
        for framework in WSGI
    ],
    "WSGI does not tell that a client left: the server closes the body, as at a good end": [
        ("client leaves in mid-stream", "flask"),
        ("client leaves in mid-stream", "wsgi"),
    ],
    "without a framework there are no routes, handlers and middleware to know of": [
        (row, framework)
        for row in ("mounted and included", "exception in middleware", "swallowed exception")
        for framework in ("asgi", "wsgi")
    ],
    "it answers every request by itself": [
        ("no response started", "quart"),
        ("no response started", "flask"),
    ],
    "it sends files itself, and no trailers": [
        ("trailers, pathsend, zero-copy", "litestar"),
        ("trailers, pathsend, zero-copy", "quart"),
        ("trailers, pathsend, zero-copy", "django"),
    ],
}


def claims() -> Iterator[tuple[str, str, str]]:
    """Yield (row, framework, test) for each claim that a test makes."""
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef):
                continue
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == (
                    "pytest.mark.trap"
                ):
                    row, *frameworks = (ast.literal_eval(value) for value in decorator.args)
                    for framework in frameworks:
                        yield row, framework, f"{path.name}::{node.name}"


def test_each_trap_is_proven_wherever_it_can_be_shown():
    """No row of the table is without a test, in no framework that can show it."""
    impossible = {pair for pairs in IMPOSSIBLE.values() for pair in pairs}
    proven = {(row, framework) for row, framework, _ in claims()}

    missing = {(row, framework) for row in ROWS for framework in FRAMEWORKS}
    assert set() == missing - proven - impossible


def test_nothing_that_is_proven_is_said_to_be_impossible():
    """A test that shows a trap proves the excuse wrong."""
    impossible = {pair for pairs in IMPOSSIBLE.values() for pair in pairs}

    assert [] == [claim for claim in claims() if claim[:2] in impossible]


def test_claims_name_rows_and_frameworks_of_the_table():
    """A misspelt claim would prove nothing."""
    assert [] == [
        claim for claim in claims() if claim[0] not in ROWS or claim[1] not in FRAMEWORKS
    ]
