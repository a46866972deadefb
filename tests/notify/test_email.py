"""The e-mail channel against a real SMTP server on loopback, at its best and at its worst."""

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from email.headerregistry import Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mail_servers import MailServer
from servers import free_port

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.notify import (
    DeliveryError,
    Notification,
    Notifier,
    open_notifier,
    shown_address,
)
from watchkeeper.notify.mail import make_mail

Told = Callable[..., Notification]
TEAM = ["ann@example.org", "bob@example.org", "cid@example.org"]


def channel(server: MailServer | None = None, **options: Any) -> Notifier:
    """Open a channel to a server; keys given replace the usual ones."""
    usual: dict[str, Any] = {"host": "127.0.0.1", "to": TEAM, "from": "alerts@shop.example"}
    if server is not None:
        usual["port"] = server.port
    given = {key.rstrip("_"): value for key, value in options.items()}
    return open_notifier("team", {"type": "email", **usual, **given}, where="channels.team")


def test_a_mail_has_a_text_and_an_html_form(told: Told):
    """One mail goes to all recipients, with subject, text and HTML."""
    with MailServer() as server:
        channel(server).send(told())

    mail = server.mails[0]
    message = mail.message
    assert ("alerts@shop.example", tuple(TEAM)) == (mail.sender, mail.recipients)
    assert "Critical: High error rate, /checkout, 12.4 %" == message["Subject"]
    assert '"shop (production)" <alerts@shop.example>' == message["From"]
    assert ", ".join(TEAM) == message["To"]
    assert "multipart/alternative" == message.get_content_type()
    assert ["text/plain", "text/html"] == [
        part.get_content_type() for part in message.iter_parts()
    ]
    assert "12.4 % (31 of 250 in 1 min), threshold 5 %. Since 14:00:00 UTC." in mail.part("plain")
    assert "https://shop.example/watchkeeper/ack?t=made-up" in mail.part("plain")
    assert 'href="https://shop.example/watchkeeper/ack?t=made-up"' in mail.part("html")
    assert all(len(line) <= 998 for line in mail.raw.splitlines())
    assert mail.raw.isascii()


def test_the_headers_say_that_a_program_wrote_it_and_when(told: Told):
    """Nobody's note of absence answers, and the date is that of the attempt."""
    with MailServer() as server:
        channel(server).send(told())

    message = server.mails[0].message
    assert "auto-generated" == message["Auto-Submitted"]
    assert "Sat, 28 Nov 2026 14:02:10 +0000" == message["Date"]
    assert "high" == message["Importance"]


def test_an_attempt_and_its_repetition_are_the_same_mail(told: Told):
    """The Message-ID is the same over every attempt, so that a mail program shows one."""
    with MailServer() as server:
        channel(server).send(told())
        channel(server).send(told())

    ids = [mail.message["Message-ID"] for mail in server.mails]
    assert ["<message-of-firing@shop.example>"] * 2 == ids


@pytest.mark.parametrize("kind", ["resolved", "reminder", "again", "worse", "escalated"])
def test_what_follows_is_an_answer_to_the_first_mail(told: Told, kind: str):
    """A mail program shows an incident's mails as one conversation."""
    with MailServer() as server:
        channel(server).send(told())
        channel(server).send(told(kind, thread="message-of-firing"))

    first, second = (mail.message for mail in server.mails)
    assert first["In-Reply-To"] is None
    assert first["Message-ID"] == second["In-Reply-To"] == second["References"]


def test_a_long_domain_does_not_break_the_conversation(told: Told):
    """What names the first mail is written as it is, however long it is."""
    domain = f"{'mail' * 12}.internal.shop.example"

    with MailServer() as server:
        for one in (told(), told("resolved", thread="message-of-firing")):
            channel(server, from_=f"alerts@{domain}").send(one)

    assert f"In-Reply-To: <message-of-firing@{domain}>\r\n".encode() in server.mails[1].raw
    assert f"References: <message-of-firing@{domain}>\r\n".encode() in server.mails[1].raw
    assert f"Message-ID: <message-of-firing@{domain}>\r\n".encode() in server.mails[0].raw


LETTERS = st.text(max_size=150) | st.text('äß支😀\u202e\r\n\x00 "<>@,;:', max_size=150)


@given(rule=LETTERS, service=LETTERS, thread=LETTERS, value=LETTERS)
def test_any_text_makes_a_mail(rule: str, service: str, thread: str, value: str):
    """Whatever the application is called and says, the mail has our headers and no others."""
    sender, recipient = Address(addr_spec="a@shop.example"), Address(addr_spec="b@shop.example")
    payload = {"rule": rule, "service": service, "thread": thread, "summary": value}
    notification = Notification(id="m", channel="c", kind="firing", at=1e9, payload=payload)

    raw = make_mail(notification, sender=sender, recipients=(recipient,)).as_bytes()

    assert raw.isascii()
    assert all(len(row) <= 998 for row in raw.splitlines())
    names = {
        row.partition(b":")[0]
        for row in raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
        if not row.startswith(b" ")
    }
    assert names <= {
        *(b"From", b"To", b"Subject", b"Date", b"Message-ID", b"In-Reply-To", b"References"),
        *(b"Auto-Submitted", b"X-Auto-Response-Suppress", b"MIME-Version", b"Content-Type"),
    }


def test_the_first_mail_does_not_answer_itself(told: Told):
    """A thread that names the mail itself makes no loop of references."""
    with MailServer() as server:
        channel(server).send(told(thread="message-of-firing"))

    assert server.mails[0].message["In-Reply-To"] is None


def test_a_text_with_line_breaks_cannot_add_a_header(told: Told):
    """What an error says becomes one line of the subject, whatever is inside."""
    hostile = "Boom\r\nBcc: everybody@evil.example\r\n\r\nhello"

    with MailServer() as server:
        channel(server).send(
            told(rule=hostile, service=hostile, thread=hostile, alert={"value_text": hostile})
        )

    message = server.mails[0].message
    assert message["Bcc"] is None
    assert "Critical: Boom Bcc: everybody[@]evil.example hello" in message["Subject"]
    assert tuple(TEAM) == server.mails[0].recipients


def test_letters_of_all_languages_arrive(told: Told):
    """Subject, sender's name and text are written so that every server on the way takes them."""
    with MailServer() as server:
        channel(server).send(told(rule="Zu viele Fehler – 支払い", service="Läden"))

    mail = server.mails[0]
    assert "Critical: Zu viele Fehler – 支払い, /checkout, 12.4 %" == mail.message["Subject"]
    assert "Läden (production)" in str(mail.message["From"])
    assert "Läden (production)" in mail.part("plain")
    assert mail.raw.isascii()


def test_times_are_shown_in_the_zone_asked_for(told: Told):
    """A team may read its own time, and its name is said."""
    with MailServer() as server:
        channel(server, time_zone="Europe/Berlin").send(told())

    assert "Since 15:00:00 CET." in server.mails[0].part("plain")


@pytest.mark.parametrize(
    ("refusals", "permanent"),
    [
        (["550 no such user", "550 no such user", "550 no such user"], True),
        (["450 greylisted", "450 greylisted", "450 greylisted"], False),
        (["550 no such user", "450 greylisted", "550 no such user"], False),
    ],
)
def test_everybody_refused_is_a_failure(told: Told, refusals: list[str], permanent: bool):
    """It is for good only if every recipient was refused for good; nobody's address is shown."""
    with MailServer() as server:
        server.refuse = dict(zip(TEAM, refusals, strict=True))

        with pytest.raises(DeliveryError, match=r"every recipient refused: a…@example\.org") as e:
            channel(server).send(told())

    assert permanent is e.value.permanent
    assert "ann@" not in str(e.value)
    assert [] == server.mails


def test_some_refused_is_delivered_and_logged(told: Told, caplog: pytest.LogCaptureFixture):
    """Those who were taken get one mail and no second one; who was refused stands in the log."""
    with MailServer() as server:
        server.refuse = {"bob@example.org": "550 5.1.1 <bob@example.org> unknown"}

        with caplog.at_level(logging.WARNING, logger="watchkeeper"):
            channel(server).send(told())

    assert [("ann@example.org", "cid@example.org")] == [m.recipients for m in server.mails]
    assert (
        "watchkeeper: channel team: mail refused for 1 of 3 recipients: "
        "b…@example.org 550 5.1.1 <b…@example.org> unknown"
    ) == caplog.records[0].getMessage()


@pytest.mark.parametrize(
    ("answer", "permanent"),
    [
        ("451 try later", False),
        ("452 disk full", False),
        ("554 rejected", True),
        ("552 big", True),
    ],
)
def test_a_text_that_is_refused_is_a_failure(told: Told, answer: str, permanent: bool):
    """4xx after the text means later, 5xx means no."""
    with MailServer() as server:
        server.data_answer = answer

        with pytest.raises(DeliveryError, match=f"answered {answer}") as raised:
            channel(server).send(told())

    assert permanent is raised.value.permanent


def test_a_sender_that_is_refused_is_a_failure(told: Told):
    """A server that does not relay for the sender says so."""
    with MailServer() as server:
        server.sender_answer = "553 not for you"

        with pytest.raises(DeliveryError, match="answered 553 not for you") as raised:
            channel(server).send(told())

    assert raised.value.permanent


def test_nobody_there_is_a_failure_for_now(told: Told):
    """A connection that is refused is tried again."""
    with pytest.raises(DeliveryError, match="Connection refused") as raised:
        channel(port=free_port()).send(told())

    assert not raised.value.permanent


def serve_once(answer: Callable[[socket.socket], None]) -> tuple[int, threading.Thread]:
    """Take one connection on a free port and leave it to `answer`."""
    server = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with server:
            connection, _ = server.accept()
            with connection:
                answer(connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return int(server.getsockname()[1]), thread


@pytest.mark.parametrize("said", [b"", b"220-mail.example is coming\r\n"])
def test_a_server_that_never_comes_to_an_end_is_hung_up_on(told: Told, said: bytes):
    """The time-out is for all of it: a server that says a little at a time gains nothing."""
    ended = threading.Event()

    def drip(connection: socket.socket) -> None:
        while not ended.wait(0.05):
            try:
                connection.sendall(said)
            except OSError:
                return

    port, thread = serve_once(drip)
    started = time.monotonic()

    with pytest.raises(DeliveryError, match=r"no answer within 0\.4 s") as raised:
        channel(port=port, timeout="400ms").send(told())

    ended.set()
    thread.join()
    assert not raised.value.permanent
    assert time.monotonic() - started < 5  # and not the minute that the outbox holds a claim


def test_a_server_that_says_too_much_is_hung_up_on(told: Told):
    """An answer is kept line by line, so there is an end to it."""

    def flood(connection: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection.sendall(b"220-mail.example\r\n" * 100)

    port, thread = serve_once(flood)

    with pytest.raises(DeliveryError, match="closed the connection") as raised:
        channel(port=port).send(told())

    thread.join()
    assert not raised.value.permanent


def test_a_server_that_hangs_up_is_a_failure_for_now(told: Told):
    """A connection that ends after the greeting is tried again."""
    port, thread = serve_once(lambda connection: connection.sendall(b"220 mail.example\r\n"))

    with pytest.raises(DeliveryError, match=r"closed the connection|reset|Broken") as raised:
        channel(port=port).send(told())

    thread.join()
    assert not raised.value.permanent


def test_what_does_not_speak_smtp_is_a_failure(told: Told):
    """A port with another protocol behind it is a failure like any other."""
    port, thread = serve_once(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n"))

    with pytest.raises(DeliveryError):
        channel(port=port).send(told())

    thread.join()


def test_starttls_is_used_where_it_is_asked_for(
    told: Told, certificate: Path, monkeypatch: pytest.MonkeyPatch
):
    """The mail goes by TLS, with the certificate checked."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    with MailServer(certificate=certificate) as server:
        channel(server, security="starttls").send(told())

    assert [True] == [mail.encrypted for mail in server.mails]


def test_without_starttls_nothing_is_sent(told: Told):
    """A server that offers no STARTTLS (or somebody in between who hides it) gets no mail."""
    with MailServer() as server:
        with pytest.raises(DeliveryError, match="STARTTLS") as raised:
            channel(server, security="starttls", username="me", password="made-up").send(told())

        assert [] == server.mails

    assert raised.value.permanent


def test_a_certificate_nobody_vouches_for_gets_no_mail(told: Told, certificate: Path):
    """Nothing is sent to somebody who only claims to be the server."""
    with MailServer(certificate=certificate) as server:
        with pytest.raises(DeliveryError, match="self-signed certificate"):
            channel(server, security="starttls").send(told())

        assert [] == server.mails


def test_tls_from_the_first_byte(told: Told, certificate: Path, monkeypatch: pytest.MonkeyPatch):
    """`security = "tls"` is what port 465 speaks."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    with MailServer(certificate=certificate, secure=True) as server:
        channel(server, security="tls").send(told())

    assert [True] == [mail.encrypted for mail in server.mails]


def test_user_and_password_let_in(told: Told, certificate: Path, monkeypatch: pytest.MonkeyPatch):
    """A server that asks for a login gets it, by TLS."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    with MailServer(certificate=certificate, login=("me", "made-up")) as server:
        channel(server, security="starttls", username="me", password="made-up").send(told())

    assert 1 == len(server.mails)


def test_a_wrong_password_is_refused_for_good(
    told: Told, certificate: Path, monkeypatch: pytest.MonkeyPatch
):
    """The server's answer is told, the password is not."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    login = {"username": "me", "password": "hush-hush"}

    with MailServer(certificate=certificate, login=("me", "made-up")) as server:
        with pytest.raises(DeliveryError, match="answered 535") as raised:
            channel(server, security="starttls", **login).send(told())

        assert [] == server.mails

    assert raised.value.permanent
    assert "hush" not in str(raised.value)


def test_a_list_shows_whom_it_writes_to_but_no_names():
    """Addresses are masked where channels are listed."""
    assert "a…@example.org, b…@example.org, c…@example.org by 127.0.0.1:25" == shown_address(
        channel()
    )


def test_the_least_that_must_be_said_is_whom_to_tell(told: Told):
    """Without more, mail goes to this machine's server, from watchkeeper at the team's domain."""
    opened = open_notifier("t", {"type": "email", "to": "team@example.org"}, where="channels.t")

    assert "t…@example.org by localhost:25" == shown_address(opened)
    with MailServer() as server:
        open_notifier(
            "t", {"type": "email", "to": "team@example.org", "port": server.port}, where="t"
        ).send(told())
    assert "watchkeeper@example.org" == server.mails[0].sender


@pytest.mark.parametrize(
    ("options", "port"),
    [({}, 587), ({"security": "tls"}, 465), ({"security": "none"}, 25), ({"port": "2525"}, 2525)],
)
def test_each_way_has_its_port(options: dict[str, Any], port: int):
    """Other machines are spoken to with STARTTLS unless something else is said."""
    opened = channel(host="mail.example.org", **options)

    assert shown_address(opened).endswith(f"mail.example.org:{port}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": []}, r"channels\.team\.to: missing"),
        ({"to": "hush"}, r"channels\.team\.to: not an address"),
        ({"to": "hush@"}, r"channels\.team\.to: not an address"),
        ({"to": "hush@example.org\r\nBcc: x@y.example"}, r"channels\.team\.to: must be a text"),
        ({"to": "hush@example.org, b@example.org"}, r"channels\.team\.to: not an address"),
        ({"to": "hüsh@example.org"}, r"channels\.team\.to: not an address in plain letters"),
        ({"to": 7}, r"channels\.team\.to: must be a text, or a list"),
        ({"from_": "hush at example"}, r"channels\.team\.from: not an address"),
        ({"host": "http://hush"}, r"channels\.team\.host: write a name"),
        ({"host": 7}, r"channels\.team\.host: must be a text"),
        ({"port": 0}, r"channels\.team\.port: 0 is not a port"),
        ({"port": "mail"}, r"channels\.team\.port: 'mail' is not a port"),
        ({"security": "ssl"}, r"channels\.team\.security: 'ssl' is unknown; use one of \"start"),
        ({"timeout": "5"}, r"channels\.team\.timeout: "),
        ({"timeout": "5m"}, r"channels\.team\.timeout: must be above 0 and at most 30 s"),
        ({"time_zone": "Mars/North"}, r"channels\.team\.time_zone: .* is not a time zone"),
        ({"time_zone": "/etc/passwd"}, r"channels\.team\.time_zone: .* is not a time zone"),
        ({"receiver": "x"}, r"channels\.team\.receiver: unknown key.*; it has: type, to, from"),
        (
            {"host": "mail.example.org", "security": "none", "username": "me"},
            r"channels\.team\.password: would be sent in the clear",
        ),
    ],
)
def test_wrong_settings_name_the_key_and_the_cure(options: dict[str, Any], message: str):
    """A wrong setting is refused when the channel is opened."""
    with pytest.raises(ConfigurationError, match=message):
        channel(**options)


def test_opening_the_channel_loads_no_mail_module():
    """A host that never has an alert never pays for the modules that send one."""
    program = (
        "import sys; from watchkeeper.notify import open_notifier;"
        "open_notifier('c', {'type': 'email', 'to': 'a@example.org'}, where='c');"
        "print(sorted({'smtplib', 'ssl', 'http.client'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "[]" == done.stdout.strip()
