"""The sentence at the top: how the application is, and what that is known from."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from watchkeeper.core.units import format_duration
from watchkeeper.storage.store import Incident

SILENT_SLOTS: Final = 3  # after so many slots without data the state is unknown
SILENT_SLACK_S: Final = 3.0  # flushes come up to 2 s late on purpose, and are then written
EVALUATION_LATE_S: Final = 60.0


class Level(StrEnum):
    """How the application is; unknown is never shown as ok."""

    CRITICAL = "critical"
    UNKNOWN = "unknown"
    WARNING = "warning"
    OK = "ok"


class Reason(StrEnum):
    """Why the level is what it is."""

    FIRING = "firing"
    STORAGE = "storage"
    NEVER_SEEN = "never_seen"
    SILENT = "silent"
    NOT_EVALUATED = "not_evaluated"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A level, its reason, and one sentence for people."""

    level: Level
    reason: Reason
    sentence: str


def judge(
    incidents: Sequence[Incident],
    *,
    data_age_s: float | None,
    evaluated_at: float,
    slot_s: int,
    now: float,
) -> Status:
    """Decide how the application is from what is firing and how fresh the data are.

    A firing critical alert says most; then whatever keeps us from knowing; then a warning.
    `data_age_s` is None if there were never any data, `evaluated_at` 0 if rules never ran.
    """
    doubt = _doubt(data_age_s, evaluated_at, slot_s=slot_s, now=now)
    critical = [one for one in incidents if one.severity == "critical"]
    if critical:
        return Status(
            level=Level.CRITICAL,
            reason=Reason.FIRING,
            sentence=_firing(critical, "critical alert") + (f" {doubt.sentence}" if doubt else ""),
        )
    if doubt is not None:
        return doubt
    if incidents:
        return Status(
            level=Level.WARNING, reason=Reason.FIRING, sentence=_firing(incidents, "alert")
        )
    return Status(level=Level.OK, reason=Reason.QUIET, sentence="No alert is firing.")


def storage_trouble(problem: str) -> Status:
    """Return the status for when the store cannot be asked; `problem` says why."""
    return Status(
        level=Level.UNKNOWN,
        reason=Reason.STORAGE,
        sentence=f"The monitoring database does not answer: {problem}",
    )


def silent_after_s(slot_s: float) -> float:
    """Return the age in seconds from which data are no longer current."""
    return SILENT_SLOTS * slot_s + SILENT_SLACK_S


def late_evaluation(evaluated_at: float, *, slot_s: float, now: float) -> Status | None:
    """Say that nobody evaluates the rules, so that what fires is not known; None if somebody does.

    `evaluated_at` is 0 if nobody ever did.
    """
    if not evaluated_at:
        return _unknown(Reason.NOT_EVALUATED, "The alert rules have not been evaluated yet.")
    late_s = now - evaluated_at
    if late_s > max(EVALUATION_LATE_S, silent_after_s(slot_s)):
        return _unknown(
            Reason.NOT_EVALUATED,
            f"The alert rules were last evaluated {format_duration(round(late_s))} ago.",
        )
    return None


def _doubt(
    data_age_s: float | None, evaluated_at: float, *, slot_s: int, now: float
) -> Status | None:
    if data_age_s is None:
        return _unknown(Reason.NEVER_SEEN, "No data have been seen yet.")
    if data_age_s > silent_after_s(slot_s):
        return _unknown(Reason.SILENT, f"No data for {format_duration(round(data_age_s))}.")
    return late_evaluation(evaluated_at, slot_s=slot_s, now=now)


def _unknown(reason: Reason, sentence: str) -> Status:
    return Status(level=Level.UNKNOWN, reason=reason, sentence=sentence)


def _firing(incidents: Sequence[Incident], noun: str) -> str:
    count = len(incidents)
    return f"{incidents[0].rule}." if count == 1 else f"{count} {noun}s are firing."
