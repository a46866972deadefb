"""How jobs do: how often they ran, how long, how it ended, and whether one is late."""

from collections import defaultdict
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from watchkeeper.core import catalogue
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.job_facts import FAILED, JUDGED, MISSED, OK, JobFacts, Run
from watchkeeper.core.metrics import Scope
from watchkeeper.core.schedules import Reason
from watchkeeper.dashboard.figures import covered, part, quantile, timing
from watchkeeper.dashboard.parameters import Page
from watchkeeper.dashboard.sums import Level, Query, read_sums
from watchkeeper.dashboard.tallies import merged
from watchkeeper.dashboard.views_inside import JobFigures, JobsView, LastRun
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime import job_memory

ENDLESS_S: Final = 86_400.0  # a run of a job without a schedule that told no end for so long
_METRICS: Final = (
    catalogue.JOB_DURATION,
    catalogue.JOB_WAIT,
    catalogue.JOB_LAST_SUCCESS,
    catalogue.JOB_LATENESS,
)


class JobState(StrEnum):
    """How a job is, in a word."""

    OK = "ok"
    FAILED = "failed"  # its last run
    LATE = "late"
    RUNNING = "running"
    WAITING = "waiting"  # for its first run
    UNKNOWN = "unknown"  # its schedule means nothing here, or no run told how it does


def jobs(query: Query, *, page: Page) -> JobsView:
    """Tell of each job how often it ran, how long, how it ended and whether it is late.

    What it did in the window comes from what was recorded, how it is now from what is kept of it.
    """
    sums = read_sums(query, _METRICS)
    scope = Scope(service=query.service, environment=query.environment)
    kept = job_memory.read(query.store, scope).facts
    runs: dict[str, dict[str, Histogram]] = defaultdict(dict)
    for (job, outcome), histogram in sums.histograms(catalogue.JOB_DURATION).items():
        runs[job][outcome] = histogram
    waits = sums.histograms(catalogue.JOB_WAIT)
    successes = sums.levels(catalogue.JOB_LAST_SUCCESS)
    lateness = sums.levels(catalogue.JOB_LATENESS)
    names = sorted({*kept, *runs, *(key[0] for key in (*waits, *successes, *lateness))})
    found = [
        _figures(
            name,
            kept.get(name),
            runs[name],
            waits.get((name,)),
            successes.get((name,)),
            lateness.get((name,)),
            now=query.now,
        )
        for name in page.of(names)
    ]
    return JobsView(window=covered(query, sums), total=len(names), jobs=tuple(found))


def _figures(
    name: str,
    facts: JobFacts | None,
    runs: Mapping[str, Histogram],
    wait: Histogram | None,
    success: Level | None,
    late: Level | None,
    *,
    now: float,
) -> JobFigures:
    outcomes = {outcome: one.count for outcome, one in sorted(runs.items())}
    judged = sum(outcomes.get(outcome, 0) for outcome in JUDGED)
    every = merged(runs.values())
    timed = _timed(every)
    due, late_s, because = _lateness(facts, late.latest if late else None, now=now)
    known = facts or JobFacts(name=name, declared_at=0.0)
    schedule = known.schedule
    successes = [at for at in (known.last_success, success.highest if success else None) if at]
    return JobFigures(
        job=name,
        state=_state(known, outcomes, late_s, because, now=now).value,
        schedule=schedule.text if schedule is not None else None,
        grace_s=None if schedule is None or due is None else schedule.grace(due),
        pinged=bool(known.plan and known.plan.tokens),
        runs=every.count,
        failures=outcomes.get(FAILED, 0),
        outcomes=outcomes,
        success_share=part(outcomes.get(OK, 0), judged),
        p50_s=quantile(timed, 0.5),
        p95_s=quantile(timed, 0.95),
        wait=timing(wait),
        since=known.declared_at or None,
        last_run=_last_run(known.last_run),
        last_success=max(successes, default=None),
        running_since=known.started_at if known.is_running else None,
        due=due,
        lateness_s=late_s,
        late_because=because.value if because is not None and late_s else None,
    )


def _lateness(
    facts: JobFacts | None, told: float | None, *, now: float
) -> tuple[float | None, float | None, Reason | None]:
    """Return when a job is due, how late it is and why; as it was told where nothing is kept."""
    if facts is None or facts.schedule is None:
        return None, told if facts is None else None, None
    try:
        found = facts.lateness(now)
        return facts.due, *(found or (None, None))
    except ConfigurationError:
        return None, None, None


def _timed(runs: Histogram) -> Histogram:
    """Leave out the runs of which nobody knows how long they took; they are counted as 0."""
    timed = runs.copy()
    timed.count, timed.zero = runs.count - runs.zero, 0
    return timed


def _state(
    facts: JobFacts,
    outcomes: Mapping[str, int],
    late_s: float | None,
    because: Reason | None,
    *,
    now: float,
) -> JobState:
    run, schedule = facts.last_run, facts.schedule
    if late_s:
        return JobState.LATE
    if schedule is not None and because in (None, Reason.CLOCK_SET_BACK):
        return JobState.UNKNOWN
    if run is not None and run.outcome in (FAILED, MISSED):
        return JobState.FAILED
    if facts.is_running and facts.started_at is not None:
        endless = schedule is None and now - facts.started_at > ENDLESS_S
        return JobState.UNKNOWN if endless else JobState.RUNNING
    if run is not None:
        return JobState.OK if run.outcome == OK else JobState.UNKNOWN
    if outcomes:  # of a time when nothing was kept of it
        return JobState.OK if outcomes.get(OK) else JobState.FAILED
    return JobState.WAITING


def _last_run(run: Run | None) -> LastRun | None:
    if run is None:
        return None
    return LastRun(at=run.at, outcome=run.outcome, seconds=run.seconds, output=run.output)
