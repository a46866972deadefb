"""What works beside requests: pools of connections, and jobs."""

from collections import defaultdict
from typing import Final

from watchkeeper.core import catalogue
from watchkeeper.core.histogram import Histogram
from watchkeeper.dashboard.figures import covered, quantile, timing
from watchkeeper.dashboard.parameters import Page
from watchkeeper.dashboard.sums import Level, Query, read_sums
from watchkeeper.dashboard.tallies import merged
from watchkeeper.dashboard.views_inside import (
    JobFigures,
    JobsView,
    PoolFigures,
    PoolState,
    PoolsView,
)

FAILED: Final = "failed"

_POOL_METRICS: Final = (
    catalogue.DB_CONNECTIONS,
    catalogue.DB_CONNECTIONS_MAX,
    catalogue.DB_WAIT,
)
_JOB_METRICS: Final = (
    catalogue.JOB_DURATION,
    catalogue.JOB_WAIT,
    catalogue.JOB_LAST_SUCCESS,
    catalogue.JOB_LATENESS,
)


def pools(query: Query, *, page: Page) -> PoolsView:
    """Tell of each pool how full it is and was, and how long a connection is waited for."""
    sums = read_sums(query, _POOL_METRICS)
    states = sums.levels(catalogue.DB_CONNECTIONS)
    most = sums.levels(catalogue.DB_CONNECTIONS_MAX)
    waits = sums.histograms(catalogue.DB_WAIT)
    names = sorted({key[0] for key in (*states, *most, *waits)})
    found = []
    for name in page.of(names):
        used, idle = states.get((name, "used")), states.get((name, "idle"))
        limit = most.get((name,))
        found.append(
            PoolFigures(
                pool=name,
                latest=_latest(used, idle, limit),
                highest_used=used.highest if used else None,
                highest_idle=idle.highest if idle else None,
                highest_max=limit.highest if limit else None,
                wait=timing(waits.get((name,))),
            )
        )
    return PoolsView(window=covered(query, sums), total=len(names), pools=tuple(found))


def jobs(query: Query, *, page: Page) -> JobsView:
    """Tell of each job how often it ran, how long, how it ended and whether it is late."""
    sums = read_sums(query, _JOB_METRICS)
    runs: dict[str, dict[str, Histogram]] = defaultdict(dict)
    for (job, outcome), histogram in sums.histograms(catalogue.JOB_DURATION).items():
        runs[job][outcome] = histogram
    waits = sums.histograms(catalogue.JOB_WAIT)
    successes = sums.levels(catalogue.JOB_LAST_SUCCESS)
    lateness = sums.levels(catalogue.JOB_LATENESS)
    names = sorted({*runs, *(key[0] for key in (*waits, *successes, *lateness))})
    found = []
    for name in page.of(names):
        outcomes = {outcome: one.count for outcome, one in sorted(runs[name].items())}
        every = merged(runs[name].values())
        success, late = successes.get((name,)), lateness.get((name,))
        found.append(
            JobFigures(
                job=name,
                runs=every.count,
                failures=outcomes.get(FAILED, 0),
                outcomes=outcomes,
                p50_s=quantile(every, 0.5),
                p95_s=quantile(every, 0.95),
                wait=timing(waits.get((name,))),
                last_success=success.highest if success else None,
                lateness_s=late.latest if late else None,
            )
        )
    return JobsView(window=covered(query, sums), total=len(names), jobs=tuple(found))


def _latest(used: Level | None, idle: Level | None, limit: Level | None) -> PoolState | None:
    """Put together what was read last; None if neither is known."""
    if used is None and idle is None:
        return None
    return PoolState(
        at=max(one.at for one in (used, idle) if one is not None),
        size=used.latest + idle.latest if used and idle else None,
        used=used.latest if used else None,
        idle=idle.latest if idle else None,
        max=limit.latest if limit else None,
    )
