"""What pages, API and command line show of alerts: plain values, no store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message on its way to one channel; `status` is due, sent, failed or withdrawn."""

    kind: str
    channel: str
    status: str
    created_at: float
    sent_at: float | None
    attempts: int
    next_try_at: float | None
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """Who has an incident, since when, and what they said."""

    by: str
    at: float
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertView:
    """A rule on one group that is not simply well.

    `why` is what was decided last about telling, and `held_by` the silence or rule that held it
    back; `told` are the messages about it, oldest first.
    """

    rule: str
    group: str
    state: str
    severity: str
    since: float
    lasted_s: float
    incident: int | None
    value: float | None
    peak: float | None
    threshold: float | None
    summary: str
    flapping: bool
    why: str | None
    held_by: str | None
    acknowledged: Acknowledged | None
    told: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastIncident:
    """One incident of a list: open, over, or an event that has no end."""

    id: int
    rule: str
    group: str
    severity: str
    state: str
    started_at: float
    fired_at: float | None
    resolved_at: float | None
    lasted_s: float
    reason: str
    summary: str
    acknowledged: Acknowledged | None
    told: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsView:
    """What is pending or fires now, the worst first, and the incidents of a window."""

    service: str
    environment: str
    at: float
    evaluated_at: float | None
    more: bool
    alerts: tuple[AlertView, ...]
    incidents: tuple[PastIncident, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceView:
    """A silence or planned time; `id` None: it is of the settings. `active`: in force now."""

    id: int | None
    matchers: Mapping[str, Sequence[str]]
    starts_at: float | None
    ends_at: float | None
    schedule: str
    author: str
    comment: str
    created_at: float | None
    active: bool
    until: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SilencesView:
    """The silences that are in force or to come, those of the settings first."""

    service: str
    environment: str
    at: float
    silences: tuple[SilenceView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleView:
    """A rule in force, where it comes from, and how it stands."""

    name: str
    origin: str
    enabled: bool
    severity: str
    condition: str
    explanation: str
    hash: str
    state: str
    firing: int
    since: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesView:
    """Every rule, in the order in which they are evaluated."""

    service: str
    environment: str
    at: float
    evaluated_at: float | None
    rules: tuple[RuleView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One moment of an incident: what happened, and more about it.

    `what` is breach, fired, event, sent, waiting, failed, withdrawn, acknowledged or resolved.
    """

    at: float
    what: str
    text: str
