"""The outcomes of requests: what becomes of one is recorded here, whatever the framework."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from time import time
from typing import Final

from watchkeeper.app import Watchkeeper
from watchkeeper.core.badness import SERVER_ERRORS
from watchkeeper.core.catalogue import (
    HTTP_BAD,
    HTTP_BROKEN,
    HTTP_DISCONNECTS,
    HTTP_DURATION,
    HTTP_EXCUSED,
    HTTP_FIRST_BYTE,
    HTTP_QUEUE,
    HTTP_UNHANDLED,
)
from watchkeeper.core.metrics import QUIET, UNMATCHED, Metric
from watchkeeper.core.queue_time import queue_seconds
from watchkeeper.core.sampling import Reason, RouteChoice
from watchkeeper.integrations.endpoints import endpoint_of
from watchkeeper.runtime.endpoints import Endpoint
from watchkeeper.runtime.expected import expects
from watchkeeper.runtime.ids import new_id
from watchkeeper.runtime.live import NOWHERE, LiveSeries
from watchkeeper.runtime.record import Inside, Record, RequestContext, Taken

METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
)
OTHER_METHOD: Final = "_OTHER"  # OpenTelemetry's word for a method outside the standard set
FAILED: Final = 500  # statuses from here on are failures
REQUEST_ID: Final = "X-Request-ID"  # the header that ids come with, unless another is set
MAX_REQUEST_ID_CHARS: Final = 64

_ID_CHARS: Final = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/+=@"
)


class Route:
    """One route: its template, its endpoint's code and what is known of its answers."""

    __slots__ = (
        "_endpoints",
        "answers",
        "endpoint",
        "is_quiet",
        "is_recorded",
        "methods",
        "template",
    )

    def __init__(
        self,
        template: str,
        *,
        endpoint: Callable[..., object] | None = None,
        methods: frozenset[str] = frozenset(),
        is_recorded: bool = True,
        is_quiet: bool = False,
    ) -> None:
        """Describe a route; no `methods` means any, `is_recorded` off that none is counted.

        A quiet one is counted together with all others that nobody waits for, as static files.
        """
        self.is_recorded = is_recorded
        self.is_quiet = is_quiet
        self.template = template
        self.endpoint = endpoint
        self.methods = methods
        self.answers: dict[tuple[str, int], Answer] = {}
        self._endpoints: dict[str, Endpoint | None] = {}

    def answering(self, method: str) -> Endpoint | None:
        """Return what answers requests of a method, the same one each time."""
        endpoints = self._endpoints
        if method not in endpoints:
            method = standard(method)
            endpoints.setdefault(method, endpoint_of(self.endpoint, method))
        return endpoints[method]


@dataclass(frozen=True, slots=True)
class _Fixed:
    """In the place of a choice: which answers need a look, once and for all."""

    above: float


_ALWAYS: Final = _Fixed(-1.0)
_NEVER: Final = _Fixed(inf)


class Answer:
    """The answers of one route to one method with one status.

    `record` adds the seconds of one, or who cannot pay for a call does what it does: see
    `LiveSeries.inlet`. Those above `choice.above`, and those with something inside, need
    `Outcomes.look` as well.
    """

    __slots__ = ("choice", "fold", "method", "pending", "record", "route", "status")

    def __init__(
        self,
        route: Route,
        method: str,
        status: int,
        *,
        series: LiveSeries,
        choice: RouteChoice | _Fixed,
    ) -> None:
        """Describe answers; `choice` tells which of them need a look."""
        self.route = route
        self.method = method
        self.status = status
        self.record = series.record
        self.pending = series.inlet()
        self.fold = series.fold
        self.choice = choice


class Exchange(Record):
    """One request and its response, as its wrapper sees it from outside of the application.

    Its wrapper makes it for every request, and sets all fields itself: to call an `__init__`
    costs more than what it does.
    """

    __slots__ = ("status",)

    status: int

    def sent_id(self) -> str:
        """Return the request's id as the client sent it."""
        raise NotImplementedError

    def request_id(self) -> str:
        """Return the request's id: all that is told of it has the same one."""
        inside = self.opened()
        if not inside.request_id:
            inside.request_id = safe_id(self.sent_id()) or new_id()
        return inside.request_id

    def note_queue(self, header: str, seconds: float) -> None:
        """Note how long it waited before it began, so many seconds ago, by a proxy's header."""
        waited = queue_seconds(header, now=time() - seconds) if header else None
        if waited is not None:
            self.opened().queue_s = waited


class Outcomes:
    """Records outcomes. Its methods may raise: each caller stands inside a guard."""

    def __init__(self, watchkeeper: Watchkeeper) -> None:
        """Record with a Watchkeeper's recorder and issues."""
        self._watchkeeper = watchkeeper
        self._recorder = watchkeeper.recorder
        self._observer = watchkeeper.observer
        self._sampler = watchkeeper.sampler
        self._badness = watchkeeper.badness
        self._quiet = frozenset(watchkeeper.settings.quiet_routes)
        self.unmatched = Route(UNMATCHED)

    def answer(self, route: Route, method: str, status: int) -> Answer:
        """Return what records the answers of a route with this method and status."""
        answer = route.answers.get((method, status))
        if answer is None:
            answer = self._made(route, method, status)
        return answer

    def finished(self, exchange: Exchange, route: Route, method: str, seconds: float) -> None:
        """Count a request that was answered after so many seconds."""
        answer = self.answer(route, method, exchange.status or FAILED)
        answer.record(seconds)
        if seconds > answer.choice.above or exchange.inside is not None:
            self.look(exchange, answer, seconds)

    def look(self, exchange: Exchange, answer: Answer, seconds: float) -> None:
        """Look closer at an answered request: slow, bad, to be stored, or with calls inside."""
        route = self._label(answer.route)
        if not answer.route.is_recorded:
            return
        inside = exchange.inside
        if inside is not None:
            if inside.spans or inside.folded:
                inside = inside.cut()  # what a background task does is not part of the answer
                self._observer.finish(inside, route, seconds)
            if inside.first_byte_s or inside.queue_s:
                self._note_times(inside, route)
        badness = self._badness.of(route)
        bad = badness.is_bad(answer.status, seconds)
        if bad != (answer.status in SERVER_ERRORS):
            self._correct(exchange, answer.route, answer.method, bad=bad)
        if bad or seconds > self._recorder.slow_s:
            self._recorder.note_bad()
        self._sample(exchange, inside, answer, seconds, bad=bad)

    def ended(self, exchange: Exchange, route: Route) -> None:
        """Record what came after the answer: calls of background tasks, the issue of a failure."""
        inside = exchange.inside
        if not route.is_recorded:
            return
        if inside is not None and (inside.spans or inside.folded):
            self._observer.finish(inside, self._label(route), None)
        if inside is not None and inside.failure is not None:
            failure, inside.failure = inside.failure, None
            if not inside.excused:
                self._sampler.keep_failed(failure, inside.issue)

    def broken(self, exchange: Exchange, route: Route, method: str, seconds: float) -> None:
        """Count a request whose response was cut off by the application."""
        self.finished(exchange, route, method, seconds)
        if exchange.status and exchange.status < FAILED:
            self._count(HTTP_BROKEN, route, method)
            self._recorder.note_bad()

    def unhandled(self, route: Route, method: str) -> None:
        """Count an exception after a complete response below 500."""
        self._count(HTTP_UNHANDLED, route, method)
        self._recorder.note_bad()

    def disconnected(self, route: Route, method: str) -> None:
        """Count a request whose client left before the response was complete."""
        self._count(HTTP_DISCONNECTS, route, method)

    def is_expected(self, exc: BaseException, route: Route) -> bool:
        """Tell whether the settings expect an exception on this route."""
        rules = self._badness
        return rules.expect_any and expects(rules.of(route.template), exc)

    def excuse(self, exchange: Exchange, route: Route, method: str) -> None:
        """Take a failure back that was counted: its exception is an expected one."""
        if self._badness.of(route.template).is_bad(exchange.status or FAILED, 0.0):
            self._correct(exchange, route, method, bad=False)

    def capture(
        self, exc: BaseException, exchange: Exchange, route: Route, *, method: str, status: int
    ) -> None:
        """Record an exception of a request as an issue."""
        if not route.is_recorded:
            return
        if self.is_expected(exc, route):
            if status >= FAILED:
                self.excuse(exchange, route, method)
            return
        issue = self._watchkeeper.issues.capture(
            exc,
            request=self.context(exchange, route, method=method, status=status),
            endpoint=route.answering(method),
        )
        if issue is not None:
            exchange.opened().issue = issue

    def context(
        self, exchange: Exchange, route: Route, *, method: str, status: int
    ) -> RequestContext:
        """Describe a request."""
        return RequestContext(
            method=standard(method),
            route=route.template,
            status=status,
            request_id=exchange.request_id(),
        )

    def _made(self, route: Route, method: str, status: int) -> Answer:
        self._watchkeeper.start()  # does nothing, unless this process was forked without hooks
        name = standard(method)
        if not route.is_recorded:
            return Answer(route, name, status, series=NOWHERE, choice=_NEVER)
        badness = self._badness.of(route.template)
        is_bad = status in badness.statuses
        series = self._recorder.series(
            HTTP_DURATION, {"method": name, "route": self._label(route), "status": str(status)}
        )
        choice: RouteChoice | _Fixed = _ALWAYS
        if not is_bad and status not in SERVER_ERRORS:
            quiet = self._label(route) == QUIET
            choice = _NEVER if quiet else self._sampler.choice(route.template)
        answer = Answer(
            route,
            name,
            status,
            series=series,
            choice=choice,
        )
        if name is method or name == method:  # other methods are without bound: not remembered
            route.answers[method, status] = answer
        return answer

    def _note_times(self, inside: Inside, route: str) -> None:
        series = self._recorder.series
        if inside.first_byte_s:
            series(HTTP_FIRST_BYTE, {"route": route}).record(inside.first_byte_s)
        if inside.queue_s:
            series(HTTP_QUEUE, {"route": route}).record(inside.queue_s)

    def _correct(self, exchange: Exchange, route: Route, method: str, *, bad: bool) -> None:
        """Count that the settings see a request otherwise than its status says, once."""
        inside = exchange.opened()
        if inside.excused:
            return
        self._count(HTTP_BAD if bad else HTTP_EXCUSED, route, method)
        inside.excused = not bad

    def _sample(
        self,
        exchange: Exchange,
        inside: Inside | None,
        answer: Answer,
        seconds: float,
        *,
        bad: bool,
    ) -> None:
        choice = answer.choice if isinstance(answer.choice, RouteChoice) else None
        reason: Reason | None = Reason.FAILED
        at = self._sampler.now()
        if not bad:
            reason = choice.choose(seconds) if choice and seconds > choice.above else None
        elif inside is not None and not self._sampler.may_keep(exchange.opened().issue, at=at):
            return  # one of many: nothing is made of it
        if reason is None:
            return
        if inside is not None and inside is exchange.inside:
            inside = inside.cut()
        taken = Taken(
            inside,
            start=exchange.start,
            at=at,
            reason=reason,
            method=answer.method,
            route=answer.route.template,
            status=answer.status,
            seconds=seconds,
            request_id=exchange.request_id(),
            choice=choice,
        )
        if bad:
            exchange.opened().failure = taken  # looked at again at its end, with its issue
        else:
            self._sampler.keep(taken)

    def _count(self, metric: Metric, route: Route, method: str) -> None:
        if route.is_recorded:
            labels = {"method": standard(method), "route": self._label(route)}
            self._recorder.series(metric, labels).record(1)

    def _label(self, route: Route) -> str:
        """Return the route as metrics name it."""
        return QUIET if route.is_quiet or route.template in self._quiet else route.template


def standard(method: str) -> str:
    """Return the method if it is one of the standard set, else "_OTHER"."""
    return method if method in METHODS else OTHER_METHOD


def safe_id(text: str) -> str:
    """Return a request id that came from outside if it is short and harmless, else nothing."""
    if len(text) <= MAX_REQUEST_ID_CHARS and _ID_CHARS.issuperset(text):
        return text
    return ""
