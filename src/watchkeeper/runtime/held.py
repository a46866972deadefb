"""Closed slots that wait to be written: bounded, coarsened before anything is dropped."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from watchkeeper.core.held import Reason, relief
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.rollup import merge_time
from watchkeeper.runtime.apart import MAX_USERS, joined_routes
from watchkeeper.runtime.issues import MAX_ISSUES
from watchkeeper.runtime.occurrences import folded

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from watchkeeper.storage.store import Batch, CheckResult, IssueCount, Sample, Statement

MAX_EVENTS: Final = 1_000  # stored occurrences that may wait; counts are never dropped
MAX_SAMPLES: Final = 500  # stored requests that may wait
MAX_STATEMENTS: Final = 2_000  # texts of statements that may wait in one batch
_SERIES_BYTES: Final = 470  # a histogram with one bucket, by tracemalloc; other kinds are smaller
_BUCKET_BYTES: Final = 46  # each further bucket, likewise
_ROW_BYTES: Final = 450  # an issue, event, request, check or statement besides its texts, likewise
_TEXT_BYTES: Final = 57  # of a text or a list besides what is in it, likewise
_DICT_BYTES: Final = 232  # of a mapping with up to eight items, likewise
_NUMBER_BYTES: Final = 32


class Held:
    """A queue of batches, oldest first, of at most `max_slots` and about `max_bytes`.

    Beyond either bound the oldest are merged into minutes; then, if it is room that lacks, their
    details go, and then they become coarser still: counts stay exact all the while. One thread at
    a time may touch it.
    """

    def __init__(self, *, max_slots: int, max_bytes: int) -> None:
        """Start empty."""
        self.max_slots = max(2, max_slots)
        self.max_bytes = max_bytes
        self.folded_issues = 0
        self.dropped_events = 0
        self.dropped_samples = 0
        self.dropped_statements = 0
        # With its size, which is measured when a second one comes: most are written before.
        self._batches: deque[tuple[Batch, int | None]] = deque()
        self._bytes = 0
        self._oldest_tried = False

    def __len__(self) -> int:
        """Count the batches that wait."""
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        """Iterate over the batches, oldest first."""
        return (batch for batch, _ in self._batches)

    def add(self, batch: Batch) -> None:
        """Append a closed slot, merging older ones if it does not fit."""
        self._append(batch)
        while len(self._batches) > self.max_slots or self._bytes > self.max_bytes:
            if not self._make_room():
                break

    def oldest(self) -> Batch | None:
        """Return the batch to be written next, or None."""
        return self._batches[0][0] if self._batches else None

    def newest(self) -> Batch | None:
        """Return the batch that was added last, or None."""
        return self._batches[-1][0] if self._batches else None

    def tried(self, batch: Batch) -> None:
        """Keep this batch, if it is the oldest, as it is from now on.

        An attempt to write it may have succeeded without our knowing; merged with another, the
        repetition would be taken for a duplicate and the other one lost.
        """
        if self.oldest() is batch:
            self._oldest_tried = True

    def written(self, batch: Batch) -> None:
        """Forget this batch, if it is the oldest: it is in the database."""
        if self.oldest() is batch:
            self._bytes -= self._batches.popleft()[1] or 0
            self._oldest_tried = False

    def clear(self) -> list[Batch]:
        """Forget everything, as a forked child must; return what it was, oldest first."""
        batches = list(self)
        self._batches.clear()
        self._bytes = 0
        self._oldest_tried = False
        return batches

    def _append(self, batch: Batch) -> None:
        if self._batches and self._batches[0][1] is None:
            self._replace(0, 1, self._batches[0][0])
        size = size_bytes(batch) if self._batches else None
        self._batches.append((batch, size))
        self._bytes += size or 0

    def _make_room(self) -> bool:
        """Merge two slots, or leave out the details of one; False if nothing is left to do."""
        batches = list(self)
        step = relief(
            [batch.frame.key.start for batch in batches],
            details=[_has_details(batch) for batch in batches],
            too_large=self._bytes > self.max_bytes,
            first=1 if self._oldest_tried else 0,
        )
        if step.reason is Reason.NOTHING_LEFT:
            return False
        if step.reason is Reason.DROP_DETAILS:
            new, gone = self._bare(batches[step.at]), 1
        else:
            new, gone = self._merged(batches[step.at], batches[step.at + 1]), 2
        self._replace(step.at, gone, new)
        return True

    def _replace(self, at: int, gone: int, new: Batch) -> None:
        size = size_bytes(new)
        self._batches.rotate(-at)
        for _ in range(gone):
            self._bytes -= self._batches.popleft()[1] or 0
        self._batches.appendleft((new, size))
        self._bytes += size
        self._batches.rotate(at)

    def _bare(self, batch: Batch) -> Batch:
        """Leave out all but counts."""
        self.dropped_events += len(batch.events)
        self.dropped_samples += len(batch.samples)
        self.dropped_statements += len(batch.statements)
        return replace(batch, events=(), samples=(), statements=())

    def _merged(self, first: Batch, second: Batch) -> Batch:
        """Make one batch of two, under the first one's key."""
        events = [*first.events, *second.events]
        self.dropped_events += max(0, len(events) - MAX_EVENTS)
        samples = [*first.samples, *second.samples]
        self.dropped_samples += max(0, len(samples) - MAX_SAMPLES)
        statements = _merged_statements(first, second)
        self.dropped_statements += max(0, len(statements) - MAX_STATEMENTS)
        return replace(
            first,
            frame=replace(
                first.frame, values=merge_time([first.frame.values, second.frame.values])
            ),
            at=second.at,
            issues=self._merged_issues(first, second),
            events=events[:MAX_EVENTS],
            checks=_merged_checks(first, second),
            check_changes=[*first.check_changes, *second.check_changes],
            samples=_chosen(samples),
            statements=statements[:MAX_STATEMENTS],
        )

    def _merged_issues(self, first: Batch, second: Batch) -> list[IssueCount]:
        merged = {(issue.fingerprint, issue.path): issue for issue in first.issues}
        for issue in second.issues:
            before = merged.get((issue.fingerprint, issue.path))
            merged[issue.fingerprint, issue.path] = (
                issue if before is None else _counted(before, issue)
            )
        if len(merged) <= MAX_ISSUES:
            return list(merged.values())
        issues = list(merged.values())
        beyond = folded(issues[MAX_ISSUES - 1 :])
        self.folded_issues += len(issues) - MAX_ISSUES + 1
        kept = {(issue.fingerprint, issue.path): issue for issue in issues[: MAX_ISSUES - 1]}
        known = kept.get((beyond.fingerprint, beyond.path))
        kept[beyond.fingerprint, beyond.path] = (
            beyond if known is None else _counted(known, beyond)
        )
        return list(kept.values())


def _counted(before: IssueCount, issue: IssueCount) -> IssueCount:
    return replace(
        before,
        count=before.count + issue.count,
        last_at=issue.last_at,
        routes=joined_routes([before.routes, issue.routes]),
        users=tuple(dict.fromkeys((*before.users, *issue.users)))[:MAX_USERS],
    )


def _has_details(batch: Batch) -> bool:
    return bool(batch.events or batch.samples or batch.statements)


def _chosen(samples: list[Sample]) -> list[Sample]:
    """Keep as many samples as may wait: failed ones first, then the earliest."""
    if len(samples) <= MAX_SAMPLES:
        return samples
    return sorted(samples, key=lambda one: one.reason != "failed")[:MAX_SAMPLES]


def _merged_checks(first: Batch, second: Batch) -> list[CheckResult]:
    """Keep the last result of each check."""
    both = (*first.checks, *second.checks)
    return list({(one.name, one.worker): one for one in both}.values())


def _merged_statements(first: Batch, second: Batch) -> list[Statement]:
    from watchkeeper.storage.rows import seen_statement

    merged = {one.fingerprint: one for one in first.statements}
    for one in second.statements:
        before = merged.get(one.fingerprint)
        merged[one.fingerprint] = one if before is None else seen_statement(before, one)
    return list(merged.values())


def size_bytes(batch: Batch) -> int:
    """Estimate how much memory a batch takes."""
    buckets = sum(
        len(value.buckets) + len(value.negative)
        for value in batch.frame.values.values()
        if isinstance(value, Histogram)
    )
    return (
        len(batch.frame.values) * _SERIES_BYTES
        + buckets * _BUCKET_BYTES
        + sum(_issue_bytes(one) for one in batch.issues)
        + sum(_ROW_BYTES + _data_bytes(one.data) for one in batch.events)
        + sum(_ROW_BYTES + _data_bytes(one.data) for one in batch.samples)
        + sum(_ROW_BYTES + len(one.output) for one in batch.checks)
        + sum(_ROW_BYTES + len(one.output) for one in batch.check_changes)
        + sum(_ROW_BYTES + len(one.text) for one in batch.statements)
    )


def _issue_bytes(issue: IssueCount) -> int:
    texts = len(issue.routes) + len(issue.users)
    more = sum(map(len, issue.routes)) + sum(map(len, issue.users)) + texts * _TEXT_BYTES
    return _ROW_BYTES + len(issue.title) + more


def _data_bytes(data: object) -> int:
    """Estimate how much memory JSON values take; keys are shared, texts may be."""
    if isinstance(data, str):
        return _TEXT_BYTES + len(data)
    if isinstance(data, Mapping):
        return _DICT_BYTES + sum(map(_data_bytes, data.values()))
    if isinstance(data, list | tuple):
        return _TEXT_BYTES + sum(map(_data_bytes, data))
    return _NUMBER_BYTES
