"""What people do with issues, on every store: states, history, facets, searching."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest
from stored import HERE, OTHER, SHOP, THERE, batch, counted, event, frame, sample

from watchkeeper.core.issues import Reason, State
from watchkeeper.core.metrics import Scope
from watchkeeper.storage import Store
from watchkeeper.storage.issue_rows import row_names
from watchkeeper.storage.issues import (
    Facet,
    FacetKind,
    IssueChange,
    IssueEntry,
    Search,
    Sort,
)
from watchkeeper.storage.records import Event, Issue, IssueCount

A, B, C = (f"1:00000000000000{letter}" for letter in ("aa", "bb", "cc"))
ALL = Search(**HERE)


class Writer:
    """Writes one flush after the other."""

    def __init__(self, store: Store) -> None:
        """Register a worker."""
        self.store = store
        self.worker = store.register(SHOP, host="web-1", pid=1, at=0.0).id
        self.start = 0

    def write(
        self, *counts: IssueCount, events: Sequence[Event] = (), scope: Scope = SHOP
    ) -> None:
        """Write what one slot counted."""
        self.start += 10
        one = frame(self.start, self.worker, values={})
        self.store.write(batch(one, scope, issues=counts, events=events))

    def issue(self, fingerprint: str = A) -> Issue:
        """Read the issue of a fingerprint."""
        issue = self.store.issue(self.store.issue_ids([fingerprint], **HERE)[fingerprint])
        assert issue is not None
        return issue


@pytest.fixture
def writer(store: Store) -> Writer:
    """Write to each store in turn."""
    return Writer(store)


def entry(issue: Issue, after: State = State.RESOLVED, **more: Any) -> IssueEntry:
    """Make a line of history."""
    fields: dict[str, Any] = {
        "issue": issue.id,
        "at": 50.0,
        "actor": "cli alice",
        "before": issue.state,
        "after": after.value,
        "reason": Reason.ASKED,
    }
    return IssueEntry(**{**fields, **more})


def change(issue: Issue, after: State = State.RESOLVED, **more: Any) -> IssueChange:
    """Make the change of an issue's state."""
    data = more.pop("data", {})
    return IssueChange(issue=issue, state=after, data=data, entry=entry(issue, after, **more))


class TestNames:
    """What leads to an issue."""

    def test_names_are_found_by_how_they_begin(self, store: Store, writer: Writer):
        """Older ones too, in their order; signs that a search knows are taken as they are."""
        writer.write(counted("2:00000000000000dd", aliases=(A,)), counted(B))
        writer.write(counted("2:100%"), counted("2:100"))
        ours = writer.issue("2:00000000000000dd").id

        found = store.issue_names(["1:0000", "2:0000"], **HERE, limit=9)

        assert [(A, ours), (B, writer.issue(B).id), ("2:00000000000000dd", ours)] == [
            *found.items()
        ]
        assert [A] == list(store.issue_names(["1:0000", "2:0000"], **HERE, limit=1))
        assert ["2:100%"] == list(store.issue_names(["2:100%"], **HERE, limit=9))
        assert {} == store.issue_names(["2_"], **HERE, limit=9)
        assert {} == store.issue_names(["1:0000"], **THERE, limit=9)


class TestStates:
    """What people make of an issue."""

    def test_a_new_issue_is_open(self, writer: Writer):
        """Nobody has touched it."""
        writer.write(counted())

        issue = writer.issue()

        assert ("open", 0.0, "", {}, 0, 0) == (
            issue.state,
            issue.state_at,
            issue.state_by,
            issue.state_data,
            issue.version,
            issue.users,
        )

    def test_a_change_is_kept_with_who_and_when(self, store: Store, writer: Writer):
        """The issue shows its state, its history how it came to be."""
        writer.write(counted(count=3))
        before = writer.issue()

        after = store.change_issue(change(before, data={"release": "next"}))

        assert (
            replace(
                before,
                state="resolved",
                state_at=50.0,
                state_by="cli alice",
                state_data={"release": "next"},
                version=1,
            )
            == after
        )
        assert after == writer.issue()
        (line,) = store.issue_entries(before.id, limit=9)
        assert entry(before, id=line.id) == line

    def test_a_change_of_what_was_changed_meanwhile_changes_nothing(
        self, store: Store, writer: Writer
    ):
        """Who looked at an older version is told so."""
        writer.write(counted())
        before = writer.issue()
        store.change_issue(change(before, State.IGNORED))

        assert store.change_issue(change(before, State.RESOLVED)) is None
        assert store.change_issue(change(replace(before, id=99))) is None

        assert "ignored" == writer.issue().state
        assert 1 == len(store.issue_entries(before.id, limit=9))

    def test_further_occurrences_leave_the_state_alone(self, store: Store, writer: Writer):
        """The write path counts; what it means is decided elsewhere."""
        writer.write(counted())
        resolved = store.change_issue(change(writer.issue()))
        writer.write(counted(at=60.0))

        assert resolved is not None
        assert replace(resolved, count=2, last_at=60.0) == writer.issue()

    def test_the_highest_level_stays(self, store: Store, writer: Writer):
        """What began as a warning and became an error is found, and told, as one."""
        for level, then in (
            ("warning", "warning"),
            ("info", "warning"),
            ("critical", "critical"),
            ("strange", "critical"),
            ("error", "critical"),
        ):
            writer.write(counted(level=level))
            assert then == writer.issue().level
        assert 1 == len(store.find_issues(replace(ALL, level="critical")))

        writer.write(counted(B, level="strange"), counted(B, level="info", path="p2"))
        assert "info" == writer.issue(B).level

    def test_comments_join_the_history(self, store: Store, writer: Writer):
        """The newest line comes first; a comment is cut to what fits."""
        writer.write(counted())
        issue = writer.issue()
        store.change_issue(change(issue, at=50.0))
        note = entry(issue, State.OPEN, at=60.0, reason=None, comment="c" * 2_001)

        assert store.comment_issue(note)
        assert not store.comment_issue(replace(note, issue=99))

        first, second = store.issue_entries(issue.id, limit=9)
        assert replace(note, id=first.id, comment="c" * 2_000) == first
        assert "resolved" == second.after
        assert [first] == store.issue_entries(issue.id, limit=1)

    def test_what_may_have_to_move_is_listed(self, store: Store, writer: Writer):
        """Issues muted until something, and resolved ones that happened since, by their ids."""
        d, e = (f"1:00000000000000{letter}" for letter in ("dd", "ee"))
        for one in (A, B, C, d, e):
            writer.write(counted(one))
        store.change_issue(change(writer.issue(A), State.RESOLVED))
        store.change_issue(change(writer.issue(B), State.MUTED, data={"until": {"at": 90.0}}))
        store.change_issue(change(writer.issue(C), State.RESOLVED))
        store.change_issue(change(writer.issue(d), State.MUTED))
        writer.write(counted(C, at=60.0), counted(d, at=60.0), counted(e, at=60.0))

        def stirred(**more: int) -> list[str]:
            found = store.stirred_issues(**{**HERE, "limit": 9, **more})
            return [one.fingerprint for one in found]

        assert [B, C] == stirred()
        assert [B] == stirred(limit=1)
        assert [C] == stirred(after=writer.issue(B).id)
        assert [] == store.stirred_issues(**THERE, limit=9)

    def test_returns_are_listed(self, store: Store, writer: Writer):
        """Each time an issue came back by what happened is a line, whoever asks for them."""
        writer.write(counted())
        for at, after, reason in (
            (50.0, State.RESOLVED, Reason.ASKED),
            (60.0, State.CAME_BACK, Reason.HAPPENED_AGAIN),
            (70.0, State.MUTED, Reason.ASKED),
            (80.0, State.OPEN, Reason.TIME_OVER),
            (90.0, State.OPEN, Reason.MORE_USERS),
        ):
            store.change_issue(change(writer.issue(), after, at=at, reason=reason))

        def returns(since: float, limit: int = 9) -> list[float]:
            found = store.issue_returns(**HERE, since=since, limit=limit)
            assert [writer.issue()] * len(found) == [issue for _, issue in found]
            return [one.at for one, _ in found]

        assert [60.0, 90.0] == returns(60.0)
        assert [60.0] == returns(0, limit=1)
        assert [90.0] == returns(61)
        assert [] == store.issue_returns(**THERE, since=0, limit=9)

    def test_workers_learn_what_is_ignored(self, store: Store, writer: Writer):
        """Every fingerprint of an ignored issue is named, and none of another."""
        writer.write(counted(A, aliases=(B,)), counted(C))
        store.change_issue(change(writer.issue(A), State.IGNORED))

        assert {A: True, B: True} == store.ignored_fingerprints(**HERE)
        assert {} == store.ignored_fingerprints(**THERE)

    def test_a_deleted_issue_is_gone_with_all_it_held(self, store: Store, writer: Writer):
        """If it happens again it is new."""
        writer.write(counted(path="p1", users=("u1",)), events=[event(1)])
        issue = writer.issue()
        store.comment_issue(entry(issue))

        assert store.delete_issue(issue.id)
        assert not store.delete_issue(issue.id)

        assert store.issue(issue.id) is None
        assert [] == store.events(issue.id, limit=9)
        assert [] == store.issue_entries(issue.id, limit=9)
        assert [] == store.facets(issue.id, FacetKind.USER, limit=9)
        assert {} == store.issue_counts([issue.id], since=0, until=100, resolution=10)
        writer.write(counted(count=2))
        assert (2, True) == (writer.issue().count, writer.issue().id > issue.id)


class TestFacets:
    """What the occurrences of an issue are told apart by."""

    def test_occurrences_are_told_apart(self, store: Store, writer: Writer):
        """Routes, releases and call paths are counted, users named, most frequent first."""
        writer.write(
            counted(
                count=5,
                at=5.0,
                path="p1",
                routes={"GET /a": 2, "POST /b": 3, "": 1},
                users=("u1", "u2"),
            ),
            counted(count=1, at=7.0, path="p2", routes={"GET /a": 1}, users=("u2",)),
        )
        writer.write(
            counted(count=4, at=15.0, path="p1", routes={"GET /a": 4}, users=("u3",)),
            scope=replace(SHOP, release="v2"),
        )
        issue = writer.issue()

        def read(kind: FacetKind) -> list[Facet]:
            return store.facets(issue.id, kind, limit=9)

        def facet(kind: FacetKind, value: str, count: int, first: float, last: float) -> Facet:
            return Facet(kind=kind, value=value, count=count, first_at=first, last_at=last)

        assert 10 == issue.count
        assert 3 == issue.users
        assert [
            facet(FacetKind.ROUTE, "GET /a", 7, 5.0, 15.0),
            facet(FacetKind.ROUTE, "POST /b", 3, 5.0, 5.0),
        ] == read(FacetKind.ROUTE)
        assert [
            facet(FacetKind.RELEASE, "v1", 6, 5.0, 7.0),
            facet(FacetKind.RELEASE, "v2", 4, 15.0, 15.0),
        ] == read(FacetKind.RELEASE)
        assert [
            facet(FacetKind.PATH, "p1", 9, 5.0, 15.0),
            facet(FacetKind.PATH, "p2", 1, 7.0, 7.0),
        ] == read(FacetKind.PATH)
        assert ["u3", "u2", "u1"] == [one.value for one in read(FacetKind.USER)]
        assert {1} == {one.count for one in read(FacetKind.USER)}
        assert read(FacetKind.PATH)[:1] == store.facets(issue.id, FacetKind.PATH, limit=1)

    def test_values_are_bounded(self, store: Store, writer: Writer):
        """Of more routes than are kept the first stay, and go on being counted."""
        writer.write(counted(routes={f"GET /{number:03}": 1 for number in range(99)}))
        writer.write(counted(routes={"GET /x": 1, "GET /y": 1, "GET /000": 1}))
        writer.write(counted(routes={"GET /x": 1, "GET /y": 1, "GET /000": 1}))

        found = store.facets(writer.issue().id, FacetKind.ROUTE, limit=1_000)

        assert 100 == len(found)
        assert {"GET /000": 3, "GET /x": 2} == {one.value: one.count for one in found[:2]}

    def test_users_are_counted_exactly_up_to_the_cap(self, store: Store, writer: Writer):
        """Those that were seen before are not counted again."""
        names = [f"user-{number:04}" for number in range(1_005)]
        for some in (names[:600], names[300:900], names[5:], names):
            writer.write(counted(users=tuple(some)))

        assert 1_000 == writer.issue().users
        assert 1_000 == len(store.facets(writer.issue().id, FacetKind.USER, limit=2_000))

    def test_a_user_is_taken_out(self, store: Store, writer: Writer):
        """Who asks to be forgotten affects no issue of this service any more."""
        writer.write(counted(A, users=("u1", "u2")), counted(B, users=("u1",)))
        elsewhere = store.register(OTHER, host="web-1", pid=1, at=0.0)
        store.write(batch(frame(10, elsewhere.id), OTHER, issues=[counted(users=("u1",))]))

        assert 2 == store.forget_user("u1", **HERE, dry_run=True)
        assert 2 == store.forget_user("u1", **HERE, dry_run=False)
        assert 0 == store.forget_user("u1", **HERE, dry_run=False)

        assert (1, 0) == (writer.issue(A).users, writer.issue(B).users)
        assert [] == store.find_issues(replace(ALL, user="u1"))
        assert 1 == len(store.find_issues(Search(**THERE, user="u1")))


class TestSearch:
    """Finding issues."""

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            ({}, [B, C, A]),
            ({"states": [State.RESOLVED]}, [C]),
            ({"states": [State.RESOLVED, State.OPEN]}, [B, C, A]),
            ({"text": "NO SUCH"}, [A]),
            ({"text": "100%_/ü"}, [B]),
            ({"text": "100%_/Ü"}, [B]),
            ({"text": "%"}, [B]),
            ({"text": "keyerror"}, [B]),
            ({"text": "cart:TOTAL"}, [C]),
            ({"type": "KeyError"}, [B]),
            ({"type": "Key"}, []),
            ({"level": "warning"}, [C]),
            ({"route": "GET /a"}, [A]),
            ({"route": "/a"}, [B, A]),
            ({"route": "job:import"}, [C]),
            ({"release": "v1"}, [B, A]),
            ({"release": "v2"}, [C]),
            ({"user": "u1"}, [C, A]),
            ({"request_id": "req-1"}, [A]),
            ({"request_id": "req-2"}, []),
            ({"seen_since": 15.0}, [B, C]),
            ({"first_seen_since": 7.0}, [C]),
            ({"sort": Sort.FIRST_SEEN}, [C, B, A]),
            ({"sort": Sort.COUNT}, [A, C, B]),
            ({"sort": Sort.USERS}, [C, A, B]),
            ({"limit": 1}, [B]),
            ({"limit": 1, "offset": 1}, [C]),
            ({"service": "other"}, []),
            ({"text": "ValueError", "release": "v2", "user": "u1"}, [C]),
        ],
        ids=str,
    )
    def test_what_is_asked_for_is_found(
        self, store: Store, writer: Writer, wanted: dict[str, Any], found: list[str]
    ):
        """Each field narrows; the order is the one that was asked for."""
        asked = replace(event(1), request_id="req-1")
        writer.write(
            counted(A, count=9, at=5.0, routes={"GET /a": 9}, users=("u1",)),
            counted(
                B,
                at=6.0,
                type="KeyError",
                title="KeyError: 100%_/ü",
                routes={"POST /a": 1},
            ),
            events=[asked],
        )
        writer.write(
            counted(
                C,
                count=2,
                at=15.0,
                level="warning",
                title="ValueError",
                culprit="shop.cart:total",
                routes={"job:import": 2},
                users=("u1", "u2"),
            ),
            scope=replace(SHOP, release="v2"),
        )
        writer.write(counted(B, at=25.0, type="KeyError"))
        store.change_issue(change(writer.issue(C)))

        issues = store.find_issues(replace(ALL, **wanted))

        assert found == [one.fingerprint for one in issues]


class TestMerge:
    """Two issues become one."""

    def test_all_that_one_held_moves_to_the_other(self, store: Store, writer: Writer):
        """Counts add up, events and history come along, users are counted once."""
        one = {"routes": {"GET /a": 2}, "path": "p1"}
        writer.write(
            counted(A, count=2, at=5.0, users=("u1", "u2"), **one),
            counted(B, count=3, at=4.0, users=("u2", "u3"), **one),
            events=[event(1, 5.0, A), event(2, 4.0, B)],
        )
        writer.write(counted(B, count=4, at=15.0), scope=replace(SHOP, release="v2"))
        into, other = writer.issue(A), writer.issue(B)
        store.comment_issue(entry(other, at=40.0, reason=None, comment="see the log"))
        told = entry(into, State.OPEN, reason=Reason.MERGED, data={"from": other.id})

        merged = store.merge_issues(into.id, other.id, entry=told)

        expected = replace(
            into, count=9, first_at=4.0, last_at=15.0, last_release="v2", users=3, version=1
        )
        assert expected == merged == writer.issue(A) == writer.issue(B)
        assert [A, B] == store.issue_fingerprints(into.id)
        assert [event(1).id, event(2).id] == [one.id for one in store.events(into.id, limit=9)]
        assert {into.id: {10: 5, 20: 4}} == store.issue_counts(
            [into.id, other.id], since=0, until=100, resolution=10
        )
        (route,) = store.facets(into.id, FacetKind.ROUTE, limit=9)
        assert ("GET /a", 4, 4.0, 5.0) == (
            route.value,
            route.count,
            route.first_at,
            route.last_at,
        )
        lines = store.issue_entries(into.id, limit=9)
        assert [("", other.id), ("see the log", None)] == [
            (line.comment, line.data.get("from")) for line in lines
        ]
        assert [expected] == store.find_issues(ALL)

    def test_the_old_id_leads_to_the_issue(self, store: Store, writer: Writer):
        """Links in messages that were sent before still work, over several merges too."""
        writer.write(counted(A), counted(B), counted(C))
        a, b, c = writer.issue(A), writer.issue(B), writer.issue(C)

        store.merge_issues(b.id, c.id, entry=entry(b))
        store.merge_issues(a.id, b.id, entry=entry(a))

        assert {a.id} == {one.id for one in map(store.issue, (a.id, b.id, c.id)) if one}
        assert [A, B, C] == store.issue_fingerprints(a.id)

    def test_a_mute_goes_on_as_long_as_it_would_have(self, store: Store, writer: Writer):
        """What the other issue counted did not happen since: totals move along."""
        writer.write(
            counted(A, count=10, users=("u1", "u2"), path="p1"),
            counted(A, count=4, path="p2"),
            counted(B, count=500, users=("u2", "u3", "u4")),
        )
        ends = {"events": 110, "users": 5, "at": 900.0}
        muted = store.change_issue(change(writer.issue(A), State.MUTED, data={"until": ends}))
        assert muted is not None

        merged = store.merge_issues(muted.id, writer.issue(B).id, entry=entry(muted))

        assert merged is not None
        assert ("muted", 50.0) == (merged.state, merged.state_at)
        assert {"until": {"events": 610, "users": 7, "at": 900.0}} == merged.state_data
        assert store.split_issue(muted.id, path="p2", entry=entry(muted)) is not None
        left = writer.issue(A)
        assert (510, 606) == (left.count, left.state_data["until"]["events"])

    @pytest.mark.parametrize(
        ("resolved_at", "data", "other_at", "since"),
        [
            (100.0, {}, None, 150.0),  # the other one is open and was seen at 150
            (100.0, {}, 200.0, 200.0),
            (300.0, {}, 200.0, 300.0),
            (100.0, {"release": "next"}, 200.0, 200.0),
            (100.0, {"release": "next"}, None, 100.0),  # a newer release may have it
            (20.0, {}, 200.0, 20.0),  # it happened again before the merge
        ],
    )
    def test_a_resolved_issue_stays_resolved(
        self,
        store: Store,
        writer: Writer,
        resolved_at: float,
        data: dict[str, str],
        other_at: float | None,
        since: float,
    ):
        """What the other one was repaired of, or counted by then, does not bring it back."""
        writer.write(counted(A, at=30.0), counted(B, at=150.0))
        into = store.change_issue(change(writer.issue(A), at=resolved_at, data=data))
        assert into is not None
        if other_at is not None:
            store.change_issue(change(writer.issue(B), at=other_at))

        merged = store.merge_issues(into.id, writer.issue(B).id, entry=entry(into, at=400.0))

        assert merged is not None
        assert ("resolved", since, data) == (merged.state, merged.state_at, merged.state_data)

    def test_the_first_release_is_that_of_the_earlier_one(self, store: Store, writer: Writer):
        """Of two issues, and of a flush that comes late."""
        writer.write(counted(A, at=300.0), scope=replace(SHOP, release="v5"))
        writer.write(counted(B, at=250.0), scope=replace(SHOP, release="v4"))
        into = writer.issue(A)

        merged = store.merge_issues(into.id, writer.issue(B).id, entry=entry(into))
        assert merged is not None
        assert (250.0, "v4", "v5") == (merged.first_at, merged.scope.release, merged.last_release)

        writer.write(counted(A, at=240.0), scope=replace(SHOP, release="v3"))
        assert (240.0, "v3") == (writer.issue(A).first_at, writer.issue(A).scope.release)

    def test_what_happens_afterwards_counts_there(self, store: Store, writer: Writer):
        """The fingerprint of the one that is gone leads to the other."""
        writer.write(counted(A), counted(B))
        into, other = writer.issue(A), writer.issue(B)
        store.merge_issues(into.id, other.id, entry=entry(into))

        writer.write(counted(B, count=5, users=("u1",)), events=[event(7, 30.0, B)])

        assert (7, 1) == (writer.issue(A).count, writer.issue(A).users)
        assert 1 == len(store.events(into.id, limit=9))

    def test_only_issues_of_one_service_are_merged(self, store: Store, writer: Writer):
        """Nothing changes where one is missing, is the same, or is of another service."""
        writer.write(counted())
        elsewhere = store.register(OTHER, host="web-1", pid=1, at=0.0)
        store.write(batch(frame(10, elsewhere.id), OTHER, issues=[counted()]))
        here, (there,) = writer.issue(), store.find_issues(Search(**THERE))

        for other in (here.id, 99, there.id):
            assert store.merge_issues(here.id, other, entry=entry(here)) is None
        assert store.merge_issues(99, here.id, entry=entry(here)) is None

        assert here == writer.issue()
        assert [] == store.issue_entries(here.id, limit=9)


class TestSplit:
    """One issue becomes two."""

    def test_by_call_path(self, store: Store, writer: Writer):
        """What came by one path has an issue of its own, with its events and its total."""
        writer.write(
            counted(count=6, at=5.0, path="p1"),
            counted(count=2, at=4.0, path="p2"),
            events=[replace(event(1), path="p1"), replace(event(2, 4.0), path="p2")],
        )
        issue = writer.issue()

        new = store.split_issue(issue.id, path="p2", entry=entry(issue, reason=Reason.SPLIT))

        assert new is not None
        assert ("open", 2, 4.0, 4.0, f"{A}/p2", issue.title) == (
            new.state,
            new.count,
            new.first_at,
            new.last_at,
            new.fingerprint,
            new.title,
        )
        assert (6, 1) == (writer.issue().count, writer.issue().version)
        assert ["p1"] == [one.path for one in store.events(issue.id, limit=9)]
        assert ["p2"] == [one.path for one in store.events(new.id, limit=9)]
        assert ["p1"] == [one.value for one in store.facets(issue.id, FacetKind.PATH, limit=9)]
        assert ["p2"] == [one.value for one in store.facets(new.id, FacetKind.PATH, limit=9)]

    def test_what_is_stored_knows_its_issue(self, store: Store, writer: Writer):
        """An event says under which it is stored, and a sample's path leads to the part."""
        writer.write(
            counted(path="p1"),
            counted(path="p2"),
            events=[replace(event(1), path="p1"), replace(event(2), path="p2", request_id="r")],
        )
        issue = writer.issue()
        new = store.split_issue(issue.id, path="p2", entry=entry(issue))
        assert new is not None

        assert [issue.id] == [one.issue for one in store.events(issue.id, limit=9)]
        assert [new.id] == [one.issue for one in store.events(new.id, limit=9)]
        assert [new.id] == [one.issue for one in store.events_of_request("r", **HERE, limit=9)]
        found = store.event(event(2).id, **HERE)
        assert found is not None
        assert new.id == found.issue
        names = row_names(sample(fingerprint=A, path="p2"))
        known = store.issue_ids(names, **HERE)
        assert [new.id, issue.id] == [known[one] for one in names]
        assert () == row_names(sample())

    def test_both_parts_say_where_they_went(self, store: Store, writer: Writer):
        """The new one came to be open, whatever the state of what it was split off."""
        writer.write(counted(path="p1"), counted(path="p2"))
        issue = store.change_issue(change(writer.issue(), State.IGNORED))
        assert issue is not None
        told = entry(issue, State.IGNORED, at=60.0, reason=Reason.SPLIT, data={"path": "p2"})

        new = store.split_issue(issue.id, path="p2", entry=told)

        assert new is not None
        (mine,) = store.issue_entries(new.id, limit=9)
        theirs = store.issue_entries(issue.id, limit=1)[0]
        assert ("ignored", "open", {"path": "p2", "from": issue.id}) == (
            mine.before,
            mine.after,
            mine.data,
        )
        assert ("ignored", "ignored", {"path": "p2", "to": new.id}) == (
            theirs.before,
            theirs.after,
            theirs.data,
        )
        assert {Reason.SPLIT} == {mine.reason, theirs.reason}

    def test_what_comes_by_a_path_that_was_split_off_counts_there(
        self, store: Store, writer: Writer
    ):
        """A newer algorithm's fingerprint finds each part as well."""
        writer.write(counted(path="p1"), counted(path="p2"))
        issue = writer.issue()
        new = store.split_issue(issue.id, path="p2", entry=entry(issue))
        assert new is not None

        for known in (A, "2:00000000000000aa"):
            writer.write(
                counted(known, count=10, path="p1", aliases=(A,)),
                counted(known, count=100, path="p2", aliases=(A,)),
                events=[replace(event(known == A, 30.0, known), path="p2")],
            )

        found = {one.id: one.count for one in store.find_issues(ALL)}
        assert {issue.id: 21, new.id: 201} == found
        assert [] == store.events(issue.id, limit=9)
        assert 2 == len(store.events(new.id, limit=9))

    def test_by_fingerprint(self, store: Store, writer: Writer):
        """A merge is taken back: its events move, its counts stay where they are."""
        writer.write(
            counted(A, count=2), counted(B, count=3), events=[event(1, 5.0, A), event(2, 4.0, B)]
        )
        into = writer.issue(A)
        store.merge_issues(into.id, writer.issue(B).id, entry=entry(into))

        new = store.split_issue(into.id, fingerprint=B, entry=entry(into))
        writer.write(counted(B, count=7, at=30.0))

        assert new is not None
        assert (0, 4.0, 4.0, B) == (new.count, new.first_at, new.last_at, new.fingerprint)
        assert (5, 7) == (writer.issue(A).count, writer.issue(B).count)
        assert new.id == writer.issue(B).id
        assert [event(2).id] == [one.id for one in store.events(new.id, limit=9)]

    def test_what_was_merged_gets_its_name_back(self, store: Store, writer: Writer):
        """Whether it has events or not; links from before it was merged lead to it again."""
        own = {"type": "KeyError", "title": "KeyError: y", "culprit": "shop.b:g"}
        writer.write(counted(A, at=30.0))
        writer.write(
            counted(B, at=20.0, level="warning", **own), scope=replace(SHOP, release="v0")
        )
        writer.write(counted(C, at=25.0, type="OSError", title="OSError: z"))
        a, b, c = writer.issue(A), writer.issue(B), writer.issue(C)
        store.merge_issues(b.id, c.id, entry=entry(b, at=51.0, reason=Reason.MERGED))
        store.merge_issues(a.id, b.id, entry=entry(a, at=52.0, reason=Reason.MERGED))

        new = store.split_issue(a.id, fingerprint=B, entry=entry(a, at=60.0))
        other = store.split_issue(a.id, fingerprint=C, entry=entry(a, at=61.0))

        assert new is not None
        assert other is not None
        restored = replace(b, id=new.id, last_at=25.0, last_release="v1", state_at=60.0)
        assert replace(restored, state_by="cli alice", count=0, version=1) == new
        assert ("OSError", "OSError: z", 25.0) == (other.type, other.title, other.first_at)
        assert [new, other] == [store.issue(b.id), store.issue(c.id)]
        assert ("ValueError", 3) == (writer.issue(A).type, writer.issue(A).count)
        assert [new] == store.find_issues(replace(ALL, type="KeyError"))

    def test_something_has_to_come_and_something_to_stay(self, store: Store, writer: Writer):
        """Nothing changes where one part would be empty."""
        writer.write(counted(path="p1"))
        issue = writer.issue()

        for part in ({"path": "p1"}, {"path": "p9"}, {"fingerprint": A}, {"fingerprint": B}):
            assert store.split_issue(issue.id, **part, entry=entry(issue)) is None
        assert store.split_issue(99, path="p1", entry=entry(issue)) is None

        assert [issue] == store.find_issues(ALL)

    def test_a_part_may_be_ignored(self, store: Store, writer: Writer):
        """Its name is a fingerprint with a path."""
        writer.write(counted(path="p1"), counted(path="p2"))
        new = store.split_issue(writer.issue().id, path="p2", entry=entry(writer.issue()))
        assert new is not None
        store.change_issue(change(new, State.IGNORED))

        assert {f"{A}/p2": True} == store.ignored_fingerprints(**HERE)

    def test_a_part_of_what_is_ignored_need_not_be(self, store: Store, writer: Writer):
        """It is told apart, since its fingerprint alone says otherwise."""
        writer.write(counted(path="p1"), counted(path="p2"), counted(B, path="p1"))
        writer.write(counted(B, path="p2"))
        for name in (A, B):
            issue = writer.issue(name)
            assert store.split_issue(issue.id, path="p2", entry=entry(issue)) is not None
        store.change_issue(change(writer.issue(A), State.IGNORED))

        assert {A: True, f"{A}/p2": False} == store.ignored_fingerprints(**HERE)

    def test_parts_are_put_together_again(self, store: Store, writer: Writer):
        """Merging a part back leaves nothing behind."""
        writer.write(counted(count=6, path="p1"), counted(count=2, path="p2"))
        issue = writer.issue()
        new = store.split_issue(issue.id, path="p2", entry=entry(issue))
        assert new is not None

        merged = store.merge_issues(issue.id, new.id, entry=entry(issue))
        writer.write(counted(count=1, path="p2"))

        assert merged is not None
        assert (8, 9) == (merged.count, writer.issue().count)
        assert [issue.id] == [one.id for one in store.find_issues(ALL)]


class TestCounts:
    """Occurrences over time."""

    def test_finer_counts_become_coarser_ones(self, store: Store, writer: Writer):
        """Over all workers, exactly, a few at a time; what comes late is added."""
        other = store.register(SHOP, host="web-2", pid=1, at=0.0).id
        for _ in range(14):  # slots of 10 to 140
            writer.write(counted(A, count=2), counted(B))
        store.write(batch(frame(70, other, values={}), issues=[counted(A, count=5)]))
        a, b = writer.issue(A).id, writer.issue(B).id

        def counts(resolution: int) -> dict[int, dict[int, int]]:
            return store.issue_counts([a, b], since=0, until=1_000, resolution=resolution)

        minutes = counts(60)
        assert {a: {0: 10, 60: 17, 120: 6}, b: {0: 5, 60: 6, 120: 3}} == minutes

        # Of each issue 11 slots began before 120, and one more was the other worker's.
        rolled = [store.roll_issue_counts(60, before=120, limit=10) for _ in range(4)]

        assert [10, 10, 3, 0] == rolled
        assert minutes == counts(60)
        assert {0: 10, 60: 17, 120: 2, 130: 2, 140: 2} == counts(10)[a]
        store.write(batch(frame(50, other, values={}), issues=[counted(A)]))
        assert 1 == store.roll_issue_counts(60, before=120, limit=10)
        assert {0: 11, 60: 17, 120: 6} == counts(60)[a]
        store.roll_issue_counts(3_600, before=3_600, limit=100)
        assert {a: {0: 34}, b: {0: 14}} == counts(10)

    def test_counts_that_are_rolled_up_at_once_are_rolled_up_once(
        self, store: Store, writer: Writer
    ):
        """By three processes that got the lease in turn."""
        for _ in range(30):
            writer.write(counted(A), counted(B))
        barrier = Barrier(3)

        def roll() -> int:
            barrier.wait()
            return sum(store.roll_issue_counts(60, before=1_000, limit=7) for _ in range(12))

        with ThreadPoolExecutor(3) as threads:
            rolled = sum(one.result() for one in [threads.submit(roll) for _ in range(3)])

        ids = [writer.issue(A).id, writer.issue(B).id]
        counts = store.issue_counts(ids, since=0, until=1_000, resolution=3_600)
        assert (60, [{0: 30}, {0: 30}]) == (rolled, [counts[one] for one in ids])
