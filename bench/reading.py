"""What pages read: the dashboard's own query code over days of hours, sealed as a roller seals.

A few real hours are made of requests and sealed through the store; the rest of the days are copies
of these, made within the database. The hour that goes on is not there: it is the same for all.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Engine, text

import databases
import goals
import traffic
from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.hours import HOUR_S
from watchkeeper.dashboard.queries import overview
from watchkeeper.dashboard.reading import read_pieces
from watchkeeper.storage import Store
from watchkeeper.storage.turns import give_way

MODELS: Final = 3  # hours that are made of requests
DAY_HOURS: Final = 24
TOP: Final = 10
FIRST: Final = 1_000 * 24 * HOUR_S  # the start of the first hour: the start of a day
OVERVIEW_GOAL_MS: Final = 60.0
CHART_GOAL_MS: Final = 250.0
MONTH_GOAL_MS: Final = 250.0
_CHUNK_HOURS: Final = 2 * DAY_HOURS  # of the newest hours minutes are copied as well

# Copy the rows of hours to later ones.
_MORE_HOURS: Final = text(
    "INSERT INTO wk_hour SELECT start + :by, series, count, sum, min, max, p50, p95, p99, last, "
    "revision, format, histogram FROM wk_hour WHERE start >= :since AND start < :until "
    "ORDER BY start, series"
)
# Copy the chunks of hours to later ones.
_MORE_CHUNKS: Final = text(
    "INSERT INTO wk_chunk SELECT hour + :by, series, part, format, payload FROM wk_chunk "
    "WHERE hour >= :since AND hour < :until ORDER BY hour, series, part"
)


def pages(place: databases.Place, *, per_minute: int, runs: int) -> dict[str, Any]:
    """Measure the pages of 100 routes: the week, the day, and the chart of the top routes."""
    days = 14  # a week, and the one before that it is compared with
    with place.database("week") as url, databases.opened(url) as store:
        end = _fill(url, store, routes=100, hours=days * DAY_HOURS, per_minute=per_minute)
        week = _timed(lambda: _overview(store, end, days=7, per_minute=per_minute), runs)
        day = _timed(lambda: _overview(store, end, days=1, per_minute=per_minute), runs)
        chart = _timed(lambda: top_chart(store, end), runs)
    sqlite = place.name == databases.SQLITE
    return {
        "routes": 100,
        "runs": runs,
        "week_overview_wall_ms": _figure(OVERVIEW_GOAL_MS, week["wall_ms"], sqlite=sqlite),
        "week_overview_cpu_ms": week["cpu_ms"],
        "day_overview_wall_ms": day["wall_ms"],
        "day_overview_cpu_ms": day["cpu_ms"],
        "day_chart_of_top_routes_wall_ms": _figure(CHART_GOAL_MS, chart["wall_ms"], sqlite=sqlite),
        "day_chart_of_top_routes_cpu_ms": chart["cpu_ms"],
    }


def month(
    place: databases.Place, *, routes: int, days: int, per_minute: int, runs: int
) -> dict[str, Any]:
    """Measure the overview of 30 days with 1,000 routes, and as many days before: its CPU."""
    with place.database("month") as url, databases.opened(url) as store:
        end = _fill(url, store, routes=routes, hours=2 * days * DAY_HOURS, per_minute=per_minute)
        found = _timed(lambda: _overview(store, end, days=days, per_minute=per_minute), runs)
    return {
        "routes": routes,
        "days": days,
        "runs": runs,
        "overview_cpu_ms": _figure(
            MONTH_GOAL_MS, found["cpu_ms"], sqlite=place.name == databases.SQLITE
        ),
        "overview_wall_ms": found["wall_ms"],
    }


def top_chart(store: Store, end: int) -> dict[str, list[float]]:
    """Return the hourly p95 of the last day of the routes that took most time, by route.

    The dashboard draws no such chart yet; this reads as its charts do.
    """
    seconds: dict[str, float] = defaultdict(float)
    parts: dict[str, dict[int, list[Histogram]]] = defaultdict(lambda: defaultdict(list))
    for piece in read_pieces(
        store,
        service=traffic.SCOPE.service,
        environment=traffic.SCOPE.environment,
        since=end - DAY_HOURS * HOUR_S,
        border=end - DAY_HOURS * HOUR_S,
        until=end,
        slot_s=traffic.SLOT_S,
        metrics=[HTTP_DURATION.name],
    ):
        for frame in piece.frames:
            for series, value in frame.values.items():
                if isinstance(value, Histogram):
                    route = series.label("route")
                    seconds[route] += value.sum
                    parts[route][frame.key.start].append(value)
    top = sorted(seconds, key=lambda route: -seconds[route])[:TOP]
    chart: dict[str, list[float]] = {}
    for route in top:
        chart[route] = []
        for start in sorted(parts[route]):
            first, *more = parts[route][start]
            for one in more:
                first.merge(one)
            chart[route].append(first.quantile(0.95))
    return chart


def _overview(store: Store, end: int, *, days: int, per_minute: int) -> None:
    page = overview(
        store,
        service=traffic.SCOPE.service,
        environment=traffic.SCOPE.environment,
        start=end - days * DAY_HOURS * HOUR_S,
        end=end,
        now=end,
        slot_s=traffic.SLOT_S,
        pause=give_way,
    )
    assert page.figures.requests == days * DAY_HOURS * 60 * per_minute
    assert page.before is not None


def _timed(read: Callable[[], object], runs: int) -> dict[str, float]:
    """Read once to warm up, then again and again: medians of wall and CPU, in milliseconds."""
    read()
    wall, cpu = [], []
    for _ in range(runs):
        begun, spent = time.perf_counter(), time.process_time()
        read()
        cpu.append(time.process_time() - spent)
        wall.append(time.perf_counter() - begun)
    return {
        "wall_ms": round(statistics.median(wall) * 1e3, 1),
        "cpu_ms": round(statistics.median(cpu) * 1e3, 1),
    }


def _figure(goal: float, value: float, *, sqlite: bool) -> Any:
    return goals.at_most(goal, value, "ms") if sqlite else value


def _fill(url: str, store: Store, *, routes: int, hours: int, per_minute: int) -> int:
    """Fill the hours from `FIRST` on; the end of the last one."""
    ours = traffic.Traffic(routes)
    for number in range(MODELS):
        hour = traffic.sealed(ours.hour(per_minute), pause=give_way)
        store.seal(FIRST + number * HOUR_S, hour, [])
    with databases.engine(url) as engine:
        # All that is there is doubled: few statements, and the order of time is kept.
        filled = MODELS
        while filled < hours:
            more = min(filled, hours - filled)
            with engine.begin() as connection:
                connection.execute(_MORE_HOURS, _moved(0, more, by=filled))
            filled += more
        for number in range(max(MODELS, hours - _CHUNK_HOURS), hours):
            model = number % MODELS
            with engine.begin() as connection:
                connection.execute(_MORE_CHUNKS, _moved(model, model + 1, by=number - model))
        _look(url, engine)
    return FIRST + hours * HOUR_S


def _moved(since: int, until: int, *, by: int) -> dict[str, int]:
    """Say which hours to copy, by their numbers, and how many hours later the copies are."""
    return {"since": FIRST + since * HOUR_S, "until": FIRST + until * HOUR_S, "by": by * HOUR_S}


def _look(url: str, engine: Engine) -> None:
    """Let a server look at the new tables, as it does by itself within a minute."""
    if not url.startswith("sqlite"):
        words = "ANALYZE TABLE" if engine.dialect.name in {"mysql", "mariadb"} else "ANALYZE"
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"{words} wk_hour"))
