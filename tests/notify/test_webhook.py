"""The webhook channel against a real receiver on loopback."""

import base64
import hashlib
import hmac
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from receivers import Receiver

from watchkeeper.core.digest import digest, undelivered
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.notify import ChannelGoneError, DeliveryError, Notification, open_notifier
from watchkeeper.notify.address import parse_address
from watchkeeper.notify.alertmanager import body
from watchkeeper.notify.webhook import Webhook, retry_after_s

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"o" * 24).decode()


def notification(**changes: Any) -> Notification:
    alert = {
        "labels": {"route": "/checkout"},
        "value": 0.124,
        "threshold": 0.05,
        "bad": 31,
        "total": 250,
        "window_s": 60,
        "started_at": 1_700_000_000.25,
        "ended_at": None,
        "incident": 7,
    }
    payload = {
        "rule": "High error rate",
        "severity": "critical",
        "status": "firing",
        "service": "shop",
        "environment": "production",
        "summary": "High error rate: 12.4 % (31 of 250 in 1 min) > 5 %",
        "started_at": 1_700_000_000.25,
        "ended_at": None,
        "link": "https://shop.example/watchkeeper/?range=1h&end=1700000300",
        "alerts": [alert],
    }
    given: dict[str, Any] = {
        "id": "msg_1",
        "channel": "oncall",
        "kind": "firing",
        "at": time.time(),
        "payload": payload,
    }
    return Notification(**{**given, **changes})


def channel(url: str, **options: object) -> Any:
    return open_notifier("oncall", {"type": "webhook", "url": url, **options}, where="channels.c")


def test_an_alert_in_a_digest_is_the_alert_it_is():
    """A receiver closes by its end, under the same fingerprint, what a digest opened."""
    alone = notification()
    place = {"service": "shop", "environment": "production"}
    slow = {**alone.payload["alerts"][0], "incident": 8}
    other = {**alone.payload, "rule": "Slow", "severity": "warning", "alerts": [slow]}
    several = notification(kind="digest", payload=digest([alone.payload, other], now=alone.at))
    several_of_one = notification(kind="digest", payload=digest([alone.payload], now=alone.at))

    mixed, same, own = body(several), body(several_of_one), body(alone)

    assert own["alerts"][0]["fingerprint"] == same["alerts"][0]["fingerprint"]
    assert own["alerts"][0]["labels"] == same["alerts"][0]["labels"]
    assert own["commonLabels"] == same["commonLabels"]
    assert place == mixed["commonLabels"]
    assert {"alertname": "Digest", **place} == mixed["groupLabels"]


def test_what_is_never_told_as_over_ends_by_itself():
    """A report about a channel holds until the next one is due."""
    told = undelivered(
        "team", count=1, error="answered 554", service="shop", environment="test", now=3600.0
    )

    assert "1970-01-01T02:00:00.000Z" == body(notification(payload=told))["alerts"][0]["endsAt"]


def test_the_body_is_alertmanagers_version_4_plus_one_key():
    """A receiver made for Alertmanager understands the message as it is."""
    with Receiver() as receiver:
        channel(receiver.url).send(notification())

        body = receiver.received[0].json()

    common = {
        "alertname": "High error rate",
        "environment": "production",
        "service": "shop",
        "severity": "critical",
    }
    summary = {"summary": "High error rate: 12.4 % (31 of 250 in 1 min) > 5 %"}
    link = "https://shop.example/watchkeeper/?range=1h&end=1700000300"
    fingerprint = body["alerts"][0].pop("fingerprint")
    assert 16 == len(fingerprint)
    assert {
        "version": "4",
        "groupKey": '{}:{alertname="High error rate", environment="production", service="shop"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "oncall",
        "groupLabels": {
            "alertname": "High error rate",
            "environment": "production",
            "service": "shop",
        },
        "commonLabels": common,
        "commonAnnotations": summary,
        "externalURL": "https://shop.example/watchkeeper",
        "alerts": [
            {
                "status": "firing",
                "labels": {"route": "/checkout", **common},
                "annotations": summary,
                "startsAt": "2023-11-14T22:13:20.250Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": link,
            }
        ],
        "watchkeeper": {
            "kind": "firing",
            "sequence": 0,
            "late": False,
            "release": None,
            "incident": 7,
            "value": 0.124,
            "threshold": 0.05,
            "window_s": 60,
            "counts": {"bad": 31, "total": 250},
            "incidents": [7],
            "links": {"dashboard": link, "acknowledge": "", "silence": ""},
        },
    } == body


def test_a_resolved_message_tells_when_it_ended():
    """With its end, under the same fingerprint, however bad it was in between."""
    firing = notification()
    ended = {**firing.payload["alerts"][0], "ended_at": 1_700_000_300.0}
    over = {**firing.payload, "status": "resolved", "severity": "warning", "alerts": [ended]}

    with Receiver() as receiver:
        channel(receiver.url).send(firing)
        channel(receiver.url).send(notification(kind="resolved", payload=over))

        first, second = (request.json() for request in receiver.received)

    assert "resolved" == second["status"]
    assert "resolved" == second["alerts"][0]["status"]
    assert "2023-11-14T22:18:20.000Z" == second["alerts"][0]["endsAt"]
    assert first["alerts"][0]["fingerprint"] == second["alerts"][0]["fingerprint"]


def test_the_key_of_ours_has_links_and_release(told: Callable[..., Notification]):
    """A receiver can offer to acknowledge and to silence, and show the release before it."""
    with Receiver() as receiver:
        channel(receiver.url).send(told("reminder", sequence=2, late=True, more=3))
        body = receiver.received[0].json()

    ours = body["watchkeeper"]
    assert {
        "dashboard": "https://shop.example/watchkeeper/incidents/417",
        "acknowledge": "https://shop.example/watchkeeper/ack?t=made-up",
        "silence": "https://shop.example/watchkeeper/silence?t=made-up",
    } == ours["links"]
    assert ("reminder", 2, True) == (ours["kind"], ours["sequence"], ours["late"])
    assert {"name": "v42", "at": 1_795_874_360.0, "after_s": 40} == ours["release"]
    assert "More than 5 % of the requests failed." == body["commonAnnotations"]["description"]
    assert 3 == body["truncatedAlerts"]


def test_the_incidents_that_the_links_act_on_are_all_named():
    """A message lists some alerts, and says the numbers of the others."""
    payload = {**notification().payload, "incidents": [7, 8, 9], "more": 2}

    with Receiver() as receiver:
        channel(receiver.url).send(notification(payload=payload))
        body = receiver.received[0].json()

    assert (1, 2) == (len(body["alerts"]), body["truncatedAlerts"])
    assert [7, 8, 9] == body["watchkeeper"]["incidents"]


@pytest.mark.parametrize(
    ("labels", "listed"),
    [
        ({"route": "/{}"}, 30),
        ({f"label{n}": "{} " + "x" * 100 for n in range(6)}, 10),
        ({f"label{n}": "{} " + "支" * 300 for n in range(20)}, 1),
    ],
)
def test_a_message_is_below_20_kb_and_counts_what_it_leaves_out(
    labels: dict[str, str], listed: int
):
    """A message stays small however many incidents it tells of, in whatever letters."""
    many = [
        {"labels": {key: text.format(number) for key, text in labels.items()}, "incident": number}
        for number in range(45)
    ]

    with Receiver() as receiver:
        channel(receiver.url).send(
            notification(payload={**notification().payload, "alerts": many})
        )

        request = receiver.received[0]

    assert listed == len(request.json()["alerts"])
    assert 45 - listed == request.json()["truncatedAlerts"]
    assert list(range(45)) == request.json()["watchkeeper"]["incidents"]
    assert 20_000 > len(request.body)


def test_half_a_letter_does_not_keep_a_message_from_being_sent():
    """A lone surrogate, which JSON can write and UTF-8 cannot, becomes a question mark."""
    with Receiver() as receiver:
        channel(receiver.url).send(
            notification(payload={**notification().payload, "summary": "a\ud800b"})
        )

        assert "a?b" == receiver.received[0].json()["commonAnnotations"]["summary"]


def test_the_standard_signature_is_accepted_by_an_independent_implementation():
    """The package `standardwebhooks` verifies our signature, and refuses a changed body."""
    with Receiver() as receiver:
        channel(receiver.url, secret=SECRET).send(notification(id="msg_42"))
        request = receiver.received[0]

    verifier = standardwebhooks.Webhook(SECRET)
    assert "4" == verifier.verify(request.body, dict(request.headers))["version"]
    assert "msg_42" == request.headers["webhook-id"]
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verifier.verify(request.body + b" ", dict(request.headers))
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verifier.verify(request.body, {**request.headers, "webhook-id": "msg_43"})
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(OTHER_SECRET).verify(request.body, dict(request.headers))


def test_two_secrets_sign_while_one_is_being_replaced():
    """During a change of the secret, receivers with the old and the new one both verify."""
    with Receiver() as receiver:
        channel(receiver.url, secret=[SECRET, OTHER_SECRET]).send(notification())
        request = receiver.received[0]

    for secret in (SECRET, OTHER_SECRET):
        assert standardwebhooks.Webhook(secret).verify(request.body, dict(request.headers))


def test_the_github_signature_is_the_body_under_the_secret():
    """A receiver that checks X-Hub-Signature-256 accepts the message."""
    with Receiver() as receiver:
        channel(receiver.url, secret="s3cret", signature="github").send(notification())
        request = receiver.received[0]

    expected = "sha256=" + hmac.new(b"s3cret", request.body, hashlib.sha256).hexdigest()
    assert expected == request.headers["x-hub-signature-256"]
    assert "webhook-signature" not in request.headers


def test_github_published_vector():
    """Our form of the GitHub signature gives the value of GitHub's own documentation."""
    from watchkeeper.notify.signing import github_headers

    assert {
        "X-Hub-Signature-256": "sha256="
        "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    } == github_headers(b"It's a Secret to Everybody", body=b"Hello, World!")


def test_without_a_secret_nothing_is_signed():
    """No secret, no signature; the id is there all the same."""
    with Receiver() as receiver:
        channel(receiver.url).send(notification())
        headers = receiver.received[0].headers

    assert "webhook-signature" not in headers
    assert "msg_1" == headers["webhook-id"]


def test_user_and_password_in_the_address_become_basic_authentication():
    """https://user:password@host/ works as in a browser."""
    with Receiver() as receiver:
        channel(receiver.url.replace("//", "//me:p%40ss@")).send(notification())
        request = receiver.received[0]

    assert "Basic " + base64.b64encode(b"me:p@ss").decode() == request.headers["authorization"]
    assert f"127.0.0.1:{receiver.port}" == request.headers["host"]


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        (301, True),
        (302, True),
        (400, True),
        (401, True),
        (404, True),
        (408, False),
        (410, True),
        (422, True),
        (425, False),
        (429, False),
        (500, False),
        (502, False),
        (503, False),
    ],
)
def test_every_answer_but_2xx_is_a_failure(status: int, permanent: bool):
    """Only 2xx is delivered; what a repetition cannot change is told apart."""
    with Receiver() as receiver:
        receiver.answer(status, {"Location": receiver.url + "/elsewhere"})

        with pytest.raises(DeliveryError, match=f"answered {status}") as raised:
            channel(receiver.url).send(notification())

        assert permanent is raised.value.permanent
        assert 1 == len(receiver.received)  # no redirect was followed


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_2xx_is_delivered(status: int):
    """Any 2xx will do."""
    with Receiver() as receiver:
        receiver.answer(status)

        channel(receiver.url).send(notification())

        assert 1 == len(receiver.received)


def test_410_says_that_the_channel_is_gone():
    """410 is told apart, for it switches the channel off."""
    with Receiver() as receiver:
        receiver.answer(410)

        with pytest.raises(ChannelGoneError):
            channel(receiver.url).send(notification())


def test_retry_after_is_passed_on():
    """A receiver may say when to come again."""
    with Receiver() as receiver:
        receiver.answer(503, {"Retry-After": "17"})

        with pytest.raises(DeliveryError) as raised:
            channel(receiver.url).send(notification())

    assert 17.0 == raised.value.retry_after_s


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("99999999999999999999", 3600.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2023 22:14:20 -0000", 60.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, expected: float | None):
    """Both forms of the header are read, and no receiver puts us off for more than an hour."""
    assert expected == retry_after_s(header, now=1_700_000_000.0)


def test_a_refused_connection_is_a_failure_without_the_address():
    """Host and port are named, never the path, which may be the secret of a hook."""
    with Receiver() as receiver:
        receiver.refuse()

        with pytest.raises(DeliveryError) as raised:
            channel(receiver.url.replace("hook", "T0/B0/hush")).send(notification())

    assert f"127.0.0.1:{receiver.port}: Connection refused" == str(raised.value)
    assert not raised.value.permanent


def test_a_receiver_that_hangs_is_left_when_the_time_is_over():
    """No answer is a failure that is tried again."""
    with Receiver() as receiver:
        receiver.hang()
        hasty = Webhook(parse_address(receiver.url, where="url"), timeout_s=0.2)

        with pytest.raises(DeliveryError, match=r"no answer within 0\.2 s") as raised:
            hasty.send(notification())

    assert not raised.value.permanent


def test_the_time_out_counts_for_the_exchange_as_a_whole():
    """A receiver that drips one byte now and then does not get a new time-out with each byte."""
    ended = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"z" * 1000:
                if ended.wait(0.05):
                    return
                try:
                    connection.sendall(bytes([letter]))
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,), daemon=True)
        thread.start()
        address = parse_address(f"http://127.0.0.1:{server.getsockname()[1]}/", where="url")

        with pytest.raises(DeliveryError, match="no answer"):
            Webhook(address, timeout_s=0.3).send(notification())

        ended.set()
        thread.join()


def test_an_endless_answer_is_not_read_to_its_end():
    """The status decides; of fifty megabytes only what buffers hold is taken."""
    megabyte, sent = b"x" * 1_000_000, 0
    with socket.create_server(("127.0.0.1", 0)) as server:

        def flood() -> None:
            nonlocal sent
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
                while sent < 50 * len(megabyte):
                    sent += connection.send(megabyte)

        thread = threading.Thread(target=flood, daemon=True)
        thread.start()

        channel(f"http://127.0.0.1:{server.getsockname()[1]}/").send(notification())

        thread.join()
    assert 0 < sent < 20 * len(megabyte)


def test_an_answer_that_never_begins_is_not_waited_for():
    """There may be any number of "100 Continue" before an answer, but not for ten seconds."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def flood() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                while True:
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)

        thread = threading.Thread(target=flood, daemon=True)
        thread.start()

        with pytest.raises(DeliveryError, match="TooLong"):
            channel(f"http://127.0.0.1:{server.getsockname()[1]}/").send(notification())

        thread.join()


def test_what_does_not_speak_http_is_a_failure():
    """A port with another protocol behind it is a failure like any other."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()

        with pytest.raises(DeliveryError, match="not HTTP"):
            channel(f"http://127.0.0.1:{server.getsockname()[1]}/").send(notification())

        thread.join()


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch):
    """Messages go straight to the receiver, whatever proxy the host's environment names."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    with Receiver() as receiver:
        channel(receiver.url).send(notification())

        assert 1 == len(receiver.received)


def test_https_is_never_sent_in_the_clear():
    """A receiver that does not speak TLS gets nothing."""
    with Receiver() as receiver, pytest.raises(DeliveryError) as raised:
        channel(receiver.url.replace("http:", "https:")).send(notification())

    assert "hook" not in str(raised.value)
    assert [] == receiver.received


def test_https_with_a_certificate_that_is_trusted(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
):
    """A message goes out by TLS where the system trusts the certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    with Receiver(certificate=certificate) as receiver:
        channel(receiver.url, secret=SECRET).send(notification())

        assert "4" == receiver.received[0].json()["version"]


def test_https_with_a_certificate_nobody_vouches_for(certificate: Path):
    """Nothing is sent to somebody who only claims to be the receiver."""
    with (
        Receiver(certificate=certificate) as receiver,
        pytest.raises(DeliveryError, match="self-signed certificate") as raised,
    ):
        channel(receiver.url).send(notification())

    assert not raised.value.permanent
    assert [] == receiver.received


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"channels\.c\.url: missing; write url"),
        ({"url": ""}, r"channels\.c\.url: is empty"),
        ({"url": "hush.example/x"}, r"channels\.c\.url: is not the address"),
        ({"url": "ftp://hush.example/x"}, r"channels\.c\.url: is not the address"),
        ({"url": "http://hush.example:port/"}, r"channels\.c\.url: is not a URL"),
        ({"url": "http://hush.example/a b"}, r"channels\.c\.url: has spaces"),
        ({"url": "http://hush.example/\r\nX: y"}, r"channels\.c\.url: has spaces"),
        ({"url": "http://a/", "secret": "hush"}, r"channels\.c\.secret: not \"whsec_\""),
        ({"url": "http://a/", "secret": "whsec_hush"}, r"channels\.c\.secret: not \"whsec_\""),
        ({"url": "http://a/", "secret": 7}, r"channels\.c\.secret: must be a text"),
        ({"url": "http://a/", "signature": "hmac"}, r"channels\.c\.signature: 'hmac' is unknown"),
        ({"url": "http://a/", "secret": SECRET, "signature": "none"}, r"remove one of the two"),
        ({"url": "http://a/", "sekret": "x"}, r"channels\.c\.sekret: unknown key .*'secret'"),
    ],
)
def test_wrong_settings_name_the_key_and_the_cure(options: dict[str, object], message: str):
    """A wrong setting is refused when the channel is opened, and no message shows a secret."""
    with pytest.raises(ConfigurationError, match=message) as raised:
        open_notifier("c", {"type": "webhook", **options}, where="channels.c")

    assert "hush" not in str(raised.value)
