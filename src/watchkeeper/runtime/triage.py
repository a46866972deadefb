"""Triage: what people do with issues, the same for the dashboard and the command line."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

from watchkeeper.core.issues import Reason, State, Until, in_next_release
from watchkeeper.core.kept_events import MAX_EVENTS
from watchkeeper.core.metrics import Scope
from watchkeeper.core.scrub import scrub_text
from watchkeeper.exceptions import CollisionError, ConfigurationError, TriageError
from watchkeeper.runtime.audit import Action, write_down
from watchkeeper.runtime.issue_names import begins
from watchkeeper.storage.issue_rows import is_whole, whole
from watchkeeper.storage.issues import (
    MAX_FACETS,
    FacetKind,
    IssueChange,
    IssueEntry,
)
from watchkeeper.storage.store import Issue, Store

MAX_COMMENT_CHARS: Final = 2_000
MAX_MUTE_S: Final = 3_650 * 86_400.0
MIN_PERIOD_S: Final = 60.0
MAX_PERIOD_S: Final = 7 * 86_400.0
MAX_COUNT: Final = 1_000_000_000
ATTEMPTS: Final = 2  # a change that somebody else was faster with is tried once more
MAX_HISTORY: Final = 1_000  # lines that are looked through for merges
AHEAD_S: Final = 86_400.0  # a release may be marked by a clock that is ahead of ours

Done = TypeVar("Done")


class Triage:
    """What one person does with the issues of one scope, at one moment.

    Each is one transaction with its line in the issue's history. Then it is written to the audit;
    if that fails it is logged, for what was asked is done. What loses against another transaction
    is tried once more. Raises TriageError for an issue that is not there or cannot become what is
    asked, ConfigurationError for a value that makes no sense, and StorageError.
    """

    def __init__(self, store: Store, scope: Scope, *, actor: str, now: float) -> None:
        """Act for `actor`, "cli alice", at `now`, seconds since the epoch."""
        self._store = store
        self._scope = scope
        self._actor = actor
        self._now = now

    def resolve(self, issue_id: int, *, next_release: bool = False, comment: str = "") -> Issue:
        """Mark an issue as repaired: if it happens again it came back, and that is told.

        With `next_release`, releases that are known by now may go on having it.
        """
        if next_release and not self._knows_release():
            raise TriageError(
                f"next release: no release of {self._place} is known, so none can be newer; set "
                "release (or GIT_SHA) for the application, or mark one: watchkeeper deploy RELEASE"
            )
        data = in_next_release() if next_release else {}
        return self._change(
            issue_id, Action.ISSUE_RESOLVE, State.RESOLVED, lambda _: data, comment
        )

    def mute(
        self,
        issue_id: int,
        *,
        until: float | None = None,
        events: int | None = None,
        per_s: float | None = None,
        users: int | None = None,
        comment: str = "",
    ) -> Issue:
        """Let an issue be quiet: samples go on, alerts do not.

        It opens again at `until` (seconds since the epoch), after `events` more occurrences or,
        with `per_s`, as many within so many seconds, or once it has met `users` in all; whichever
        comes first. With none of them it is quiet for good.
        """
        self._check_mute(until=until, events=events, per_s=per_s, users=users)

        def data(issue: Issue) -> Mapping[str, Any]:
            if users is not None and users <= issue.users:
                raise _met_already(issue)
            more = events if per_s is None else None
            ends = Until(
                at=until,
                events=None if more is None else issue.count + more,
                users=users,
                per_count=None if per_s is None else events,
                per_s=per_s,
            ).to_data()
            return {"until": ends} if ends else {}

        return self._change(issue_id, Action.ISSUE_MUTE, State.MUTED, data, comment)

    def ignore(self, issue_id: int, *, comment: str = "") -> Issue:
        """Count an issue and do no more: no samples, no alerts."""
        return self._change(issue_id, Action.ISSUE_IGNORE, State.IGNORED, lambda _: {}, comment)

    def reopen(self, issue_id: int, *, comment: str = "") -> Issue:
        """Take back what was done with an issue: it is open as a new one is."""
        return self._change(issue_id, Action.ISSUE_REOPEN, State.OPEN, lambda _: {}, comment)

    def comment(self, issue_id: int, text: str) -> None:
        """Add a comment to an issue's history; secrets in it are masked."""
        said = _comment(text)
        if not said:
            raise ConfigurationError("comment: there is nothing in it")
        issue = self.issue(issue_id)
        entry = self._entry(issue, issue.state, reason=None, comment=said)
        if not _again(lambda: self._store.comment_issue(entry)):
            raise self._gone(issue_id)
        self._audit(Action.ISSUE_COMMENT, issue.id)

    def merge(self, into: int, other: int, *, comment: str = "") -> Issue:
        """Make one issue of two, which keeps the state of `into`; `other` is gone then.

        What has a fingerprint of either counts there from now on.
        """
        issue, gone = self.issue(into), self.issue(other)
        if issue.id == gone.id:
            raise TriageError(f"merge: {into} and {other} are one issue; name two")
        data = {"from": gone.id, "title": gone.title, "fingerprint": gone.fingerprint}
        entry = self._entry(
            issue, issue.state, reason=Reason.MERGED, comment=_comment(comment), data=data
        )
        merged = _again(lambda: self._store.merge_issues(issue.id, gone.id, entry=entry))
        if merged is None:
            raise self._gone(other)
        self._audit(Action.ISSUE_MERGE, issue.id, {"from": gone.id})
        return merged

    def split(
        self, issue_id: int, *, fingerprint: str = "", path: str = "", comment: str = ""
    ) -> Issue:
        """Make an open issue of what came under one fingerprint, or by one call path.

        The beginning of either is enough if it is clear. Returns the new issue.
        """
        if bool(fingerprint) == bool(path):
            raise ConfigurationError("split: name a fingerprint or a path")
        issue = self.issue(issue_id)
        if fingerprint:
            names = self._store.issue_fingerprints(issue.id)
            known = [one for one in names if is_whole(one)]
            chosen = {"fingerprint": _chosen(fingerprint, known, what="fingerprint")}
            parts = self._merged(issue)
        else:
            known = parts = self._paths(issue)
            chosen = {"path": _chosen(path, known, what="path")}
        if min(len(known), len(parts)) == 1:
            raise TriageError(
                f"split: issue {issue.id} has this one {next(iter(chosen))} alone, so nothing "
                "would be left of it"
            )
        entry = self._entry(
            issue, issue.state, reason=Reason.SPLIT, comment=_comment(comment), data=chosen
        )
        made = _again(lambda: self._store.split_issue(issue.id, **chosen, entry=entry))
        if made is None:
            self.issue(issue_id)
            raise TriageError(
                f"split: nothing would come of it, or nothing would be left of issue {issue.id}"
            )
        self._audit(Action.ISSUE_SPLIT, issue.id, {**chosen, "to": made.id})
        return made

    def delete(self, issue_id: int, *, comment: str = "") -> None:
        """Delete an issue with all it holds; if it happens again it is a new one.

        What is said stands in the audit, since the history goes as well.
        """
        issue, said = self.issue(issue_id), _comment(comment)
        if not _again(lambda: self._store.delete_issue(issue.id)):
            raise self._gone(issue_id)
        data = {"title": issue.title, "fingerprint": issue.fingerprint}
        self._audit(Action.ISSUE_DELETE, issue.id, data | ({"comment": said} if said else {}))

    def issue(self, issue_id: int) -> Issue:
        """Read an issue of the scope, by the number of one that was merged into it too."""
        issue = self._store.issue(issue_id)
        if issue is None or issue.scope.place != self._scope.place:
            raise self._gone(issue_id)
        return issue

    def _change(
        self,
        issue_id: int,
        action: Action,
        state: State,
        data_of: Callable[[Issue], Mapping[str, Any]],
        comment: str,
    ) -> Issue:
        """Save a new state, once more if somebody else changed the issue in between."""
        said = _comment(comment)
        for _ in range(ATTEMPTS):
            issue = self.issue(issue_id)
            data = data_of(issue)
            again = state is State.RESOLVED and issue.last_at > issue.state_at
            if issue.state == state and dict(issue.state_data) == data and not (said or again):
                return issue  # as it is already: no line of history says nothing
            entry = self._entry(issue, state, reason=Reason.ASKED, comment=said, data=data)
            change = IssueChange(issue=issue, state=state, data=data, entry=entry)
            changed = _again(partial(self._store.change_issue, change))
            if changed is not None:
                self._audit(action, issue.id, {"from": issue.state, **data})
                return changed
        raise TriageError(
            f"issue {issue_id} is being changed by somebody else at this moment; look again"
        )

    def _merged(self, issue: Issue) -> list[str]:
        """List the fingerprints of the issues that it is made of: not of older algorithms too."""
        history = self._store.issue_entries(issue.id, limit=MAX_HISTORY)
        merged = (one.data.get("fingerprint") for one in history if one.reason is Reason.MERGED)
        found = (issue.fingerprint, *(one for one in merged if isinstance(one, str)))
        return list(dict.fromkeys(whole(one) for one in found))

    def _paths(self, issue: Issue) -> list[str]:
        """List the call paths that an issue came by: those counted, and those of stored events."""
        facets = self._store.facets(issue.id, FacetKind.PATH, limit=MAX_FACETS[FacetKind.PATH])
        events = self._store.events(issue.id, limit=MAX_EVENTS)
        found = (*(one.value for one in facets), *(one.path for one in events if one.path))
        return list(dict.fromkeys(found))

    def _check_mute(
        self, *, until: float | None, events: int | None, per_s: float | None, users: int | None
    ) -> None:
        if until is not None and not self._now < until <= self._now + MAX_MUTE_S:
            raise ConfigurationError("until: write a moment ahead of now, at most ten years")
        for name, number in (("events", events), ("users", users)):
            if number is not None and not 1 <= number <= MAX_COUNT:
                raise ConfigurationError(f"{name}: write a number from 1 on, such as 100")
        most = MAX_FACETS[FacetKind.USER]
        if users is not None and users > most:
            raise ConfigurationError(f"users: at most {most} users of an issue are told apart")
        if per_s is None:
            return
        if events is None:
            raise ConfigurationError("per: say how many events in this time: events=100, per=1h")
        if not MIN_PERIOD_S <= per_s <= MAX_PERIOD_S:
            raise ConfigurationError("per: write a time from 1m to 7d, such as 1h")

    def _knows_release(self) -> bool:
        marks = self._store.releases(
            service=self._scope.service,
            environment=self._scope.environment,
            since=0.0,
            until=self._now + AHEAD_S,
            limit=1,
        )
        return any(one.scope.release for one in marks)

    def _entry(
        self,
        issue: Issue,
        after: str,
        *,
        reason: Reason | None,
        comment: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> IssueEntry:
        return IssueEntry(
            issue=issue.id,
            at=self._now,
            actor=self._actor,
            before=issue.state,
            after=after,
            reason=reason,
            comment=comment,
            data=data or {},
        )

    def _audit(self, action: Action, issue_id: int, data: Mapping[str, Any] | None = None) -> None:
        write_down(
            self._store,
            self._scope,
            action,
            actor=self._actor,
            at=self._now,
            target=str(issue_id),
            data=data,
        )

    @property
    def _place(self) -> str:
        return f"{self._scope.service} ({self._scope.environment})"

    def _gone(self, issue_id: int) -> TriageError:
        return TriageError(f"there is no issue {issue_id} of {self._place}")


def _again(act: Callable[[], Done]) -> Done:
    """Do something, once more if another transaction went first: then nothing was changed."""
    try:
        return act()
    except CollisionError:
        return act()


def _met_already(issue: Issue) -> TriageError:
    most = MAX_FACETS[FacetKind.USER]
    cure = "write more"
    if issue.users >= most:
        cure = (
            f"more than {most:,} are not told apart, so mute it for a time or a number of events"
        )
    return TriageError(f"users: issue {issue.id} has met {issue.users:,} users already; {cure}")


def _comment(text: str) -> str:
    return scrub_text(text.strip(), limit=MAX_COMMENT_CHARS)


def _chosen(begin: str, known: list[str], *, what: str) -> str:
    """Return the one value that begins so; fingerprints need not name their version."""
    found = [one for one in known if one == begin] or [one for one in known if begins(one, begin)]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(known[:5]) + (", …" if len(known) > 5 else "")
    of = len(found) or "none"
    raise TriageError(f"{what}: {begin!r} begins {of} of the issue's: {shown or 'it has none'}")
