"""Patches: what is wrapped is put back, whatever happens."""

import pytest

from watchkeeper.integrations.patches import Patches


class Library:
    def first(self) -> str:
        return "first"


class Child(Library):
    pass


def watched(original):
    return lambda self: f"watched {original(self)}"


def test_a_wrapped_method_is_put_back():
    """Undoing leaves exactly what was there."""
    original = Library.first
    patches = Patches()
    patches.wrap(Library, "first", watched)
    assert "watched first" == Library().first()

    patches.undo()

    assert Library.first is original


def test_a_library_that_lacks_a_method_is_left_as_it_was():
    """Another version of a library than the ones known is not half wrapped."""
    original = Library.first
    patches = Patches()
    patches.wrap(Library, "first", watched)

    with pytest.raises(KeyError, match="first"):
        patches.wrap(Child, "first", watched)

    assert Library.first is original
    assert not patches.on


def test_what_somebody_else_wrapped_after_us_stays_theirs():
    """Their wrapper is not taken away with ours; ours is told to do nothing."""
    original = Library.first
    patches = Patches()
    patches.wrap(Library, "first", watched)
    ours = Library.first
    theirs = Library.first = lambda self: f"theirs {ours(self)}"

    patches.undo()

    assert Library.first is theirs
    assert not patches.on
    Library.first = original
