"""Delivery from the outbox to real receivers: absent, refusing, hanging, gone."""

import threading
from collections.abc import Callable, Mapping

import pytest
from receivers import Receiver

from watchkeeper.exceptions import StorageUnavailableError
from watchkeeper.notify import DeliveryError, Notification, Notifier, open_notifier
from watchkeeper.runtime.guard import take_errors
from watchkeeper.runtime.lane import LaneOptions
from watchkeeper.runtime.outbox import Outbox
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import AlertChange, AlertRow, Incident, OutboxRow, Outgoing

START = 1_700_000_000.0


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Forgetful(MemoryStore):
    """A store whose database goes away between sending and recording."""

    away = False

    def settle(
        self, row: OutboxRow, *, status: str, at: float, next_try_at: float = 0, error: str = ""
    ) -> bool:
        if self.away:
            raise StorageUnavailableError
        return super().settle(row, status=status, at=at, next_try_at=next_try_at, error=error)


class Calls:
    """A channel of the user's that does what a test says."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.act = act

    def send(self, notification: Notification) -> None:
        self.act()


def enqueue(store: MemoryStore, *channels: str, rule: str = "High error rate") -> None:
    """Let a rule fire and tell these channels."""
    payload = {"rule": rule, "status": "firing", "alerts": [{"labels": {}, "incident": 1}]}
    saved = store.save_alert(
        AlertChange(
            row=AlertRow(
                service="shop",
                environment="test",
                rule=rule,
                group="",
                state="firing",
                data={},
            ),
            incident=Incident(
                service="shop",
                environment="test",
                rule=rule,
                group="",
                severity="critical",
                state="firing",
                started_at=START,
            ),
            outgoing=[
                Outgoing(kind="firing", sequence=0, channel=name, payload=payload, due_at=START)
                for name in channels
            ],
        ),
        at=START,
    )
    assert saved is not None


def webhook(receiver: Receiver) -> Notifier:
    return open_notifier("hook", {"type": "webhook", "url": receiver.url}, where="channels.hook")


def make(
    store: MemoryStore,
    clock: Callable[[], float],
    notifiers: Mapping[str, Notifier],
    options: Mapping[str, LaneOptions] | None = None,
) -> Outbox:
    return Outbox(
        store,
        notifiers,
        service="shop",
        environment="test",
        clock=clock,
        options=options,
        jitter=lambda: 0.0,
    )


def run(outbox: Outbox, clock: Clock) -> None:
    """Deliver what is due now and wait for it."""
    outbox.deliver(now=clock.now)
    assert outbox.wait(timeout_s=15)


def kinds(receiver: Receiver) -> list[str]:
    """Name the kinds of the messages that arrived, in order."""
    return [one.json()["watchkeeper"]["kind"] for one in receiver.received]


def row(store: MemoryStore, channel: str = "hook") -> OutboxRow:
    return next(one for one in store.outbox(limit=100) if channel == one.channel)


def test_a_notification_is_sent_once():
    """What was delivered is not sent again."""
    store, clock = MemoryStore(), Clock()
    enqueue(store, "hook")

    with Receiver() as receiver:
        outbox = make(store, clock, {"hook": webhook(receiver)})
        run(outbox, clock)
        clock.now += 3_600
        run(outbox, clock)

        assert 1 == len(receiver.received)

    assert ("sent", 1, START) == (row(store).status, row(store).attempts, row(store).sent_at)
    assert outbox.pending_soon() is None


def test_a_receiver_that_was_away_gets_the_message_soon_after_it_is_back():
    """A minute's absence delays a message by four seconds at most."""
    store, clock = MemoryStore(), Clock()
    enqueue(store, "hook")

    with Receiver() as receiver:
        receiver.refuse()
        outbox = make(store, clock, {"hook": webhook(receiver)})
        run(outbox, clock)
        waits = []
        while clock.now < START + 60:
            wait_s = outbox.pending_soon()
            assert wait_s is not None
            waits.append(wait_s)
            clock.now += wait_s
            assert outbox.is_due(clock.now)
            run(outbox, clock)
        receiver.accept()
        back_at = clock.now
        clock.now += outbox.pending_soon() or 0.0
        run(outbox, clock)

        assert 1 == len(receiver.received)

    assert [1.0, 2.0, 3.0, 4.0, 4.0] == waits[:5]
    assert 4.0 >= clock.now - back_at
    assert "sent" == row(store).status


def test_retry_after_is_honoured():
    """A receiver that asks to come later is not asked earlier."""
    store, clock = MemoryStore(), Clock()
    enqueue(store, "hook")

    with Receiver() as receiver:
        receiver.answer_once(503, {"Retry-After": "17"})
        outbox = make(store, clock, {"hook": webhook(receiver)})
        run(outbox, clock)
        waiting = row(store)
        clock.now += 16.9
        run(outbox, clock)
        early = len(receiver.received)
        clock.now += 0.2
        run(outbox, clock)

        assert 1 == early
        assert 2 == len(receiver.received)

    assert ("due", START + 17) == (waiting.status, waiting.next_try_at)
    assert f"127.0.0.1:{receiver.port}: answered 503" == waiting.last_error
    assert "sent" == row(store).status


def test_a_refused_message_is_tried_for_ten_minutes_and_then_failed():
    """400 may be a proxy that restarts; after ten minutes of it, it is the message."""
    store, clock = MemoryStore(), Clock()
    enqueue(store, "hook")

    with Receiver() as receiver:
        receiver.answer(400)
        outbox = make(store, clock, {"hook": webhook(receiver)})
        for _ in range(20):
            run(outbox, clock)
            clock.now += 60

        assert 11 == len(receiver.received)
        assert 1 == len({request.headers["webhook-id"] for request in receiver.received})

    assert "failed" == row(store).status


def test_410_switches_the_channel_off():
    """A channel that says it is gone is left alone; what waits for it has failed."""
    store, clock = MemoryStore(), Clock()
    enqueue(store, "hook", "other")

    with Receiver() as receiver, Receiver() as other:
        receiver.answer(410)
        outbox = make(store, clock, {"hook": webhook(receiver), "other": webhook(other)})
        run(outbox, clock)
        enqueue(store, "hook", "other", rule="Slow responses")
        run(outbox, clock)

        assert 1 == len(receiver.received)
        assert ["firing", "undelivered", "firing"] == kinds(other)

    assert ["failed", "failed"] == [
        one.status for one in store.outbox(limit=100) if "hook" == one.channel
    ]


def test_a_channel_that_hangs_delays_no_other():
    """While one receiver hangs, with two sends at most, another gets everything."""
    store, clock = MemoryStore(), Clock()
    for number in range(5):
        enqueue(store, "hook", "other", rule=f"rule {number}")

    with Receiver() as receiver, Receiver() as other:
        receiver.hang()
        outbox = make(store, clock, {"hook": webhook(receiver), "other": webhook(other)})
        outbox.deliver(now=clock.now)
        other.wait_for(5)
        receiver.wait_for(2)
        outbox.deliver(now=clock.now)
        hanging = len(receiver.received)
        receiver.release()
        assert outbox.wait(timeout_s=15)

        assert 2 == hanging
        assert 5 == len(other.received)
        assert 5 == len(receiver.received)

    assert {"sent"} == {one.status for one in store.outbox(limit=100)}


def test_killed_between_sending_and_recording_sends_the_same_id_again():
    """The one way to get a message twice; its id tells the receiver."""
    store, clock = Forgetful(), Clock()
    enqueue(store, "hook")

    with Receiver() as receiver:
        store.away = True
        run(make(store, clock, {"hook": webhook(receiver)}), clock)
        store.away = False  # the process is gone with what it knew; another one takes over
        survivor = make(store, clock, {"hook": webhook(receiver)})
        run(survivor, clock)
        during_the_claim = len(receiver.received)
        clock.now += 60
        run(survivor, clock)

        assert 1 == during_the_claim
        first, second = receiver.received
        assert first.headers["webhook-id"] == second.headers["webhook-id"]

    assert ("sent", 2) == (row(store).status, row(store).attempts)


@pytest.mark.parametrize("passed_s", [5.0, 90.0])
def test_what_was_sent_while_the_database_went_away_is_not_sent_again(passed_s: float):
    """A result that could not be recorded is recorded when the database is back."""
    store, clock = Forgetful(), Clock()
    enqueue(store, "hook")

    with Receiver() as receiver:
        store.away = True
        outbox = make(store, clock, {"hook": webhook(receiver)})
        run(outbox, clock)
        store.away = False
        clock.now += passed_s
        run(outbox, clock)
        clock.now += 120
        run(outbox, clock)

        assert 1 == len(receiver.received)

    assert "sent" == row(store).status


def test_while_the_database_is_away_the_caller_is_told():
    """The flusher, which waits for the database, hears of it."""
    store, clock = Forgetful(), Clock()
    enqueue(store, "hook")

    with Receiver() as receiver:
        store.away = True
        outbox = make(store, clock, {"hook": webhook(receiver)})
        run(outbox, clock)

        with pytest.raises(StorageUnavailableError):
            outbox.deliver(now=clock.now)


def test_a_channel_that_this_process_does_not_know_is_left_to_others():
    """A row for a channel of another deployment stays untouched."""
    store, clock = MemoryStore(), Clock()
    enqueue(store, "elsewhere")

    run(make(store, clock, {}), clock)

    assert ("due", 0) == (row(store, "elsewhere").status, row(store, "elsewhere").attempts)


def test_two_workers_send_one_copy():
    """Whoever claims a row sends it; the other finds nothing."""
    store, clock = MemoryStore(), Clock()
    enqueue(store, "hook")

    with Receiver() as receiver:
        workers = [make(store, clock, {"hook": webhook(receiver)}) for _ in range(4)]
        threads = [threading.Thread(target=run, args=(worker, clock)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert 1 == len(receiver.received)


def test_a_channel_of_ones_own_that_raises_is_tried_again(caplog: pytest.LogCaptureFixture):
    """A bug in a user's channel is logged and ends nothing."""
    store, clock = MemoryStore(), Clock()
    enqueue(store, "own")

    def broken() -> None:
        raise KeyError("no such room")

    run(make(store, clock, {"own": Calls(broken)}), clock)

    assert ("due", START + 1) == (row(store, "own").status, row(store, "own").next_try_at)
    assert "unexpected exception" in row(store, "own").last_error
    assert 1 == take_errors()["channel own"]


def test_no_secret_of_an_error_is_stored():
    """What a channel said about its failure is scrubbed before it is written."""
    store, clock = MemoryStore(), Clock()
    enqueue(store, "own")

    def refused() -> None:
        raise DeliveryError("login failed with password=hunter2 at https://me:hunter2@host/")

    run(make(store, clock, {"own": Calls(refused)}), clock)

    assert "hunter2" not in row(store, "own").last_error
    assert row(store, "own").last_error.startswith("login failed")


def test_stop_waits_for_what_is_under_way_and_leaves_the_rest():
    """At the end of the process nothing new is started; the rest is there for others."""
    store, clock = MemoryStore(), Clock()
    enqueue(store, "hook")

    with Receiver() as receiver:
        receiver.hang()
        outbox = make(store, clock, {"hook": webhook(receiver)})
        outbox.deliver(now=clock.now)
        receiver.wait_for(1)
        enqueue(store, "hook", rule="Slow responses")
        outbox.stop(deadline_s=0.05)
        receiver.release()
        assert outbox.wait(timeout_s=15)
        outbox.deliver(now=clock.now)

        assert outbox.wait(timeout_s=15)
        assert 1 == len(receiver.received)

    assert {"sent", "due"} == {one.status for one in store.outbox(limit=100)}
