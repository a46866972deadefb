"""`watchkeeper migrate`: the tables brought up to date, or the SQL for it printed."""

import json
import time

import click

from watchkeeper.cli.actor import actor, scope_of
from watchkeeper.cli.source import Source, open_any, with_source
from watchkeeper.cli.terminal import echo
from watchkeeper.runtime.audit import Action, write_down
from watchkeeper.storage import Store


@click.command()
@with_source
@click.option("--sql", is_flag=True, help="Print the SQL that is missing; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    source: Source,
    sql: bool,
    as_json: bool,
) -> None:
    """Bring the tables up to date, making them if there are none.

    With migrate = "auto" the application does it by itself when it starts.
    """
    store = open_any(source.settings)
    try:
        if sql:
            _print_sql(store, as_json=as_json)
            return
        before = store.schema().found
        now = store.migrate()
        if now != before:
            write_down(
                store,
                scope_of(source.settings),
                Action.SCHEMA_MIGRATE,
                actor=actor(),
                at=time.time(),
                target=f"schema {now}",
                data={"before": before},
            )
        described = store.description()
    finally:
        store.close()
    if as_json:
        echo(json.dumps({"database": described, "before": before, "schema": now}))
        return
    done = f"schema {before} → {now}" if before != now else f"schema {now}: nothing to do"
    echo(f"{described} (from {source.database_from}): {done}")


def _print_sql(store: Store, *, as_json: bool) -> None:
    """Print what is missing; standard output holds SQL alone, so that it can be piped."""
    schema, statements = store.schema(), store.missing_sql()
    if as_json:
        plain = {"database": store.description(), "before": schema.found, "schema": schema.known}
        echo(json.dumps({**plain, "sql": statements}))
        return
    where = store.description()
    echo(f"-- watchkeeper, {where}: from schema {schema.found} to {schema.known}")
    for statement in statements:
        echo(f"{statement};")
    if not statements:
        echo("-- nothing is missing")
