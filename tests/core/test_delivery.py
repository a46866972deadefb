"""When an undelivered notification is tried again: a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.delivery import Fault, NextTry, Reason, next_try

NOW = 1_000_000.0


def decide(attempts: int, age_s: float, **given_: object) -> NextTry:
    return next_try(
        attempts=attempts,
        created_at=NOW - age_s,
        now=NOW,
        **{"jitter": 0.0, **given_},  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("attempts", "age_s", "wait_s"),
    [
        (1, 0, 1.0),
        (2, 1, 2.0),
        (3, 3, 3.0),
        (4, 6, 4.0),
        (5, 10, 4.0),
        (30, 119.9, 4.0),
        (31, 120, 15.0),
        (60, 599, 15.0),
        (63, 600, 60.0),
        (64, 660, 300.0),
        (65, 960, 1_800.0),
        (99, 86_399, 1_800.0),
        (1, 7_200, 1.0),  # an old message that nobody tried before
        (4, 7_200, 4.0),
        (5, 7_200, 1_800.0),
    ],
)
def test_waits_grow_with_age(attempts: int, age_s: float, wait_s: float):
    """Quick at first, so that a short absence costs seconds; then ever more patient."""
    assert NextTry(at=NOW + wait_s, reason=Reason.RETRY) == decide(attempts, age_s)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({"fault": Fault.GONE}, NextTry(at=None, reason=Reason.CHANNEL_GONE)),
        (
            {"fault": Fault.REFUSED},
            NextTry(at=NOW + 60, reason=Reason.REFUSED_FOR_NOW),
        ),
        (
            {"fault": Fault.REFUSED, "refused_for_s": 599.0},
            NextTry(at=NOW + 60, reason=Reason.REFUSED_FOR_NOW),
        ),
        (
            {"fault": Fault.REFUSED, "refused_for_s": 600.0},
            NextTry(at=None, reason=Reason.REFUSED_FOR_GOOD),
        ),
        ({"retry_after_s": 17.0}, NextTry(at=NOW + 17, reason=Reason.RECEIVER_SAID_WHEN)),
        ({"retry_after_s": 0.0}, NextTry(at=NOW + 2, reason=Reason.RETRY)),
        (
            {"retry_after_s": 90.0, "fault": Fault.REFUSED},
            NextTry(at=NOW + 90, reason=Reason.RECEIVER_SAID_WHEN),
        ),
        ({"jitter": 1.0}, NextTry(at=NOW + 2.4, reason=Reason.RETRY)),
        ({"jitter": -1.0}, NextTry(at=NOW + 1.6, reason=Reason.RETRY)),
    ],
)
def test_what_the_receiver_said_decides(given_: dict[str, object], expected: NextTry):
    """A refusal, a 410 and Retry-After each change the plan."""
    assert expected == decide(2, 5, **given_)


@pytest.mark.parametrize("fault", [Fault.AWAY, Fault.REFUSED])
def test_after_a_day_it_is_given_up(fault: Fault):
    """A message that could not be delivered for a day has failed."""
    assert NextTry(at=None, reason=Reason.TOO_OLD) == decide(99, 86_400, fault=fault)


@given(
    attempts=st.integers(1, 200),
    age_s=st.floats(0, 200_000),
    jitter=st.floats(-1, 1),
    retry_after_s=st.none() | st.floats(0, 3_600),
)
def test_a_retry_is_never_immediate_and_never_early(
    attempts: int, age_s: float, jitter: float, retry_after_s: float | None
):
    """No receiver is hammered, and none is asked before the time it named."""
    decided = decide(attempts, age_s, jitter=jitter, retry_after_s=retry_after_s)

    if decided.at is not None:
        assert decided.at >= NOW + 0.79
        assert decided.at >= NOW + (retry_after_s or 0) - 1e-6
        assert decided.at <= NOW + 3_600
