"""How full the pools of connections are, and how long a connection is waited for."""

from typing import Final

from watchkeeper.core import catalogue
from watchkeeper.dashboard.figures import covered, timing
from watchkeeper.dashboard.parameters import Page
from watchkeeper.dashboard.sums import Level, Query, read_sums
from watchkeeper.dashboard.views_inside import PoolFigures, PoolState, PoolsView

_METRICS: Final = (
    catalogue.DB_CONNECTIONS,
    catalogue.DB_CONNECTIONS_MAX,
    catalogue.DB_WAIT,
)


def pools(query: Query, *, page: Page) -> PoolsView:
    """Tell of each pool how full it is and was, and how long a connection is waited for."""
    sums = read_sums(query, _METRICS)
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
