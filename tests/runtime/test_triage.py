"""What people do with issues: changes, comments, merging, splitting, deleting."""

from dataclasses import replace

import pytest
from stored import HERE, OTHER, SHOP, batch, counted, event, frame

from watchkeeper.core.issues import State
from watchkeeper.core.metrics import Scope
from watchkeeper.exceptions import (
    CollisionError,
    ConfigurationError,
    StorageError,
    TriageError,
)
from watchkeeper.runtime.issue_names import find_issue
from watchkeeper.runtime.triage import Triage
from watchkeeper.storage.issues import IssueChange, IssueEntry
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import Release

NOW = 1_000.0
ONE, TWO = "1:00000000000000aa", "1:00000000000000bb"


@pytest.fixture
def store() -> MemoryStore:
    """A store with two issues of the shop, the first with two users and two call paths."""
    made = MemoryStore()
    made.write(
        batch(
            frame(0),
            issues=[
                counted(ONE, 3, path="p1", users=("u1",), routes={"GET /a": 3}),
                counted(ONE, 2, path="p2", users=("u2",), routes={"GET /b": 2}),
                counted(TWO, 1),
            ],
            events=[
                replace(event(1, fingerprint=ONE), path="p1"),
                replace(event(2, fingerprint=ONE), path="p2"),
                event(3, fingerprint=TWO),
            ],
        )
    )
    return made


def triage(store: MemoryStore, *, scope: Scope = SHOP, now: float = NOW) -> Triage:
    """Act for Alice."""
    return Triage(store, scope, actor="cli alice", now=now)


def number(store: MemoryStore, fingerprint: str) -> int:
    """Find the number of an issue."""
    return store.issue_ids([fingerprint], **HERE)[fingerprint]


def history(store: MemoryStore, issue: int) -> list[tuple[str, str, str, str | None, object]]:
    """Return who moved an issue from where to where, why, and with which data, newest first."""
    return [
        (one.actor, one.before, one.after, one.reason, dict(one.data))
        for one in store.issue_entries(issue, limit=99)
    ]


def audit(store: MemoryStore) -> list[tuple[str, str, str, object]]:
    """Return what the audit tells, newest first."""
    found = store.audits(**HERE, since=0.0, until=1e12, limit=99)
    return [(one.actor, one.action, one.target, dict(one.data)) for one in found]


def test_an_issue_is_resolved_with_a_line_of_history_and_of_the_audit(store):
    """Who did what and when stands with the issue, and among all that people did."""
    one = number(store, ONE)

    changed = triage(store).resolve(one, comment="fixed in #12")

    assert ("resolved", NOW, "cli alice") == (changed.state, changed.state_at, changed.state_by)
    assert [("cli alice", "open", "resolved", "asked", {})] == history(store, one)
    assert "fixed in #12" == store.issue_entries(one, limit=1)[0].comment
    assert [("cli alice", "issue.resolve", str(one), {"from": "open"})] == audit(store)


def test_what_is_done_already_leaves_no_second_line(store):
    """Asking twice for the same changes nothing, and says nothing."""
    one = number(store, ONE)
    triage(store).ignore(one)

    assert "ignored" == triage(store, now=NOW + 5).ignore(one).state

    assert [NOW] == [entry.at for entry in store.issue_entries(one, limit=9)]


def test_what_happened_since_is_resolved_once_more(store):
    """Nobody is told "resolved" of an issue that is about to come back for what is over."""
    one = number(store, ONE)
    triage(store).resolve(one)
    store.write(batch(frame(1_050), issues=[counted(ONE, at=NOW + 50)]))

    again = triage(store, now=NOW + 60).resolve(one)

    assert ("resolved", NOW + 60) == (again.state, again.state_at)
    assert [("resolved", "resolved"), ("open", "resolved")] == [
        (before, after) for _, before, after, _, _ in history(store, one)
    ]


def test_resolving_in_the_next_release_needs_releases(store):
    """Without releases no event could ever be of a newer one: the error names the cure."""
    one = number(store, ONE)

    with pytest.raises(TriageError, match="watchkeeper deploy RELEASE"):
        triage(store).resolve(one, next_release=True)

    store.mark_release(Release(scope=SHOP, at=NOW))
    changed = triage(store).resolve(one, next_release=True)
    assert ("resolved", {"release": "next"}) == (changed.state, changed.state_data)


@pytest.mark.parametrize(
    ("until", "asked"),
    [
        ({}, {}),
        ({"at": 2_000.0}, {"until": 2_000.0}),
        ({"events": 105}, {"events": 100}),  # 5 so far
        ({"per_count": 100, "per_s": 3_600.0}, {"events": 100, "per_s": 3_600.0}),
        ({"users": 10}, {"users": 10}),
        ({"at": 2_000.0, "users": 10}, {"until": 2_000.0, "users": 10}),
    ],
)
def test_a_mute_ends_as_asked(store, until, asked):
    """Until a moment, N more, N in a time, N users, or for good."""
    changed = triage(store).mute(number(store, ONE), **asked)

    assert "muted" == changed.state
    assert until == changed.state_data.get("until", {})


@pytest.mark.parametrize(
    ("problem", "asked"),
    [
        ("until: write a moment ahead", {"until": NOW - 1}),
        ("until: write a moment ahead", {"until": 1e15}),
        ("events: write a number from 1", {"events": 0}),
        ("users: write a number from 1", {"users": -1}),
        ("users: at most 1000", {"users": 1_001}),
        ("per: say how many events", {"per_s": 60.0}),
        ("per: write a time from 1m to 7d", {"events": 5, "per_s": 1.0}),
    ],
)
def test_a_mute_that_makes_no_sense_is_refused(store, problem, asked):
    """Each error names what is wrong and how it is written."""
    with pytest.raises(ConfigurationError, match=problem):
        triage(store).mute(number(store, ONE), **asked)


def test_a_mute_until_fewer_users_than_there_are_is_refused(store):
    """It would end at once."""
    with pytest.raises(TriageError, match="has met 2 users already"):
        triage(store).mute(number(store, ONE), users=2)


def test_a_mute_until_more_users_than_are_told_apart_names_another_cure(store):
    """Nobody is asked to write a number that is refused as well."""
    users = tuple(f"user{n}" for n in range(1_000))
    store.write(batch(frame(10), issues=[counted(TWO, 1_000, users=users)]))

    with pytest.raises(TriageError, match="met 1,000 users already; more than 1,000 are not told"):
        triage(store).mute(number(store, TWO), users=1_000)


def test_an_issue_is_opened_again(store):
    """What was done can be taken back; the history keeps both."""
    one = number(store, ONE)
    triage(store).ignore(one)

    assert "open" == triage(store).reopen(one).state
    assert [("ignored", "open"), ("open", "ignored")] == [
        (before, after) for _, before, after, _, _ in history(store, one)
    ]


def test_a_comment_holds_no_secret(store):
    """What people write is scrubbed as all that is stored."""
    one = number(store, ONE)

    triage(store).comment(one, "  seen with password=hunter2 again\n")

    (entry,) = store.issue_entries(one, limit=9)
    assert ("open", "open", None) == (entry.before, entry.after, entry.reason)
    assert entry.comment.startswith("seen with password=")
    assert "hunter2" not in entry.comment
    assert [("cli alice", "issue.comment", str(one), {})] == audit(store)


def test_an_empty_comment_is_refused(store):
    """A line that says nothing is a slip."""
    with pytest.raises(ConfigurationError, match="nothing in it"):
        triage(store).comment(number(store, ONE), " \n")


class Hasty(MemoryStore):
    """A store in which somebody else is faster, a number of times."""

    hurries = 0

    def change_issue(self, change):
        """Save a comment's worth of another change first."""
        if self.hurries:
            self.hurries -= 1
            entry = replace(change.entry, actor="session b0b", after="muted")
            super().change_issue(replace(change, state=State.MUTED, entry=entry))
        return super().change_issue(change)


@pytest.mark.parametrize("hurries", [1, 2])
def test_who_was_faster_is_not_run_over(hurries):
    """A change that meets another one is tried once more on what is there now, then given up."""
    store = Hasty()
    store.write(batch(frame(0), issues=[counted(ONE)]))
    one = number(store, ONE)
    store.hurries = hurries

    if hurries == 2:
        with pytest.raises(TriageError, match="changed by somebody else"):
            triage(store).resolve(one)
        return
    assert "resolved" == triage(store).resolve(one).state
    assert [("cli alice", "muted"), ("session b0b", "open")] == [
        (actor, before) for actor, before, _, _, _ in history(store, one)
    ]


class Crowded(MemoryStore):
    """A store in which other transactions go first, a number of times."""

    collisions = 0

    def _collide(self):
        if self.collisions:
            self.collisions -= 1
            raise CollisionError

    def change_issue(self, change):
        """Change an issue, unless another transaction goes first; the others likewise."""
        self._collide()
        return super().change_issue(change)

    def merge_issues(self, into, other, *, entry):
        self._collide()
        return super().merge_issues(into, other, entry=entry)

    def split_issue(self, issue_id, *, fingerprint="", path="", entry):
        self._collide()
        return super().split_issue(issue_id, fingerprint=fingerprint, path=path, entry=entry)

    def delete_issue(self, issue_id):
        self._collide()
        return super().delete_issue(issue_id)

    def comment_issue(self, entry):
        self._collide()
        return super().comment_issue(entry)


@pytest.mark.parametrize(
    "act",
    [
        lambda who, one: who.resolve(one),
        lambda who, one: who.comment(one, "x"),
        lambda who, one: who.merge(one, one + 1),
        lambda who, one: who.split(one, path="p1"),
        lambda who, one: who.delete(one),
    ],
)
def test_what_loses_against_another_transaction_is_tried_once_more(act):
    """A flush that was in the way for a moment is no reason to ask a person twice."""
    store = Crowded()
    store.write(batch(frame(0), issues=[counted(ONE, path="p1"), counted(ONE, path="p2")]))
    store.write(batch(frame(10), issues=[counted(TWO)]))
    store.collisions = 1

    act(triage(store), number(store, ONE))

    assert 1 == len(audit(store))


def test_what_loses_twice_is_told():
    """Somebody who is asked to try again later has a reason."""
    store = Crowded()
    store.write(batch(frame(0), issues=[counted(ONE)]))
    store.collisions = 2

    with pytest.raises(CollisionError):
        triage(store).resolve(number(store, ONE))


def test_two_issues_become_one(store):
    """Counts, events and fingerprints are together; the number of either finds it."""
    one, two = number(store, ONE), number(store, TWO)

    merged = triage(store).merge(one, two)

    assert (one, 6) == (merged.id, merged.count)
    assert one == triage(store).issue(two).id
    assert [ONE, TWO] == store.issue_fingerprints(one)
    data = {"from": two, "title": "ValueError: no such plan", "fingerprint": TWO}
    (*line, told) = history(store, one)[0]
    assert ["cli alice", "open", "open", "merged"] == line
    assert data == {name: value for name, value in told.items() if name != "was"}
    assert [("cli alice", "issue.merge", str(one), {"from": two})] == audit(store)


def test_an_issue_is_not_merged_with_itself(store):
    """Nor with one that it was merged with before."""
    one, two = number(store, ONE), number(store, TWO)
    triage(store).merge(one, two)

    with pytest.raises(TriageError, match="are one issue"):
        triage(store).merge(one, two)


def test_an_issue_is_split_by_a_call_path(store):
    """What came by the path is an issue of its own from now on."""
    one = number(store, ONE)

    made = triage(store).split(one, path="p2")

    assert ("open", 2) == (made.state, made.count)
    assert 3 == triage(store).issue(one).count
    assert [("cli alice", "issue.split", str(one), {"path": "p2", "to": made.id})] == audit(store)


def test_an_issue_is_split_by_the_beginning_of_a_fingerprint(store):
    """A merge can be undone, with a few digits."""
    one, two = number(store, ONE), number(store, TWO)
    triage(store).merge(one, two)

    made = triage(store).split(one, fingerprint="00000000000000b")

    assert [TWO] == store.issue_fingerprints(made.id)


def test_a_fingerprint_of_one_call_path_is_not_offered(store):
    """Of a path that was split off and merged back no fingerprint is left to split by."""
    one = number(store, ONE)
    part = triage(store).split(one, path="p2")
    triage(store).merge(one, part.id)

    with pytest.raises(TriageError, match="nothing would be left"):
        triage(store).split(one, fingerprint=ONE)
    with pytest.raises(TriageError, match=f"begins none of the issue's: {ONE}$"):
        triage(store).split(one, fingerprint=f"{ONE}/p2")


def test_a_fingerprint_of_an_older_algorithm_is_no_part_of_an_issue(store):
    """An error has one of each: to split by one of them would take all and leave a shell."""
    store.write(batch(frame(10), issues=[counted("2:00000000000000dd", aliases=("1:dd",))]))
    one = number(store, "2:00000000000000dd")

    for name in ("2:", "1:dd"):
        with pytest.raises(TriageError, match="nothing would be left"):
            triage(store).split(one, fingerprint=name)
    triage(store).merge(one, number(store, TWO))
    assert [TWO] == store.issue_fingerprints(triage(store).split(one, fingerprint=TWO).id)


def test_a_path_that_stored_events_alone_know_can_be_split_off(store):
    """More paths than are counted apart: the event shows one, so it has a name."""
    counts = [counted(TWO, 9, path=f"path{n:02}") for n in range(50)]
    last = replace(event(9, fingerprint=TWO, at=20.0), path="beyond")
    beyond = counted(TWO, 1, path="beyond")
    store.write(batch(frame(10), issues=counts))
    store.write(batch(frame(20), issues=[beyond], events=[last]))

    made = triage(store).split(number(store, TWO), path="beyo")

    assert [last.id] == [one.id for one in store.events(made.id, limit=9)]


def test_a_split_of_which_nothing_would_come_says_so():
    """The issue is there: it is not said to be gone."""
    store = Unsplit()
    store.write(batch(frame(0), issues=[counted(ONE, path="p1"), counted(ONE, path="p2")]))

    with pytest.raises(TriageError, match="nothing would come of it, or nothing would be left"):
        triage(store).split(number(store, ONE), path="p1")


class Unsplit(MemoryStore):
    """A store in which a path's last trace went since it was looked up."""

    def split_issue(self, issue_id, *, fingerprint="", path="", entry):
        """Find nothing that came by it."""
        return super().split_issue(issue_id, path="gone", entry=entry)


def test_what_is_said_of_a_merge_and_a_split_is_in_the_history(store):
    """Masked as every comment."""
    one = number(store, ONE)
    triage(store).merge(one, number(store, TWO), comment="same bug, password=hunter2")
    triage(store).split(one, path="p2", comment="not this one")

    assert ["not this one", "same bug, password=[masked]"] == [
        entry.comment for entry in store.issue_entries(one, limit=9)
    ]


def test_what_is_said_of_a_deletion_is_in_the_audit(store):
    """The history goes with the issue."""
    triage(store).delete(number(store, ONE), comment="noise")

    ((_, _, _, data),) = audit(store)
    assert "noise" == data["comment"]


class Unaudited(MemoryStore):
    """A store that takes no audit."""

    def audit(self, entry):
        """Fail as a full disk would."""
        raise StorageError("disk full")


def test_what_cannot_be_audited_is_done_all_the_same():
    """And is not told as a failure."""
    store = Unaudited()
    store.write(batch(frame(0), issues=[counted(ONE)]))

    assert "resolved" == triage(store).resolve(number(store, ONE)).state


@pytest.mark.parametrize(
    ("kind", "problem", "asked"),
    [
        (TriageError, "'p' begins 2 of the issue's: p1, p2", {"path": "p"}),
        (TriageError, "'x' begins none of the issue's: p1, p2", {"path": "x"}),
        (TriageError, "nothing would be left", {"fingerprint": ONE}),
        (ConfigurationError, "name a fingerprint or a path", {}),
        (ConfigurationError, "name a fingerprint or a path", {"path": "p", "fingerprint": ONE}),
    ],
)
def test_a_split_that_is_not_clear_is_refused(store, kind, problem, asked):
    """The error shows what there is to choose from."""
    with pytest.raises(kind, match=problem):
        triage(store).split(number(store, ONE), **asked)


def test_a_deleted_issue_is_gone(store):
    """What happens again is a new issue; the audit knows which one went."""
    one = number(store, ONE)

    triage(store).delete(one)

    assert store.issue(one) is None
    data = {"title": "ValueError: no such plan", "fingerprint": ONE}
    assert [("cli alice", "issue.delete", str(one), data)] == audit(store)


@pytest.mark.parametrize(
    "act",
    [
        lambda who, one: who.resolve(one),
        lambda who, one: who.mute(one),
        lambda who, one: who.ignore(one),
        lambda who, one: who.reopen(one),
        lambda who, one: who.comment(one, "x"),
        lambda who, one: who.merge(one, one + 1),
        lambda who, one: who.split(one, path="p1"),
        lambda who, one: who.delete(one),
    ],
)
def test_the_issues_of_another_service_cannot_be_touched(store, act):
    """A number names an issue of one's own scope only, even if another one has it."""
    with pytest.raises(TriageError, match=r"there is no issue 1 of other \(production\)"):
        act(triage(store, scope=OTHER), number(store, ONE))

    assert [] == audit(store)


def test_what_goes_in_the_midst_of_it_is_not_there(store):
    """An issue that somebody deletes at the same moment is told of as one that is gone."""
    one, two = number(store, ONE), number(store, TWO)
    who = triage(store)
    known = store.issue(one)
    store.delete_issue(one)

    entry = IssueEntry(issue=one, at=NOW, actor="", before="open", after="open")
    change = IssueChange(issue=known, state=State.RESOLVED, data={}, entry=entry)
    assert store.change_issue(change) is None
    with pytest.raises(TriageError, match="there is no issue"):
        who.merge(two, one)


@pytest.mark.parametrize(
    "name", ["{one}", "#{one}", ONE, "00000000000000a", " 1:00000000000000a "]
)
def test_an_issue_is_found_by_what_people_call_it(store, name):
    """Its number, its fingerprint, or how that begins."""
    one = number(store, ONE)

    assert one == find_issue(store, SHOP, name.format(one=one)).id


def test_a_number_goes_before_a_fingerprint(store):
    """Digits name the issue of that number; only where there is none, a fingerprint."""
    store.write(batch(frame(10), issues=[counted("1:0002000000000000")]))

    assert number(store, TWO) == find_issue(store, SHOP, f"{number(store, TWO):04}").id
    assert "1:0002000000000000" == find_issue(store, SHOP, "00020").fingerprint


@pytest.mark.parametrize(
    ("problem", "name"),
    [
        (r"'00000000' begins the fingerprints of several issues: 1 \(1:", "00000000"),
        (r"there is no issue '000'", "000"),
        (r"there is no issue 'abcd' of shop \(production\): give its number", "abcd"),
        (r"there is no issue '9999999999999999999'", "9" * 19),
        (r"there is no issue ''", ""),
        (r"there is no issue 'id:77'", "id:77"),
    ],
)
def test_a_name_that_is_not_clear_is_refused(store, problem, name):
    """The error lists what it could mean, or says how issues are named."""
    store.write(batch(frame(10), issues=[counted("1:00000000000000cc")]))
    with pytest.raises(TriageError, match=problem):
        find_issue(store, SHOP, name)


@pytest.mark.parametrize("name", ["2:00000000000000dd", "2:00000000000000d", "00000000000000d"])
def test_an_issue_of_an_older_version_is_found_by_what_its_events_show(store, name):
    """The digits that an event shows need not be those that its issue began with."""
    found = counted("2:00000000000000dd", aliases=(ONE,))
    store.write(batch(frame(10), issues=[found]))

    assert number(store, ONE) == find_issue(store, SHOP, name).id


def test_a_fingerprint_goes_before_one_with_a_call_path(store):
    """Part of it was split off; its digits alone name what is left."""
    part = triage(store).split(number(store, ONE), path="p2")

    assert number(store, ONE) == find_issue(store, SHOP, "00000000000000a").id
    assert part.id == find_issue(store, SHOP, "00000000000000aa/p").id


def test_issues_beyond_the_first_page_are_found_by_their_beginning():
    """However many there are, up to what a person may tell apart."""
    store = MemoryStore()
    store.write(
        batch(frame(0), issues=[counted(f"1:{n:016x}", at=float(n)) for n in range(1_200)])
    )

    assert "1:00000000000001a4" == find_issue(store, SHOP, "00000000000001a4").fingerprint
    with pytest.raises(TriageError, match=r", …$"):
        find_issue(store, SHOP, "0000000000000")
