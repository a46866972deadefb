"""The errors of this process: each is counted exactly, some are sampled, none is kept alive.

In the request an error costs a walk over its trace and one addition; samples are taken at the
1st, 2nd, 4th, 8th … occurrence of a group in a slot. Their shaping is `take`'s, in the flusher.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import CodeType, MappingProxyType
from typing import TYPE_CHECKING, Final

from watchkeeper.core.fingerprint import Fingerprint, Rule, customize
from watchkeeper.core.metrics import OTHER, Scope
from watchkeeper.core.scrub import clean, cut, plain
from watchkeeper.runtime.apart import Parts, Room
from watchkeeper.runtime.details import is_expected
from watchkeeper.runtime.events import (
    MAX_NAME_CHARS,
    NO_REQUEST,
    Sample,
    event_of,
    title_of,
)
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.known import Knowing, Known, Memo, known_by
from watchkeeper.runtime.own_fingerprint import OwnFingerprint
from watchkeeper.runtime.places import Places
from watchkeeper.runtime.record import RequestContext, current
from watchkeeper.runtime.traces import Traces

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from watchkeeper.storage.store import Event, IssueCount

MAX_ISSUES: Final = 1_000  # groups of one slot; the rest is counted in one more
MAX_KNOWN: Final = 10_000  # fingerprints that are remembered as not new
MAX_SAMPLES_HELD: Final = 500  # between two flushes
SAMPLES_PER_S: Final = 20
FIRST_SAMPLES_PER_S: Final = 100

_SEEN: Final = "__watchkeeper_seen__"  # our mark on a captured exception
_NO_CONTEXT: Final[Mapping[str, object]] = MappingProxyType({})
_CAPTURE = guard("capture")
_EXPECTED = guard("exception attributes")
_ON_NEW = guard("wake after a new issue")
_BEYOND: Final = "Errors beyond the cap on different issues in one slot"
_OTHER: Final = customize(Fingerprint(value="", parts=(), path="", culprit=""), [OTHER])
_OVERFLOW: Final = Known(type=OTHER, key=_OTHER.value, finish=lambda: _OTHER)


class _Thread(threading.local):
    inside: bool = False  # an error within capture or take is never captured itself


_thread = _Thread()


class _Group:
    """The count of one issue in the open slot."""

    __slots__ = ("count", "first_at", "known", "parts", "sample")

    def __init__(self, known: Known, at: float) -> None:
        self.known = known
        self.count = 0
        self.first_at = at
        self.parts = Parts()
        self.sample: Sample | None = None

    def add(self, other: _Group) -> None:
        """Count another group in, which turned out to be the same."""
        self.count += other.count
        self.parts.join(other.parts)
        if other.first_at < self.first_at:
            self.first_at = other.first_at
            self.sample = other.sample or self.sample


class _Budget:
    """A number of things allowed in each second of the clock."""

    __slots__ = ("_left", "_limit", "_second")

    def __init__(self, limit: int) -> None:
        self._limit = self._left = limit
        self._second = 0

    def has_any(self, at: float) -> bool:
        """Tell whether this second has one left."""
        return int(at) != self._second or self._left > 0

    def take(self, at: float) -> bool:
        """Take one, if this second has one left."""
        if int(at) != self._second:
            self._second = int(at)
            self._left = self._limit
        self._left -= 1
        return self._left >= 0


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
        self.ignored: frozenset[str] = frozenset()  # names of issues of which none are taken
        self._lock = threading.Lock()
        self._groups: dict[str, _Group] = {}
        self._room = Room()
        self._samples: list[Sample] = []
        self._seen_before: OrderedDict[str, None] = OrderedDict()
        self._memo = Memo()
        self._samples_budget = _Budget(SAMPLES_PER_S)
        self._first_budget = _Budget(FIRST_SAMPLES_PER_S)

    def capture(
        self,
        exc: BaseException,
        *,
        request: RequestContext | None = None,
        endpoint: CodeType | None = None,
        fingerprint: Sequence[str] | None = None,
        context: Mapping[str, object] = _NO_CONTEXT,
    ) -> Known | None:
        """Count an error and return what it is known as; the flusher may ask for its fingerprint.

        None if it is not counted: this very object was captured before, it is an expected one (a
        cancellation, a disconnect, an HTTP answer below 500), or it happened within Watchkeeper.
        User and tags are those of the request or job that runs, as is `request` unless given.
        `endpoint` is the code of the view, task or command; `fingerprint` groups in the user's
        way; an exception's own `__watchkeeper_fingerprint__` comes before it, the configured
        function after it.
        """
        if _thread.inside:
            return None
        _thread.inside = True
        try:
            with _CAPTURE:
                return self._capture(exc, request, endpoint, fingerprint, context)
            return None
        finally:
            _thread.inside = False

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
            with self._lock:
                groups, self._groups = self._groups, {}
                self._room = Room()
                samples, self._samples = self._samples, []
            settled = self._settled(groups.values(), pause)
            counts = [count for group in settled for count in _counts_of(group)]
            events = []
            for sample in samples:
                with _CAPTURE:
                    if self._is_ignored(sample.known):
                        continue
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
    ) -> Known | None:
        state = exc.__dict__
        if _SEEN in state:
            return None
        if self._traces.kind(type(exc)).expectable and _is_expected(exc):
            return None
        known = self.known(exc, endpoint=endpoint, fingerprint=own)
        state[_SEEN] = True
        at = self._clock()
        key = known.key  # once: the flusher may settle it meanwhile
        group = self._groups.get(key)
        count = 1 if group is None else group.count + 1
        record = current.get()
        inside = record.inside if record is not None else None
        if request is None and record is not None:
            request = record.describe()
        user = inside.user if inside is not None else ""
        sample = None
        # Taken before it is counted and outside the lock, since the exception's text is made by
        # the host's code; so no group is ever counted first without its sample at hand.
        if _is_due(count) and self._is_wanted(known) and self._budget(count).has_any(at):
            sample = Sample(
                known=known,
                at=at,
                snapshot=self._traces.snapshot(exc),
                request=request or NO_REQUEST,
                context=plain(dict(context)) if context else {},
                user=user,
                tags=dict(inside.tags) if inside is not None else {},
            )
        with self._lock:
            is_new, group = self._group(known, key, at)
            group.count += 1
            if group.known is _OVERFLOW:
                known, request, user = _OVERFLOW, None, ""
            group.parts.part(known, at, self._room).add(at, request, user, self._room)
            if _is_due(group.count) and group.known is not _OVERFLOW and self._is_wanted(known):
                self._keep(sample, group, at)
        if is_new and self._on_new is not None:
            with _ON_NEW:
                self._on_new()
        return known

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

    def _group(self, known: Known, key: str, at: float) -> tuple[bool, _Group]:
        """Return whether the issue is new here, and its group: that of all others at the cap."""
        group = self._groups.get(key)
        if group is not None:
            return False, group
        if len(self._groups) >= self._max_issues:
            self.dropped += 1
            return False, self._groups.setdefault(_OTHER.value, _Group(_OVERFLOW, at))
        group = self._groups[key] = _Group(known, at)
        is_new = key not in self._seen_before
        self._remember(key)
        return is_new, group

    def _is_wanted(self, known: Known) -> bool:
        """Tell whether samples are to be taken, as far as that is known in a request."""
        return not self.ignored or not known.is_settled or not self._is_ignored(known)

    def _is_ignored(self, known: Known) -> bool:
        fingerprint = known.settle()
        name = fingerprint.value
        return name in self.ignored or f"{name}/{fingerprint.path}" in self.ignored

    def _remember(self, key: str) -> None:
        self._seen_before[key] = None
        self._seen_before.move_to_end(key)
        if len(self._seen_before) > MAX_KNOWN:
            self._seen_before.popitem(last=False)

    def _settled(self, groups: Iterable[_Group], pause: Callable[[], None] | None) -> list[_Group]:
        """Give the groups of a slot their fingerprints; those that come out equal are one."""
        settled: dict[str, _Group] = {}
        for group in groups:
            is_settled = group.known.is_settled
            value = group.known.fingerprint
            if value in settled:
                settled[value].add(group)
            else:
                settled[value] = group
            with self._lock:
                self._remember(value)
            if pause is not None and not is_settled:
                pause()
        return list(settled.values())

    def _keep(self, sample: Sample | None, group: _Group, at: float) -> None:
        has_room = len(self._samples) < MAX_SAMPLES_HELD
        if sample is None or not has_room or not self._budget(group.count).take(at):
            self.dropped_samples += 1
            return
        group.sample = group.sample or sample
        self._samples.append(sample)

    def _budget(self, count: int) -> _Budget:
        return self._first_budget if count == 1 else self._samples_budget


def _is_due(count: int) -> bool:
    return count & (count - 1) == 0  # a power of two


def _is_expected(exc: BaseException) -> bool:
    with _EXPECTED:
        return is_expected(exc)
    return False


def folded(counts: Sequence[IssueCount]) -> IssueCount:
    """Count issues beyond a cap as one, like those of a slot."""
    from watchkeeper.storage.store import IssueCount

    return IssueCount(
        fingerprint=_OTHER.value,
        aliases=_OTHER.aliases,
        count=sum(one.count for one in counts),
        first_at=min(one.first_at for one in counts),
        last_at=max(one.last_at for one in counts),
        type=OTHER,
        title=_BEYOND,
        culprit="",
    )


def _counts_of(group: _Group) -> list[IssueCount]:
    from watchkeeper.storage.store import IssueCount

    known, sample, fingerprint = group.known, group.sample, group.known.settle()
    return [
        IssueCount(
            fingerprint=fingerprint.value,
            aliases=fingerprint.aliases,
            count=part.count,
            first_at=part.first_at,
            last_at=part.last_at,
            type=cut(clean(known.type), MAX_NAME_CHARS),
            title=_title(known, sample),
            culprit=cut(clean(fingerprint.culprit), MAX_NAME_CHARS),
            path=path,
            routes=part.told(),
            users=tuple(sorted(part.users)),
        )
        for path, part in group.parts.by_path().items()
    ]


def _title(known: Known, sample: Sample | None) -> str:
    if known is _OVERFLOW:
        return _BEYOND
    if sample is None:
        return cut(clean(known.type.rpartition(".")[2]), MAX_NAME_CHARS)
    return title_of(sample.snapshot)
