"""`watchkeeper erase`: what is kept about one user, deleted."""

import json
import time
from dataclasses import asdict
from typing import Final

import click

from watchkeeper.cli.actor import actor, scope_of
from watchkeeper.cli.source import Source, open_existing, with_source
from watchkeeper.cli.terminal import echo, plain
from watchkeeper.cli.upkeep import consent, pause, progress
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.audit import Action, write_down
from watchkeeper.runtime.erasure import erase_user
from watchkeeper.runtime.marks import hashed_user, use_key
from watchkeeper.storage import Store
from watchkeeper.storage.upkeep import Kind

AHEAD_S: Final = 86_400.0  # what is stored may be from a clock that is ahead of ours


@click.command()
@with_source
@click.option("--user", required=True, metavar="ID", help="The id, as given to set_user.")
@click.option("--dry-run", is_flag=True, help="Count what would go; delete nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    source: Source,
    user: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete the stored requests and errors of one user of the service.

    Users are known by a hash that the setting secret_key goes into: it must be the application's.
    """
    if not user:
        raise ConfigurationError("--user: the id is empty")
    settings = source.settings
    use_key(settings.secret_key)
    store = open_existing(settings)
    try:
        described = store.description()
        if not dry_run:
            where = f"{plain(settings.service)} ({plain(settings.environment)})"
            consent(f"Delete all samples and events of this user in {where}?", given=yes)
        with progress("looking", _rows(store)) as looked:
            erased = erase_user(
                store,
                hashed_user(user),
                service=settings.service,
                environment=settings.environment,
                dry_run=dry_run,
                pause=pause,
                on_looked=looked,
            )
        if not dry_run:
            # Not who: that would keep what was to be forgotten.
            write_down(
                store,
                scope_of(settings),
                Action.USER_ERASE,
                actor=actor(),
                at=time.time(),
                data={
                    "samples": erased.samples,
                    "events": erased.events,
                    "issues": erased.issues,
                },
            )
    finally:
        store.close()
    if as_json:
        echo(
            json.dumps(
                {
                    "database": described,
                    "service": settings.service,
                    "environment": settings.environment,
                    "dry_run": dry_run,
                    **asdict(erased),
                }
            )
        )
        return
    echo(f"{described} (from {source.database_from})", err=True)
    echo(
        f"{'would erase' if dry_run else 'erased'} {erased.samples:,} samples and "
        f"{erased.events:,} events of this user, of {erased.looked_at:,} rows of "
        f"{plain(settings.service)} ({plain(settings.environment)}), "
        f"and the mark on {erased.issues:,} issues"
    )
    if not erased.samples and not erased.events and not erased.issues:
        key = "with the secret_key" if settings.secret_key else "without a secret_key"
        echo(f"the id was hashed {key} that is set here; is it the application's?", err=True)


def _rows(store: Store) -> int:
    """Count the rows to look through, of all services: the length of a bar."""
    later = time.time() + AHEAD_S
    found = [*store.past(Kind.SAMPLES, before=later), *store.past(Kind.EVENTS, before=later)]
    return sum(one.rows for one in found if one.what in ("samples", "events"))
