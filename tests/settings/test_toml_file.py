"""A settings file, as far as it can be read."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.settings.toml_file import TomlFile, read_toml

BAD = (b"hold = 24h", b"<<<<<<< HEAD", b"=======", b"slot =", b"# caf\xe9", b"x = [1,", b"]", b'"')
GOOD = (b"", b"# a comment", b'hold = "1h"', b"max_routes = 7", b"quiet_routes = [", b'"/a",')
TABLE = (b"[channels.a]", b'type = "log"', b"[channels.b", b"[[alert]]", b"type = x", b'x = """')


def read(text: bytes, *, root: tuple[str, ...] = ()) -> TomlFile:
    """Read a file of this text."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "watchkeeper.toml"
        file.write_bytes(text)
        return read_toml(file, root=root)


@given(
    st.lists(st.sampled_from(BAD + GOOD), max_size=9),
    st.lists(st.sampled_from(BAD + GOOD), max_size=9),
    st.lists(st.sampled_from(TABLE), max_size=6),
)
def test_no_fault_hides_a_key_at_the_top(before, after, tables):
    """Whatever is wrong around it, above it, or in the tables: a line that is right counts."""
    lines = [*before, b'service = "shop"', *after]

    found = read(b"\n".join([*lines, *tables]))
    project = read(b"\n".join([b"[tool.w]", *lines, *tables]), root=("tool", "w"))

    assert "shop" == found.content["service"]
    assert "shop" == project.content["tool"]["w"]["service"]


@given(st.binary(max_size=60))
def test_nothing_that_is_written_raises(text):
    """A fault is a sentence, and only where there is one something is left out."""
    found = read(text)

    assert found.fault.startswith("watchkeeper.toml:") or not (found.fault or found.left_out)


def test_a_table_whose_head_is_wrong_says_nothing():
    """The keys below it would be those of another table."""
    found = read(b'[tool.w\nservice = "shop"\n', root=("tool", "w"))

    assert {} == found.content
    assert ("service", "database_url") == found.left_out
