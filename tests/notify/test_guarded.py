"""Addresses from a form or the database: they reach public web servers and nothing else."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from receivers import Receiver

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.notify import DeliveryError, Notification, open_notifier
from watchkeeper.notify.address import parse_address
from watchkeeper.notify.exchange import Place, look_up, post
from watchkeeper.notify.guarded import ForbiddenPlaceError, guarded, is_public
from watchkeeper.notify.webhook import Webhook

Told = Callable[..., Notification]

FORBIDDEN = (
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0",
    "localhost",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::127.0.0.1",
    "fe80::1",
    "fc00::1",
    "fec0::1",
    "ff02::1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001::1",
    "2001:db8::1",
)


@pytest.mark.parametrize("host", FORBIDDEN)
def test_no_form_of_an_inner_address_gets_through(host: str):
    """However it is written, an address of the own network is refused once it is resolved."""
    with pytest.raises((ForbiddenPlaceError, socket.gaierror)):
        guarded(look_up)(host, 443)


@pytest.mark.parametrize("host", FORBIDDEN)
def test_no_message_is_sent_to_an_inner_address(told: Told, host: str):
    """A channel from a form says that the address is not public, and is not tried for a day."""
    written = f"[{host}]" if ":" in host else host
    opened = open_notifier(
        "c",
        {"type": "slack", "url": f"https://{written}/"},
        where="channels.c",
        guarded=True,
    )

    with pytest.raises(DeliveryError, match=r"not public|Name or service|not known|family"):
        opened.send(told())


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"],
)
def test_hosts_on_the_internet_are_public(address: str):
    """What is on the internet can be reached, also through NAT64."""
    assert is_public(address)


@pytest.mark.parametrize("text", ["", "example.org", "fe80::1%eth0", "8.8.8.8:80", "08.8.8.8"])
def test_what_is_no_numeric_address_is_not_public(text: str):
    """Only resolved addresses are judged."""
    assert not is_public(text)


def places(*addresses: str, port: int = 443) -> list[Place]:
    return [(socket.AF_INET6 if ":" in one else socket.AF_INET, (one, port)) for one in addresses]


def test_one_inner_address_among_public_ones_is_enough_to_refuse():
    """Who mixes them hopes that the wrong one is tried."""
    with pytest.raises(ForbiddenPlaceError):
        guarded(lambda host, port: places("8.8.8.8", "10.0.0.1"))("mixed.example", 443)


class Rebinding:
    """A resolver that answers with a public address first and with an inner one ever after."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, host: str, port: int) -> list[Place]:
        self.asked += 1
        return places("8.8.8.8" if self.asked == 1 else "127.0.0.1", port=port)


def test_a_name_is_looked_up_once_and_the_checked_address_is_used():
    """A name server that changes its answer after the check gains nothing."""
    rebinding = Rebinding()
    resolve = guarded(rebinding)

    assert places("8.8.8.8") == list(resolve("rebinding.example", 443))
    with pytest.raises(ForbiddenPlaceError):
        resolve("rebinding.example", 443)


def test_a_message_goes_to_the_resolved_place_under_its_own_name(
    told: Told, certificate: Path, monkeypatch: pytest.MonkeyPatch
):
    """One look-up per message; Host and TLS have the name that was given, not the address."""
    asked: list[tuple[str, int]] = []

    with Receiver() as receiver:

        def resolve(host: str, port: int) -> list[Place]:
            asked.append((host, port))
            return places("127.0.0.1", port=receiver.port)

        address = parse_address("http://hooks.example:8080/hook", where="url")
        Webhook(address, resolver=resolve).send(told())

        assert "hooks.example:8080" == receiver.received[0].headers["host"]

    assert [("hooks.example", 8080)] == asked
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Receiver(certificate=certificate) as receiver:
        address = parse_address(f"https://hooks.example:{receiver.port}/hook", where="url")
        with pytest.raises(DeliveryError, match=r"hooks\.example.*Hostname mismatch"):
            Webhook(address, resolver=lambda host, port: places("127.0.0.1", port=port)).send(
                told()
            )
        assert [] == receiver.received


def test_a_redirect_into_the_own_network_is_not_followed(told: Told):
    """3xx is a failure, and what is behind it is never asked."""
    with Receiver() as inner, Receiver() as outer:
        outer.answer(302, {"Location": inner.url})

        with pytest.raises(DeliveryError, match="answered 302; redirects are not followed"):
            Webhook(parse_address(outer.url, where="url")).send(told())

        assert [] == inner.received


def test_what_was_answered_is_not_shown(told: Told):
    """Of an answer only the status comes back, so that nothing can be read through us."""
    with Receiver() as receiver:
        receiver.answer(403, body=b"the secrets of an inner service")

        with pytest.raises(DeliveryError) as raised:
            Webhook(parse_address(receiver.url, where="url")).send(told())

    assert "secrets" not in str(raised.value)


def test_a_timeout_of_an_exchange_holds_for_all_places():
    """Many addresses of one name are tried within one time-out."""
    address = parse_address("http://many.example/", where="url")

    with pytest.raises(OSError, match=r"timed out|refused|no address"):
        post(
            address,
            headers={},
            body=json.dumps({}).encode(),
            timeout_s=0.3,
            resolve=lambda host, port: places(*["127.0.0.1"] * 4, port=9),
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"type": "slack", "url": "http://a.example/"}, r"\.url: must begin with https://"),
        ({"type": "slack", "url": "https://a.example:22/"}, r"\.url: port 22 is not allowed"),
        ({"type": "webhook", "url": "https://a.example:6379/"}, r"port 6379 is not allowed"),
        ({"type": "email", "to": "a@example.org"}, r"\.type: 'email' can be set in code or"),
        ({"type": "apprise", "url": "json://a"}, r"\.type: 'apprise' can be set in code or"),
        ({"type": "os:system"}, r"\.type: 'os:system' can be set in code or"),
        ({"type": "log"}, r"\.type: 'log' can be set in code or"),
    ],
)
def test_a_form_may_set_up_webhooks_on_usual_ports_only(options: dict[str, Any], message: str):
    """TLS, ports 443, 8443, 80 and 8080, and no type that runs code or speaks to any server."""
    with pytest.raises(ConfigurationError, match=message):
        open_notifier("c", options, where="channels.c", guarded=True)


def test_addresses_without_tls_can_be_allowed():
    """Who runs the application may allow http for channels of forms."""
    assert open_notifier(
        "c",
        {"type": "slack", "url": "http://a.example:8080/"},
        where="channels.c",
        guarded=True,
        guarded_http=True,
    )
