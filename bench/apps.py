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
def watching(slot: str) -> Iterator[Watchkeeper]:
    """Set Watchkeeper up as a user would: real thread, real SQLite file, all that is on is on."""
    with tempfile.TemporaryDirectory() as folder:
        watchkeeper = obtain(
            Settings(
                enabled=True,
                database_url=f"sqlite:///{Path(folder) / 'bench.db'}",
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
