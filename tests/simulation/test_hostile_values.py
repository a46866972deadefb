"""Values and texts of any shape go through the scrubber: it must never fail."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.core.scrub import scrub, scrub_source, scrub_text

pytestmark = pytest.mark.slow

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=30,
)


@settings(deadline=None)
@given(JSON_VALUES)
def test_every_value_becomes_json(value: object):
    """Scrubbing never fails, and its result is strict JSON that UTF-8 can carry."""
    json.dumps(scrub(value), allow_nan=False, ensure_ascii=False).encode()


@settings(deadline=None)
@given(st.text(alphabet="aB1 =:&;,'\"\\{}()[]@/%.-_\n", max_size=200))
def test_every_text_can_be_scrubbed(text: str):
    """Signs in any order neither fail nor change the number of source lines."""
    scrub_text("password=" + text)
    source = 'password = "' + text

    assert source.count("\n") == scrub_source(source).count("\n")
