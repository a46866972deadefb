"""The messages that wait for one channel: which are sent now, in which order, and which wait."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

HOUR_S: Final = 3_600.0  # the brake counts messages of so long
MAX_MESSAGES: Final = 20  # per channel and hour, unless set otherwise
DIGEST_EVERY_S: Final = 600.0
RESERVED_SHARE: Final = 0.25  # of the brake, for what is urgent: a flood of warnings leaves it
FALLBACK_AFTER_S: Final = 300.0
DIGEST: Final = "digest"
UNDELIVERED: Final = "undelivered"
TEST: Final = "test"
UNBRAKED: Final = frozenset({DIGEST, UNDELIVERED, TEST})  # of no incident: no brake holds them
NO_INCIDENT: Final = 0


PRIORITIES: Final[Mapping[str, int]] = {"critical": 10, "warning": 0, "info": -10}
END_PRIORITY: Final = 5  # at least: above all that begins, below what is critical


class Turn(StrEnum):
    """Whether it is a message's turn, and why."""

    NOW = "now"
    UNDER_WAY = "under_way"  # somebody sends it
    NOT_YET = "not_yet"  # it failed, and its next try is later
    IN_ORDER = "in_order"  # an earlier one of its incident has not arrived
    BRAKED = "braked"  # too many this hour: the next digest tells of it


class Urgency(IntEnum):
    """How much a message is in a hurry, least first."""

    NONE = 0
    END = 1  # of something; it takes nothing along that the brake holds
    PRESSING = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One message that is due on a channel."""

    id: int
    incident: int  # NO_INCIDENT: of none
    kind: str
    severity: str
    created_at: float
    next_try_at: float
    claim_until: float
    attempts: int
    priority: int = 0  # above 0: urgent, whatever it says

    @property
    def urgency(self) -> Urgency:
        """Whether it goes before others: critical, or the end of something."""
        if self.kind == "resolved":
            return Urgency.END
        is_pressing = self.priority > 0 or self.severity == "critical"
        return Urgency.PRESSING if is_pressing else Urgency.NONE

    @property
    def is_unbraked(self) -> bool:
        """Whether it tells of other messages, or was asked for by somebody."""
        return self.incident == NO_INCIDENT and self.kind in UNBRAKED


def turns(
    waiting: Sequence[Waiting], *, now: float, sent_lately: int, max_messages: int
) -> list[tuple[Waiting, Turn]]:
    """Say of each message whether it is its turn, in the order in which they are to be sent.

    Urgent ones first, then by age; of one incident always by age: what presses takes those before
    it along, past the brake, too. `sent_lately` is how many the
    channel was sent within the last hour; what was tried before is past the brake already.
    """
    urgencies = _urgencies(waiting)
    ordered = sorted(waiting, key=lambda one: (-urgencies[one.id], one.id))
    passed = _passed(ordered, urgencies, sent_lately=sent_lately, max_messages=max_messages)
    before: dict[int, Turn] = {}  # of each incident, the turn of the one before
    found: list[tuple[Waiting, Turn]] = []
    for one in ordered:
        turn = _turn(one, now=now, passed=passed, before=before.get(one.incident))
        found.append((one, turn))
        if one.incident != NO_INCIDENT:
            before[one.incident] = turn
    return found


def priority(severity: str, *, is_end: bool = False) -> int:
    """Return the priority of a message in the store, which shows the highest first."""
    own = PRIORITIES.get(severity, 0)
    return max(own, END_PRIORITY) if is_end else own


def digest_due(*, braked: int, digest_at: float, now: float) -> bool:
    """Tell whether those that the brake holds are told in one message now."""
    return braked > 0 and not 0 <= now - digest_at < DIGEST_EVERY_S


def wants_fallback(one: Waiting, *, now: float) -> bool:
    """Tell whether a message has waited so long that another channel is to have it, too."""
    return now - one.created_at >= FALLBACK_AFTER_S


def _urgencies(waiting: Sequence[Waiting]) -> dict[int, Urgency]:
    """Return by id how urgent each message is: as the most urgent one of its incident."""
    most: dict[int, Urgency] = {}
    for one in waiting:
        most[one.incident] = max(one.urgency, most.get(one.incident, Urgency.NONE))
    return {
        one.id: one.urgency if one.incident == NO_INCIDENT else most[one.incident]
        for one in waiting
    }


def _passed(
    ordered: Sequence[Waiting],
    urgencies: Mapping[int, Urgency],
    *,
    sent_lately: int,
    max_messages: int,
) -> frozenset[int]:
    """Return the ids that the brake lets through: for what is not urgent it comes earlier."""
    kept = int(max_messages * RESERVED_SHARE)
    used = sent_lately
    passed: set[int] = set()
    for one in sorted(ordered, key=lambda one: one.attempts == 0):  # stable
        is_first = one.urgency or urgencies[one.id] is Urgency.PRESSING
        most = max_messages if is_first else max_messages - kept
        if one.is_unbraked:
            passed.add(one.id)
        elif one.attempts > 0 or used < most:
            passed.add(one.id)
            used += 1
    return frozenset(passed)


def _turn(one: Waiting, *, now: float, passed: frozenset[int], before: Turn | None) -> Turn:
    if one.claim_until > now:
        return Turn.UNDER_WAY
    if one.id not in passed or before is Turn.BRAKED:  # a digest tells how it began and ended
        return Turn.BRAKED
    if before is not None:  # also one that goes now: two at a time might overtake each other
        return Turn.IN_ORDER
    return Turn.NOW if one.next_try_at <= now else Turn.NOT_YET
