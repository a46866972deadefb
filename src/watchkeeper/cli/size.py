"""`watchkeeper size`: how large the tables are, how they grow, and when there is no room left."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import click

from watchkeeper.cli.source import Source, open_existing, with_source
from watchkeeper.cli.terminal import echo, plain
from watchkeeper.core.budget import Reason as Why
from watchkeeper.core.budget import Room, Storing
from watchkeeper.core.growth import Forecast, Limit, Reason, forecast
from watchkeeper.core.units import format_duration, format_size
from watchkeeper.core.upkeep import Notes
from watchkeeper.dashboard import texts
from watchkeeper.runtime import upkeep
from watchkeeper.runtime.upkeep import STORED
from watchkeeper.storage import Store
from watchkeeper.storage.store import TableSize

PREFIX: Final = "wk_"  # of the tables' names in the code
WIDTH: Final = 18  # of the column of names
DAY_S: Final = 86_400.0
BAR: Final = 10
HOLDS: Final = {
    "wk_frame": "slots, open minutes",
    "wk_chunk": "minutes",
    "wk_hour": "hours",
    "wk_sample": "stored requests",
    "wk_statement": "statements",
    "wk_event": "events of errors",
    "wk_issue": "issues",
    "wk_issue_facet": "facets of issues",
    "wk_issue_entry": "history of issues",
    "wk_issue_count": "counts of issues",
    "wk_incident": "incidents",
    "wk_outbox": "notifications",
    "wk_check_change": "changes of health",
    "wk_worker": "processes",
    "wk_series": "names of series",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What there is to show; `at` is when it was measured, in seconds since the epoch."""

    at: float
    storage: str
    database_from: str
    prefix: str
    room: Room
    budget_bytes: int
    tables: list[TableSize]
    forecast: Forecast
    notes: Notes


@click.command()
@with_source
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    source: Source,
    as_json: bool,
) -> None:
    """Show how large each table is, how fast they grow and when the budget is used up."""
    store = open_existing(source.settings)
    try:
        found = measure(store, source, now=time.time())
    finally:
        store.close()
    if as_json:
        echo(json.dumps(to_json(found)))
    else:
        for line in screen(found):
            echo(line)


def measure(store: Store, source: Source, *, now: float) -> Sizes:
    """Measure a store; raises StorageError."""
    room, notes = store.room(), upkeep.read(store)
    budget_bytes = source.settings.storage_budget_bytes
    return Sizes(
        at=now,
        storage=store.description(),
        database_from=source.database_from,
        prefix=source.settings.table_prefix,
        room=room,
        budget_bytes=budget_bytes,
        tables=store.table_sizes(),
        forecast=forecast(notes.history, room, budget_bytes=budget_bytes, now=now),
        notes=notes,
    )


def to_json(found: Sizes) -> dict[str, Any]:
    """Return what the screen shows as plain values; null is unknown, or never."""
    notes = found.notes
    return {
        "database": found.storage,
        "database_from": found.database_from,
        "stored_bytes": found.room.stored_bytes,
        "free_bytes": found.room.free_bytes,
        "used_bytes": found.room.used_bytes,
        "budget_bytes": found.budget_bytes,
        "disk_free_bytes": found.room.disk_free_bytes,
        "disk_bytes": found.room.disk_bytes,
        "growth_bytes_per_day": found.forecast.per_day_bytes,
        "full_in_s": found.forecast.full_in_s,
        "forecast": found.forecast.reason.value,
        "limit": found.forecast.limit.value,
        "storing": notes.storing.name.lower(),
        "storing_reason": notes.reason.value,
        "kept_for_s": dict(notes.keep_s),
        "rolled_up_at": notes.rolled_at or None,
        "sealed_at": notes.sealed_at or None,
        "pruned_at": notes.pruned_at or None,
        "pruned_rows": notes.pruned_rows if notes.pruned_at else None,
        "tables": [
            {**asdict(one), "table": _name(one, found), "share": _share(one, found)}
            for one in found.tables
        ],
    }


def screen(found: Sizes) -> Iterator[str]:
    """Yield the lines of the screen."""
    room = found.room
    yield (click.style(plain(found.storage), bold=True) + f" (from {found.database_from})")
    share = room.used_bytes / found.budget_bytes
    free = f", {format_size(room.free_bytes)} more are free inside" if room.free_bytes else ""
    yield (
        f"  budget    {_bar(share)} {format_size(room.used_bytes)} of "
        f"{format_size(found.budget_bytes)} ({texts.share(share)}){free}"
    )
    if room.disk_free_bytes is not None and room.disk_bytes:
        yield (
            f"  disk      {format_size(room.disk_free_bytes)} of "
            f"{format_size(room.disk_bytes)} are free"
        )
    yield f"  growth    {sentence(found.forecast)}"
    yield f"  upkeep    {_upkeep(found.notes, now=found.at)}"
    if found.notes.storing is not Storing.EVERYTHING:
        yield _warning("storing", STORED[found.notes.storing])
        why = "the disk is" if found.notes.reason is Why.DISK else "the budget is"
        yield _warning("", f"because {why} nearly or wholly used up")
    for name, kept_s in found.notes.keep_s.items():
        yield _warning("", f"{name} are kept for {format_duration(kept_s)}")
    yield ""
    yield f"  {'TABLE':<{WIDTH}}{'HOLDS':<20}{'SIZE':>9}{'SHARE':>8}{'ROWS':>12}{'OLDEST':>9}"
    for one in found.tables:
        if one.rows:
            yield _row(one, found)
    empty = [one for one in found.tables if not one.rows]
    if empty:
        size = format_size(sum(one.bytes for one in empty))
        yield f"  {f'{len(empty)} empty tables':<{WIDTH + 20}}{size:>9}"


def _warning(word: str, text: str) -> str:
    return click.style(f"  {word:<10}{text}", fg="yellow")


def sentence(found: Forecast) -> str:
    """Say how it grows and when it is full: "24 MB a day; full in about 41 days"."""
    what = "the disk is" if found.limit is Limit.DISK else "the budget is"
    if found.reason is Reason.FULL:
        return f"{what} used up"
    if found.reason is Reason.UNKNOWN or found.per_day_bytes is None:
        return "not known yet: it takes a day of measurements"
    if found.reason is Reason.SHRINKING:
        return f"shrinks by {format_size(-found.per_day_bytes)} a day"
    if found.full_in_s is None:
        grown = max(0.0, found.per_day_bytes)
        return f"steady, at {format_size(grown)} a day; no end in sight within a year"
    end = "the disk is full" if found.limit is Limit.DISK else "full"
    return f"{end} in about {_days(found.full_in_s)}, at {format_size(found.per_day_bytes)} a day"


def _days(seconds: float) -> str:
    if seconds < 2 * DAY_S:
        return f"{max(1, round(seconds / 3_600))} h"
    return f"{round(seconds / DAY_S)} days"


def _upkeep(notes: Notes, *, now: float) -> str:
    if not notes.at:
        return "nothing was done yet"
    done = [
        f"rolled up {_ago(notes.rolled_at, now)}",
        f"pruned {_ago(notes.pruned_at, now)}",
    ]
    if notes.pruned_at:
        done[-1] += f" ({texts.number(notes.pruned_rows)} rows)"
    return ", ".join(done)


def _ago(at: float, now: float) -> str:
    return texts.ago(at, now) if at else "never"


def _row(one: TableSize, found: Sizes) -> str:
    return (
        f"  {plain(_name(one, found), width=WIDTH - 1):<{WIDTH}}{HOLDS.get(one.table, ''):<20}"
        f"{format_size(one.bytes):>9}{texts.share(_share(one, found)):>8}{one.rows:>12,}"
        f"{_age(one.oldest_at, now=found.at):>9}"
    )


def _age(at: float | None, *, now: float) -> str:
    if at is None:
        return texts.NOTHING
    for unit, span_s in (("d", DAY_S), ("h", 3_600.0), ("min", 60.0)):
        if now - at >= 2 * span_s:
            return f"{(now - at) // span_s:.0f} {unit}"
    return f"{max(0.0, now - at):.0f} s"


def _name(one: TableSize, found: Sizes) -> str:
    return found.prefix + one.table.removeprefix(PREFIX)


def _share(one: TableSize, found: Sizes) -> float:
    total = sum(each.bytes for each in found.tables)
    return one.bytes / total if total else 0.0


def _bar(share: float) -> str:
    full = min(BAR, round(share * BAR))
    return "█" * full + "░" * (BAR - full)
