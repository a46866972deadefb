"""What every store does for who looks after it by hand: one suite for all of them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from stored import (
    HERE,
    OTHER,
    SHOP,
    THERE,
    batch,
    counted,
    counter,
    event,
    fired,
    frame,
    incident,
    notice,
    result,
    sample,
    state,
    statement,
)

from watchkeeper.core.hours import summed
from watchkeeper.core.slot import FrameKey
from watchkeeper.storage import Store
from watchkeeper.storage.hour import pack_minutes
from watchkeeper.storage.records import MAX_PAST_WORKERS
from watchkeeper.storage.store import (
    AlertChange,
    Audit,
    CheckChange,
    Release,
    Sample,
    SealedHour,
    Silence,
)
from watchkeeper.storage.upkeep import Kind, Looked, Marked, Past, Position

ADA = "0123456789abcdef"
BOB = "fedcba9876543210"
START: Position = (0.0, "")


def of_user(user: str, number: int, at: float) -> Sample:
    """Make a stored request of a user."""
    return sample(number, at=at, data={"own_s": 0.1, "user": user})


def write(store: Store, at: int = 20, scope=SHOP, **more) -> None:
    """Write a flush of a worker of its own."""
    worker = store.register(scope, host="web-1", pid=1, at=float(at))
    one = frame(at, worker.id, values={counter(scope=scope): 1.0})
    store.write(batch(one, scope, **more).owned_by(worker.id))


@pytest.fixture
def full(store: Store) -> Store:
    """A store with two rows of everything, one from 10 s and one from 500 s."""
    for at in (10, 500):
        moment = float(at)
        write(
            store,
            at,
            issues=[counted(f"1:{at:016x}", at=moment)],
            events=[event(at, at=moment, fingerprint=f"1:{at:016x}")],
            samples=[sample(at, at=moment)],
            statements=[statement(f"{at:016x}", at=moment)],
            checks=[result(f"check {at}", at=moment)],
            check_changes=[
                CheckChange(name="db", worker=0, before="pass", after="fail", at=moment)
            ],
        )
        store.mark_release(Release(scope=replace(SHOP, release=f"v{at}"), at=moment, by="cli"))
        digest = replace(notice(kind="digest"), sequence=at)
        store.enqueue([digest], **HERE, at=moment)
        silence = Silence(
            **HERE,
            matchers={"severity": "warning"},
            starts_at=moment,
            ends_at=moment,
            author="alice",
            created_at=moment,
        )
        store.add_silence(silence, audit=Audit(**HERE, at=moment, actor="cli", action="set"))
        minute = frame(at // 60 * 60, 0, resolution=60, values={counter(): 1.0})
        store.add_frames([minute])
    sealed = SealedHour(
        series=counter(), hour=summed({0: 1.0}), chunk=pack_minutes({0: 1.0}), revision=0
    )
    store.seal(0, [sealed], [FrameKey(60, 0, 0, 0)])
    over = incident(state="resolved", started_at=10.0, resolved_at=20.0)
    store.save_alert(AlertChange(row=state(), incident=over), at=20.0)
    store.save_alert(
        AlertChange(row=state(group="event"), incident=incident(group="event", state="event")),
        at=100.0,
    )
    store.save_alert(AlertChange(row=state(group="now"), incident=incident(group="now")), at=100.0)
    return store


class TestPast:
    """What is past its time."""

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            (Kind.HOURS, [("hours", 0.0)]),
            (Kind.CHUNKS, [("chunks", 0.0)]),
            (Kind.EVENTS, [("events", 10.0)]),
            (Kind.COUNTS, [("issue counts", 10.0)]),
            (Kind.ISSUES, [("issues", 10.0)]),
            (Kind.INCIDENTS, [("incidents", 10.0), ("messages", 10.0)]),
            (Kind.CHECKS, [("check results", 10.0), ("check changes", 10.0)]),
            (Kind.WORKERS, [("workers", 20.5)]),
            (Kind.AUDITS, [("audits", 10.0)]),
            (Kind.SILENCES, [("silences", 10.0)]),
        ],
    )
    def test_what_is_old_is_counted_by_table(
        self, full: Store, kind: Kind, expected: Sequence[tuple[str, float]]
    ):
        """Of each kind one row is from before 100 s; the count says when the oldest is from."""
        found = full.past(kind, before=100.0)

        assert [Past(what=what, rows=1, oldest=at) for what, at in expected] == found

    @pytest.mark.parametrize("kind", [one for one in Kind if one is not Kind.SERIES])
    def test_what_is_counted_is_what_pruning_deletes(self, full: Store, kind: Kind):
        """The sum over the tables of a kind is how many rows its deletion reports."""
        more = {"resolution": 10} if kind is Kind.FRAMES else {}
        most = {"most": 9} if kind is Kind.SAMPLES else {}
        counted = full.past(kind, before=550.0, **more, **most)
        prune = getattr(full, f"prune_{kind}")

        gone = prune(*more.values(), before=550.0, limit=1_000, **most)

        assert 0 < gone == sum(one.rows for one in counted)
        assert [0] * len(counted) == [
            one.rows for one in full.past(kind, before=550.0, **more, **most)
        ]

    def test_sealed_minutes_are_told_apart_from_others(self, full: Store):
        """A minute that goes as a sealed one is not counted a second time among the minutes."""
        assert [1] == [one.rows for one in full.past(Kind.SEALED, before=550.0)]
        assert [2] == [one.rows for one in full.past(Kind.FRAMES, before=550.0, resolution=60)]
        unsealed = full.past(Kind.FRAMES, before=550.0, resolution=60, sealed_before=100.0)
        assert [Past(what="frames", rows=1, oldest=480)] == unsealed

    def test_samples_past_their_number_count_too(self, full: Store):
        """Of two samples of which one may stay, the older one goes."""
        found = full.past(Kind.SAMPLES, before=0.0, most=1)

        assert [
            Past(what="samples", rows=1, oldest=10.0),
            Past(what="statements", rows=0, oldest=None),
        ] == found

    def test_workers_of_a_crowd_count_before_their_time(self, store: Store):
        """Of very many that stopped, those that are not among the newest go at once."""
        for at in range(MAX_PAST_WORKERS + 3):
            worker = store.register(SHOP, host="web-1", pid=1, at=float(at))
            store.stop_worker(worker.id, at=float(at))

        [past] = store.past(Kind.WORKERS, before=0.0)

        assert Past(what="workers", rows=3, oldest=0.0) == past
        assert 3 == store.prune_workers(before=0.0, limit=1_000)

    def test_an_incident_that_goes_on_is_not_past(self, full: Store):
        """Only what is over counts; an event is over as it happens."""
        assert [2, 2] == [one.rows for one in full.past(Kind.INCIDENTS, before=10_000.0)]


class TestUsers:
    """What is kept about one user."""

    def test_rows_of_a_user_are_found_in_pages(self, store: Store):
        """A look goes through some rows of the scope, and says where the next one begins."""
        found = [
            of_user(ADA if number % 2 else BOB, number, at=float(number)) for number in range(1, 6)
        ]
        write(store, samples=found)
        write(store, scope=OTHER, samples=[of_user(ADA, 9, at=9.0)])

        def look(after: Position) -> Looked:
            return store.marked(Marked.SAMPLES, ADA, **HERE, after=after, limit=3)

        first = look(START)
        second = look(first.last)

        assert (3, 2) == (first.rows, second.rows)
        assert [(1.0, f"{1:032x}"), (3.0, f"{3:032x}")] == list(first.found)
        assert [(5.0, f"{5:032x}")] == list(second.found)
        assert Looked(found=[], rows=0, last=None) == look(second.last)

    def test_rows_of_the_same_moment_are_all_looked_at(self, store: Store):
        """A page may end in the midst of a moment: the next one goes on with the same moment."""
        write(store, samples=[of_user(ADA, number, at=5.0) for number in range(1, 4)])

        first = store.marked(Marked.SAMPLES, ADA, **HERE, after=START, limit=2)
        second = store.marked(Marked.SAMPLES, ADA, **HERE, after=first.last, limit=2)

        assert [f"{number:032x}" for number in (1, 2, 3)] == [
            one for _, one in [*first.found, *second.found]
        ]

    def test_erased_rows_are_gone_and_counts_stay(self, store: Store):
        """The events go; how often the error happened is still known."""
        hers = replace(event(1, at=5.0), data={"user": ADA, "tags": {"plan": "pro"}})
        his = replace(event(2, at=6.0), data={"user": BOB})
        write(store, issues=[counted(count=2)], events=[hers, his])
        looked = store.marked(Marked.EVENTS, ADA, **HERE, after=START, limit=10)

        assert 1 == store.erase(Marked.EVENTS, looked.found)
        assert 0 == store.erase(Marked.EVENTS, looked.found)

        (issue,) = store.issues(**HERE, seen_since=0, limit=9)
        assert 2 == issue.count
        assert [his.id] == [one.id for one in store.events(issue.id, limit=9)]

    def test_many_rows_are_erased_at_once(self, store: Store):
        """More keys than one statement takes are deleted in one call."""
        found = [of_user(ADA, number, at=number / 7) for number in range(1, 451)]
        write(store, samples=found)
        looked = store.marked(Marked.SAMPLES, ADA, **HERE, after=START, limit=1_000)

        assert 450 == store.erase(Marked.SAMPLES, looked.found)
        assert [] == store.samples(**HERE, since=0, until=1_000, limit=9)


class TestPages:
    """Rows in the order of their keys."""

    def test_samples_come_oldest_first_and_go_on_behind_a_key(self, store: Store):
        """Two pages hold each sample of the scope once, also those of the same moment."""
        kept = [sample(number, at=at) for number, at in ((1, 7.0), (2, 5.0), (3, 5.0), (4, 6.0))]
        write(store, samples=kept)
        write(store, scope=OTHER, samples=[sample(9, at=5.5)])

        first = store.next_samples(**HERE, after=(5.0, ""), limit=3)
        second = store.next_samples(**HERE, after=(first[-1].at, first[-1].id), limit=3)

        assert ["02", "03", "04"] == [one.id[-2:] for one in first]
        assert ["01"] == [one.id[-2:] for one in second]
        assert kept[3].data == first[2].data
        assert [5.5] == [one.at for one in store.next_samples(**THERE, after=START, limit=3)]

    def test_events_come_with_their_issues(self, store: Store):
        """An event tells which issue it belongs to; those of other services are left out."""
        write(store, issues=[counted()], events=[event(2, at=6.0), event(1, at=5.0)])
        write(store, scope=OTHER, issues=[counted()], events=[event(3, at=5.5)])
        (issue,) = store.issues(**HERE, seen_since=0, limit=9)

        found = store.next_events(**HERE, after=START, limit=9)

        assert [(issue.id, event(1, at=5.0)), (issue.id, event(2, at=6.0))] == found
        assert found[1:] == store.next_events(**HERE, after=(5.0, f"{1:032x}"), limit=9)

    def test_issues_come_by_id(self, full: Store):
        """A page of issues goes on behind an id, and leaves out what was not seen since."""
        first, second = full.next_issues(**HERE, seen_since=0, after=0, limit=9)

        assert [10.0, 500.0] == [first.last_at, second.last_at]
        assert [second] == full.next_issues(**HERE, seen_since=0, after=first.id, limit=9)
        assert [second] == full.next_issues(**HERE, seen_since=100, after=0, limit=9)
        assert [first] == full.next_issues(**HERE, seen_since=0, after=0, limit=1)
        assert [] == full.next_issues(**THERE, seen_since=0, after=0, limit=9)

    def test_incidents_come_by_id(self, full: Store):
        """A page of incidents goes on behind an id, and leaves out what was over before."""
        found = full.next_incidents(**HERE, since=0, after=0, limit=9)

        assert ["resolved", "event", "firing"] == [one.state for one in found]
        assert found[1:] == full.next_incidents(**HERE, since=50, after=0, limit=9)
        assert found[:1] == full.next_incidents(**HERE, since=15, after=0, limit=1)
        assert found[2:] == full.next_incidents(**HERE, since=0, after=found[1].id, limit=9)
        assert [] == full.next_incidents(**THERE, since=0, after=0, limit=9)


class TestRemoval:
    """The tables as a whole."""

    def test_nothing_is_left(self, full: Store):
        """What was removed is gone; the tables can be made anew, and are empty."""
        listed = full.tables()

        assert listed == full.remove()

        assert [] == full.tables()
        assert [] == full.remove()
        full.migrate()
        assert [] == full.issues(**HERE, seen_since=0, limit=9)
        assert [] == full.next_samples(**HERE, after=START, limit=9)
        assert [] == full.workers(**HERE, seen_since=0)
        full.save_alert(fired("oncall"), at=1.0)
        write(full)

    def test_a_store_in_use_is_of_the_schema_that_is_known(self, store: Store):
        """After `migrate` nothing is missing."""
        schema = store.schema()

        assert 0 < schema.found == schema.known
        assert [] == store.missing_sql()
