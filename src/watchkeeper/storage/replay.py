"""A store as it was at a moment of the past, for replaying what was stored through the engine.

It reads another store, never more of it than there was at that moment; what is written stays
here, in memory, and goes with it.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Final

from watchkeeper.core.catalogue import SELF_UP
from watchkeeper.core.health import CLEAR_AFTER, FAIL_AFTER, CheckState
from watchkeeper.core.hours import HOUR_S, MINUTE_S
from watchkeeper.core.metrics import Series
from watchkeeper.core.slot import Frame, FrameKey, slot_start
from watchkeeper.storage.hours import HourRow, HourTotal
from watchkeeper.storage.issues import IssueEntry
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.records import MAX_PAST_WORKERS, WORKER_SILENT_S
from watchkeeper.storage.store import (
    AlertChange,
    AlertRow,
    CheckChange,
    CheckResult,
    Issue,
    Outgoing,
    Silence,
    Store,
    Worker,
)

MAX_CHANGES: Final = 10_000  # of health checks, read; of more the newest
MAX_EVENTS: Final = 10_000  # new issues, and as many returns
MAX_SILENCES: Final = 1_000
CHECK_EVERY_S: Final = 30.0  # how often a check runs, unless it was set: not stored with it
HOURS_HELD: Final = 4  # of minutes, read once
MINUTE_LATE_S: Final = 30.0  # a minute's frame is written so long after it is over
HOUR_LATE_S: Final = 120.0  # an hour's row
BEFORE_S: Final = 36 * 24 * HOUR_S  # of sealed hours, known from the start: earlier weeks

Saved = Callable[[AlertChange, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What is replayed: [since, until) of a scope, in slots of `slot_s` seconds."""

    service: str
    environment: str
    since: float
    until: float
    slot_s: int
    metrics: frozenset[str] = frozenset()  # that are read of minutes

    @property
    def place(self) -> dict[str, str]:
        """Service and environment, as a store asks for them."""
        return {"service": self.service, "environment": self.environment}


@dataclass(slots=True)
class _Checks:
    """The health checks as they were: each one's last change by then, of each worker."""

    changes: list[CheckChange]  # the next one last
    last: dict[tuple[str, int], CheckResult]  # as they are today
    states: dict[tuple[str, int], CheckChange] = field(default_factory=dict)

    def until(self, now: float) -> list[CheckResult]:
        """Return what was known at a moment, which is none before those asked for already."""
        while self.changes and self.changes[-1].at <= now:
            one = self.changes.pop()
            self.states[one.name, one.worker] = one
        # What has not changed for longer than changes are kept is as it was.
        steady = [
            CheckChange(
                name=one.name,
                worker=one.worker,
                before=one.state,
                after=one.state,
                at=one.since,
                output=one.output,
            )
            for key, one in self.last.items()
            if key not in self.states and one.since <= now
        ]
        return [self._result(one, now) for one in (*self.states.values(), *steady)]

    def _result(self, one: CheckChange, now: float) -> CheckResult:
        last = self.last.get((one.name, one.worker))
        ran_at = now if last is None else min(max(last.at, one.at), now)
        # Runs are not stored, changes are: it goes on failing as often as it runs.
        failed = one.after == CheckState.FAIL
        runs = int((now - one.at) // CHECK_EVERY_S)
        return CheckResult(
            name=one.name,
            worker=one.worker,
            state=one.after,
            since=one.at,
            at=ran_at,
            duration_s=0.0,
            output=one.output,
            critical=one.critical if last is None else last.critical,
            failures=FAIL_AFTER + runs if failed else 0,
            successes=0 if failed else CLEAR_AFTER,
        )


class ReplayStore(MemoryStore):
    """A store as it was at `now`, which is moved on by whoever replays it, never back.

    `on_save` is told of each change of an alert that was saved. Messages count as sent at once.
    Of issues, silences and checks no more is read than the named maxima.
    """

    def __init__(self, source: Store, span: Span, *, on_save: Saved) -> None:
        """Read what is small and needed all the time. Raises StorageError."""
        super().__init__()
        self.now = span.since
        self.span = span
        self._source = source
        self._on_save = on_save
        self._minutes: dict[int, list[Frame]] = {}
        self._past_workers = source.workers(**span.place, seen_since=0.0)
        self._sealed_since = span.since - BEFORE_S
        self._sealed = source.sealed_hours(
            since=self._sealed_since, until=span.until, **span.place
        )
        changes = source.check_changes(**span.place, since=0.0, limit=MAX_CHANGES)
        known = source.checks(**span.place)
        self._past_checks = _Checks(changes, {(one.name, one.worker): one for one in known})
        self._new = sorted(self._new_issues(), key=attrgetter("first_at"))
        self._returns = [
            (entry, issue)
            for entry, issue in source.issue_returns(
                **span.place, since=span.since, limit=MAX_EVENTS
            )
            if entry.at < span.until
        ]
        self._event_moments = sorted(
            [one.first_at for one in self._new] + [entry.at for entry, _ in self._returns]
        )
        self._past_silences = source.silences(**span.place, at=span.since, limit=MAX_SILENCES)

    def events_until(self, moment: float) -> int:
        """Count the issues that were new or came back by a moment."""
        return bisect_right(self._event_moments, moment)

    def workers_known_since(self) -> float:
        """Return since when no worker's row has made way for those of later ones."""
        newest = max((one.seen_at for one in self._past_workers), default=0.0)
        past = [
            one.seen_at
            for one in self._past_workers
            if one.stopped_at is not None or one.seen_at < newest - WORKER_SILENT_S
        ]
        return min(past) if len(past) >= MAX_PAST_WORKERS else 0.0

    def minute_frames(self, hour: int) -> list[Frame] | None:
        """Read the minutes of an hour, all of them; None if only the whole hour is kept."""
        if hour not in self._minutes:
            while len(self._minutes) >= HOURS_HELD:
                del self._minutes[next(iter(self._minutes))]
            self._minutes[hour] = self._read_minutes(hour)
        found = self._minutes[hour]
        return None if hour in self._sealed and not found else found

    def set_states(self, states: Sequence[AlertRow]) -> None:
        """Write states over those that there are, whatever their version."""
        with self._lock:
            for row in states:
                self._keep_alert(row)

    def workers(self, *, service: str, environment: str, seen_since: float) -> list[Worker]:
        """List the workers as they were; one that wrote later wrote all the time until then."""
        now = self.now
        found = []
        for one in self._past_workers:
            if one.seen_at < seen_since or one.started_at > now:
                continue
            if one.seen_at > now or (one.stopped_at or 0.0) > now:
                is_stopped = one.stopped_at is not None and one.stopped_at <= now
                one = replace(
                    one,
                    seen_at=min(one.seen_at, now),
                    stopped_at=one.stopped_at if is_stopped else None,
                )
            found.append(one)
        return found

    def frames(
        self,
        resolution: int,
        *,
        since: float,
        until: float,
        service: str,
        environment: str,
        skip: Collection[FrameKey] = (),
        metrics: Collection[str] | None = None,
    ) -> list[Frame]:
        """Read the minutes that were there by then; slots are handed over by whoever replays."""
        if resolution != MINUTE_S:
            return []
        late_s = 0.0 if self.span.slot_s == MINUTE_S else MINUTE_S + MINUTE_LATE_S
        until = min(until, self.now - late_s)
        return [
            frame
            for hour in range(slot_start(since, HOUR_S), int(until) + 1, HOUR_S)
            for frame in self.minute_frames(hour) or ()
            if since <= frame.key.start < until and frame.key not in skip
        ]

    def sealed_hours(
        self, *, since: float, until: float, service: str, environment: str
    ) -> dict[int, int]:
        """List the hours that were sealed by then."""
        sealed = self._sealed
        if since < self._sealed_since:
            sealed = self._source.sealed_hours(since=since, until=until, **self.span.place)
        end = min(until, self.now - HOUR_S - HOUR_LATE_S)
        if end - since <= 2 * HOUR_S:  # a few, asked for often
            starts = range(slot_start(since, HOUR_S), int(end) + 1, HOUR_S)
            return {at: sealed[at] for at in starts if since <= at < end and at in sealed}
        return {at: minutes for at, minutes in sealed.items() if since <= at < end}

    def hours(
        self,
        *,
        since: float,
        until: float,
        service: str,
        environment: str,
        metrics: Collection[str] | None = None,
        series: Collection[Series] | None = None,
    ) -> list[HourRow]:
        """Read rows of hours, which do not change once they are sealed."""
        place = {"service": service, "environment": environment}
        return self._source.hours(
            since=since, until=until, metrics=metrics, series=series, **place
        )

    def hour_totals(
        self,
        *,
        since: float,
        until: float,
        service: str,
        environment: str,
        metrics: Collection[str] | None = None,
    ) -> dict[Series, HourTotal]:
        """Add up rows of hours, which do not change once they are sealed."""
        place = {"service": service, "environment": environment}
        return self._source.hour_totals(since=since, until=until, metrics=metrics, **place)

    def issues(
        self,
        *,
        service: str,
        environment: str,
        seen_since: float,
        limit: int,
        first_seen_since: float | None = None,
    ) -> list[Issue]:
        """List the issues that were new by then, as nobody had looked at them yet."""
        begin = self.span.since if first_seen_since is None else first_seen_since
        end = bisect_right(self._new, self.now, key=attrgetter("first_at"))
        return [one for one in self._new[:end] if one.first_at >= begin][:limit]

    def issue_returns(
        self, *, service: str, environment: str, since: float, limit: int
    ) -> list[tuple[IssueEntry, Issue]]:
        """List the returns of issues by then."""
        return [one for one in self._returns if since <= one[0].at <= self.now][:limit]

    def checks(self, *, service: str, environment: str) -> list[CheckResult]:
        """Tell what was known of each check by then."""
        return self._past_checks.until(self.now)

    def silences(
        self, *, service: str, environment: str, at: float | None = None, limit: int
    ) -> list[Silence]:
        """List the silences that were set by then."""
        moment = self.now if at is None else at
        return [
            one
            for one in self._past_silences
            if one.created_at <= moment
            and all(end is None or end > moment for end in (one.ends_at, one.ended_at))
        ][:limit]

    def save_alert(self, change: AlertChange, *, at: float) -> AlertRow | None:
        """Save a transition, and tell of it."""
        saved = super().save_alert(change, at=at)
        if saved is not None:
            self._on_save(change, at)
        return saved

    def _enqueue(self, outgoing: Outgoing, service: str, environment: str, *, at: float) -> bool:
        is_new = super()._enqueue(outgoing, service, environment, at=at)
        if is_new:
            pending = next(reversed(self._outbox.values()))
            pending.row = replace(pending.row, status="sent", sent_at=at)
        return is_new

    def _new_issues(self) -> list[Issue]:
        """Read the issues that began in the span, as they were then."""
        span = self.span
        found = self._source.issues(
            **span.place, seen_since=span.since, first_seen_since=span.since, limit=MAX_EVENTS
        )
        return [
            replace(one, version=0, state="open") for one in found if one.first_at < span.until
        ]

    def _read_minutes(self, hour: int) -> list[Frame]:
        span, metrics = self.span, (*self.span.metrics, SELF_UP.name)
        if hour in self._sealed:
            return self._source.minutes(hour, **span.place, metrics=metrics)
        return self._source.frames(
            MINUTE_S,
            since=hour,
            until=hour + HOUR_S,
            service=span.service,
            environment=span.environment,
            metrics=span.metrics,
        )
