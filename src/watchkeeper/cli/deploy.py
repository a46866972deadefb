"""`watchkeeper deploy`: a mark that a release is live from now on, and the list of marks."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import click

from watchkeeper.cli.actor import actor, scope_of
from watchkeeper.cli.listing import as_json, foreign, opened
from watchkeeper.cli.source import Source, with_source
from watchkeeper.cli.terminal import echo, plain
from watchkeeper.cli.upkeep import read_moment
from watchkeeper.core.units import parse_duration
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.audit import Action, write_down
from watchkeeper.settings.releases import MAX_RELEASE
from watchkeeper.storage.store import MarkKind, Release, Store

LISTED: Final = 20
MAX_LISTED: Final = 1_000
AHEAD_S: Final = 60.0  # a clock may be ahead; what is to come is no mark


@click.command()
@click.argument("release", required=False)
@click.option("--at", "moment", metavar="TIME", help="A past moment, or how long ago: 10m.")
@click.option("--again", is_flag=True, help="It was there before, and is back.")
@as_json
@with_source
def command(
    release: str | None, moment: str | None, again: bool, as_json: bool, source: Source
) -> None:
    """Mark that a release is live from now on; without a name list the marks.

    Only for releases that the application does not name by itself. One that is marked already
    keeps its first mark; --again adds one that it is back.
    """
    name = None if release is None else _name(release)
    if again and name is None:
        raise click.UsageError("--again: which release is back? Name it")
    with opened(source) as (store, now):
        at = None if moment is None else _past(moment, now=now)
        if name is not None:
            mark = Release(
                scope=replace(scope_of(source.settings), release=name),
                at=now if at is None else at,
                by=actor(),
                kind=MarkKind.RETURN if again else MarkKind.NEW,
            )
            if warning := foreign(source, store):
                echo(f"watchkeeper: {plain(warning, width=400)}", err=True)
            _mark(store, mark, as_json=as_json)
            return
        found = store.releases(
            service=source.settings.service,
            environment=source.settings.environment,
            since=at or 0.0,
            until=now + AHEAD_S,
            limit=LISTED if at is None else MAX_LISTED,
        )
    if as_json:
        echo(json.dumps({"releases": [_object(one) for one in found]}))
        return
    for line in _lines(found):
        echo(line)


def _name(text: str) -> str:
    """Return a release's name as it is kept; raise UsageError for what cannot be one."""
    name = text.strip()
    if not name:
        raise click.UsageError("a release needs a name, such as v2.31")
    if len(name) > MAX_RELEASE or not name.isprintable():
        raise click.UsageError(
            f"a release's name has at most {MAX_RELEASE} characters, all of them printable"
        )
    return name


def _mark(store: Store, mark: Release, *, as_json: bool) -> None:
    """Set a mark, write down who did, and tell whether it was new."""
    scope = mark.scope
    new = not (mark.kind is MarkKind.RETURN and _is_live(store, mark)) and store.mark_release(mark)
    if new:
        write_down(
            store, scope, Action.RELEASE_MARK, actor=mark.by, at=time.time(), target=scope.release
        )
    if as_json:
        echo(json.dumps(_object(mark) | {"new": new}))
        return
    place = f"{scope.service} ({scope.environment}), {store.description()}"
    echo(f"{plain(scope.release)} is {'marked' if new else 'marked already'}; {place}")


def _is_live(store: Store, mark: Release) -> bool:
    """Tell whether the newest mark before a moment is of the same release."""
    found = store.releases(
        service=mark.scope.service,
        environment=mark.scope.environment,
        since=0.0,
        until=mark.at,
        limit=1,
    )
    return any(one.scope.release == mark.scope.release for one in found)


def _past(text: str, *, now: float) -> float:
    """Read a moment or how long ago it was; raise ConfigurationError."""
    try:
        at = now - parse_duration(text)
    except ConfigurationError:
        at = read_moment(text, "--at")
    if not 0 < at <= now + AHEAD_S:
        raise ConfigurationError(f"--at: {text} is not past")
    return at


def _object(mark: Release) -> dict[str, Any]:
    return {
        "release": mark.scope.release,
        "at": mark.at,
        "by": mark.by or None,
        "kind": mark.kind,
    }


def _lines(marks: Sequence[Release]) -> list[str]:
    width = max((len(plain(one.scope.release)) for one in marks), default=0)
    lines = []
    for one in marks:
        notes = ["again"] if one.kind is MarkKind.RETURN else []
        notes += [f"by {plain(one.by)}"] if one.by else []
        when = datetime.fromtimestamp(one.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        name = plain(one.scope.release)
        lines.append(f"{when}  {name:<{width}}   {', '.join(notes)}".rstrip())
    return lines or ["no release is marked"]
