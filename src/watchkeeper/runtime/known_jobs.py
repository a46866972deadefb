"""Known jobs: what this process knows of each, exchanged with the store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Final

from watchkeeper.core.job_facts import JobFacts, Plan, Run
from watchkeeper.core.metrics import OTHER
from watchkeeper.exceptions import StorageError
from watchkeeper.runtime import scrubbing
from watchkeeper.runtime.declared import MAX_JOBS

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from watchkeeper.core.metrics import Scope
    from watchkeeper.core.schedules import Schedule
    from watchkeeper.runtime.job_memory import Kept
    from watchkeeper.runtime.recorder import Recorder
    from watchkeeper.storage.values import ValueStore

LOOK_SLOTS: Final = 6  # between two looks at what others know, while nothing hangs on it
SAY_AGAIN_S: Final = 3_600.0  # a schedule that another process has said otherwise
SAVE_EVERY_S: Final = 60.0  # of a job without a schedule, whose runs may be many


class State:
    """What this process knows of one job."""

    __slots__ = ("facts", "is_left_out", "is_mine", "is_stored", "planned", "unsaved")

    def __init__(self, facts: JobFacts, *, is_mine: bool) -> None:
        """Begin with what is known."""
        self.facts = facts
        self.is_mine = is_mine  # it ran here or was declared here
        self.is_stored = False
        self.is_left_out = False  # the store has no room for it; counted once
        self.planned: Schedule | None = None  # what this process declared last
        self.unsaved = False

    def learn(self, run: Run) -> None:
        """Note a run that has ended."""
        self.facts = self.facts.ended(run)
        self.unsaved = True

    def plan(self, schedule: Schedule | None, now: float) -> None:
        """Take the schedule that is declared here; a newer release may declare another one.

        If it is not the one that counts, it is said again after a while: who said the other one
        may be gone, such as a worker of the old release that began amid a roll-out.
        """
        self.is_mine = True
        plan = self.facts.plan
        said = plan.at if plan is not None and plan.schedule != schedule is not None else now
        if schedule != self.planned or now - said >= SAY_AGAIN_S:
            self.planned = schedule
            self.facts = self.facts.planned(schedule, at=now)
            self.unsaved = True

    def joined(self, stored: JobFacts | None, now: float) -> JobFacts:
        """Join what is known here and there; of others' jobs they know when they are to run."""
        if stored is None:
            facts = self._own(now) if self.is_stored else self.facts
            self.is_stored = False
            return facts.settled(now)
        self.is_stored = True
        joined = self.facts.joined(stored).settled(now)
        return joined if self.is_mine else replace(joined, plan=stored.plan)

    def _own(self, now: float) -> JobFacts:
        """Return what this process itself knows of a job that somebody has said to forget.

        That is its schedule and the run that ended here since; no address, no other's schedule.
        """
        plan = Plan(at=now, schedule=self.planned) if self.planned is not None else None
        own = JobFacts(name=self.facts.name, declared_at=now, plan=plan)
        run = self.facts.last_run
        return own.ended(run) if self.unsaved and run is not None else own

    @property
    def is_kept(self) -> bool:
        """Whether it is to be written where the store does not know it (any more)."""
        if not self.is_mine:
            return False
        return self.unsaved or not self.is_stored or self.planned is not None


class KnownJobs:
    """The jobs that this process knows; `lock` is held for changes, never over I/O."""

    def __init__(self, recorder: Recorder) -> None:
        """Start with none; what is left out is counted with a recorder."""
        self.states: dict[str, State] = {}
        self.addresses: Mapping[str, str] | None = None  # digest of a token → job; None: not asked
        self.asked_at: float | None = None
        self.slot_s = 0.0
        self.is_wanted = False  # somebody called an address that may have been made a moment ago
        self.lock = Lock()
        self._recorder = recorder
        self._mine = 0  # names that began here; counted anew with each exchange

    def reset(self) -> None:
        """Begin anew in a forked child: what is not saved yet is the parent's to save."""
        self.lock = Lock()
        for state in self.states.values():
            state.unsaved = False

    def admitted(self, name: str, now: float) -> State:
        """Return the state of a job, with the lock held; of one too many that of "(other)".

        Its name is the one that is stored and shown, without secrets.
        """
        name = scrubbing.name(name)
        state = self.states.get(name)
        if state is None:
            if self._mine >= MAX_JOBS and name != OTHER:
                self._recorder.drop("jobs")
                return self.admitted(OTHER, now)
            self._mine += 1
            state = self.states[name] = State(JobFacts(name=name, declared_at=now), is_mine=True)
        return state

    def must_ask(self, now: float, slot_s: float, *, news: bool) -> bool:
        """Tell whether to ask the store now: each slot if something hangs on it, else seldom."""
        asked_at, self.slot_s = self.asked_at, slot_s
        if asked_at is None or now < asked_at:
            return True
        with self.lock:
            news = news or self.is_wanted or any(one.unsaved for one in self.states.values())
        return now - asked_at >= (slot_s if news else LOOK_SLOTS * slot_s)

    def is_fresh(self, now: float) -> bool:
        """Tell whether the store was asked within a slot; the next one asks it again. No I/O."""
        self.is_wanted = True
        return self.asked_at is not None and 0 <= now - self.asked_at <= self.slot_s

    def exchange(self, memory: ValueStore, scope: Scope, now: float, *, last: bool) -> bool:
        """Learn from the store, and tell it what is newer here; False if it does not answer.

        `last`: this process is about to end, so that nothing may wait.
        """
        from watchkeeper.runtime import job_memory

        news: list[JobFacts] = []
        won: set[str] = set()
        try:
            kept = job_memory.read(memory, scope)
            with self.lock:
                news = self._join(kept, now, last=last)
                old = [name for name, one in self.states.items() if one.facts.is_forgotten(now)]
            fitting = job_memory.fitting(news, kept)
            self._leave_out({one.name for one in news} - {one.name for one in fitting})
            won = job_memory.save(memory, scope, fitting, kept)
            job_memory.forget(memory, scope, old, kept)
        except StorageError:
            return False
        finally:
            self._saved(news, won)
        with self.lock:
            self.asked_at, self.is_wanted = now, False
            self.addresses = {
                token: name
                for name, one in self.states.items()
                for token in (one.facts.plan.tokens if one.facts.plan else ())
            }
        return True

    def _leave_out(self, names: Collection[str]) -> None:
        """Count jobs for which there is no room in the store, each once."""
        with self.lock:
            for name in names:
                state = self.states.get(name)
                if state is not None and not state.is_left_out:
                    state.is_left_out = True
                    self._recorder.drop("jobs")

    def _saved(self, news: Sequence[JobFacts], won: Collection[str]) -> None:
        """Note what the store has taken; what it has not is told again."""
        with self.lock:
            for facts in news:
                state = self.states.get(facts.name)
                if state is not None:
                    state.is_stored = state.is_stored or facts.name in won
                    state.unsaved = state.unsaved or facts.name not in won

    def _join(self, kept: Kept, now: float, *, last: bool) -> list[JobFacts]:
        """Join what is stored with what is known here; return what the store does not know."""
        for name, facts in kept.facts.items():
            if name not in self.states:  # the store's bound is that of others' jobs here, too
                self.states[name] = State(facts, is_mine=False)
        news = []
        for name, state in list(self.states.items()):
            stored = kept.facts.get(name)
            if stored is None and not state.is_kept:
                del self.states[name]  # somebody has said to forget it
                continue
            state.facts = joined = state.joined(stored, now)
            if joined == stored:
                state.is_stored, state.unsaved = True, False
            elif stored is None or last or _is_worth_saving(joined, stored):
                news.append(joined)
                state.unsaved = False
        self._mine = sum(one.is_mine for one in self.states.values())
        return news


def _is_worth_saving(facts: JobFacts, stored: JobFacts) -> bool:
    """Tell whether the store has to know now: each run of a job with a schedule, others less."""
    run, kept = facts.last_run, stored.last_run
    if facts.schedule is not None or facts.plan != stored.plan or run is None or kept is None:
        return True
    return run.outcome != kept.outcome or run.at - kept.at >= SAVE_EVERY_S
