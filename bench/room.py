"""How much room stored requests take, beside a row per request and a row per series and slot.

All three are in the same database, filled with the same traffic in one run. The curves tell how
room and CPU grow with requests, and how with series.
"""

import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    insert,
    text,
)

import databases
import goals
import traffic
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.hours import HOUR_S, MINUTE_S
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.storage import Store
from watchkeeper.storage.hour import pack_histogram
from watchkeeper.storage.sql.dialects import dialect_of
from watchkeeper.storage.store import Batch, SealedHour
from watchkeeper.storage.turns import give_way

SERIES: Final = 200
AT_ONCE: Final = 1_000  # rows of the other designs in one statement
YEAR_HOURS: Final = 365 * 24
FORTNIGHT_DAYS: Final = 14
FORTNIGHT_HOURS: Final = FORTNIGHT_DAYS * 24
DAY_SLOTS: Final = 24 * HOUR_S // traffic.SLOT_S
REQUESTS_CURVE: Final = (333, 1_000, 3_333, 10_000, 33_330)  # in a slot
SERIES_CURVE: Final = (25, 50, 100, 200, 400, 800)
AGES_HOURS: Final = 96  # that are sealed: each of the real ones several times
SLOT_GOAL: Final = 35.0
YEAR_GOAL_MB: Final = 900.0
CHUNKS_GOAL_MB: Final = 250.0
SHARE_GOAL: Final = 0.01
GROWTH_GOAL: Final = 2.0

_OTHERS: Final = MetaData()
_REQUEST: Final = Table(
    "bench_request",
    _OTHERS,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", Double, nullable=False),
    Column("method", String(16), nullable=False),
    Column("route", String(200), nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("duration_s", Double, nullable=False),
    Index("bench_request_at", "at"),
    Index("bench_request_route", "route", "at"),
)
_POINT: Final = Table(
    "bench_point",
    _OTHERS,
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("series", BigInteger, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    Column("sum", Double, nullable=False),
    Column("min", Double, nullable=False),
    Column("max", Double, nullable=False),
    Column("histogram", LargeBinary, nullable=False),
)


def designs(place: databases.Place, *, slots: int, other_slots: int) -> dict[str, Any]:
    """Measure bytes per series and slot of each design; the others' take longer to write."""
    with (
        place.database("designs") as url,
        databases.opened(url) as store,
        databases.engine(url) as engine,
    ):
        active = _write_slots(store, traffic.Traffic(SERIES), slots, traffic.PER_SLOT)
        packed = _bytes_of(engine, "wk_frame") / active
        _OTHERS.create_all(engine)
        ours = traffic.Traffic(SERIES)
        _add(engine, _REQUEST, _request_rows(ours, other_slots))
        ours = traffic.Traffic(SERIES)
        points = _add(engine, _POINT, _point_rows(ours, other_slots))
        per_request = _bytes_of(engine, "bench_request") / (other_slots * traffic.PER_SLOT)
        per_point = _bytes_of(engine, "bench_point") / points
    requests_per_series = traffic.PER_SLOT * slots / active
    return {
        "series": SERIES,
        "slots": slots,
        "requests_per_minute": traffic.PER_MINUTE,
        "frame_bytes": goals.at_most(SLOT_GOAL, packed, "B")
        if place.name == databases.SQLITE
        else round(packed, 1),
        "row_per_series_and_slot_bytes": round(per_point, 1),
        "row_per_request_bytes": round(per_request * requests_per_series, 1),
        "one_request_bytes": round(per_request, 1),
        "ratio_to_row_per_series_and_slot": round(packed / per_point, 3),
        "ratio_to_row_per_request": round(packed / (per_request * requests_per_series), 4),
    }


def ages(
    place: databases.Place,
    *,
    hours: int,
    per_minute: int,
    frame_bytes: float,
    request_bytes: float,
) -> dict[str, Any]:
    """Measure the rows and chunks of four days; a year and a fortnight are multiples of them.

    So many hours are made of requests; the days repeat them. Rows of an hour do not depend on
    other hours, nor chunks, so that all hours take the same, but for the last page of a table.
    """
    ours = traffic.Traffic(SERIES)
    with (
        place.database("ages") as url,
        databases.opened(url) as store,
        databases.engine(url) as engine,
    ):
        made = [traffic.sealed(ours.hour(per_minute), pause=give_way) for _ in range(hours)]
        for number in range(AGES_HOURS):
            store.seal(number * HOUR_S, made[number % hours], [])
        row_bytes = _bytes_of(engine, "wk_hour") / AGES_HOURS
        chunk_bytes = _bytes_of(engine, "wk_chunk") / AGES_HOURS
    requests = per_minute * HOUR_S / MINUTE_S
    stays = (row_bytes + chunk_bytes) / requests * 1e6
    slots = frame_bytes * SERIES * HOUR_S / traffic.SLOT_S / requests * 1e6
    kept = stays + slots / FORTNIGHT_DAYS  # slots of the last day only
    return {
        "measured_hours": AGES_HOURS,
        "different_hours": hours,
        "year_of_hour_rows_mb": goals.at_most(YEAR_GOAL_MB, row_bytes * YEAR_HOURS / 1e6, "MB"),
        "fortnight_of_chunks_mb": goals.at_most(
            CHUNKS_GOAL_MB, chunk_bytes * FORTNIGHT_HOURS / 1e6, "MB"
        ),
        "day_of_frames_mb": round(frame_bytes * SERIES * DAY_SLOTS / 1e6, 1),
        "per_million_requests_mb": round(kept / 1e6, 3),
        "per_million_requests_first_day_mb": round((stays + slots) / 1e6, 3),
        "row_per_request_per_million_mb": round(request_bytes, 1),
        "share_of_row_per_request": goals.at_most(
            SHARE_GOAL, kept / 1e6 / request_bytes, "of one row per request"
        ),
        "share_of_row_per_request_first_day": round((stays + slots) / 1e6 / request_bytes, 4),
    }


def curves(place: databases.Place, *, slots: int, minutes: int) -> dict[str, Any]:
    """Measure room and CPU over requests at the same series, and over series at equal requests."""
    over_requests = [
        {"requests_per_slot": count} | _point(place, SERIES, count, slots=slots, minutes=minutes)
        for count in REQUESTS_CURVE
    ]
    over_series = [
        {"series": series} | _point(place, series, traffic.PER_SLOT, slots=slots, minutes=minutes)
        for series in SERIES_CURVE
    ]
    by_requests = {one["requests_per_slot"]: one["bytes_per_minute"] for one in over_requests}
    return {
        "over_requests": over_requests,
        "over_series": over_series,
        "ten_times_the_traffic": goals.at_most(
            GROWTH_GOAL, by_requests[33_330] / by_requests[3_333], "times the bytes"
        ),
        "ten_times_the_traffic_of_a_tenth": round(by_requests[3_333] / by_requests[333], 2),
    }


def _point(
    place: databases.Place, series: int, requests: int, *, slots: int, minutes: int
) -> dict[str, float]:
    """Measure one point: bytes of frames and of chunks per minute, CPU of one write."""
    ours = traffic.Traffic(series)
    cpu: list[float] = []
    with (
        place.database("curve") as url,
        databases.opened(url) as store,
        databases.engine(url) as engine,
    ):
        active = _write_slots(store, ours, slots, requests, cpu=cpu)
        frames = _bytes_of(engine, "wk_frame") / slots
    some = _sealed(ours, requests * MINUTE_S // traffic.SLOT_S, minutes)
    chunks = sum(len(one.chunk) for one in some) / minutes
    return {
        "active_series": round(active / slots, 1),
        "frame_bytes_per_slot": round(frames),
        "chunk_bytes_per_minute": round(chunks),
        "bytes_per_minute": round(frames * MINUTE_S / traffic.SLOT_S + chunks),
        "write_cpu_ms": round(statistics.median(cpu) * 1e3, 3),
    }


def _sealed(ours: traffic.Traffic, per_minute: int, minutes: int) -> list[SealedHour]:
    frames = [
        Frame(key=FrameKey(MINUTE_S, at * MINUTE_S, 0, 0), values=ours.values(per_minute))
        for at in range(minutes)
    ]
    return traffic.sealed(frames, pause=give_way)


def _write_slots(
    store: Store,
    ours: traffic.Traffic,
    slots: int,
    requests: int,
    *,
    cpu: list[float] | None = None,
) -> int:
    """Write the slots of one worker; how many series and slots there were, added up."""
    worker = store.register(traffic.SCOPE, host="bench", pid=1, at=0.0).id
    active = 0
    for number in range(slots):
        values = ours.values(requests)
        active += len(values)
        start = number * traffic.SLOT_S
        frame = Frame(key=FrameKey(traffic.SLOT_S, start, worker, number), values=values)
        begun = time.thread_time()
        store.write(Batch(scope=traffic.SCOPE, frame=frame, at=float(start)))
        if cpu is not None:
            cpu.append(time.thread_time() - begun)
    return active


def _request_rows(ours: traffic.Traffic, slots: int) -> Iterator[dict[str, object]]:
    routes = [one.label("route") for one in ours.series]
    for slot in range(slots):
        for number, one in enumerate(ours.requests(traffic.PER_SLOT)):
            yield {
                "at": (slot + number / traffic.PER_SLOT) * traffic.SLOT_S,
                "method": "GET",
                "route": routes[one.route],
                "status": 200,
                "duration_s": one.duration_s,
            }


def _point_rows(ours: traffic.Traffic, slots: int) -> Iterator[dict[str, object]]:
    ids = {one: number for number, one in enumerate(ours.series, 1)}
    for slot in range(slots):
        for series, value in ours.values(traffic.PER_SLOT).items():
            assert isinstance(value, Histogram)
            yield {
                "start": slot * traffic.SLOT_S,
                "series": ids[series],
                "count": value.count,
                "sum": value.sum,
                "min": value.min,
                "max": value.max,
                "histogram": pack_histogram(value),
            }


def _add(engine: Engine, table: Table, rows: Iterable[Mapping[str, object]]) -> int:
    """Insert rows, many at once; how many."""
    added = 0
    for some in _batches(rows):
        with engine.begin() as connection:
            connection.execute(insert(table), some)
        added += len(some)
    return added


def _batches(rows: Iterable[Mapping[str, object]]) -> Iterator[Sequence[Mapping[str, object]]]:
    some: list[Mapping[str, object]] = []
    for row in rows:
        some.append(row)
        if len(some) == AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def _bytes_of(engine: Engine, table: str) -> int:
    """Return the bytes that a table takes with its indexes."""
    with engine.connect() as connection:
        if engine.dialect.name == databases.SQLITE:
            # What a table takes is what becomes free without it: also where `dbstat` is missing.
            size = int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
            free = "PRAGMA freelist_count"
            connection.exec_driver_sql("BEGIN")
            before = connection.exec_driver_sql(free).scalar_one()
            connection.exec_driver_sql(f"DROP TABLE {table}")
            pages = connection.exec_driver_sql(free).scalar_one() - before
            connection.exec_driver_sql("ROLLBACK")
            return int(pages) * size
        dialect = dialect_of(engine.dialect.name)
        assert dialect is not None
        if dialect.name == "mariadb":
            connection.execute(text(f"ANALYZE TABLE {table}"))
        statement, values = dialect.size([table])
        return int(connection.execute(statement, dict(values)).scalar_one())
