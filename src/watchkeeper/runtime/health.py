"""The running health checks: each on its own schedule, in the background, with its last result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from watchkeeper.core.check_turns import Turn
from watchkeeper.core.health import CheckState, Observed, Status, is_ahead, warn
from watchkeeper.runtime.builtin.database import database_check
from watchkeeper.runtime.builtin.own import Own
from watchkeeper.runtime.builtin.registry import open_checks
from watchkeeper.runtime.checks import MAX_CHECKS, Check, Found, health_check, run_once
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.watched import RETRY_S, Report, Run, Watched, worst_beside

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from watchkeeper.storage.store import CheckChange, CheckResult

MAX_RUNNING: Final = 4  # checks within their time-out at once
MAX_HUNG: Final = 20  # threads of runs past their time-out; beyond, they count as running
AWAY_SLOTS: Final = 3.5  # without a look at the store, each worker runs the checks for itself


class ProbeReason(StrEnum):
    """Why a probe answers as it does."""

    ALIVE = "alive"
    STOPPED = "stopped"
    READY = "ready"
    NOT_STARTED = "not started"
    DRAINING = "draining"
    CHECK_FAILING = "a check for readiness does not pass"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer to a probe; true if it is yes."""

    yes: bool
    reason: ProbeReason

    def __bool__(self) -> bool:
        """Be usable as a condition."""
        return self.yes


class Health:
    """Runs health checks, each run in a thread of its own, and answers probes from memory.

    At most four run at once. One that is past its time-out has failed and no longer counts as
    running; its thread is left to end by itself, and the check is not started again before. So a
    hung check blocks no other, and there is never more than one thread per check, nor more than
    24 in all: with more than 20 that hang, those beyond keep their places.

    A thread per run, rather than reused ones, for a check may leave its thread in any state: with
    a connection or a transaction in a thread-local, with signals blocked.

    Checks of the cluster run here until `follow` is told that another worker runs them, and while
    nobody can be asked (`follow` was not called for some slots).
    """

    def __init__(
        self,
        checks: Iterable[Check],
        *,
        clock: Callable[[], float],
        on_change: Callable[[], None] | None = None,
    ) -> None:
        """Watch `checks`, which is read anew at each `run_due`: it may grow meanwhile.

        `on_change` is called, from any thread, when a check has failed.
        """
        self._met_at: float | None = None  # when the store was last looked at
        self.met_since = 0.0  # when that was for the first time
        self.started = False
        self.draining = False
        self.stopped = False
        self._checks = checks
        self._clock = clock
        self._on_change = on_change
        self._forget_runs()

    @classmethod
    def declared(
        cls,
        config: Mapping[str, Mapping[str, Any]],
        *,
        clock: Callable[[], float],
        on_change: Callable[[], None] | None = None,
        problems: list[str] | None = None,
        own: Own | None = None,
    ) -> Health:
        """Watch the checks declared by `health_check`, and the built-in ones of the settings.

        A wrong table of settings is added to `problems` and left out; without such a list it
        raises ConfigurationError.
        """
        return cls(
            open_checks(config, problems=problems, own=own), clock=clock, on_change=on_change
        )

    @property
    def has_met(self) -> bool:
        """Whether it is known which checks are run here, and which by others."""
        return self._met_at is not None

    def run_due(self, now: float) -> None:
        """Start the checks that are due and fail those past their time-out; never waits."""
        with self._lock:
            self._adopt(now)
            away = self._is_away(now)
            for watched in self._watched.values():
                self._check_time_out(watched, now)
            due = [
                watched
                for watched in self._watched.values()
                if (watched.is_ours or away) and watched.due_in(now) <= 0
            ]
            due.sort(key=lambda watched: watched.next_at)
            starting = [watched for watched in due if self._is_startable(watched, now)]
        for watched in starting:
            with guard("health checks"):  # each has its place by now: one must not stop the others
                self._start(watched, now)
        self._tell()

    def pending_soon(self) -> float | None:
        """Return the seconds until a check is due or past its time-out, or None without checks."""
        now, tick = self._clock(), monotonic()
        with self._lock:
            away = self._is_away(now)
            waits = [
                watched.due_in(now)
                if watched.run is None or watched.run.overdue
                else watched.run.started + watched.check.timeout_s - tick
                for watched in self._watched.values()
                if watched.is_ours or away or watched.run is not None
            ]
        return max(0.0, min(waits)) if waits else None

    def take(self) -> tuple[list[CheckResult], list[CheckChange]]:
        """Return the results since the last call of what is run here, and changes of state."""
        with self._lock:
            ours = [watched for watched in self._watched.values() if watched.is_ours]
            results = [watched.result() for watched in ours if watched.fresh]
            changes = [change for watched in ours for change in watched.changes]
            for watched in self._watched.values():
                watched.fresh = False
                watched.changes.clear()
        return results, changes

    def follow(
        self,
        rows: Iterable[CheckResult],
        *,
        me: int | None,
        live: Collection[int] | None,
        slot_s: float,
        now: float,
    ) -> dict[str, Turn]:
        """Take what other workers told for all; return which checks somebody has to take over.

        `rows` are the stored results, `me` this worker's id, `live` those of all that write (None
        if that was not looked at). The first call decides anew which checks are run here.
        """
        rows = list(rows)
        known, beside = _told(rows, now), worst_beside(rows, me=me, live=live, now=now)
        free: dict[str, Turn] = {}
        with self._lock:
            self._adopt(now)
            first = self._met_at is None
            if first or self.met_since > now:
                self.met_since = now
            self._met_at, self._slot_s = now, slot_s
            for name, watched in self._watched.items():
                if not watched.is_shared:
                    watched.beside = beside.get(name)
                    continue
                watched.is_ours = watched.is_ours and not first
                row = known.get(name)
                turn = watched.turn(row, me=me, live=live, slot_s=slot_s, now=now)
                if turn is not Turn.OURS:
                    watched.follow(row, now)
                if turn.is_free:
                    free[name] = turn
        return free

    def take_over(
        self, names: Collection[str], rows: Iterable[CheckResult], *, now: float
    ) -> None:
        """Run these checks of the cluster from now on, going on from their stored results."""
        known = _told(rows, now)
        with self._lock:
            for name in names:
                watched = self._watched.get(name)
                if watched is not None:
                    watched.take_over(known.get(name), now)

    def declared_now(self, now: float) -> list[Check]:
        """Return the checks that this process declares."""
        with self._lock:
            self._adopt(now)
            return [watched.check for watched in self._watched.values()]

    def report(self, now: float, *, beside: bool = False) -> list[Report]:
        """Return what is known of every check, from memory; `beside`: by any worker that lives."""
        with self._lock:
            self._adopt(now)
            return [watched.report(now, beside=beside) for watched in self._watched.values()]

    def intervals(self) -> dict[str, float]:
        """Return how often each check runs, in seconds, by its name."""
        with self._lock:
            return {name: watched.check.every_s for name, watched in self._watched.items()}

    def live(self) -> Verdict:
        """Answer whether this process lives; depends on nothing else."""
        if self.stopped:
            return Verdict(yes=False, reason=ProbeReason.STOPPED)
        return Verdict(yes=True, reason=ProbeReason.ALIVE)

    def ready(self, now: float | None = None) -> Verdict:
        """Answer whether this process should get requests.

        No before the start, while draining, and while a check named for readiness fails or is
        unknown.
        """
        if not self.started:
            return Verdict(yes=False, reason=ProbeReason.NOT_STARTED)
        if self.draining or self.stopped:
            return Verdict(yes=False, reason=ProbeReason.DRAINING)
        good = (CheckState.PASS, CheckState.WARN)
        at = self._clock() if now is None else now
        with self._lock:
            self._adopt(at)
            if all(
                watched.report(at).state in good
                for watched in self._watched.values()
                if watched.check.readiness
            ):
                return Verdict(yes=True, reason=ProbeReason.READY)
        return Verdict(yes=False, reason=ProbeReason.CHECK_FAILING)

    def reset(self) -> None:
        """Start anew in a forked child, where the threads are the parent's."""
        self.started = self.draining = self.stopped = False
        self._forget_runs()

    def _forget_runs(self) -> None:
        self.owner = uuid4().hex  # of the lease under which checks are taken over
        self._lock = threading.Lock()
        self._watched: dict[str, Watched] = {}
        self._runs: set[Run] = set()  # under way
        self._failed = False
        self._met_at = None
        self._slot_s = 0.0

    @property
    def _running(self) -> int:
        """How many runs are within their time-out."""
        return sum(not run.overdue for run in self._runs)

    def _is_away(self, now: float) -> bool:
        """Tell whether nobody could be asked for so long that each worker is on its own."""
        return self._met_at is None or abs(now - self._met_at) > AWAY_SLOTS * self._slot_s

    def _adopt(self, now: float) -> None:
        """Follow the declared checks: new ones, changed ones, and those that are gone."""
        names = set()
        for check in self._checks:
            names.add(check.name)
            known = self._watched.get(check.name)
            if known is None and len(self._watched) < MAX_CHECKS:
                watched = Watched(check=check, status=Status(since=now), next_at=now)
                # One that is declared late is another's, until nobody is found to run it.
                watched.is_ours = self._met_at is None or not watched.is_shared
                self._watched[check.name] = watched
            elif known is not None:
                known.check = check
        for name in self._watched.keys() - names:
            gone = self._watched.pop(name)
            if gone.run is not None:
                gone.run.overdue = True  # nobody looks at its time-out any more

    def _is_startable(self, watched: Watched, now: float) -> bool:
        """Reserve a place for a check that is due; one that still hangs has failed again."""
        if watched.run is not None:
            if watched.run.overdue:
                watched.next_at = now + watched.check.every_s
                self._note(watched.record_hanging(watched.run, now), watched)
            return False
        hung = sum(run.overdue for run in self._runs)
        if len(self._runs) - min(hung, MAX_HUNG) >= MAX_RUNNING:
            return False
        watched.next_at = now + watched.check.every_s
        watched.run = Run(started=monotonic())
        self._runs.add(watched.run)
        return True

    def _check_time_out(self, watched: Watched, now: float) -> None:
        run = watched.run
        if run is None or run.overdue:
            return
        if monotonic() - run.started > watched.check.timeout_s:
            run.overdue = True
            self._note(watched.record_hanging(run, now), watched)

    def _start(self, watched: Watched, now: float) -> None:
        run, check = watched.run, watched.check
        if run is None:
            return
        thread = threading.Thread(
            target=self._run,
            args=(watched, run, check),
            name=f"watchkeeper-check-{check.name}",
            daemon=True,
        )
        try:
            thread.start()
        except BaseException:  # no more threads, or no memory for one: it did not run
            self._end(watched, run, None)
            with self._lock:
                watched.next_at = min(watched.next_at, now + RETRY_S)
            raise

    def _run(self, watched: Watched, run: Run, check: Check) -> None:
        """Run a check in its thread; what ends the thread from inside has failed."""
        found = Found(state=CheckState.FAIL, output="ended its thread")
        try:
            with guard("health check"):
                found = run_once(check)
        finally:
            self._end(watched, run, found)
        self._tell()

    def _end(self, watched: Watched, run: Run, found: Found | None) -> None:
        with self._lock:
            if run not in self._runs:  # of before a reset
                return
            self._runs.remove(run)
            watched.run = None
            # One that is past its time-out has failed already, when its time was over.
            if found is not None and not run.overdue:
                self._note(watched.record(found, self._clock()), watched)

    def _note(self, failed: bool, watched: Watched) -> None:
        self._failed = self._failed or (failed and watched.is_ours)

    def _tell(self) -> None:
        """Call `on_change`, outside the lock, if a check has failed meanwhile."""
        with self._lock:
            failed, self._failed = self._failed, False
        if failed and self._on_change is not None:
            self._on_change()


def _told(rows: Iterable[CheckResult], now: float) -> dict[str, CheckResult]:
    """Return what is told for all; what a wrong clock told counts as nothing."""
    return {row.name: row for row in rows if not row.worker and not is_ahead(row.at, now)}


__all__ = [
    "Health",
    "Observed",
    "ProbeReason",
    "Report",
    "Verdict",
    "database_check",
    "health_check",
    "warn",
]
