"""Opening channels: types, own classes, objects, and the log channel."""

import logging
import subprocess
import sys

import pytest

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.notify import Notification, open_notifier

WHERE = "channels.team"


class Remembering:
    """A channel as a user would write it."""

    def __init__(self, room: str = "ops") -> None:
        self.room = room
        self.sent: list[Notification] = []

    def send(self, notification: Notification) -> None:
        self.sent.append(notification)


class Mute:
    """Something that is not a channel."""


def log_line(caplog: pytest.LogCaptureFixture, **payload: object) -> logging.LogRecord:
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="watchkeeper.alerts"):
        open_notifier("team", {"type": "log"}, where=WHERE).send(
            Notification(id="m", channel="team", kind="firing", at=1.0, payload=payload)
        )
    return caplog.records[0]


def test_the_log_channel_writes_one_readable_line(caplog: pytest.LogCaptureFixture):
    """A firing alert is one warning of the logger watchkeeper.alerts."""
    record = log_line(
        caplog,
        rule="High error rate",
        severity="critical",
        status="firing",
        service="shop",
        environment="production",
        summary="High error rate:\n12 % > 5 %",
        link="https://shop.example/watchkeeper/",
    )

    assert (
        "▲ firing critical · shop (production) · High error rate: 12 % > 5 % · "
        "https://shop.example/watchkeeper/"
    ) == record.getMessage()
    assert ("watchkeeper.alerts", logging.WARNING) == (record.name, record.levelno)


def test_a_resolved_alert_is_information(caplog: pytest.LogCaptureFixture):
    """The end of an incident is logged one level lower."""
    record = log_line(caplog, rule="Slow", status="resolved", service="shop", environment="test")

    assert "✔ resolved · shop (test) · Slow" == record.getMessage()
    assert logging.INFO == record.levelno


def test_an_own_class_is_named_by_its_import_path():
    """`package.module:Class` makes a channel of a user's class, with the other keys."""
    opened = open_notifier(
        "team", {"type": f"{__name__}:Remembering", "room": "night"}, where=WHERE
    )

    assert "night" == opened.room  # type: ignore[attr-defined]


def test_an_object_that_can_send_is_a_channel():
    """In Python a channel may be given ready-made."""
    made = Remembering()

    assert made is open_notifier("team", made, where=WHERE)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, r"channels\.team\.type: missing"),
        ({"type": "webhok"}, r"channels\.team\.type: 'webhok' is not .*did you mean 'webhook'"),
        ({"type": "no.such_module:Class"}, r"channels\.team\.type: .*cannot be imported"),
        ({"type": f"{__name__}:Nothing"}, r"channels\.team\.type: .*cannot be imported"),
        ({"type": ":"}, r"channels\.team\.type: .*cannot be imported"),
        ({"type": f"{__name__}:Remembering", "rum": 1}, r"channels\.team: .*these keys"),
        ({"type": f"{__name__}:Mute"}, r"channels\.team\.type: .*no method send"),
        ({"type": "log", "level": "info"}, r"channels\.team\.level: a log channel has no keys"),
        (Mute(), r"channels\.team: Mute is neither"),
        ("https://hook.example", r"channels\.team: str is neither"),
    ],
)
def test_what_is_no_channel_is_refused(config: object, message: str):
    """A wrong channel is refused with the key and the cure."""
    with pytest.raises(ConfigurationError, match=message):
        open_notifier("team", config, where=WHERE)


def test_opening_a_webhook_loads_no_http_module():
    """A host that never has an alert never pays for the modules that send one."""
    program = (
        "import sys; from watchkeeper.notify import open_notifier;"
        "open_notifier('c', {'type': 'webhook', 'url': 'http://a/'}, where='c');"
        "print(sorted({'http.client', 'ssl', 'urllib.request', 'smtplib'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "[]" == done.stdout.strip()
