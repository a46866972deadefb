"""The running health checks: each on its own schedule, in the background, with its last result."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from watchkeeper.core.health import CheckState, Status, current, step
from watchkeeper.runtime.builtin_checks import database_check, open_checks
from watchkeeper.runtime.checks import (
    MAX_CHECKS,
    Check,
    Found,
    health_check,
    run_once,
    too_late,
)
from watchkeeper.runtime.guard import guard

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from watchkeeper.storage.store import CheckChange, CheckResult

MAX_RUNNING: Final = 4  # checks within their time-out at once
MAX_CHANGES: Final = 1_000  # transitions that wait for the next flush


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is known of one check now."""

    name: str
    state: CheckState
    at: float | None  # when it last ran
    duration_s: float
    output: str
    critical: bool
    component: str


@dataclass(slots=True)
class _Run:
    """One run under way."""

    started: float  # monotonic
    overdue: bool = False


@dataclass(slots=True)
class _Watched:
    """One check, its schedule and its last result."""

    check: Check
    status: Status
    next_at: float
    run: _Run | None = None
    ran_at: float | None = None
    duration_s: float = 0.0
    output: str = ""
    fresh: bool = False  # not taken yet


class Health:
    """Runs health checks in threads of its own and answers probes from memory.

    At most four run at once. One that is past its time-out has failed and no longer counts as
    running; its thread is left to end by itself, and the check is not started again before. So a
    hung check blocks no other, and there is never more than one thread per check.
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
    ) -> Health:
        """Watch the checks declared by `health_check`, and the built-in ones of the settings.

        A wrong table of settings is added to `problems` and left out; without such a list it
        raises ConfigurationError.
        """
        return cls(open_checks(config, problems=problems), clock=clock, on_change=on_change)

    @property
    def has_news(self) -> bool:
        """Whether a check changed its state since the last `take`."""
        return bool(self._changes)

    def run_due(self, now: float) -> bool:
        """Start the checks that are due and fail those past their time-out; never waits.

        Returns whether a check changed its state since the last `take`.
        """
        with self._lock:
            self._adopt(now)
            for watched in self._watched.values():
                self._check_time_out(watched, now)
            due = [
                watched
                for watched in self._watched.values()
                if watched.next_at <= now or watched.next_at > now + watched.check.every_s
            ]
            due.sort(key=lambda watched: watched.next_at)
            starting = [watched for watched in due if self._is_startable(watched, now)]
        for watched in starting:
            self._start(watched)
        self._tell()
        return self.has_news

    def pending_soon(self) -> float | None:
        """Return the seconds until a check is due or past its time-out, or None without checks."""
        now, tick = self._clock(), monotonic()
        with self._lock:
            waits = [
                watched.next_at - now
                if watched.run is None or watched.run.overdue
                else watched.run.started + watched.check.timeout_s - tick
                for watched in self._watched.values()
            ]
        return max(0.0, min(waits)) if waits else None

    def take(self) -> tuple[list[CheckResult], list[CheckChange]]:
        """Return the results since the last call, and every change of state."""
        with self._lock:
            results = [_result(watched) for watched in self._watched.values() if watched.fresh]
            for watched in self._watched.values():
                watched.fresh = False
            changes = list(self._changes)
            self._changes.clear()
        return results, changes

    def report(self, now: float) -> list[Report]:
        """Return what is known of every check, from memory."""
        with self._lock:
            self._adopt(now)
            return [self._reported(watched, now) for watched in self._watched.values()]

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
                self._reported(watched, at).state in good
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
        self._lock = threading.Lock()
        self._watched: dict[str, _Watched] = {}
        self._changes: deque[CheckChange] = deque(maxlen=MAX_CHANGES)
        self._running = 0
        self._failed = False

    def _adopt(self, now: float) -> None:
        """Follow the declared checks: new ones, changed ones, and those that are gone."""
        names = set()
        for check in self._checks:
            names.add(check.name)
            known = self._watched.get(check.name)
            if known is None and len(self._watched) < MAX_CHECKS:
                status = Status(since=now)
                self._watched[check.name] = _Watched(check=check, status=status, next_at=now)
            elif known is not None:
                known.check = check
        for name in self._watched.keys() - names:
            del self._watched[name]

    def _is_startable(self, watched: _Watched, now: float) -> bool:
        """Reserve a place for a check that is due; one that still hangs has failed again."""
        if watched.run is not None:
            if watched.run.overdue:
                watched.next_at = now + watched.check.every_s
                self._record(watched, _hanging(watched, watched.run), now)
            return False
        if self._running >= MAX_RUNNING:
            return False
        self._running += 1
        watched.next_at = now + watched.check.every_s
        watched.run = _Run(started=monotonic())
        return True

    def _check_time_out(self, watched: _Watched, now: float) -> None:
        run = watched.run
        if run is None or run.overdue:
            return
        if monotonic() - run.started > watched.check.timeout_s:
            run.overdue = True
            self._running -= 1
            self._record(watched, _hanging(watched, run), now)

    def _start(self, watched: _Watched) -> None:
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
        except RuntimeError:  # no more threads: the next turn comes
            self._end(watched, run, None)
            raise

    def _run(self, watched: _Watched, run: _Run, check: Check) -> None:
        """Run a check in its thread; what ends the thread from inside has failed."""
        found = Found(state=CheckState.FAIL, output="ended its thread")
        try:
            with guard("health check"):
                found = run_once(check)
        finally:
            self._end(watched, run, found)
        self._tell()

    def _end(self, watched: _Watched, run: _Run, found: Found | None) -> None:
        with self._lock:
            if watched.run is not run:  # of before a reset
                return
            watched.run = None
            if run.overdue:
                return  # it has failed already, when its time was over
            self._running -= 1
            if found is not None:
                self._record(watched, found, self._clock())

    def _record(self, watched: _Watched, found: Found, at: float) -> None:
        before = watched.status
        after = step(before, found.state, at=at).after
        watched.status = after
        watched.ran_at = at
        watched.duration_s = found.duration_s
        watched.output = found.output
        watched.fresh = True
        if after.state is before.state:
            return
        from watchkeeper.storage.store import CheckChange

        self._failed = self._failed or after.state is CheckState.FAIL
        result = _result(watched)
        self._changes.append(
            CheckChange(
                name=result.name,
                worker=result.worker,
                before=before.state.value,
                after=after.state.value,
                at=at,
                output=found.output,
            )
        )

    def _tell(self) -> None:
        """Call `on_change`, outside the lock, if a check has failed meanwhile."""
        with self._lock:
            failed, self._failed = self._failed, False
        if failed and self._on_change is not None:
            self._on_change()

    def _reported(self, watched: _Watched, now: float) -> Report:
        check = watched.check
        state = CheckState.UNKNOWN
        if watched.ran_at is not None:
            state = current(
                watched.status,
                ran_at=watched.ran_at,
                every_s=check.every_s,
                timeout_s=check.timeout_s,
                now=now,
            )
        return Report(
            name=check.name,
            state=state,
            at=watched.ran_at,
            duration_s=watched.duration_s,
            output=watched.output,
            critical=check.critical,
            component=check.component,
        )


def _hanging(watched: _Watched, run: _Run) -> Found:
    return Found(
        state=CheckState.FAIL,
        output=too_late(watched.check),
        duration_s=monotonic() - run.started,
    )


def _result(watched: _Watched) -> CheckResult:
    from watchkeeper.storage.store import CheckResult

    status = watched.status
    return CheckResult(
        name=watched.check.name,
        state=status.state.value,
        since=status.since,
        at=watched.ran_at or status.since,
        duration_s=watched.duration_s,
        output=watched.output,
        critical=watched.check.critical,
        failures=status.failures,
        successes=status.successes,
    )


__all__ = ["Health", "ProbeReason", "Report", "Verdict", "database_check", "health_check"]
