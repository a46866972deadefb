"""Jobs: their runs, recorded, and the gauges that tell whether one is late."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from watchkeeper.core.catalogue import JOB_DURATION, JOB_LAST_SUCCESS, JOB_LATENESS, JOB_WAIT
from watchkeeper.core.job_facts import CANCELLED, FAILED, OK, Run
from watchkeeper.core.ping import MAX_OUTPUT_CHARS, Call, Said
from watchkeeper.core.schedules import Reason
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime import scrubbing
from watchkeeper.runtime.declared import DECLARED, MAX_JOBS, MAX_NAME_CHARS, Declared
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.known_jobs import KnownJobs, State
from watchkeeper.runtime.texts import text_of

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from watchkeeper.core.metrics import Scope
    from watchkeeper.runtime.recorder import Recorder
    from watchkeeper.storage.values import ValueStore

__all__ = ["CANCELLED", "DECLARED", "FAILED", "MAX_JOBS", "MAX_NAME_CHARS", "OK", "Jobs"]

SETTLED_SLOTS: Final = 2  # until then another process may not have told of its run yet
MAX_WAITING: Final = 10_000  # calls, and runs whose beginning or wait is not known yet
NOT_TOLD: Final = 0.0  # seconds of a run that never said when it began: it must be counted

_WAITS: Final = guard("jobs")
_log = logging.getLogger("watchkeeper")


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """A run that ended, and may have begun in another process, after the one before had ended."""

    name: str
    run: Run
    after: float


class Jobs:
    """Records the runs of jobs, and how late they are.

    What is known of a job is kept in the store, for it must outlive a restart, be known to the
    processes that only declare the job, and let the others tell when nobody runs it any more.
    Until the store has been asked, the lateness is unknown and its gauge absent; before a job is
    called late the store is asked again, since another process may have run it.
    """

    def __init__(
        self, recorder: Recorder, *, clock: Callable[[], float], declared: Declared = DECLARED
    ) -> None:
        """Record with a recorder."""
        self._recorder = recorder
        self._clock = clock
        self._declared = declared
        self._known = KnownJobs(recorder)
        self._told_late: set[str] = set()
        self._calls: deque[tuple[str, float, Call]] = deque()
        self._ends: deque[_End] = deque()
        self._begun: deque[tuple[str, float, float | None]] = deque(maxlen=MAX_WAITING)
        self._unreadable: set[str] = set()  # jobs whose schedule means nothing here; said once

    @property
    def addresses(self) -> Mapping[str, str] | None:
        """The digests of the tokens that jobs call, with their jobs; None: not known yet."""
        return self._known.addresses

    def ran(
        self,
        name: str,
        *,
        outcome: str,
        seconds: float | None,
        wait_s: float | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Record a run that has just ended: "ok", "failed" (by `error`) or "cancelled".

        `seconds` is None where nobody knows when it began.
        """
        now = self._clock()
        output = _said_by(error) if error is not None and outcome == FAILED else ""
        with self._known.lock:
            state = self._known.admitted(name, now)
            state.is_mine = True
            name = state.facts.name
            if wait_s is None and seconds is not None and outcome in (OK, FAILED):
                self._note_begin(state, now - seconds)
            state.learn(Run(at=now, outcome=outcome, seconds=seconds, output=output))
        self._count(name, outcome, NOT_TOLD if seconds is None else seconds)
        if wait_s is not None:
            self._recorder.series(JOB_WAIT, {"job": name}).record(max(0.0, wait_s))
        if outcome == OK:
            self._recorder.series(JOB_LAST_SUCCESS, {"job": name}).record(now)

    def hear(self, name: str, call: Call) -> bool:
        """Take what a job outside of Python says; False if too much waits already. No I/O."""
        if len(self._calls) >= MAX_WAITING:
            self._recorder.drop("pings")
            return False
        self._calls.append((name, self._clock(), call))
        return True

    def are_addresses_fresh(self) -> bool:
        """Tell whether the addresses were read within a slot; the next one reads them again."""
        return self._known.is_fresh(self._clock())

    def sample(
        self,
        now: float,
        *,
        memory: ValueStore | None,
        scope: Scope,
        slot_s: float = 0.0,
        leads: bool = True,
        last: bool = False,
    ) -> None:
        """Set the gauges of jobs, and exchange what is known with the store if it is there.

        For the flusher's thread, before each slot is closed. Who `leads` tells of the jobs of
        processes that are gone, too; `last`: this process is about to end.
        """
        known = self._known
        self._answer()
        with known.lock:
            for name, schedule in self._declared.schedules().items():
                known.admitted(name, now).plan(schedule, now)
        if memory is not None and (last or known.must_ask(now, slot_s, news=bool(self._ends))):
            known.exchange(memory, scope, now, last=last)
        if self._settle(now, patience_s=SETTLED_SLOTS * slot_s, last=last) and last and memory:
            known.exchange(memory, scope, now, last=last)
        self._wait()
        with known.lock:
            told = {name: one for name, one in known.states.items() if one.is_mine or leads}
        late = {name: self._late(one, now, slot_s) for name, one in told.items()}
        if not self._is_sure(late, now, slot_s):
            asked = memory is not None and known.exchange(memory, scope, now, last=last)
            late = {
                name: (self._late(told[name], now, slot_s) if asked else None) if one else one
                for name, one in late.items()
            }
        self._told_late = {name for name, one in late.items() if one}
        self._tell(told, late)

    def reset(self) -> None:
        """Begin anew in a forked child: what is not saved yet is the parent's to save."""
        self._known.reset()
        for waiting in (self._calls, self._ends, self._begun):
            waiting.clear()

    def _tell(self, states: Mapping[str, State], late: Mapping[str, float | None]) -> None:
        series = self._recorder.series
        for name, state in states.items():
            late_s = late[name]
            if late_s is not None:
                series(JOB_LATENESS, {"job": name}).record(late_s)
            if state.is_mine and state.facts.last_success is not None:
                series(JOB_LAST_SUCCESS, {"job": name}).record(state.facts.last_success)

    def _late(self, state: State, now: float, slot_s: float) -> float | None:
        """Return how late a job is by what is known; None while that is unknown.

        What others have not told yet gets its time: two slots.
        """
        facts, asked = state.facts, self._known.asked_at is not None
        if not asked and facts.last_success is None:
            return None
        try:
            found = facts.lateness(now)
        except ConfigurationError as error:
            self._complain(facts.name, error)
            return None
        if found is None:
            return None
        late, reason = found
        if reason is Reason.CLOCK_SET_BACK:
            return 0.0 if asked else None
        return late if late > SETTLED_SLOTS * slot_s else 0.0

    def _complain(self, name: str, error: ConfigurationError) -> None:
        if name not in self._unreadable and len(self._unreadable) < MAX_JOBS:
            self._unreadable.add(name)
            _log.warning(
                "watchkeeper: job %r: its schedule cannot be read here (%s); "
                "whether it is late is not known.",
                name,
                error,
            )

    def _is_sure(self, late: Mapping[str, float | None], now: float, slot_s: float) -> bool:
        """Tell whether the store was asked lately enough to call these jobs late."""
        names = {name for name, one in late.items() if one}
        asked_at = self._known.asked_at
        if not names or asked_at == now:
            return True
        return names <= self._told_late and 0 <= now - (asked_at or 0.0) < slot_s

    def _answer(self) -> None:
        """Do what was heard since the last slot."""
        while self._calls:
            name, at, call = self._calls.popleft()
            with self._known.lock:
                state = self._known.states.get(name)
                if state is None:  # forgotten a moment ago
                    continue
                if call.said is Said.START:
                    self._note_begin(state, at)
                    state.facts = replace(state.facts, started_at=at)
                    state.unsaved = True
                    continue
                end = self._ended(state, at, call)
                if end.run.seconds is None and len(self._ends) < MAX_WAITING:
                    self._ends.append(end)
                    continue
            self._count(name, call.outcome, end.run.seconds or NOT_TOLD)

    def _note_begin(self, state: State, at: float) -> None:
        last = state.facts.last_run
        self._begun.append((state.facts.name, at, last.at if last else None))

    def _ended(self, state: State, at: float, call: Call) -> _End:
        """Note that a run has ended, which may have begun in another process."""
        before = state.facts.last_run
        output = scrubbing.text(call.output, limit=MAX_OUTPUT_CHARS) if call.output else ""
        run = Run(at=at, outcome=call.outcome, output=output)
        end = _End(name=state.facts.name, run=run, after=before.at if before else float("-inf"))
        end = replace(end, run=replace(run, seconds=_seconds(end, state.facts.started_at)))
        state.learn(end.run)
        if call.outcome == OK:
            self._recorder.series(JOB_LAST_SUCCESS, {"job": end.name}).record(at)
        return end

    def _settle(self, now: float, *, patience_s: float, last: bool) -> bool:
        """Count the runs whose beginning is known by now, or never will be.

        Returns whether that is more than was known of one.
        """
        waiting, learned = [], False
        while self._ends:
            end = self._ends.popleft()
            with self._known.lock:
                state = self._known.states.get(end.name)
                seconds = _seconds(end, state.facts.started_at) if state is not None else None
                if state is not None and seconds is not None:
                    state.learn(replace(end.run, seconds=seconds))
                    learned = True
            if seconds is None and not last and 0 <= now - end.run.at <= patience_s:
                waiting.append(end)
            else:
                self._count(end.name, end.run.outcome, NOT_TOLD if seconds is None else seconds)
        self._ends.extend(waiting)
        return learned

    def _wait(self) -> None:
        """Record how long after their time runs began, of jobs that have one."""
        while self._begun:
            name, began, last_at = self._begun.popleft()
            state = self._known.states.get(name)
            if state is None or (schedule := state.facts.schedule) is None:
                continue
            # No run waits since a moment before the job was known.
            since = state.facts.declared_at if last_at is None else last_at
            with _WAITS:
                due = schedule.due_before(began)
                if due is not None and due > since:
                    self._recorder.series(JOB_WAIT, {"job": name}).record(began - due)

    def _count(self, name: str, outcome: str, seconds: float) -> None:
        labels = {"job": name, "outcome": outcome}
        self._recorder.series(JOB_DURATION, labels).record(seconds)


def _said_by(error: BaseException) -> str:
    """Write "ValueError: no rates", as what a job said when it failed."""
    kind, text = type(error).__name__, text_of(error).strip().partition("\n")[0]
    return scrubbing.text(f"{kind}: {text}" if text else kind, limit=MAX_OUTPUT_CHARS)


def _seconds(end: _End, started_at: float | None) -> float | None:
    """Return how long a run took whose start is known: after the end of the one before."""
    if started_at is None or not end.after < started_at <= end.run.at:
        return None
    return end.run.at - started_at
