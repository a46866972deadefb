"""The default rules, on without any configuration; each is changed or switched off by its name."""

from dataclasses import replace
from typing import Final

from watchkeeper.core.rules import MIN_WINDOW_SLOTS, Alert, Origin, Rule, compile_alert
from watchkeeper.core.units import parse_duration, write_duration

ALERTS: Final = (
    Alert(
        "High error rate",
        when="error_rate > 5%",
        clear="error_rate < 3%",
        over=("1m", "5m"),
        severity="critical",
    ),
    Alert(
        "Slow responses",
        when="p95 > 1s",
        clear="p95 < 800ms",
        over="5m",
        hold="2m",  # slowness after a deploy is short
        severity="warning",
        worse={"when": "p95 > 3s", "severity": "critical"},
    ),
    Alert(
        "Health check failing",
        when="check failing",
        by="check",
        after=3,  # one failure is noise
        no_data="alert",
        severity="critical",
    ),
    Alert(
        "New issue",
        on="issue.new",
        level="error",
        digest="5m",
        quiet="10m",  # the first minutes of an installation would be a flood
        severity="warning",
    ),
    Alert(
        "Issue came back",  # it was marked resolved: somebody cares
        on="issue.came_back",
        level="error",
        digest="5m",
        severity="warning",
    ),
    Alert(
        "Storage growth",
        when="last(watchkeeper_storage_used_ratio) > 80%",
        clear="last(watchkeeper_storage_used_ratio) < 75%",
        over="10m",  # measured once a minute, by one of the workers
        severity="warning",
    ),
)


def default_pack(*, slot_s: float = 10.0) -> tuple[Rule, ...]:
    """Compile the pack; windows are widened where slots are too long for them."""
    rules = []
    for alert in ALERTS:
        windows = (alert.over,) if isinstance(alert.over, str) else alert.over
        over = windows and tuple(
            write_duration(max(parse_duration(window), MIN_WINDOW_SLOTS * slot_s))
            for window in windows
        )
        where = f"alert '{alert.name}'"
        fitting = replace(alert, over=over)
        rules.append(compile_alert(fitting, where=where, origin=Origin.PACK, slot_s=slot_s))
    return tuple(rules)


PACK: Final = default_pack()
