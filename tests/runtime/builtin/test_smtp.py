"""The built-in check of a mail server, against a real one."""

from pathlib import Path
from typing import Any

from mail_servers import MailServer

from certificates import Authority
from checked import check, found, states, texts_of, told
from watchkeeper.core.health import CheckState

USER, WORD = "shop@mail.example", "not-a-real-password"


class Listening(MailServer):
    """A mail server that remembers whether anybody began to send."""

    began = False

    async def handle_MAIL(  # noqa: N802  # the name that aiosmtpd calls
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Remember."""
        self.began = True
        return await super().handle_MAIL(server, session, envelope, address, options)


def by(server: MailServer, ca: Authority | None = None, **options: Any) -> dict[str, Any]:
    trust = {} if ca is None else {"ca_file": str(ca.file)}
    return {"host": "127.0.0.1", "port": server.port, **trust, **options}


def test_a_plain_server_passes_and_gets_no_mail():
    """Greeting, EHLO and QUIT: nothing is sent."""
    with Listening() as server:
        one = found("smtp", **by(server))

        assert ("pass", "", "ms") == (one.state.value, one.output, one.unit)
        assert not server.began


def test_a_server_with_starttls_and_login_passes_and_gets_no_mail(ca: Authority):
    """The certificate is verified, then user and password are tried."""
    options = {"security": "starttls", "username": USER, "password": WORD}
    with Listening(certificate=ca.certificate(), login=(USER, WORD)) as server:
        assert ("pass", "") == told("smtp", **by(server, ca, **options))
        assert not server.began


def test_a_server_with_tls_from_the_start_passes(ca: Authority):
    """As port 465 has it."""
    with Listening(certificate=ca.certificate(), secure=True) as server:
        assert ("pass", "") == told("smtp", **by(server, ca, security="tls"))
        assert not server.began


def test_a_refused_login_fails_and_shows_neither_user_nor_password(ca: Authority):
    """A password that was changed is what such a check is for."""
    options = {"security": "starttls", "username": USER, "password": "an-old-fake-password"}
    with MailServer(certificate=ca.certificate(), login=(USER, WORD)) as server:
        made = check("smtp", **by(server, ca, **options))
        shown = texts_of(made)

    assert f"127.0.0.1:{server.port} refused the login: 535" in shown
    assert "an-old-fake-password" not in shown
    assert USER not in shown


def test_a_certificate_that_nobody_vouches_for_fails(ca: Authority):
    """STARTTLS without trust is no security."""
    with MailServer(certificate=ca.certificate(own=True)) as server:
        state, text = told("smtp", **by(server, ca, security="starttls"))

    assert "fail" == state
    assert text == f"certificate of 127.0.0.1:{server.port} refused: self-signed certificate"


def test_a_certificate_near_its_end_is_a_warning(ca: Authority):
    """Mail stops on the day that it ends."""
    with MailServer(certificate=ca.certificate(days=5.3)) as server:
        assert ("warn", "certificate ends in 5 days") == told(
            "smtp", **by(server, ca, security="starttls")
        )


def test_a_server_without_starttls_fails():
    """Nothing goes on in the clear where STARTTLS was asked for."""
    with MailServer() as server:
        state, text = told("smtp", **by(server, security="starttls"))

    assert "fail" == state
    assert "does not offer what is asked of it: STARTTLS" in text


def test_a_server_that_is_away_is_told(closed_port: int):
    """The words are those of the other checks."""
    assert ("fail", f"connection refused by 127.0.0.1:{closed_port}") == told(
        "smtp", host="127.0.0.1", port=closed_port
    )


def test_a_server_that_turns_away_is_told(service):
    """A greeting other than 220 is the server's answer."""
    busy = service(lambda peer: (peer.sendall(b"554 no service today\r\n"), peer.recv(1)))

    assert ("fail", f"127.0.0.1:{busy.port} answered 554 no service today") == told(
        "smtp", host="127.0.0.1", port=busy.port
    )


def test_a_server_that_hangs_or_drips_ends_with_the_time(service, silent):
    """The time is for all of it, not for each byte."""

    def drip(peer: Any) -> None:
        while True:
            peer.sendall(b"2")
            peer.settimeout(0.05)
            try:
                peer.recv(1)
            except TimeoutError:
                continue

    for port in (silent.port, service(drip).port):
        state, text = told("smtp", host="127.0.0.1", port=port, timeout="600ms")

        assert "fail" == state
        assert f"no answer from 127.0.0.1:{port} within " in text


def test_nothing_is_left_of_many_runs(ca: Authority, closed_port: int):
    """Sessions that end well, that are refused, and that never began are all closed."""
    login = {"security": "starttls", "username": USER}
    with MailServer(certificate=ca.certificate(), login=(USER, WORD)) as server:
        good = check("smtp", **by(server, ca, password=WORD, **login))
        refused = check("smtp", **by(server, ca, password="a-wrong-fake", **login))
        # The server closes its side in its own time; it lives in this process.
        assert {CheckState.PASS} == states(good)
        assert {CheckState.FAIL} == states(refused)
    assert {CheckState.FAIL} == states(check("smtp", host="127.0.0.1", port=closed_port))


def test_the_usual_port_and_security_are_those_of_mail(tmp_path: Path):
    """A server elsewhere is talked to by STARTTLS on 587, one on this machine in the clear."""
    state, text = told("smtp", host="nowhere.invalid", timeout="20s")

    assert ("fail", "the name of nowhere.invalid:587 was not found") == (state, text)
