"""`watchkeeper prune`: what is past its time, deleted now."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Final

import click

from watchkeeper.cli.actor import actor, scope_of
from watchkeeper.cli.source import Source, open_existing, with_source
from watchkeeper.cli.terminal import echo
from watchkeeper.cli.upkeep import consent, moment, pause, progress
from watchkeeper.runtime.audit import Action, write_down
from watchkeeper.runtime.pruning import Due, carry_out, due
from watchkeeper.runtime.retention import Keep
from watchkeeper.storage.upkeep import Kind

# What goes together in one deletion, as people call it; of the others their kind is the name.
NAMES: Final[Mapping[Kind, str]] = {
    Kind.SEALED: "sealed frames",
    Kind.COUNTS: "issue counts",
    Kind.SAMPLES: "samples and statements",
    Kind.CHECKS: "check results and changes",
}


@click.command()
@with_source
@click.option("--dry-run", is_flag=True, help="Tell what would go; delete nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    source: Source,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete what is past its time now, as the application does every ten minutes.

    How long things are kept is said by the settings: if the application's code sets that, name it
    with --app.
    """
    store = open_existing(source.settings)
    gone: Mapping[tuple[Kind, int], int] = {}
    try:
        described = store.description()
        keep, now = Keep.set_by(source.settings), time.time()
        found = due(store, keep, now=now)
        rows = sum(one.rows for one in found)
        if not as_json:
            for line in listed(found):
                echo(line)
            echo(f"{described} (from {source.database_from})", err=True)
        if rows and not dry_run:
            consent(f"Delete {rows:,} rows?", given=yes)
            with progress("pruning", rows) as went:
                gone = carry_out(store, keep, now=now, pause=pause, on_gone=went)
        deleted = {name(kind, resolution): count for (kind, resolution), count in gone.items()}
        if deleted:
            write_down(
                store,
                scope_of(source.settings),
                Action.PAST_PRUNE,
                actor=actor(),
                at=time.time(),
                data=deleted,
            )
    finally:
        store.close()
    if as_json:
        plain = [asdict(one) for one in found]
        echo(json.dumps({"database": described, "due": plain, "deleted": deleted}))
    elif deleted:
        echo("deleted " + ", ".join(f"{count:,} {what}" for what, count in deleted.items()))
    else:
        echo("nothing was deleted")


def listed(found: Sequence[Due]) -> Iterator[str]:
    """Yield a line for each kind of row that has something past its time."""
    some = [one for one in found if one.rows]
    if not some:
        yield "nothing is past its time"
        return
    yield f"{'ROWS':>12}  {'OLDEST (UTC)':<16}  {'KEPT FROM (UTC)':<16}  WHAT"
    for one in some:
        what = f"{one.what} of {one.resolution} s" if one.resolution else one.what
        yield f"{one.rows:>12,}  {moment(one.oldest):<16}  {moment(one.before):<16}  {what}"


def name(kind: Kind, resolution: int) -> str:
    """Name what one kind of deletion takes."""
    return f"{kind} of {resolution} s" if resolution else NAMES.get(kind, kind.value)
