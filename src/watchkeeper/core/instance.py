"""What is remembered of one rule on one group of labels, and how it passes from state to state."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final

from watchkeeper.core.verdicts import Verdict


class State(StrEnum):
    """The state of one rule on one group. What is resolved is ok again."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"


class Reason(StrEnum):
    """Why an evaluation ended in the state it did."""

    STEADY = "steady"  # ok stays ok
    BREACH = "breach"  # ok → pending
    HOLDING = "holding"  # pending, and still true
    TOLERATED = "tolerated"  # pending, although not true just now
    PASSED_BY = "passed_by"  # pending → ok: it did not last
    FIRED = "fired"  # → firing
    STILL_TRUE = "still_true"  # firing stays firing
    BETWEEN = "between"  # neither true nor clear
    CLEAR = "clear"  # firing → recovering
    KEEPING = "keeping"  # recovering, and still clear
    RELAPSED = "relapsed"  # recovering → firing: the same incident
    RESOLVED = "resolved"  # recovering → ok
    WORSENED = "worsened"  # firing, and now by the second level, too
    EDITED = "edited"  # firing, and still true by the rule as it reads now
    FLAPPING = "flapping"  # → firing, as so often within the hour
    UNKNOWN = "unknown"  # too few samples or no data: nothing changes
    NOT_ASKED = "not_asked"  # `only_if` does not hold: nothing changes
    NO_HISTORY = "no_history"  # no earlier week to compare with: the rule is not active yet
    FAILED = "failed"  # it could not be evaluated: nothing changes
    NO_DATA = "no_data"  # nothing known for too long: fired or resolved by the rule's policy
    CLOCK_BACK = "clock_back"  # the clock went backwards: nothing changes
    RULE_CHANGED = "rule_changed"  # resolved, because the rule was changed
    NOT_RUN = "not_run"  # resolved, because nobody runs the check any more
    RULE_REMOVED = "rule_removed"  # resolved, because the rule is gone or switched off


class Notice(StrEnum):
    """What people are told."""

    FIRING = "firing"
    RESOLVED = "resolved"
    WORSE = "worse"
    FLAPPING = "flapping"
    CHANGED = "changed"
    DIGEST = "digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """What is remembered of one rule on one group. Counts are slots; moments are epoch seconds."""

    state: State = State.OK
    since: float = 0.0  # when it came into this state
    breached_at: float | None = None  # when the condition was first true
    fired_at: float | None = None
    resolved_at: float | None = None
    evaluated_at: float = 0.0
    slot: int = 0  # start of the open slot at the last evaluation
    settled: int = 0  # end of the settled slots at the last evaluation
    counted: int = 0  # end of the newest slot with data that was counted as true
    true_slots: int = 0  # since pending
    worse_slots: int | None = None  # in a row, while the second level is true
    missed_slots: int = 0  # in a row, while pending
    clear_slots: int = 0  # in a row, while recovering
    unknown_slots: int = 0  # in a row
    no_data: bool = False  # it fires because nothing was known, and not by its condition
    value: float | None = None
    peak: float | None = None
    bad: float = 0.0
    total: float = 0.0
    window_s: float = 0.0
    rule_hash: str = ""  # of what decided when it was last true
    edits: tuple[str, ...] = ()  # such hashes that people have been told of
    worse: bool = False  # it has reached the second level, and keeps that until it ends
    flaps: tuple[float, ...] = ()  # when it fired within the last hour
    flapping: bool = False  # it fires so often that it is one incident with a longer end
    failures: int = 0  # evaluations in a row that failed

    @property
    def is_firing(self) -> bool:
        """Whether people have been told and it is not over."""
        return self.state in (State.FIRING, State.RECOVERING)

    def to_data(self) -> dict[str, Any]:
        """Return the stored form: JSON values; what has its default is left out."""
        data = {
            field.name: value
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default
        }
        for name in _LISTS:
            if name in data:
                data[name] = list(data[name])
        return {**data, "state": self.state.value}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Instance":
        """Read the stored form; what is missing has its default, what is unknown is left out."""
        known = {field.name for field in fields(cls)}
        values = {key: value for key, value in data.items() if key in known}
        if "state" in values:
            values["state"] = State(values["state"])
        for name in _LISTS:
            if name in values:
                values[name] = tuple(values[name])
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One evaluation: from where to where, why, and whether people are told."""

    rule: str
    before: Instance
    after: Instance
    reason: Reason
    verdict: Verdict | None = None  # what it was decided by, if anything was measured
    notice: Notice | None = None

    @property
    def is_change(self) -> bool:
        """Whether there is anything to store.

        States and counts of slots are; what was measured is stored once a slot with them.
        """
        return any(getattr(self.before, name) != getattr(self.after, name) for name in _DECISIVE)


_LISTS: Final = ("edits", "flaps")
_DECISIVE: Final = (
    "state",
    "slot",
    "true_slots",
    "worse_slots",
    "missed_slots",
    "clear_slots",
    "unknown_slots",
    "no_data",
    "rule_hash",
    "worse",
    "flaps",
    "flapping",
    "failures",
)
