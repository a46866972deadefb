"""What the upkeep did last passes from process to process as a text."""

import pytest

from watchkeeper.core.budget import Reason, Room, Storing
from watchkeeper.core.upkeep import Notes, read_notes, write_notes

NOTES = Notes(
    at=90.5,
    storing=Storing.SHORTER,
    reason=Reason.DISK,
    room=Room(stored_bytes=7, free_bytes=1, disk_bytes=100, disk_free_bytes=9),
    budget_bytes=1_000,
    rolled_at=60.0,
    sealed_at=30.0,
    pruned_at=45.0,
    pruned_rows=12,
    cut_at=20.0,
    cut_bytes=6,
    keep_s={"slots": 7_200.0},
    history=((1.0, 5.0), (2.0, 6.0)),
)


@pytest.mark.parametrize("notes", [Notes(), NOTES])
def test_what_is_written_is_read(notes: Notes):
    """Nothing is lost on the way."""
    assert notes == read_notes(write_notes(notes))


@pytest.mark.parametrize(
    "text",
    [None, "", "{", "[]", "7", '{"storing": 9}', '{"at": "x"}', '{"room": {"new": 1}}'],
)
def test_what_cannot_be_read_is_as_if_nothing_was_done(text: str | None):
    """A damaged text, or one of a version to come, stops nothing."""
    assert Notes() == read_notes(text)
