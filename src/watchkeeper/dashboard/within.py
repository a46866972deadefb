"""What an incident is about: issues and requests, by one test that is asked from either side."""

from bisect import bisect_left
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final, Self

from watchkeeper.core.hours import HOUR_S, MINUTE_S
from watchkeeper.core.metrics import OTHER, QUIET
from watchkeeper.core.rising import LEAST, TIMES
from watchkeeper.core.sampling import Reason
from watchkeeper.core.slot import slot_start
from watchkeeper.dashboard.windows import align_up
from watchkeeper.storage.issue_rows import merged_name, route_values
from watchkeeper.storage.store import Incident, Issue, Sample

MARGIN_S: Final = 600.0  # an alert takes a while to see what began before it
MINUTES_S: Final = 47 * 3_600.0  # how long counts are surely known by the minute, not the hour


class Counts:
    """The occurrences of one issue, which many spans are asked of."""

    def __init__(self, slots: Mapping[int, int]) -> None:
        """Take counts by the start of their slot."""
        self._starts = sorted(slots)
        self._sums = list(accumulate((slots[at] for at in self._starts), initial=0))

    def between(self, start: int, end: int) -> int:
        """Count what is of slots that began in [start, end)."""
        first, last = (bisect_left(self._starts, at) for at in (start, end))
        return self._sums[last] - self._sums[first]


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """The time of an incident, from ten minutes before it to its end, and what it tells of.

    Counts are taken in slots of `step` seconds from `begin` to `until`, and from `before`, which
    is as long before, to `begin`. `issue` is the one that it is about; `route` as issues have it,
    with its method or without, where it is about one.
    """

    start: float
    end: float
    step: int
    before: int
    begin: int
    until: int
    issue: int | None
    route: str | None

    @classmethod
    def of(cls, incident: Incident, *, now: float) -> Self:
        """Read an incident; one that lasts goes on until now."""
        start = incident.started_at - MARGIN_S
        end = now + 1 if incident.resolved_at is None else incident.resolved_at
        if incident.state == "event":  # it has no end
            end = incident.started_at + MARGIN_S
        # The span before must be known as finely.
        step = MINUTE_S if now - (start - (end - start)) < MINUTES_S else HOUR_S
        begin, until = slot_start(start, step), align_up(end, step)
        told = incident.data.get("issue")
        return cls(
            start=start,
            end=end,
            step=step,
            before=begin - (until - begin),
            begin=begin,
            until=until,
            issue=told if isinstance(told, int) else None,
            route=_route(incident),
        )

    def overlaps(self, issue: Issue) -> bool:
        """Tell whether an issue can have happened within."""
        return issue.first_at < self.end and issue.last_at >= self.start

    def began(self, issue: Issue) -> bool:
        """Tell whether an issue was new then."""
        return self.start <= issue.first_at < self.end

    def figures(self, counts: Counts) -> tuple[int, int]:
        """Return how often an issue happened in the span before, and within."""
        return counts.between(self.before, self.begin), counts.between(self.begin, self.until)

    def explains(self, issue: Issue, counts: Counts) -> bool:
        """Tell whether an issue, of its route if it has one, may be why: it began, or rose."""
        before, count = self.figures(counts)
        return (self.began(issue) and count > 0) or (count >= LEAST and count >= TIMES * before)

    def is_of(self, routes: Collection[str]) -> bool:
        """Tell whether it is about one of an issue's routes, or about all of the service."""
        return self.route is None or not set(route_values(self.route)).isdisjoint(routes)

    def leading(self, owners: Mapping[str, int]) -> Self:
        """Return it with the issue that it leads to now, by the names of merged issues."""
        if self.issue is None:
            return self
        return replace(self, issue=owners.get(merged_name(self.issue), self.issue))

    def holds(self, sample: Sample, issue: int | None) -> bool:
        """Tell whether a request that failed (with an issue), or was slow, was one of it."""
        if sample.reason == Reason.ORDINARY or not self.start <= sample.at < self.end:
            return False
        if self.issue is not None:
            return issue == self.issue
        return self.is_of({sample.route, f"{sample.method} {sample.route}"})


def _route(incident: Incident) -> str | None:
    """Return the route or job that an incident is about; None for all of the service."""
    labels = incident.data.get("labels")
    found = labels if isinstance(labels, Mapping) else {}
    method, route, job = (found.get(name) for name in ("method", "route", "job"))
    if isinstance(job, str) and job != OTHER:
        return f"job:{job}"
    if not isinstance(route, str) or route in (OTHER, QUIET):
        return None
    return f"{method} {route}" if isinstance(method, str) else route
