"""Service level objectives: how fast a budget of bad requests may burn, as three plain alerts.

A rule on the budget itself would fire at the month's end. Each of the three asks instead whether
it burns so fast that it will not last, over a long window (is it enough to matter?) and a short
one (does it still go on?). Shares of the budget and windows are those of Google's "Site
Reliability Workbook", chapter 5; a burn rate of 14.4 uses 2 % of 30 days' budget in an hour.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from watchkeeper.core.conditions import write_quantile
from watchkeeper.core.rule import SEVERITIES, Alert
from watchkeeper.core.rule_values import Values
from watchkeeper.core.units import (
    parse_duration,
    parse_share,
    write_duration,
    write_share,
)

EXAMPLE: Final = 'write { target = "99.9%", good = "status < 500", period = "30d" }'
MIN_PERIOD_S: Final = 7 * 86_400.0  # of shorter ones the slow pair would be half of the period
MAX_PERIOD_S: Final = 90 * 86_400.0
MIN_BUDGET: Final = 1e-6  # percentiles are written with six digits
_SET: Final = ("when", "on", "clear", "over", "worse", "every_window")  # by the objective

_DURATION: Final = re.compile(r"duration\s*<\s*(\S+)")
_STATUS: Final = re.compile(r"status\s*<\s*500")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """One pair of windows, and which share of the period's budget it lets burn in the long one."""

    name: str
    share: float
    short: str
    long: str

    def burn(self, period_s: float) -> float:
        """How many times as fast as the period allows; at least once as fast."""
        return max(1.0, round(self.share * period_s / parse_duration(self.long), 6))


PACES: Final = (
    Pace(name="fast", share=0.02, short="5m", long="1h"),
    Pace(name="middle", share=0.05, short="30m", long="6h"),
    Pace(name="slow", share=0.10, short="6h", long="3d"),
)


def alerts_of(alert: Alert, *, where: str) -> tuple[Alert, ...]:
    """Return the alerts that an objective stands for, "NAME (fast)" and so on.

    Raises ConfigurationError for what cannot be read, and for a budget that cannot be burnt so
    fast because every request would have to be bad.
    """
    values = Values(where)
    slo: object = alert.slo
    name: object = alert.name
    if not isinstance(slo, Mapping) or not {"target"} <= set(slo) <= {"target", "good", "period"}:
        raise values.error("slo", EXAMPLE)
    default = Alert(alert.name)
    for key in _SET:
        if getattr(alert, key) != getattr(default, key):
            raise values.error(key, "an objective sets it by itself; remove it")
    budget = 1 - parse_share(str(slo["target"]), where=f"{where}.slo.target")
    if not MIN_BUDGET <= budget < 1:
        raise values.error("slo.target", "an objective lies between 0% and 99.9999%; write 99.9%")
    period_s = values.duration("slo.period", slo.get("period", "30d"))
    if not MIN_PERIOD_S <= period_s <= MAX_PERIOD_S:
        least, most = write_duration(MIN_PERIOD_S), write_duration(MAX_PERIOD_S)
        raise values.error("slo.period", f"a period is {least} to {most} long; write 30d")
    slower_s = _slower_than(values, slo.get("good", "status < 500"))
    severities = _severities(values, alert.severity)
    made = []
    for pace in PACES:
        burnt = round(pace.burn(period_s) * budget, 8)
        if burnt >= 1:
            lowest = 100 - 100 / pace.burn(period_s)
            raise values.error(
                "slo.target",
                f"{pace.burn(period_s):g} × the budget of {write_share(round(budget, 8))} is more "
                f"than all requests; write a target above {lowest:.3g}%",
            )
        when, clear = _condition(burnt, slower_s)
        made.append(
            replace(
                alert,
                name=f"{name} ({pace.name})" if isinstance(name, str) else alert.name,
                slo=None,
                when=when,
                clear=clear,
                over=(pace.short, pace.long),
                every_window=True,
                severity=severities[pace.name],
            )
        )
    return tuple(made)


def _slower_than(values: Values, good: object) -> float | None:
    """Return the duration up to which a request is good; None: it is good unless it failed."""
    text = str(good).strip()
    match = _DURATION.fullmatch(text)
    if match is not None:
        return values.duration("slo.good", match[1])
    if _STATUS.fullmatch(text):
        return None
    raise values.error(
        "slo.good", f"'{text[:40]}' is not known; write status < 500 or duration < 300ms"
    )


def _condition(burnt: float, slower_s: float | None) -> tuple[str, str | None]:
    """Return `when` and `clear` for a share of bad requests."""
    if slower_s is None:
        return f"error_rate > {write_share(burnt)}", None
    # "1.44 % were slower than 300 ms" is "the 98.56th percentile is above 300 ms". The duration
    # is what was promised: a clear threshold below it would ask for more than the objective.
    quantile, limit = write_quantile(round(1 - burnt, 8)), write_duration(slower_s)
    return f"{quantile} > {limit}", f"{quantile} <= {limit}"


def _severities(values: Values, severity: object) -> dict[str, str]:
    """Return the severity of each pace: one for all, or { fast = …, slow = … }."""
    if not isinstance(severity, Mapping):
        return dict.fromkeys(
            (pace.name for pace in PACES), values.choice("severity", severity, SEVERITIES)
        )
    if set(severity) != {"fast", "slow"}:
        raise values.error("severity", 'write { fast = "critical", slow = "warning" }')
    fast, slow = (
        values.choice(f"severity.{name}", severity[name], SEVERITIES) for name in ("fast", "slow")
    )
    return {"fast": fast, "middle": fast, "slow": slow}
