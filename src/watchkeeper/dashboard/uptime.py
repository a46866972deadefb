"""How health checks are now, and their uptime over any range, from the store alone."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Final

from watchkeeper.core.health import CheckState, is_ahead, overall
from watchkeeper.core.uptime import (
    ALL_TELL,
    ANY_TELLS,
    Change,
    Span,
    Stretch,
    overlap,
    stretches,
    tally,
    together,
    where_known,
)
from watchkeeper.dashboard.parameters import Page
from watchkeeper.dashboard.presence import presence
from watchkeeper.dashboard.status import silent_after_s
from watchkeeper.dashboard.sums import Query
from watchkeeper.dashboard.views_health import CheckNow, HealthView, UptimeFigures
from watchkeeper.runtime.check_states import fresh_s
from watchkeeper.runtime.retention import KEEP_CHECKS_S, KEEP_WORKERS_S
from watchkeeper.storage.store import ALL_WORKERS, CheckChange, CheckResult

MAX_CHANGES: Final = 10_000  # transitions that are read; of more the newest

_Key = tuple[str, int]  # a check's name and its worker, 0 for all
_WORST: Final = (CheckState.FAIL, CheckState.WARN, CheckState.PASS, CheckState.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What is known of one check, in one worker or for all of them."""

    result: CheckResult | None
    changes: Sequence[CheckChange]  # oldest first
    lasts: float  # until when its last result counts


class Past:
    """The past of every check of a service, from `query.start` on; read once, asked often."""

    def __init__(self, query: Query) -> None:
        """Read it. Raises StorageError."""
        self._query = query
        scope = {"service": query.service, "environment": query.environment}
        rows = query.store.checks(**scope)
        changes = query.store.check_changes(
            **scope, since=query.now - KEEP_CHECKS_S, limit=MAX_CHANGES
        )
        workers = query.store.workers(**scope, seen_since=query.now - KEEP_WORKERS_S)
        ended = {one.id: one.stopped_at or one.seen_at for one in workers}
        silent_s = silent_after_s(query.slot_s)
        self._live = frozenset(
            one.id
            for one in workers
            if one.stopped_at is None and query.now - one.seen_at <= silent_s
        )
        for worker in self._live:
            del ended[worker]
        self._known = presence(query)
        # If there are more, nothing is known of before the oldest one, but what a row itself says.
        self._told_from = changes[-1].at if len(changes) >= MAX_CHANGES else -inf
        # What a wrong clock told of moments that are still to come tells nothing.
        changes = [one for one in changes if not is_ahead(one.at, query.now)]
        self._records = _records(rows, changes, ended, now=query.now)

    @property
    def names(self) -> list[str]:
        """The names of all checks that have a result, in order."""
        return sorted({name for (name, _), one in self._records.items() if one.result})

    def now(self, name: str) -> CheckNow:
        """Tell how a check is: the worst that its live workers say, unknown if none does."""
        found = [
            (self._state(one), one.result)
            for (known, _), one in self._records.items()
            if known == name and one.result is not None
        ]
        state, result = min(found, key=lambda pair: (_WORST.index(pair[0]), -pair[1].at))
        is_known = state is not CheckState.UNKNOWN
        return CheckNow(
            name=name,
            state=state.value,
            critical=result.critical,
            since=result.since if is_known else None,
            last_at=result.at,
            duration_s=result.duration_s,
            output=result.output,
            value=result.data.get("value"),
            unit=result.data.get("unit", ""),
        )

    def uptime(self, name: str, start: float, end: float) -> UptimeFigures:
        """Tell how long a check was in each state: in the worst that one of its workers said."""
        parts = [
            self._past(one, start, end)
            for (known, _), one in self._records.items()
            if known == name
        ]
        return _figures(together(parts, order=ANY_TELLS, start=start, end=end), start, end)

    def service(self, start: float, end: float) -> UptimeFigures:
        """Tell how long no critical check failed.

        A check counts from its first result to its last one. Of the time in which nothing is known
        of one of them, and none fails, nothing is known; without critical checks of all of it.
        """
        by_name: dict[str, list[_Record]] = defaultdict(list)
        for (name, _), one in self._records.items():
            by_name[name].append(one)
        several = []
        for records in by_name.values():
            if not _is_critical(records):
                continue
            parts = together(
                [self._past(one, start, end) for one in records],
                order=ANY_TELLS,
                start=max(start, min(map(_first, records))),
                end=min(end, max(one.lasts for one in records)),
            )
            several.append(parts)
        return _figures(together(several, order=ALL_TELL, start=start, end=end), start, end)

    def state(self) -> CheckState:
        """Tell how the service is now; unknown if there are checks and nothing is known of any."""
        checks = [self.now(name) for name in self.names]
        states = [(CheckState(one.state), one.critical) for one in checks]
        if all(state is CheckState.UNKNOWN for state, _ in states):
            return CheckState.UNKNOWN
        return overall(states)

    def _state(self, one: _Record) -> CheckState:
        """Tell what a row says now: nothing if it is old, or nobody is there to renew it."""
        result = one.result
        if result is None or self._query.now > one.lasts or not self._live:
            return CheckState.UNKNOWN
        if result.worker != ALL_WORKERS and result.worker not in self._live:
            return CheckState.UNKNOWN
        return CheckState(result.state)

    def _past(self, one: _Record, start: float, end: float) -> list[Stretch]:
        first = max(_first(one), self._told_from) if one.changes else _first(one)
        known = overlap(self._known, [Span(first, one.lasts)])
        changes = [Change(change.at, CheckState(change.after)) for change in one.changes]
        before = CheckState(one.changes[0].before) if one.changes else CheckState.UNKNOWN
        if not changes and one.result is not None:
            changes = [Change(one.result.since, CheckState(one.result.state))]
        return where_known(stretches(changes, before=before, start=start, end=end), known)


def health(query: Query, *, page: Page) -> HealthView:
    """Tell how every check is now, and its uptime over the query's range."""
    past = Past(query)
    end = min(query.end, query.now)
    return HealthView(
        service=query.service,
        environment=query.environment,
        at=query.now,
        start=query.start,
        end=end,
        state=past.state().value,
        uptime=past.service(query.start, end),
        total=len(past.names),
        checks=tuple(
            replace(past.now(name), uptime=past.uptime(name, query.start, end))
            for name in page.of(past.names)
        ),
    )


def _records(
    rows: Sequence[CheckResult],
    changes: Sequence[CheckChange],
    ended: Mapping[int, float],
    *,
    now: float,
) -> dict[_Key, _Record]:
    results = {(row.name, row.worker): row for row in rows}
    by_key: dict[_Key, list[CheckChange]] = defaultdict(list)
    for change in reversed(changes):
        by_key[change.name, change.worker].append(change)
    return {
        key: _Record(
            result=results.get(key),
            changes=by_key.get(key, []),
            lasts=min(
                _lasts(results.get(key), by_key.get(key, []), now),
                ended.get(key[1], inf),
            ),
        )
        for key in sorted(results.keys() | by_key.keys())
    }


def _is_critical(records: Sequence[_Record]) -> bool:
    """Tell whether a check is one of the service, or was when it was last heard of."""
    results = [one.result for one in records if one.result is not None]
    if results:
        return any(result.critical for result in results)
    return max((one.changes[-1] for one in records), key=lambda change: change.at).critical


def _first(one: _Record) -> float:
    """Return when a check was first known: before it there was none, as far as can be told."""
    begins = [change.at for change in one.changes[:1]]
    if one.changes and one.changes[0].before != CheckState.UNKNOWN.value:
        return 0.0  # its beginning is past its time
    if one.result is not None:
        begins.append(one.result.since)
    return min(begins)


def _lasts(result: CheckResult | None, changes: Sequence[CheckChange], now: float) -> float:
    if result is None or is_ahead(result.at, now):
        return changes[-1].at if changes else 0.0
    return result.at + fresh_s(result)


def _figures(parts: Sequence[Stretch], start: float, end: float) -> UptimeFigures:
    spent = tally(parts)
    return UptimeFigures(
        start=start,
        end=end,
        share=spent.share,
        pass_s=spent.pass_s,
        warn_s=spent.warn_s,
        fail_s=spent.fail_s,
        unknown_s=spent.unknown_s,
    )
