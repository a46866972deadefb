"""How Watchkeeper itself is doing: its own metrics, what it left out and what it stores."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from watchkeeper.core import catalogue
from watchkeeper.core.metrics import Kind, Metric
from watchkeeper.dashboard.figures import covered, timing
from watchkeeper.dashboard.sums import Query, Sums, read_sums
from watchkeeper.dashboard.views_inside import SelfView
from watchkeeper.runtime import upkeep
from watchkeeper.runtime.folded import FoldedValue

PREFIX: Final = "watchkeeper_"
OWN_METRICS: Final = tuple(one for one in catalogue.CATALOGUE if one.name.startswith(PREFIX))


def own_figures(query: Query, *, folded: Sequence[FoldedValue]) -> SelfView:
    """Tell how Watchkeeper is doing; `folded` are the values that this worker folded."""
    sums = read_sums(query, OWN_METRICS)
    known = bool(sums.spans)
    notes = upkeep.read(query.store)
    sampling = sums.levels(catalogue.SELF_SAMPLING).get(())
    series = sums.levels(catalogue.SELF_SERIES).get(())
    dropped = sums.counters(catalogue.SELF_DROPPED)
    return SelfView(
        window=covered(query, sums),
        storage=query.store.description(),
        stored_bytes=query.store.size_bytes(),
        storing=notes.storing.name.lower(),
        storing_reason=notes.reason.value,
        sampling_level=int(sampling.latest) if sampling else None,
        series=series.latest if series else None,
        dropped={what: int(count) for (what,), count in sorted(dropped.items())}
        if known
        else None,
        folded=tuple(folded),
        metrics={one.name: _described(sums, one, known=known) for one in OWN_METRICS},
    )


def _described(sums: Sums, metric: Metric, *, known: bool) -> Mapping[str, Any]:
    """Describe one metric by its kind; a counter that did not move is 0 where data are known."""
    if metric.kind is Kind.COUNTER:
        counts = sums.counters(metric)
        return {
            "total": sum(counts.values()) if known else None,
            "by": {",".join(key): count for key, count in sorted(counts.items()) if key},
        }
    if metric.kind is Kind.HISTOGRAM:
        timed = timing(sums.histograms(metric).get(()))
        return asdict(timed) if timed else {"count": 0 if known else None}
    level = sums.levels(metric).get(())
    if level is None:
        return {"latest": None, "lowest": None, "highest": None, "at": None}
    return asdict(level)
