"""A shop with deliberate bugs in three frameworks: each bug is one issue, and nothing else is."""

import shutil
import sys
from collections import Counter
from http.client import HTTPException
from pathlib import Path
from typing import Final

import pytest
from processes import Server, get, until, uvicorn
from servers import free_port

from watchkeeper.exceptions import StorageError
from watchkeeper.storage import open_store
from watchkeeper.storage.store import Issue

SHOP: Final = Path(__file__).with_name("faulty_shop")
SECRET: Final = "not-for-your-eyes"
STORED_WITHIN_S: Final = 40.0

# Each bug: its type, the function that it happens in, and requests that run into it.
BUGS: Final = {
    "an article has no price": (
        ("KeyError", "price_of"),
        ("/quote/cup", "/quote/jar", "/cart/cup", "/cart/bowl"),
    ),
    "an order has no country": (("KeyError", "ship"), ("/ship", "/ship?city=Bonn")),
    "a country has no zone": (
        ("KeyError", "ship"),
        ("/ship?country=IT", "/ship?country=AT", "/ship?country=SE"),
    ),
    "a quantity is a word": (("ValueError", "whole_number"), ("/quantity/two", "/quantity/x")),
    "a discount is a word": (
        ("ValueError", "whole_number"),
        ("/discount/half", "/discount/much", "/discount/-"),
    ),
    "an article has no ratings": (
        ("ZeroDivisionError", "average_rating"),
        ("/ratings/cup", "/ratings-in-thread/mug", "/ratings-in-thread/pen"),
    ),
    "an order has no head": (
        ("faulty_shop.shop.OrderError", "load_order"),
        ("/orders/7", "/orders/8"),
    ),
    "an order's lines are no numbers": (
        ("faulty_shop.shop.OrderError", "load_order"),
        ("/orders/2", "/orders/2", "/orders/2"),
    ),
    "categories go in a circle": (
        ("RecursionError", "breadcrumbs"),
        ("/categories/mugs", "/categories/kitchen"),
    ),
    "the mail server is away": (
        ("ExceptionGroup", "notify"),
        ("/notify/1", "/notify/3", "/notify/9"),
    ),
    "an address is taken": (
        ("sqlite3.IntegrityError", "register"),
        ("/register?email=ada@shop.example&name=A", "/register?email=bob@shop.example&name=B"),
    ),
    "a user has no name": (
        ("sqlite3.IntegrityError", "register"),
        ("/register?email=new@shop.example", "/register?email=x@shop.example", "/register"),
    ),
    "a refund is refused, and answered by a handler": (
        ("faulty_shop.shop.RefundError", "refund"),
        ("/refund/1", "/refund/2"),
    ),
    "an export fails, and is logged": (("IndexError", "export"), ("/export/a", "/export/bc")),
    "stock is negative, which is only logged": (
        ("faulty_shop", "count_stock"),
        ("/stock/mug/-1", "/stock/pen/-20", "/stock/cup/-3"),
    ),
    "a report breaks off": (("EOFError", "report_lines"), ("/report/may", "/report/june")),
    "a thread fails": (("LookupError", "fetch_stock"), ("/sync/north", "/sync/south")),
}
FINE: Final = ("/", "/quote/mug", "/stock/mug/3", "/nothing/here", "/secret", "/orders/1")


def flask(folder: Path, environ: dict[str, str]) -> Server:
    """Two workers of gunicorn with threads."""
    return gunicorn(folder, environ, "faulty_shop.flask_app:app", "--threads", "2")


def django(folder: Path, environ: dict[str, str]) -> Server:
    """Two workers of gunicorn."""
    return gunicorn(folder, environ, "faulty_shop.django_app:app")


def fastapi(folder: Path, environ: dict[str, str]) -> Server:
    """Two workers of uvicorn."""
    return uvicorn("faulty_shop.fastapi_app:app", folder=folder, workers=2, environ=environ)


def gunicorn(folder: Path, environ: dict[str, str], target: str, *options: str) -> Server:
    command = [sys.executable, "-m", "gunicorn", "-w", "2", "-b", "127.0.0.1:{port}", *options]
    return Server([*command, target], port=free_port(), folder=folder, environ=environ)


@pytest.mark.parametrize("serve", [flask, fastapi, django])
def test_each_bug_is_one_issue(serve, tmp_path):
    """Whatever values, views, threads and workers: a bug is one issue, with its exact count."""
    shutil.copytree(SHOP, tmp_path / "faulty_shop", ignore=shutil.ignore_patterns("__pycache__"))
    url = f"sqlite:///{tmp_path / 'watchkeeper.db'}"
    environ = {
        "DATABASE": url,
        "WATCHKEEPER_ENABLED": "1",  # the servers are no tests
        "WATCHKEEPER_SERVICE": "shop",
        "WATCHKEEPER_SLOT": "1s",
        "WATCHKEEPER_FLUSH_JITTER": "0s",
    }

    with serve(tmp_path, environ) as server:
        for path in FINE:
            get(server.url + path)
        for _, paths in BUGS.values():
            for path in paths:
                ask(server, path)
        # On a busy machine the two seconds that a stop may take are not enough for all of it.
        until(lambda: told(issues(url)) == expected(), within_s=STORED_WITHIN_S)

    assert expected() == told(issues(url))
    assert SECRET.encode() not in (tmp_path / "watchkeeper.db").read_bytes()


def ask(server: Server, path: str) -> None:
    """Send a request that may be cut off."""
    try:
        get(server.url + path)
    except HTTPException:
        assert path.startswith("/report/")


def issues(url: str) -> list[Issue]:
    """Read every issue that is there."""
    store = open_store(url)
    try:
        return store.issues(service="shop", environment="production", seen_since=0, limit=1_000)
    except StorageError:  # no tables yet
        return []
    finally:
        store.close()


def expected() -> Counter[tuple[str, str, int]]:
    """Return the issues there must be: type, function and count."""
    return Counter((*kind, len(paths)) for kind, paths in BUGS.values())


def told(found: list[Issue]) -> Counter[tuple[str, str, int]]:
    """Return the issues there are: type, function and count."""
    return Counter((one.type, one.culprit.rpartition(":")[2], one.count) for one in found)
