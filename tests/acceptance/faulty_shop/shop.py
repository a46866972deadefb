"""What the shop does, and its bugs; no framework in sight."""

import logging
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence

log = logging.getLogger("faulty_shop")

PRICES = {"mug": 7, "pen": 2}
ZONES = {"DE": 1, "FR": 2}
HEADS = {"1": "head"}
LINES = {"1": "2 3", "2": "two"}
PARENTS = {"mugs": "kitchen", "kitchen": "home", "home": "mugs"}


class OrderError(Exception):
    """An order cannot be read."""


class RefundError(Exception):
    """The bank does not give the money back."""


def quote(sku: str) -> int:
    """Bug: not every article has a price."""
    return price_of(sku) * 119 // 100


def price_of(sku: str) -> int:
    return PRICES[sku]


def ship(order: Mapping[str, str]) -> int:
    """Two bugs: an order without a country, and a country without a zone."""
    country = order["country"]
    return ZONES[country]


def quantity(text: str) -> int:
    """Bug: users type words."""
    return whole_number(text)


def discount(text: str) -> int:
    """Bug: users type words here, too."""
    return 100 - whole_number(text)


def whole_number(text: str) -> int:
    return int(text)


def average_rating(ratings: Sequence[int]) -> float:
    """Bug: not every article has ratings."""
    return sum(ratings) / len(ratings)


def load_order(number: str) -> tuple[str, list[int]]:
    """Two bugs behind one exception: no head; lines that are no numbers."""
    try:
        return head_of(number), lines_of(number)
    except (KeyError, ValueError) as error:
        raise OrderError(f"order {number} cannot be read") from error


def head_of(number: str) -> str:
    return HEADS[number] if number != "2" else "head"


def lines_of(number: str) -> list[int]:
    return [int(part) for part in LINES[number].split()]


def breadcrumbs(category: str) -> list[str]:
    """Bug: the categories go in a circle."""
    return [*breadcrumbs(PARENTS[category]), category]


def notify_all(addresses: Sequence[str]) -> None:
    """Bug: the mail server cannot be reached; for how many addresses does not matter."""
    failures = []
    for address in addresses:
        try:
            notify(address)
        except ConnectionError as error:
            failures.append(error)
    if failures:
        raise ExceptionGroup(f"{len(failures)} were not told", failures)


def notify(address: str) -> None:
    raise ConnectionRefusedError(111, f"no answer for {address}")


def register(email: str | None, name: str | None) -> None:
    """Two bugs in one statement: an address that is taken, and a user without a name."""
    with sqlite3.connect("users.db") as users:
        users.execute("create table if not exists users (email text unique, name text not null)")
        users.execute("insert or ignore into users values ('ada@shop.example', 'Ada')")
        users.execute("insert or ignore into users values ('bob@shop.example', 'Bob')")
        users.commit()
        try:
            users.execute("insert into users (email, name) values (?, ?)", (email, name))
        finally:
            users.rollback()
    users.close()


def refund(order: str) -> None:
    """Bug: the bank's answer is repeated, with what should not be told to anybody."""
    raise RefundError(f"order {order}: POST /refunds?api_key=not-for-your-eyes answered 402")


def export(name: str) -> str:
    """Bug: caught, logged, and answered as if nothing were wrong."""
    try:
        rows: list[str] = []
        return rows[len(name)]
    except IndexError:
        log.exception("export of %s failed", name)
        return "later"


def count_stock(sku: str, count: int) -> str:
    """Bug: noticed, but there is no exception."""
    if count < 0:
        log.error("stock of %s is %d", sku, count)
    return str(count)


def report_lines(month: str) -> Iterator[bytes]:
    """Bug: the report breaks off in its midst."""
    yield f"report of {month}\n".encode()
    raise EOFError(f"no figures for {month}")


def sync_stock(warehouse: str) -> str:
    """Bug: in a thread that nobody waits for."""
    thread = threading.Thread(target=fetch_stock, args=(warehouse,))
    thread.start()
    thread.join()
    return "started"


def fetch_stock(warehouse: str) -> None:
    raise LookupError(f"warehouse {warehouse} does not answer")
