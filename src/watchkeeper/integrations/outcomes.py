"""The outcomes of requests: what becomes of one is recorded here, whatever the framework."""

from collections.abc import Callable
from functools import partial
from types import CodeType
from typing import Final
from uuid import uuid4

from watchkeeper.app import Watchkeeper
from watchkeeper.core.catalogue import (
    HTTP_BROKEN,
    HTTP_DISCONNECTS,
    HTTP_DURATION,
    HTTP_UNHANDLED,
)
from watchkeeper.core.metrics import UNMATCHED, Metric
from watchkeeper.runtime.record import RequestContext
from watchkeeper.runtime.recorder import LiveSeries

METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
)
OTHER_METHOD: Final = "_OTHER"  # OpenTelemetry's word for a method outside the standard set
FAILED: Final = 500  # statuses from here on are failures
MAX_REQUEST_ID_CHARS: Final = 64
MAX_UNWRAPPED: Final = 10  # decorators around an endpoint that are looked through

_ID_CHARS: Final = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/+=@"
)


class Route:
    """One route: its template, its endpoint's code and the series that its requests go to."""

    __slots__ = ("endpoint", "methods", "series", "template")

    def __init__(
        self,
        template: str,
        *,
        endpoint: Callable[..., object] | None = None,
        methods: frozenset[str] = frozenset(),
    ) -> None:
        """Describe a route; no `methods` means any."""
        self.template = template
        self.endpoint = endpoint
        self.methods = methods
        self.series: dict[tuple[str, int], LiveSeries] = {}


class Outcomes:
    """Records outcomes. Its methods may raise: each caller stands inside a guard."""

    def __init__(self, watchkeeper: Watchkeeper) -> None:
        """Record with a Watchkeeper's recorder and issues."""
        self._watchkeeper = watchkeeper
        self._recorder = watchkeeper.recorder
        self.unmatched = Route(UNMATCHED)

    def finished(self, route: Route, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered with `status` after so many seconds."""
        series = route.series.get((method, status))
        if series is None:
            series = self._series(route, method, status)
        series.record(seconds)
        if status >= FAILED or seconds > self._recorder.slow_s:
            self._recorder.note_bad()

    def broken(self, route: Route, method: str, status: int, seconds: float) -> None:
        """Count a request whose response was cut off by the application."""
        self.finished(route, method, status, seconds)
        if status < FAILED:
            self._count(HTTP_BROKEN, route, method)
            self._recorder.note_bad()

    def unhandled(self, route: Route, method: str) -> None:
        """Count an exception after a complete response below 500."""
        self._count(HTTP_UNHANDLED, route, method)
        self._recorder.note_bad()

    def disconnected(self, route: Route, method: str) -> None:
        """Count a request whose client left before the response was complete."""
        self._count(HTTP_DISCONNECTS, route, method)

    def capture(
        self, exc: BaseException, route: Route, *, method: str, status: int, request_id: str = ""
    ) -> None:
        """Record an exception of a request as an issue."""
        self._watchkeeper.issues.capture(
            exc,
            request=RequestContext(
                method=standard(method),
                route=route.template,
                status=status,
                request_id=safe_id(request_id) or uuid4().hex,
            ),
            endpoint=code_of(route.endpoint),
        )

    def _series(self, route: Route, method: str, status: int) -> LiveSeries:
        name = standard(method)
        series = self._recorder.series(
            HTTP_DURATION, {"method": name, "route": route.template, "status": str(status)}
        )
        if name is method or name == method:  # other methods are without bound: not remembered
            route.series[method, status] = series
        return series

    def _count(self, metric: Metric, route: Route, method: str) -> None:
        labels = {"method": standard(method), "route": route.template}
        self._recorder.series(metric, labels).record(1)


def standard(method: str) -> str:
    """Return the method if it is one of the standard set, else "_OTHER"."""
    return method if method in METHODS else OTHER_METHOD


def safe_id(text: str) -> str:
    """Return a request id that came from outside if it is short and harmless, else nothing."""
    if len(text) <= MAX_REQUEST_ID_CHARS and _ID_CHARS.issuperset(text):
        return text
    return ""


def code_of(endpoint: object) -> CodeType | None:
    """Return the code of an endpoint behind its decorators and partials."""
    for _ in range(MAX_UNWRAPPED):
        if isinstance(endpoint, partial):
            endpoint = endpoint.func
        elif (inner := getattr(endpoint, "__wrapped__", None)) is not None:
            endpoint = inner
        else:
            break
    code = getattr(endpoint, "__code__", None)
    return code if isinstance(code, CodeType) else None
