"""How jobs do: how often they ran, how long, how it ended, and whether one is late."""

from collections import defaultdict
from typing import Final

from watchkeeper.core import catalogue
from watchkeeper.core.histogram import Histogram
from watchkeeper.dashboard.figures import covered, quantile, timing
from watchkeeper.dashboard.parameters import Page
from watchkeeper.dashboard.sums import Query, read_sums
from watchkeeper.dashboard.tallies import merged
from watchkeeper.dashboard.views_inside import JobFigures, JobsView
from watchkeeper.runtime.job_states import FAILED

_METRICS: Final = (
    catalogue.JOB_DURATION,
    catalogue.JOB_WAIT,
    catalogue.JOB_LAST_SUCCESS,
    catalogue.JOB_LATENESS,
)


def jobs(query: Query, *, page: Page) -> JobsView:
    """Tell of each job how often it ran, how long, how it ended and whether it is late."""
    sums = read_sums(query, _METRICS)
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
