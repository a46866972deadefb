"""The errors of this process: each is counted exactly, some are sampled, none is kept alive.

In the request an error costs a walk over its trace and one addition; samples are taken at the
1st, 2nd, 4th, 8th … occurrence of a group in a slot. Their shaping is `take`'s, in the flusher.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

from watchkeeper.core.fingerprint import Rule
from watchkeeper.core.metrics import Scope
from watchkeeper.core.scrub import plain
from watchkeeper.runtime.bare import State, members_of, state_of
from watchkeeper.runtime.budgets import Budget
from watchkeeper.runtime.details import is_expected
from watchkeeper.runtime.endpoints import Endpoint
from watchkeeper.runtime.events import NO_REQUEST, Sample, event_of
from watchkeeper.runtime.groups import SAMPLES_PER_S, Groups
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.known import Knowing, Known, known_by, parts_of
from watchkeeper.runtime.latest import Latest
from watchkeeper.runtime.links import inner_of
from watchkeeper.runtime.memo import Memo
from watchkeeper.runtime.occurrences import BEYOND, ERROR, Occurrence, counts_of
from watchkeeper.runtime.own_fingerprint import OwnFingerprint
from watchkeeper.runtime.places import Places
from watchkeeper.runtime.record import Inside, Record, RequestContext, current, where_of
from watchkeeper.runtime.seen import SEEN, mark_seen, was_seen
from watchkeeper.runtime.texts import thread as _thread
from watchkeeper.runtime.told import Told
from watchkeeper.runtime.traces import Kind, Snapshot, Traces

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from watchkeeper.storage.store import Event, IssueCount

MAX_ISSUES: Final = 1_000  # groups of one slot; the rest is counted in one more
MAX_LATE: Final = 100_000  # errors that wait to be counted; the oldest are lost, see `later`
MAX_MARKED: Final = 1_000  # of what a group holds
MAX_DEPTH: Final = 2  # of finalizers amid a capture: a dropped object's, a collection's in that
MANY_LATE: Final = 5_000  # from here on nobody waits for the flusher
NEW_TRACES_PER_S: Final = 100  # looked at while the slot is full; the rest is only counted

R = TypeVar("R")

_NO_CONTEXT: Final[Mapping[str, object]] = MappingProxyType({})
_GUARD = guard("capture")
_EXPECTED = guard("exception attributes", of_host=True)
_SAMPLE = guard("sample of an error", of_host=True)
_ON_NEW = guard("wake after a new issue")


class Issues:
    """Captures errors from any thread; bounded, and never raises into the caller."""

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
        self.groups = Groups(self._max_issues)
        # Appending and taking are atomic, so this is safe where a lock of ours may be held.
        self._late: deque[Occurrence] = deque(maxlen=MAX_LATE)
        self.is_pressing = False  # whether one of those is new, and cannot wait for the slot's end
        self._memo = Memo()
        self._latest = Latest(self._traces)
        self._held_budget = Budget(SAMPLES_PER_S)
        self._new_budget = Budget(NEW_TRACES_PER_S)

    def capture(
        self,
        exc: BaseException,
        request: RequestContext | None = None,
        endpoint: Endpoint | None = None,
        fingerprint: Sequence[str] | None = None,
        context: Mapping[str, object] | None = None,
        level: str = ERROR,
    ) -> Known | None:
        """Count an error and return what it is known as; the flusher may ask for its fingerprint.

        None if it is not counted: this very object was captured before, it is an expected one (a
        cancellation, a disconnect, an HTTP answer below 500), or it happened within Watchkeeper.
        User and tags are those of the request or job that runs, as is `request` unless given.
        `endpoint` is the code of the view, task or command; `fingerprint` groups as the user says:
        an exception's own `__watchkeeper_fingerprint__` comes before it, a configured one after.
        """
        if _thread.inside:
            return None
        try:
            if fingerprint is None and level == ERROR:
                # In a storm it is nearly always the latest. This way takes no lock and, but for
                # `_described`, runs no code of others: a finalizer may enter it anew.
                known = self._latest.get(exc, endpoint)
                if known is not None and (inlet := known.inlet) is not None:
                    state = exc.__dict__  # plainly, as the latest are
                    state[SEEN] = perf_counter()
                    record = current.get()
                    if record is not None:
                        request = request or _described(record)
                        where = where_of(request, record.inside)
                    else:
                        where = None if request is None else where_of(request, None)
                    if inlet.take(known, self._clock(), where):
                        return known
                    state.pop(SEEN, None)
        except Exception as error:  # noqa: BLE001  # as `_apart`, a call less where each counts
            _GUARD.swallow(error)
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
        self,
        exc: BaseException,
        *,
        context: Mapping[str, object] = _NO_CONTEXT,
        elsewhere: bool = False,
    ) -> Occurrence | None:
        """Describe an error that is counted by `later`, or never; None as `capture`.

        Takes no lock, and does not mark the exception, which others may see meanwhile. One that
        happened `elsewhere` is none of the request that runs. So it may be called amid a capture,
        by a collection of garbage in it, MAX_DEPTH deep; what is deeper is counted as dropped.
        """
        if _thread.inside > MAX_DEPTH:
            self.groups.dropped += 1
        record = None if elsewhere else current.get()
        return _apart(self._hold, exc, context, record, depth=MAX_DEPTH)

    def later(self, occurrence: Occurrence) -> None:
        """Let the flusher count an error that was described; takes no lock.

        So it may be called amid a collection of garbage, in whatever code that came. When many
        wait they are counted here, unless the counts are being changed in this moment: only what
        comes amid one addition, beyond MAX_LATE, is lost, and counted as dropped.
        """
        if len(self._late) >= MAX_LATE:
            self.groups.dropped += 1
        self._late.append(occurrence)
        if not self.groups.has_met(occurrence.known.key):
            self.is_pressing = True
        if len(self._late) >= MANY_LATE:
            self.groups.add_late(self._late, wait=False)

    def known(
        self,
        exc: BaseException,
        *,
        endpoint: Endpoint | None = None,
        fingerprint: object = None,
    ) -> Known:
        """Return what an error would be grouped as, without counting it; see `capture`.

        While the slot is full only a few traces that were not met before are looked at; the others
        are of the group of all others.
        """
        known = self._looked_up(exc, endpoint)
        asks_class = self._traces.kind(type(exc)).may_have_own
        own = self._own.of(exc, fingerprint, asks_class=asks_class)
        return self._by(own, known) if own else known

    def _looked_up(self, exc: BaseException, endpoint: Endpoint | None) -> Known:
        """Return what an error is known as by its key, which is made of its whole trace."""
        key = self._traces.key(exc, endpoint)
        known = self._memo.get(key)
        if known is not None:
            if not self._own.has_function:
                self._latest.put(exc, endpoint, known)
            return known
        if self.groups.is_full and not self._new_budget.take(self._clock()):
            return BEYOND
        known = self._knowing.of(
            self._traces.describe(exc, endpoint), kept=self._traces.kept(exc, endpoint)
        )
        self._memo.put(key, known)
        return known

    def _by(self, own: Sequence[str], computed: Known) -> Known:
        """Return what an error with the user's own fingerprint is known as: one for each trace."""
        parts = parts_of(own)
        key = (computed, *parts)
        known = self._memo.get(key)
        if known is None:
            known = known_by(parts, computed)
            self._memo.put(key, known)
        return known

    def take(
        self, *, pause: Callable[[], None] | None = None
    ) -> tuple[list[IssueCount], list[Event]]:
        """Return and forget the counts and the samples since the last call, shaped for a store.

        Reads source files and scrubs: for the flusher's thread. `pause` is called after each
        new group and event, so that a busy process gets its turn.
        """
        if _thread.inside:
            return [], []
        _thread.inside = 1
        try:
            self.is_pressing = False
            self.groups.add_late(self._late, wait=True)
            groups, samples = self.groups.take(self._clock())
            settled = self.groups.settled(groups, pause=pause)
            counts = [count for group in settled for count in counts_of(group)]
            events = []
            for sample in samples:
                with _GUARD:
                    if self.groups.is_ignored(sample.known):
                        continue
                    events.append(event_of(sample, release=self._scope.release))
                if pause is not None:
                    pause()
            return counts, events
        finally:
            _thread.inside = 0

    def _capture(
        self,
        exc: BaseException,
        request: RequestContext | None,
        endpoint: Endpoint | None,
        own: object,
        context: Mapping[str, object] | None,
        level: str,
    ) -> Known | None:
        state, record = state_of(exc), current.get()
        kind = self._traces.kind(type(exc))
        if (kind.is_special or SEEN in state) and self._is_nothing(exc, state, record, kind):
            return None
        known = self.known(exc, endpoint=endpoint, fingerprint=own)
        mark_seen(state)
        if kind.group:  # what it holds is counted with it
            for inner in islice(inner_of(exc), MAX_MARKED):
                mark_seen(state_of(inner))
        return self._add(known, self._clock(), exc, record, request, context, level)

    def _report(self, told: Told, at: float | None) -> Known | None:
        known = self._memo.get(told.key)
        if known is None:
            known = self._knowing.of(told.describe(), culprit=told.culprit)
            self._memo.put(told.key, known)
        at = self._clock() if at is None else at
        return self._add(known, at, told, current.get(), None, told.context, told.level)

    def _hold(
        self, exc: BaseException, context: Mapping[str, object], record: Record | None
    ) -> Occurrence | None:
        if self._is_nothing(exc, state_of(exc), record, self._traces.kind(type(exc))):
            return None
        known = self.known(exc)
        at = self._clock()
        inside, request = (None, None) if record is None else (record.inside, _described(record))
        sample = None
        # most are never counted: the budget of those that are stays untouched
        if self.groups.wants_sample(known, known.key, at) and self._held_budget.take(at):
            sample = self._sample(known, at, exc, request, inside, context)
        user = inside.user if inside is not None else ""
        return Occurrence(known=known, at=at, request=request, user=user, sample=sample)

    def _is_nothing(
        self, exc: BaseException, state: State, record: Record | None, kind: Kind
    ) -> bool:
        """Tell whether an error was captured before, or is an expected one.

        A group was if all that it holds were, as by a task that logs why it fails.
        """
        if SEEN in state and was_seen(state, record):
            return True
        if kind.group and all(was_seen(state_of(inner), record) for inner in members_of(exc)):
            return True
        return kind.expectable and _is_expected(exc)

    def _add(
        self,
        known: Known,
        at: float,
        error: BaseException | Told,
        record: Record | None,
        request: RequestContext | None,
        context: Mapping[str, object] | None,
        level: str,
    ) -> Known:
        """Count an error, with a sample if one is due.

        It is taken before the error is counted and outside the lock, since the exception's text is
        made by the host's code; so no group is ever counted first without its sample at hand.
        """
        inside = None
        if record is not None:
            inside = record.inside
            request = request or _described(record)
        inlet = known.inlet
        if (
            inlet is not None
            and level == ERROR
            and inlet.take(known, at, where_of(request, inside))
        ):
            return known
        user = inside.user if inside is not None else ""
        key = known.key  # once: the flusher may settle it meanwhile
        sample = None
        groups = self.groups
        if groups.wants_sample(known, key, at):
            sample = self._sample(known, at, error, request, inside, context)
        with groups.lock:
            is_new = groups.add(known, key, at, level, request, user, sample)
        if is_new and self._on_new is not None:
            with _ON_NEW:
                self._on_new()
        return known

    def _sample(
        self,
        known: Known,
        at: float,
        error: BaseException | Told,
        request: RequestContext | None,
        inside: Inside | None,
        context: Mapping[str, object] | None,
    ) -> Sample | None:
        """Take a sample, or none if that fails: the error counts all the same."""
        with _SAMPLE:
            return Sample(
                known=known,
                at=at,
                snapshot=self._snapshot(error),
                request=request or NO_REQUEST,
                context=plain(dict(context)) if context else {},
                user=inside.user if inside is not None else "",
                tags=dict(inside.tags) if inside is not None else {},
            )
        return None

    def _snapshot(self, error: BaseException | Told) -> Snapshot:
        if isinstance(error, BaseException):
            return self._traces.snapshot(error)
        return error.snapshot()


def _apart(work: Callable[..., R], *given: object, depth: int = 0) -> R | None:
    """Do it within our border; None if this thread is deeper in it already, or if it failed."""
    inside = _thread.inside
    if inside > depth:
        return None
    _thread.inside = inside + 1
    try:
        return work(*given)
    except Exception as error:  # noqa: BLE001  # a border: see `Guard.swallow`
        _GUARD.swallow(error)
    finally:
        _thread.inside = inside
    return None


def _described(record: Record) -> RequestContext | None:
    """Ask which request this is; its framework may be asked for that, and fail."""
    return _apart(record.describe, depth=MAX_DEPTH + 1)


def _is_expected(exc: BaseException) -> bool:
    with _EXPECTED:
        return is_expected(exc)
    return False
