"""Which errors are one issue: pairs of real exceptions, raised by real modules."""

import asyncio
import concurrent.futures
import inspect
import re
import socket
import sqlite3
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import module_from_spec, spec_from_file_location
from itertools import count
from pathlib import Path
from textwrap import dedent
from types import CodeType, ModuleType

import pytest

from watchkeeper.core.metrics import Scope
from watchkeeper.runtime.issues import Issues

Load = Callable[..., ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Import a module from source; each call deploys it to another folder."""
    folders = count()

    def load(source: str, name: str = "shop.cart", *, under: str = "") -> ModuleType:
        path = tmp_path / f"v{next(folders)}" / under / (name.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True)
        path.write_text(dedent(source), encoding="utf-8")
        spec = spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


def raised(function: Callable[..., object], *args: object) -> BaseException:
    """Call and return what it raises, with the trace as the framework above would see it."""
    try:
        function(*args)
    except BaseException as exc:  # noqa: BLE001  # whatever it is: it is what is looked at
        return exc.with_traceback(exc.__traceback__ and exc.__traceback__.tb_next)
    raise AssertionError("nothing was raised")


def group_of(
    exc: BaseException,
    *,
    endpoint: Callable[..., object] | None = None,
    fingerprint: list[str] | None = None,
) -> str:
    """Return the fingerprint that a fresh process gives to an exception."""
    code: CodeType | None = inspect.unwrap(endpoint).__code__ if endpoint else None
    issues = Issues(Scope(service="shop", environment="test"))
    known = issues.capture(exc, endpoint=code, fingerprint=fingerprint)
    assert known is not None
    return known.fingerprint


CART = """
    def total(prices, sku):
        return prices[sku]

    def find(rows):
        return rows[7]

    def find_latest(rows):
        return rows[7]

    class InvalidStateError(Exception): ...

    class Order:
        def cancel(self):
            raise InvalidStateError("order is closed")

        def refund(self):
            raise InvalidStateError("order is closed")
"""


def test_values_in_messages_do_not_count(load: Load):
    """Two missing keys in one function are one issue."""
    cart = load(CART)

    assert group_of(raised(cart.total, {}, "SKU-1")) == group_of(raised(cart.total, {}, "SKU-2"))


def test_line_numbers_and_folders_do_not_count(load: Load):
    """Forty lines added above, and another folder and virtual environment, are the same issue."""
    before = load(CART, under="srv/r1")
    after = load("# a line\n" * 40 + dedent(CART), under="srv/r2")

    assert group_of(raised(before.total, {}, "a")) == group_of(raised(after.total, {}, "a"))


def test_a_log_call_added_to_the_function_does_not_count(load: Load):
    """The function may grow around the failing statement."""
    before = load(CART)
    after = load("""
        import logging

        def total(prices, sku):
            logging.getLogger("shop").debug("looking up")
            return prices[sku]
    """)

    assert group_of(raised(before.total, {}, "a")) == group_of(raised(after.total, {}, "a"))


def test_types_count(load: Load):
    """A KeyError and a ZeroDivisionError in one function are two issues."""
    cart = load("def total(a, b): return {1: 1}[a] / b")

    assert group_of(raised(cart.total, 2, 1)) != group_of(raised(cart.total, 1, 0))


def test_the_failing_function_counts(load: Load):
    """The same error in two functions, or in two methods, is two issues."""
    cart = load(CART)
    order = cart.Order()

    assert group_of(raised(cart.find, [])) != group_of(raised(cart.find_latest, []))
    assert group_of(raised(order.cancel)) != group_of(raised(order.refund))


VIEWS = """
    import asyncio, functools
    from shop import cart

    def show(request):
        return cart.checkout({})

    def logged(view):
        @functools.wraps(view)
        def inner(request):
            return view(request)
        return inner

    decorated = logged(logged(show))

    async def show_async(request):
        return cart.checkout({})

    def job():
        return cart.checkout({})

"""
CHECKOUT = """
    def checkout(basket):
        return total(basket)

    def total(basket):
        return basket["sku"]
"""


@pytest.fixture
def views(load: Load, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Views, a job and the cart that they call."""
    package = ModuleType("shop")
    monkeypatch.setitem(sys.modules, "shop", package)
    package.cart = load(CHECKOUT)  # type: ignore[attr-defined]
    return load(VIEWS, "shop.views")


def test_the_way_in_does_not_count(views: ModuleType):
    """A bug reached through a view, decorated or not, an async view or a job is one issue."""
    plain = group_of(raised(views.show, None), endpoint=views.show)

    assert plain == group_of(raised(views.decorated, None), endpoint=views.decorated)
    assert plain == group_of(raised(views.job), endpoint=views.job)
    assert plain == group_of(
        raised(asyncio.run, views.show_async(None)), endpoint=views.show_async
    )


def test_the_way_in_does_not_count_where_no_endpoint_is_known(views: ModuleType):
    """Without an endpoint the outermost module is taken for the way in."""
    assert group_of(raised(views.show, None)) == group_of(raised(views.job))


def test_an_error_in_the_endpoint_itself_is_placed_there(load: Load):
    """The endpoint is dropped only if an application frame remains below it."""
    views = load("""
        def show(): return {}["a"]
        def list_all(): return {}["a"]
    """)

    assert group_of(raised(views.show), endpoint=views.show) != group_of(
        raised(views.list_all), endpoint=views.list_all
    )


def test_threads_do_not_count(views: ModuleType):
    """A bug in a pool's worker is the bug of the request thread."""
    with ThreadPoolExecutor(1) as pool:
        exc = pool.submit(views.show, None).exception()

    assert exc is not None
    assert group_of(raised(views.show, None), endpoint=views.show) == group_of(
        exc, endpoint=views.show
    )


def test_an_application_middleware_does_not_count(views: ModuleType, load: Load):
    """What lies outside the endpoint may change."""
    middleware = load("def middleware(view): return view(None)", "shop.middleware")

    assert group_of(raised(views.show, None), endpoint=views.show) == group_of(
        raised(middleware.middleware, views.show), endpoint=views.show
    )


CALLERS = """
    def price_of(text): return to_int(text)
    def qty_of(text): return to_int(text)
    def to_int(text): return int(text)

    def load_user(): return Base().get_or_raise()
    def load_cart(): return Base().get_or_raise()

    class Base:
        def get_or_raise(self): raise LookupError("no such row")

    def checkout(): fail("cart 1 too large")
    def redeem(): fail("coupon x expired")
    def fail(message): raise ValueError(message)
"""


@pytest.mark.parametrize(
    ("one", "other"), [("price_of", "qty_of"), ("load_user", "load_cart"), ("checkout", "redeem")]
)
def test_the_caller_of_a_shared_helper_counts(load: Load, one: str, other: str):
    """Two users of one helper that raises are two issues."""
    module = load(CALLERS)
    args = ["x"] if one == "price_of" else []

    assert group_of(raised(getattr(module, one), *args)) != group_of(
        raised(getattr(module, other), *args)
    )


def test_a_function_put_in_between_counts(load: Load):
    """The second innermost frame is part of the place."""
    module = load("""
        def direct(): return lookup()
        def through_facade(): return facade()
        def facade(): return lookup()
        def lookup(): return {}["a"]
    """)

    assert group_of(raised(module.direct), endpoint=module.direct) != group_of(
        raised(module.through_facade), endpoint=module.through_facade
    )


def test_a_missing_module_is_placed_where_it_was_wanted(load: Load):
    """The same lazy import failing in two functions is two issues."""
    module = load("""
        def price(): import no_such_module_anywhere
        def stock(): import no_such_module_anywhere
    """)

    assert group_of(raised(module.price)) != group_of(raised(module.stock))


RECURSION = """
    def start(depth): return down(depth)

    def down(depth):
        if depth == 0:
            raise ValueError("bottom")
        return down(depth - 1)

    def even(depth):
        return check(depth) and odd(depth - 1)

    def odd(depth):
        return check(depth) and even(depth - 1)

    def check(depth):
        if depth <= 0:
            raise ValueError("bottom")
        return True

    def forever(depth):
        if depth:
            return forever(depth - 1)
        return endless({})

    def endless(value):
        return endless(value)
"""


def test_the_depth_of_a_recursion_does_not_count(load: Load):
    """Three levels or a hundred and fifty, direct or by turns: one issue."""
    module = load(RECURSION)

    assert group_of(raised(module.start, 3)) == group_of(raised(module.start, 150))
    assert group_of(raised(module.even, 6)) == group_of(raised(module.even, 40))


def test_a_mutual_recursion_of_odd_and_even_depth_is_one(load: Load):
    """Where two functions call each other, the one that failed decides, not the depth."""
    module = load("""
        def even(depth): return odd(depth - 1)
        def odd(depth):
            if depth < 0:
                raise ValueError("bottom")
            return even(depth - 1)
    """)

    assert group_of(raised(module.even, 4)) == group_of(raised(module.even, 9))


def test_recursion_errors_of_any_depth_are_one(load: Load):
    """A RecursionError's depth and text do not count."""
    module = load(RECURSION)

    assert group_of(raised(module.forever, 10)) == group_of(raised(module.forever, 60))


def test_lambdas_of_two_functions_are_two(load: Load):
    """A lambda's place is the function that holds it."""
    module = load("""
        def by_price(rows): return sorted(rows, key=lambda row: row["a"])
        def by_name(rows): return sorted(rows, key=lambda row: row["a"])
    """)

    assert group_of(raised(module.by_price, [{}])) != group_of(raised(module.by_name, [{}]))


def test_library_frames_do_not_count(load: Load):
    """A framework's upgrade changes no issue."""
    old = load("def run(view): return view()", "framework", under="lib/site-packages")
    new = load(
        """
        def run(view): return dispatch(view)
        def dispatch(view): return view()
        """,
        "framework",
        under="lib/site-packages",
    )
    cart = load("def show(): return total()\ndef total(): return {}['a']")

    assert group_of(raised(old.run, cart.show)) == group_of(raised(new.run, cart.show))


def test_an_exception_that_was_renamed_by_python_is_the_same(load: Load):
    """re.error became re.PatternError, and the time-outs became one."""
    module = load("def fail(kind): raise kind('x')")
    renamed = type("PatternError", (Exception,), {"__module__": "re"})
    timeout = type("TimeoutError", (Exception,), {"__module__": "asyncio.exceptions"})

    assert group_of(raised(module.fail, re.error)) == group_of(raised(module.fail, renamed))
    assert group_of(raised(module.fail, TimeoutError)) == group_of(raised(module.fail, timeout))
    assert asyncio.TimeoutError is TimeoutError is socket.timeout
    assert concurrent.futures.TimeoutError is TimeoutError


CAUSES = """
    class OrderError(Exception): ...

    def load_order(part):
        try:
            part()
        except Exception as error:
            raise OrderError("cannot load") from error

    def load_head(): return {}["head"]
    def load_lines(): return int("x")

    def load_quietly(part):
        try:
            part()
        except Exception:
            raise OrderError("cannot load") from None

    def load_implicitly(part):
        try:
            part()
        except Exception:
            raise OrderError("cannot load")

    def save(work):
        try:
            work()
        except Exception:
            rollback()

    def rollback(): raise ConnectionError("gone")
"""


def test_the_cause_counts(load: Load):
    """One error made of two different ones is two issues, with or without `from`."""
    module = load(CAUSES)
    head, lines = module.load_head, module.load_lines

    assert group_of(raised(module.load_order, head)) != group_of(raised(module.load_order, lines))
    assert group_of(raised(module.load_implicitly, head)) != group_of(
        raised(module.load_implicitly, lines)
    )


def test_a_cause_within_a_library_does_not_count(load: Load):
    """The library may change what its own error is made of."""
    source = """
        class LibraryError(Exception): ...
        def call():
            try:
                inner()
            except Exception as error:
                raise LibraryError from error
        def inner(): raise {kind}("inside")
    """
    cart = load("def pay(call): return call()")
    old = load(source.replace("{kind}", "KeyError"), "client", under="site-packages")
    old_group = group_of(raised(cart.pay, old.call))
    new = load(source.replace("{kind}", "OSError"), "client", under="site-packages")

    assert old_group == group_of(raised(cart.pay, new.call))


def test_an_accident_in_a_handler_is_one_issue(load: Load):
    """A rollback that fails is the same bug whatever was being handled."""
    module = load(CAUSES)

    assert group_of(raised(module.save, module.load_head)) == group_of(
        raised(module.save, module.load_lines)
    )


def test_a_suppressed_context_does_not_count(load: Load):
    """`raise … from None` says that what was before does not matter."""
    module = load(CAUSES)

    assert group_of(raised(module.load_quietly, module.load_head)) == group_of(
        raised(module.load_quietly, module.load_lines)
    )


GROUPS = """
    import asyncio

    def one(kind): raise kind("x")

    def many(*kinds):
        errors = []
        for kind in kinds:
            try:
                one(kind)
            except Exception as error:
                errors.append(error)
        raise ExceptionGroup(f"{len(errors)} went wrong", errors)

    async def member(): one(KeyError)

    async def alone(): await member()

    async def in_task_group():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(member())

    def never_raised(*kinds): raise ExceptionGroup("several", [kind() for kind in kinds])
"""


def test_a_group_of_one_error_is_that_error(load: Load):
    """A task group with one failed member is grouped with the bare error."""
    module = load(GROUPS)

    assert group_of(raised(asyncio.run, module.alone()), endpoint=module.alone) == group_of(
        raised(asyncio.run, module.in_task_group()), endpoint=module.in_task_group
    )


def test_equal_errors_of_a_group_count_once(load: Load):
    """Three failed members or nine, if they failed alike."""
    module = load(GROUPS)

    assert group_of(raised(module.many, *[KeyError] * 3)) == group_of(
        raised(module.many, *[KeyError] * 9)
    )


def test_the_order_within_a_group_does_not_count(load: Load):
    """Members fail in any order; which ones fail counts."""
    module = load(GROUPS)
    both = group_of(raised(module.many, KeyError, ValueError))

    assert both == group_of(raised(module.many, ValueError, KeyError))
    assert both != group_of(raised(module.many, KeyError, OSError))


def test_members_that_were_never_raised_are_told_by_type_and_place(load: Load):
    """A group made of fresh errors stands where the group was raised."""
    module = load(GROUPS)
    one = group_of(raised(module.never_raised, KeyError, ValueError))

    assert one == group_of(raised(module.never_raised, ValueError, KeyError))
    assert one != group_of(raised(module.never_raised, KeyError))


def test_numbers_in_the_names_of_classes_made_at_run_time_do_not_count(load: Load):
    """`Rejected_17` and `Rejected_42` are one; a class in the source keeps its number."""
    module = load("""
        class Http404(Exception): ...
        class Http410(Exception): ...
        def reject(number): raise type(f"Rejected_{number}", (Exception,), {})("no")
        def fail(kind): raise kind("no")
    """)

    assert group_of(raised(module.reject, 17)) == group_of(raised(module.reject, 42))
    assert group_of(raised(module.fail, module.Http404)) != group_of(
        raised(module.fail, module.Http410)
    )


def test_code_made_at_run_time_is_told_by_its_name_without_numbers(load: Load):
    """Function rule_17 of <rule_17> is rule_42 of <rule_42>; another name is another issue."""
    module = load("""
        def run(name):
            space = {}
            exec(compile(f"def {name}(): return 1 / 0", f"<{name}>", "exec"), space)
            return space[name]()
    """)

    assert group_of(raised(module.run, "rule_17")) == group_of(raised(module.run, "rule_42"))
    assert group_of(raised(module.run, "rule_17")) != group_of(raised(module.run, "tax_17"))


def test_templates_are_told_by_their_file(load: Load):
    """The same mistake in two templates is two issues."""
    module = load("""
        def render(file):
            exec(compile("total / 0", file, "exec"), {"total": 1})
    """)

    assert group_of(raised(module.render, "/srv/app/order.html")) != group_of(
        raised(module.render, "/srv/app/invoice.html")
    )


def test_generated_code_does_not_count(load: Load):
    """A field added to a dataclass moves the lines of its generated `__init__`."""
    source = """
        from dataclasses import dataclass

        @dataclass
        class Order:
            sku: str
            {field}
            def __post_init__(self): return {}[self.sku]

        def make(): return Order("a")
    """
    before = load(source.replace("{field}", ""))
    after = load(source.replace("{field}", "count: int = 1"))

    assert group_of(raised(before.make)) == group_of(raised(after.make))


def test_the_errno_counts(load: Load):
    """A full disk and a missing right are two issues of one place."""
    module = load("def save(number): raise OSError(number, 'no')")

    assert group_of(raised(module.save, 28)) != group_of(raised(module.save, 13))


def test_the_status_of_an_answer_counts(load: Load):
    """A 500 and a 404 from the same call are two issues."""
    module = load("""
        class AnswerError(Exception):
            def __init__(self, status):
                super().__init__(f"answered {status}")
                self.status_code = status

        def call(status): raise AnswerError(status)
    """)

    assert group_of(raised(module.call, 500)) != group_of(raised(module.call, 404))


def test_addresses_and_ports_do_not_count(load: Load):
    """A refused connection is the same wherever it went."""
    module = load(
        "def call(port): raise ConnectionRefusedError(111, f'127.0.0.1:{port} 0x7f{port}')"
    )

    assert group_of(raised(module.call, 8001)) == group_of(raised(module.call, 9002))


def test_the_constraint_of_a_database_error_counts(load: Load):
    """One INSERT may break two constraints; the values do not matter."""
    module = load("""
        import sqlite3
        from contextlib import closing

        def insert(*rows):
            with closing(sqlite3.connect(":memory:")) as db:
                db.execute("CREATE TABLE users (email UNIQUE, name NOT NULL)")
                for row in rows:
                    db.execute("INSERT INTO users VALUES (?, ?)", row)
    """)
    twice = group_of(raised(module.insert, ("a", "x"), ("a", "y")))

    assert twice == group_of(raised(module.insert, ("b", "x"), ("b", "y")))
    assert twice != group_of(raised(module.insert, ("a", None)))
    assert issubclass(sqlite3.IntegrityError, Exception)


def test_without_a_trace_the_message_counts_without_its_values():
    """An error that was never raised is told by type and the form of its message."""
    assert group_of(ValueError("payment 17 failed")) == group_of(ValueError("payment 42 failed"))
    assert group_of(ValueError("payment 17 failed")) != group_of(ValueError("refund 17 failed"))


def test_a_syntax_error_in_compiled_text_ignores_name_and_line(load: Load):
    """The same mistake in two generated rules is one issue."""
    module = load("def build(text, name): compile(text, name, 'exec')")

    assert group_of(raised(module.build, "\n\nif", "<rule 17>")) == group_of(
        raised(module.build, "\n\n\n\nif", "<rule 42>")
    )


def test_an_own_fingerprint_groups_across_places(load: Load):
    """`fingerprint=["billing"]` is one issue wherever it happens, also on the exception itself."""
    cart = load(CART)
    marked = raised(cart.find_latest, [])
    marked.__watchkeeper_fingerprint__ = ["billing"]  # type: ignore[attr-defined]
    billing = group_of(raised(cart.total, {}, "a"), fingerprint=["billing"])

    assert billing == group_of(raised(cart.find, []), fingerprint=["billing"])
    assert billing == group_of(marked, fingerprint=["something else"])


def test_an_own_fingerprint_can_split_the_default_one(load: Load):
    """`["{default}", tenant]` keeps the place and adds the tenant."""
    cart = load(CART)

    def group(tenant: str, function: Callable[..., object]) -> str:
        return group_of(raised(function, []), fingerprint=["{default}", tenant])

    assert group("acme", cart.find) == group("acme", cart.find)
    assert group("acme", cart.find) != group("globex", cart.find)
    assert group("acme", cart.find) != group("acme", cart.find_latest)
