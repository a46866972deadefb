"""The built-in check of Redis, against real servers."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import free_port, missing

from certificates import Authority
from checked import check, found, states, texts_of, told
from watchkeeper.core.health import CheckState

WORD = "not-a-real-password"


@pytest.fixture
def guarded(tmp_path: Path, ca: Authority) -> Iterator[tuple[int, int]]:
    """A Redis with a password and a user of its own: its port, and that for TLS."""
    program = shutil.which("redis-server")
    if program is None:
        missing("redis-server is not installed")
    plain, secure = free_port(), free_port()
    certificate = ca.certificate()
    options = {
        "port": plain, "bind": "127.0.0.1", "save": "", "dir": tmp_path, "requirepass": WORD,
        "tls-port": secure, "tls-cert-file": certificate, "tls-key-file": certificate,
        "tls-ca-cert-file": ca.file, "tls-auth-clients": "no",
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    user = ["--user", "watch", "on", f">{WORD}-2", "~*", "+ping", "+llen", "+select"]
    server = subprocess.Popen([program, *words, *user], stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", secure), timeout=1).close()
                break
            except OSError:
                if server.poll() is not None:
                    missing("redis-server has no TLS")
                assert time.monotonic() < until
                time.sleep(0.02)
        yield plain, secure
    finally:
        server.kill()
        server.wait()


def test_a_server_that_answers_passes(redis_url: str):
    """PING, and the milliseconds are told."""
    one = found("redis", url=redis_url)

    assert ("pass", "", "ms") == (one.state.value, one.output, one.unit)


def test_user_password_database_and_tls_come_from_the_url(guarded, ca: Authority):
    """As every client of Redis writes it."""
    plain, secure = guarded
    trust = {"ca_file": str(ca.file)}

    assert ("pass", "") == told("redis", url=f"redis://:{WORD}@127.0.0.1:{plain}/3")
    assert ("pass", "") == told("redis", url=f"redis://watch:{WORD}-2@127.0.0.1:{plain}/0")
    assert ("pass", "") == told("redis", url=f"rediss://:{WORD}@127.0.0.1:{secure}/0", **trust)
    state, text = told("redis", url=f"rediss://:{WORD}@127.0.0.1:{secure}/0")
    assert "fail" == state
    assert text.startswith(f"certificate of 127.0.0.1:{secure} refused: ")


def test_a_wrong_or_missing_password_is_told_without_it(guarded):
    """The server's own words say which it is."""
    port = guarded[0]
    shown = texts_of(check("redis", url=f"redis://:{WORD}-old@127.0.0.1:{port}/0"))

    assert f"127.0.0.1:{port} refused the login: WRONGPASS'" in shown
    assert WORD not in shown
    state, text = told("redis", url=f"redis://127.0.0.1:{port}")
    assert "fail" == state
    assert text.startswith(f"127.0.0.1:{port} answered NOAUTH")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"-ERR unknown command 'AUTH', with args beginning with: '%b'\r\n", ": ERR"),
        (b"-ERR unknown user '%b'\r\n", ": ERR"),
        (b"-%b\r\n", ""),
    ],
)
@pytest.mark.parametrize("user", ["", "shop"])
def test_a_server_that_repeats_the_password_is_not_quoted(
    service, answer: bytes, expected: str, user: str
):
    """A Redis without AUTH quotes what it was sent; only the kind of its error is told."""

    def behave(peer: socket.socket) -> None:
        peer.recv(200)
        peer.sendall(answer.replace(b"%b", WORD.encode()))

    port = service(behave).port
    made = check("redis", url=f"redis://{user}:{WORD}@127.0.0.1:{port}/0")
    shown = texts_of(made)

    assert f"127.0.0.1:{port} refused the login{expected}'" in shown
    assert WORD not in shown


def test_a_database_that_is_not_there_is_told(redis_url: str):
    """The URL's number is chosen, too."""
    state, text = told("redis", url=f"{redis_url.rpartition('/')[0]}/99")

    assert "fail" == state
    assert "DB index is out of range" in text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "{place} does not answer as Redis does"),
        (b"-LOADING Redis is loading\r\n", "{place} answered LOADING Redis is loading"),
        (b"+NOPE\r\n", "{place} answered PING with NOPE"),
        (b"$-1\r\n", "{place} answered PING with"),
        (b"$4\r\nPONG\r\n", ""),
        (b"$9\r\nPO", "connection closed by {place}"),
        (b"$x\r\n", "{place} does not answer as Redis does"),
        (b":" + b"9" * 5_000 + b"\r\n", "{place} does not answer as Redis does"),
        (b":-9223372036854775808\r\n", "{place} answered PING with -9223372036854775808"),
        (b"", "connection closed by {place}"),
        (b"+" + b"x" * 200_000, "the answer of {place} is too long"),
        (b"$999999999\r\n" + b"x" * 200_000, "the answer of {place} is too long"),
    ],
)
def test_what_is_no_redis_fails_in_plain_words(service, content: bytes, expected: str):
    """Whatever is behind the port, the check ends and says so."""

    def behave(peer: socket.socket) -> None:
        peer.recv(100)
        peer.sendall(content)

    port = service(behave).port
    state, text = told("redis", url=f"redis://127.0.0.1:{port}")

    assert ("fail" if expected else "pass") == state
    assert text.strip() == expected.format(place=f"127.0.0.1:{port}")


def test_a_server_that_hangs_fails_within_the_time(silent):
    """A Redis that is stopped takes connections and answers nothing."""
    state, text = told("redis", url=f"redis://127.0.0.1:{silent.port}", timeout="300ms")

    assert "fail" == state
    assert text.startswith(f"no answer from 127.0.0.1:{silent.port} within ")


def test_nothing_is_left_of_many_runs(guarded, closed_port: int):
    """Sessions that end well and badly are closed."""
    good: dict[str, Any] = {"url": f"redis://:{WORD}@127.0.0.1:{guarded[0]}/1"}

    assert {CheckState.PASS} == states(check("redis", **good))
    assert {CheckState.FAIL} == states(check("redis", url=f"redis://127.0.0.1:{guarded[0]}"))
    assert {CheckState.FAIL} == states(check("redis", url=f"redis://127.0.0.1:{closed_port}"))
