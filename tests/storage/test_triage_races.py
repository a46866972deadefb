"""People and workers at the same issues in the same moment, on every store: nothing is lost."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import TypeVar

import sqlalchemy.event
from sqlalchemy import Engine
from stored import HERE, SHOP, batch, counted, event, frame

from watchkeeper.core.issues import Reason, State
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.issues import FacetKind, IssueChange, IssueEntry, Search
from watchkeeper.storage.records import Issue

A, B = "1:00000000000000aa", "1:00000000000000bb"
WORKERS = 4
FLUSHES = 12
Result = TypeVar("Result")


def together(*calls: Callable[[], Result]) -> list[Result]:
    """Run calls at the same moment, each in a thread of its own."""
    start = Barrier(len(calls))

    def run(call: Callable[[], Result]) -> Result:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def line(issue: int, **more: object) -> IssueEntry:
    """Make a line of history."""
    return IssueEntry(
        issue=issue, at=50.0, actor="cli", before="open", after="open", reason=Reason.MERGED
    )


def write(store: Store, *fingerprints: str) -> dict[str, Issue]:
    """Write an occurrence of each fingerprint; return their issues."""
    worker = store.register(SHOP, host="web", pid=1, at=0.0)
    one = frame(10, worker.id, values={})
    store.write(batch(one, issues=[counted(name) for name in fingerprints]))
    found = {issue.fingerprint: issue for issue in store.find_issues(Search(**HERE))}
    return {name: found[name] for name in fingerprints}


def test_of_two_changes_at_once_one_wins(store: Store):
    """The other one is told so, and the history has one line."""
    issue = write(store, A)[A]

    def change(after: State) -> Issue | None:
        entry = IssueEntry(
            issue=issue.id,
            at=50.0,
            actor="cli",
            before=issue.state,
            after=after,
            reason=Reason.ASKED,
        )
        return store.change_issue(IssueChange(issue=issue, state=after, data={}, entry=entry))

    outcomes = together(
        *(lambda after=after: change(after) for after in [State.RESOLVED, State.IGNORED] * 4)
    )

    (winner,) = [one for one in outcomes if one is not None]
    assert winner == store.issue(issue.id)
    assert [winner.state] == [one.after for one in store.issue_entries(issue.id, limit=9)]


def test_of_two_merges_at_once_one_wins(store: Store):
    """Two people who merge each into the other leave one issue."""
    issues = write(store, A, B)
    a, b = issues[A].id, issues[B].id

    outcomes = together(
        lambda: store.merge_issues(a, b, entry=line(a)),
        lambda: store.merge_issues(b, a, entry=line(b)),
    )

    (left,) = store.find_issues(Search(**HERE))
    assert [left] == [one for one in outcomes if one is not None]
    assert 2 == left.count


def test_nothing_is_lost_while_issues_are_merged_and_split(store: Store):
    """Workers count on; every occurrence, call path, user and event is in one of the issues."""
    issues = write(store, A, B)
    a, b = issues[A].id, issues[B].id
    workers = [store.register(SHOP, host="web", pid=pid, at=0.0) for pid in range(WORKERS)]

    def flushes(number: int) -> None:
        for flush in range(FLUSHES):
            at = 20 + 10 * flush
            order = (A, B) if (number + flush) % 2 else (B, A)
            names = [(name, path) for name in order for path in ("p1", "p2")]
            store.write(
                batch(
                    frame(at, workers[number].id, values={}),
                    issues=[
                        counted(name, path=path, users=(f"u{number}",), routes={"GET /": 1})
                        for name, path in names
                    ],
                    events=[
                        event(number * 1_000 + flush * 2 + (name == B), at, name)
                        for name in (A, B)
                    ],
                )
            )

    def people() -> None:
        store.merge_issues(a, b, entry=line(a))
        for _ in range(3):
            part = store.split_issue(a, fingerprint=B, entry=line(a))
            if part is not None:
                store.merge_issues(a, part.id, entry=line(a))
            store.split_issue(a, path="p2", entry=line(a))

    together(*(lambda n=n: flushes(n) for n in range(WORKERS)), people)

    left = store.find_issues(Search(**HERE))
    ids = [one.id for one in left]
    total = 2 + 4 * WORKERS * FLUSHES
    assert total == sum(one.count for one in left)
    counts = store.issue_counts(ids, since=0, until=1_000, resolution=10)
    assert total == sum(sum(spans.values()) for spans in counts.values())
    for kind in (FacetKind.PATH, FacetKind.ROUTE):
        facets = [one.count for one_id in ids for one in store.facets(one_id, kind, limit=9)]
        assert total - 2 == sum(facets)
    assert 2 * WORKERS * FLUSHES == sum(len(store.events(one, limit=999)) for one in ids)
    for one in left:
        users = store.facets(one.id, FacetKind.USER, limit=9)
        assert one.users == len(users)


def test_workers_that_see_new_issues_at_once_make_each_of_them_once(store: Store):
    """Whatever the order in which they come upon them."""
    workers = [store.register(SHOP, host="web", pid=pid, at=0.0) for pid in range(WORKERS)]
    names = [f"1:{number:016x}" for number in range(30)]

    def flush(number: int) -> None:
        some = names[number:] + names[:number]
        issues = [counted(name, path=f"p{number}", users=(f"u{number}",)) for name in some]
        store.write(batch(frame(10, workers[number].id, values={}), issues=issues))

    together(*(lambda n=n: flush(n) for n in range(WORKERS)))

    found = store.find_issues(Search(**HERE, limit=99))
    assert 30 == len(found)
    assert {(WORKERS, WORKERS)} == {(one.count, one.users) for one in found}


def test_what_happens_again_is_not_pruned(store: Store):
    """A flush that finds an old issue while that is pruned leaves one with its occurrence."""
    worker = store.register(SHOP, host="web", pid=1, at=0.0)
    for turn in range(FLUSHES):
        store.write(batch(frame(10 * turn, worker.id, values={}), issues=[counted(A)]))
        again = batch(
            frame(10 * turn, worker.id, sequence=1, values={}),
            issues=[counted(A, at=1_000.0)],
            events=[event(turn, 1_000.0)],
        )

        together(
            lambda again=again: store.write(again),
            lambda: store.prune_issues(before=500.0, limit=9),
        )

        (issue,) = store.find_issues(Search(**HERE))
        assert issue.last_at == 1_000.0
        counts = store.issue_counts([issue.id], since=0, until=9_999, resolution=3_600)
        assert issue.count == sum(counts[issue.id].values())
        assert [event(turn)] == [replace(one, at=5.0) for one in store.events(issue.id, limit=1)]
        assert store.delete_issue(issue.id)


def test_users_of_many_issues_take_as_many_statements_as_those_of_one(migrated_url: str):
    """An outage in which every error meets somebody does not wait for a round trip each."""
    store = open_store(migrated_url)
    store.migrate()
    worker = store.register(SHOP, host="web", pid=1, at=0.0)
    found = [counted(f"1:{number:016x}", users=("u1", f"v{number}")) for number in range(40)]
    executed: list[str] = []

    def write(start: int, some: int) -> int:
        executed.clear()
        store.write(batch(frame(start, worker.id, values={}), issues=found[:some]))
        return len(executed)

    write(10, 40)
    listened = (Engine, "before_cursor_execute", lambda *given: executed.append(given[2]))
    sqlalchemy.event.listen(*listened)
    try:
        assert 0 < write(20, 1) == write(30, 40)
    finally:
        sqlalchemy.event.remove(*listened)
    assert [2] * 40 == [one.users for one in store.find_issues(Search(**HERE))]
    store.close()
