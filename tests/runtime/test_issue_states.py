"""Issues over their life on real stores: they come back, mutes end, and people are told once."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stored import HERE, SHOP, batch, counted, event, frame

from watchkeeper.core.issues import Reason, State, Until, in_next_release
from watchkeeper.core.kept_events import MAX_EVENTS
from watchkeeper.core.metrics import Scope
from watchkeeper.core.pack import PACK
from watchkeeper.core.rules import Rule
from watchkeeper.runtime.alerts import AlertEngine
from watchkeeper.runtime.issue_states import MAX_MOVED
from watchkeeper.runtime.thinning import MAX_THINNED, coarsen_counts, thin_out
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.issues import IssueChange, IssueEntry
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.records import Issue
from watchkeeper.storage.store import OutboxRow

A = "1:00000000000000aa"
START = 10_000
(NEW,) = (rule for rule in PACK if rule.name == "New issue")
(CAME_BACK,) = (rule for rule in PACK if rule.name == "Issue came back")


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store: in memory, and a real database."""
    path = tmp_path / "watchkeeper.db"
    store = MemoryStore() if request.param == "memory" else open_store(f"sqlite:///{path}")
    store.migrate()
    yield store
    store.close()


def engine(store: Store, *rules: Rule) -> AlertEngine:
    """Make an engine that tells one channel."""
    return AlertEngine(
        store,
        scope=SHOP,
        rules=rules,
        channels_for=lambda severity: ["hook"],
        slot_s=10,
        link=lambda incident: f"/watchkeeper/#{incident.id}",
        installed_at=0.0,
    )


def put(store: Store, issue: Issue, state: State, data: dict[str, Any], *, at: float) -> None:
    """Change an issue's state by hand."""
    entry = IssueEntry(
        issue=issue.id,
        at=at,
        actor="cli alice",
        before=issue.state,
        after=state.value,
        reason=Reason.ASKED,
    )
    change = IssueChange(issue=issue, state=state, data=data, entry=entry)
    assert store.change_issue(change) is not None


class Shop:
    """A service whose worker flushes and evaluates."""

    def __init__(self, store: Store, *rules: Rule) -> None:
        """Start at a moment of its own."""
        self.store = store
        self.engine = engine(store, *rules)
        self.now = float(START)
        self.workers: dict[Scope, int] = {}

    def slot(self, *, release: str = "v1", at: float | None = None, **count: Any) -> None:
        """Let ten seconds pass in which an error may happen, and evaluate."""
        scope = replace(SHOP, release=release)
        if scope not in self.workers:
            one = self.store.register(scope, host="web", pid=1, at=self.now)
            self.workers[scope] = one.id
        start = int(self.now)
        self.now += 10
        moment = start + 5.0 if at is None else at
        found = [counted(A, at=moment, **count)] if count.get("count", 1) else []
        one = frame(start, self.workers[scope], values={})
        self.store.write(batch(one, scope, issues=found, at=self.now))
        self.engine.evaluate(now=self.now)

    def quiet(self, slots: int = 1) -> None:
        """Let time pass without an error."""
        for _ in range(slots):
            self.slot(count=0)

    def issue(self) -> Issue:
        """Read the issue."""
        issue = self.store.issue(self.store.issue_ids([A], **HERE)[A])
        assert issue is not None
        return issue

    def change(self, state: State, data: dict[str, Any] | None = None) -> None:
        """Change its state by hand."""
        put(self.store, self.issue(), state, data or {}, at=self.now)

    def told(self) -> list[str]:
        """Return what people were told."""
        rows: list[OutboxRow] = self.store.outbox(limit=99)[::-1]
        return [row.payload["summary"] for row in rows]


def test_a_resolved_issue_that_happens_again_came_back(store: Store):
    """It keeps its count, has a line of history, and one message is sent for each return."""
    shop = Shop(store, NEW, CAME_BACK)
    shop.quiet()
    shop.slot(count=2)
    shop.change(State.RESOLVED)
    shop.quiet(3)
    assert "resolved" == shop.issue().state

    shop.slot()
    shop.slot()

    issue = shop.issue()
    assert ("came_back", "", 4) == (issue.state, issue.state_by, issue.count)
    lines = store.issue_entries(issue.id, limit=9)
    assert [
        ("resolved", "came_back", "happened_again", ""),
        ("open", "resolved", "asked", "cli alice"),
    ] == [(one.before, one.after, one.reason, one.actor) for one in lines]
    title = "ValueError: no such plan"
    assert [f"New issue: {title}", f"Issue came back: {title}"] == shop.told()

    shop.change(State.RESOLVED)
    shop.quiet(40)
    shop.slot()
    shop.quiet(40)

    assert [f"Issue came back: {title}"] * 2 == shop.told()[1:]
    incidents = store.incidents(**HERE, states=["event"], since=0, limit=9)
    assert ["issue came back"] * 2 + ["new issue"] == [one.reason for one in incidents]
    assert {issue.id} == {one.data["issue"] for one in incidents}


def test_events_from_before_the_resolution_do_not_bring_it_back(store: Store):
    """However late they reach the database."""
    shop = Shop(store, CAME_BACK)
    shop.slot()
    shop.change(State.RESOLVED)

    shop.slot(at=START + 9.0)
    shop.quiet()

    assert ("resolved", 2) == (shop.issue().state, shop.issue().count)
    assert [] == shop.told()


def test_resolved_in_the_next_release_waits_for_it(store: Store):
    """What still runs may fail; the first deployed afterwards may not."""
    shop = Shop(store, CAME_BACK)
    shop.slot(release="v1")
    shop.slot(release="v2")
    shop.change(State.RESOLVED, in_next_release())
    shop.slot(release="v2")
    shop.slot(release="v1")
    assert ("resolved", []) == (shop.issue().state, shop.told())

    shop.slot(release="v3", count=0)
    shop.slot(release="v1")
    assert "resolved" == shop.issue().state

    shop.slot(release="v3")

    assert "came_back" == shop.issue().state
    assert "new_release" == store.issue_entries(shop.issue().id, limit=1)[0].reason
    assert 1 == len(shop.told())


@pytest.mark.parametrize(
    ("until", "slots", "reason"),
    [
        (Until(at=START + 45.0), 4, "time_over"),
        (Until(events=5), 4, "more_events"),
        (Until(users=4), 4, "more_users"),
        (Until(per_count=3, per_s=35.0), 4, "more_often"),
    ],
    ids=str,
)
def test_a_mute_ends(store: Store, until: Until, slots: int, reason: str):
    """At a time, or by what happens; it is open then, and by what happens people are told."""
    shop = Shop(store, NEW, CAME_BACK)
    shop.slot(users=("u0",))
    shop.change(State.MUTED, {"until": until.to_data()})
    told = shop.told()

    for number in range(slots):
        assert "muted" == shop.issue().state, number
        shop.slot(users=(f"u{number + 1}",), count=1)
        if shop.issue().state != "muted":
            break

    assert "open" == shop.issue().state
    assert reason == store.issue_entries(shop.issue().id, limit=1)[0].reason
    more = [] if reason == "time_over" else ["Issue came back: ValueError: no such plan"]
    assert told + more == shop.told()


def test_a_rate_is_counted_from_the_mute_on(store: Store):
    """What happened before it was muted ends no mute."""
    shop = Shop(store, CAME_BACK)
    shop.slot(count=100)
    shop.change(State.MUTED, {"until": Until(per_count=50, per_s=600.0).to_data()})

    shop.slot(count=49)
    assert "muted" == shop.issue().state

    shop.slot(count=1)
    assert "open" == shop.issue().state


@pytest.mark.parametrize("state", [State.MUTED, State.IGNORED])
def test_nobody_is_told_of_what_is_muted_or_ignored(store: Store, state: State):
    """Though it happens for the first time as far as the rule knows."""
    shop = Shop(store, NEW, CAME_BACK)
    shop.quiet()
    one = frame(int(shop.now), 1, values={})
    store.write(batch(one, issues=[counted(A, at=shop.now + 1)]))
    shop.change(state)

    shop.slot()
    shop.quiet(3)

    assert (state.value, []) == (shop.issue().state, shop.told())


def test_two_workers_bring_an_issue_back_once(store: Store):
    """Of six that evaluate at once one moves it, and one message is sent."""
    shop = Shop(store, CAME_BACK)
    shop.quiet()
    shop.slot()
    shop.change(State.RESOLVED)
    one = frame(int(shop.now), 1, sequence=1, values={})
    store.write(batch(one, issues=[counted(A, at=shop.now + 5)]))
    barrier = threading.Barrier(6)

    def evaluate() -> None:
        mine = engine(store, CAME_BACK)
        barrier.wait()
        for step in range(5):
            mine.evaluate(now=shop.now + 10 + step / 10)

    threads = [threading.Thread(target=evaluate) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ["came_back", "resolved"] == [
        one.after for one in store.issue_entries(shop.issue().id, limit=9)
    ]
    assert ["Issue came back: ValueError: no such plan"] == shop.told()


def test_every_issue_has_its_turn(store: Store):
    """However many others are muted or resolved, the one whose time has come is moved."""
    shop = Shop(store)
    shop.quiet()
    names = [f"1:{number:016x}" for number in range(2 * MAX_MOVED + 50)]
    one = frame(int(shop.now), 1, values={})
    store.write(batch(one, issues=[counted(name, at=shop.now) for name in (*names, A)]))
    for issue in store.issues(**HERE, seen_since=0.0, limit=999):
        if issue.fingerprint != A:
            put(store, issue, State.MUTED, {"until": {"events": 1_000}}, at=shop.now)
    shop.change(State.MUTED, {"until": {"events": 2}})

    for _ in range(3):
        shop.slot()

    assert "open" == shop.issue().state


def test_what_nobody_is_told_of_is_looked_at_once(store: Store):
    """However often an issue came back that is ignored now, the rule's memory moves on."""
    shop = Shop(store, CAME_BACK)
    shop.quiet()
    shop.slot()
    for _ in range(3):
        shop.change(State.RESOLVED)
        shop.slot()
    shop.change(State.IGNORED)
    before = since(store)

    shop.now += 2 * 3_600 + 60
    shop.quiet(2)  # the first one tells of those that waited
    assert shop.now - 3_600 == since(store) > before + 3_600

    shop.now += 600  # so that it is no follower of theirs
    shop.change(State.RESOLVED)
    shop.slot()
    assert "Issue came back: ValueError: no such plan" == shop.told()[-1]


def since(store: Store) -> float:
    """Return from when on the rule looks for returns."""
    (row,) = [one for one in store.alerts(**HERE) if one.rule == CAME_BACK.name]
    found: float = row.data["since"]
    return found


def test_events_beyond_fifty_go(store: Store):
    """Of an issue that happens all the time the first, the last and some between stay."""
    shop = Shop(store)
    shop.quiet()
    events = [event(number, float(number)) for number in range(1, 301)]
    one = frame(20_000, 1, values={})
    store.write(batch(one, issues=[counted(A, count=300)], events=events))

    assert 250 == thin_out(store, pause=lambda: None)
    assert 0 == thin_out(store, pause=lambda: None)

    left = [one.at for one in store.events(shop.issue().id, limit=999)]
    assert (50, 300.0, 1.0) == (len(left), left[0], left[-1])
    assert 300 == shop.issue().count


def test_every_crowded_issue_is_thinned_out(store: Store):
    """However many there are, and though the first of them are crowded again each time."""
    Shop(store).quiet()
    names = [f"1:{number:016x}" for number in range(MAX_THINNED + 50)]
    for turn in range(2):
        events = [
            event(turn * 10_000_000 + number * 1_000 + each, 60.0 * turn + each, name)
            for number, name in enumerate(names)
            for each in range(51)
        ]
        one = frame(20_000 + 10 * turn, 1, values={})
        store.write(batch(one, issues=[counted(name) for name in names], events=events))

        thin_out(store, pause=lambda: None)

        assert [] == store.crowded_issues(most=MAX_EVENTS, limit=999)


def test_counts_become_coarser_with_time(store: Store):
    """By the minute after an hour, by the hour after two days; none is lost."""
    shop = Shop(store)
    for _ in range(30):
        shop.slot()
    now = shop.now + 3_600 + 60

    assert 30 == coarsen_counts(store, now=now, pause=lambda: None)
    assert 0 == coarsen_counts(store, now=now, pause=lambda: None)

    def spans() -> list[int]:
        counts = store.issue_counts([shop.issue().id], since=0, until=now, resolution=10)
        return sorted(counts[shop.issue().id].values())

    assert [2, 4, 6, 6, 6, 6] == spans()
    assert 6 == coarsen_counts(store, now=now + 48 * 3_600, pause=lambda: None)
    assert [30] == spans()
