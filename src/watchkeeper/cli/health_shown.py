"""How each health check is and was, as a table or one object, for `watchkeeper health`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any, Final

import click

from watchkeeper.cli.listing import opened
from watchkeeper.cli.source import Source, slot_length
from watchkeeper.cli.terminal import echo, plain
from watchkeeper.cli.verbs import CRITICAL, FINE, UNKNOWN, WARNING
from watchkeeper.core.health import CheckState
from watchkeeper.dashboard import api, texts
from watchkeeper.dashboard.health import SPANS, uptime_text
from watchkeeper.dashboard.sums import Query
from watchkeeper.dashboard.uptime import Past
from watchkeeper.dashboard.views_health import CheckNow, UptimeFigures
from watchkeeper.storage import Store

CODES: Final[Mapping[str, int]] = {
    CheckState.PASS: FINE,
    CheckState.WARN: WARNING,
    CheckState.FAIL: CRITICAL,
    CheckState.UNKNOWN: UNKNOWN,
}
STYLES: Final[Mapping[str, tuple[str, str]]] = {
    CheckState.PASS: ("✔", "green"),
    CheckState.WARN: ("▲", "yellow"),
    CheckState.FAIL: ("✖", "red"),
    CheckState.UNKNOWN: ("?", "magenta"),
}
HEADS: Final = ("CHECK", "STATE", "SINCE", "LAST", "VALUE", *SPANS)
MAX_VALUE: Final = 40  # characters of the table's column
NOT_CRITICAL: Final = "  * not critical: its failure is a warning"
NONE_YET: Final = "no health check has told anything yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One check, with its uptime of each span."""

    check: CheckNow
    uptimes: tuple[UptimeFigures, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is shown: the service, or one check of it."""

    service: str
    environment: str
    at: float
    state: str
    uptimes: tuple[UptimeFigures, ...]
    rows: tuple[Row, ...]


def show(source: Source, name: str | None, *, as_json: bool) -> int:
    """Show the checks, or the one of a name; the exit code. UsageError if there is none of it."""
    with opened(source) as (store, now):
        shown = read(store, source, now=now, name=name)
    if as_json:
        echo(json.dumps(as_object(shown)))
    else:
        for line in lines(shown):
            echo(line)
    return CODES[shown.state]


def read(store: Store, source: Source, *, now: float, name: str | None) -> Shown:
    """Read how the checks are; `name`: one of them. UsageError if there is none of that name."""
    settings = source.settings
    query = Query(
        store=store,
        service=settings.service,
        environment=settings.environment,
        start=now - max(SPANS.values()),
        end=now,
        now=now,
        slot_s=slot_length(store, settings, now=now),
    )
    past = Past(query)
    names = past.names
    if name is not None and name not in names:
        raise click.UsageError(_unknown(name, names))
    starts = [now - span_s for span_s in SPANS.values()]
    rows = tuple(
        Row(
            check=past.now(one),
            uptimes=tuple(past.uptime(one, start, now) for start in starts),
        )
        for one in names
        if name in (None, one)
    )
    return Shown(
        service=settings.service,
        environment=settings.environment,
        at=now,
        state=past.state().value if name is None else rows[0].check.state,
        uptimes=tuple(past.service(start, now) for start in starts),
        rows=rows,
    )


def lines(shown: Shown) -> Iterator[str]:
    """Write the state of the service and a table of its checks."""
    place = f"{plain(shown.service)} ({plain(shown.environment)})"
    uptimes = "   ".join(
        f"{span} {uptime_text(one)}" for span, one in zip(SPANS, shown.uptimes, strict=True)
    )
    yield f"{_mark(shown.state)} {shown.state}   {place}   uptime  {uptimes}"
    if not shown.rows:
        yield f"  {NONE_YET}"
        return
    cells = [HEADS, *(_cells(row, shown.at) for row in shown.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for number, row in enumerate(cells):
        line = "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        mark = " " if number == 0 else _mark(shown.rows[number - 1].check.state)
        yield f"{mark} {line}"
    if not all(row.check.critical for row in shown.rows):
        yield NOT_CRITICAL


def as_object(shown: Shown) -> Any:
    """Return the same as plain values."""
    return api.plain(
        {
            "service": shown.service,
            "environment": shown.environment,
            "at": shown.at,
            "state": shown.state,
            "uptimes": _by_span(shown.uptimes),
            "checks": [
                {
                    **{key: value for key, value in asdict(row.check).items() if key != "uptime"},
                    "uptimes": _by_span(row.uptimes),
                }
                for row in shown.rows
            ],
        }
    )


def _by_span(uptimes: Sequence[UptimeFigures]) -> dict[str, Any]:
    return {span: asdict(one) for span, one in zip(SPANS, uptimes, strict=True)}


def _cells(row: Row, now: float) -> tuple[str, ...]:
    one = row.check
    value = plain(one.output, width=MAX_VALUE)
    if not value and one.value is not None:
        unit = "%" if one.unit == "percent" else one.unit
        value = plain(f"{texts.number(one.value)} {unit}".rstrip(), width=MAX_VALUE)
    return (
        plain(one.name) + ("" if one.critical else " *"),
        one.state,
        texts.NOTHING if one.since is None else texts.span(now - one.since),
        texts.ago(one.last_at, now),
        value or texts.seconds(one.duration_s),
        *(uptime_text(uptime) for uptime in row.uptimes),
    )


def _mark(state: str) -> str:
    symbol, colour = STYLES[state]
    return click.style(symbol, fg=colour, bold=True)


def _unknown(name: str, names: Sequence[str]) -> str:
    near = get_close_matches(name, names, n=1)
    if near:
        return f"there is no health check {name!r}; did you mean {near[0]!r}?"
    known = ", ".join(names)
    return f"there is no health check {name!r}; there are: {known}" if known else NONE_YET
