"""`watchkeeper jobs`: how jobs do, and which are late."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Final

import click

from watchkeeper.cli.actor import actor, scope_of
from watchkeeper.cli.jobs_shown import details, table
from watchkeeper.cli.listing import Listing, as_json, opened, query
from watchkeeper.cli.source import Source, slot_length, with_source
from watchkeeper.cli.terminal import echo
from watchkeeper.cli.verbs import CRITICAL, FINE, UNKNOWN, WARNING
from watchkeeper.dashboard import api
from watchkeeper.dashboard.jobs import JobState, jobs
from watchkeeper.dashboard.parameters import MAX_LIMIT, Page
from watchkeeper.dashboard.views_inside import JobFigures, JobsView
from watchkeeper.exceptions import StorageError
from watchkeeper.runtime import job_addresses
from watchkeeper.storage import Store

SHOWN_S: Final = 7 * 86_400.0
_CODES: Final = {
    JobState.LATE: CRITICAL,
    JobState.FAILED: WARNING,
    JobState.UNKNOWN: UNKNOWN,
}
_WORST_FIRST: Final = (CRITICAL, WARNING, UNKNOWN)


class _Jobs(Listing):
    """A group whose commands may be left out: a name is that of a job to be shown."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Jobs)
def command() -> None:
    """Show how jobs do: when they ran, how it ended, when they are due.

    The exit code is 0 if all is well, 1 if the last run of one failed, 2 if one is late, 3 if no
    job is known, or nobody knows how one does.
    """


@command.command("list")
@with_source
@as_json
def list_jobs(source: Source, as_json: bool) -> int:
    """List the jobs, the worst first."""
    with opened(source) as (store, now):
        view = _view(source, store, now)
    ordered = sorted(view.jobs, key=lambda one: (_rank(one), one.job))
    if as_json:
        echo(json.dumps(api.plain(asdict(replace(view, jobs=tuple(ordered))))))
    elif ordered:
        for line in table(ordered, view.window.at):
            echo(line)
    else:
        echo("no job is known yet: none has run, none is declared, and none has an address")
    return code_of(ordered)


@command.command()
@click.argument("name")
@with_source
@as_json
def show(source: Source, name: str, as_json: bool) -> int:
    """Show all that is known of a job; its name alone will do: watchkeeper jobs NAME."""
    with opened(source) as (store, now):
        view = _view(source, store, now)
    found = [one for one in view.jobs if one.job == name]
    if not found:
        raise StorageError(f"there is no job {name!r} here; watchkeeper jobs lists them")
    if as_json:
        echo(json.dumps(api.plain(asdict(found[0]))))
    else:
        for line in details(found[0], view.window.at):
            echo(line)
    return code_of(found)


@command.command()
@click.argument("name")
@with_source
@as_json
def forget(source: Source, name: str, as_json: bool) -> None:
    """Forget a job that nobody runs any more, so that it is not late for ever."""
    with opened(source) as (store, now):
        author = job_addresses.Author(scope=scope_of(source.settings), actor=actor(), at=now)
        job_addresses.forget(store, name, author=author)
    echo(json.dumps({"forgotten": name}) if as_json else f"{name} is forgotten")


def code_of(found: Sequence[JobFigures]) -> int:
    """Return the exit code: the worst of all; unknown without any job."""
    codes = {_CODES.get(JobState(one.state), FINE) for one in found}
    if not codes:
        return UNKNOWN
    return next((code for code in _WORST_FIRST if code in codes), FINE)


def _rank(one: JobFigures) -> int:
    code = _CODES.get(JobState(one.state))
    return _WORST_FIRST.index(code) if code is not None else len(_WORST_FIRST)


def _view(source: Source, store: Store, now: float) -> JobsView:
    slot_s = slot_length(store, source.settings, now=now)
    asked = replace(query(source, store, now), start=now - SHOWN_S, slot_s=slot_s)
    return jobs(asked, page=Page(limit=MAX_LIMIT))
