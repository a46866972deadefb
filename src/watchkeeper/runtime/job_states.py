"""What is known of each job: its schedule, when it last succeeded, whether it is late."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import blake2b
from math import isfinite
from threading import Lock
from typing import TYPE_CHECKING, Final, Protocol

from watchkeeper.core.catalogue import JOB_DURATION, JOB_LAST_SUCCESS, JOB_LATENESS, JOB_WAIT
from watchkeeper.core.metrics import OTHER, Scope
from watchkeeper.core.schedules import CLOCKS_DIFFER_S, Reason, Schedule, lateness
from watchkeeper.exceptions import ConfigurationError, StorageError

if TYPE_CHECKING:
    from watchkeeper.runtime.recorder import Recorder

MAX_JOBS: Final = 200
MAX_NAME_CHARS: Final = 200
OK: Final = "ok"  # the outcome of a run that succeeded
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"  # a run that was told to end; nobody's failure


class Memory(Protocol):
    """Where the last success of a job outlives its process: a store's texts by key."""

    def meta(self, key: str) -> str | None:
        """Return the text of a key, or None."""

    def set_meta(self, key: str, value: str, *, only_new: bool = False) -> str:
        """Set the text of a key and return what is there then."""


class Declared:
    """The jobs with a schedule, by name; safe for several threads."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = Lock()
        self._schedules: dict[str, Schedule] = {}

    def add(self, name: str, schedule: Schedule) -> None:
        """Remember a job's schedule; the same one again is no matter.

        Raises ConfigurationError if the job has another one, or if there are too many.
        """
        with self._lock:
            known = self._schedules.get(name)
            if known is not None and known != schedule:
                raise ConfigurationError(
                    f"job {name!r}: declared twice, with different schedules; "
                    "write the schedule at one place, and job(name) at the others"
                )
            if known is None and len(self._schedules) >= MAX_JOBS:
                raise ConfigurationError(
                    f"job {name!r}: {MAX_JOBS} jobs with a schedule are declared already; "
                    "what varies belongs into a tag"
                )
            self._schedules[name] = schedule

    def schedules(self) -> dict[str, Schedule]:
        """Return a copy, in the order of declaration."""
        with self._lock:
            return dict(self._schedules)


DECLARED: Final = Declared()  # by `job`, in whatever module, before or after watch()


class _State:
    """What this process knows of one job."""

    __slots__ = ("asked", "declared_at", "last_success", "unsaved")

    def __init__(self, declared_at: float) -> None:
        self.declared_at = declared_at
        self.last_success: float | None = None
        self.asked = False  # whether the store was asked what happened before this process began
        self.unsaved = False

    @property
    def is_known(self) -> bool:
        """Tell whether anything can be said of its lateness."""
        return self.asked or self.last_success is not None

    def lateness(self, schedule: Schedule, now: float) -> tuple[float, Reason]:
        """Say how late the job is by what is known."""
        return lateness(
            schedule, last_success=self.last_success, declared_at=self.declared_at, now=now
        )

    def exchange(self, memory: Memory, key: str, now: float) -> bool:
        """Learn from the store, and tell it what is newer here; False if it does not answer."""
        self.unsaved = False  # a run that ends from here on is saved the next time
        try:
            kept = memory.meta(key)
            self._learn(*_read(kept), now=now)
            text = json.dumps({"declared_at": self.declared_at, "last_success": self.last_success})
            if text != kept:
                memory.set_meta(key, text)
        except StorageError:
            self.unsaved = True
            return False
        self.asked = True
        return True

    def _learn(self, declared_at: float | None, last_success: float | None, *, now: float) -> None:
        """Take the first declaration and the last success; what lies in the future is now."""
        self.declared_at = min(self.declared_at, now if declared_at is None else declared_at, now)
        successes = [at for at in (self.last_success, last_success) if at is not None]
        if successes:
            self.last_success = max(now if at > now + CLOCKS_DIFFER_S else at for at in successes)


class Jobs:
    """Records the runs of jobs, and how late they are.

    The last success of a job with a schedule is kept in the store, for it must outlive a restart
    and be known to the processes that only declare the job. Until the store has been asked, the
    lateness is unknown and its gauge absent; before a job is called late the store is asked
    again, since another process may have run it.
    """

    def __init__(
        self, recorder: Recorder, *, clock: Callable[[], float], declared: Declared = DECLARED
    ) -> None:
        """Record with a recorder."""
        self._recorder = recorder
        self._clock = clock
        self._declared = declared
        self._lock = Lock()
        self._states: dict[str, _State] = {}

    def ran(self, name: str, *, outcome: str, seconds: float, wait_s: float | None = None) -> None:
        """Record a run that has just ended: "ok", "failed" or "cancelled"."""
        now = self._clock()
        with self._lock:
            name = self._admitted(name, now)
            if outcome == OK:
                state = self._states[name]
                state.last_success = now
                state.unsaved = True
        series = self._recorder.series
        series(JOB_DURATION, {"job": name, "outcome": outcome}).record(seconds)
        if wait_s is not None:
            series(JOB_WAIT, {"job": name}).record(max(0.0, wait_s))
        if outcome == OK:
            series(JOB_LAST_SUCCESS, {"job": name}).record(now)

    def sample(self, now: float, *, memory: Memory | None, scope: Scope) -> None:
        """Set the gauges of every job, and exchange last successes with the store if it is there.

        For the flusher's thread, before each slot is closed.
        """
        schedules = self._declared.schedules()
        with self._lock:
            for name in schedules:
                self._admitted(name, now)
            states = dict(self._states)
        series = self._recorder.series
        for name, state in states.items():
            schedule = schedules.get(name)
            if schedule is not None:
                late = _late(schedule, state, now, memory=memory, key=_key(scope, name))
                if late is not None:
                    series(JOB_LATENESS, {"job": name}).record(late)
            if state.last_success is not None:
                series(JOB_LAST_SUCCESS, {"job": name}).record(state.last_success)

    def reset(self) -> None:
        """Begin anew in a forked child: what is not saved yet is the parent's to save."""
        self._lock = Lock()
        for state in self._states.values():
            state.unsaved = False

    def _admitted(self, name: str, now: float) -> str:
        """Return the name of a job that has a state, which may be "(other)"."""
        if name in self._states:
            return name
        if len(self._states) >= MAX_JOBS and name != OTHER:
            self._recorder.drop("jobs")
            return self._admitted(OTHER, now)
        self._states[name] = _State(now)
        return name


def _late(
    schedule: Schedule, state: _State, now: float, *, memory: Memory | None, key: str
) -> float | None:
    """Return how late a job is, or None while that is unknown."""
    if memory is not None and (state.unsaved or not state.asked):
        state.exchange(memory, key, now)
    if not state.is_known:
        return None
    late, reason = state.lateness(schedule, now)
    if late > 0 or reason is Reason.CLOCK_SET_BACK:
        if memory is None or not state.exchange(memory, key, now):
            return None
        late, _ = state.lateness(schedule, now)
    return late


def _key(scope: Scope, name: str) -> str:
    """Return the store's key for a job; a digest, since names may be longer than keys."""
    identity = "\0".join((scope.service, scope.environment, name))
    return f"job:{blake2b(identity.encode(errors='replace'), digest_size=16).hexdigest()}"


def _read(text: str | None) -> tuple[float | None, float | None]:
    """Return (declared_at, last_success) of a stored text; None for what cannot be read."""
    try:
        data = json.loads(text or "{}")
    except ValueError:
        return None, None
    if not isinstance(data, dict):
        return None, None
    return _moment(data.get("declared_at")), _moment(data.get("last_success"))


def _moment(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and isfinite(value) else None
