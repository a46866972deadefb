"""The samples of this process: requests that are stored with what happened inside."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import time
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from watchkeeper.core.metrics import OTHER, Scope
from watchkeeper.core.sampling import (
    SHOWN_SPANS,
    WINDOW_S,
    FailedLimit,
    Level,
    Reason,
    RouteChoice,
    own_seconds,
)
from watchkeeper.core.scrub import clean, cut
from watchkeeper.runtime import scrubbing
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.observer import totals
from watchkeeper.runtime.operations import Operation
from watchkeeper.runtime.record import Inside, Taken

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from watchkeeper.runtime.known import Known
    from watchkeeper.storage.store import Sample

MAX_HELD: Final = 500  # between two flushes
MAX_CHOICES: Final = 1_000  # routes that are chosen from; further ones share one choice
MAX_SPAN_CHARS: Final = 500
MAX_TAG_CHARS: Final = 200

_SHAPING = guard("sample")


class Sampler:
    """Chooses, holds and shapes samples; bounded, and safe in any thread.

    `dropped` counts those that were chosen and had no room. Of errors that `is_ignored` names (the
    flusher asks, since it may read source files) no failed request is stored.
    """

    def __init__(
        self,
        scope: Scope,
        *,
        look_from: Callable[[str], float],
        enabled: bool = True,
        clock: Callable[[], float] = time,
    ) -> None:
        """Sample for a scope; with `enabled` off, nothing ever.

        `look_from` tells for a route from which duration (seconds) on others want a look.
        """
        self._look_from = look_from
        self._scope = scope
        self._most = Level.FULL if enabled else Level.NONE
        self._affordable = Level.FULL  # by what watching costs
        self._room = Level.FULL  # by the room that there is for samples
        self._clock = clock
        self.dropped = 0
        self.is_ignored: Callable[[Known], bool] = lambda _: False
        self.level = self._most
        self._choices: dict[str, RouteChoice] = {}
        self._window_ends = clock() + WINDOW_S
        self.reset()

    def reset(self) -> None:
        """Forget what is held, and a lock that another thread held when the process forked."""
        self._lock = Lock()
        self._held: list[Taken] = []
        self._limit = FailedLimit()

    def choice(self, route: str) -> RouteChoice:
        """Return what chooses among the requests of a route."""
        with self._lock:
            choice = self._choices.get(route)
            if choice is None and len(self._choices) >= MAX_CHOICES:
                route = OTHER
                choice = self._choices.get(route)
            if choice is None:
                choice = RouteChoice(self.level, look_from=self._look_from(route))
                self._choices[route] = choice
            return choice

    def refresh(self) -> None:
        """Ask again from which duration on others want a look: it has changed."""
        with self._lock:
            for route, choice in self._choices.items():
                choice.look_from(self._look_from(route))

    def set_level(self, level: Level) -> None:
        """Sample more or less from now on, never more than is switched on and has room."""
        self._affordable = level
        self._settle()

    def limit(self, level: Level) -> None:
        """Sample no more than this from now on, for want of room."""
        if level is not self._room:
            self._room = level
            self._settle()

    def _settle(self) -> None:
        with self._lock:
            self.level = min(self._affordable, self._room, self._most)
            for choice in self._choices.values():
                choice.limit(self.level)

    def now(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self._clock()

    def keep(self, taken: Taken) -> None:
        """Hold a chosen request until the next flush."""
        with self._lock:
            if len(self._held) < MAX_HELD:
                self._held.append(taken)
            else:
                self.dropped += 1

    def may_keep(self, issue: Known | None, *, at: float) -> bool:
        """Tell whether a request that failed with an issue may be held; takes no lock."""
        if self.level is Level.NONE:
            return False
        return issue is None or self._limit.has_room(issue.key, at=at)

    def keep_failed(self, taken: Taken, issue: Known | None) -> None:
        """Hold a failed request, if few of its issue (or of its route and status) came before."""
        taken.issue = issue
        if self.level is Level.NONE:
            return
        key = f"{taken.route} {taken.status}" if issue is None else issue.key
        with self._lock:
            admitted = self._limit.admits(key, at=taken.at)
        if admitted:
            self.keep(taken)

    def take(self, *, pause: Callable[[], None] | None = None) -> list[Sample]:
        """Return and forget what is held, shaped for a store; begin new windows when it is time.

        A slow request that three slower ones of its window have overtaken is left out.
        """
        with self._lock:
            held, self._held = self._held, []
        samples = []
        for taken in held:
            overtaken = taken.choice is not None and not taken.choice.holds(taken.seconds)
            if taken.reason is Reason.SLOW and overtaken:
                continue
            with _SHAPING:
                if taken.issue is not None and self.is_ignored(taken.issue):
                    continue
                samples.append(self._shaped(taken))
            if pause is not None:
                pause()
        self._begin_windows()
        return samples

    def _begin_windows(self) -> None:
        now = self._clock()
        if now < self._window_ends and self._window_ends - now <= 2 * WINDOW_S:
            return
        self._window_ends = now + WINDOW_S
        with self._lock:
            for choice in self._choices.values():
                choice.begin(self.level)

    def _shaped(self, taken: Taken) -> Sample:
        from watchkeeper.storage.store import Sample

        failed = None if taken.issue is None else taken.issue.settle()
        return Sample(
            id=uuid4().hex,
            at=taken.at,
            reason=taken.reason.value,
            method=taken.method,
            route=scrubbing.name(taken.route),
            status=taken.status,
            duration_s=taken.seconds,
            request_id=scrubbing.name(taken.request_id),
            fingerprint="" if failed is None else failed.value,
            path="" if failed is None else failed.path,
            release=self._scope.release,
            data=_data(taken),
        )


def _data(taken: Taken) -> dict[str, Any]:
    """Shape what was inside; see `storage.records.Sample`."""
    inside = taken.inside
    kinds = totals(inside)[0] if inside is not None else {}
    plain = {kind.value: figures for kind, figures in kinds.items()}
    calls = {kind: figures for kind, figures in plain.items() if kind != "own"}
    data: dict[str, Any] = {
        "kinds": {kind: [count, round(seconds, 6)] for kind, (count, seconds) in plain.items()},
        "own_s": round(own_seconds(taken.seconds, calls), 6),
        "spans": [],
        "omitted": 0,
    }
    if inside is not None:
        data |= _waterfall(inside, taken.start, taken.seconds)
        data |= {
            name: value
            for name, value in (
                ("queue_s", inside.queue_s),
                ("first_byte_s", inside.first_byte_s),
                ("user", inside.user),
                ("tags", scrubbing.mapping(inside.tags, limit=MAX_TAG_CHARS)),
            )
            if value
        }
    return data


def _span_name(operation: Operation) -> str:
    """Return a span's name without secrets; a statement's values are left out already."""
    if operation.statement:
        return cut(clean(operation.name), MAX_SPAN_CHARS)
    return scrubbing.text(operation.name, limit=MAX_SPAN_CHARS)


def _waterfall(inside: Inside, start: float, total: float) -> dict[str, Any]:
    """Return the slowest spans in the order in which they began, and how many are left out."""
    spans = [span for span in list(inside.spans) if 0 <= span[1] - start <= total]
    shown = sorted(spans, key=lambda span: span[2], reverse=True)[:SHOWN_SPANS]
    more = sum(count for count, _ in inside.folded.values())
    return {
        "spans": [
            {
                "kind": operation.kind.value,
                "name": _span_name(operation),
                "statement": operation.statement,
                "start_s": round(began - start, 6),
                "seconds": round(seconds, 6),
            }
            for operation, began, seconds in sorted(shown, key=lambda span: span[1])
        ],
        "omitted": len(spans) - len(shown) + more,
    }
