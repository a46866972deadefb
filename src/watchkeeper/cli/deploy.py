"""`watchkeeper deploy`: a mark that a release is live from now on."""

import time
from dataclasses import replace

import click

from watchkeeper.cli.actor import actor, scope_of
from watchkeeper.cli.source import Source, open_existing, with_source
from watchkeeper.cli.terminal import echo
from watchkeeper.runtime.audit import Action, write_down
from watchkeeper.storage.store import Release


@click.command()
@click.argument("release")
@with_source
def command(release: str, source: Source) -> None:
    """Mark that a release is live from now on.

    Only for releases that the application does not name by itself. One that is marked already
    keeps its first mark.
    """
    if not release.strip():
        raise click.UsageError("a release needs a name, such as v2.31")
    scope = replace(scope_of(source.settings), release=release.strip())
    now, who = time.time(), actor()
    store = open_existing(source.settings)
    try:
        new = store.mark_release(Release(scope=scope, at=now, by=who))
        if new:
            write_down(store, scope, Action.RELEASE_MARK, actor=who, at=now, target=scope.release)
        described = store.description()
    finally:
        store.close()
    place = f"{scope.service} ({scope.environment})"
    echo(f"{scope.release} is {'marked' if new else 'marked already'}; {place}, {described}")
