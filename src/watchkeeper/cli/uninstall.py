"""`watchkeeper uninstall`: our tables taken out of the database again."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import click

from watchkeeper.cli.source import Source, open_untouched, sqlite_file, with_source
from watchkeeper.cli.terminal import echo
from watchkeeper.cli.verbs import USAGE
from watchkeeper.storage.upkeep import OwnTable


@click.command()
@with_source
@click.option("--yes", is_flag=True, help="Drop the tables; without it they are only listed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    source: Source,
    yes: bool,
    as_json: bool,
) -> int | None:
    """Drop Watchkeeper's tables, of every service, with all that is in them.

    Exactly those with the set prefix (on PostgreSQL: in the set schema) that Watchkeeper makes.
    Stop the application first, or switch Watchkeeper off in it: it would make them anew.
    """
    settings = source.settings
    store = open_untouched(settings)
    try:
        described = store.description()
        tables = store.remove() if yes else store.tables()
    finally:
        store.close()
    if as_json:
        plain = [asdict(one) for one in tables]
        echo(json.dumps({"database": described, "dropped": yes, "tables": plain}))
    else:
        for line in _lines(tables):
            echo(line)
        echo(f"{described} (from {source.database_from})", err=True)
    if not tables:
        echo(
            f"there are no tables of Watchkeeper's with the prefix {settings.table_prefix}",
            err=True,
        )
        return None
    if not yes:
        echo(f"nothing was dropped: --yes drops these {len(tables)} tables", err=True)
        return USAGE
    echo(f"dropped {len(tables)} tables", err=True)
    file = sqlite_file(settings)
    if file is not None:
        echo(f"the file {file} stays; delete it if nothing else is in it", err=True)
    return None


def _lines(tables: Sequence[OwnTable]) -> list[str]:
    return [
        f"{one.name} ({one.partitions} partitions)" if one.partitions else one.name
        for one in tables
    ]
