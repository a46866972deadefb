"""The applications that are measured: the same small shop, bare, watched, and with the peer."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import watchkeeper.integrations as integrations
from watchkeeper.app import Watchkeeper, obtain
from watchkeeper.settings import Settings

DEFAULT_SLOT = "10s"
NAMES = ("users", "orders", "carts")  # the requests ask for the last of them


def fastapi_shop() -> Any:
    """Make a small FastAPI application with a few routes."""
    from fastapi import FastAPI

    app = FastAPI()
    for name in NAMES:

        @app.get(f"/{name}/{{key}}")
        async def read(key: int) -> dict[str, int]:
            return {"key": key}

    return app


def failing_shop() -> Any:
    """Make the FastAPI shop with a route that always fails, and one that fails anew each time.

    Errors of the first have a handler, as in production: else a traceback that the server logs
    for each would cost more than all that is measured.
    """
    from fastapi.responses import JSONResponse

    app = fastapi_shop()

    @app.exception_handler(KeyError)
    async def apologize(request: Any, error: KeyError) -> JSONResponse:
        return JSONResponse({"error": "sorry"}, status_code=500)

    @app.get("/fail")
    async def fail() -> None:
        checkout({})

    @app.get("/new/{number}")
    async def fail_anew(number: int) -> None:
        raise new_bug(number)

    return app


def checkout(prices: dict[str, int]) -> int:
    """Fail as applications do: with a key that is not there."""
    return prices["SKU-1"]


def new_bug(number: int) -> BaseException:
    """Return an error of a type, of a function and of a place of its own, with its trace."""
    letters = "".join(chr(ord("a") + int(digit)) for digit in str(number))
    names: dict[str, Any] = {"__name__": f"shop.{letters}"}
    source = f"class E{letters}(Exception): ...\ndef fail_{letters}(): raise E{letters}(1)\n"
    exec(compile(source, f"/srv/shop/{letters}.py", "exec"), names)  # noqa: S102
    try:
        names[f"fail_{letters}"]()
    except Exception as error:  # noqa: BLE001  # each has a type of its own
        return error
    raise AssertionError


def flask_shop() -> Any:
    """Make the same with Flask."""
    from flask import Flask

    app = Flask("shop")
    for name in NAMES:

        @app.get(f"/{name}/<int:key>", endpoint=name)
        def read(key: int) -> dict[str, int]:
            return {"key": key}

    return app


def watched(make: Callable[[], Any]) -> Any:
    """Make an application and watch it."""
    app = make()
    integrations.watch(app)
    return app


def fastapi_with_peer() -> Any:
    """Make the FastAPI application with prometheus-fastapi-instrumentator, None without it."""
    try:
        from prometheus_fastapi_instrumentator import Instrumentator
    except ImportError:
        return None
    app = fastapi_shop()
    Instrumentator().instrument(app)
    return app


def flask_with_peer() -> Any:
    """Make the Flask application with prometheus-flask-exporter, None without it."""
    try:
        from prometheus_flask_exporter import PrometheusMetrics
    except ImportError:
        return None
    app = flask_shop()
    PrometheusMetrics(app)
    return app


@contextmanager
def watching(slot: str, url: str = "") -> Iterator[Watchkeeper]:
    """Set Watchkeeper up as a user would: real thread, real SQLite file, all that is on is on.

    With a URL, on that database instead.
    """
    with tempfile.TemporaryDirectory() as folder:
        watchkeeper = obtain(
            Settings(
                enabled=True,
                database_url=url or f"sqlite:///{Path(folder) / 'bench.db'}",
                service="bench",
                slot=slot,
                own_cpu_budget="100%",  # however short the slots: samples stay on
            )
        )
        watchkeeper.start()
        try:
            yield watchkeeper
        finally:
            watchkeeper.stop()
