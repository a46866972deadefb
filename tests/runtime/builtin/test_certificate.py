"""The built-in check of a certificate, against certificates of every kind."""

from typing import Any

import pytest

from certificates import Authority
from checked import check, found, states, told
from watchkeeper.core.health import CheckState


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (90.2, ("pass", "certificate ends in 90 days")),
        (13.2, ("warn", "certificate ends in 13 days")),
        (2.2, ("fail", "certificate ends in 2 days")),
        (1.01, ("fail", "certificate ends in 1 d")),
        (0.1, ("fail", "certificate ends in 2 h")),
        (0.02, ("fail", "certificate ends in under 1 h")),
    ],
)
def test_the_days_until_its_end_are_judged(ca: Authority, service, days: float, expected: Any):
    """Two weeks before its end is a warning, three days a failure."""
    server = service(lambda peer: peer.recv(1), ca.certificate(days=days))
    one = found("certificate", host="127.0.0.1", port=server.port, ca_file=str(ca.file))

    assert expected == (one.state.value, one.output)
    assert (days, "days") == (pytest.approx(one.value, abs=0.11), one.unit)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"days": -1}, "certificate has expired"),
        ({"own": True}, "self-signed certificate"),
        ({"host": "shop.example"}, "IP address mismatch"),
    ],
)
def test_a_certificate_that_browsers_refuse_fails(
    ca: Authority, service, options: Any, reason: str
):
    """Expired, vouched for by nobody, or for another name."""
    server = service(lambda peer: peer.recv(1), ca.certificate(**options))
    state, text = told("certificate", host="127.0.0.1", port=server.port, ca_file=str(ca.file))

    assert "fail" == state
    assert text.startswith(f"certificate of 127.0.0.1:{server.port} refused: {reason}")


def test_another_name_may_be_asked_for(ca: Authority, service):
    """Behind a balancer one address shows the certificates of many names."""
    server = service(lambda peer: peer.recv(1), ca.certificate(host="shop.example"))
    place = {"host": "127.0.0.1", "port": server.port, "ca_file": str(ca.file)}

    assert "pass" == told("certificate", server_name="shop.example", **place)[0]
    assert "fail" == told("certificate", server_name="other.example", **place)[0]


def test_a_server_that_is_away_or_hangs_is_told(silent, closed_port: int):
    """Without a certificate nothing is known of it."""
    assert ("fail", f"connection refused by 127.0.0.1:{closed_port}") == told(
        "certificate", host="127.0.0.1", port=closed_port
    )
    state, text = told("certificate", host="127.0.0.1", port=silent.port, timeout="300ms")
    assert "fail" == state
    assert text.startswith(f"no answer from 127.0.0.1:{silent.port} within ")


def test_nothing_is_left_of_many_runs(ca: Authority, service):
    """Accepted and refused connections are closed."""
    server = service(lambda peer: peer.recv(1), ca.certificate())
    place = {"host": "127.0.0.1", "port": server.port}

    assert {CheckState.PASS} == states(check("certificate", ca_file=str(ca.file), **place))
    assert {CheckState.FAIL} == states(check("certificate", **place))
