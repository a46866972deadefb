"""Which series nothing names any more: rows of hours and chunks, or frames, do by their ids."""

from sqlalchemy import ColumnElement, Connection, func, select

from watchkeeper.storage.rows import SEEN_LAG_S
from watchkeeper.storage.sql.schema import chunk, hour, series
from watchkeeper.storage.sql.sizes import oldest_frame


def is_unused(connection: Connection, *, before: float) -> ColumnElement[bool]:
    """Choose the series last seen before a moment, and before all that is stored.

    Whatever names a series starts less than `SEEN_LAG_S` after its `seen_at`. So one that was
    last seen earlier than that before the oldest start of all is named by nothing.
    """
    edges = [int(before)]
    # Look at the ends of indexes.
    longest_unseen = connection.execute(select(func.min(series.c.seen_at))).scalar()
    if longest_unseen is not None and longest_unseen < before:
        starts = (
            oldest_frame(connection),
            connection.execute(select(func.min(chunk.c.hour))).scalar(),
            connection.execute(select(func.min(hour.c.start))).scalar(),
        )
        edges += [int(start) - SEEN_LAG_S for start in starts if start is not None]
    return series.c.seen_at < min(edges)
