"""What outgoing requests add up to: how often, how long and with what answer."""

from collections import defaultdict

from watchkeeper.core import catalogue
from watchkeeper.core.histogram import Histogram
from watchkeeper.dashboard.figures import covered, longest_first, quantile
from watchkeeper.dashboard.parameters import Page
from watchkeeper.dashboard.sums import Labels, Query, read_sums
from watchkeeper.dashboard.tallies import merged
from watchkeeper.dashboard.views_inside import OutgoingFigures, OutgoingView
from watchkeeper.runtime.observer import FAILED_STATUS


def outgoing(query: Query, *, page: Page) -> OutgoingView:
    """Tell of each host and method how often it was called, how long and with what answer."""
    sums = read_sums(query, (catalogue.HTTP_CLIENT,))
    by_status: dict[Labels, dict[str, Histogram]] = defaultdict(dict)
    for (host, method, status), histogram in sums.histograms(catalogue.HTTP_CLIENT).items():
        by_status[host, method][status] = histogram
    timed = {key: merged(parts.values()) for key, parts in by_status.items()}
    ordered = longest_first(timed)
    found = []
    for host, method in page.of(ordered):
        histogram = timed[host, method]
        counts = {status: one.count for status, one in sorted(by_status[host, method].items())}
        failures = counts.pop(FAILED_STATUS, 0)
        found.append(
            OutgoingFigures(
                host=host,
                method=method,
                count=histogram.count,
                seconds=histogram.sum,
                p50_s=quantile(histogram, 0.5),
                p95_s=quantile(histogram, 0.95),
                statuses=counts,
                failures=failures,
            )
        )
    return OutgoingView(window=covered(query, sums), total=len(ordered), outgoing=tuple(found))
