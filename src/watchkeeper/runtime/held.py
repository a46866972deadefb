"""Closed slots that wait to be written: bounded, coarsened before anything is dropped."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.rollup import merge_time

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from watchkeeper.storage.store import Batch, IssueCount, Sample, Statement

MAX_EVENTS: Final = 1_000  # stored occurrences that may wait; counts are never dropped
MAX_SAMPLES: Final = 500  # stored requests that may wait
MAX_STATEMENTS: Final = 2_000  # texts of statements that may wait in one batch
_SERIES_BYTES: Final = 470  # a histogram with one bucket, by tracemalloc; other kinds are smaller
_BUCKET_BYTES: Final = 46  # each further bucket, likewise
_EVENT_BYTES: Final = 8_000  # an estimate: some twenty frames with their source lines
_SAMPLE_BYTES: Final = 6_000  # with twenty spans, by tracemalloc
_STATEMENT_BYTES: Final = 400  # besides its text, likewise


class Held:
    """A queue of batches, oldest first, of at most `max_slots` and about `max_bytes`.

    Beyond either bound two neighbours are merged into one: their counts stay exact, their
    times become coarser. One thread at a time may touch it.
    """

    def __init__(self, *, max_slots: int, max_bytes: int) -> None:
        """Start empty."""
        self.max_slots = max(2, max_slots)
        self.max_bytes = max_bytes
        self.dropped_events = 0
        self.dropped_samples = 0
        self.dropped_statements = 0
        self._batches: deque[tuple[Batch, int]] = deque()
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
        while len(self._batches) > 1 and (
            len(self._batches) > self.max_slots or self._bytes > self.max_bytes
        ):
            if not self._coarsen():
                break

    def oldest(self) -> Batch | None:
        """Return the batch to be written next, or None."""
        return self._batches[0][0] if self._batches else None

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
            _, size = self._batches.popleft()
            self._bytes -= size
            self._oldest_tried = False

    def clear(self) -> list[Batch]:
        """Forget everything, as a forked child must; return what it was, oldest first."""
        batches = list(self)
        self._batches.clear()
        self._bytes = 0
        self._oldest_tried = False
        return batches

    def _append(self, batch: Batch) -> None:
        size = _size_bytes(batch)
        self._batches.append((batch, size))
        self._bytes += size

    def _coarsen(self) -> bool:
        """Merge each two neighbours into one; False if that gained nothing."""
        before = (len(self._batches), self._bytes)
        batches = list(self)
        self._batches.clear()
        self._bytes = 0
        if self._oldest_tried:
            self._append(batches.pop(0))
        for at in range(0, len(batches) - 1, 2):
            self._append(self._merged(batches[at], batches[at + 1]))
        if len(batches) % 2:
            self._append(batches[-1])
        return (len(self._batches), self._bytes) < before

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
            issues=_merged_issues(first, second),
            events=events[:MAX_EVENTS],
            checks=second.checks or first.checks,
            check_changes=[*first.check_changes, *second.check_changes],
            samples=_chosen(samples),
            statements=statements[:MAX_STATEMENTS],
        )


def _merged_issues(first: Batch, second: Batch) -> list[IssueCount]:
    merged = {issue.fingerprint: issue for issue in first.issues}
    for issue in second.issues:
        before = merged.get(issue.fingerprint)
        merged[issue.fingerprint] = (
            issue
            if before is None
            else replace(before, count=before.count + issue.count, last_at=issue.last_at)
        )
    return list(merged.values())


def _chosen(samples: list[Sample]) -> list[Sample]:
    """Keep as many samples as may wait: failed ones first, then the earliest."""
    if len(samples) <= MAX_SAMPLES:
        return samples
    return sorted(samples, key=lambda one: one.reason != "failed")[:MAX_SAMPLES]


def _merged_statements(first: Batch, second: Batch) -> list[Statement]:
    from watchkeeper.storage.rows import seen_statement

    merged = {one.fingerprint: one for one in first.statements}
    for one in second.statements:
        before = merged.get(one.fingerprint)
        merged[one.fingerprint] = one if before is None else seen_statement(before, one)
    return list(merged.values())


def _size_bytes(batch: Batch) -> int:
    """Estimate how much memory a batch takes."""
    buckets = sum(
        len(value.buckets) for value in batch.frame.values.values() if isinstance(value, Histogram)
    )
    return (
        len(batch.frame.values) * _SERIES_BYTES
        + buckets * _BUCKET_BYTES
        + len(batch.events) * _EVENT_BYTES
        + len(batch.samples) * _SAMPLE_BYTES
        + sum(_STATEMENT_BYTES + len(one.text) for one in batch.statements)
    )
