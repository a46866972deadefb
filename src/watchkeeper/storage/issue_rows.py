"""How issues, facets and history are made, cut and named: what every store does alike."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final

from watchkeeper.core.issues import State
from watchkeeper.core.metrics import Scope
from watchkeeper.core.rule import LEVELS
from watchkeeper.storage.issues import MAX_FACETS, Facet, FacetKind, IssueEntry
from watchkeeper.storage.records import Event, Issue, IssueCount, Sample
from watchkeeper.storage.rows import MAX_FINGERPRINT, MAX_NAME, MAX_OUTPUT, MAX_TITLE, cut

MAX_ALIASES: Final = 5  # older fingerprints kept per error: one for each algorithm still in use
METHODS: Final = (  # as requests are counted by; others are "_OTHER"
    *("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "_OTHER"),
)

FacetKey = tuple[FacetKind, str]


def fingerprints(found: IssueCount) -> tuple[str, ...]:
    """Return what an error is known by whatever its call path, the newest algorithm's first."""
    names = (found.fingerprint, *found.aliases[:MAX_ALIASES])
    return tuple(dict.fromkeys(cut(name, MAX_FINGERPRINT) for name in names))


def version(fingerprint: str) -> str:
    """Return what the fingerprints of one algorithm begin with."""
    return fingerprint.partition(":")[0] + ":"


def by_path(fingerprint: str, path: str) -> str:
    """Return the name of what comes under a fingerprint by one call path, once that is split."""
    return cut(f"{fingerprint}/{path}", MAX_FINGERPRINT)


def is_whole(name: str) -> bool:
    """Tell whether a name is a fingerprint, whatever the call path."""
    return "/" not in name and not is_merged_name(name)


def whole(name: str) -> str:
    """Return the fingerprint of a name."""
    return name.partition("/")[0]


def merged_name(issue_id: int) -> str:
    """Return the name by which an issue that was merged into another one leads there."""
    return f"id:{issue_id}"


def is_merged_name(name: str) -> bool:
    """Tell whether a name is that of an issue that was merged into another one."""
    return name.startswith("id:")


def ignored(names: Collection[str], split: Iterable[str]) -> dict[str, bool]:
    """Tell of names whether what they lead to is ignored.

    `names` lead to ignored issues; of those that were `split` off by a path, the ones beneath
    them that do not are told too.
    """
    told = dict.fromkeys(sorted(one for one in names if not is_merged_name(one)), True)
    beneath = (one for one in split if one not in told and one.partition("/")[0] in told)
    return told | dict.fromkeys(beneath, False)


def names(found: IssueCount) -> tuple[str, ...]:
    """Return all names that may lead to an error's issue, in the order they are tried."""
    plain = fingerprints(found)
    paths = tuple(by_path(name, found.path) for name in plain) if found.path else ()
    return paths + plain


def row_names(row: Event | Sample) -> tuple[str, ...]:
    """Return the names that may lead to an event's or a sample's issue, as they are tried."""
    paths = (by_path(row.fingerprint, row.path),) if row.path else ()
    return (*paths, cut(row.fingerprint, MAX_FINGERPRINT)) if row.fingerprint else ()


def new_names(found: IssueCount, owner: str | None) -> tuple[str, ...]:
    """Return the names that are to lead to an issue too, which was found by the name `owner`.

    One that only one call path leads to must not take what comes by the others.
    """
    plain = fingerprints(found)
    if owner is None or owner in plain:
        return plain
    return (by_path(plain[0], found.path),)


def new_issue(issue_id: int, scope: Scope, found: IssueCount) -> Issue:
    """Make the issue of an error that was never seen before."""
    return Issue(
        id=issue_id,
        scope=scope,
        fingerprint=cut(found.fingerprint, MAX_FINGERPRINT),
        type=cut(found.type, MAX_NAME),
        title=cut(found.title, MAX_TITLE),
        culprit=cut(found.culprit, MAX_NAME),
        level=cut(found.level, MAX_NAME),
        state=State.OPEN.value,
        count=found.count,
        first_at=found.first_at,
        last_at=found.last_at,
        last_release=scope.release,
    )


def higher(level: str, other: str) -> str:
    """Return the higher of two levels; one that is not known is the lowest."""
    return max(level, other, key=lambda one: LEVELS.index(one) if one in LEVELS else -1)


def seen_again(issue: Issue, scope: Scope, found: IssueCount) -> Issue:
    """Add what one more slot counted to a known issue."""
    newer, older = found.last_at >= issue.last_at, found.first_at < issue.first_at
    return replace(
        issue,
        scope=replace(issue.scope, release=scope.release) if older else issue.scope,
        level=higher(issue.level, cut(found.level, MAX_NAME)),
        count=issue.count + found.count,
        first_at=min(issue.first_at, found.first_at),
        last_at=max(issue.last_at, found.last_at),
        last_release=scope.release if newer else issue.last_release,
    )


def facets(found: IssueCount, scope: Scope) -> dict[FacetKey, Facet]:
    """Return what the occurrences of one count are told apart by."""
    values: list[tuple[FacetKind, str, int]] = [
        (FacetKind.RELEASE, cut(scope.release, MAX_NAME), found.count),
        (FacetKind.PATH, cut(found.path, MAX_FINGERPRINT), found.count),
        *((FacetKind.ROUTE, cut(route, MAX_NAME), count) for route, count in found.routes.items()),
        *((FacetKind.USER, cut(user, MAX_FINGERPRINT), 1) for user in found.users),
    ]
    return joined_facets(
        Facet(kind=kind, value=value, count=count, first_at=found.first_at, last_at=found.last_at)
        for kind, value, count in values
        if value
    )


def joined_facets(found: Iterable[Facet]) -> dict[FacetKey, Facet]:
    """Add up facets of the same kind and value."""
    added: dict[FacetKey, Facet] = {}
    for one in found:
        known = added.get((one.kind, one.value))
        added[one.kind, one.value] = one if known is None else _added(known, one)
    return added


def fitting(
    found: Iterable[FacetKey], known: Collection[FacetKey], counts: Mapping[str, int]
) -> list[FacetKey]:
    """Return the values that find room, those that are known first: they take none.

    `counts` tells how many values of a kind there are already.
    """
    taken = dict(counts)
    fit = []
    for key in found:
        if key not in known:
            taken[key[0]] = taken.get(key[0], 0) + 1
            if taken[key[0]] > MAX_FACETS[key[0]]:
                continue
        fit.append(key)
    return fit


def route_values(route: str) -> list[str]:
    """Return the facets that a route may be found under: as it is, or behind a method."""
    return [route, *(f"{method} {route}" for method in METHODS)]


def cut_entry(entry: IssueEntry) -> IssueEntry:
    """Cut a line of history to what is stored."""
    return replace(
        entry,
        actor=cut(entry.actor, MAX_NAME),
        before=cut(entry.before, MAX_NAME),
        after=cut(entry.after, MAX_NAME),
        comment=cut(entry.comment, MAX_OUTPUT),
    )


def _added(known: Facet, one: Facet) -> Facet:
    return replace(
        known,
        count=1 if known.kind is FacetKind.USER else known.count + one.count,
        first_at=min(known.first_at, one.first_at),
        last_at=max(known.last_at, one.last_at),
    )
