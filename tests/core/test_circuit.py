"""When a channel that failed is asked again, and by how many messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.circuit import WORKS, Circuit, Passage, gone

NOW = 1_000_000.0


def failed(times: int, *, now: float = NOW) -> Circuit:
    """Return the circuit after so many failures, all at once."""
    circuit = Circuit()
    for _ in range(times):
        circuit = circuit.failed(now=now, jitter=0.0)
    return circuit


@pytest.mark.parametrize(
    ("circuit", "now", "in_flight", "expected"),
    [
        (WORKS, NOW, 0, Passage.CLOSED),
        (WORKS, NOW, 2, Passage.CLOSED),
        (failed(2), NOW, 0, Passage.CLOSED),
        (failed(3), NOW, 0, Passage.OPEN),
        (failed(3), NOW + 2.9, 0, Passage.OPEN),
        (failed(3), NOW + 3, 0, Passage.HALF_OPEN),
        (failed(3), NOW + 3, 1, Passage.PROBING),
        (failed(3), NOW - 7_200, 0, Passage.HALF_OPEN),  # the clock was set back
        (gone(now=NOW), NOW, 0, Passage.GONE),
        (gone(now=NOW - 200), NOW, 0, Passage.CLOSED),  # before this process began
    ],
)
def test_one_message_at_a_time_finds_out(
    circuit: Circuit, now: float, in_flight: int, expected: Passage
):
    """Three failures in a row open the circuit; a probe at a time closes it again."""
    assert expected is circuit.passage(now=now, in_flight=in_flight, started_at=NOW - 100)


def test_probes_come_as_messages_are_tried_again():
    """1, 2, 3, 4, 4, … s while it is new, each 15 s after two minutes and for ever."""
    circuit, now, waits = Circuit(), NOW, []
    while now < NOW + 86_400 + 60:
        circuit = circuit.failed(now=now, jitter=0.0)
        waits.append(circuit.probe_at - now)
        now = circuit.probe_at

    assert [1.0, 2.0, 3.0, 4.0, 4.0, 4.0] == waits[:6]
    assert [15.0, 15.0] == waits[-2:]
    assert 15.0 == max(waits)


def test_a_receiver_that_says_when_is_not_asked_before():
    """Retry-After holds the whole channel, at the first failure; an hour at most."""
    circuit = WORKS.failed(now=NOW, jitter=0.0, not_before=NOW + 90)

    def passage(now: float) -> Passage:
        return circuit.passage(now=now, in_flight=0, started_at=NOW)

    assert NOW + 90 == circuit.probe_at
    assert [Passage.OPEN, Passage.CLOSED] == [passage(NOW + 89), passage(NOW + 90)]
    assert Passage.CLOSED is passage(NOW - 7_200)


def test_another_absence_is_asked_quickly_again():
    """What failed an hour ago and was not asked since is not slow for it."""
    old = failed(9)

    assert NOW + 3_600 + 4 == old.failed(now=NOW + 3_600, jitter=0.0).probe_at


@given(
    failures=st.integers(0, 10), since=st.floats(0, 2e9), at=st.floats(0, 2e9), gone_=st.booleans()
)
def test_what_is_stored_is_read_again(failures: int, since: float, at: float, gone_: bool):
    """Other processes of the service see the same circuit."""
    circuit = Circuit(
        failures=failures,
        failing_since=since,
        probe_at=at,
        asked_until=at,
        gone_at=at if gone_ else 0.0,
    )

    assert circuit == Circuit.from_data(circuit.to_data())


@pytest.mark.parametrize("data", [{}, {"failures": "many", "probe_at": None, "other": 1}])
def test_what_cannot_be_read_is_a_channel_that_works(data: dict[str, object]):
    """What somebody else wrote there stops nobody."""
    assert WORKS == Circuit.from_data(data)
