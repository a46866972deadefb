"""The errors of this process: each is counted exactly, some are sampled, none is kept alive.

In the request an error costs a walk over its trace and one addition; samples are taken at the
1st, 2nd, 4th, 8th … occurrence of a group in a slot. Their shaping is `take`'s, in the flusher.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import CodeType, MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

from watchkeeper.core.fingerprint import customize, fingerprint
from watchkeeper.core.metrics import OTHER, Scope
from watchkeeper.core.scrub import plain
from watchkeeper.runtime.budgets import Budget
from watchkeeper.runtime.details import is_expected
from watchkeeper.runtime.events import NO_REQUEST, Sample, event_of
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.memo import Memo
from watchkeeper.runtime.occurrences import BEYOND, Group, Known, Occurrence, count_of
from watchkeeper.runtime.record import RequestContext, current
from watchkeeper.runtime.told import Told
from watchkeeper.runtime.traces import Snapshot, Traces

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from watchkeeper.storage.store import Event, IssueCount

MAX_ISSUES: Final = 1_000  # groups of one slot; the rest is counted in one more
MAX_KNOWN: Final = 10_000  # fingerprints that are remembered as not new
MAX_SAMPLES_HELD: Final = 500  # between two flushes
MAX_LATE: Final = 10_000  # errors that wait to be counted by the flusher
SAMPLES_PER_S: Final = 20
FIRST_SAMPLES_PER_S: Final = 100

R = TypeVar("R")

_SEEN: Final = "__watchkeeper_seen__"  # our mark on a captured exception
_OWN: Final = "__watchkeeper_fingerprint__"  # the user's fingerprint on an exception
_NO_CONTEXT: Final[Mapping[str, object]] = MappingProxyType({})
_CAPTURE = guard("capture")
_EXPECTED = guard("exception attributes")
_ON_NEW = guard("wake after a new issue")


class _Thread(threading.local):
    inside: bool = False  # an error within capture or take is never captured itself


_thread = _Thread()


class Issues:
    """Captures errors from any thread; bounded, and never raises into the caller.

    `dropped` counts the occurrences that went to the "(other)" issue because the slot had
    `max_issues` groups, `dropped_samples` the samples that were due but over a budget.
    """

    def __init__(
        self,
        scope: Scope,
        *,
        project_root: str | None = None,
        max_issues: int = MAX_ISSUES,
        on_new: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Show files relative to `project_root` (default: the working directory).

        `on_new` is called, outside of locks, when this process sees an issue for the first time.
        """
        self._scope = scope
        self._traces = Traces(project_root)
        self._max_issues = max_issues
        self._on_new = on_new
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Forget everything counted, and the locks: for the child of a fork."""
        self.dropped = 0
        self.dropped_samples = 0
        self._lock = threading.Lock()
        self._groups: dict[str, Group] = {}
        self._samples: list[Sample] = []
        # Appending and taking are atomic, so this is safe where a lock of ours may be held.
        self._late: deque[Occurrence] = deque(maxlen=MAX_LATE)
        self.is_pressing = (
            False  # whether one of those is new, and should not wait for the slot's end
        )
        self._seen_before: OrderedDict[str, None] = OrderedDict()
        self._memo = Memo()
        self._samples_budget = Budget(SAMPLES_PER_S)
        self._first_budget = Budget(FIRST_SAMPLES_PER_S)
        self._held_budget = Budget(SAMPLES_PER_S)

    def capture(
        self,
        exc: BaseException,
        *,
        request: RequestContext | None = None,
        endpoint: CodeType | None = None,
        fingerprint: Sequence[str] | None = None,
        context: Mapping[str, object] = _NO_CONTEXT,
        level: str = "error",
    ) -> str | None:
        """Count an error and return its fingerprint.

        None if it is not counted: this very object was captured before, it is an expected one (a
        cancellation, a disconnect, an HTTP answer below 500), or it happened within Watchkeeper.
        User and tags are those of the request or job that runs, as is `request` unless given.
        `endpoint` is the code of the view, task or command; `fingerprint` groups in the user's
        way, and an exception's own `__watchkeeper_fingerprint__` comes before it.
        """
        return _apart(self._capture, exc, request, endpoint, fingerprint, context, level)

    def pass_over(self, exc: BaseException) -> None:
        """Take an exception as captured: it only carries another one that is."""
        exc.__dict__[_SEEN] = True

    def report(self, told: Told, *, at: float | None = None) -> str | None:
        """Count an error of which there is no exception here, and return its fingerprint.

        `at`: when it happened, in seconds since the epoch, if that is not now. None as `capture`.
        """
        return _apart(self._report, told, at)

    def hold(
        self, exc: BaseException, *, context: Mapping[str, object] = _NO_CONTEXT
    ) -> Occurrence | None:
        """Describe an error that is counted by `later`, or never; None as `capture`.

        Takes no lock, and does not mark the exception, which others may see meanwhile.
        """
        return _apart(self._hold, exc, context)

    def later(self, occurrence: Occurrence) -> None:
        """Let the flusher count an error that was described; takes no lock.

        So it may be called amid a collection of garbage, in whatever code that came.
        """
        if len(self._late) >= MAX_LATE:
            self.dropped += 1
            return
        self._late.append(occurrence)
        if occurrence.known.fingerprint.value not in self._seen_before:
            self.is_pressing = True

    def take(
        self, *, pause: Callable[[], None] | None = None
    ) -> tuple[list[IssueCount], list[Event]]:
        """Return and forget the counts and the samples since the last call, shaped for a store.

        Reads source files and scrubs: for the flusher's thread. `pause` is called after each
        event, so that a busy process gets its turn.
        """
        if _thread.inside:
            return [], []
        _thread.inside = True
        try:
            self._count_late()
            with self._lock:
                groups, self._groups = self._groups, {}
                samples, self._samples = self._samples, []
            counts = [count_of(group) for group in groups.values()]
            events = []
            for sample in samples:
                with _CAPTURE:
                    events.append(event_of(sample, release=self._scope.release))
                if pause is not None:
                    pause()
            return counts, events
        finally:
            _thread.inside = False

    def _capture(
        self,
        exc: BaseException,
        request: RequestContext | None,
        endpoint: CodeType | None,
        own: Sequence[str] | None,
        context: Mapping[str, object],
        level: str,
    ) -> str | None:
        state = exc.__dict__
        if self._is_nothing(exc, state):
            return None
        known = self._known(exc, endpoint)
        own = getattr(exc, _OWN, None) or own
        if own:
            known = replace(known, fingerprint=customize(known.fingerprint, _texts(own)))
        if level != known.level:
            known = replace(known, level=level)
        state[_SEEN] = True
        at = self._clock()
        return self._add(known, at, self._sample(known, at, exc, request, context))

    def _report(self, told: Told, at: float | None) -> str | None:
        known = self._memo.get(told.key)
        if known is None:
            raised = told.describe()
            made = fingerprint(raised)
            made = replace(made, culprit=told.culprit or made.culprit)
            known = Known(type=raised.type, fingerprint=made, level=told.level)
            self._memo.put(told.key, known)
        at = self._clock() if at is None else at
        return self._add(known, at, self._sample(known, at, told, None, told.context))

    def _hold(self, exc: BaseException, context: Mapping[str, object]) -> Occurrence | None:
        if self._is_nothing(exc, exc.__dict__):
            return None
        known = self._known(exc, None)
        own = getattr(exc, _OWN, None)
        if own:
            known = replace(known, fingerprint=customize(known.fingerprint, _texts(own)))
        at = self._clock()
        sample = None
        if self._held_budget.take(at):  # most are never counted: those of others stay untouched
            sample = self._sample(known, at, exc, None, context)
        return Occurrence(known=known, at=at, sample=sample)

    def _is_nothing(self, exc: BaseException, state: Mapping[str, object]) -> bool:
        """Tell whether an error was captured before, or is an expected one.

        A group was if all that it holds were, as by a task that logs why it fails.
        """
        if _SEEN in state:
            return True
        if isinstance(exc, BaseExceptionGroup) and all(
            _SEEN in inner.__dict__ for inner in exc.exceptions
        ):
            return True
        return self._traces.kind(type(exc)).expectable and _is_expected(exc)

    def _sample(
        self,
        known: Known,
        at: float,
        error: BaseException | Told,
        request: RequestContext | None,
        context: Mapping[str, object],
    ) -> Sample | None:
        """Take a sample if one is due.

        Before the error is counted and outside the lock, since the exception's text is made by
        the host's code; so no group is ever counted first without its sample at hand.
        """
        group = self._groups.get(known.fingerprint.value)
        count = 1 if group is None else group.count + 1
        if not _is_due(count) or not self._budget(count).has_any(at):
            return None
        record = current.get()
        inside = record.inside if record is not None else None
        if request is None and record is not None:
            request = record.describe()
        return Sample(
            fingerprint=known.fingerprint,
            at=at,
            snapshot=self._snapshot(error),
            request=request or NO_REQUEST,
            context=plain(dict(context)) if context else {},
            user=inside.user if inside is not None else "",
            tags=dict(inside.tags) if inside is not None else {},
        )

    def _snapshot(self, error: BaseException | Told) -> Snapshot:
        return (
            self._traces.snapshot(error) if isinstance(error, BaseException) else error.snapshot()
        )

    def _add(self, known: Known, at: float, sample: Sample | None) -> str:
        with self._lock:
            is_new = self._count(known, at, sample)
        if is_new and self._on_new is not None:
            with _ON_NEW:
                self._on_new()
        return known.fingerprint.value

    def _count_late(self) -> None:
        self.is_pressing = False
        while self._late:
            one = self._late.popleft()
            with self._lock:
                self._count(one.known, one.at, one.sample)

    def _known(self, exc: BaseException, endpoint: CodeType | None) -> Known:
        key = self._traces.key(exc, endpoint)
        found = None if key is None else self._memo.get(key)
        if found is not None:
            return found
        known = Known(
            type=self._traces.kind(type(exc)).name,
            fingerprint=fingerprint(self._traces.describe(exc, endpoint)),
            codes=() if key is None else self._traces.codes(exc, endpoint),
        )
        if key is not None:
            self._memo.put(key, known)
        return known

    def _count(self, known: Known, at: float, sample: Sample | None) -> bool:
        """Add one, and keep the sample if it is due; return whether the issue is new here."""
        value = known.fingerprint.value
        group = self._groups.get(value)
        is_new = False
        if group is None:
            if len(self._groups) >= self._max_issues:
                self._count_overflow(at)
                return False
            group = self._groups[value] = Group(known, at)
            is_new = value not in self._seen_before
            self._seen_before[value] = None
            self._seen_before.move_to_end(value)
            if len(self._seen_before) > MAX_KNOWN:
                self._seen_before.popitem(last=False)
        group.count += 1
        group.last_at = max(group.last_at, at)  # one that comes late is older
        if _is_due(group.count):
            self._keep(sample, group, at)
        return is_new

    def _keep(self, sample: Sample | None, group: Group, at: float) -> None:
        has_room = len(self._samples) < MAX_SAMPLES_HELD
        if sample is None or not has_room or not self._budget(group.count).take(at):
            self.dropped_samples += 1
            return
        group.sample = group.sample or sample
        self._samples.append(sample)

    def _count_overflow(self, at: float) -> None:
        self.dropped += 1
        group = self._groups.get(BEYOND.value)
        if group is None:
            group = Group(Known(type=OTHER, fingerprint=BEYOND), at)
            self._groups[BEYOND.value] = group
        group.count += 1
        group.last_at = at

    def _budget(self, count: int) -> Budget:
        return self._first_budget if count == 1 else self._samples_budget


def _apart(work: Callable[..., R], *given: object) -> R | None:
    """Do it within our border; None if this thread is within it already, or if it failed."""
    if _thread.inside:
        return None
    _thread.inside = True
    try:
        with _CAPTURE:
            return work(*given)
        return None
    finally:
        _thread.inside = False


def _is_due(count: int) -> bool:
    return count & (count - 1) == 0  # a power of two


def _is_expected(exc: BaseException) -> bool:
    with _EXPECTED:
        return is_expected(exc)
    return False


def _texts(own: object) -> list[str]:
    """Return the user's fingerprint as texts, whatever was given."""
    parts = plain([own] if isinstance(own, str) else own)
    return [str(part) for part in parts] if isinstance(parts, list) else [str(parts)]
