"""What the statements of databases add up to: how often, how long, from where, repeated where."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from watchkeeper.core import catalogue
from watchkeeper.dashboard.figures import (
    covered,
    longest_first,
    part,
    quantile,
    route_counts,
    statement_texts,
)
from watchkeeper.dashboard.parameters import Page
from watchkeeper.dashboard.sums import Labels, Query, read_sums
from watchkeeper.dashboard.views_inside import StatementFigures, StatementsView

MAX_ROUTES: Final = 10  # per statement

_METRICS: Final = (
    catalogue.DB_STATEMENT,
    catalogue.DB_ROWS,
    catalogue.DB_CALLS,
    catalogue.DB_REPEATED,
)


def statements(query: Query, *, page: Page) -> StatementsView:
    """Tell of each statement how often and how long it ran, from where, and where it repeats."""
    sums = read_sums(query, _METRICS)
    timed = sums.histograms(catalogue.DB_STATEMENT)
    rows = sums.counters(catalogue.DB_ROWS)
    calls = _by_statement(sums.counters(catalogue.DB_CALLS))
    repeated = _by_statement(sums.counters(catalogue.DB_REPEATED))
    seconds = sum(one.sum for one in timed.values())
    ordered = longest_first(timed)
    shown = page.of(ordered)
    texts = statement_texts(query, {fingerprint for _, fingerprint in shown})
    found = []
    for db, fingerprint in shown:
        histogram = timed[db, fingerprint]
        text = texts.get(fingerprint)
        found.append(
            StatementFigures(
                fingerprint=fingerprint,
                db=db,
                operation=text.operation if text else None,
                text=text.text if text else None,
                count=histogram.count,
                seconds=histogram.sum,
                time_share=part(histogram.sum, seconds),
                p50_s=quantile(histogram, 0.5),
                p95_s=quantile(histogram, 0.95),
                rows_per_execution=part(rows.get((db, fingerprint)), histogram.count),
                routes=route_counts(calls.get(fingerprint, {}), MAX_ROUTES),
                callers=text.callers if text else None,
                repeated=route_counts(repeated.get(fingerprint, {}), MAX_ROUTES),
            )
        )
    return StatementsView(
        window=covered(query, sums), seconds=seconds, total=len(ordered), statements=tuple(found)
    )


def _by_statement(counts: Mapping[Labels, float]) -> dict[str, dict[str, float]]:
    routes: dict[str, dict[str, float]] = defaultdict(dict)
    for (route, statement), count in counts.items():
        routes[statement][route] = count
    return routes
