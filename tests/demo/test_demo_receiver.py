"""The demo's webhook receiver, fed by the product's own channel."""

import time
from collections.abc import Iterator

import pytest

from watchkeeper.demo.receiver import Received, Receiver
from watchkeeper.notify import DeliveryError, Notification, open_notifier


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on a free port."""
    made = Receiver(clock=lambda: 1234.5)
    yield made
    made.close()


def notification(*, message_id: str = "m1", status: str = "firing") -> Notification:
    """Make a message as the alert engine does."""
    return Notification(
        id=message_id,
        channel="receiver",
        kind=status,
        at=time.time(),
        payload={
            "rule": "High error rate",
            "severity": "critical",
            "status": status,
            "service": "tea-shop",
            "environment": "demo",
            "summary": "High error rate: 12 % > 5 %",
            "started_at": 1000.0,
            "ended_at": None,
            "link": "http://127.0.0.1/watchkeeper/",
            "alerts": [],
        },
    )


def send(receiver: Receiver, message: Notification, *, secret: str | None = None) -> None:
    """Send through the webhook channel."""
    config = {"type": "webhook", "url": receiver.url, "secret": secret or receiver.secret}
    open_notifier("receiver", config, where="channels.receiver").send(message)


def test_a_signed_message_arrives(receiver: Receiver):
    """What the channel sends is taken apart into rule, severity, state and summary."""
    send(receiver, notification())

    (message,) = receiver.received()
    assert message == Received(
        at=1234.5,
        message_id="m1",
        rule="High error rate",
        severity="critical",
        status="firing",
        summary="High error rate: 12 % > 5 %",
        link="http://127.0.0.1/watchkeeper/",
    )


def test_a_repetition_counts_once(receiver: Receiver):
    """The same message sent twice is one message, as at-least-once delivery asks for."""
    send(receiver, notification())
    send(receiver, notification())

    assert len(receiver.received()) == 1


def test_a_wrong_signature_is_refused(receiver: Receiver):
    """A message that somebody else signed is not taken."""
    with pytest.raises(DeliveryError):
        send(receiver, notification(), secret="whsec_" + "QUJD" * 8)

    assert receiver.received() == []


def test_waiting_ends_when_every_rule_has_spoken(receiver: Receiver):
    """Waiting is over as soon as each rule's message is there, or when the time is up."""
    assert not receiver.wait_for(("High error rate",), status="resolved", timeout_s=0.01)

    send(receiver, notification(message_id="m2", status="resolved"))

    assert receiver.wait_for(("High error rate",), status="resolved", timeout_s=5)
    assert not receiver.wait_for(("High error rate",), status="firing", timeout_s=0.01)
