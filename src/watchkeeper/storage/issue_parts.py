"""How issues are merged and split: what every store does alike."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Self

from watchkeeper.core.issues import NEXT, State
from watchkeeper.core.kept_events import EventMark
from watchkeeper.storage.issue_rows import by_path, cut_entry, is_merged_name, merged_name
from watchkeeper.storage.issues import Facet, IssueEntry
from watchkeeper.storage.records import Issue

MAX_MERGES: Final = 200  # lines of an issue's history that a split looks at, the newest
MAX_NAMES: Final = 100  # kept of an issue that is merged into another one
WAS: Final = "was"  # in the data of a merge: what the issue that is gone had been


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """What an issue was before it was merged into another one."""

    id: int
    fingerprint: str
    names: Sequence[str]  # that led to it
    type: str
    title: str
    culprit: str
    level: str
    release: str  # of its first occurrence
    first_at: float
    last_at: float
    last_release: str

    @classmethod
    def from_data(cls, data: object) -> Self | None:
        """Read what a line of history holds; None if it does not hold all of it."""
        wanted = {one.name for one in fields(cls)}
        if not isinstance(data, Mapping) or not wanted <= data.keys():
            return None
        return cls(**{name: data[name] for name in wanted})

    def restored(self, issue: Issue) -> Issue:
        """Return the issue that it is a part of, under its own name."""
        return replace(
            issue,
            scope=replace(issue.scope, release=self.release),
            type=self.type,
            title=self.title,
            culprit=self.culprit,
            level=self.level,
            last_release=self.last_release,
        )


def merge_line(entry: IssueEntry, other: Issue, names: Iterable[str]) -> IssueEntry:
    """Return the line of a merge, which says what the issue that is gone was, for a split."""
    was = Former(
        id=other.id,
        fingerprint=other.fingerprint,
        names=[one for one in names if not is_merged_name(one)][:MAX_NAMES],
        type=other.type,
        title=other.title,
        culprit=other.culprit,
        level=other.level,
        release=other.scope.release,
        first_at=other.first_at,
        last_at=other.last_at,
        last_release=other.last_release,
    )
    return replace(cut_entry(entry), data={**entry.data, WAS: asdict(was)})


def split_lines(entry: IssueEntry, issue: Issue, new: int) -> tuple[IssueEntry, IssueEntry]:
    """Return the lines of a split: that of the issue, and that of the new one."""
    line = cut_entry(entry)
    return (
        replace(line, issue=issue.id, data={**line.data, "to": new}),
        replace(
            line,
            issue=new,
            before=issue.state,
            after=State.OPEN.value,
            data={**line.data, "from": issue.id},
        ),
    )


def formers(name: str, merges: Iterable[IssueEntry]) -> list[Former]:
    """Return which issues a name led to before they were merged, those called by it first.

    `merges` are the lines of history, the newest first.
    """
    read = (Former.from_data(one.data.get(WAS)) for one in merges)
    found = [one for one in read if one is not None and name in one.names]
    return sorted(found, key=lambda one: one.fingerprint != name)


def former_names(found: Iterable[Former], name: str) -> list[str]:
    """Return the names by which old links lead to what is called by a name."""
    return sorted({merged_name(one.id) for one in found if one.fingerprint == name})


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
    former: Former | None,
    entry: IssueEntry,
) -> Issue:
    """Return the issue that is made of what came under a name: its events, its path's total.

    It is what it was before it was merged, as far as that is known.
    """
    moments = [one.at for one in moved] + ([path.first_at, path.last_at] if path else [])
    if former is not None:
        moments += [former.first_at, former.last_at]
    base = issue if former is None else former.restored(issue)
    return replace(
        base,
        id=0,
        fingerprint=name,
        state=State.OPEN.value,
        count=path.count if path else 0,
        first_at=min(moments, default=issue.first_at),
        last_at=max(moments, default=issue.last_at),
        last_release=max(moved, key=lambda one: one.at).release if moved else base.last_release,
        state_at=entry.at,
        state_by=entry.actor,
        state_data={},
        version=1,  # nobody needs to be told of it as new
        users=0,
    )
