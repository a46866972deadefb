"""Watchkeeper's own pages inside the host: found by path, answered beside its requests."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from watchkeeper.app import Watchkeeper
from watchkeeper.dashboard.http import Request, Response, is_loopback
from watchkeeper.dashboard.ping import answer_ping, is_ping
from watchkeeper.dashboard.probe_formats import answer
from watchkeeper.dashboard.probes import PROBES, asked, look, needs_visitor, refused
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.pings import Pings

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

    from watchkeeper.dashboard.routes import Dashboard

MAX_PAGES_AT_ONCE: Final = 2  # rendering may not take more than this of the host's time

_GUARD: Final = guard("dashboard")


@dataclass(frozen=True, slots=True)
class Page:
    """An address of ours: `root` as the browser sees it, `path` the rest."""

    root: str
    path: str


class OwnPages:
    """Finds and serves what lives under the prefix (and the probes at the root, if wanted)."""

    def __init__(self, watchkeeper: Watchkeeper) -> None:
        """Serve for a Watchkeeper."""
        settings = watchkeeper.settings
        self._watchkeeper = watchkeeper
        self._prefix = settings.dashboard_prefix
        self._at_root = PROBES if settings.health_at_root else frozenset[str]()
        self._pages_on = settings.dashboard
        # Whether the host has a route of its own at a path; whoever knows its router says so.
        self.is_taken: Callable[[str], bool] = _never
        self._free: dict[str, bool] = {}  # what was found, for its routes stay as they are
        self._pings = Pings(watchkeeper.observer.jobs)
        # Each with its process: in a forked child, locks and threads of the parent's stand still.
        self._dashboard: tuple[int, Dashboard] | None = None
        self._pool: tuple[int, ThreadPoolExecutor] | None = None

    def find(self, path: str, *, root: str) -> Page | None:
        """Return the page that `path` (without the mount point `root`) asks for, if it is ours."""
        prefix = self._prefix
        if path == prefix or path.startswith(prefix + "/"):
            rest = path[len(prefix) :] or "/"
            if (probe := "/" + rest.strip("/")) in PROBES:  # answered the same, however written
                rest = probe
            if self._pages_on or rest in PROBES or is_ping(rest):
                return Page(root + prefix, rest)
        elif path in self._at_root and self._is_free(path):
            return Page(root + prefix, path)
        return None

    def _is_free(self, path: str) -> bool:
        """Tell whether a probe may have a path at the root: the host's own route goes first."""
        if path not in self._free:
            free = True  # also where the host's router cannot be asked
            with _GUARD:
                free = not self.is_taken(path)
            self._free[path] = free
        return self._free[path]

    def probe(self, request: Request) -> Response | None:
        """Answer a health probe from memory; None for any other page.

        Also None for a probe whose answer depends on who asks: that is a page like the others.
        """
        if request.path not in PROBES:
            return None
        with _GUARD:
            return refused(request) or self._probed(request)
        return failure(500)

    def ping(self, page: Page, method: str, body: bytes) -> Response:
        """Answer a job's ping from memory."""
        with _GUARD:
            return answer_ping(self._pings, method, page.path, body)
        return failure(500)

    def answer(self, request: Request) -> Response:
        """Answer a page; takes its time, so not for an event loop."""
        with _GUARD:
            return self._shown().handle(request)
        return failure(500)

    async def beside(self, answer: "Callable[..., Response]", *given: object) -> Response:
        """Answer in a thread, two at a time."""
        import asyncio

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads(), answer, *given)

    def _probed(self, request: Request) -> Response | None:
        """Answer a stranger, or whoever is let in without a door.

        A stranger would learn by `exclude` which check it is that fails.
        """
        watchkeeper, wanted = self._watchkeeper, asked(request)
        settings = watchkeeper.settings
        is_open = self._pages_on and settings.open_access and is_loopback(request)
        has_auth = settings.auth is not None
        if self._pages_on and needs_visitor(request, wanted, has_auth=has_auth, is_open=is_open):
            return None
        outcome = look(
            watchkeeper.health,
            request.path,
            now=watchkeeper.clock(),
            excluded=wanted.excluded if is_open else frozenset(),
        )
        notes = [watchkeeper.failure] if watchkeeper.failure else []
        return answer(outcome, wanted, scope=watchkeeper.scope, detailed=is_open, notes=notes)

    def _shown(self) -> "Dashboard":
        from watchkeeper.dashboard.routes import Dashboard

        pid = os.getpid()
        if self._dashboard is None or self._dashboard[0] != pid:
            self._dashboard = pid, Dashboard(self._watchkeeper)
        return self._dashboard[1]

    def _threads(self) -> "ThreadPoolExecutor":
        from concurrent.futures import ThreadPoolExecutor

        pid = os.getpid()
        if self._pool is None or self._pool[0] != pid:
            pool = ThreadPoolExecutor(MAX_PAGES_AT_ONCE, thread_name_prefix="watchkeeper-page")
            self._pool = pid, pool
        return self._pool[1]


def _never(path: str) -> bool:
    """Stand for a host of which no routes are known."""
    return False


def failure(status: int) -> Response:
    """Return the plainest response of ours."""
    return Response(status=status, headers=(("content-type", "text/plain"),), body=b"")
