"""What the verbs share that list, show and change: a group that lists, one option, one opening."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from watchkeeper.cli.actor import scope_of
from watchkeeper.cli.source import Source, open_existing
from watchkeeper.dashboard.sums import Query
from watchkeeper.runtime.issue_names import MAX_ID_DIGITS
from watchkeeper.storage import Store

MAX_SCOPES: Final = 5  # that are named
NUMBER: Final = click.IntRange(min=1, max=10**MAX_ID_DIGITS - 1)  # that a database can look for


class Listing(click.Group):
    """A group that lists when nothing else is asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; options alone are those of `list`."""
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def as_json(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that prints one JSON object."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(verb)


@contextmanager
def opened(source: Source) -> Iterator[tuple[Store, float]]:
    """Open the database that is there; gives it with the moment."""
    store = open_existing(source.settings)
    try:
        yield store, time.time()
    finally:
        store.close()


def foreign(source: Source, store: Store) -> str:
    """Return a sentence if nobody ever wrote as the service that is meant, else nothing."""
    meant, there = scope_of(source.settings), store.scopes()
    if (meant.service, meant.environment) in there or not there:
        return ""
    named = ", ".join(f"{service} ({environment})" for service, environment in there[:MAX_SCOPES])
    more = f" and {len(there) - MAX_SCOPES} more" if len(there) > MAX_SCOPES else ""
    return (
        f"nobody has written as {meant.service} ({meant.environment}) here; there is "
        f"{named}{more}: --service, --environment"
    )


def query(source: Source, store: Store, now: float) -> Query:
    """Ask about the deployment that is meant, now."""
    settings = source.settings
    return Query(
        store=store,
        service=settings.service,
        environment=settings.environment,
        start=now,
        end=now,
        now=now,
        slot_s=settings.slot_s,
    )
