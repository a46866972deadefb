"""Watchkeeper's own pages inside the host: found by path, answered beside its requests."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from watchkeeper.app import Watchkeeper
from watchkeeper.dashboard.http import Request, Response
from watchkeeper.dashboard.probes import probe
from watchkeeper.runtime.guard import guard

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from watchkeeper.dashboard.routes import Dashboard

MAX_PAGES_AT_ONCE: Final = 2  # rendering may not take more than this of the host's time
PROBES: Final = frozenset({"/livez", "/readyz", "/health"})

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
        self._dashboard: Dashboard | None = None
        self._pool: tuple[int, ThreadPoolExecutor] | None = None

    def find(self, path: str, *, root: str) -> Page | None:
        """Return the page that `path` (without the mount point `root`) asks for, if it is ours."""
        prefix = self._prefix
        if path == prefix or path.startswith(prefix + "/"):
            rest = path[len(prefix) :] or "/"
            if self._pages_on or rest in PROBES:
                return Page(root + prefix, rest)
        elif path in self._at_root:
            return Page(root + prefix, path)
        return None

    def probe(self, page: Page) -> Response | None:
        """Answer a health probe from memory; None for any other page."""
        if page.path not in PROBES:
            return None
        with _GUARD:
            watchkeeper = self._watchkeeper
            return probe(watchkeeper.health, page.path, now=watchkeeper.clock(), detailed=False)
        return failure(500)

    def answer(self, request: Request) -> Response:
        """Answer a page; takes its time, so not for an event loop."""
        with _GUARD:
            if self._dashboard is None:
                from watchkeeper.dashboard.routes import Dashboard

                self._dashboard = Dashboard(self._watchkeeper)
            return self._dashboard.handle(request)
        return failure(500)

    async def answer_beside(self, request: Request) -> Response:
        """Answer a page in a thread, two at a time."""
        import asyncio

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads(), self.answer, request)

    def _threads(self) -> "ThreadPoolExecutor":
        from concurrent.futures import ThreadPoolExecutor

        # Threads do not survive a fork, but the pool would still count on them.
        pid = os.getpid()
        if self._pool is None or self._pool[0] != pid:
            pool = ThreadPoolExecutor(MAX_PAGES_AT_ONCE, thread_name_prefix="watchkeeper-page")
            self._pool = pid, pool
        return self._pool[1]


def failure(status: int) -> Response:
    """Return the plainest response of ours."""
    return Response(status=status, headers=(("content-type", "text/plain"),), body=b"")
