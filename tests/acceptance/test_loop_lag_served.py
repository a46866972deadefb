"""A view that blocks the event loop shows in its lag, under a real server."""

import time
from pathlib import Path

from processes import get, until, uvicorn

from watchkeeper.core.histogram import Histogram
from watchkeeper.storage import open_store

APP = """
import time

from fastapi import FastAPI

import watchkeeper

app = FastAPI()


@app.get("/")
async def quick() -> str:
    return "quick"


@app.get("/blocks")
async def blocks() -> str:
    time.sleep(1.6)  # longer than the time between two looks, so that one falls into it
    return "blocked"


watchkeeper.watch(app, watchkeeper.Settings(
    enabled=True, database_url="sqlite:///watchkeeper.db", service="shop", environment="test",
    slot="1s", flush_jitter="0s", alert_pack=False,
))
"""


def test_what_blocks_the_loop_is_measured(tmp_path: Path):
    """The lag of the worker that was blocked is told, by host and worker."""
    (tmp_path / "shop.py").write_text(APP)
    with uvicorn("shop:app", folder=tmp_path) as server:
        store = open_store(f"sqlite:///{tmp_path / 'watchkeeper.db'}")
        store.migrate()

        def lags() -> list[tuple[str, float]]:
            return [
                (series.label("worker"), value.quantile(1.0))
                for frame in store.frames(
                    1, since=0, until=time.time() + 60, service="shop", environment="test"
                )
                for series, value in frame.values.items()
                if series.metric == "event_loop_lag_seconds" and isinstance(value, Histogram)
            ]

        assert until(lambda: get(server.url) and lags())
        get(f"{server.url}/blocks")
        late = until(lambda: [worker for worker, lag in lags() if lag > 0.5])
        store.close()

    assert {"1"} == set(late)
