"""What people did, for whoever asks who did it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from watchkeeper.dashboard.parameters import Page
from watchkeeper.dashboard.sums import Query


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One thing that somebody did."""

    at: float
    actor: str
    action: str
    target: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditView:
    """What was done in a window, newest first."""

    service: str
    environment: str
    at: float
    start: int
    end: float
    more: bool
    entries: tuple[AuditRow, ...]


def audits(query: Query, *, page: Page) -> AuditView:
    """List what was done in a window, newest first."""
    found = query.store.audits(
        service=query.service,
        environment=query.environment,
        since=query.begin,
        until=query.end,
        limit=page.offset + page.limit + 1,
    )
    return AuditView(
        service=query.service,
        environment=query.environment,
        at=query.now,
        start=query.begin,
        end=query.end,
        more=len(found) > page.offset + page.limit,
        entries=tuple(
            AuditRow(
                at=one.at,
                actor=one.actor,
                action=one.action,
                target=one.target,
                data=one.data,
            )
            for one in page.of(found)
        ),
    )
