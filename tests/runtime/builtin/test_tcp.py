"""The built-in check of a TCP service, and what it says when there is none."""

import socket

import pytest

from checked import check, found, states, told
from watchkeeper.core.health import CheckState


def test_a_service_that_takes_connections_passes(silent):
    """Connecting is all that is asked; the milliseconds are told."""
    one = found("tcp", host="127.0.0.1", port=silent.port)

    assert ("pass", "", "ms") == (one.state.value, one.output, one.unit)
    assert 0 < one.value < 5_000


def test_a_port_without_a_service_fails_in_plain_words(closed_port: int):
    """Who refused is told, without a name of an exception."""
    assert ("fail", f"connection refused by 127.0.0.1:{closed_port}") == told(
        "tcp", host="127.0.0.1", port=closed_port
    )


def test_a_name_that_is_none_fails_in_plain_words():
    """A name that does not resolve is told as such."""
    state, text = told("tcp", host="nowhere.invalid", port=5432, timeout="20s")

    assert ("fail", "the name of nowhere.invalid:5432 was not found") == (state, text)


def test_a_host_that_swallows_packets_fails_within_the_time():
    """A full queue of connections is how loopback shows it; the check's own time-out ends it."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        try:
            state, text = told("tcp", host="127.0.0.1", port=port, timeout="500ms")
        finally:
            for one in waiting:
                one.close()

    assert "fail" == state
    assert f"no answer from 127.0.0.1:{port} within " in text


def test_a_handshake_that_hangs_fails_within_the_time(silent):
    """A service that never answers the TLS greeting is told as such."""
    state, text = told("tcp", host="127.0.0.1", port=silent.port, tls=True, timeout="500ms")

    assert "fail" == state
    assert f"no answer from 127.0.0.1:{silent.port} within " in text


def test_a_service_without_tls_is_told(service):
    """Words that are no TLS are not taken for it."""
    plain = service(lambda connection: (connection.sendall(b"hello\r\n"), connection.recv(1)))

    state, text = told("tcp", host="127.0.0.1", port=plain.port, tls=True)

    assert "fail" == state
    assert text.startswith(f"no TLS with 127.0.0.1:{plain.port}: ")


def test_a_certificate_near_its_end_is_a_warning(ca, service):
    """With TLS the check looks at the certificate, too."""
    secure = service(lambda connection: connection.recv(1), ca.certificate(days=6.2))

    assert ("warn", "certificate ends in 6 days") == told(
        "tcp", host="127.0.0.1", port=secure.port, tls=True, ca_file=str(ca.file)
    )


def test_an_answer_that_takes_long_is_a_warning(silent):
    """`warn_after` is the time that is still good."""
    state, text = told("tcp", host="127.0.0.1", port=silent.port, warn_after="0.001ms")

    assert "warn" == state
    assert text.startswith("answered in ")


def test_nothing_is_left_of_many_runs(ca, service, silent, closed_port: int):
    """Good, refused and broken connections are all closed."""
    secure = service(lambda connection: connection.recv(1), ca.certificate())
    good = check("tcp", host="127.0.0.1", port=secure.port, tls=True, ca_file=str(ca.file))

    assert {CheckState.PASS} == states(good)
    assert {CheckState.PASS} == states(check("tcp", host="127.0.0.1", port=silent.port))
    assert {CheckState.FAIL} == states(check("tcp", host="127.0.0.1", port=closed_port))
    assert {CheckState.FAIL} == states(check("tcp", host="127.0.0.1", port=secure.port, tls=True))


@pytest.mark.parametrize("options", [{"ca_file": "/nowhere/ca.pem"}])
def test_a_ca_file_that_is_not_there_is_told(silent, options):
    """The file is read at each run, for it may be replaced."""
    assert ("fail", "ca_file /nowhere/ca.pem: not there, or no certificates") == told(
        "tcp", host="127.0.0.1", port=silent.port, tls=True, **options
    )
