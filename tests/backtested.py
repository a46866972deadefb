"""What tests of the backtest serve: requests, memory, errors, and the rules that look at them."""

from stored import counted

from watchkeeper.core.catalogue import HOST_MEMORY, HTTP_DURATION
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.hours import HOUR_S
from watchkeeper.core.metrics import Scope, Series
from watchkeeper.core.rules import Alert, Origin, Rule, compile_alert, compile_alerts
from watchkeeper.core.slot import Gauge, Value
from watchkeeper.storage.store import IssueCount

SCOPE = Scope(service="shop", environment="production")
START = 1_790_000_000 // HOUR_S * HOUR_S


def compiled(*alerts: Alert, slot_s: float = 10.0) -> list[Rule]:
    return [
        compile_alert(alert, where="test", origin=Origin.CODE, slot_s=slot_s) for alert in alerts
    ]


def expanded(alert: Alert) -> list[Rule]:
    """Compile a rule into those that it stands for: an objective into several."""
    return list(compile_alerts(alert, where="test", origin=Origin.CODE, slot_s=10.0))


def served(route: str, status: str, number: int, seconds: float = 0.1) -> dict[Series, Value]:
    if not number:
        return {}
    labels = {"method": "GET", "route": route, "status": status}
    pairs = tuple(sorted((*SCOPE.labels, *labels.items())))
    series = Series(HTTP_DURATION.name, HTTP_DURATION.kind, pairs)
    return {series: Histogram([seconds] * number)}


def memory(share: float) -> dict[Series, Value]:
    pairs = tuple(sorted((*SCOPE.labels, ("host", "web-1"))))
    series = Series(HOST_MEMORY.name, HOST_MEMORY.kind, pairs, HOST_MEMORY.across)
    return {series: Gauge(share, share, share)}


def issue(number: int, *, at: float, level: str) -> IssueCount:
    """Count an error of its own once."""
    return counted(f"1:{number:016x}", at=at, level=level)
