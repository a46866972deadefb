"""What else decides which errors are one issue: the pairs are in test_pairs.py."""

import asyncio
import linecache
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import jinja2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raising import SCOPE, Deployments, deployed, group_of, known, raised
from watchkeeper.core.fingerprint import Fingerprint, Rule
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.runtime.guard import take_errors
from watchkeeper.runtime.issues import Issues
from watchkeeper.runtime.known import Known
from watchkeeper.runtime.occurrences import Occurrence
from watchkeeper.runtime.own_fingerprint import MAX_SLOW_CALLS, OwnFingerprint
from watchkeeper.runtime.places import Places
from watchkeeper.runtime.source import MAX_PARSED_CHARS
from watchkeeper.settings import Settings
from watchkeeper.storage import open_store
from watchkeeper.storage.store import Batch
from watchkeeper.testing import ManualClock, fingerprint

__all__ = ["deployed"]  # a fixture

CART = """
    def total(prices, sku):
        if len(prices) > 1:
            return prices[sku] + prices[sku + "-extra"]
        return prices[sku]

    def sums(prices):
        for one in prices: one.missing
"""


def kinds(exc: BaseException) -> list[str]:
    """Return the kinds of the parts that an exception is grouped by."""
    return [part.kind for part in known(exc).settle().parts]


# ── paths ───────────────────────────────────────────────────────────────────────────────────────


def test_where_no_endpoint_is_known_the_outermost_module_is_the_way_in(deployed: Deployments):
    """Two functions of one module that call another one are two ways to one bug."""
    cart = deployed.load("def total(): return {}['a']", "shop.cart")
    views = deployed.load("def show(call): call()\ndef job(call): call()", "shop.views")

    assert group_of(raised(views.show, cart.total)) == group_of(raised(views.job, cart.total))


def test_an_error_in_the_endpoint_itself_is_placed_there(deployed: Deployments):
    """The endpoint is dropped only if an application frame remains below it."""
    views = deployed.load("""
        def show(): return {}["a"]
        def list_all(): return {}["a"]
    """)

    assert group_of(raised(views.show), endpoint=views.show) != group_of(
        raised(views.list_all), endpoint=views.list_all
    )


def test_members_that_were_never_raised_are_told_by_type_and_place(deployed: Deployments):
    """A group made of fresh errors stands where the group was raised."""
    module = deployed.load("""
        def several(*kinds): raise ExceptionGroup("several", [kind() for kind in kinds])
    """)
    one = group_of(raised(module.several, KeyError, ValueError))

    assert one == group_of(raised(module.several, ValueError, KeyError))
    assert one != group_of(raised(module.several, KeyError))


def test_numbers_in_names_that_are_in_the_source_count(deployed: Deployments):
    """`Http404` and `Http410` are two classes, as `rule_17` and `tax_17` are two functions."""
    module = deployed.load("""
        class Http404(Exception): ...
        class Http410(Exception): ...
        def fail(kind): raise kind("no")

        def run(name):
            space = {}
            exec(compile(f"def {name}(): return 1 / 0", f"<{name}>", "exec"), space)
            return space[name]()
    """)

    assert group_of(raised(module.fail, module.Http404)) != group_of(
        raised(module.fail, module.Http410)
    )
    assert group_of(raised(module.run, "rule_17")) != group_of(raised(module.run, "tax_17"))


def test_without_a_trace_the_message_counts_without_its_values():
    """An error that was never raised is told by type and the form of its message."""
    assert group_of(ValueError("payment 17 failed")) == group_of(ValueError("payment 42 failed"))
    assert group_of(ValueError("payment 17 failed")) != group_of(ValueError("refund 17 failed"))


def test_a_recursion_that_is_endless_in_a_library_is_placed_where_it_was_called(
    deployed: Deployments,
):
    """The application's functions are on the stack once, so its innermost ones are the place."""
    library = deployed.load("def turn(n): return turn(n)", "spin", under="site-packages")
    shop = deployed.load("def one(f): return f(1)\ndef other(f): return f(1)")

    assert group_of(raised(shop.one, library.turn)) != group_of(raised(shop.other, library.turn))


# ── the statement ───────────────────────────────────────────────────────────────────────────────


FIELDS = """
class Field:
    def __set__(self, form, value):
        if value < 0:
            raise ValueError("negative")

class Form:
    amount, count = Field(), Field()

    def fill(self, row):
        self.amount = row["amount"]
        self.count = row["count"]
"""


def test_an_operator_fails_in_the_statement_that_uses_it(deployed: Deployments):
    """Two statements that run into one `__set__` are two issues, each whatever its value."""
    form = deployed.load(FIELDS).Form()
    rows = ({"amount": -1}, {"amount": -2}, {"amount": 1, "count": -1})

    amount, other_amount, count = (group_of(raised(form.fill, row)) for row in rows)

    assert amount == other_amount
    assert amount != count


def test_two_statements_of_one_function_are_two_issues(deployed: Deployments):
    """Two instructions of one statement are one; a statement in a loop or branch is found too."""
    cart = deployed.load(CART)
    one = group_of(raised(cart.total, {"a": 1, "b": 2}, "c"))

    assert one == group_of(raised(cart.total, {"a": 1, "b": 2}, "a"))
    assert one != group_of(raised(cart.total, {}, "a"))
    assert ["type", "frame", "statement"] == kinds(raised(cart.sums, [1]))


@pytest.mark.parametrize(
    "source",
    [
        "class C:\n    def f(self):\n        return {}['a']\nf = C().f",
        "class C:\n\tdef f(self):\n\t\tx = '''\nno indentation'''\n\t\treturn {}['a']\nf = C().f",
        "def g():\n    y = {}\n    def f():\n        return y['a']\n    return f\nf = g()",
        "def deco(f): return f\n@deco\n@deco\ndef f(\n    a=1,\n):\n    return {}['a']",
        "f = lambda: {}['a']",
        "def f():\n    return {}[\n'a'\n]\n",
        "def f():\n    try:\n        return {}['a']\n    finally:\n        pass",
        "class C:\n def __f(self): return self.__x\n def f(self): return self.__f()\nf = C().f",
        "async def g(): return {}['a']\ndef f():\n    g().send(None)",
        "def f(): return list(x['a'] for x in [{}])",
        "def f(): ω = {}; return ω['ä']",
        "def f(): exec(compile('1/0', __file__, 'exec'))",
    ],
)
def test_the_statement_is_found_in_all_kinds_of_code(deployed: Deployments, source: str):
    """Methods, closures, decorated functions, lambdas, generators: none is without statement."""
    module = deployed.load(source)

    parts = known(raised(module.f)).settle().parts

    assert "statement" == parts[-1].kind
    assert parts[-1].text


TABLE = """
    HANDLERS = {
        "order": lambda event: event["amount"],
        "user": lambda event: event["user"]["email"],
        "both": lambda event: sum(event[key] for key in ("amount", "tax")),
        "all": lambda event: sum(event[key] ** 2 for key in event["keys"]),
    }

    def handle(kind, event):
        return HANDLERS[kind](event)
"""


def test_a_lambda_of_a_table_is_a_statement_of_its_own(deployed: Deployments):
    """So is a generator; what else the table holds does not count, nor do names and layout."""
    before = deployed.load(TABLE)
    after = deployed.load(
        TABLE.replace("event", "e")
        .replace(": lambda", ":\n        lambda")
        .replace("user", "who", 1)
    )

    def groups(module: object) -> list[str]:
        return [
            group_of(raised(module.handle, kind, event))
            for kind, event in (
                ("order", {}),
                ("who" if module is after else "user", {}),
                ("both", {"amount": 1}),
                ("all", {"keys": ["a"]}),
            )
        ]

    assert 4 == len(set(groups(before)))
    assert groups(before) == groups(after)


def test_templates_are_told_apart_where_their_loader_tells_a_file():
    """Jinja calls all others by one name, so errors in two of them are one issue."""

    def told(name: str) -> tuple[str, str, None]:
        return ("{{ x.y.z }}", f"shop/{name}.html", None)

    def groups(loader: jinja2.BaseLoader) -> set[str]:
        environment = jinja2.Environment(loader=loader, autoescape=True)
        pages = [environment.get_template(name) for name in ("order", "invoice")]
        return {group_of(raised(page.render)) for page in pages}

    assert 2 == len(groups(jinja2.FunctionLoader(told)))
    assert 1 == len(groups(jinja2.DictLoader({"order": "{{ x.y.z }}", "invoice": "{{ x.y.z }}"})))


def test_a_method_is_read_like_a_function(deployed: Deployments):
    """Indentation does not count: a method that was a function fails in the same statement."""
    function = deployed.load("def f(d): return d['a']")
    method = deployed.load("class C:\n    @staticmethod\n    def f(d):\n        return (d['a'])")

    assert group_of(raised(function.f, {})) == group_of(raised(method.C.f, {}))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text("def f(d):\n    return other(d)\n"),
        lambda path: path.write_text("def g(d):\n    return d['a']\n"),
        lambda path: path.write_text("def f(d):\n"),
        lambda path: path.write_text("def f(d:\n    return d['a']\n"),
        lambda path: path.write_bytes(b"\xff\x00" * 30),
        lambda path: path.write_text("def f(d):\n    return d['a'] + x" + "0" * MAX_PARSED_CHARS),
        lambda path: path.write_text("def f(d):\n    return d" + "[1]" * 20_000),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), os.mkfifo(path)),
    ],
)
def test_without_the_source_that_runs_there_is_no_statement(
    deployed: Deployments, damage: Callable[[Path], object]
):
    """A file that is gone, was replaced or cannot be parsed leaves the place alone, silently."""
    module = deployed.load("def f(d):\n    return d['a']\n")
    damage(Path(module.__file__))
    take_errors()

    assert ["type", "frame"] == kinds(raised(module.f, {}))
    assert {} == take_errors()


def test_what_was_typed_in_is_read_where_the_shell_left_it(monkeypatch):
    """A notebook's cell is no file; its lines are with `linecache`."""
    name, source = "<cell 3>", "def f(key):\n    {}['a']\ndef g(key):\n    {}['b']\n"
    monkeypatch.setitem(linecache.cache, name, (len(source), None, source.splitlines(True), name))
    cell: dict[str, Callable[[str], object]] = {}
    exec(compile(source, name, "exec"), cell)  # noqa: S102  # as a shell does

    assert ["type", "frame", "statement"] == kinds(raised(cell["f"], "x"))


def test_a_file_that_warns_is_read_silently(deployed: Deployments, recwarn):
    """The parser's warnings were given when the host imported the file."""
    with pytest.warns((DeprecationWarning, SyntaxWarning)):
        module = deployed.load("def f(d):\n    return d['\\d']\n")
    before = len(recwarn)

    assert ["type", "frame", "statement"] == kinds(raised(module.f, {}))
    assert before == len(recwarn)


def test_every_interpreter_gives_the_same_statement(deployed: Deployments):
    """An upgrade of Python opens no issue again: the same text under 3.11, 3.12 and 3.13."""
    source = """
        def f(a, *, b=1):
            with open(__file__) as file, open(__file__):
                match a:
                    case {"k": [x, *_]} if (y := f"{a['none']!r:>{b}}" "}}" f"{1:}{x=}"):
                        return [x for x in a if (lambda z: -1 + z ** 1e400)]
    """
    call = "f({'k': [1]})"

    groups = {deployed.under(version, source, call) for version in ("3.11", "3.12", "3.13")}

    assert 1 == len(groups)


def test_the_request_reads_and_parses_nothing(deployed: Deployments):
    """What costs time is the flusher's: the request only counts by a provisional key."""
    cart = deployed.load(CART)
    exc = raised(cart.total, {}, "a")
    issues = Issues(SCOPE)
    linecache.clearcache()
    forbidden: list[str] = []
    events = {"open", "compile"}
    hooked = [True]

    def hook(event: str, args: object) -> None:
        if hooked and event in events:
            forbidden.append(event)

    sys.addaudithook(hook)
    found = issues.capture(exc)
    in_request = list(forbidden)
    (count,), _ = issues.take()
    hooked.clear()

    assert [] == in_request
    assert {"open", "compile"} == set(forbidden)
    assert found is not None
    assert found.fingerprint == count.fingerprint


def test_groups_that_come_out_equal_are_counted_as_one(deployed: Deployments):
    """Two instructions of one statement are two groups until the flusher reads the source."""
    cart = deployed.load(CART)
    clock = ManualClock()
    issues = Issues(SCOPE, clock=clock)
    for sku in ("c", "a", "c"):
        issues.capture(raised(cart.total, {"a": 1, "b": 2}, sku))
        clock.move(1.0)

    (count,), events = issues.take()

    assert (3, 1_000_000_000.0, 1_000_000_002.0) == (count.count, count.first_at, count.last_at)
    assert "KeyError: 'c'" == count.title
    assert {count.fingerprint} == {event.fingerprint for event in events}


def test_what_was_read_once_groups_at_once(deployed: Deployments):
    """In the next slot both instructions are one group from the start: one row of samples."""
    cart = deployed.load(CART)
    clock = ManualClock()
    issues = Issues(SCOPE, clock=clock)
    for slot in range(2):
        clock.move(10)
        for _ in range(4):
            for sku in ("c", "a"):
                issues.capture(raised(cart.total, {"a": 1, "b": 2}, sku))
        counts, events = issues.take()

        assert [8] == [one.count for one in counts]
        assert [6, 4][slot] == len(events)  # twice the 1st, 2nd and 4th; the 1st, 2nd, 4th, 8th


def test_one_that_cannot_be_grouped_stops_no_other(deployed: Deployments):
    """Should computing a fingerprint fail, the error is counted as one of the others."""

    def fail() -> Fingerprint:
        raise RecursionError("grouping")

    cart = deployed.load(CART)
    issues = Issues(SCOPE)
    issues.capture(raised(cart.total, {}, "a"))
    issues.capture(raised(cart.total, None, "a"))
    issues.later(Occurrence(known=Known(type="Odd", key="odd", finish=fail), at=1.0))

    counts, _ = issues.take()

    assert ["(other)", "KeyError", "TypeError"] == sorted(one.type for one in counts)


def test_an_issue_is_new_to_a_process_once(deployed: Deployments):
    """The key becomes a fingerprint in between; whoever waits for new issues is told once."""
    cart = deployed.load(CART)
    calls: list[int] = []
    issues = Issues(SCOPE, on_new=lambda: calls.append(1))
    for _ in range(3):
        issues.capture(raised(cart.total, {}, "a"))
        issues.take()

    assert [1] == calls


def test_a_real_error_has_the_value_of_the_first_version(deployed: Deployments):
    """Frozen: what an earlier release stored this very error under."""
    exc = raised(deployed.load(CART).total, {}, "a")

    assert ("1:f5738fe3b781cd63",) == known(exc).settle().aliases


def test_an_issue_of_the_first_version_goes_on(deployed: Deployments, store_url: str):
    """It gets the counts of new captures, and its new fingerprint, and is not new."""
    exc = raised(deployed.load(CART).total, {}, "a")
    issues = Issues(SCOPE)
    known_as = issues.capture(exc)
    assert known_as is not None
    (first,) = known_as.settle().aliases
    counts, events = issues.take()
    store = open_store(store_url)
    store.migrate()
    worker = store.register(SCOPE, host="web-1", pid=1, at=0.0)

    def write(start: int, found: list, kept: list) -> None:
        frame = Frame(key=FrameKey(10, start, worker.id, start))
        store.write(Batch(scope=SCOPE, frame=frame, at=start + 10.0, issues=found, events=kept))

    old = replace(counts[0], fingerprint=first, aliases=(), count=41, first_at=1.0, last_at=2.0)
    write(10, [old], [])
    write(20, counts, events)

    (issue,) = store.issues(service="shop", environment="test", seen_since=0, limit=9)

    assert (42, 1.0, first) == (issue.count, issue.first_at, issue.fingerprint)
    assert sorted([first, known_as.fingerprint]) == store.issue_fingerprints(issue.id)
    assert 1 == len(store.events(issue.id, limit=9))
    store.close()


# ── what can be set ─────────────────────────────────────────────────────────────────────────────

CALLERS = """
    def price(): return check()
    def stock(): return check()
    def check(): return number()
    def number(): return int("x")
"""


@pytest.mark.parametrize(("frames", "issues"), [(1, 1), (2, 1), (3, 2), (0, 2)])
def test_more_frames_tell_more_ways_apart(deployed: Deployments, frames: int, issues: int):
    """`all` (0) counts the whole path, 1 the failing function alone."""
    shop = deployed.load(CALLERS)
    capture = Issues(SCOPE, rule=Rule(frames=frames))
    found = {capture.known(raised(one)).fingerprint for one in (shop.price, shop.stock)}

    assert issues == len(found)


@pytest.mark.parametrize(
    ("pattern", "issues"),
    [("shop.util.*", 2), ("shop.util", 2), ("shop.util.Check.run", 1), ("shop.*", 1), ("x.*", 1)],
)
def test_transparent_functions_are_looked_through(
    deployed: Deployments, pattern: str, issues: int
):
    """The place is what called them, and the statement that did; unless all are transparent."""
    util = deployed.load(
        "class Check:\n    def run(self): return deep()\ndef deep(): return {}['a']", "shop.util"
    )
    shop = deployed.load("""
        def order(check):
            if check:
                check.run()
        def cart(check): check.run()
    """)
    capture = Issues(SCOPE, places=Places(transparent=[pattern]))
    found = {
        capture.known(raised(one, util.Check())).fingerprint for one in (shop.order, shop.cart)
    }

    assert issues == len(found)


def test_an_installed_module_can_be_the_application(deployed: Deployments):
    """And a module of the project may be none of it."""
    inside = deployed.load("def f(): return {}['a']", "shop.api", under="site-packages")
    vendored = deployed.load("def g(f): return f()", "shop.vendored.http")
    exc = raised(vendored.g, inside.f)

    assert ["type", "frame", "statement"] == kinds_by(exc, include=["shop"])
    assert ["type", "frame", "frame"] == kinds_by(exc, exclude=["shop.vendored"])
    assert ["type", "frame", "statement"] == kinds_by(exc, include=["shop.api"], exclude=["shop"])


def kinds_by(exc: BaseException, **which: list[str]) -> list[str]:
    """Return the kinds of an exception's parts, by what the application is set to be."""
    issues = Issues(SCOPE, places=Places(**which))
    return [one.kind for one in issues.known(exc).settle().parts]


def test_an_own_fingerprint_is_taken_from_the_nearest(deployed: Deployments):
    """The exception's own, that of the capture, the function's; None is the usual one."""
    cart = deployed.load(CART)
    issues = Issues(SCOPE, own=lambda exc: ["function"] if "a" in str(exc) else None)
    marked = raised(cart.total, {}, "a")
    marked.__watchkeeper_fingerprint__ = ["exception"]

    def parts(exc: BaseException, given: list[str] | None = None) -> list[str]:
        return [one.text for one in issues.known(exc, fingerprint=given).settle().parts[1:]]

    assert ["exception"] == parts(marked, ["capture"])
    assert ["capture"] == parts(raised(cart.total, {}, "a"), ["capture"])
    assert ["function"] == parts(raised(cart.total, {}, "a"))
    assert ["shop.cart:total", "return prices[sku]"] == parts(raised(cart.total, {}, "b"))


@pytest.mark.parametrize(
    ("answer", "parts"),
    [("billing", ["billing"]), (7, ["7"]), (["a", 1], ["a", "1"]), ([], None), ("", None)],
)
def test_whatever_the_function_returns_becomes_texts(answer: object, parts: list[str] | None):
    """A text is one part; nothing is the usual fingerprint."""
    assert (parts or []) == list(OwnFingerprint(lambda exc: answer).of(KeyError()))


def test_a_function_that_raises_changes_nothing(deployed: Deployments):
    """The error is counted in its usual group, and the fault as one of Watchkeeper's."""
    cart = deployed.load(CART)
    take_errors()

    def broken(exc: BaseException) -> object:
        raise RuntimeError("broken")

    issues = Issues(SCOPE, own=broken)
    issues.capture(raised(cart.total, {}, "a"))

    assert [1] == [one.count for one in issues.take()[0]]
    assert {"fingerprint function": 1} == take_errors()


def test_a_function_that_is_slow_is_not_asked_for_long(caplog):
    """It runs in the request and cannot be interrupted, so a few slow answers are enough."""
    clock = ManualClock()

    def slow(exc: BaseException) -> object:
        clock.move(0.2)
        return ["slow"]

    own = OwnFingerprint(slow, clock=clock)
    answers = [list(own.of(KeyError())) for _ in range(MAX_SLOW_CALLS + 2)]

    assert [["slow"]] * MAX_SLOW_CALLS + [[], []] == answers
    assert 1 == len(caplog.records)


def test_the_fingerprint_for_tests_is_final_and_counts_nothing(deployed: Deployments):
    """It may be asked twice, and is what the issue is stored under."""
    exc = raised(deployed.load(CART).total, {}, "a")
    asked = fingerprint(exc)

    assert asked == fingerprint(exc)
    assert asked == group_of(exc)
    assert "" == fingerprint(asyncio.CancelledError())
    assert asked != fingerprint(exc, Settings(in_app_exclude=[deployed.load(CART).__name__]))


def test_expectations_that_raise_expect_nothing():
    """An exception whose attributes raise has a fingerprint like any other."""
    kind = type("HTTPException", (Exception,), {"__module__": "werkzeug.exceptions"})
    kind.status_code = property(lambda self: 1 / 0)

    assert fingerprint(kind()).startswith("2:")


# ── why ─────────────────────────────────────────────────────────────────────────────────────────


def test_an_event_explains_its_grouping(deployed: Deployments):
    """The parts that counted, as data, and what did not."""
    library = deployed.load("def run(view): return view()", "framework", under="site-packages")
    shop = deployed.load("""
        def show(): return level(3)
        def level(depth): return level(depth - 1) if depth else total()
        def total():
            token = "hunter2"; return {}["a"]
    """)
    issues = Issues(SCOPE)
    issues.capture(raised(library.run, shop.show), endpoint=shop.show.__code__)

    (event,) = issues.take()[1]

    why = event.data["why"]
    statement = why["parts"].pop()
    assert {
        "version": 2,
        "parts": [
            {"kind": "type", "text": "KeyError"},
            {"kind": "frame", "text": "shop.cart:level"},
            {"kind": "frame", "text": "shop.cart:total"},
        ],
        "left_out": {"endpoint": "shop.cart:show", "above": 1, "folded": 3, "library": 1},
    } == why
    assert "statement" == statement["kind"]
    assert 'return {}["a"]' in statement["text"]
    assert "hunter2" not in statement["text"]
    assert 16 == len(statement["hash"])


def test_an_own_fingerprint_is_explained_too(deployed: Deployments):
    """The user's texts, and what "{default}" stands for."""
    issues = Issues(SCOPE)
    exc = raised(deployed.load(CART).total, {}, "a")
    issues.capture(exc, fingerprint=["{default}", "acme"])

    (event,) = issues.take()[1]

    own, default, acme = event.data["why"]["parts"]
    assert ("own fingerprint", "acme") == (own["text"], acme["text"])
    assert ["type", "frame", "statement"] == [part["kind"] for part in default["parts"]]


# ── laws ────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    above=st.integers(0, 30),
    folder=st.sampled_from(["srv/r1", "opt/app-2", "a b"]),
    value=st.text(max_size=20),
    name=st.sampled_from(["prices", "p", "π"]),
    address=st.integers(0, 2**64),
)
def test_lines_folders_values_and_addresses_never_count(
    deployed: Deployments, above: int, folder: str, value: str, name: str, address: int
):
    """Whatever differs between two deployments and two occurrences, it is the same bug."""
    source = """
        def total(prices, sku):
            return pick(prices, sku)
        def pick(prices, sku):
            raise LookupError(f"no {sku!r} in {prices}", prices)
    """
    plain = deployed.load(source)
    moved = deployed.load("\n" * above + dedent(source).replace("prices", name), under=folder)

    assert group_of(raised(plain.total, {}, "a")) == group_of(
        raised(moved.total, f"<object at {address:#x}>", value)
    )
