"""Links that act without signing in."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.messages import MAX_LINKED
from watchkeeper.runtime.signed_links import (
    AHEAD_S,
    MAX_TOKEN,
    VALID_S,
    Purpose,
    read,
    sign,
    signing_key,
)
from watchkeeper.storage import open_store

KEY = "an-obviously-made-up-key"
NOW = 1_800_000_000.0
OTHER = {Purpose.ACKNOWLEDGE: Purpose.SILENCE, Purpose.SILENCE: Purpose.ACKNOWLEDGE}


@pytest.mark.parametrize("purpose", Purpose)
def test_link_leads_to_its_incident(purpose: Purpose):
    """A signed link names its incident, for a week."""
    token = sign(KEY, 42, purpose, at=NOW)

    assert read(KEY, token, purpose, now=NOW) == (42,)
    assert read(KEY, token, purpose, now=NOW + VALID_S) == (42,)


@given(others=st.lists(st.integers(1, 2**63 - 1), max_size=MAX_LINKED + 5))
def test_link_leads_to_all_incidents_of_its_message(others: list[int]):
    """In their order, up to as many as one silence can name; and it is short enough to be read."""
    token = sign(KEY, 42, Purpose.SILENCE, at=NOW, others=others)

    assert read(KEY, token, Purpose.SILENCE, now=NOW) == (42, *others)[:MAX_LINKED]


@pytest.mark.parametrize("purpose", Purpose)
def test_link_is_for_one_purpose(purpose: Purpose):
    """A link to acknowledge silences nothing, and the other way round."""
    token = sign(KEY, 42, purpose, at=NOW)

    assert read(KEY, token, OTHER[purpose], now=NOW) == ()


def test_link_grows_old():
    """After a week a link does nothing any more, and one from the future does nothing yet."""
    token = sign(KEY, 42, Purpose.ACKNOWLEDGE, at=NOW)

    assert read(KEY, token, Purpose.ACKNOWLEDGE, now=NOW + VALID_S + 1) == ()
    assert read(KEY, token, Purpose.ACKNOWLEDGE, now=NOW + 61, max_age_s=60) == ()
    assert read(KEY, token, Purpose.ACKNOWLEDGE, now=NOW - AHEAD_S - 1) == ()
    assert read(KEY, token, Purpose.ACKNOWLEDGE, now=NOW - AHEAD_S) == (42,)


def test_link_of_another_key_is_none():
    """Who does not have the key makes no link."""
    token = sign("another made-up key", 42, Purpose.ACKNOWLEDGE, at=NOW)

    assert read(KEY, token, Purpose.ACKNOWLEDGE, now=NOW) == ()
    assert read("", sign("", 42, Purpose.ACKNOWLEDGE, at=NOW), Purpose.ACKNOWLEDGE, now=NOW) == ()


@given(st.data())
def test_changed_link_is_none(data: st.DataObject):
    """Whatever character of a link is changed, it leads to no other incident."""
    token = sign(KEY, 42, Purpose.ACKNOWLEDGE, at=NOW)
    place = data.draw(st.integers(0, len(token) - 1))
    char = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_."))
    changed = token[:place] + char + token[place + 1 :]

    # The last character of a signature has spare bits, which say nothing.
    assert read(KEY, changed, Purpose.ACKNOWLEDGE, now=NOW) in ((), (42,))
    if changed[:-1] != token[:-1]:
        assert read(KEY, changed, Purpose.ACKNOWLEDGE, now=NOW) == ()


@given(st.text(max_size=MAX_TOKEN + 5))
def test_any_text_is_read_without_an_error(text: str):
    """What is no link is refused, however odd."""
    assert read(KEY, text, Purpose.SILENCE, now=NOW) == ()


@pytest.mark.parametrize("incident", [0, -1, 2**63])
def test_link_names_a_possible_incident(incident: int):
    """A number that no database has is no incident, even if we signed it."""
    token = sign(KEY, incident, Purpose.SILENCE, at=NOW)

    assert read(KEY, token, Purpose.SILENCE, now=NOW) == ()


@given(incident=st.integers(1, 2**63 - 1), at=st.floats(0, 4e9))
def test_link_needs_no_escaping_and_is_always_the_same(incident: int, at: float):
    """A link stands in an address as it is, and a message sent again has the same one."""
    token = sign(KEY, incident, Purpose.ACKNOWLEDGE, at=at)

    assert set(token) <= set(string.ascii_letters + string.digits + "-_.")
    assert token == sign(KEY, incident, Purpose.ACKNOWLEDGE, at=at)
    assert len(token) <= MAX_TOKEN
    assert read(KEY, token, Purpose.ACKNOWLEDGE, now=at) == (incident,)


def test_key_is_the_setting_or_the_databases():
    """The setting is the key; else one that is made once for all workers."""
    store = open_store("memory://")

    made = signing_key(store)

    assert signing_key(store, "set by somebody") == "set by somebody"
    assert made == signing_key(store)
    assert len(made) == 64
