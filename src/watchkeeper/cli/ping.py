"""`watchkeeper ping`: addresses that jobs outside of Python call."""

import json
from dataclasses import asdict
from typing import Any

import click

from watchkeeper.cli.actor import actor, scope_of
from watchkeeper.cli.listing import Listing, as_json, opened
from watchkeeper.cli.open import DEFAULT_ADDRESS
from watchkeeper.cli.source import Source, with_source
from watchkeeper.cli.terminal import echo, plain
from watchkeeper.core.job_facts import JobFacts
from watchkeeper.core.ping import PATH
from watchkeeper.core.schedules import parse_schedule
from watchkeeper.dashboard import texts
from watchkeeper.runtime import job_addresses, job_memory
from watchkeeper.runtime.jobs import check_name


@click.group(cls=Listing)
def command() -> None:
    """Give jobs outside of Python an address that they call: cron jobs, backups, scripts."""


@command.command("list")
@with_source
@as_json
def list_addresses(source: Source, as_json: bool) -> None:
    """List the jobs that have an address; the addresses themselves are kept nowhere."""
    with opened(source) as (store, now):
        kept = job_memory.read(store, scope_of(source.settings)).facts
    found = [one for _, one in sorted(kept.items()) if one.plan is not None and one.plan.tokens]
    if as_json:
        echo(json.dumps({"pings": [_plain(one) for one in found]}))
        return
    for one in found:
        schedule = one.schedule.text if one.schedule is not None else "no schedule"
        run = one.last_run
        last = f"{run.outcome} {texts.ago(run.at, now)}" if run is not None else "never called"
        echo(f"{plain(one.name)}   {plain(schedule)}   {plain(last)}")
    if not found:
        echo("no job has an address; watchkeeper ping add NAME --every 24h makes one")


@command.command("add")
@click.argument("name")
@with_source
@click.option("--every", metavar="TIME", help="How often it runs, such as 24h.")
@click.option("--cron", metavar="EXPRESSION", help='When it runs: "0 3 * * *".')
@click.option("--tz", metavar="ZONE", help="The time zone of --cron; UTC, unless given.")
@click.option("--grace", metavar="TIME", help="How late it may be, such as 1h.")
@as_json
def add(
    source: Source,
    name: str,
    every: str | None,
    cron: str | None,
    tz: str | None,
    grace: str | None,
    as_json: bool,
) -> None:
    """Make an address for a job. It is shown once: only a digest of it is kept.

    Without --every or --cron its runs are counted, and it is never late.
    """
    check_name(name)
    schedule = parse_schedule(every=every, cron=cron, tz=tz, grace=grace, where=f"job {name!r}")
    settings = source.settings
    with opened(source) as (store, now):
        author = job_addresses.Author(scope=scope_of(settings), actor=actor(), at=now)
        token = job_addresses.add(store, name, schedule, author=author)
    base = settings.public_url.rstrip("/") or DEFAULT_ADDRESS
    if not settings.public_url:
        echo(
            f"public_url is not set, so {DEFAULT_ADDRESS} is a guess: "
            "if the application answers elsewhere, set WATCHKEEPER_PUBLIC_URL",
            err=True,
        )
    url = f"{base}{settings.dashboard_prefix}{PATH}{token}"
    if as_json:
        echo(json.dumps({"name": name, "url": url, "token": token}))
    else:
        echo(url)
        echo("kept nowhere: write it down now. Call it when the job has ended well;", err=True)
        echo("behind it /start, /fail or an exit code tell more. In a crontab:", err=True)
        echo(f"  … ; curl -fsS -m 10 --retry 5 -o /dev/null {url}/$?", err=True)


@command.command()
@click.argument("name")
@with_source
@as_json
def remove(source: Source, name: str, as_json: bool) -> None:
    """Take a job's address away, and forget when it is to run."""
    with opened(source) as (store, now):
        author = job_addresses.Author(scope=scope_of(source.settings), actor=actor(), at=now)
        job_addresses.remove(store, name, author=author)
    echo(json.dumps({"removed": name}) if as_json else f"{name} has no address any more")


def _plain(one: JobFacts) -> dict[str, Any]:
    """Return a job as plain values, without digests."""
    schedule, run = one.schedule, one.last_run
    return {
        "name": one.name,
        "since": one.declared_at,
        "schedule": schedule.text if schedule is not None else None,
        "grace_s": schedule.grace_s if schedule is not None else None,
        "started_at": one.started_at,
        "last_success": one.last_success,
        "last_run": asdict(run) if run is not None else None,
    }
