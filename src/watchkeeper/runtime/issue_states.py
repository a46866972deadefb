"""Moving issues on: what was resolved and happened again, and what was muted until now."""

from collections.abc import Mapping
from math import inf
from typing import Final

from watchkeeper.core.issues import NEXT, Decision, Release, Seen, State, decide, until_of
from watchkeeper.core.metrics import Scope
from watchkeeper.storage.issues import MAX_FACETS, FacetKind, IssueChange, IssueEntry
from watchkeeper.storage.store import Issue, Store

MAX_MOVED: Final = 200  # issues looked at in one turn; the next one goes on from there
MAX_RELEASES: Final = 1_000  # deploy marks that are read


class IssueStates:
    """Looks after the issues of one scope. Any number may work on one store."""

    def __init__(self, store: Store, *, scope: Scope) -> None:
        """Use a store; nothing is read yet."""
        self._store = store
        self._scope = scope
        self._after = 0  # the last one that was looked at

    def move(self, *, now: float) -> list[Issue]:
        """Move the issues on that have to; return them as they are now. Raises StorageError.

        Each is a compare-and-set with a line of history, so that of several workers one does it,
        and a person who was faster is not overruled.
        """
        issues = self._store.stirred_issues(
            service=self._scope.service,
            environment=self._scope.environment,
            limit=MAX_MOVED,
            after=self._after,
        )
        self._after = issues[-1].id if len(issues) == MAX_MOVED else 0
        marks = self._marks() if any(_is_next(one) for one in issues) else {}
        moved = []
        for issue in issues:
            decision = decide(
                State(issue.state),
                issue.state_data,
                self._seen(issue, marks, now=now),
                since=issue.state_at,
                now=now,
            )
            if decision.state.value == issue.state:
                continue
            saved = self._store.change_issue(_change(issue, decision, now=now))
            if saved is not None:
                moved.append(saved)
        return moved

    def _marks(self) -> dict[str, float]:
        """Return when each release was first deployed."""
        marks = self._store.releases(
            service=self._scope.service,
            environment=self._scope.environment,
            since=0.0,
            until=inf,
            limit=MAX_RELEASES,
        )
        return {one.scope.release: one.at for one in marks}

    def _seen(self, issue: Issue, marks: Mapping[str, float], *, now: float) -> Seen:
        return Seen(
            count=issue.count,
            users=issue.users,
            last_at=issue.last_at,
            recently=self._recently(issue, now=now),
            releases=self._releases(issue, marks) if _is_next(issue) else (),
        )

    def _releases(self, issue: Issue, marks: Mapping[str, float]) -> list[Release]:
        """Return the releases that the issue happened under; the last one though there be many."""
        facets = self._store.facets(
            issue.id, FacetKind.RELEASE, limit=MAX_FACETS[FacetKind.RELEASE]
        )
        last = {one.value: one.last_at for one in facets} | {issue.last_release: issue.last_at}
        return [
            Release(name=name, marked_at=marks.get(name, inf), last_at=last_at)
            for name, last_at in last.items()
        ]

    def _recently(self, issue: Issue, *, now: float) -> int:
        """Count what happened within the period of a mute, in slots that began in it."""
        until = until_of(issue.state_data)
        if until.per_s is None:
            return 0
        counts = self._store.issue_counts(
            [issue.id], since=max(now - until.per_s, issue.state_at), until=now + 1, resolution=60
        )
        return sum(counts.get(issue.id, {}).values())


def _is_next(issue: Issue) -> bool:
    return issue.state == State.RESOLVED and issue.state_data.get("release") == NEXT


def _change(issue: Issue, decision: Decision, *, now: float) -> IssueChange:
    return IssueChange(
        issue=issue,
        state=decision.state,
        data={},
        entry=IssueEntry(
            issue=issue.id,
            at=now,
            actor="",
            before=issue.state,
            after=decision.state.value,
            reason=decision.reason,
            data={**issue.state_data, "last_release": issue.last_release},
        ),
    )
