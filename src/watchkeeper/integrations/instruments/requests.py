"""requests: what goes through adapters that do not use urllib3, or while urllib3 is not watched.

Usually an adapter drives urllib3, whose instrument counts each request; then nothing is left to
count here. A session has no hook that sees failures, so adapters' `send` is wrapped; other
classes than requests' own are found when a session chooses one of theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from time import perf_counter
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakSet

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter

from watchkeeper.integrations.outgoing import Drive, drive, host_label, note
from watchkeeper.integrations.patches import Patches
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.observer import Observer

MAX_WRAPPED: Final = 100  # adapters' classes; what is made at run time beyond is not followed

_GUARD: Final = guard("requests")


def install(observer: Observer) -> Callable[[], None]:
    """Record what every session sends; return what undoes that."""
    adapters = _Adapters(observer)
    adapters.follow(HTTPAdapter)
    adapters.patches.wrap(Session, "get_adapter", adapters.choosing)
    return adapters.patches.undo


class _Adapters:
    """The classes of adapters whose `send` is wrapped."""

    def __init__(self, observer: Observer) -> None:
        self.patches = Patches()
        self._observer = observer
        self._known: WeakSet[type] = WeakSet()
        self._wrapped: set[type] = set()

    def choosing(self, choose: Callable[..., Any]) -> Callable[..., Any]:
        """Follow the class of each adapter that a session chooses."""

        @wraps(choose)
        def watched(session: Any, *args: Any, **more: Any) -> Any:
            adapter = choose(session, *args, **more)
            if type(adapter) not in self._known:
                with _GUARD:
                    self.follow(type(adapter))
            return adapter

        return watched

    def follow(self, adapter: type) -> None:
        """Wrap the `send` that a class has, of its own or from a parent."""
        self._known.add(adapter)
        owner = next((one for one in adapter.__mro__ if "send" in vars(one)), None)
        if owner is None or owner in self._wrapped or len(self._wrapped) >= MAX_WRAPPED:
            return
        if self.patches.on:
            self._wrapped.add(owner)
            self.patches.wrap(owner, "send", self._sending)

    def _sending(self, send: Callable[..., Response]) -> Callable[..., Response]:
        @wraps(send)
        def watched(adapter: Any, request: PreparedRequest, *args: Any, **more: Any) -> Response:
            if drive.get() is not None:  # called by the `send` of a subclass
                return send(adapter, request, *args, **more)
            response = None
            driving = Drive()
            token = drive.set(driving)
            start = perf_counter()
            try:
                response = send(adapter, request, *args, **more)
                return response
            finally:
                drive.reset(token)
                if not driving.counted:
                    self._ended(request, response, start)

        return watched

    def _ended(self, request: PreparedRequest, response: Response | None, start: float) -> None:
        try:
            if self.patches.on:
                url = urlsplit(request.url or "")
                note(
                    self._observer,
                    method=request.method or "",
                    host=host_label(url.scheme, url.hostname or "", url.port),
                    status=None if response is None else response.status_code,
                    start=start,
                )
        except Exception as problem:  # noqa: BLE001  # a border: see `Guard.swallow`
            _GUARD.swallow(problem)
