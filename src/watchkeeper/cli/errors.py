"""`watchkeeper errors`: issues listed, shown, and what people do with them."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import click

from watchkeeper.cli.actor import actor, scope_of
from watchkeeper.cli.errors_shown import list_lines, show_lines
from watchkeeper.cli.listing import Listing, opened
from watchkeeper.cli.listing import as_json as with_json
from watchkeeper.cli.listing import query as query_of
from watchkeeper.cli.source import Source, with_source
from watchkeeper.cli.terminal import columns, echo, harmless, plain
from watchkeeper.cli.upkeep import consent, read_moment
from watchkeeper.core.kept_events import MAX_EVENTS
from watchkeeper.core.units import parse_duration
from watchkeeper.dashboard import api
from watchkeeper.dashboard.issue_text import as_text, until_text
from watchkeeper.dashboard.issues import UNSOLVED, issues
from watchkeeper.dashboard.parameters import ParameterError, parse_page
from watchkeeper.dashboard.searching import parse_search
from watchkeeper.exceptions import ConfigurationError, TriageError
from watchkeeper.runtime.issue_names import find_issue
from watchkeeper.runtime.marks import hashed_user, use_key
from watchkeeper.runtime.triage import Triage
from watchkeeper.storage import Store
from watchkeeper.storage.issues import Sort
from watchkeeper.storage.store import Issue

LIMIT = 25
ALL = "all"


@click.group(cls=Listing)
def command() -> None:
    """List and show issues; resolve, mute, merge and split them.

    An issue is named by its number, or by the first digits of its fingerprint.
    """


def _said(verb: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--comment", default="", metavar="TEXT", help="Say why.")(verb)


_named = click.argument("names", metavar="ID...", nargs=-1, required=True)
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@command.command("list")
@with_source
@click.option(
    "--state",
    metavar="WORDS",
    help="open, came_back, resolved, muted, ignored, new, rising; or all.",
)
@click.option("--search", metavar="TEXT", help="A part of type, title or culprit.")
@click.option("--type", metavar="NAME", help="The exception's full name.")
@click.option("--route", metavar="ROUTE", help='"/checkout", or "POST /checkout".')
@click.option("--release", metavar="NAME", help="Happened in this release.")
@click.option("--user", metavar="ID", help="Happened to this user, as given to set_user.")
@click.option("--level", metavar="NAME", help="warning, error or critical.")
@click.option("--request-id", metavar="ID", help="One of its stored events has this request.")
@click.option("--since", metavar="TIME", help="Seen within this time, such as 24h.")
@click.option("--sort", type=click.Choice([one.value for one in Sort]), help="What to begin with.")
@click.option("--limit", default=str(LIMIT), show_default=True, help="How many.")
@with_json
def list_issues(source: Source, user: str | None, as_json: bool, **asked: str | None) -> None:
    """List issues: those that are open or came back, unless --state says otherwise."""
    query = {name: value for name, value in asked.items() if value is not None}
    usual = "state" not in query
    if query.get("state") == ALL:
        del query["state"]
    elif usual:
        query["state"] = ",".join(UNSOLVED)
    if user is not None:
        use_key(source.settings.secret_key)
        query["user"] = hashed_user(user)
    with opened(source) as (store, now):
        try:
            wanted, page = parse_search(query, now=now), parse_page(query)
        except ParameterError as error:
            raise ConfigurationError(f"--{error}") from None
        view = issues(query_of(source, store, now), wanted.search, page=page, rising=wanted.rising)
    if as_json:
        echo(json.dumps(api.plain(asdict(view))))
        return
    for line in list_lines(view, width=columns()):
        echo(line)
    if not view.issues:
        echo("no such issue" + ("; --state all lists all" if usual else ""), err=True)
        if user is not None:
            key = "with the secret_key" if source.settings.secret_key else "without a secret_key"
            echo(f"the id was hashed {key} that is set here; is it the application's?", err=True)
    elif view.more:
        echo(f"there are more: --limit, at most 500, is {page.limit}", err=True)


@command.command()
@click.argument("name", metavar="ID")
@with_source
@click.option("--event", default=1, metavar="N", help="The Nth newest stored occurrence.")
@click.option("--text", is_flag=True, help="Print what is worth copying into a ticket.")
@with_json
def show(source: Source, name: str, event: int, text: bool, as_json: bool) -> None:
    """Show an issue: stack, request, where and how often it happens, what was done with it."""
    from watchkeeper.dashboard.issue import issue_view  # a list need not wait for it

    if not 1 <= event <= MAX_EVENTS:
        raise ConfigurationError(f"--event: write a number from 1, the newest, to {MAX_EVENTS}")
    with opened(source) as (store, now):
        found = find_issue(store, scope_of(source.settings), name)
        view = issue_view(query_of(source, store, now), found.id, number=event)
    if view is None:  # it was deleted in this moment
        raise TriageError(f"there is no issue {name} any more")
    if as_json:
        echo(json.dumps(api.plain(asdict(view))))
    elif text:
        echo(harmless(as_text(view), but="\n"))
    else:
        for line in show_lines(view):
            echo(line)


@command.command()
@_named
@with_source
@click.option("--next-release", is_flag=True, help="Releases that are known may go on having it.")
@_said
@with_json
def resolve(
    source: Source, names: Sequence[str], next_release: bool, comment: str, as_json: bool
) -> None:
    """Mark issues as repaired; one that happens again came back."""
    with _triage(source) as (who, store):
        for_all = [
            who.resolve(one, next_release=next_release, comment=comment)
            for one in _numbers(store, source, names)
        ]
    _tell(for_all, "resolved" + (" in the next release" if next_release else ""), as_json)


@command.command()
@_named
@with_source
@click.option("--for", "for_", metavar="TIME", help="For a time, such as 2d.")
@click.option("--until", metavar="MOMENT", help="Until 2026-12-01, or 2026-12-01T08:30 (UTC).")
@click.option("--events", type=int, metavar="N", help="Until it happened N more times.")
@click.option("--per", metavar="TIME", help="With --events: as many within a time, such as 1h.")
@click.option("--users", type=int, metavar="N", help="Until it met N users in all.")
@_said
@with_json
def mute(
    source: Source,
    names: Sequence[str],
    for_: str | None,
    until: str | None,
    events: int | None,
    per: str | None,
    users: int | None,
    comment: str,
    as_json: bool,
) -> None:
    """Let issues be quiet, for a time or for good: samples go on, alerts do not."""
    if for_ is not None and until is not None:
        raise ConfigurationError("--for and --until: give one of them")
    ends_at = None if until is None else read_moment(until, "--until")
    if for_ is not None:
        ends_at = time.time() + parse_duration(for_, where="--for")
    per_s = None if per is None else parse_duration(per, where="--per")
    with _triage(source) as (who, store):
        done = [
            who.mute(one, until=ends_at, events=events, per_s=per_s, users=users, comment=comment)
            for one in _numbers(store, source, names)
        ]
    _tell(done, lambda one: f"muted {until_text(one.state_data.get('until'))}", as_json)


@command.command()
@_named
@with_source
@_said
@with_json
def ignore(source: Source, names: Sequence[str], comment: str, as_json: bool) -> None:
    """Count issues and do no more: no samples, no alerts."""
    with _triage(source) as (who, store):
        done = [who.ignore(one, comment=comment) for one in _numbers(store, source, names)]
    _tell(done, "ignored", as_json)


@command.command()
@_named
@with_source
@_said
@with_json
def reopen(source: Source, names: Sequence[str], comment: str, as_json: bool) -> None:
    """Take back what was done with issues: they are open again."""
    with _triage(source) as (who, store):
        done = [who.reopen(one, comment=comment) for one in _numbers(store, source, names)]
    _tell(done, "open", as_json)


@command.command()
@click.argument("name", metavar="ID")
@click.argument("text")
@with_source
@with_json
def comment(source: Source, name: str, text: str, as_json: bool) -> None:
    """Add a comment to an issue's history."""
    with _triage(source) as (who, store):
        (one,) = _numbers(store, source, [name])
        who.comment(one, text)
        done = [who.issue(one)]
    _tell(done, "commented", as_json)


@command.command()
@click.argument("into", metavar="INTO")
@_named
@with_source
@_said
@_yes
@with_json
def merge(
    source: Source, into: str, names: Sequence[str], comment: str, yes: bool, as_json: bool
) -> None:
    """Make one issue of several: the first one, which keeps its state."""
    with _triage(source) as (who, store):
        first, *others = _numbers(store, source, [into, *names])
        if not others:
            raise TriageError(f"merge: {' and '.join([into, *names])} are one issue; name two")
        _consent(f"Merge {_count(len(others))} into issue {first}?", given=yes)
        for other in others:
            who.merge(first, other, comment=comment)
        done = [who.issue(first)]
    _tell(done, f"one issue of {len(others) + 1}", as_json)


@command.command()
@click.argument("name", metavar="ID")
@with_source
@click.option("--path", default="", metavar="HASH", help="What came by this call path.")
@click.option("--fingerprint", default="", metavar="HASH", help="What has this fingerprint.")
@_said
@with_json
def split(
    source: Source, name: str, path: str, fingerprint: str, comment: str, as_json: bool
) -> None:
    """Make an issue of its own of what came by one call path, or under one fingerprint.

    `watchkeeper errors show` lists them; the first digits are enough.
    """
    with _triage(source) as (who, store):
        (one,) = _numbers(store, source, [name])
        done = [who.split(one, path=path, fingerprint=fingerprint, comment=comment)]
    _tell(done, f"an issue of its own, split from {one}", as_json)


@command.command()
@_named
@with_source
@_said
@_yes
@with_json
def delete(source: Source, names: Sequence[str], comment: str, yes: bool, as_json: bool) -> None:
    """Delete issues with all they hold; what happens again is new.

    What you say stands in the audit, for the history goes as well.
    """
    with _triage(source) as (who, store):
        numbers = _numbers(store, source, names)
        done = [who.issue(one) for one in numbers]
        _consent(f"Delete {_count(len(numbers))} with counts, events and history?", given=yes)
        for one in numbers:
            who.delete(one, comment=comment)
    _tell(done, "deleted", as_json)


@contextmanager
def _triage(source: Source) -> Iterator[tuple[Triage, Store]]:
    """Open the database for somebody who changes something."""
    with opened(source) as (store, now):
        yield Triage(store, scope_of(source.settings), actor=actor(), now=now), store


def _numbers(store: Store, source: Source, names: Sequence[str]) -> list[int]:
    """Find all issues that are meant before anything is done with one of them."""
    scope = scope_of(source.settings)
    return list(dict.fromkeys(find_issue(store, scope, name).id for name in names))


def _consent(question: str, *, given: bool) -> None:
    consent(question, given=given, or_look="watchkeeper errors show to look")


def _tell(done: Sequence[Issue], what: str | Callable[[Issue], str], as_json: bool) -> None:
    """Say what became of each issue."""
    if as_json:
        shown = [
            {"id": one.id, "fingerprint": one.fingerprint, "state": one.state} for one in done
        ]
        echo(json.dumps({"issues": shown}))
        return
    for one in done:
        said = what if isinstance(what, str) else what(one)
        echo(f"{one.id}  {plain(one.title or one.type, width=80)}: {said}")


def _count(number: int) -> str:
    return "1 issue" if number == 1 else f"{number} issues"
