"""Which spools a process may write, and whose their slots are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.spool import LEFT_AFTER_S, NOWHERE, Reason, SpoolName, adoption

HERE, ELSEWHERE = "0000000a", "0000000b"


@given(
    st.builds(
        SpoolName,
        first_at=st.integers(0, 10**11),
        id=st.integers(0, 2**64 - 1).map("{:016x}".format),
        installation=st.sampled_from([NOWHERE, HERE]),
        worker=st.integers(0, 2**62),
        finished=st.booleans(),
    )
)
def test_a_name_is_read_as_it_was_written(name: SpoolName):
    """The name of the file is all that is known of a spool before it is opened."""
    assert name == SpoolName.read(str(name))


@pytest.mark.parametrize(
    "text", ["", "notes.txt", ".spool", "0000000010-aa-00000000-0.spool", "x.spool.damaged"]
)
def test_other_files_are_none_of_ours(text: str):
    """Whatever else lies in the folder is left alone."""
    assert SpoolName.read(text) is None


def test_names_are_ordered_by_age():
    """The oldest slots are written first, of whichever worker they are."""
    old = SpoolName(first_at=99, id="f" * 16, installation=HERE, worker=9)
    new = SpoolName(first_at=100, id="0" * 16)

    assert [old, new] == sorted([new, old])


@pytest.mark.parametrize(
    ("finished", "worker", "installation", "age_s", "expected"),
    [
        (True, 7, HERE, 0.0, Reason.OWNED),
        (True, 7, ELSEWHERE, 0.0, Reason.ORPHANED),
        (True, 0, NOWHERE, 0.0, Reason.ORPHANED),
        (False, 7, HERE, LEFT_AFTER_S, Reason.BEING_WRITTEN),
        (False, 7, HERE, -3_600.0, Reason.BEING_WRITTEN),
        (False, 0, NOWHERE, LEFT_AFTER_S + 1, Reason.LEFT_UNFINISHED),
    ],
)
def test_what_is_done_with_a_spool(finished, worker, installation, age_s, expected):
    """Keys hold in the database they are of; what nobody owns gets an owner first."""
    name = SpoolName(
        first_at=1, id="0" * 16, finished=finished, worker=worker, installation=installation
    )

    assert expected is adoption(name, installation=HERE, age_s=age_s)


def test_an_owned_name_differs_in_its_owner_only():
    """Taking possession is one renaming."""
    name = SpoolName(first_at=1, id="0" * 16)

    assert "0000000001-0000000000000000-0000000a-7.spool" == str(
        name.owned_by(7, installation=HERE)
    )
