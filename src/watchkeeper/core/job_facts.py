"""Facts about one job: all that outlives the process that runs it, and how they are joined.

Times are seconds since the epoch.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from watchkeeper.core.schedules import (
    CLOCKS_DIFFER_S,
    LEAST_EVERY_S,
    Reason,
    Schedule,
    lateness,
)

OK: Final = "ok"  # the outcome of a run that succeeded
FAILED: Final = "failed"
MISSED: Final = "missed"  # a run that did not begin in time, and so not at all
CANCELLED: Final = "cancelled"  # a run that was told to end; nobody's failure
JUDGED: Final = (OK, FAILED, MISSED)  # others, such as "retried", tell nothing of how a job does
FORGOTTEN_S: Final = 90 * 86_400.0  # a job without a schedule that did not run for so long
MAX_TOKENS: Final = 10  # of one job
MOST_S: Final = 1e10  # of a moment or a duration; beyond the year 2200


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that ended at `at`; `seconds` is None where nobody told when it began."""

    at: float
    outcome: str
    seconds: float | None = None
    output: str = ""  # what came with a failure, scrubbed and short

    @property
    def rank(self) -> tuple[bool, float, bool, float, str, str]:
        """What decides between two: the later one that tells something, or is better known."""
        known, judged = self.seconds is not None, self.outcome in JUDGED
        return judged, self.at, known, self.seconds or 0.0, self.outcome, self.output


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """When a job is to run, since `at`; `tokens` are digests of the addresses that it calls."""

    at: float
    schedule: Schedule | None = None
    tokens: tuple[str, ...] = ()

    @property
    def rank(self) -> tuple[float, str, tuple[str, ...]]:
        """What decides between two: the later one."""
        return self.at, repr(self.schedule), self.tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFacts:
    """What is known of a job.

    `declared_at` is when it was first heard of, `started_at` the last start that was announced.
    `last_run` is the last one that ended well or badly, where there is one.
    """

    name: str
    declared_at: float
    plan: Plan | None = None
    last_success: float | None = None
    last_run: Run | None = None
    started_at: float | None = None

    @property
    def schedule(self) -> Schedule | None:
        """When it is to run, if that is known."""
        return self.plan.schedule if self.plan is not None else None

    @property
    def is_planned(self) -> bool:
        """Whether somebody relies on it: it has a schedule, or an address."""
        return self.plan is not None and (self.plan.schedule is not None or bool(self.plan.tokens))

    @property
    def is_running(self) -> bool:
        """Whether a start was announced whose end was not.

        Start and end may have been heard by hosts whose clocks differ, and a start may be told
        again after the end: one that is only a little later than an end is none of a new run.
        """
        return self.started_at is not None and (
            self.last_run is None or self.last_run.at + CLOCKS_DIFFER_S < self.started_at
        )

    @property
    def due(self) -> float | None:
        """When the next run is due: counted from the last success, else from the declaration."""
        if self.schedule is None:
            return None
        since = self.declared_at if self.last_success is None else self.last_success
        return self.schedule.due(since, is_success=self.last_success is not None)

    def lateness(self, now: float) -> tuple[float, Reason] | None:
        """Say how many seconds it is late, and why; None without a schedule.

        A run that was announced and has not ended within the grace is late, too.
        """
        schedule = self.schedule
        if schedule is None:
            return None
        late, reason = lateness(
            schedule, last_success=self.last_success, declared_at=self.declared_at, now=now
        )
        if self.is_running and self.started_at is not None:
            endless = now - self.started_at - schedule.grace(self.started_at)
            if endless > late:
                return endless, Reason.NO_END
        return late, reason

    def joined(self, other: "JobFacts") -> "JobFacts":
        """Join what two processes know of the same job, in any order and any number of times."""
        plans = [one.plan for one in (self, other) if one.plan is not None]
        plan = max(plans, key=lambda one: one.rank, default=None)
        if plan is not None and not plan.tokens:  # code that names a schedule keeps the addresses
            plan = replace(plan, tokens=max(one.tokens for one in plans))
        runs = [one.last_run for one in (self, other) if one.last_run is not None]
        return JobFacts(
            name=self.name,
            declared_at=min(self.declared_at, other.declared_at),
            plan=plan,
            last_success=_later(self.last_success, other.last_success),
            last_run=max(runs, key=lambda one: one.rank, default=None),
            started_at=_later(self.started_at, other.started_at),
        )

    def planned(self, schedule: Schedule | None, *, at: float) -> "JobFacts":
        """Return the facts with a schedule that was set at `at`, unless it is that already."""
        if schedule == self.schedule:
            return self
        tokens = self.plan.tokens if self.plan is not None else ()
        return replace(self, plan=Plan(at=at, schedule=schedule, tokens=tokens))

    def ended(self, run: Run) -> "JobFacts":
        """Return the facts after a run has ended."""
        success = _later(self.last_success, run.at) if run.outcome == OK else self.last_success
        before = self.last_run
        last = run if before is None or before.rank[:2] <= run.rank[:2] else before
        return replace(self, last_success=success, last_run=last)

    def settled(self, now: float) -> "JobFacts":
        """Return the facts with nothing in the future: a clock was wrong, and that is now.

        Of a schedule nobody knows when it was set then: any other one is newer.
        """
        run, plan = self.last_run, self.plan
        if plan is not None and plan.at > now + CLOCKS_DIFFER_S:
            plan = replace(plan, at=0.0)
        return replace(
            self,
            declared_at=min(self.declared_at, now),
            plan=plan,
            last_success=_settled(self.last_success, now),
            last_run=replace(run, at=_settled(run.at, now) or now) if run is not None else None,
            started_at=_settled(self.started_at, now),
        )

    def is_forgotten(self, now: float) -> bool:
        """Tell whether the job does not matter any more: no schedule, and no run for long."""
        if self.is_planned:
            return False
        last = self.last_run.at if self.last_run is not None else self.declared_at
        return now - last > FORGOTTEN_S


def to_text(facts: JobFacts) -> str:
    """Return the facts as JSON; `from_text` reads it."""
    data: dict[str, Any] = {"name": facts.name, "declared_at": facts.declared_at}
    plan, run = facts.plan, facts.last_run
    if plan is not None:
        data["plan"] = {"at": plan.at, "tokens": list(plan.tokens)}
        if plan.schedule is not None:
            schedule = plan.schedule
            data["plan"] |= {"every_s": schedule.every_s, "cron": schedule.cron}
            data["plan"] |= {"tz": schedule.tz, "grace_s": schedule.grace_s}
    if run is not None:
        data["last_run"] = {"at": run.at, "outcome": run.outcome, "seconds": run.seconds}
        if run.output:
            data["last_run"]["output"] = run.output
    data |= {"last_success": facts.last_success, "started_at": facts.started_at}
    return json.dumps(data)


def from_text(text: str) -> JobFacts | None:
    """Return the facts of a stored text; None for what cannot be read."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
        return None
    declared_at = _number(data.get("declared_at"))
    if declared_at is None:
        return None
    return JobFacts(
        name=data["name"],
        declared_at=declared_at,
        plan=_plan(data.get("plan")),
        last_success=_number(data.get("last_success")),
        last_run=_run(data.get("last_run")),
        started_at=_number(data.get("started_at")),
    )


def _plan(data: object) -> Plan | None:
    if not isinstance(data, Mapping):
        return None
    at, every_s, cron = _number(data.get("at")), _number(data.get("every_s")), data.get("cron")
    if at is None:
        return None
    tokens = data.get("tokens")
    digests = [one for one in tokens if isinstance(one, str)] if isinstance(tokens, list) else []
    schedule = None
    if cron or (every_s is not None and every_s >= LEAST_EVERY_S):
        schedule = Schedule(
            every_s=every_s or 0.0,
            cron=str(cron or ""),
            tz=str(data.get("tz", "UTC")),
            grace_s=_number(data.get("grace_s")),
        )
    return Plan(at=at, schedule=schedule, tokens=tuple(digests[:MAX_TOKENS]))


def _run(data: object) -> Run | None:
    if not isinstance(data, Mapping):
        return None
    at = _number(data.get("at"))
    if at is None:
        return None
    return Run(
        at=at,
        outcome=str(data.get("outcome", "")),
        seconds=_number(data.get("seconds")),
        output=str(data.get("output", "")),
    )


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= MOST_S else None


def _later(one: float | None, other: float | None) -> float | None:
    known = [at for at in (one, other) if at is not None]
    return max(known, default=None)


def _settled(at: float | None, now: float) -> float | None:
    return now if at is not None and at > now + CLOCKS_DIFFER_S else at
