"""The texts in source: found by their quotes as fast, and exactly, as by what begins them."""

from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.expression import LITERAL, strings_of

PIECES = ("a", "b", "f", "_", "1", "é", ".", " ", "\n", "\\", "'", '"', "'''", '"""', "(", "x=")


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_a_text_is_found_by_its_quote_as_by_its_prefix(source: str):
    """Whatever stands before and behind it."""
    assert [found.span() for found in LITERAL.finditer(source)] == list(strings_of(source))


def test_prefixes_belong_to_a_text_and_words_do_not():
    """One or two letters that no word or dot comes before; an apostrophe begins nothing."""
    source = "f'a' rb\"b\" don't print('d')"

    found = [source[start:end] for start, end in strings_of(source)]

    assert ["f'a'", 'rb"b"', "'d'"] == found
