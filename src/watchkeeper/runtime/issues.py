"""The errors of this process: each is counted exactly, some are sampled, none is kept alive.

In the request an error costs a walk over its trace and one addition; samples are taken at the
1st, 2nd, 4th, 8th … occurrence of a group in a slot. Their shaping is `take`'s, in the flusher.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import CodeType, MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

from watchkeeper.core.fingerprint import Rule
from watchkeeper.core.metrics import Scope
from watchkeeper.core.scrub import plain
from watchkeeper.runtime.bare import State, members_of, state_of
from watchkeeper.runtime.budgets import Budget
from watchkeeper.runtime.details import is_expected
from watchkeeper.runtime.events import NO_REQUEST, Sample, event_of
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.known import Knowing, Known, known_by
from watchkeeper.runtime.memo import Memo
from watchkeeper.runtime.occurrences import BEYOND, ERROR, Group, Occurrence, count_of
from watchkeeper.runtime.own_fingerprint import OwnFingerprint
from watchkeeper.runtime.places import Places
from watchkeeper.runtime.record import RequestContext, current
from watchkeeper.runtime.seen import SEEN, mark_seen, was_seen
from watchkeeper.runtime.texts import thread as _thread
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

_NO_CONTEXT: Final[Mapping[str, object]] = MappingProxyType({})
_CAPTURE = guard("capture")
_GUARD = guard("exception attributes", of_host=True)
_ON_NEW = guard("wake after a new issue")


class Issues:
    """Captures errors from any thread; bounded, and never raises into the caller.

    `dropped` counts the occurrences that went to the "(other)" issue because the slot had
    `max_issues` groups, `dropped_samples` the samples that were due but over a budget.
    """

    def __init__(
        self,
        scope: Scope,
        *,
        places: Places | None = None,
        rule: Rule | None = None,
        own: Callable[[BaseException], object] | None = None,
        max_issues: int = MAX_ISSUES,
        on_new: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Tell by `places` whose code it is, and group by `rule`, or by what `own` returns.

        `on_new` is called, outside of locks, when this process sees an issue for the first time.
        """
        self._scope = scope
        self._traces = Traces(places)
        self._knowing = Knowing(rule or Rule(), self._traces.statements)
        self._own = OwnFingerprint(own)
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
        self.is_pressing = False  # whether one of those is new, and cannot wait for the slot's end
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
        level: str = ERROR,
    ) -> Known | None:
        """Count an error and return what it is known as; the flusher may ask for its fingerprint.

        None if it is not counted: this very object was captured before, it is an expected one (a
        cancellation, a disconnect, an HTTP answer below 500), or it happened within Watchkeeper.
        User and tags are those of the request or job that runs, as is `request` unless given.
        `endpoint` is the code of the view, task or command; `fingerprint` groups in the user's
        way; an exception's own `__watchkeeper_fingerprint__` comes before it, the configured
        function after it.
        """
        return _apart(self._capture, exc, request, endpoint, fingerprint, context, level)

    def pass_over(self, exc: BaseException) -> None:
        """Take an exception as captured: it only carries another one that is."""
        mark_seen(state_of(exc))

    def report(self, told: Told, *, at: float | None = None) -> Known | None:
        """Count an error of which there is no exception here, and return what it is known as.

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
        if occurrence.known.key not in self._seen_before:
            self.is_pressing = True

    def known(
        self,
        exc: BaseException,
        *,
        endpoint: CodeType | None = None,
        fingerprint: object = None,
    ) -> Known:
        """Return what an error would be grouped as, without counting it; see `capture`."""
        key = self._traces.key(exc, endpoint)
        known = None if key is None else self._memo.get(key)
        if known is None:
            codes = () if key is None else self._traces.codes(exc, endpoint)
            known = self._knowing.of(self._traces.describe(exc, endpoint), codes=codes)
            if key is not None:
                self._memo.put(key, known)
        own = self._own.of(exc, fingerprint)
        return known_by(own, known) if own else known

    def take(
        self, *, pause: Callable[[], None] | None = None
    ) -> tuple[list[IssueCount], list[Event]]:
        """Return and forget the counts and the samples since the last call, shaped for a store.

        Reads source files and scrubs: for the flusher's thread. `pause` is called after each
        new group and event, so that a busy process gets its turn.
        """
        if _thread.inside:
            return [], []
        _thread.inside = True
        try:
            self._count_late()
            with self._lock:
                groups, self._groups = self._groups, {}
                samples, self._samples = self._samples, []
            counts = [count_of(group) for group in self._settled(groups.values(), pause)]
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
        own: object,
        context: Mapping[str, object],
        level: str,
    ) -> Known | None:
        state = state_of(exc)
        if self._is_nothing(exc, state):
            return None
        known = self.known(exc, endpoint=endpoint, fingerprint=own)
        mark_seen(state)
        return self._add(known, self._clock(), exc, request, context, level)

    def _report(self, told: Told, at: float | None) -> Known | None:
        known = self._memo.get(told.key)
        if known is None:
            known = self._knowing.of(told.describe(), culprit=told.culprit)
            self._memo.put(told.key, known)
        at = self._clock() if at is None else at
        return self._add(known, at, told, None, told.context, told.level)

    def _hold(self, exc: BaseException, context: Mapping[str, object]) -> Occurrence | None:
        if self._is_nothing(exc, state_of(exc)):
            return None
        known = self.known(exc)
        at = self._clock()
        sample = None
        if self._held_budget.take(at):  # most are never counted: those of others stay untouched
            sample = self._sample(known, known.key, at, exc, None, context)
        return Occurrence(known=known, at=at, sample=sample)

    def _is_nothing(self, exc: BaseException, state: State) -> bool:
        """Tell whether an error was captured before, or is an expected one.

        A group was if all that it holds were, as by a task that logs why it fails.
        """
        if SEEN in state and was_seen(state, current.get()):
            return True
        kind = self._traces.kind(type(exc))
        if kind.group and all(SEEN in state_of(inner) for inner in members_of(exc)):
            return True
        return kind.expectable and _is_expected(exc)

    def _sample(
        self,
        known: Known,
        key: str,
        at: float,
        error: BaseException | Told,
        request: RequestContext | None,
        context: Mapping[str, object],
    ) -> Sample | None:
        """Take a sample if one is due.

        Before the error is counted and outside the lock, since the exception's text is made by
        the host's code; so no group is ever counted first without its sample at hand.
        """
        group = self._groups.get(key)
        count = 1 if group is None else group.count + 1
        if not _is_due(count) or not self._budget(count).has_any(at):
            return None
        record = current.get()
        inside = record.inside if record is not None else None
        if request is None and record is not None:
            request = record.describe()
        return Sample(
            known=known,
            at=at,
            snapshot=self._snapshot(error),
            request=request or NO_REQUEST,
            context=plain(dict(context)) if context else {},
            user=inside.user if inside is not None else "",
            tags=dict(inside.tags) if inside is not None else {},
        )

    def _snapshot(self, error: BaseException | Told) -> Snapshot:
        if isinstance(error, BaseException):
            return self._traces.snapshot(error)
        return error.snapshot()

    def _add(
        self,
        known: Known,
        at: float,
        error: BaseException | Told,
        request: RequestContext | None,
        context: Mapping[str, object],
        level: str,
    ) -> Known:
        """Count an error, with a sample if one is due."""
        key = known.key  # once: the flusher may settle it meanwhile
        sample = self._sample(known, key, at, error, request, context)
        with self._lock:
            is_new = self._count(known, key, at, sample, level)
        if is_new and self._on_new is not None:
            with _ON_NEW:
                self._on_new()
        return known

    def _count_late(self) -> None:
        self.is_pressing = False
        while self._late:
            one = self._late.popleft()
            with self._lock:
                self._count(one.known, one.known.key, one.at, one.sample, one.level)

    def _count(self, known: Known, key: str, at: float, sample: Sample | None, level: str) -> bool:
        """Add one, and keep the sample if it is due; return whether the issue is new here."""
        group = self._groups.get(key)
        is_new = False
        if group is None:
            if len(self._groups) >= self._max_issues:
                self._count_overflow(at)
                return False
            group = self._groups[key] = Group(known, at)
            is_new = key not in self._seen_before
            self._remember(key)
        group.count += 1
        group.last_at = max(group.last_at, at)  # one that comes late is older
        if level != ERROR:
            group.level = level
        if _is_due(group.count):
            self._keep(sample, group, at)
        return is_new

    def _remember(self, key: str) -> None:
        self._seen_before[key] = None
        self._seen_before.move_to_end(key)
        if len(self._seen_before) > MAX_KNOWN:
            self._seen_before.popitem(last=False)

    def _settled(self, groups: Iterable[Group], pause: Callable[[], None] | None) -> list[Group]:
        """Give the groups of a slot their fingerprints; those that come out equal are one."""
        settled: dict[str, Group] = {}
        for group in groups:
            is_new = not group.known.is_settled
            value = BEYOND.key
            with _CAPTURE:
                value = group.known.fingerprint
            if value == BEYOND.key and group.known is not BEYOND:
                self.dropped += group.count
                group.known = BEYOND
            if value in settled:
                settled[value].add(group)
            else:
                settled[value] = group
            with self._lock:
                self._remember(value)
            if pause is not None and is_new:
                pause()
        return list(settled.values())

    def _keep(self, sample: Sample | None, group: Group, at: float) -> None:
        has_room = len(self._samples) < MAX_SAMPLES_HELD
        if sample is None or not has_room or not self._budget(group.count).take(at):
            self.dropped_samples += 1
            return
        group.sample = group.sample or sample
        self._samples.append(sample)

    def _count_overflow(self, at: float) -> None:
        self.dropped += 1
        group = self._groups.get(BEYOND.key)
        if group is None:
            group = self._groups[BEYOND.key] = Group(BEYOND, at)
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
    with _GUARD:
        return is_expected(exc)
    return False
