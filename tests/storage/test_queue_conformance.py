"""What a store does with messages that wait: the queue of a channel, one that stands for all."""

from watchkeeper.storage import Store
from watchkeeper.storage.store import Outgoing

SHOP = {"service": "shop", "environment": "test"}
SCOPE = ("shop", "test")
START = 1_700_000_000.0


def put(
    store: Store, *numbers: int, kind: str = "digest", channel: str = "team", **more
) -> int | None:
    """Put messages of no incident into the outbox."""
    outgoing = [
        Outgoing(kind=kind, sequence=number, channel=channel, payload={}, due_at=START)
        for number in numbers
    ]
    return store.enqueue(outgoing, **SHOP, at=START, **more)


def waiting(store: Store) -> list[tuple[int, float]]:
    return [(one.sequence, one.claim_until) for one in store.waiting("team", scope=SCOPE, limit=9)]


def test_the_queue_of_a_channel_is_seen_oldest_first(store):
    """Also what somebody is sending; not what was sent, nor what other channels have."""
    put(store, 1, 2, 3, 4)
    put(store, 5, channel="other")
    sent, under_way = store.claim(at=START, hold_s=60, channels=["team"], limit=2)
    store.settle(sent, status="sent", at=START)

    assert [(2, START + 60), (3, 0.0), (4, 0.0)] == waiting(store)
    assert [2, 3] == [one.sequence for one in store.waiting("team", limit=2)]
    assert [] == store.waiting("team", scope=("other", "test"), limit=9)
    assert "" == store.waiting("team", limit=1)[0].claim
    assert under_way.claim


def test_a_queue_that_is_cut_shows_the_most_urgent_with_their_beginnings(store):
    """A flood hides nothing critical, nor what came before it of its incident."""
    several = [(1, 71, 0), (2, 72, 0), (3, 73, 5), (4, 71, 10), (5, 0, 7), (6, 0, 0)]
    for number, incident, priority in several:
        one = Outgoing(
            kind="firing",
            sequence=number,
            channel="team",
            payload={},
            due_at=START,
            incident=incident or None,
            priority=priority,
        )
        store.enqueue([one], **SHOP, at=START)

    assert [1, 4, 5, 3, 2, 6] == [number for number, _ in waiting(store)]
    assert [1, 4] == [one.sequence for one in store.waiting("team", limit=2)]


def test_chosen_messages_are_claimed_alone(store):
    """Who knows which are to go first claims these."""
    put(store, 1, 2, 3)
    third = store.waiting("team", limit=9)[2]

    claimed = store.claim(at=START, hold_s=60, channels=["team"], limit=9, ids=[third.id])
    again = store.claim(at=START, hold_s=60, channels=["team"], limit=9, ids=[third.id])

    assert [3] == [one.sequence for one in claimed]
    assert [] == again


def test_one_message_stands_for_others(store):
    """Those that it stands for are taken back with it."""
    put(store, 1, 2, 3)
    first, second, _ = store.waiting("team", limit=9)

    assert 1 == put(store, 9, withdraw=[first.id, second.id])

    assert [(3, 0.0), (9, 0.0)] == waiting(store)
    assert 2 == len(store.outbox(status="withdrawn", limit=9))


def test_what_is_being_sent_is_not_told_otherwise(store):
    """If one of the others is on its way, none is taken back, and nothing is put there."""
    put(store, 1, 2)
    first, second = store.waiting("team", limit=9)
    store.claim(at=START, hold_s=60, channels=["team"], limit=1, ids=[second.id])

    assert put(store, 9, withdraw=[first.id, second.id]) is None

    assert [(1, 0.0), (2, START + 60)] == waiting(store)


def test_what_a_channel_took_lately_is_counted(store):
    """By when it was sent, not by when it was put there."""
    put(store, 1, 2, 3)
    for number, row in enumerate(store.claim(at=START, hold_s=60, channels=["team"], limit=2)):
        store.settle(row, status="sent", at=START + 100 * number)

    def counted(since: float, **given) -> int:
        return store.sent_since("team", since=since, **{**SHOP, **given})

    assert [2, 1, 0] == [counted(START), counted(START + 1), counted(START + 101)]
    assert 0 == counted(START, service="other")
    assert [2, 0] == [counted(START, uncounted=kinds) for kinds in (["report"], ["digest"])]
