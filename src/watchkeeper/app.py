"""The composition: one Watchkeeper per process, built from settings, started and stopped."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Protocol

from watchkeeper.core.metrics import Scope
from watchkeeper.core.units import parse_size
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime import instruments, lifetime, marks, scrubbing
from watchkeeper.runtime import observer as observers
from watchkeeper.runtime.before_store import BeforeStore
from watchkeeper.runtime.channels import make_outbox
from watchkeeper.runtime.configured import (
    keep_to,
    make_engine,
    make_health,
    make_issues,
    make_own_health,
    make_places,
    make_resources,
    make_rules,
    make_upkeep,
    open_channels,
    start_line,
)
from watchkeeper.runtime.expected import expects_here
from watchkeeper.runtime.flusher import STOP_WITHIN_S, Flusher
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.held import Held
from watchkeeper.runtime.observer import Observer
from watchkeeper.runtime.own_cost import OwnCost
from watchkeeper.runtime.parts import Parts
from watchkeeper.runtime.record import RequestContext
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.samples import Sampler
from watchkeeper.runtime.spool import Spool
from watchkeeper.runtime.writer import Writer
from watchkeeper.settings import Loaded, Settings, load

if TYPE_CHECKING:  # loaded when the store is open, so that the host's start does not wait
    from watchkeeper.core.rule import Rule
    from watchkeeper.runtime.alerts import AlertEngine
    from watchkeeper.runtime.endpoints import Endpoint
    from watchkeeper.runtime.known import Known
    from watchkeeper.storage.store import Store

_log = logging.getLogger("watchkeeper")
_lock = threading.Lock()
_current: Watchkeeper | None = None


class Hooks(Protocol):
    """Hooks into the host and its libraries; neither method raises."""

    def install(self) -> None:
        """Hook into what is imported by now; cheap to repeat."""

    def uninstall(self) -> None:
        """Take every hook out again."""


class Watchkeeper:
    """Watches one process: builds the parts from its settings, starts and stops them.

    Made by `watchkeeper.watch`, `asgi` and `wsgi`; there is one per process. Nothing runs and
    nothing is opened before `start`, which the first request calls.
    """

    def __init__(self, loaded: Loaded, *, clock: Callable[[], float] = time.time) -> None:
        """Build every part. Raises ConfigurationError for what code set wrongly."""
        settings = loaded.settings
        self.settings = settings
        self.loaded = loaded
        self.enabled = loaded.enabled
        self.clock = clock
        self.started = self.quiet = False
        self.stop_within_s = STOP_WITHIN_S
        self._ended = self._stopping = False
        self._pid = os.getpid()
        self._births: dict[int, threading.RLock] = {}
        self.scope = Scope(
            service=settings.service,
            environment=settings.environment,
            release=settings.release,
        )
        self.problems = list(loaded.problems)
        self.notifiers = open_channels(loaded, self.problems)
        self.recorder = Recorder(
            self.scope, max_series=settings.max_series, max_routes=settings.max_routes
        )
        self.rules_in_force = make_rules(loaded, self.problems, recorder=self.recorder)
        places = make_places(settings)
        self.issues = make_issues(settings, self.scope, places, on_new=self._hurry, clock=clock)
        self.badness = settings.badness()
        self.observer = Observer(self.recorder, places=places, clock=clock)
        self.observer.start = self.start
        self.observer.capture = self.capture
        self.instruments: Hooks | None = None  # set by the surface that watches, as are these:
        self.hooks: Hooks | None = None  # into what sees the exceptions that nobody catches
        self.sampler = Sampler(
            self.scope, look_from=self._look_from, enabled=settings.samples, clock=clock
        )
        self.sampler.is_ignored = lambda known: self.issues.groups.is_ignored(known)
        self.own_cost = OwnCost(
            self.recorder, slot_s=settings.slot_s, budget=settings.own_cpu_share
        )
        self.own_cost.on_level = self.sampler.set_level
        self.health = make_health(
            loaded, self.problems, clock=clock, on_change=self._hurry, own=self
        )
        self._flusher = Flusher(self._parts())
        self._lock = threading.RLock()  # an error amid a start or a stop calls `start`

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that are in force now."""
        return self.rules_in_force.rules

    @property
    def store(self) -> Store | None:
        """The open store, or None before the first flush and while it cannot be opened."""
        return self._flusher.store

    @property
    def failure(self) -> str:
        """Why nothing is stored, for good, in a sentence; empty while all is well."""
        return self._flusher.failure

    def start(self) -> None:
        """Start watching; further calls do nothing, except in the child of a fork without hooks.

        Prints one line, unless it is `quiet`: a script's words may be somebody's mail.
        Call it where something new is met, too: it costs half a microsecond. It is safe amid a
        start or a stop, and in a finalizer. Where a thread cannot start the next call tries again.
        """
        if self._pid != os.getpid():
            self._begin_here()
        if not self._may_start():
            return
        with guard("start"):
            with self._lock:
                if not self._may_start():
                    return
                self._begin()
            lifetime.began(self)
            self._announce()

    def _begin(self) -> None:
        self.started = True  # first: what the rest meets may call `start`
        try:
            if self.instruments is not None:
                self.instruments.install()  # libraries that were imported since `watch`
            if self.hooks is not None:
                self.hooks.install()
            self._flusher.start(obstacle=self.loaded.obstacle or lifetime.obstacle())
        except BaseException:
            self.started = False
            raise
        self.health.started = True
        self.health.stopped = self.health.draining = False

    def drain(self) -> None:
        """Answer "not ready" from now on: the process is about to end."""
        self.health.draining = True

    def stop(self) -> None:
        """Write what is left and end every thread, within about `stop_within_s`."""
        self.drain()
        self._stopping = True  # an error that is met meanwhile does not start us again
        try:
            with self._lock:
                was_started, self.started = self.started, False
                self.own_cost.look_now()
            # Also when another thread is at it: the process may end as soon as this returns.
            self._flusher.stop(deadline_s=self.stop_within_s)
            if self.hooks is not None:
                self.hooks.uninstall()
        finally:
            self._stopping = False
        self.health.stopped = self.health.stopped or was_started

    def end(self) -> None:
        """Stop and never start again in this process, which is about to end."""
        self._ended = True
        self.stop()

    def outlive(self) -> None:
        """Be ready to start again: the process did not end after all."""
        self._ended = False

    def flush(self) -> None:
        """Write, evaluate and deliver now, in the caller's thread (for scripts and tests)."""
        if self.enabled:
            self._flusher.flush()

    def capture(
        self,
        exc: BaseException,
        *,
        request: RequestContext | None = None,
        endpoint: Endpoint | None = None,
        fingerprint: tuple[str, ...] | None = None,
        context: Mapping[str, object] | None = None,
        level: str = "error",
    ) -> Known | None:
        """Record an exception as an occurrence of its issue; see `Issues.capture`."""
        if self.badness.expect_any and expects_here(self.badness, exc):
            return None
        # by position, which the interpreter passes on twice as fast
        return self.issues.capture(exc, request, endpoint, fingerprint, context, level)

    def forget(self) -> None:
        """Start anew in a forked child, where threads and connections are the parent's."""
        self.started = self._ended = self._stopping = False
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self.recorder.reset()
        self.issues.reset()
        self.observer.reset()
        self.sampler.reset()
        self.health.reset()
        self._flusher.forget()

    def _may_start(self) -> bool:
        return self.enabled and not (self.started or self._stopping or self._ended)

    def _begin_here(self) -> None:
        """Begin anew, once, in a process that was forked without hooks: by a server in C."""
        with self._births.setdefault(os.getpid(), threading.RLock()):  # the parent's may be held
            if self._pid != os.getpid():
                self.forget()

    def _look_from(self, route: str) -> float:
        """Return the duration (seconds) from which on requests of a route are looked at."""
        return min(self.recorder.slow_s, self.badness.of(route).above_s)

    def _wake(self) -> None:
        self._flusher.wake()

    def _hurry(self) -> None:
        self._flusher.hurry()

    def _parts(self) -> Parts:
        settings = self.settings
        return Parts(
            recorder=self.recorder,
            health=self.health,
            rules=self.rules_in_force,
            own_health=make_own_health(self.loaded, self.recorder, self.problems),
            resources=make_resources(settings, self.recorder, self._worker_number),
            writer=Writer(
                scope=self.scope,
                slot_s=settings.slot_s,
                recorder=self.recorder,
                issues=self.issues,
                health=self.health,
                own_cost=self.own_cost,
                observer=self.observer,
                sampler=self.sampler,
                before_store=BeforeStore(settings.before_store),
                held=Held(
                    max_slots=int(settings.seconds("hold") / settings.slot_s),
                    max_bytes=parse_size(settings.hold_bytes, where="hold_bytes"),
                ),
                spool=Spool(
                    self.scope,
                    clock=self.clock,
                    database_url=settings.database_url,
                    setting=settings.spool,
                ),
                capture_crashes=settings.capture_crashes,
                clock=self.clock,
            ),
            open_store=self._open_store,
            migrates=settings.migrate == "auto",
            make_engine=self._make_engine,
            make_outbox=partial(make_outbox, settings, self.notifiers, clock=self.clock),
            make_upkeep=partial(make_upkeep, settings, self.recorder, self.clock),
            clock=self.clock,
            slot_s=settings.slot_s,
            jitter_s=min(settings.seconds("flush_jitter"), settings.slot_s / 5),
        )

    def _open_store(self) -> Store:
        """Open the store; loading the database's packages takes a while."""
        from watchkeeper.storage import open_store

        return open_store(
            self.settings.database_url,
            statement_timeout_s=self.settings.seconds("statement_timeout"),
            prefix=self.settings.table_prefix,
            schema=self.settings.database_schema,
        )

    def _make_engine(self, store: Store, pause: Callable[[], None]) -> AlertEngine:
        """Build the engine once the store is open, and tell the recorder what is trouble."""
        engine = make_engine(
            self.settings,
            self.rules,
            self.notifiers,
            store,
            scope=self.scope,
            now=self.clock(),
            pause=pause,
            health=self.health,
            lost=lambda: self.rules_in_force.lost_channels,
        )
        keep_to(self.rules_in_force, engine, self.recorder, self.sampler, self._wake)
        return engine

    def _worker_number(self) -> str:
        worker = self._flusher.worker
        return str(worker.number) if worker else ""

    def _announce(self) -> None:
        """Log each problem, and print the one line at start."""
        for problem in self.problems:
            _log.warning("watchkeeper: %s", problem)
        if self.quiet:
            return
        with guard("start line"):
            sys.stderr.write(start_line(self.settings, self.notifiers) + "\n")


def current() -> Watchkeeper | None:
    """Return this process' Watchkeeper, if there is one."""
    return _current


def obtain(settings: Settings | None = None) -> Watchkeeper:
    """Return this process' Watchkeeper, making it at the first call.

    Raises ConfigurationError if it exists with other settings: there is one per process.
    """
    global _current  # one per process is the point
    with _lock:
        if _current is not None:
            if settings is not None and settings != _current.loaded.code:
                raise ConfigurationError(
                    "watchkeeper: already set up in this process with other settings; "
                    "pass the same Settings object, or none, to the second call"
                )
            return _current
        made = Watchkeeper(load(settings))
        if made.enabled:
            instruments.bind(made.recorder)
            observers.bind(made.observer)
            marks.use_key(made.settings.secret_key)
            scrubbing.use(made.settings.scrub_rules())
            lifetime.follow(made)
        _current = made
        return made


def forget_current() -> None:
    """Stop and drop this process' Watchkeeper, so that the next call makes a new one (tests)."""
    global _current
    with _lock:
        made, _current = _current, None
    if made is not None:
        instruments.unbind()
        observers.unbind()
        if made.instruments is not None:
            made.instruments.uninstall()
        lifetime.leave()
        made.end()  # an answer that is only now let go must not start it again


def capture_exception(
    exc: BaseException | None = None,
    *,
    fingerprint: tuple[str, ...] | None = None,
    **context: object,
) -> None:
    """Record an exception that was caught, as an occurrence of its issue.

    Without one it is that which is being handled, if any. `fingerprint` groups by these texts
    instead of by place ("{default}" stands for the computed one); `context` is stored with the
    occurrence, scrubbed. Does nothing before `watch`; never raises.
    """
    with guard("capture_exception"):
        made = _current
        error = sys.exception() if exc is None else exc
        if error is not None and made is not None and made.enabled:
            made.start()  # the child of a fork may meet nothing else
            made.capture(error, fingerprint=fingerprint, context=context)


__all__ = ["Watchkeeper", "capture_exception", "current", "forget_current", "obtain"]
