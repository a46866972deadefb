"""Delivery from the outbox to real receivers: absent, refusing, hanging, gone."""

import re
import threading
import time
from asyncio import CancelledError
from collections.abc import Callable, Mapping

import pytest
from receivers import Received, Receiver

from watchkeeper.exceptions import StorageUnavailableError
from watchkeeper.notify import DeliveryError, Notification, Notifier, open_notifier
from watchkeeper.runtime import guard as guards
from watchkeeper.runtime.guard import take_errors
from watchkeeper.runtime.lane import LaneOptions, lane_key
from watchkeeper.runtime.outbox import Outbox
from watchkeeper.runtime.queue import MAX_LOOKED_AT
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
    *,
    follows: bool = False,
) -> Outbox:
    return Outbox(
        store,
        notifiers,
        service="shop",
        environment="test",
        clock=clock,
        options=options,
        follows=follows,
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


def test_what_failed_elsewhere_is_followed_by_who_is_asked_to():
    """Another process, as one from outside, knows when the channel is to be tried again."""
    store, clock = MemoryStore(), Clock()
    enqueue(store, "hook")

    with Receiver() as receiver:
        receiver.refuse()
        failed = make(store, clock, {"hook": webhook(receiver)})
        run(failed, clock)
        waits = []
        for follows in (True, False):
            another = make(store, clock, {"hook": webhook(receiver)}, follows=follows)
            run(another, clock)
            waits.append(another.pending_soon())

    assert [failed.pending_soon(), None] == waits
    assert waits[0] is not None


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
        assert ["firing", "firing", "undelivered"] == sorted(kinds(other))

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


def test_while_the_database_is_away_a_retry_that_is_due_is_not_asked_for_at_once():
    """A channel fails, and what another one took cannot be recorded: the next look is in 1 s."""
    store, clock, away = Forgetful(), Clock(), threading.Event()
    enqueue(store, "down", "slow")

    def refuse() -> None:
        raise DeliveryError("refused")

    outbox = make(store, clock, {"down": Calls(refuse), "slow": Calls(lambda: away.wait(15))})
    outbox.deliver(now=clock.now)
    while outbox.pending_soon() is None:  # the first has failed, the second is under way
        time.sleep(0.001)
    store.away = True
    away.set()
    outbox.wait(timeout_s=15)
    clock.now += 5
    was_due = outbox.is_due(clock.now)
    with pytest.raises(StorageUnavailableError):
        outbox.deliver(now=clock.now)

    assert was_due
    assert (False, 1.0) == (outbox.is_due(clock.now), outbox.pending_soon())


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


@pytest.mark.parametrize("kind", [KeyError, SystemExit, CancelledError])
def test_a_channel_of_ones_own_that_raises_is_tried_again(
    kind: type[BaseException],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    """A bug in a user's channel ends nothing; what is logged of it is its kind and its place."""
    monkeypatch.setattr(guards, "_logged", {})
    take_errors()
    store, clock = MemoryStore(), Clock()
    enqueue(store, "own")

    def broken() -> None:
        raise kind("https://hooks.example/services/not-a-real-token")

    run(make(store, clock, {"own": Calls(broken)}), clock)

    assert ("due", START + 1) == (row(store, "own").status, row(store, "own").next_try_at)
    assert "unexpected exception" in row(store, "own").last_error
    assert 1 == take_errors()["channel own"]
    assert kind.__name__ in caplog.text
    assert "in broken" in caplog.text
    assert "not-a-real-token" not in caplog.text


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


def summary(message: Received) -> str:
    return message.json()["commonAnnotations"]["summary"]


def put(store: MemoryStore, *numbers: int, severity: str = "warning", at: float = START) -> None:
    """Let so many incidents tell the hook."""
    for number in numbers:
        payload = {
            "rule": f"rule {number}",
            "severity": severity,
            "alerts": [{"labels": {}, "incident": number}],
        }
        one = Outgoing(
            kind="firing",
            sequence=0,
            channel="hook",
            payload=payload,
            due_at=at,
            incident=number,
            priority=10 if severity == "critical" else 0,
        )
        store.enqueue([one], service="shop", environment="test", at=at)


def statuses(store: MemoryStore, channel: str = "hook") -> list[str]:
    return [one.status for one in reversed(store.outbox(channel=channel, limit=300))]


def rules(receiver: Receiver) -> list[str]:
    """Name the rules that the messages that arrived tell of, in order."""
    return [one.json()["groupLabels"]["alertname"] for one in receiver.received]


def test_a_channel_that_is_away_is_asked_by_one_message_at_a_time():
    """Of a hundred that wait few are tried; when it is back, all go at once."""
    store, clock = MemoryStore(), Clock()
    put(store, *range(1, 101))

    with Receiver() as receiver:
        receiver.answer(503)
        options = {"hook": LaneOptions(max_messages=1_000)}
        workers = [make(store, clock, {"hook": webhook(receiver)}, options) for _ in range(4)]
        while clock.now < START + 60:
            for worker in workers:
                run(worker, clock)
            clock.now += 1
        while_away = len(receiver.received)
        receiver.answer(200)
        back_at = clock.now
        while clock.now < back_at + 5:
            run(workers[0], clock)
            clock.now += 1

    assert 15 <= while_away <= 25  # the three that open the circuit, then one each 1 to 4 s
    assert {"sent"} == set(statuses(store))


def test_a_mail_that_takes_its_time_is_still_the_only_probe():
    """Mail may take 30 s: other processes wait so long before they ask a failing channel, too."""
    store, clock, end, calls = MemoryStore(), Clock(), threading.Event(), []
    end.set()

    def send() -> None:
        calls.append(1)
        end.wait(30)
        raise DeliveryError("away")

    put(store, *range(1, 9))
    first, second = (make(store, clock, {"hook": Calls(send)}) for _ in range(2))
    while len(calls) < 3:
        run(first, clock)
        clock.now += 5
    clock.now += 30
    end.clear()
    started = first.deliver(now=clock.now)
    clock.now += 30
    more = second.deliver(now=clock.now)
    end.set()

    assert first.wait(timeout_s=15)
    assert second.wait(timeout_s=15)
    assert (1, 0) == (started, more)


def test_a_message_that_is_refused_holds_up_no_other():
    """It is the message's fault, as far as can be seen; the channel works."""
    store, clock = MemoryStore(), Clock()
    put(store, 1, 2, 3, 4, 5, 6)

    with Receiver() as receiver:
        for _ in range(4):
            receiver.answer_once(400)
        run(make(store, clock, {"hook": webhook(receiver)}), clock)

    assert ["due", "due", "due", "due", "sent", "sent"] == sorted(statuses(store))


def test_of_one_incident_the_end_is_not_told_before_the_beginning():
    """Where the first message failed, the second waits for it."""
    store, clock = MemoryStore(), Clock()
    put(store, 1)

    with Receiver() as receiver:
        receiver.answer_once(503)
        outbox = make(store, clock, {"hook": webhook(receiver)})
        run(outbox, clock)
        resolved = Outgoing(
            kind="resolved", sequence=0, channel="hook", payload={}, due_at=START, incident=1
        )
        store.enqueue([resolved], service="shop", environment="test", at=START)
        run(outbox, clock)
        before = kinds(receiver)
        clock.now += 1
        run(outbox, clock)

        assert ["firing"] == before
        assert ["firing", "firing", "resolved"] == kinds(receiver)


def test_what_is_critical_does_not_wait_behind_a_flood():
    """The last to come is the first to go."""
    store, clock = MemoryStore(), Clock()
    put(store, *range(1, 15))
    put(store, 99, severity="critical")

    with Receiver() as receiver:
        run(make(store, clock, {"hook": webhook(receiver)}), clock)

        assert "rule 99" in rules(receiver)[:2]


def test_what_is_critical_does_not_wait_behind_hundreds_that_are_braked():
    """Also if more wait than are looked at together; one digest tells of them all."""
    store, clock = MemoryStore(), Clock()
    put(store, *range(1, 17))

    with Receiver() as receiver:
        outbox = make(store, clock, {"hook": webhook(receiver)})
        run(outbox, clock)
        run(outbox, clock)
        clock.now += 5
        put(store, *range(100, 100 + MAX_LOOKED_AT + 30), at=clock.now)
        put(store, 999, severity="critical", at=clock.now)
        run(outbox, clock)
        told = rules(receiver)[-1]
        clock.now += 600
        run(outbox, clock)
        run(outbox, clock)

        assert "rule 999" == told

    assert [] == store.waiting("hook", limit=1)


def test_digests_take_no_place_of_what_is_critical():
    """After an hour of warnings, with a digest each ten minutes, one that matters goes at once."""
    store, clock = MemoryStore(), Clock()

    with Receiver() as receiver:
        outbox = make(store, clock, {"hook": webhook(receiver)})
        for number in range(0, 600, 100):
            put(store, *range(number + 1, number + 31), at=clock.now)
            run(outbox, clock)
            run(outbox, clock)
            clock.now += 590
        put(store, 999, severity="critical", at=clock.now)
        run(outbox, clock)

        assert "rule 999" in rules(receiver)[-2:]


def test_beyond_the_limit_one_message_lists_the_rest():
    """Fifteen warnings go, then a digest with every other one; ten minutes later the next."""
    store, clock = MemoryStore(), Clock()
    put(store, *range(1, 31))

    with Receiver() as receiver:
        outbox = make(store, clock, {"hook": webhook(receiver)})
        run(outbox, clock)
        run(outbox, clock)
        first = receiver.received
        put(store, 40, 41, at=clock.now)
        clock.now += 599
        run(outbox, clock)
        early = len(receiver.received)
        clock.now += 1
        run(outbox, clock)
        run(outbox, clock)

        incidents = {
            one.json()["watchkeeper"]["kind"]: one.json()["watchkeeper"]["incidents"]
            for one in first
        }
        assert 16 == len(first)
        assert [*range(16, 31)] == incidents["digest"]
        assert 16 == early
        assert [40, 41] == receiver.received[-1].json()["watchkeeper"]["incidents"]
        assert 17 == len(receiver.received)

    assert 17 == statuses(store).count("withdrawn")
    assert {"sent", "withdrawn"} == set(statuses(store))


def test_another_channel_has_what_waits_for_five_minutes():
    """Once, and the first channel gets it all the same when it is back."""
    store, clock = MemoryStore(), Clock()
    put(store, 1)

    with Receiver() as receiver, Receiver() as other:
        receiver.answer(503)
        outbox = make(
            store,
            clock,
            {"hook": webhook(receiver), "other": webhook(other)},
            {"hook": LaneOptions(fallback="other")},
        )
        while clock.now < START + 299:
            run(outbox, clock)
            clock.now += 15
        before = len(other.received)
        for _ in range(4):
            run(outbox, clock)
            clock.now += 15
        after = len(other.received)
        receiver.answer(200)
        run(outbox, clock)

        assert (0, 1) == (before, after)
        assert ["rule 1"] == rules(other)

    assert ["sent"] == statuses(store)


def test_a_channel_that_never_comes_back_keeps_nothing_from_the_others():
    """Its sends count as failed after a minute, and the fallback has all that waits."""
    store, clock, end = MemoryStore(), Clock(), threading.Event()
    put(store, 1, 2, 3)
    hanging = Calls(lambda: (end.wait(30), None)[1])

    with Receiver() as other:
        outbox = make(
            store,
            clock,
            {"hook": hanging, "other": webhook(other)},
            {"hook": LaneOptions(fallback="other")},
        )
        outbox.deliver(now=clock.now)
        clock.now += 60
        outbox.deliver(now=clock.now)
        errors = [one.last_error for one in store.outbox(channel="hook", limit=9)]
        clock.now += 240
        outbox.deliver(now=clock.now)
        outbox.deliver(now=clock.now)
        end.set()
        assert outbox.wait(timeout_s=15)

        assert ["", "no answer within 60 s", "no answer within 60 s"] == sorted(errors)
        assert {"rule 1", "rule 2", "rule 3"} == set(rules(other))


def test_what_a_slow_channel_took_after_all_is_not_sent_again():
    """Its claim had run out meanwhile, which is no reason to tell twice."""
    store, clock, end, calls = MemoryStore(), Clock(), threading.Event(), []

    def send() -> None:
        calls.append(1)
        end.wait(30)

    put(store, 1)
    outbox = make(store, clock, {"hook": Calls(send)})
    outbox.deliver(now=clock.now)
    clock.now += 61
    outbox.deliver(now=clock.now)
    end.set()
    assert outbox.wait(timeout_s=15)
    clock.now += 60
    run(outbox, clock)

    assert [1] == calls
    assert ["sent"] == statuses(store)


def test_what_was_lost_before_a_restart_is_told_after_it():
    """The count is that of the table, not of a process that may be gone."""
    store, clock = MemoryStore(), Clock()
    put(store, 1)

    with Receiver() as receiver, Receiver() as other:
        receiver.answer(410)
        notifiers = {"hook": webhook(receiver), "other": webhook(other)}
        first = make(store, clock, notifiers)
        run(first, clock)
        run(first, clock)
        clock.now += 600
        put(store, 2, 3, at=clock.now)
        run(first, clock)
        clock.now += 3_600
        second = make(store, clock, notifiers)
        run(second, clock)
        run(second, clock)

        told = [summary(one).partition(":")[2] for one in other.received]
        assert 2 == len(told)
        assert told[1].startswith(" 2 messages not delivered: ")


def test_other_channels_are_told_what_one_lost():
    """Once an hour: how many messages, and what was said to the last."""
    store, clock = MemoryStore(), Clock()
    put(store, 1, 2, 3)

    with Receiver() as receiver, Receiver() as other, Receiver() as third:
        receiver.answer(410)
        notifiers = {name: webhook(one) for name, one in (("hook", receiver), ("other", other))}
        outbox = make(store, clock, {**notifiers, "third": webhook(third)})
        run(outbox, clock)
        run(outbox, clock)
        told = [summary(one) for one in other.received]
        put(store, 4, at=clock.now)
        run(outbox, clock)
        within_the_hour = len(other.received)
        clock.now += 3_600
        put(store, 5, at=clock.now)
        run(outbox, clock)
        run(outbox, clock)

        assert 1 == len(told) == within_the_hour
        assert told[0].startswith("channel hook: ")
        assert "not delivered: " in told[0]
        assert 2 == len(other.received) == len(third.received)
        told.append(summary(other.received[1]))
        assert 5 == sum(int(re.search(r"(\d+) messages? not", text)[1]) for text in told)

    assert {"failed"} == set(statuses(store))


def test_what_a_gone_channel_did_not_take_goes_to_its_fallback():
    """Nothing is thrown away because one receiver is gone."""
    store, clock = MemoryStore(), Clock()
    put(store, 1, 2)

    with Receiver() as receiver, Receiver() as other:
        receiver.answer(410)
        outbox = make(
            store,
            clock,
            {"hook": webhook(receiver), "other": webhook(other)},
            {"hook": LaneOptions(fallback="other")},
        )
        run(outbox, clock)
        run(outbox, clock)

        assert {"rule 1", "rule 2", "Messages not delivered"} == set(rules(other))

    assert ["failed", "failed"] == statuses(store)


def test_a_gone_channel_is_left_alone_by_every_process_until_the_next_start():
    """Another process hears of it; one that starts later tries again."""
    store, clock = MemoryStore(), Clock()

    with Receiver() as receiver:
        receiver.answer_once(410)
        first, second = (make(store, clock, {"hook": webhook(receiver)}) for _ in range(2))
        put(store, 1)
        clock.now += 1
        run(first, clock)
        put(store, 2, at=clock.now)
        run(second, clock)
        asked = len(receiver.received)
        clock.now += 1
        put(store, 3, at=clock.now)
        run(make(store, clock, {"hook": webhook(receiver)}), clock)
        put(store, 4, at=clock.now)
        run(second, clock)

        assert 1 == asked

    assert ["failed", "failed", "sent", "sent"] == statuses(store)


def test_a_state_of_a_channel_that_cannot_be_read_is_a_channel_that_works():
    """What somebody else wrote there stops no message."""
    store, clock = MemoryStore(), Clock()

    with Receiver() as receiver:
        outbox = make(store, clock, {"hook": webhook(receiver)})
        for number, text in enumerate(("[]", "{", '{"circuit": 3, "digest_at": "x"}'), 1):
            store.set_meta(lane_key("shop", "test", "hook"), text)
            put(store, number)
            run(outbox, clock)

    assert ["sent"] * 3 == statuses(store)
