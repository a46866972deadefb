"""Whose turn it is among the messages of a channel: a table, and laws."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.queue import (
    MAX_MESSAGES,
    Turn,
    Waiting,
    digest_due,
    turns,
    wants_fallback,
)

NOW = 1_000_000.0


def waiting(number: int, **given_: object) -> Waiting:
    """Return a message that is due, of an incident of its own."""
    plain = Waiting(
        id=number,
        incident=number,
        kind="firing",
        severity="warning",
        created_at=NOW - 10,
        next_try_at=NOW - 10,
        claim_until=0.0,
        attempts=0,
    )
    return replace(plain, **given_)  # type: ignore[arg-type]


def ask(
    *several: Waiting, sent_lately: int = 0, most: int = MAX_MESSAGES
) -> list[tuple[int, Turn]]:
    return [
        (one.id, turn)
        for one, turn in turns(several, now=NOW, sent_lately=sent_lately, max_messages=most)
    ]


@pytest.mark.parametrize(
    ("several", "expected"),
    [
        ([], []),
        ([waiting(2), waiting(1)], [(1, Turn.NOW), (2, Turn.NOW)]),
        ([waiting(1, next_try_at=NOW + 1)], [(1, Turn.NOT_YET)]),
        ([waiting(1, claim_until=NOW + 1)], [(1, Turn.UNDER_WAY)]),
        (
            [waiting(1, incident=7), waiting(2, incident=7, kind="resolved")],
            [(1, Turn.NOW), (2, Turn.IN_ORDER)],
        ),
        (
            [waiting(1, incident=7, next_try_at=NOW + 9), waiting(2, incident=7, kind="worse")],
            [(1, Turn.NOT_YET), (2, Turn.IN_ORDER)],
        ),
        (
            [waiting(1, incident=0, kind="digest"), waiting(2, incident=0, kind="digest")],
            [(1, Turn.NOW), (2, Turn.NOW)],
        ),
        (
            [waiting(1), waiting(2, severity="critical")],
            [(2, Turn.NOW), (1, Turn.NOW)],
        ),
    ],
)
def test_whose_turn_it_is(several: list[Waiting], expected: list[tuple[int, Turn]]):
    """Urgent ones first, then by age; of one incident one after the other."""
    assert expected == ask(*several)


def test_what_is_urgent_does_not_wait_behind_a_flood():
    """A resolved message takes the one before it of its incident along."""
    flood = [waiting(number) for number in range(1, 10)]
    firing = waiting(10, incident=99)
    resolved = waiting(11, incident=99, kind="resolved")

    order = [number for number, _ in ask(*flood, firing, resolved)]

    assert [10, 11, 1] == order[:3]


def test_a_flood_of_warnings_leaves_room_for_what_is_critical():
    """Of twenty messages an hour five are kept for critical ones and for ends."""
    flood = [waiting(number) for number in range(1, 31)]
    critical = [waiting(number, severity="critical") for number in range(31, 61)]

    warnings_alone = dict(ask(*flood))
    both = dict(ask(*flood, *critical, sent_lately=15))

    assert 15 == list(warnings_alone.values()).count(Turn.NOW)
    assert 15 == list(warnings_alone.values()).count(Turn.BRAKED)
    assert [31, 32, 33, 34, 35] == [number for number, turn in both.items() if Turn.NOW is turn]


def test_what_was_tried_before_is_past_the_brake():
    """A message that failed once is not moved into a digest."""
    tried = waiting(2, attempts=1)

    assert {1: Turn.BRAKED, 2: Turn.NOW} == dict(ask(waiting(1), tried, sent_lately=20))


def test_an_incident_is_not_half_in_a_digest():
    """Where the beginning waits for the digest, the end does, too."""
    firing = waiting(1, incident=7)
    resolved = waiting(2, incident=7, kind="resolved")

    assert [(1, Turn.BRAKED), (2, Turn.BRAKED)] == ask(firing, resolved, sent_lately=15)


def test_what_became_critical_passes_with_its_beginning():
    """A braked warning that gets worse is told of at once: the brake has places for that."""
    firing = waiting(1, incident=7)
    worse = waiting(2, incident=7, kind="worse", severity="critical")

    assert [(1, Turn.NOW), (2, Turn.IN_ORDER)] == ask(firing, worse, sent_lately=15)
    assert [(1, Turn.BRAKED), (2, Turn.BRAKED)] == ask(firing, worse, sent_lately=20)


def test_what_is_critical_goes_before_what_is_over():
    """Many ends do not use up the places that are left before it."""
    ends = [waiting(number, kind="resolved") for number in range(1, 9)]
    critical = waiting(9, severity="critical")

    assert (9, Turn.NOW) == ask(*ends, critical, sent_lately=19)[0]


@pytest.mark.parametrize("kind", ["digest", "undelivered", "test"])
def test_the_brake_holds_no_digest(kind: str):
    """What tells of others, or was asked for by somebody, always goes."""
    one = waiting(1, incident=0, kind=kind)

    assert [(1, Turn.NOW)] == ask(one, sent_lately=1_000)
    assert [(1, Turn.BRAKED)] == ask(replace(one, incident=7), sent_lately=1_000)


@pytest.mark.parametrize(
    ("braked", "digest_at", "expected"),
    [
        (0, 0.0, False),
        (1, 0.0, True),
        (1, NOW - 599, False),
        (1, NOW - 600, True),
        (1, NOW + 3_600, True),  # the clock was set back
    ],
)
def test_a_digest_comes_each_ten_minutes_at_most(braked: int, digest_at: float, expected: bool):
    """The first one at once."""
    assert expected is digest_due(braked=braked, digest_at=digest_at, now=NOW)


def test_after_five_minutes_another_channel_is_asked():
    """Five minutes without success are enough."""
    assert not wants_fallback(waiting(1, created_at=NOW - 299), now=NOW)
    assert wants_fallback(waiting(1, created_at=NOW - 300), now=NOW)


messages = st.builds(
    Waiting,
    id=st.integers(1, 10_000),
    incident=st.integers(0, 5),
    kind=st.sampled_from(["firing", "resolved", "digest", "reminder"]),
    severity=st.sampled_from(["warning", "critical"]),
    created_at=st.just(NOW),
    next_try_at=st.floats(NOW - 10, NOW + 10),
    claim_until=st.sampled_from([0.0, NOW + 5]),
    attempts=st.integers(0, 2),
)


@given(
    several=st.lists(messages, max_size=40, unique_by=lambda one: one.id),
    sent=st.integers(0, 50),
    most=st.integers(1, 50),
)
def test_nothing_is_lost_overtaken_or_too_much(several: list[Waiting], sent: int, most: int):
    """Each message has one turn; of an incident one goes at a time, and never the later first."""
    found = turns(several, now=NOW, sent_lately=sent, max_messages=most)

    assert {one.id for one in several} == {one.id for one, _ in found}
    assert len(several) == len(found)
    going = [one for one, turn in found if turn is Turn.NOW]
    for one in going:
        of_incident = [other for other in several if 0 < other.incident == one.incident]
        assert all(other.id >= one.id for other in of_incident)
    fresh = [one for one in going if one.attempts == 0 and not one.is_unbraked]
    assert len(fresh) <= max(0, most - sent)
