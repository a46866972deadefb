"""The charts: what each of them shows, as numbers for the script and in a sentence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from watchkeeper.dashboard import texts
from watchkeeper.dashboard.views import Figures, IncidentRow, Overview

DIGITS: Final = 4  # of numbers sent to the browser: more than a pixel can show


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a chart: its name and the figure it follows."""

    name: str
    figure: str

    def value(self, figures: Figures | None) -> float | None:
        """Return the line's value at a point; None is a gap."""
        value = None if figures is None else getattr(figures, self.figure)
        return None if value is None else float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart; `summed_up` is the line that its sentence speaks of."""

    id: str
    title: str
    unit: str  # rate | share | seconds
    lines: tuple[Line, ...]
    summed_up: Line

    @property
    def format(self) -> Callable[[float | None], str]:
        """How the chart's values are shown to people."""
        return {"rate": texts.number, "share": texts.share, "seconds": texts.seconds}[self.unit]


_RATE: Final = Line(name="requests/s", figure="requests_per_s")
_ERRORS: Final = Line(name="error rate", figure="error_rate")
_P95: Final = Line(name="p95", figure="p95_s")
_CPU: Final = Line(name="CPU", figure="host_cpu")

CHARTS: Final = (
    Chart(id="rate", title="Requests/s", unit="rate", lines=(_RATE,), summed_up=_RATE),
    Chart(id="errors", title="Error rate", unit="share", lines=(_ERRORS,), summed_up=_ERRORS),
    Chart(
        id="latency",
        title="Latency",
        unit="seconds",
        lines=(
            Line(name="p50", figure="p50_s"),
            _P95,
            Line(name="p99", figure="p99_s"),
        ),
        summed_up=_P95,
    ),
    Chart(
        id="resources",
        title="CPU and memory",
        unit="share",
        lines=(
            _CPU,
            Line(name="memory", figure="host_memory"),
            Line(name="app CPU", figure="app_cpu"),
        ),
        summed_up=_CPU,
    ),
)


def chart(chart_id: str) -> Chart | None:
    """Return a chart by its id."""
    return next((one for one in CHARTS if one.id == chart_id), None)


def summary(one: Chart, view: Overview) -> str:
    """Say in a sentence what a chart shows: "p95 162 ms, peak 2.1 s at 18:59 UTC."."""
    line = one.summed_up
    seen = [
        (value, point.start)
        for point in view.points
        if (value := line.value(point.figures)) is not None
    ]
    if not seen:
        return "No data in this range."
    overall = one.format(line.value(view.figures))
    peak, at = max(seen, key=lambda entry: entry[0])
    gaps = sum(1 for point in view.points if point.figures is None)
    missing = f" {gaps} of {len(view.points)} points have no data." if gaps else ""
    when = texts.clock(at, view.at)
    which = f"{line.name} " if len(one.lines) > 1 else ""
    return f"{which}{overall}, peak {one.format(peak)} at {when} UTC.{missing}"


def series_json(view: Overview, *, refresh_s: float) -> dict[str, Any]:
    """Return the charts' numbers: times, then one list per line; null is a gap."""
    return {
        "at": view.at,
        "start": view.start,
        "end": view.end,
        "step_s": view.step_s,
        "refresh_s": refresh_s,
        "status": view.status.level,
        "times": [point.start for point in view.points],
        "partial": sum(1 for point in view.points if point.partial),
        "marks": [_mark(one, view) for one in view.incidents],
        "releases": [
            {"release": one.release, "at": one.at, "kind": one.kind} for one in view.releases
        ],
        "charts": {
            one.id: {
                "unit": one.unit,
                "lines": [
                    {
                        "name": line.name,
                        "values": _rounded(line.value(point.figures) for point in view.points),
                    }
                    for line in one.lines
                ],
            }
            for one in CHARTS
        },
    }


def _mark(incident: IncidentRow, view: Overview) -> dict[str, Any]:
    return {
        "start": max(incident.since, view.start),
        "end": view.end,
        "severity": incident.severity,
        "rule": incident.rule,
    }


def _rounded(values: Any) -> Sequence[float | None]:
    return [None if value is None else float(f"{value:.{DIGITS}g}") for value in values]
