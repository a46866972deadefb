"""The dashboard's addresses: one plain function from request to response."""

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl

from watchkeeper.dashboard import pages
from watchkeeper.dashboard.access import Access, Visitor
from watchkeeper.dashboard.api import overview_json, trouble_json
from watchkeeper.dashboard.assets import asset_response
from watchkeeper.dashboard.charts import chart, series_json
from watchkeeper.dashboard.endpoints import endpoint
from watchkeeper.dashboard.health import probed
from watchkeeper.dashboard.http import Request, Response, json_response
from watchkeeper.dashboard.login import Login
from watchkeeper.dashboard.message_links import MessageLinks
from watchkeeper.dashboard.pages import Shell
from watchkeeper.dashboard.parameters import MAX_ID_DIGITS, ParameterError
from watchkeeper.dashboard.probes import PROBES
from watchkeeper.dashboard.queries import issue_page, overview
from watchkeeper.dashboard.responses import failed, html, not_allowed, packed, secured, see_other
from watchkeeper.dashboard.status import storage_trouble
from watchkeeper.dashboard.views import Overview
from watchkeeper.dashboard.visit import Visit, Watched
from watchkeeper.dashboard.windows import parse_window
from watchkeeper.exceptions import StorageError
from watchkeeper.runtime.guard import guard
from watchkeeper.storage.store import Store
from watchkeeper.storage.turns import give_way

REFRESH_S: Final = 10.0
MAX_CPU_SHARE: Final = 0.05  # of one core, for refreshing one open page
MAX_PARAMETERS: Final = 20
MAX_KEPT: Final = 8  # overviews kept for the script that asks right after its page
MAX_NOTES: Final = 5
NOBODY_IS_TOLD: Final = "Nobody is told: no channel is set, so alerts are only stored and shown."
_NOT_OPEN: Final = "it could not be opened yet."


class Dashboard:
    """Serves everything below the prefix, probes where it matters who asks; safe in threads."""

    def __init__(self, wk: Watched) -> None:
        """Take whom to show; nothing is read or imported before the first request."""
        settings = wk.settings
        self._wk = wk
        self._access = Access(
            password=settings.password,
            secret_key=settings.secret_key,
            auth=settings.auth,
            open_access=settings.open_access,
        )
        self._login = Login(self._access, wk.scope)
        self._links = MessageLinks(wk.scope, settings.secret_key)
        self._kept: OrderedDict[str, Overview] = OrderedDict()
        self._cost_s = 0.0
        self._lock = threading.Lock()

    def handle(self, request: Request) -> Response:
        """Answer a request; never raises. Reads the store, so not for an event loop's thread."""
        response = failed()
        with guard("dashboard"):
            response = self._answer(request)
        if request.method == "HEAD":
            response = replace(response, body=b"")
        return secured(response)

    def _answer(self, request: Request) -> Response:
        request = replace(request, path="/" + request.path.strip("/"))
        if request.path in PROBES:
            return probed(self._wk, self._access, request)
        if request.method not in ("GET", "HEAD", "POST"):
            return not_allowed("GET, HEAD, POST")
        static = asset_response(request)
        if static is not None:
            return static
        shell = Shell(root=request.root)
        visitor = None
        try:
            store = self._wk.store
            visitor = self._access.visitor(request, store)
            if store is None:
                raise StorageError(self._wk.failure or _NOT_OPEN)
            return self._let_in(request, shell, store, visitor)
        except StorageError as error:
            is_in = visitor is not None and visitor.is_in
            return self._trouble(request, shell, str(error) if is_in else "please try again.")

    def _let_in(self, request: Request, shell: Shell, store: Store, visitor: Visitor) -> Response:
        now = self._wk.clock()
        try:
            query = _query(request)
            window = parse_window(query, now=now)
        except ValueError as error:
            return _refused(request, shell, str(error))
        linked = self._links.answer(request, shell, store, query, now=now)
        if linked is not None:
            return linked
        if request.path in ("/login", "/logout"):
            return self._door(request, shell, store, visitor, query, now=now)
        if request.method == "POST":
            return not_allowed("GET, HEAD")
        if not visitor.is_in:
            if request.path.startswith("/api/"):
                return json_response({"error": "closed"}, status=403)
            return self._login.closed(request, shell, store)
        scope = self._wk.scope
        shell = replace(
            shell,
            is_in=True,
            notice=self._wk.failure,
            service=scope.service,
            environment=scope.environment,
            form_token=self._access.form_token(request, store, session=visitor.session)[0]
            if visitor.session
            else "",
        )
        return self._dispatch(
            Visit(request=request, store=store, shell=shell, window=window, query=query, now=now)
        )

    def _door(
        self,
        request: Request,
        shell: Shell,
        store: Store,
        visitor: Visitor,
        query: Mapping[str, str],
        *,
        now: float,
    ) -> Response:
        posted = request.method == "POST"
        if request.path == "/logout":
            if not posted:
                return not_allowed("POST")
            return self._login.sign_out(request, store, visitor, now=now)
        if posted:
            return self._login.sign_in(request, shell, store, now=now)
        if visitor.is_in and "token" not in query:
            return see_other(f"{request.root}/")
        return self._login.page(request, shell, store, query)

    def _dispatch(self, visit: Visit) -> Response:
        for pattern, show in _TABLE:
            found = pattern.fullmatch(visit.request.path)
            if found:
                return show(self, visit, *found.groups())
        answer = endpoint(visit.request.path)
        if answer is not None:
            return self._json(visit, answer)
        return _not_found(visit, "There is no such page.")

    def _json(self, visit: Visit, answer: Callable[[Watched, Visit], Any]) -> Response:
        try:
            content = answer(self._wk, visit)
        except ParameterError as error:
            return _refused(visit.request, visit.shell, str(error))
        if content is None:
            return _not_found(visit, "There is no such thing; it may have been deleted.")
        return packed(visit.request, json_response(content))

    def _overview(self, visit: Visit) -> Response:
        return self._draw(visit, whole=True)

    def _live(self, visit: Visit) -> Response:
        return self._draw(visit, whole=False)

    def _draw(self, visit: Visit, *, whole: bool) -> Response:
        view = self._view(visit)
        body = pages.overview_page(
            replace(visit.shell, page="overview"),
            view,
            visit.window,
            slot_s=self._wk.settings.slot_s,
            refresh_s=self._refresh_s(view),
            notes=self._notes(),
            whole=whole,
        )
        response = html(body)
        # The whole page holds a secret (the form's token) and what the URL says: never packed.
        return response if whole else packed(visit.request, response)

    def _chart(self, visit: Visit, chart_id: str) -> Response:
        one = chart(chart_id)
        if one is None:
            return _not_found(visit, "There is no such chart.")
        body = pages.chart_page(visit.shell, one, self._view(visit), visit.window)
        return html(body)

    def _issue(self, visit: Visit, issue_id: str) -> Response:
        page = issue_page(visit.store, int(issue_id), now=visit.now)
        if page is None or page.issue.scope.place != self._wk.scope.place:
            return _not_found(visit, "There is no such issue; it may have been deleted.")
        return html(pages.issue_page(visit.shell, page))

    def _overview_json(self, visit: Visit) -> Response:
        return packed(visit.request, json_response(overview_json(self._view(visit))))

    def _series_json(self, visit: Visit) -> Response:
        view = self._view(visit)
        content = series_json(view, refresh_s=self._refresh_s(view))
        return packed(visit.request, json_response(content))

    def _view(self, visit: Visit) -> Overview:
        """Compose the overview, or take the one that was composed a moment ago."""
        window = visit.window
        slot_s = self._wk.settings.slot_s
        with self._lock:
            kept = self._kept.get(window.query)
        if kept is not None and 0 <= visit.now - kept.at < min(slot_s / 2, REFRESH_S / 4):
            return kept
        scope = self._wk.scope
        began_s = time.thread_time()
        view = overview(
            visit.store,
            service=scope.service,
            environment=scope.environment,
            start=window.start,
            end=window.end,
            now=visit.now,
            slot_s=slot_s,
            pause=give_way,
        )
        with self._lock:
            self._cost_s = time.thread_time() - began_s
            self._kept[window.query] = view
            self._kept.move_to_end(window.query)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return view

    def _refresh_s(self, view: Overview) -> float:
        """Return the seconds between looks: fewer with short slots, more with long points.

        A page left open takes at most a twentieth of a core of the host's.
        """
        quick_s = min(REFRESH_S, 3.0 * self._wk.settings.slot_s)
        return round(max(quick_s, view.step_s / 6, self._cost_s / MAX_CPU_SHARE), 1)

    def _notes(self) -> list[str]:
        told = [] if self._wk.settings.channels else [NOBODY_IS_TOLD]
        return [*told, *self._wk.problems][:MAX_NOTES]

    def _trouble(self, request: Request, shell: Shell, problem: str) -> Response:
        status = storage_trouble(problem)
        if request.path.startswith("/api/"):
            return json_response(trouble_json(status), status=503)
        body = pages.message_page(
            shell,
            status.sentence,
            lines=("Whether the application is well is not known.",),
            level=status.level,
        )
        return html(body, ("retry-after", "10"), status=503)


_TABLE: Final[tuple[tuple[re.Pattern[str], Callable[..., Response]], ...]] = (
    (re.compile(r"/"), Dashboard._overview),
    (re.compile(r"/live"), Dashboard._live),
    (re.compile(r"/charts/([a-z]+)"), Dashboard._chart),
    (re.compile(rf"/errors/([0-9]{{1,{MAX_ID_DIGITS}}})", re.ASCII), Dashboard._issue),
    (re.compile(r"/api/v1/overview\.json"), Dashboard._overview_json),
    (re.compile(r"/api/v1/series\.json"), Dashboard._series_json),
)


def _query(request: Request) -> dict[str, str]:
    try:
        fields = parse_qsl(request.query, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise ValueError("The address has too many parameters.") from None
    return dict(fields)


def _refused(request: Request, shell: Shell, problem: str) -> Response:
    if request.path.startswith("/api/"):
        return json_response({"error": problem}, status=400)
    body = pages.message_page(shell, "This address cannot be read.", lines=(problem,), back=True)
    return html(body, status=400)


def _not_found(visit: Visit, problem: str) -> Response:
    if visit.request.path.startswith("/api/"):
        return json_response({"error": problem}, status=404)
    body = pages.message_page(visit.shell, problem, back=True)
    return html(body, status=404)
