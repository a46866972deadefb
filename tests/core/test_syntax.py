"""The failing statement, told by its syntax."""

import ast
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.syntax import (
    Failing,
    Position,
    Statement,
    find_failing,
    is_operator,
    joined,
)


def at(source: str, mark: str) -> Position:
    """Return the position of a piece of text in a source, its first occurrence."""
    before, found, _ = source.partition(mark)
    assert found
    line = before.count("\n") + 1
    start = len(before.rpartition("\n")[2].encode())
    lines = mark.split("\n")
    end = len(lines[-1].encode()) + (start if len(lines) == 1 else 0)
    return Position(line=line, end_line=line + len(lines) - 1, column=start, end_column=end)


def found(source: str, mark: str, **more: Any) -> Failing:
    """Return the statement around a piece of text."""
    source = dedent(source)
    failing = find_failing(ast.parse(source), at(source, mark), **more)
    assert failing is not None
    return failing


def digest(source: str) -> str:
    """Return the digest of the statement that begins a function's body."""
    tree = ast.parse(f"def f(x, y, call):\n    {source}")
    failing = find_failing(tree, Position(line=2, end_line=2))
    assert failing is not None
    return failing.digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('return x["a"]', "return (\n        x[\n        'a'\n    ]\n    )"),
        ("return f(x, y,)", "return f(x,y)  # with a remark"),
        ('return x["a" "b"]', "return x['ab']"),
        ("z = x[y]", "total = x[y]"),
        ("z: int = x[y]", "z = x[y]"),
        ("raise call(x)", "raise y(x)"),
        ("return [z.a for z in x]", "return [row.a for row in x]"),
        ("return sorted(x, key=lambda a: a.b)", "return sorted(x, key=lambda row: row.b)"),
        ("if x.ok:\n        return 1", "if x.ok:\n        print(2)\n        return 3"),
        ('return f"{x}" "-b"', "return f'{x}-b'"),
    ],
)
def test_layout_and_names_of_variables_do_not_count(one: str, other: str):
    """What a formatter or a renaming changes is the same statement."""
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("return x['a']", "return x['b']"),
        ("return x[1]", "return x[True]"),
        ("return x.total", "return x.count"),
        ("return load(x)", "return store(x)"),
        ("return x[PRICE]", "return x[STOCK]"),
        ("return x - y", "return y - x - y"),
        ("assert x", "assert x.ok"),
        ("return f'{x:>3}'", "return f'{x:>4}'"),
        ("return f'{x!r}'", "return f'{x!s}'"),
        ("import x", "import x.y"),
        ("if x:\n        pass", "while x:\n        pass"),
        ("x += 1", "x -= 1"),
        ("return f'{x}a'", "return f'a{x}'"),
        ("return x + 1", "return x + 1.0"),
    ],
)
def test_what_happens_counts(one: str, other: str):
    """Attributes, constants, operators, globals and called names tell statements apart."""
    assert digest(one) != digest(other)


COMPOUND = """
    @decorated(before)
    def f(rows, error):
        for row in rows():
            try:
                with opened(row) as file:
                    file.read()
            except missing() as gone:
                raise
            else:
                done(row)
            finally:
                close(row)
        while more():
            if first():
                second()
            elif third():
                fourth()
        match kind():
            case Point(x=0) if near():
                fifth()
            case _:
                sixth()
        async def inner(): pass
        class Inner(base()): pass
"""


@pytest.mark.parametrize(
    ("mark", "line"),
    [
        ("before", 2),
        ("rows()", 4),
        ("opened(row)", 6),
        ("file.read()", 7),
        ("missing()", 8),
        ("raise", 9),
        ("done(row)", 11),
        ("close(row)", 13),
        ("more()", 14),
        ("first()", 15),
        ("second()", 16),
        ("third()", 17),
        ("fourth()", 18),
        ("kind()", 19),
        ("near()", 20),
        ("fifth()", 21),
        ("sixth()", 23),
        ("inner", 24),
        ("base()", 25),
    ],
)
def test_the_smallest_statement_is_found(mark: str, line: int):
    """Within a block it is the statement in it, else the head around it."""
    assert line == found(COMPOUND, mark).line


def test_each_place_of_a_function_is_another_statement():
    """No two heads or statements of a function are confused."""
    marks = ["rows()", "opened(row)", "file.read()", "missing()", "more()", "first()", "near()"]

    assert len(marks) == len({found(COMPOUND, mark).digest for mark in marks})


def test_the_body_of_a_compound_statement_does_not_count():
    """A log call added to a loop leaves its head as it is."""
    source = "def f(rows):\n    for row in rows():\n        {}\n"

    assert (
        found(source.format("one(row)"), "rows()").digest
        == found(source.format("two(row); three(row)"), "rows()").digest
    )


def test_the_name_of_a_caught_exception_is_a_variable():
    """`except E as error` and `except E as exc` are the same head; so are names of patterns."""
    source = "def f(x):\n    try:\n        x()\n    except kind() as {0}:\n        raise E({0})"
    match = "def f(x):\n    match x:\n        case [{0}, *{1}] if g({0}, {1}): pass"

    assert found(source.format("a"), "kind()").digest == found(source.format("b"), "kind()").digest
    assert (
        found(match.format("a", "b"), "g(a").digest == found(match.format("c", "d"), "g(c").digest
    )


def test_globals_are_told_by_their_names():
    """What a function declares global, or what a module assigns, is no local variable."""
    source = "def f(x):\n    global {0}\n    {0} = x[0]"

    assert found(source.format("a"), "x[0]").digest != found(source.format("b"), "x[0]").digest
    assert found("a = f(x)", "f(x)").digest != found("b = f(x)", "f(x)").digest


def test_variables_of_functions_around_are_variables():
    """A closure's variable may be renamed, whether its function is in the tree or given."""
    whole = "def g({0}):\n    def f(): return {0}[1]\n    return f"

    assert found(whole.format("a"), "a[1]").digest == found(whole.format("b"), "b[1]").digest
    assert (
        found("def f(): return a[1]", "a[1]", outer=frozenset("a")).digest
        == found("def f(): return b[1]", "b[1]", outer=frozenset("b")).digest
    )


def test_a_statement_tells_the_names_in_it_and_its_function():
    """They tell whether a source is the one that was running."""
    assert "f" == found("def f(x): return call(x.a, Y)", "call").function
    assert "" == found("call(x.a, Y)", "call").function
    assert {"call", "x", "a", "Y"} == found("def f(x): return call(x.a, Y)", "call").names


def test_without_columns_the_line_decides():
    """An interpreter that keeps no columns finds the statement of a line."""
    tree = ast.parse("def f(x):\n    a()\n    b()")
    line = find_failing(tree, Position(line=3, end_line=3))

    assert line == find_failing(tree, Position(line=3, end_line=3, column=4, end_column=7))


def test_outside_of_every_statement_there_is_none():
    """A position of another file finds nothing."""
    assert find_failing(ast.parse("a = 1"), Position(line=7, end_line=7)) is None


def test_huge_numbers_and_broken_texts_are_written():
    """Constants that cannot be printed are constants still."""
    assert digest("return x + 0x" + "f" * 20_000) != digest("return x + 0x" + "f" * 20_001)
    assert digest(r"return x['\ud800']") != digest(r"return x['\ud801']")


@given(st.integers(0, 50), st.integers(0, 8), st.sampled_from(["a", "record", "ω"]))
def test_lines_above_indentation_and_names_never_count(above: int, deep: int, name: str):
    """However far down and deep a function stands, its statement is the same."""
    pad = " " * deep
    head = "if 1:\n" if deep else ""
    source = f"{head}{pad}pass\n" + "# a line\n" * above
    source += f"{pad}def f({name}):\n{pad} return {name}['sku']\n"
    tree = ast.parse(source)

    failing = find_failing(tree, at(source, f"{name}['sku']"))

    assert failing is not None
    assert digest("return x['sku']") == failing.digest


def test_operators_are_run_without_being_named():
    """What is called by its class's name or by `with` is no operator."""
    names = ("__set__", "__getitem__", "__init__", "__enter__", "total", "__private")

    assert ["__set__", "__getitem__"] == [name for name in names if is_operator(name)]


def test_statements_within_each_other_are_one():
    """Both count, in their order; the outermost one is shown."""
    inner, outer = (Statement(digest=one, shown=one) for one in ("raise", "self.amount = 1"))

    both = joined([inner, outer])

    assert both is not None
    assert "self.amount = 1" == both.shown
    assert both.digest not in (inner.digest, joined([outer, inner]).digest)  # type: ignore[union-attr]
    assert inner == joined([inner])
    assert joined([]) is None


def test_a_lambda_or_a_generator_is_its_own_statement():
    """What stands around it counts only where columns are not known, or where it is not found."""
    source = 'TABLE = {"a": lambda x: (lambda y: y["sku"])(x), "b": sum(y["sku"] for y in [])}\n'
    tree = ast.parse(source)
    around = found(source, '"b"')
    inner = found(source, 'y["sku"]', within="<lambda>")
    outer = found(source, '(lambda y: y["sku"])(x)', within="<lambda>")
    line = find_failing(tree, Position(line=1, end_line=1), within="<lambda>")

    assert 3 == len({one.digest for one in (around, inner, outer)})
    assert inner.digest == found('f = lambda z: z["sku"]', 'z["sku"]', within="<lambda>").digest
    assert around == line
    assert find_failing(tree, at(source, '"b"'), within="<lambda>") is None
    assert find_failing(tree, at(source, 'y["sku"]'), within="<genexpr>") is None
