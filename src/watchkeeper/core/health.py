"""The state of a health check: how failures in a row make it fail, and good runs clear it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

FAIL_AFTER: Final = 3  # one failure is noise
CLEAR_AFTER: Final = 2
AHEAD_S: Final = 120.0  # by which clocks of workers may differ; further ahead, one is wrong
SILENT_AFTER_RUNS: Final = 3  # without a result for so many intervals its state is unknown


class CheckState(StrEnum):
    """What is known of a check, or what one run of it found (never unknown)."""

    PASS = "pass"  # noqa: S105  # a state, not a password
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why a check is in the state it is in after a run."""

    GOOD = "good"
    WARNED = "warned"
    FAILING = "failing"  # a failure, but not enough of them yet
    FAILED = "failed"
    STILL_FAILED = "still_failed"
    CLEARING = "clearing"  # a success, but not enough of them yet
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The state of one check and the runs that led to it."""

    state: CheckState = CheckState.UNKNOWN
    since: float = 0.0  # when it came into this state, seconds since the epoch
    failures: int = 0  # consecutive failed runs
    successes: int = 0  # consecutive runs that passed or warned


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The status after one run, and why."""

    after: Status
    reason: Reason


@dataclass(frozen=True, slots=True)
class Warned:
    """What a check returns that works, but not as it should."""

    text: str


@dataclass(frozen=True, slots=True)
class Observed:
    """What a check measured: a value in a unit, with a short text, and how that is."""

    value: float
    unit: str
    text: str = ""
    state: CheckState = CheckState.PASS


def warn(text: str) -> Warned:
    """Return from a health check: it works, but `text` needs attention."""
    return Warned(text)


def step(before: Status, found: CheckState, *, at: float) -> Step:
    """Decide the status after a run at `at` that found pass, warn or fail.

    Three failures in a row make a check fail, two good runs clear it. Until the third failure it
    keeps its state; one that never ran stays unknown, for nothing good is known of it. Raises
    ValueError if `found` is unknown.
    """
    if found is CheckState.UNKNOWN:
        raise ValueError("a run finds pass, warn or fail")
    failed = found is CheckState.FAIL
    counted = replace(
        before,
        failures=before.failures + 1 if failed else 0,
        successes=0 if failed else before.successes + 1,
    )
    state, reason = _decide(counted, found)
    if state is not before.state:
        counted = replace(counted, state=state, since=at)
    return Step(after=counted, reason=reason)


def is_ahead(ran_at: float, now: float) -> bool:
    """Tell whether a result is of a clock that was wrong: such a one tells nothing."""
    return ran_at > now + AHEAD_S


def silent_from(ran_at: float, *, every_s: float, timeout_s: float) -> float:
    """Return the moment from which on the result of a run at `ran_at` means nothing any more."""
    return ran_at + SILENT_AFTER_RUNS * every_s + timeout_s


def current(
    status: Status,
    *,
    ran_at: float,
    every_s: float,
    timeout_s: float,
    now: float,
    late_s: float = 0.0,
) -> CheckState:
    """Return the state as of `now`: unknown if the last result is too old to mean anything.

    Or if it is of a moment that is still to come.
    A result of another worker may come `late_s` later.
    """
    silent_at = silent_from(ran_at, every_s=every_s, timeout_s=timeout_s)
    if now > silent_at + late_s or is_ahead(ran_at, now):
        return CheckState.UNKNOWN
    return status.state


def lapsed(status: Status, *, at: float) -> Status:
    """Return the status of a check that fell silent at `at`: unknown, its runs not forgotten."""
    return replace(status, state=CheckState.UNKNOWN, since=at)


def overall(states: Sequence[tuple[CheckState, bool]]) -> CheckState:
    """Combine (state, critical) of every check into one: pass only if every check passes.

    A critical check that fails fails the whole; anything else that is not a pass is a warning.
    """
    if any(state is CheckState.FAIL and critical for state, critical in states):
        return CheckState.FAIL
    if all(state is CheckState.PASS for state, _ in states):
        return CheckState.PASS
    return CheckState.WARN


def _decide(counted: Status, found: CheckState) -> tuple[CheckState, Reason]:
    """Return the next state; `counted` has the old state and the new counts."""
    if found is CheckState.FAIL:
        if counted.state is CheckState.FAIL:
            return CheckState.FAIL, Reason.STILL_FAILED
        if counted.failures >= FAIL_AFTER:
            return CheckState.FAIL, Reason.FAILED
        return counted.state, Reason.FAILING
    if counted.state is CheckState.FAIL:
        if counted.successes < CLEAR_AFTER:
            return CheckState.FAIL, Reason.CLEARING
        return found, Reason.CLEARED
    return found, Reason.WARNED if found is CheckState.WARN else Reason.GOOD
