"""Issues over their life: changes, facets, searching; and what a store does with them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from watchkeeper.core.issues import Reason, State
from watchkeeper.core.kept_events import EventMark
from watchkeeper.storage.records import Event, Issue

MAX_IGNORED: Final = 10_000  # names of ignored issues that workers learn
MAX_FACETS: Final = {"route": 100, "release": 100, "path": 50, "user": 1_000}  # values per issue


class FacetKind(StrEnum):
    """What the occurrences of an issue are told apart by."""

    ROUTE = "route"  # "GET /orders/{id}", "job:import"
    RELEASE = "release"
    PATH = "path"  # hash of the complete call path, which an issue can be split by
    USER = "user"  # hash of the user's id


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """One value of a kind under which an issue happened, and how often.

    Of users only whether: their `count` is 1. Values beyond MAX_FACETS of a kind are left out.
    """

    kind: FacetKind
    value: str
    count: int
    first_at: float
    last_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueEntry:
    """One line of an issue's history: a change of its state, a merge, a split or a comment."""

    id: int = 0  # given by the store
    issue: int
    at: float
    actor: str  # "cli alice", "session 1f0c9a2b"; empty: nobody, what happened did it
    before: str  # the states; equal for a comment
    after: str
    reason: Reason | None = None  # None: a comment
    comment: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)  # JSON values: until, release, from


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueChange:
    """A transition to be saved, if the issue's version is still the one that was read."""

    issue: Issue  # as it was read
    state: State
    data: Mapping[str, Any]  # of the new state: {"until": …} or {"release": "next"}
    entry: IssueEntry  # its history's new line; `at` and `actor` become those of the state


class Sort(StrEnum):
    """What a list of issues begins with."""

    LAST_SEEN = "last_seen"
    FIRST_SEEN = "first_seen"
    COUNT = "count"
    USERS = "users"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which issues of a scope are wanted; what is empty or None does not narrow.

    `text` is looked for in type, title and culprit, whatever the case; the others are exact.
    """

    service: str
    environment: str
    states: Collection[State] = ()
    text: str = ""
    type: str = ""
    route: str = ""  # with its method, "GET /orders/{id}", or without
    release: str = ""
    user: str = ""  # its hash
    request_id: str = ""
    level: str = ""
    seen_since: float = 0.0
    first_seen_since: float = 0.0
    sort: Sort = Sort.LAST_SEEN
    limit: int = 50
    offset: int = 0


class TriageStore(Protocol):
    """What people do with issues."""

    def find_issues(self, search: Search) -> list[Issue]:
        """List the issues that a search wants, in its order, newest or largest first."""

    def change_issue(self, change: IssueChange) -> Issue | None:
        """Save a transition with its line of history, in one transaction; return the issue now.

        None, having changed nothing, if the version is not the one that was read any more.
        """

    def stirred_issues(
        self, *, service: str, environment: str, limit: int, after: int = 0
    ) -> list[Issue]:
        """List what may have to move: issues muted until something, and resolved ones seen since.

        By their ids, those above `after`.
        """

    def issue_returns(
        self, *, service: str, environment: str, since: float, limit: int
    ) -> list[tuple[IssueEntry, Issue]]:
        """List the lines of history by which issues came back or a mute ended by what happened.

        Those of a scope with a reason among `core.issues.RETURNS` from `since` on, oldest first,
        each with its issue as it is now.
        """

    def comment_issue(self, entry: IssueEntry) -> bool:
        """Add a comment to an issue's history; False if there is no such issue."""

    def issue_entries(self, issue_id: int, *, limit: int) -> list[IssueEntry]:
        """Read an issue's history, newest first."""

    def facets(self, issue_id: int, kind: FacetKind, *, limit: int) -> list[Facet]:
        """Read the values of a kind, most frequent first, then latest first."""

    def merge_issues(self, into: int, other: int, *, entry: IssueEntry) -> Issue | None:
        """Make one issue of two of one scope, in one transaction; `other` is gone then.

        Fingerprints, counts, events, facets and history move to `into`, which keeps its state;
        first and last seen are those of both, and `issue` finds it by the id of `other` too. None
        if one of them does not exist.
        """

    def split_issue(
        self, issue_id: int, *, fingerprint: str = "", path: str = "", entry: IssueEntry
    ) -> Issue | None:
        """Make an open issue of what came under one fingerprint, or by one call path.

        Its stored events move, and what happens from now on counts there. Of a call path the total
        moves as well; counts per slot, and those of a fingerprint, stay where they are. Both get
        the line of history. None if there is no such issue, if nothing came under the fingerprint
        or by the path, or if nothing would be left of the issue.
        """

    def delete_issue(self, issue_id: int) -> bool:
        """Delete an issue with all it holds; if it happens again it is new. False: none there."""

    def ignored_fingerprints(self, *, service: str, environment: str) -> Mapping[str, bool]:
        """Return the names that lead to issues which are ignored (True), at most MAX_IGNORED.

        A name is a fingerprint, or a fingerprint and a call path ("1:…/…") that was split off.
        False: split off from what is ignored, and not ignored itself.
        """


class EventStore(Protocol):
    """The stored occurrences of issues."""

    def events(self, issue_id: int, *, limit: int, offset: int = 0) -> list[Event]:
        """Read the newest events of an issue, newest first."""

    def event(self, event_id: str, *, service: str, environment: str) -> Event | None:
        """Read one event of a scope."""

    def events_of_request(
        self, request_id: str, *, service: str, environment: str, limit: int
    ) -> list[Event]:
        """Read the events of one request, newest first."""

    def crowded_issues(self, *, most: int, limit: int) -> list[int]:
        """Return up to `limit` issues that have more than `most` events, fullest first."""

    def event_marks(self, issue_id: int) -> list[EventMark]:
        """Read what decides which events of an issue are kept, oldest first."""

    def drop_events(self, issue_id: int, event_ids: Collection[str]) -> int:
        """Delete events of an issue; return how many."""

    def prune_events(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` events from before; return how many."""
