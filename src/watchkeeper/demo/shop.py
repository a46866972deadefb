"""The demo shop: an ordinary FastAPI application that knows nothing of Watchkeeper.

It stands by itself: the demo copies this file into its folder and runs it from there, as anybody
would run an application of theirs.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from fastapi import FastAPI, HTTPException

PRODUCTS = ("Kettle", "Teapot", "Mug", "Strainer", "Tray", "Caddy", "Whisk", "Scale")
STOCK = 1_000_000


class PaymentTimeoutError(Exception):
    """The payment provider did not answer in time."""


class Surroundings(Protocol):
    """What the shop depends on: how long work takes, and what fails."""

    def work_s(self, page: str) -> float:
        """Return how many seconds a page works this time."""

    def strike(self) -> str:
        """Return what a checkout runs into: "payment", "stock" or nothing."""


class Shelf:
    """The shop's own database: products and orders in an SQLite file."""

    def __init__(self, file: Path) -> None:
        """Open the file, and fill it when it is new."""
        self._file = file
        self._lock = threading.Lock()
        with closing(sqlite3.connect(file)) as db, db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("CREATE TABLE IF NOT EXISTS product (id INTEGER PRIMARY KEY, name, stock)")
            db.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, product)")
            db.executemany(
                "INSERT OR IGNORE INTO product VALUES (?, ?, ?)",
                [(number, name, STOCK) for number, name in enumerate(PRODUCTS, 1)],
            )
        self._db = sqlite3.connect(file, check_same_thread=False)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Read rows."""
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def selling(self) -> Iterator[sqlite3.Cursor]:
        """Do several things at once or not at all."""
        with self._lock, self._db:
            yield self._db.cursor()


def create_app(shelf: Shelf, surroundings: Surroundings) -> FastAPI:
    """Make the application."""
    app = FastAPI(title="Tea shop", docs_url=None, redoc_url=None, openapi_url=None)
    _add_reading(app, shelf, surroundings)
    _add_buying(app, shelf, surroundings)
    _add_service(app, shelf, surroundings)
    return app


def _add_reading(app: FastAPI, shelf: Shelf, surroundings: Surroundings) -> None:
    """Add the pages that are only read."""

    def work(page: str) -> None:
        time.sleep(surroundings.work_s(page))

    @app.get("/")
    def home() -> dict[str, Any]:
        work("home")
        return {"welcome": "Tea shop", "products": len(PRODUCTS)}

    @app.get("/catalogue")
    def catalogue() -> list[dict[str, Any]]:
        work("catalogue")
        return [
            {"id": number, "name": name}
            for number, name in shelf.rows("SELECT id, name FROM product ORDER BY id")
        ]

    @app.get("/products/{product_id}")
    def product(product_id: int) -> dict[str, Any]:
        work("product")
        found = shelf.rows("SELECT name, stock FROM product WHERE id = ?", product_id)
        if not found:
            raise HTTPException(404, "no such product")
        return {"id": product_id, "name": found[0][0], "stock": found[0][1]}

    @app.get("/search")
    def search(q: str = "") -> list[str]:
        work("search")
        found = shelf.rows("SELECT name FROM product WHERE name LIKE ? LIMIT 20", f"%{q}%")
        return [name for (name,) in found]

    @app.get("/recommendations")
    def recommendations() -> list[str]:
        work("recommended")
        return [name for (name,) in shelf.rows("SELECT name FROM product LIMIT 3")]


def _add_buying(app: FastAPI, shelf: Shelf, surroundings: Surroundings) -> None:
    """Add basket, checkout and orders."""

    def work(page: str) -> None:
        time.sleep(surroundings.work_s(page))

    @app.get("/baskets/{basket_id}")
    def basket(basket_id: int) -> dict[str, Any]:
        work("basket")
        return {"id": basket_id, "items": [basket_id % len(PRODUCTS) + 1]}

    @app.post("/baskets/{basket_id}/items", status_code=201)
    def add_item(basket_id: int) -> dict[str, Any]:
        work("add")
        return {"id": basket_id}

    @app.post("/checkout")
    def checkout(product_id: int = 1) -> dict[str, Any]:
        work("checkout")
        trouble = surroundings.strike()
        pay(amount_cents=1_990, provider_answers=trouble != "payment")
        return {"order": place_order(shelf, product_id, counted=trouble != "stock")}

    @app.get("/orders/{order_id}")
    def order(order_id: int) -> dict[str, Any]:
        work("order")
        return {"id": order_id, "known": bool(_order(shelf, order_id))}

    @app.get("/orders/{order_id}/invoice")
    def invoice(order_id: int) -> dict[str, Any]:
        work("invoice")
        return {"id": order_id, "total": invoice_total([1_990])}


def _add_service(app: FastAPI, shelf: Shelf, surroundings: Surroundings) -> None:
    """Add log-in, reviews, shipping and vouchers."""

    def work(page: str) -> None:
        time.sleep(surroundings.work_s(page))

    @app.post("/login")
    def login() -> dict[str, Any]:
        work("login")
        return {"welcome": True}

    @app.post("/products/{product_id}/reviews", status_code=201)
    def review(product_id: int) -> dict[str, Any]:
        work("review")
        return {"product": product_id}

    @app.get("/shipping/rates")
    def shipping() -> dict[str, Any]:
        work("shipping")
        return {"standard": 490, "express": 990}

    @app.post("/vouchers/{code}")
    def voucher(code: str) -> dict[str, Any]:
        work("voucher")
        return {"percent": voucher_percent(code)}


def pay(*, amount_cents: int, provider_answers: bool) -> None:
    """Charge the customer's card."""
    if not provider_answers:
        raise PaymentTimeoutError(f"no answer from the payment provider for {amount_cents} cents")


def place_order(shelf: Shelf, product_id: int, *, counted: bool) -> int:
    """Take a product off the shelf and note the order."""
    stock = _stock_by_product(shelf, product_id, counted=counted)
    left = stock[product_id]
    with shelf.selling() as sale:
        sale.execute("UPDATE product SET stock = ? WHERE id = ?", (left - 1, product_id))
        sale.execute("INSERT INTO orders (product) VALUES (?)", (product_id,))
        return int(sale.lastrowid or 0)


def voucher_percent(code: str) -> int:
    """Read the percentage at the end of a voucher such as TEA10."""
    return int(code[3:])


def invoice_total(cents: list[int | None]) -> int:
    """Add up the lines of an invoice."""
    total = 0
    for line in cents:
        total += line  # type: ignore[operator]  # a line without a price: one of the shop's faults
    return total


def thumbnail(sizes: dict[str, bytes], name: str) -> bytes:
    """Return the small picture of a product."""
    return sizes[name]


def _stock_by_product(shelf: Shelf, product_id: int, *, counted: bool) -> dict[int, int]:
    if not counted:  # somebody sold the last one in between
        return {}
    return dict(shelf.rows("SELECT id, stock FROM product WHERE id = ?", product_id))


def _order(shelf: Shelf, order_id: int) -> list[tuple[Any, ...]]:
    return shelf.rows("SELECT id FROM orders WHERE id = ?", order_id)
