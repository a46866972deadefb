"""The 58 pairs of errors that must be one issue, or two; each is raised for real."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from textwrap import dedent
from types import ModuleType

import pytest
from sqlalchemy import create_engine

from raising import SCOPE, Deployments, deployed, group_of, known, raised
from watchkeeper.core.fingerprint import fingerprint
from watchkeeper.core.raised import logged
from watchkeeper.runtime.issues import Issues

__all__ = ["deployed"]  # a fixture

SAME, DIFFERENT, ONE_EVENT = "same", "different", "one event"
DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "mariadb": "mariadb+pymysql",
    "mysql": "mysql+pymysql",
}
DATABASES = ("sqlite", "postgres", "mariadb")
_Groups = tuple[object, object]


@dataclass(frozen=True)
class Pair:
    """Two errors and whether they are one issue; `group` raises both."""

    number: int
    verdict: str
    reason: str
    group: Callable[..., _Groups]
    database: str = ""


PAIRS: list[Pair] = []


def pair(number: int, verdict: str, reason: str, *, databases: tuple[str, ...] = ("",)):
    """Put a function that returns both groups into the table."""

    def add(group: Callable[..., _Groups]) -> Callable[..., _Groups]:
        PAIRS.extend(
            Pair(number, verdict, reason, group, database=database) for database in databases
        )
        return group

    return add


CART = """
    def total(prices, sku):
        return prices[sku]

    def ratio(a, b):
        return {1: 1}[a] / b

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

    class ValidationError(Exception): ...

    def check(name, age):
        assert name
        assert age.ok

    def validate(name, age):
        if len(name) > 5:
            raise ValidationError("name too long")
        if age < 0:
            raise ValidationError("age negative")
"""


@pair(1, SAME, "values in messages")
def _(d: Deployments) -> _Groups:
    cart = d.load(CART)
    return group_of(raised(cart.total, {}, "SKU-1")), group_of(raised(cart.total, {}, "SKU-2"))


@pair(2, SAME, "no line numbers")
def _(d: Deployments) -> _Groups:
    before, after = d.load(CART), d.load("# a line\n" * 40 + dedent(CART))
    return group_of(raised(before.total, {}, "a")), group_of(raised(after.total, {}, "a"))


@pair(3, SAME, "the statement is unchanged")
def _(d: Deployments) -> _Groups:
    before = d.load(CART)
    after = d.load("""
        import logging

        def total(prices, sku):
            logging.getLogger("shop").debug("looking up %s", sku)
            return prices[sku]
    """)
    return group_of(raised(before.total, {}, "a")), group_of(raised(after.total, {}, "a"))


@pair(4, SAME, "the layout does not count")
def _(d: Deployments) -> _Groups:
    before = d.load('def total(d):\n    x = d["a"]\n    return x')
    after = d.load(
        "def total(d):\n    x = (\n        d[\n            'a'\n        ]\n    )\n    return x"
    )
    return group_of(raised(before.total, {})), group_of(raised(after.total, {}))


@pair(5, SAME, "names of variables are numbered")
def _(d: Deployments) -> _Groups:
    before = d.load('def total(row): return row["a"]')
    after = d.load('def total(record): return record["a"]')
    return group_of(raised(before.total, {})), group_of(raised(after.total, {}))


@pair(6, DIFFERENT, "another statement fails")
def _(d: Deployments) -> _Groups:
    before = d.load('def total(d): return d["a"]')
    after = d.load('def total(d): return d["b"]')
    return group_of(raised(before.total, {})), group_of(raised(after.total, {}))


@pair(7, DIFFERENT, "the type counts")
def _(d: Deployments) -> _Groups:
    cart = d.load(CART)
    return group_of(raised(cart.ratio, 2, 1)), group_of(raised(cart.ratio, 1, 0))


@pair(8, DIFFERENT, "the statement counts")
def _(d: Deployments) -> _Groups:
    cart = d.load(CART)
    wrong = type("Age", (), {"ok": False})
    return group_of(raised(cart.check, "", wrong)), group_of(raised(cart.check, "a", wrong))


@pair(9, DIFFERENT, "the statement counts")
def _(d: Deployments) -> _Groups:
    cart = d.load(CART)
    return group_of(raised(cart.validate, "a" * 9, 1)), group_of(raised(cart.validate, "a", -1))


@pair(10, DIFFERENT, "the method counts")
def _(d: Deployments) -> _Groups:
    order = d.load(CART).Order()
    return group_of(raised(order.cancel)), group_of(raised(order.refund))


@pair(11, DIFFERENT, "the function counts")
def _(d: Deployments) -> _Groups:
    cart = d.load(CART)
    return group_of(raised(cart.find, [])), group_of(raised(cart.find_latest, []))


VIEWS = """
    import functools
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


def views(d: Deployments) -> ModuleType:
    """Deploy views, a job and the cart that they call."""
    d.load("", "shop").cart = d.load("""
        def checkout(basket):
            return total(basket)

        def total(basket):
            return basket["sku"]
    """)
    return d.load(VIEWS, "shop.views")


@pair(12, SAME, "the endpoint is dropped")
def _(d: Deployments) -> _Groups:
    shop = views(d)
    return (
        group_of(raised(shop.show, None), endpoint=shop.show),
        group_of(raised(shop.job), endpoint=shop.job),
    )


@pair(13, SAME, "the endpoint is dropped")
def _(d: Deployments) -> _Groups:
    shop = views(d)
    return (
        group_of(raised(shop.show, None), endpoint=shop.show),
        group_of(raised(shop.decorated, None), endpoint=shop.decorated),
    )


@pair(14, SAME, "it lies outside of the endpoint")
def _(d: Deployments) -> _Groups:
    shop = views(d)
    added = d.load("def middleware(view): return view(None)", "shop.middleware")
    return (
        group_of(raised(shop.show, None), endpoint=shop.show),
        group_of(raised(added.middleware, shop.show), endpoint=shop.show),
    )


@pair(15, SAME, "the endpoint is dropped")
def _(d: Deployments) -> _Groups:
    shop = views(d)
    return (
        group_of(raised(shop.show, None), endpoint=shop.show),
        group_of(raised(asyncio.run, shop.show_async(None)), endpoint=shop.show_async),
    )


@pair(16, SAME, "a library's frames do not count")
def _(d: Deployments) -> _Groups:
    shop = views(d)
    with ThreadPoolExecutor(1) as pool:
        exc = pool.submit(shop.show, None).exception()
    assert exc is not None
    return (
        group_of(raised(shop.show, None), endpoint=shop.show),
        group_of(exc, endpoint=shop.show),
    )


CALLERS = """
    def price_of(text): return to_int(text)
    def qty_of(text): return to_int(text)
    def to_int(text): return int(text)

    def load_user(): return Base().get_or_raise()
    def load_cart(): return Base().get_or_raise()

    class Base:
        def get_or_raise(self): raise LookupError("no such row")

    def cart(): fail("cart 1 too large")
    def coupon(): fail("coupon x expired")
    def fail(message): raise ValueError(message)

    def direct(): return lookup()
    def through_facade(): return facade()
    def facade(): return lookup()
    def lookup(): return {}["a"]
"""


@pair(17, DIFFERENT, "the second frame differs")
def _(d: Deployments) -> _Groups:
    shop = d.load(CALLERS)
    return (
        group_of(raised(shop.direct), endpoint=shop.direct),
        group_of(raised(shop.through_facade), endpoint=shop.through_facade),
    )


@pair(18, DIFFERENT, "the caller counts")
def _(d: Deployments) -> _Groups:
    shop = d.load(CALLERS)
    return group_of(raised(shop.price_of, "x")), group_of(raised(shop.qty_of, "x"))


@pair(19, DIFFERENT, "the caller counts")
def _(d: Deployments) -> _Groups:
    shop = d.load(CALLERS)
    return group_of(raised(shop.load_user)), group_of(raised(shop.load_cart))


@pair(20, DIFFERENT, "the caller counts")
def _(d: Deployments) -> _Groups:
    shop = d.load(CALLERS)
    return group_of(raised(shop.cart)), group_of(raised(shop.coupon))


RECURSION = """
    def down(depth):
        if depth == 0:
            raise ValueError("bottom")
        return down(depth - 1)

    def even(depth): return odd(depth - 1)

    def odd(depth):
        if depth < 0:
            raise ValueError("bottom")
        return even(depth - 1)

    def forever(depth):
        if depth:
            return forever(depth - 1)
        return endless({})

    def endless(value):
        check(value)
        return endless(value)

    def check(value):
        return isinstance(value, dict)
"""


@pair(21, SAME, "recursion is folded")
def _(d: Deployments) -> _Groups:
    shop = d.load(RECURSION)
    return group_of(raised(shop.down, 3)), group_of(raised(shop.down, 150))


@pair(22, SAME, "mutual recursion is folded")
def _(d: Deployments) -> _Groups:
    shop = d.load(RECURSION)
    return group_of(raised(shop.even, 9)), group_of(raised(shop.even, 4))


@pair(23, SAME, "recursion is folded, and the message does not count")
def _(d: Deployments) -> _Groups:
    shop = d.load(RECURSION)
    return group_of(raised(shop.forever, 10)), group_of(raised(shop.forever, 60))


@pair(24, SAME, "a comprehension is its function's")
def _(d: Deployments) -> _Groups:
    source = """
        def totals(rows):
            found = 0
            return [row["a"] for row in rows]
    """
    return d.under("3.11", source, "totals([{}])"), d.under("3.12", source, "totals([{}])")


@pair(24, SAME, "a comprehension is its function's")
def _(d: Deployments) -> _Groups:
    source = """
        def totals(rows):
            return {row["a"]: f"{row!r:>{len(rows)}}" " and" for row in rows if not row}
    """
    return d.under("3.11", source, "totals([{}])"), d.under("3.13", source, "totals([{}])")


@pair(25, DIFFERENT, "the function around counts")
def _(d: Deployments) -> _Groups:
    shop = d.load("""
        def by_price(rows): return sorted(rows, key=lambda row: row["a"])
        def by_name(rows): return sorted(rows, key=lambda row: row["a"])
    """)
    return group_of(raised(shop.by_price, [{}])), group_of(raised(shop.by_name, [{}]))


@pair(26, SAME, "modules are told by their names")
def _(d: Deployments) -> _Groups:
    one, other = d.load(CART, under="srv/r1"), d.load(CART, under="srv/r2")
    return group_of(raised(one.total, {}, "a")), group_of(raised(other.total, {}, "a"))


@pair(27, SAME, "a library's frames do not count")
def _(d: Deployments) -> _Groups:
    packages = "lib/python3.12/site-packages"
    old = d.load("def run(view): return view()", "framework", under=packages)
    new = d.load(
        "def run(view): return route(view)\ndef route(view): return view()",
        "framework",
        under=packages,
    )
    shop = d.load("def show(): return total()\ndef total(): return {}['a']")
    return (
        group_of(raised(old.run, shop.show), endpoint=shop.show),
        group_of(raised(new.run, shop.show), endpoint=shop.show),
    )


@pair(28, SAME, "a type has one name in all versions")
def _(d: Deployments) -> _Groups:
    source = "import re\ndef find(pattern): return re.compile(pattern)"
    return d.under("3.12", source, "find('(')"), d.under("3.13", source, "find('(')")


@pair(29, SAME, "a type has one name in all versions")
def _(d: Deployments) -> _Groups:
    shop = d.load("def wait(kind): raise kind('late')")
    # as Python 3.10 names it, which is older than what Watchkeeper runs on
    old = type("TimeoutError", (Exception,), {"__module__": "asyncio.exceptions"})
    return group_of(raised(shop.wait, old)), group_of(raised(shop.wait, TimeoutError))


CAUSES = """
    class OrderError(Exception): ...

    def load_head(): raise KeyError("head")
    def load_lines(): raise ValueError("lines")

    def load_order(part):
        try:
            part()
        except Exception as error:
            raise OrderError("cannot load") from error

    def load_implicitly(part):
        try:
            part()
        except Exception:
            raise OrderError("cannot load")

    def load_quietly(part):
        try:
            part()
        except Exception:
            raise OrderError("cannot load") from None

    def save(work):
        try:
            work()
        except Exception:
            rollback()

    def rollback(): raise ConnectionError("gone")
"""


@pair(30, DIFFERENT, "the cause counts")
def _(d: Deployments) -> _Groups:
    shop = d.load(CAUSES)
    return (
        group_of(raised(shop.load_order, shop.load_head)),
        group_of(raised(shop.load_order, shop.load_lines)),
    )


@pair(30, DIFFERENT, "what was translated counts as a cause")
def _(d: Deployments) -> _Groups:
    shop = d.load(CAUSES)
    return (
        group_of(raised(shop.load_implicitly, shop.load_head)),
        group_of(raised(shop.load_implicitly, shop.load_lines)),
    )


@pair(31, SAME, "a cause without a frame of the application does not count")
def _(d: Deployments) -> _Groups:
    shop = d.load("""
        def pay(call):
            try:
                return call()
            except OSError as error:
                raise ValueError("not paid") from error
    """)
    source = """
        def call():
            try:
                inner()
            except Exception as error:
                raise OSError("broken") from error
        def inner(): raise {kind}("inside")
    """
    groups = []
    for kind in ("KeyError", "TypeError"):
        client = d.load(source.replace("{kind}", kind), "client", under="site-packages")
        exc = raised(shop.pay, client.call)
        exc.__cause__.__traceback__ = exc.__cause__.__traceback__.tb_next  # the library's alone
        groups.append(group_of(exc))
    return groups[0], groups[1]


@pair(32, SAME, "an accident is no translation")
def _(d: Deployments) -> _Groups:
    shop = d.load(CAUSES)
    return (
        group_of(raised(shop.save, shop.load_head)),
        group_of(raised(shop.save, shop.load_lines)),
    )


@pair(33, SAME, "what was suppressed does not count")
def _(d: Deployments) -> _Groups:
    shop = d.load(CAUSES)
    return (
        group_of(raised(shop.load_quietly, shop.load_head)),
        group_of(raised(shop.load_quietly, shop.load_lines)),
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
"""


@pair(34, SAME, "a group of one error is that error")
def _(d: Deployments) -> _Groups:
    shop = d.load(GROUPS)
    return (
        group_of(raised(asyncio.run, shop.in_task_group()), endpoint=shop.in_task_group),
        group_of(raised(asyncio.run, shop.alone()), endpoint=shop.alone),
    )


@pair(35, SAME, "equal members count once")
def _(d: Deployments) -> _Groups:
    many = d.load(GROUPS).many
    return group_of(raised(many, *[KeyError] * 3)), group_of(raised(many, *[KeyError] * 9))


@pair(36, SAME, "the order of members does not count")
def _(d: Deployments) -> _Groups:
    many = d.load(GROUPS).many
    return (
        group_of(raised(many, KeyError, ValueError)),
        group_of(raised(many, ValueError, KeyError)),
    )


@pair(37, DIFFERENT, "the members differ")
def _(d: Deployments) -> _Groups:
    many = d.load(GROUPS).many
    return group_of(raised(many, KeyError, ValueError)), group_of(raised(many, KeyError, OSError))


USERS = """
    from sqlalchemy import text

    def make(engine):
        with engine.begin() as db:
            db.execute(text(
                "CREATE TABLE users (email VARCHAR(50), phone VARCHAR(50),"
                " name VARCHAR(50) NOT NULL,"
                " CONSTRAINT users_email_key UNIQUE (email),"
                " CONSTRAINT users_phone_key UNIQUE (phone))"
            ))

    def insert(engine, *rows):
        with engine.begin() as db:
            for row in rows:
                db.execute(text("INSERT INTO users VALUES (:email, :phone, :name)"), row)

    def select(engine, numbers):
        with engine.begin() as db:
            db.execute(text(f"SELECT * FORM users WHERE id IN ({numbers})"))

    def report_sales(engine):
        with engine.begin() as db:
            wait(db)

    def report_stock(engine):
        with engine.begin() as db:
            wait(db)

    def wait(db):
        db.execute(text("SET LOCAL statement_timeout = 50"))
        db.execute(text("SELECT pg_sleep(5)"))
"""


def row(number: int, **values: object) -> dict[str, object]:
    """Return a row for the users' table."""
    return {"email": f"{number}@shop", "phone": f"{number}", "name": f"n{number}", **values}


def users(d: Deployments, database: str):
    """Make the users' table; return the application's module and an engine."""
    url = d.fixture(f"{database}_url")
    kind, _, address = url.partition("://")
    engine = create_engine(f"{DRIVERS.get(kind, kind)}://{address}")
    shop = d.load(USERS)
    shop.make(engine)
    return shop, engine


@pair(38, SAME, "values do not count", databases=DATABASES)
def _(d: Deployments, database: str) -> _Groups:
    shop, engine = users(d, database)
    groups = tuple(
        group_of(raised(shop.insert, engine, row(n), row(n + 1, email=f"{n}@shop")))
        for n in (10, 20)
    )
    engine.dispose()
    return groups


@pair(39, DIFFERENT, "what is violated counts", databases=DATABASES)
def _(d: Deployments, database: str) -> _Groups:
    shop, engine = users(d, database)
    groups = (
        group_of(raised(shop.insert, engine, row(1), row(2, email="1@shop"))),
        group_of(raised(shop.insert, engine, row(1), row(2, name=None))),
    )
    engine.dispose()
    return groups


@pair(40, DIFFERENT, "the constraint counts", databases=DATABASES)
def _(d: Deployments, database: str) -> _Groups:
    shop, engine = users(d, database)
    groups = (
        group_of(raised(shop.insert, engine, row(1), row(2, email="1@shop"))),
        group_of(raised(shop.insert, engine, row(1), row(2, phone="1"))),
    )
    engine.dispose()
    return groups


DEADLOCK = """
    import threading
    from sqlalchemy import text

    def transfer(engine, first, second, both):
        with engine.begin() as db:
            db.execute(text("SET LOCAL deadlock_timeout = '20ms'"))
            db.execute(text("UPDATE users SET name = 'a' WHERE email = :email"), {"email": first})
            both.wait(20)
            db.execute(text("UPDATE users SET name = 'b' WHERE email = :email"), {"email": second})
"""


@pair(41, SAME, "values do not count", databases=("postgres",))
def _(d: Deployments, database: str) -> _Groups:
    shop, engine = users(d, database)
    bank = d.load(DEADLOCK, "shop.bank")
    shop.insert(engine, row(1, phone=None), row(2, phone=None))
    groups = []
    for _attempt in range(2):
        both, errors = threading.Barrier(2), []

        def transfer(first: str, second: str, both=both, errors=errors) -> None:
            try:
                bank.transfer(engine, first, second, both)
            except Exception as exc:  # noqa: BLE001  # the one of the two that was chosen
                errors.append(exc)

        threads = [
            threading.Thread(target=transfer, args=order)
            for order in (("1@shop", "2@shop"), ("2@shop", "1@shop"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        groups += [group_of(one, endpoint=transfer) for one in errors if "deadlock" in str(one)]
    engine.dispose()
    one, other = groups
    return one, other


@pair(42, DIFFERENT, "the function counts", databases=("postgres",))
def _(d: Deployments, database: str) -> _Groups:
    shop, engine = users(d, database)
    groups = (
        group_of(raised(shop.report_sales, engine)),
        group_of(raised(shop.report_stock, engine)),
    )
    engine.dispose()
    return groups


@pair(43, SAME, "the statement and the word near the error", databases=DATABASES)
def _(d: Deployments, database: str) -> _Groups:
    shop, engine = users(d, database)
    groups = (
        group_of(raised(shop.select, engine, "1, 2")),
        group_of(raised(shop.select, engine, "1, 2, 3")),
    )
    engine.dispose()
    return groups


@pair(44, DIFFERENT, "the errno counts")
def _(d: Deployments) -> _Groups:
    shop = d.load("def save(number): raise OSError(number, 'no')")
    return group_of(raised(shop.save, 28)), group_of(raised(shop.save, 13))


@pair(45, DIFFERENT, "the status counts")
def _(d: Deployments) -> _Groups:
    shop = d.load("""
        class AnswerError(Exception):
            def __init__(self, status):
                super().__init__(f"answered {status}")
                self.status_code = status

        def call(status): raise AnswerError(status)
    """)
    return group_of(raised(shop.call, 500)), group_of(raised(shop.call, 404))


@pair(46, SAME, "values do not count")
def _(d: Deployments) -> _Groups:
    shop = d.load("""
        def call(port): raise ConnectionRefusedError(111, f"127.0.0.1:{port} at 0x7f{port}")
    """)
    return group_of(raised(shop.call, 8001)), group_of(raised(shop.call, 9002))


@pair(47, SAME, "numbers in names made at run time do not count")
def _(d: Deployments) -> _Groups:
    shop = d.load("""
        def reject(number): raise type(f"Rejected_{number}", (Exception,), {})("no")
    """)
    return group_of(raised(shop.reject, 17)), group_of(raised(shop.reject, 42))


RULES = """
    def run(name):
        space = {}
        exec(compile(f"def {name}(): return 1 / 0", f"<{name}>", "exec"), space)
        return space[name]()

    def build(text, name): compile(text, name, "exec")

    def render(file):
        exec(compile("total / 0", file, "exec"), {"total": 1})
"""


@pair(48, SAME, "numbers in names made at run time do not count")
def _(d: Deployments) -> _Groups:
    run = d.load(RULES).run
    return group_of(raised(run, "rule_17")), group_of(raised(run, "rule_42"))


@pair(49, DIFFERENT, "the file counts")
def _(d: Deployments) -> _Groups:
    render = d.load(RULES).render
    return (
        group_of(raised(render, "/srv/app/order.html")),
        group_of(raised(render, "/srv/app/invoice.html")),
    )


@pair(50, SAME, "generated code does not count")
def _(d: Deployments) -> _Groups:
    source = """
        from dataclasses import dataclass

        @dataclass
        class Order:
            sku: str
            {field}
            def __post_init__(self): return {}[self.sku]

        def make(): return Order("a")
    """
    before = d.load(source.replace("{field}", ""))
    after = d.load(source.replace("{field}", "count: int = 1"))
    return group_of(raised(before.make)), group_of(raised(after.make))


def of_log(**record: str) -> str:
    """Return the group of a record of a log."""
    return fingerprint(logged("shop.stock", **record)).value


@pair(51, SAME, "the template counts")
def _(d: Deployments) -> _Groups:
    # the same record, whatever its arguments are
    return of_log(template="stock of %s is %d"), of_log(
        template="stock of %s is %d", message="stock of b is 2"
    )


@pair(52, DIFFERENT, "the template counts")
def _(d: Deployments) -> _Groups:
    return of_log(template="stock of %s"), of_log(template="credit of %s")


@pair(53, SAME, "values do not count")
def _(d: Deployments) -> _Groups:
    return of_log(message="payment 17 failed"), of_log(message="payment 42 failed")


@pair(54, SAME, "neither the line nor numbers in the file's name count")
def _(d: Deployments) -> _Groups:
    build = d.load(RULES).build
    return (
        group_of(raised(build, "\n\nif", "<rule 17>")),
        group_of(raised(build, "\n" * 8 + "if", "<rule 42>")),
    )


@pair(54, SAME, "nor where no frame is left of it")
def _(d: Deployments) -> _Groups:
    build = d.load(RULES).build
    return (
        group_of(raised(build, "\n\nif", "<rule 17>").with_traceback(None)),
        group_of(raised(build, "\n" * 8 + "if", "<rule 42>").with_traceback(None)),
    )


@pair(55, SAME, "the user says so")
def _(d: Deployments) -> _Groups:
    cart = d.load(CART)
    return (
        group_of(raised(cart.total, {}, "a"), fingerprint=["billing"]),
        group_of(raised(cart.find, []), fingerprint=["billing"]),
    )


@pair(56, DIFFERENT, "the user says so")
def _(d: Deployments) -> _Groups:
    cart = d.load(CART)
    return (
        group_of(raised(cart.find, []), fingerprint=["{default}", "tenant1"]),
        group_of(raised(cart.find, []), fingerprint=["{default}", "tenant2"]),
    )


@pair(57, ONE_EVENT, "one object is one error")
def _(d: Deployments) -> _Groups:
    cart = d.load("""
        def total(capture):
            try:
                return {}["a"]
            except KeyError as error:
                capture(error)
                raise
    """)
    issues = Issues(SCOPE)
    issues.capture(raised(cart.total, issues.capture))
    counts, events = issues.take()
    return [count.count for count in counts], [1 for _ in events]


@pair(58, DIFFERENT, "the function counts")
def _(d: Deployments) -> _Groups:
    shop = d.load("""
        def price(): import no_such_module_anywhere
        def stock(): import no_such_module_anywhere
    """)
    return group_of(raised(shop.price)), group_of(raised(shop.stock))


def test_no_pair_is_missing():
    """The table holds the pairs 1 to 58."""
    assert list(range(1, 59)) == sorted({one.number for one in PAIRS})


@pytest.mark.parametrize(
    "case", PAIRS, ids=lambda one: f"{one.number} {one.verdict} {one.database}: {one.reason}"
)
def test_pair(deployed: Deployments, case: Pair):
    """Two errors are one issue or two, as their pair says."""
    given = (deployed, case.database) if case.database else (deployed,)

    one, other = case.group(*given)

    if case.verdict == ONE_EVENT:
        assert ([1], [1]) == (one, other)
    else:
        assert one.startswith("2:")
        assert (case.verdict == SAME) == (one == other)


def test_the_ways_to_one_bug_are_told_apart_by_their_path(deployed: Deployments):
    """What one frame makes one issue of can still be split: the path of each way is stored."""
    shop = deployed.load(CALLERS)

    direct, through = (
        known(raised(one), endpoint=one).settle() for one in (shop.direct, shop.through_facade)
    )

    assert direct.path != through.path
