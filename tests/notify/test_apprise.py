"""The channel for everything else, with the real package against a receiver on loopback."""

import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from receivers import Receiver
from servers import free_port

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.notify import DeliveryError, Notification, Notifier, open_notifier, shown_address

# A package that one of apprise's plug-ins imports.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

Told = Callable[..., Notification]


def channel(**options: Any) -> Notifier:
    return open_notifier("team", {"type": "apprise", **options}, where="channels.team")


def json_url(receiver: Receiver, path: str = "T0/hush-hush") -> str:
    """The address of a receiver as apprise's plug-in for JSON writes it."""
    return f"json://127.0.0.1:{receiver.port}/{path}"


@pytest.mark.parametrize(
    ("kind", "payload", "type_"),
    [
        ("firing", {}, "failure"),
        ("firing", {"severity": "warning"}, "warning"),
        ("resolved", {"status": "resolved"}, "success"),
    ],
)
def test_a_message_has_title_text_and_kind(told: Told, kind: str, payload: Any, type_: str):
    """A service gets the words of a mail, and whether it is good or bad news."""
    with Receiver() as receiver:
        channel(url=json_url(receiver)).send(told(kind, **payload))
        body = receiver.received[0].json()

    assert type_ == body["type"]
    assert "High error rate, /checkout" in body["title"]
    assert "https://shop.example/watchkeeper/incidents/417" in body["message"]


def test_nobody_is_mentioned(told: Told):
    """A hostile name cannot call a whole room, whatever the service is."""
    with Receiver() as receiver:
        channel(url=json_url(receiver)).send(told(rule="@everyone <!channel>"))
        body = receiver.received[0].json()

    assert "@everyone" not in body["title"] + body["message"]
    assert "<!channel>" not in body["title"] + body["message"]


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_failure_is_tried_again_and_tells_what_apprise_said(told: Told, status: int):
    """No refusal is taken as final, for apprise does not tell one from another."""
    with Receiver() as receiver:
        receiver.answer(status)

        with pytest.raises(DeliveryError, match=f"json://.*error={status}") as raised:
            channel(url=json_url(receiver)).send(told())

    assert not raised.value.permanent
    assert "hush" not in str(raised.value)


def test_nobody_there_is_a_failure(told: Told):
    """A service that cannot be reached is tried again."""
    with pytest.raises(DeliveryError, match="onnection") as raised:
        channel(url=f"json://127.0.0.1:{free_port()}/hush-hush").send(told())

    assert not raised.value.permanent
    assert "hush" not in str(raised.value)


def test_several_services_are_told_and_one_that_fails_is_logged(
    told: Told, caplog: pytest.LogCaptureFixture
):
    """Who took the message gets no second one because another did not."""
    with Receiver() as good, Receiver() as bad:
        bad.answer(500)
        with caplog.at_level(logging.WARNING, logger="watchkeeper"):
            channel(urls=[json_url(good), json_url(bad)]).send(told())

        assert (1, 1) == (len(good.received), len(bad.received))

    ours = [one.getMessage() for one in caplog.records if one.name == "watchkeeper"]
    assert 1 == len(ours)
    assert ours[0].startswith("watchkeeper: channel team: not every service took the message:")


def test_an_address_that_apprise_cannot_read_is_refused_for_good(
    told: Told, caplog: pytest.LogCaptureFixture
):
    """It is found out when the first message is sent, and never shown nor logged."""
    with pytest.raises(DeliveryError, match=r"slack://.*apprise cannot read it") as raised:
        channel(url="slack://hush").send(told())

    assert raised.value.permanent
    assert "hush" not in str(raised.value) + caplog.text


def test_a_list_shows_the_services_alone():
    """Addresses of apprise are secrets from end to end."""
    opened = channel(urls=["tgram://123456:hush/42", "json://user:hush@inner.example/x"])

    assert "tgram://***, json://***" == shown_address(opened)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"channels\.team\.url: missing"),
        ({"url": ""}, r"channels\.team\.url: missing"),
        ({"urls": []}, r"channels\.team\.url: missing"),
        ({"url": "slakc://hush"}, r"channels\.team\.url: apprise knows no service slakc://"),
        ({"urls": ["json://a", "hush"]}, r"channels\.team\.urls: .*no service \(none\)://"),
        ({"url": "json://a", "urls": ["json://b"]}, r"write either url or urls"),
        ({"url": 7}, r"channels\.team\.url: must be a text"),
        ({"url": "json://a", "token": "hush"}, r"channels\.team\.token: unknown key"),
    ],
)
def test_wrong_settings_are_refused_at_the_start(options: dict[str, Any], message: str):
    """A service that does not exist is told when the channel is opened, and no address is."""
    with pytest.raises(ConfigurationError, match=message) as raised:
        channel(**options)

    assert "hush" not in str(raised.value)


def test_opening_the_channel_does_not_import_apprise():
    """Only the process that sends pays for the package."""
    program = (
        "import sys; from watchkeeper.notify import open_notifier;"
        "open_notifier('c', {'type': 'apprise', 'url': 'json://a'}, where='c');"
        "print(sorted({'apprise', 'requests', 'urllib.request'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "[]" == done.stdout.strip()


def test_without_the_package_the_cure_is_named():
    """The message says what to install."""
    program = (
        "import sys; sys.modules['apprise'] = None; import importlib.util;"
        "from watchkeeper.notify import open_notifier\n"
        "try: open_notifier('c', {'type': 'apprise', 'url': 'json://a'}, where='c')\n"
        "except Exception as error: print(error)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert 'run: pip install "watchkeeper[notify]"' in done.stdout
