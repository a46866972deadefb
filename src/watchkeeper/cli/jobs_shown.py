"""How jobs look on a terminal."""

from collections.abc import Iterator, Sequence
from typing import Final

import click

from watchkeeper.cli.terminal import plain
from watchkeeper.core.units import format_duration
from watchkeeper.dashboard import texts
from watchkeeper.dashboard.jobs import JobState
from watchkeeper.dashboard.views_inside import JobFigures, Timing

COLOURS: Final = {
    JobState.FAILED: "yellow",
    JobState.LATE: "red",
    JobState.OK: "green",
    JobState.UNKNOWN: "yellow",
}
HEADINGS: Final = ("JOB", "STATE", "SCHEDULE", "LAST RUN", "TOOK", "DUE", "LATE BY", "GOOD 7 d")
MAX_NAME: Final = 40
_BECAUSE: Final = {
    "missed": "no run since it was due",
    "never_ran": "it has never succeeded",
    "no_end": "it has begun and told no end",
}


def table(rows: Sequence[JobFigures], now: float) -> Iterator[str]:
    """Yield a line per job, the names of the columns first."""
    cells = [HEADINGS, *(_cells(one, now) for one in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADINGS))]
    states = [None, *(JobState(one.state) for one in rows)]
    for row, state in zip(cells, states, strict=True):
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        if state is not None:
            padded[1] = click.style(padded[1], fg=COLOURS.get(state))
        yield "  ".join(padded).rstrip()


def details(one: JobFigures, now: float) -> Iterator[str]:
    """Yield all that is known of a job, a line each."""
    state = click.style(one.state.upper(), fg=COLOURS.get(JobState(one.state)))
    yield f"{state}   {plain(one.job)}"
    told = " (by its address)" if one.pinged else ""
    yield f"  schedule      {plain(one.schedule or 'none')}{told}"
    if one.grace_s is not None:
        yield f"  grace         {format_duration(one.grace_s)}"
    if one.due is not None:
        yield f"  due           {texts.exact(one.due)}"
    if one.lateness_s:
        because = _BECAUSE.get(one.late_because or "", "")
        yield f"  late by       {texts.span(one.lateness_s)}{f': {because}' if because else ''}"
    if one.running_since is not None:
        yield f"  running       since {texts.exact(one.running_since)}"
    run = one.last_run
    if run is not None:
        how = f"{plain(run.outcome)}, took {texts.seconds(run.seconds)}"
        yield f"  last run      {texts.exact(run.at)}   {how}"
        if run.output:
            yield f"  output        {plain(run.output)}"
    if one.last_success is not None:
        yield f"  last success  {texts.exact(one.last_success)}"
    outcomes = ", ".join(f"{count} {plain(name)}" for name, count in one.outcomes.items())
    yield f"  7 days        {outcomes or 'no runs'}; {texts.share(one.success_share)} good"
    yield f"  took          p50 {texts.seconds(one.p50_s)}, p95 {texts.seconds(one.p95_s)}"
    yield f"  waited        {_timing(one.wait)}"
    if one.since is not None:
        yield f"  known since   {texts.exact(one.since)}"


def _cells(one: JobFigures, now: float) -> tuple[str, ...]:
    run = one.last_run
    return (
        plain(one.job, width=MAX_NAME),
        one.state,
        plain(one.schedule or texts.NOTHING, width=MAX_NAME),
        f"{texts.ago(run.at, now)}, {plain(run.outcome)}" if run is not None else texts.NOTHING,
        texts.seconds(run.seconds if run is not None else None),
        _due(one, now),
        texts.span(one.lateness_s) if one.lateness_s else texts.NOTHING,
        texts.share(one.success_share),
    )


def _due(one: JobFigures, now: float) -> str:
    if one.due is None:
        return texts.NOTHING
    return f"in {texts.span(one.due - now)}" if one.due > now else texts.ago(one.due, now)


def _timing(wait: Timing | None) -> str:
    if wait is None:
        return texts.NOTHING
    return f"p50 {texts.seconds(wait.p50_s)}, p95 {texts.seconds(wait.p95_s)}"
