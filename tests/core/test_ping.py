"""Pings: what a call of an address says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.ping import MAX_READ_BYTES, Call, Said, parse_call, shown_output

TOKEN = "not-a-real-token_0123456789abcdef"


@pytest.mark.parametrize(
    ("said", "outcome", "rest"),
    [
        (Said.END, "ok", ""),
        (Said.END, "ok", "/"),
        (Said.END, "ok", "/0"),
        (Said.END, "ok", "/000"),
        (Said.END, "failed", "/1"),
        (Said.END, "failed", "/255"),
        (Said.END, "failed", "/fail"),
        (Said.END, "failed", "/fail/"),
        (Said.START, "", "/start"),
        (Said.LOG, "", "/log"),
    ],
)
def test_a_call_says_what_became_of_a_run(said: Said, outcome: str, rest: str):
    """The calls are those of healthchecks.io."""
    call = parse_call(f"/ping/{TOKEN}{rest}", "no disk")

    output = "no disk" if outcome == "failed" else ""
    assert Call(token=TOKEN, said=said, outcome=outcome, output=output) == call


@pytest.mark.parametrize(
    "path",
    [
        "/ping",
        "/ping/",
        "/ping/short",
        f"/ping/{'x' * 65}",
        f"/ping/{TOKEN}/256",
        f"/ping/{TOKEN}/1234",
        f"/ping/{TOKEN}/-1",
        f"/ping/{TOKEN}/²",
        f"/ping/{TOKEN}/stop",
        f"/ping/{TOKEN}/start/1",
        f"/ping/{TOKEN}\n",
        f"/pong/{TOKEN}",
    ],
)
def test_what_is_no_call_is_none(path: str):
    """Anything else is an address that does not exist."""
    assert None is parse_call(path)


@given(st.binary(max_size=3 * MAX_READ_BYTES))
def test_what_comes_with_a_call_becomes_a_short_line(body: bytes):
    """Whatever is sent, what is shown is printable, in one line, and bounded."""
    shown = shown_output(body)

    assert shown.isprintable()
    assert len(shown) <= MAX_READ_BYTES


def test_lines_become_one():
    """A log's lines are joined."""
    assert "tar: no space left" == shown_output(b"tar:\r\n\tno space\x00left\n")
