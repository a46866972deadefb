"""What every store does with messages past those of one incident."""

from dataclasses import replace

import pytest
from stored import HERE, THERE, fired, incident, notice, state

from watchkeeper.storage import Store
from watchkeeper.storage.outbox import SEQUENCES, sequence_at
from watchkeeper.storage.store import NO_INCIDENT, OutboxRow, Outgoing

SHOP, OTHER = ("shop", "production"), ("other", "production")


def digest(sequence: int = 0, channel: str = "oncall") -> Outgoing:
    """Make a message of no incident."""
    return replace(notice(channel, kind="digest"), sequence=sequence)


def take(store: Store, at: float = 100.0, scope: tuple[str, str] | None = None) -> list[OutboxRow]:
    """Claim all that is due for the two channels."""
    return store.claim(at=at, hold_s=60, channels=["oncall", "mail"], limit=9, scope=scope)


def statuses(store: Store) -> list[tuple[str, str]]:
    """List kinds and what became of them, newest first."""
    return [(one.kind, one.status) for one in store.outbox(limit=9)]


class TestNoIncident:
    """Messages that belong to no incident: a test, a digest, a channel that fails."""

    def test_such_a_message_is_sent_like_another(self, store: Store):
        """It is claimed, settled, and listed as one of none."""
        assert 1 == store.enqueue([digest()], **HERE, at=90.0)

        (row,) = take(store)

        assert (NO_INCIDENT, "digest", 90.0, *SHOP) == (
            row.incident,
            row.kind,
            row.created_at,
            row.service,
            row.environment,
        )
        assert store.settle(row, status="sent", at=101.0)
        (sent,) = store.outbox(incident=NO_INCIDENT, limit=9)
        assert ("sent", row.message_id) == (sent.status, sent.message_id)

    def test_of_each_sequence_there_is_one(self, store: Store):
        """Two workers that make the same digest at once put one into the outbox."""
        assert 1 == store.enqueue([digest(5)], **HERE, at=90.0)
        assert 1 == store.enqueue([digest(5), digest(6)], **HERE, at=91.0)

        assert [6, 5] == [one.sequence for one in store.outbox(limit=9)]

    def test_each_service_has_its_own(self, store: Store):
        """The same digest of another service in the same database is another message."""
        assert 1 == store.enqueue([digest()], **HERE, at=90.0)
        assert 1 == store.enqueue([digest()], **THERE, at=90.0)

        assert [SHOP] == [
            (one.service, one.environment) for one in store.outbox(scope=SHOP, limit=9)
        ]
        assert 2 == len(store.outbox(incident=NO_INCIDENT, limit=9))

    def test_an_incident_may_be_named_all_the_same(self, store: Store):
        """Another message of an incident needs no change of its alert."""
        row = store.save_alert(fired("oncall"), at=90.0)
        assert row is not None

        new = [replace(notice(kind="undelivered"), incident=row.incident)]
        assert 1 == store.enqueue(new, **HERE, at=95.0)
        assert 0 == store.enqueue(new, **HERE, at=96.0)

        assert [("undelivered", "due"), ("firing", "due")] == statuses(store)
        assert 2 == len(store.outbox(incident=row.incident, limit=9))

    def test_it_is_pruned_by_its_age(self, store: Store):
        """With the incidents' limit; those of incidents go with theirs alone."""
        for number in range(3):
            store.enqueue([digest(number)], **HERE, at=10.0 + number)
        store.save_alert(fired("mail"), at=10.0)

        assert 1 == store.prune_incidents(before=12.0, limit=1)
        assert 1 == store.prune_incidents(before=12.0, limit=9)
        assert 0 == store.prune_incidents(before=12.0, limit=9)

        assert [("mail", 10.0), ("oncall", 12.0)] == [
            (one.channel, one.created_at) for one in store.outbox(limit=9)
        ]

    def test_a_silenced_or_acknowledged_incident_is_pruned_like_another(self, store: Store):
        """What somebody did with it keeps it no longer."""
        over = incident(state="resolved", started_at=1.0, resolved_at=2.0)
        row = store.save_alert(replace(fired("mail"), incident=over), at=2.0)
        assert row is not None
        assert row.incident is not None
        store.acknowledge(row.incident, by="alice", note="", at=3.0)

        assert 1 == store.prune_incidents(before=12.0, limit=9)
        assert [] == store.outbox(limit=9)


class TestDigest:
    """One message that stands for many."""

    def test_it_takes_the_place_of_those_it_stands_for(self, store: Store):
        """Both in one transaction."""
        store.enqueue([digest(0), digest(1)], **HERE, at=90.0)
        waiting = [one.id for one in store.outbox(limit=9)]

        assert 1 == store.enqueue([digest(7)], **HERE, at=95.0, withdraw=waiting)

        assert [("digest", "due"), ("digest", "withdrawn"), ("digest", "withdrawn")] == statuses(
            store
        )

    def test_nothing_is_lost_to_a_digest_that_is_there(self, store: Store):
        """Of two workers that make it of different messages, the second one's stay."""
        store.enqueue([digest(0), digest(1)], **HERE, at=90.0)
        second, first = (one.id for one in store.outbox(limit=9))

        assert 1 == store.enqueue([digest(7)], **HERE, at=95.0, withdraw=[first])
        assert store.enqueue([digest(7)], **HERE, at=95.0, withdraw=[second]) is None

        assert ["due", "due", "withdrawn"] == [one.status for one in store.outbox(limit=9)]

    def test_what_is_on_its_way_stays(self, store: Store):
        """No digest is made of a message that is being sent."""
        store.enqueue([digest(0), digest(1)], **HERE, at=90.0)
        waiting = [one.id for one in store.outbox(limit=9)]
        store.claim(at=105.0, hold_s=60, channels=["oncall"], limit=1)

        assert store.enqueue([digest(7)], **HERE, at=106.0, withdraw=waiting) is None
        assert [("digest", "due")] * 2 == statuses(store)

    def test_a_digest_said_twice_at_once_is_none(self, store: Store):
        """The same message twice in one call would be one that was there."""
        store.enqueue([digest(0)], **HERE, at=90.0)
        (waiting,) = (one.id for one in store.outbox(limit=9))
        twice = [digest(7), digest(7)]

        assert store.enqueue(twice, **HERE, at=96.0, withdraw=[waiting]) is None
        assert [("digest", "due")] == statuses(store)

    def test_a_sequence_of_time_is_one_for_a_span(self):
        """Workers within the same ten minutes choose the same one, which fits its column."""
        assert 3 == sequence_at(1_800.0, every_s=600.0) == sequence_at(2_399.9, every_s=600.0)
        assert 4 == sequence_at(2_400.0, every_s=600.0)
        assert 0 <= sequence_at(5e9) < SEQUENCES


class TestClaiming:
    """Who may send what."""

    def test_a_scope_claims_its_own(self, store: Store):
        """Another service's channel of the same name may lead elsewhere."""
        store.enqueue([digest()], **HERE, at=90.0)
        store.enqueue([digest()], **THERE, at=90.0)

        assert ["other"] == [one.service for one in take(store, scope=OTHER)]
        assert ["shop"] == [one.service for one in take(store)]

    def test_a_message_that_tells_of_no_scope_is_anybodys(self, store: Store):
        """A process of before put it there; nobody else knows whose it is."""
        store.enqueue([digest()], service="", environment="", at=90.0)

        assert 1 == len(take(store, scope=SHOP))

    def test_the_highest_priority_goes_first(self, store: Store):
        """A flood of others does not hold up what is urgent."""
        store.enqueue(
            [digest(0), digest(1), replace(digest(2), priority=2), replace(digest(3), priority=2)],
            **HERE,
            at=90.0,
        )

        found = store.claim(at=100.0, hold_s=60, channels=["oncall"], limit=3)

        assert [(2, 2), (3, 2), (0, 0)] == [(one.sequence, one.priority) for one in found]


class TestRetrying:
    """A message that somebody wants sent now."""

    @pytest.fixture
    def row(self, store: Store) -> OutboxRow:
        """Claim a message."""
        store.enqueue([digest()], **HERE, at=90.0)
        (row,) = take(store)
        return row

    def test_a_message_that_waits_for_its_next_try_is_due(self, store: Store, row: OutboxRow):
        """Its time is now."""
        store.settle(row, status="due", at=101.0, next_try_at=900.0, error="away")

        assert store.retry_now(row.id, at=110.0)
        assert [2] == [one.attempts for one in take(store, 110.0)]

    def test_a_message_that_was_given_up_is_tried_again(self, store: Store, row: OutboxRow):
        """It is due once more, under the same id."""
        store.settle(row, status="failed", at=101.0)

        assert store.retry_now(row.id, at=110.0)
        assert [row.message_id] == [one.message_id for one in take(store, 110.0)]

    def test_a_message_on_its_way_is_left_alone(self, store: Store, row: OutboxRow):
        """It is not sent a second time while somebody sends it, nor once it was sent."""
        assert not store.retry_now(row.id, at=110.0)
        store.settle(row, status="sent", at=111.0)
        assert not store.retry_now(row.id, at=112.0)
        assert [] == take(store, 200.0)

    def test_a_message_that_was_withdrawn_stays_so(self, store: Store):
        """Another one says it."""
        store.enqueue([digest()], **HERE, at=90.0)
        (waiting,) = (one.id for one in store.outbox(limit=9))
        store.enqueue([digest(1)], **HERE, at=95.0, withdraw=[waiting])

        assert not store.retry_now(waiting, at=110.0)
        assert not store.retry_now(waiting + 7, at=110.0)


class TestLooking:
    """What tells how the outbox is."""

    def test_messages_are_found_by_what_they_are(self, store: Store):
        """By channel, by what became of them, and by when they were put there."""
        store.enqueue([digest(0), digest(0, "mail")], **HERE, at=90.0)
        store.enqueue([digest(1)], **HERE, at=95.0)
        (mail,) = store.claim(at=100.0, hold_s=60, channels=["mail"], limit=9)
        store.settle(mail, status="sent", at=101.0)

        def found(**how: object) -> list[tuple[str, int]]:
            rows = store.outbox(**how, limit=9)  # type: ignore[arg-type]
            return [(one.channel, one.sequence) for one in rows]

        assert [("oncall", 1), ("mail", 0), ("oncall", 0)] == found()
        assert [("oncall", 1), ("oncall", 0)] == found(channel="oncall")
        assert [("mail", 0)] == found(status="sent")
        assert [("oncall", 1)] == found(since=95.0)
        assert [] == found(scope=OTHER)
        assert [("oncall", 1), ("oncall", 0)] == found(scope=SHOP, status="due")

    def test_the_oldest_that_waits_is_told(self, store: Store):
        """Of a scope, while it is being sent too, until it is sent or given up."""
        assert store.oldest_waiting(**HERE) is None
        store.enqueue([digest(0)], **HERE, at=90.0)
        store.enqueue([digest(1)], **HERE, at=95.0)
        store.enqueue([digest(0)], **THERE, at=80.0)
        first, second = take(store, scope=SHOP)
        assert 90.0 == store.oldest_waiting(**HERE)
        assert 95.0 == store.oldest_waiting(**HERE, since=91.0)

        store.settle(first, status="failed", at=101.0)
        assert 95.0 == store.oldest_waiting(**HERE)

        store.settle(second, status="sent", at=101.0)
        assert store.oldest_waiting(**HERE) is None

    def test_an_alerts_messages_know_their_scope(self, store: Store):
        """They are put there with the row's own."""
        store.save_alert(replace(fired("oncall"), row=state(**THERE)), at=90.0)

        assert [OTHER] == [(one.service, one.environment) for one in store.outbox(limit=9)]
