"""Series that are made when an hour is sealed: what pages would else add up each time."""

from collections.abc import Callable, Iterable

from watchkeeper.core.catalogue import HTTP_ALL, HTTP_DURATION, SELF_UP
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.hours import HOUR_S, MINUTE_S
from watchkeeper.core.metrics import Metric, Series
from watchkeeper.core.slot import Frame, Gauge, Value

UP = Gauge(1.0, 1.0, 1.0)


def make(
    frames: Iterable[Frame],
    made: dict[Series, dict[int, Value]],
    *,
    pause: Callable[[], object],
) -> None:
    """Add to `made` (series → minute → value) what minute frames of one hour add up to.

    For each scope: of which minutes there is something, and the time of all requests by class of
    status. Frames may come in any parts of their series; `pause` is called before each.
    """
    for frame in frames:
        pause()
        minute = frame.key.start % HOUR_S // MINUTE_S
        for series, value in frame.values.items():
            made.setdefault(_series(SELF_UP, series), {})[minute] = UP
            if series.metric == HTTP_DURATION.name and isinstance(value, Histogram):
                status = f"{series.label('status')[:1]}xx"
                minutes = made.setdefault(_series(HTTP_ALL, series, status=status), {})
                whole = minutes.get(minute)
                if isinstance(whole, Histogram):
                    whole.merge(value)
                else:
                    minutes[minute] = value.copy()


def _series(metric: Metric, one: Series, **own: str) -> Series:
    """Return the made series of the scope that a series is of, whatever its release."""
    scope = {name: one.label(name) for name in ("environment", "service")}
    labels = tuple(sorted({**scope, **own}.items()))
    return Series(metric.name, metric.kind, labels, metric.across)
