"""How issues, facets and history are made, cut and joined: what every store does alike."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from watchkeeper.core.issues import NEXT, State
from watchkeeper.core.kept_events import EventMark
from watchkeeper.core.metrics import Scope
from watchkeeper.core.rule import LEVELS
from watchkeeper.storage.issues import MAX_FACETS, Facet, FacetKind, IssueEntry
from watchkeeper.storage.records import Event, Issue, IssueCount
from watchkeeper.storage.rows import MAX_FINGERPRINT, MAX_NAME, MAX_OUTPUT, MAX_TITLE, cut

MAX_ALIASES: Final = 5  # older fingerprints kept per error: one for each algorithm still in use
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")

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


def event_names(event: Event) -> tuple[str, ...]:
    """Return the names that may lead to an event's issue, in the order they are tried."""
    paths = (by_path(event.fingerprint, event.path),) if event.path else ()
    return (*paths, cut(event.fingerprint, MAX_FINGERPRINT))


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


def joined(into: Issue, other: Issue, *, new_users: int) -> Issue:
    """Return what an issue is once another one, with so many users it had not, is merged into it.

    It keeps its state: what the other one counted by then neither ends a mute nor brings it back.
    """
    newer, older = other.last_at > into.last_at, other.first_at < into.first_at
    return replace(
        into,
        scope=replace(into.scope, release=other.scope.release) if older else into.scope,
        count=into.count + other.count,
        first_at=min(into.first_at, other.first_at),
        last_at=max(into.last_at, other.last_at),
        last_release=other.last_release if newer else into.last_release,
        state_at=_resolved_at(into, other),
        state_data=_until(into, more_events=other.count, more_users=new_users),
        version=into.version + 1,
        users=into.users + new_users,
    )


def _resolved_at(into: Issue, other: Issue) -> float:
    """Return since when an issue is resolved, together with another one.

    What has happened again since, but was not moved on yet, comes back all the same; so does what
    is resolved in the next release, if a newer one had the other issue and that is open.
    """
    if into.state != State.RESOLVED or into.last_at > into.state_at:
        return into.state_at
    moments = [into.state_at]
    if other.state == State.RESOLVED:
        moments.append(other.state_at)
    if into.state_data.get("release") != NEXT:
        moments.append(other.last_at)
    return max(moments)


def _until(issue: Issue, *, more_events: int, more_users: int = 0) -> Mapping[str, Any]:
    """Return the data of a state whose totals grew by what did not happen since."""
    ends = issue.state_data.get("until")
    if issue.state != State.MUTED or not isinstance(ends, Mapping):
        return issue.state_data
    more = {"events": more_events, "users": more_users}
    moved = {
        name: value + more[name] if name in more and isinstance(value, int) else value
        for name, value in ends.items()
    }
    return {**issue.state_data, "until": moved}


def left_over(issue: Issue, new: Issue) -> Issue:
    """Return what an issue is once another one was split off it."""
    gone = min(new.count, issue.count)
    return replace(
        issue,
        count=issue.count - gone,
        state_data=_until(issue, more_events=-gone),
        version=issue.version + 1,
    )


def split_names(
    issue: Issue,
    names: Collection[str],
    *,
    fingerprint: str,
    path: str,
    paths: Collection[str],
) -> list[str]:
    """Return the names that are to lead to an issue of their own, the one it is called by first.

    `names` are those that lead to the issue, `paths` the call paths that it was seen by. None of
    them if nothing came under the fingerprint or by the path, or nothing would be left.
    """
    whole = [one for one in names if "/" not in one and not is_merged_name(one)]
    if path:
        if path not in paths or len(paths) < 2:
            return []
        ends = f"/{path}"
        found = [one for one in names if one.endswith(ends)] + [
            by_path(one, path) for one in whole
        ]
        first = by_path(issue.fingerprint, path)
        return sorted(dict.fromkeys(found), key=lambda one: (one != first, one))
    if fingerprint not in whole or len(whole) < 2:
        return []
    begins = f"{fingerprint}/"
    return [fingerprint, *(one for one in names if one.startswith(begins))]


def split_off(
    issue: Issue,
    name: str,
    moved: Collection[EventMark],
    path: Facet | None,
    *,
    entry: IssueEntry,
) -> Issue:
    """Return the issue that is made of what came under a name: its events, its path's total."""
    moments = [one.at for one in moved] + ([path.first_at, path.last_at] if path else [])
    return replace(
        issue,
        id=0,
        fingerprint=name,
        state=State.OPEN.value,
        count=path.count if path else 0,
        first_at=min(moments, default=issue.first_at),
        last_at=max(moments, default=issue.last_at),
        last_release=max(moved, key=lambda one: one.at).release if moved else issue.last_release,
        state_at=entry.at,
        state_by=entry.actor,
        state_data={},
        version=1,  # nobody needs to be told of it as new
        users=0,
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
