"""How long the first occurrence of a bug takes from being raised to being in the database.

python bench/arrivals.py URL 20                        seconds of 20 new bugs, as JSON
"""

import asyncio
import json
import statistics
import sys
import time
from typing import Any, Final

from sqlalchemy import Engine, func, select

import apps
import children
import databases
import exchanges
import goals
from watchkeeper.storage.sql.schema import issue

MOST_S: Final = 1.0
PATIENCE_S: Final = 15.0
BETWEEN_S: Final = 0.35
SETTLE_S: Final = 3.0  # until the database's packages are loaded
ASK_EVERY_S: Final = 0.005


def measure(place: databases.Place, *, bugs: int) -> dict[str, Any]:
    """Raise new bugs, one after the other, in a process that serves requests."""
    with place.database("arrivals") as url:
        seconds = children.measured("arrivals.py", url, bugs)["seconds"]
    return {
        "bugs": bugs,
        "median_s": round(statistics.median(seconds), 3),
        "longest_s": goals.at_most(MOST_S, max(seconds), "s"),
    }


def run(url: str, bugs: int) -> list[float]:
    """Ask for routes that fail anew; how long each took to be seen by another connection."""
    with apps.watching(apps.DEFAULT_SLOT, url) as watchkeeper, databases.engine(url) as engine:
        app = apps.watched(apps.failing_shop)
        _ask(app, "/carts/7")
        time.sleep(SETTLE_S)
        watchkeeper.flush()
        seconds = []
        for number in range(bugs):
            before = _stored(engine)
            begun = time.perf_counter()
            _ask(app, f"/new/{number}")
            while _stored(engine) == before:
                if time.perf_counter() - begun > PATIENCE_S:
                    break
                time.sleep(ASK_EVERY_S)
            seconds.append(time.perf_counter() - begun)
            time.sleep(BETWEEN_S)
    return seconds


def _ask(app: Any, path: str) -> None:
    try:
        asyncio.run(exchanges.serve_asgi(app, [exchanges.scope(path)]))
    except Exception:  # noqa: BLE001  # a server would log it
        return


def _stored(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(issue)).scalar_one()


if __name__ == "__main__":
    print(json.dumps({"seconds": run(sys.argv[1], int(sys.argv[2]))}))
