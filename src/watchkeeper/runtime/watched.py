"""One health check of this process: its schedule, its last result, and whether it runs here."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from watchkeeper.core.check_turns import LATE_SLOTS, Turn, turn
from watchkeeper.core.health import (
    CheckState,
    Status,
    current,
    is_ahead,
    lapsed,
    silent_from,
    step,
)
from watchkeeper.runtime.checks import Check, Found, too_late

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from watchkeeper.storage.store import CheckChange, CheckResult

MAX_CHANGES: Final = 100  # transitions of one check that wait for the next flush
RETRY_S: Final = 30.0  # after which one runs again that failed, has not cleared, or could not run
BAD: Final = {CheckState.WARN: 1, CheckState.FAIL: 2}  # what other workers are told by
LATE_S: Final = 120.0  # after which another worker's result is missing: a time-out, a new runner


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
    readiness: bool = False
    scope: str = "cluster"
    tags: tuple[str, ...] = ()
    value: float | None = None  # what it measured, in `unit`
    unit: str = ""
    is_ours: bool = True  # this worker runs it; False: another one told


@dataclass(slots=True, eq=False)
class Run:
    """One run under way."""

    started: float  # monotonic
    overdue: bool = False


@dataclass(slots=True)
class Watched:
    """One check, its schedule and its last result; to be touched under its owner's lock."""

    check: Check
    status: Status
    next_at: float
    is_ours: bool = True  # this worker runs it
    ours_since: float = 0.0  # when it last ran here, or was taken over
    run: Run | None = None
    ran_at: float | None = None
    ran_tick: float | None = None  # monotonic, of a run that ended here
    found: Found = field(default_factory=lambda: Found(state=CheckState.UNKNOWN))
    fresh: bool = False  # not taken yet
    beside: CheckResult | None = None  # the worst that other workers found, each for itself
    changes: deque[CheckChange] = field(default_factory=lambda: deque(maxlen=MAX_CHANGES))

    @property
    def is_shared(self) -> bool:
        """Whether one worker runs it for all."""
        return self.check.scope == "cluster"

    def record(self, found: Found, at: float) -> bool:
        """Take the result of a run that ended here; return whether the check has failed by it."""
        before = self.status
        if before.since > at:  # the clock was set back
            before = replace(before, since=at)
        before = self._lapsed(before, at)
        self.status = step(before, found.state, at=at).after
        self.ran_at, self.found, self.fresh = at, found, True
        self.ours_since = at
        if self.status.failures or self.status.state is CheckState.FAIL:
            self.next_at = min(self.next_at, at + RETRY_S)
        if self.status.state is before.state:
            return False
        self._change(before.state, at)
        return self.status.state is CheckState.FAIL

    def record_hanging(self, run: Run, at: float) -> bool:
        """Take it as a failure that a run has not ended in time."""
        found = Found(
            state=CheckState.FAIL,
            output=too_late(self.check),
            duration_s=monotonic() - run.started,
        )
        return self.record(found, at)

    def turn(
        self,
        row: CheckResult | None,
        *,
        me: int | None,
        live: Collection[int] | None,
        slot_s: float,
        now: float,
    ) -> Turn:
        """Decide who runs the check, by its stored result."""
        return turn(
            ran_at=row.at if row else None,
            ran_by=ran_by(row) if row else None,
            me=me,
            ours_since=self.ours_since if self.is_ours else None,
            live=live,
            every_s=self.check.every_s,
            timeout_s=self.check.timeout_s,
            late_s=LATE_SLOTS * slot_s,
            now=now,
        )

    def due_in(self, now: float) -> float:
        """Return the seconds until the next run; a clock that was set back makes it due."""
        wait_s = self.next_at - now
        return wait_s if wait_s <= self.check.every_s else 0.0

    def follow(self, row: CheckResult | None, now: float) -> None:
        """Take what another worker told for all; this one does not run the check."""
        self.is_ours = self.fresh = False
        self.changes.clear()
        if row is not None and self._is_news(row, now):
            self._adopt(row)

    def take_over(self, row: CheckResult | None, now: float) -> None:
        """Run the check from now on, and go on from what is known of it.

        That is the stored result, or what was found here while no other could be heard.
        """
        self.is_ours, self.ours_since = True, now
        self.changes.clear()
        stored = CheckState.UNKNOWN if row is None else CheckState(row.state)
        if row is not None and self._is_news(row, now):
            self._adopt(row)
            self.next_at = now
            silent_at = self._silent_from(row.at)
            if now > silent_at and stored is not CheckState.UNKNOWN:
                self.status = lapsed(self.status, at=silent_at)
        if self.ran_at is not None:
            self.fresh = True
            if self.status.state is not stored:
                self._change(stored, self.status.since)

    def result(self) -> CheckResult:
        """Return the last result as it is stored."""
        from watchkeeper.storage.store import ALL_WORKERS, OWN_WORKER, CheckResult

        check, found, status = self.check, self.found, self.status
        return CheckResult(
            name=check.name,
            worker=ALL_WORKERS if self.is_shared else OWN_WORKER,
            state=status.state.value,
            since=status.since,
            at=self.ran_at or status.since,
            duration_s=found.duration_s,
            output=found.output,
            critical=check.critical,
            failures=status.failures,
            successes=status.successes,
            data=_data(check, found),
        )

    def report(self, now: float, *, beside: bool = False) -> Report:
        """Return what is known of the check as of `now`, here or by any worker (`beside`)."""
        mine = self._report(now)
        row = self.beside
        if not beside or row is None:
            return mine
        theirs = current(
            Status(state=CheckState(row.state)),
            ran_at=row.at,
            every_s=self.check.every_s,
            timeout_s=self.check.timeout_s,
            now=now,
            late_s=LATE_S,
        )
        if BAD.get(theirs, 0) <= BAD.get(mine.state, 0):
            return mine
        found = _found(row)
        return replace(
            mine,
            state=theirs,
            at=row.at,
            duration_s=found.duration_s,
            output=found.output,
            value=found.value,
            unit=found.unit,
            is_ours=False,
        )

    def _report(self, now: float) -> Report:
        check, found = self.check, self.found
        state = CheckState.UNKNOWN
        if self.ran_at is not None:
            state = current(
                self.status,
                ran_at=self.ran_at,
                every_s=check.every_s,
                timeout_s=check.timeout_s,
                now=now,
                late_s=0.0 if self.is_ours else LATE_S,
            )
        return Report(
            name=check.name,
            state=state,
            at=self.ran_at,
            duration_s=found.duration_s,
            output=found.output,
            critical=check.critical,
            component=check.component,
            readiness=check.readiness,
            scope=check.scope,
            tags=check.tags,
            value=found.value,
            unit=found.unit,
            is_ours=self.is_ours,
        )

    def _lapsed(self, before: Status, at: float) -> Status:
        """Return the status before a run at `at`: it was unknown since the last one meant nothing.

        That is noted, so that time in which the check was not run is not taken for good time. A
        clock that was set ahead is no such time, nor are the moments in which another worker's
        results may only not have been heard.
        """
        tick, self.ran_tick = self.ran_tick, monotonic()
        if self.ran_at is None or before.state is CheckState.UNKNOWN:
            return before
        silent_at = self._silent_from(self.ran_at)
        passed_s = at - self.ran_at if tick is None else self.ran_tick - tick
        late_s = 0.0 if self.is_ours else LATE_S
        if min(at, self.ran_at + passed_s) <= silent_at + late_s:
            return before
        self.status = lapsed(before, at=silent_at)
        self._change(before.state, silent_at)
        return self.status

    def _silent_from(self, ran_at: float) -> float:
        check = self.check
        return silent_from(ran_at, every_s=check.every_s, timeout_s=check.timeout_s)

    def _is_news(self, row: CheckResult, now: float) -> bool:
        ran_at = self.ran_at
        return ran_at is None or row.at >= ran_at or is_ahead(ran_at, now)

    def _adopt(self, row: CheckResult) -> None:
        self.status = Status(
            state=CheckState(row.state),
            since=row.since,
            failures=row.failures,
            successes=row.successes,
        )
        self.found = _found(row)
        self.ran_at, self.ran_tick = row.at, None
        self.next_at = row.at + self.check.every_s

    def _change(self, before: CheckState, at: float) -> None:
        from watchkeeper.storage.store import CheckChange

        result = self.result()
        change = CheckChange(
            name=result.name,
            worker=result.worker,
            before=before.value,
            after=result.state,
            at=at,
            output=result.output if result.state != CheckState.UNKNOWN else "",
            critical=result.critical,
        )
        self.changes.append(change)


def worst_beside(
    rows: Iterable[CheckResult], *, me: int | None, live: Collection[int] | None, now: float
) -> dict[str, CheckResult]:
    """Return the worst that workers but `me` found, each for itself, by the check's name.

    Only those of `live` count (None: that is not known), and none of a clock that was wrong.
    """
    found: dict[str, CheckResult] = {}
    for row in rows:
        is_other = row.worker and row.worker != me is not None
        if not is_other or (live is not None and row.worker not in live) or is_ahead(row.at, now):
            continue
        known = found.get(row.name)
        if known is None or _badness(row) > _badness(known):
            found[row.name] = row
    return found


def _badness(row: CheckResult) -> tuple[int, float]:
    return BAD.get(CheckState(row.state), 0), row.at


def _found(row: CheckResult) -> Found:
    """Return what another worker's run found."""
    value = row.data.get("value")
    return Found(
        state=CheckState(row.state),
        output=row.output,
        duration_s=row.duration_s,
        value=value if isinstance(value, int | float) else None,
        unit=str(row.data.get("unit", "")),
    )


def ran_by(row: CheckResult) -> int | None:
    """Return the worker that made a stored result, None if that is not known."""
    from watchkeeper.storage.store import RAN_BY

    worker = row.data.get(RAN_BY)
    return worker if isinstance(worker, int) else None


def _data(check: Check, found: Found) -> Mapping[str, Any]:
    """Return what else is stored of a check: what it measured, and how it was declared."""
    data: dict[str, Any] = {"every_s": check.every_s, "timeout_s": check.timeout_s}
    if found.value is not None:
        data |= {"value": found.value, "unit": found.unit}
    if check.tags:
        data["tags"] = list(check.tags)
    if check.component != "component":
        data["component"] = check.component
    return data
