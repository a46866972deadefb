"""The built-in check of an HTTP service, against services that behave and that do not."""

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from certificates import Authority
from checked import check, found, states, texts_of, told
from watchkeeper.core.health import CheckState
from watchkeeper.notify.address import parse_address
from watchkeeper.runtime.builtin.http import _next
from watchkeeper.runtime.builtin.options import CheckFailedError

MARK = "not-a-real-token"


def answer(
    body: bytes = b"ok", *, status: str = "200 OK", headers: str = "", length: int | None = None
) -> bytes:
    """Return an answer as bytes."""
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{headers}\r\n".encode() + body


def request(peer: socket.socket) -> bytes:
    """Read a request's head, and its body."""
    content = b""
    while b"\r\n\r\n" not in content:
        content += peer.recv(4_096)
    head, _, body = content.partition(b"\r\n\r\n")
    length = next(
        (
            int(line[15:])
            for line in head.split(b"\r\n")
            if line.lower()[:15] == b"content-length:"
        ),
        0,
    )
    while len(body) < length:
        body += peer.recv(4_096)
    return head + b"\r\n\r\n" + body


def saying(content: bytes) -> Callable[[socket.socket], None]:
    """Answer every request like this."""

    def behave(peer: socket.socket) -> None:
        request(peer)
        peer.sendall(content)

    return behave


@pytest.fixture
def at(service) -> Callable[..., str]:
    """Run a service that answers like this; its URL."""

    def make(content: bytes, certificate: Any = None, path: str = "/health") -> str:
        scheme = "http" if certificate is None else "https"
        return f"{scheme}://127.0.0.1:{service(saying(content), certificate).port}{path}"

    return make


def test_a_service_that_answers_200_passes(at):
    """The milliseconds are told."""
    one = found("http", url=at(answer()))

    assert ("pass", "", "ms") == (one.state.value, one.output, one.unit)


def test_another_status_fails_with_both_numbers(at):
    """What came and what was expected is told, and where; not the path."""
    url = at(answer(status="503 Service Unavailable"), path=f"/health?key={MARK}")
    place = url.split("/")[2]

    assert ("fail", f"{place} answered 503 instead of 200") == told("http", url=url)
    assert ("fail", f"{place} answered 503 instead of 204 or 2xx") == told(
        "http", url=url, status=[204, "2xx"]
    )
    assert ("pass", "") == told("http", url=url, status="5xx")


def test_no_secret_of_the_request_is_shown(service):
    """User, password, query and headers are sent, and told nowhere."""
    seen: list[bytes] = []

    def behave(peer: socket.socket) -> None:
        seen.append(request(peer))
        peer.sendall(answer(status="401 No"))

    port = service(behave).port
    made = check(
        "http",
        url=f"http://shop:{MARK}-1@127.0.0.1:{port}/{MARK}-2?key={MARK}-3",
        headers={"X-Api-Key": f"{MARK}-4"},
        method="POST",
        body=f"{MARK}-5",
    )
    shown = texts_of(made)

    assert "answered 401 instead of 200" in shown
    assert MARK not in shown
    assert seen[0].startswith(f"POST /{MARK}-2?key={MARK}-3 HTTP/1.1\r\n".encode())
    assert b"Authorization: Basic " in seen[0]
    assert f"X-Api-Key: {MARK}-4".encode() in seen[0]
    assert seen[0].endswith(f"\r\n\r\n{MARK}-5".encode())


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_each_method_is_sent_as_such(service, method: str):
    """HEAD has no body to wait for."""
    seen: list[bytes] = []

    def behave(peer: socket.socket) -> None:
        seen.append(request(peer))
        peer.sendall(answer(b"", length=10_000) if method == "HEAD" else answer())

    url = f"http://127.0.0.1:{service(behave).port}/"

    assert ("pass", "") == told("http", url=url, method=method)
    assert seen[0].startswith(f"{method} / HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    ("content", "fields", "expected"),
    [
        ({"status": "ok"}, {"status": "ok"}, ("pass", "")),
        ({"data": {"lag": 0}}, {"data.lag": 0}, ("pass", "")),
        ({"status": "down"}, {"status": "ok"}, ("fail", "status is 'down' instead of 'ok'")),
        ({}, {"status": "ok"}, ("fail", "the answer has no field status")),
        (["ok"], {"status": "ok"}, ("fail", "the answer has no field status")),
        ({"ready": 1}, {"ready": True}, ("fail", "ready is 1 instead of True")),
        ({"data": {"a": 1}}, {"data": "ok"}, ("fail", "data is a table instead of 'ok'")),
        ({"data": "ok"}, {"data": {"a": 1}}, ("fail", "data is 'ok' instead of a table")),
        ({"token": MARK}, {"token": MARK + "-2"}, ("fail", "token is not as expected")),
        (
            {"data": {"api_key": 1}},
            {"data.api_key": 2},
            ("fail", "data.api_key is not as expected"),
        ),
        ({"by": "ok"}, {"by": f"Bearer {MARK}"}, ("fail", "by is not as expected")),
    ],
)
def test_fields_of_the_answer_are_compared(at, content: Any, fields: Any, expected: Any):
    """A service that answers 200 and says that it is down is down."""
    assert expected == told("http", url=at(answer(json.dumps(content).encode())), json=fields)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"<html>", "the answer is no JSON"),
        (b"[" * 60_000, "the answer is no JSON"),
        (b'"' + b"x" * 70_000 + b'"', "the answer is longer than 65536 bytes"),
        (b"\xff\xfe\x00", "the answer is no JSON"),
    ],
)
def test_an_answer_that_is_no_json_or_too_long_fails(at, body: bytes, expected: str):
    """What is read of an answer is bounded."""
    assert ("fail", expected) == told("http", url=at(answer(body)), json={"status": "ok"})


def test_an_endless_body_is_not_read(service):
    """Without fields to look at, the head is enough."""

    def flood(peer: socket.socket) -> None:
        request(peer)
        peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            peer.sendall(b"x" * 65_536)

    url = f"http://127.0.0.1:{service(flood).port}/"

    assert ("pass", "") == told("http", url=url)
    assert ("fail", "the answer is longer than 65536 bytes") == told(
        "http", url=url, json={"status": "ok"}
    )


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"", "no answer from {place} within "),
        (b"HTTP/1.1 200 OK\r\nX-A: ", "no answer from {place} within "),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "no answer from {place} within "),
    ],
)
def test_a_service_that_hangs_fails_within_the_time(service, head: bytes, expected: str):
    """Before the head, within it, and before the end of the body."""

    def hang(peer: socket.socket) -> None:
        request(peer)
        peer.sendall(head)
        peer.recv(1)

    port = service(hang).port
    state, text = told(
        "http", url=f"http://127.0.0.1:{port}/", timeout="500ms", json={"status": "ok"}
    )

    assert "fail" == state
    assert text.startswith(expected.format(place=f"127.0.0.1:{port}"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "connection closed by {place}"),
        (b"220 mail.example ESMTP\r\n", "{place} does not answer in HTTP"),
        (b"HTTP/1.1 2xx OK\r\n\r\n", "{place} does not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, "{place} does not answer in HTTP"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{",
            "the answer ended too early",
        ),
        (answer(b"{", length=9), "the answer ended too early"),
    ],
)
def test_what_is_no_answer_fails_in_plain_words(at, content: bytes, expected: str):
    """Whatever is behind the port, the check ends and says so."""
    url = at(content)

    assert ("fail", expected.format(place=url.split("/")[2])) == told(
        "http", url=url, json={"status": "ok"}
    )


def test_a_slow_answer_is_a_warning(at):
    """`warn_after` is the time that is still good."""
    state, text = told("http", url=at(answer()), warn_after="0.001ms")

    assert "warn" == state
    assert text.startswith("answered in ")


def test_redirects_are_an_answer_unless_asked_for(service):
    """A redirect is followed so often, to the same host, with the same headers."""

    def behave(peer: socket.socket) -> None:
        head = request(peer)
        assert f"X-Api-Key: {MARK}".encode() in head
        elsewhere = answer(b"", status="302 Found", headers="Location: /good\r\n")
        peer.sendall(answer() if head.startswith(b"GET /good ") else elsewhere)

    place = f"127.0.0.1:{service(behave).port}"
    url = f"http://{place}/health"

    headers = {"X-Api-Key": MARK}

    assert ("fail", f"{place} answered 302 instead of 200") == told(
        "http", url=url, headers=headers
    )
    assert ("pass", "") == told("http", url=url, redirects=1, headers=headers)


def test_redirects_in_a_circle_end(at):
    """They are counted."""
    url = at(answer(b"", status="301 Moved", headers="Location: /health\r\n"))
    place = url.split("/")[2]

    assert ("fail", f"{place} redirected more than 3 times") == told("http", url=url, redirects=3)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("http://other.example/health", "redirects to another host: other.example:80"),
        ("//other.example/", "redirects to another host: other.example:80"),
        ("ftp://127.0.0.1/", "redirects to no address of a web server"),
        ("http://[", "redirects to no address of a web server"),
    ],
)
def test_a_redirect_elsewhere_fails(at, location: str, expected: str):
    """Headers with secrets go to the host that was written down, and to no other."""
    url = at(answer(b"", status="302 Found", headers=f"Location: {location}\r\n"))

    assert ("fail", f"{url.split('/')[2]} {expected}") == told("http", url=url, redirects=1)


def test_a_redirect_to_another_port_fails(at, service):
    """Another server of the same machine is not to have what was meant for this one."""
    seen: list[bytes] = []
    other = service(lambda peer: seen.append(request(peer))).port
    location = f"Location: http://127.0.0.1:{other}/\r\n"
    url = at(answer(b"", status="302 Found", headers=location))

    assert (
        "fail",
        f"{url.split('/')[2]} redirects to another port: 127.0.0.1:{other}",
    ) == told("http", url=url, redirects=1, headers={"X-Api-Key": MARK})
    assert [] == seen


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("http://pay.example/", "https://pay.example/", "pay.example:443"),
        ("http://pay.example:8080/", "https://pay.example/", None),
        ("http://pay.example/", "https://pay.example:8443/", None),
        ("http://pay.example/", "http://pay.example:443/", None),
    ],
)
def test_a_redirect_to_tls_is_followed_at_the_usual_ports(before: str, after: str, expected: Any):
    """That is how a web server sends its visitors from http to https."""
    try:
        found = _next(parse_address(before, where="url"), after).shown
    except CheckFailedError:
        found = None

    assert expected == found


def test_a_redirect_out_of_tls_fails(at, ca: Authority):
    """What was asked by TLS is not repeated in the clear."""
    url = at(
        answer(b"", status="302 Found", headers="Location: http://127.0.0.1/\r\n"),
        ca.certificate(),
    )

    assert ("fail", f"{url.split('/')[2]} redirects from https to http") == told(
        "http", url=url, redirects=1, ca_file=str(ca.file)
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"days": 90}, ("pass", "")),
        ({"days": 6.2}, ("warn", "certificate ends in 6 days")),
        ({"days": -1}, ("fail", "certificate of {place} refused: certificate has expired")),
        ({"own": True}, ("fail", "certificate of {place} refused: self-signed certificate")),
        (
            {"host": "other.example"},
            ("fail", "certificate of {place} refused: IP address mismatch, certificate is not "
             "valid for '127.0.0.1'."),
        ),
    ],
)  # fmt: skip
def test_the_certificate_is_looked_at(at, ca: Authority, options: Any, expected: Any):
    """Its end is told before it comes."""
    url = at(answer(), ca.certificate(**options))
    state, text = expected

    assert (state, text.format(place=url.split("/")[2])) == told(
        "http", url=url, ca_file=str(ca.file)
    )


def test_nothing_is_left_of_many_runs(at, ca: Authority, closed_port: int, service):
    """Good, wrong, redirected and broken exchanges are all closed."""
    trust = {"ca_file": str(ca.file)}
    secure = at(answer(b'{"status": "ok"}'), ca.certificate())
    circle = at(answer(b"", status="301 Moved", headers="Location: /\r\n"))

    assert {CheckState.PASS} == states(check("http", url=secure, json={"status": "ok"}, **trust))
    assert {CheckState.FAIL} == states(check("http", url=secure))
    assert {CheckState.FAIL} == states(check("http", url=secure, status=204, **trust))
    assert {CheckState.FAIL} == states(check("http", url=circle, redirects=2), 100)
    assert {CheckState.FAIL} == states(check("http", url=at(b"nonsense")))
    assert {CheckState.FAIL} == states(check("http", url=f"http://127.0.0.1:{closed_port}/"))
