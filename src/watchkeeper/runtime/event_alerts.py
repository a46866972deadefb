"""Event rules: each issue that is new or came back is an incident; people are told in digests."""

from dataclasses import replace
from math import inf
from typing import Final

from watchkeeper.core.conditions import write_labels
from watchkeeper.core.grouping import LATE_S, Due, EventLog, Sighting, due
from watchkeeper.core.instance import State
from watchkeeper.core.issues import State as IssueState
from watchkeeper.core.messages import digest_summary
from watchkeeper.core.metrics import Scope
from watchkeeper.core.queue import priority
from watchkeeper.core.rule import ISSUE_CAME_BACK, ISSUE_NEW, Rule
from watchkeeper.core.silences import silenced_by
from watchkeeper.core.telling import Kind
from watchkeeper.runtime.audience import Audience, Silences
from watchkeeper.runtime.payloads import Message, Payloads
from watchkeeper.storage.store import AlertChange, AlertRow, Incident, Issue, Outgoing, Store

MAX_NEW: Final = 50  # issues that one evaluation takes up; the rest is the next one's
MAX_READ: Final = 1_000  # issues read to find the new ones
LOOK_BACK_S: Final = 60.0  # how far a rule that has never been evaluated looks back


class EventAlerts:
    """Finds what happened in the store, so that it does not matter which worker evaluates."""

    def __init__(
        self,
        store: Store,
        *,
        scope: Scope,
        audience: Audience,
        installed_at: float,
    ) -> None:
        """Take the store, whom to tell, and when the installation began."""
        self._store = store
        self._scope = scope
        self._audience = audience
        self._payloads = Payloads(scope, audience.links)
        self._silences = Silences(store, scope=scope, planned=audience.silences)
        self._installed_at = installed_at

    def evaluate(self, rule: Rule, row: AlertRow | None, *, now: float) -> int:
        """Record what is new and tell what is due; return how many incidents were added.

        One row per rule holds what has been seen and who waits; its version makes sure that of
        several workers one records an issue, and one sends a digest.
        """
        if row is None:
            row = self._begin(rule, now=now)
        added = 0
        if row is None:
            return added
        log = EventLog.from_data(row.data).read_at(now)
        found, reached = self._sightings(rule, log, now=now)
        for sighting in log.unseen(found)[:MAX_NEW]:
            quiet = self._is_quiet(rule, sighting, now=now)
            log = log.seen(sighting, now=now, quiet=quiet)
            saved = self._record(rule, row, log, sighting, now=now)
            if saved is None:
                return added
            row, added = saved, added + 1
        reason = due(log.waiting, sent_at=log.sent_at, digest_s=rule.digest_s, now=now)
        if reason.is_now and not self._audience.waits(rule.severity, at=now):
            self._tell(rule, row, log, now=now)
        elif reason is Due.NOTHING and reached - log.since > LATE_S and not log.unseen(found):
            # What nobody is to be told of is not to be read again each time.
            changed = replace(row, data=log.moved_on(reached).to_data())
            self._store.save_alert(AlertChange(row=changed), at=now)
        return added

    def _is_quiet(self, rule: Rule, sighting: Sighting, *, now: float) -> bool:
        """Tell whether an event is listed only: what is told has no end to wait for."""
        if rule.shadow or sighting.at < self._installed_at + rule.quiet_s:
            return True
        silence = silenced_by(
            self._silences.known(now=now),
            rule=rule.name,
            severity=rule.severity,
            labels=sighting.labels,
            at=now,
        )
        return silence is not None

    def _begin(self, rule: Rule, *, now: float) -> AlertRow | None:
        """Store from when on issues count as new."""
        log = EventLog(since=max(self._installed_at, now - LOOK_BACK_S))
        row = AlertRow(
            service=self._scope.service,
            environment=self._scope.environment,
            rule=rule.name,
            group="",
            state=State.OK.value,
            data=log.to_data(),
        )
        return self._store.save_alert(AlertChange(row=row), at=now)

    def _sightings(self, rule: Rule, log: EventLog, *, now: float) -> tuple[list[Sighting], float]:
        """Return what happened since, of the kinds that a rule is about.

        And until when nothing is missing, but for what comes to the store later than that.
        """
        found, reached = [], now - LATE_S
        if ISSUE_NEW in rule.on:
            found += self._new(rule, log)
        if ISSUE_CAME_BACK in rule.on:
            returns, last = self._returns(rule, log)
            found, reached = found + returns, min(reached, last)
        return found, reached

    def _returns(self, rule: Rule, log: EventLog) -> tuple[list[Sighting], float]:
        """Return each time that an issue came back, unless somebody has muted it since.

        And when the last line was written that was read, if there are more.
        """
        entries = self._store.issue_returns(
            service=self._scope.service,
            environment=self._scope.environment,
            since=log.since,
            limit=MAX_READ,
        )
        found = [
            replace(_sighting(issue), id=-entry.id, at=entry.at)
            for entry, issue in entries
            if _is_told(issue, rule)
        ]
        return found, entries[-1][0].at if len(entries) == MAX_READ else inf

    def _new(self, rule: Rule, log: EventLog) -> list[Sighting]:
        issues = self._store.issues(
            service=self._scope.service,
            environment=self._scope.environment,
            seen_since=log.since,
            first_seen_since=log.since,
            limit=MAX_READ,
        )
        # Whoever has muted, merged or split it knows of it.
        untouched = (issue for issue in issues if issue.version == 0)
        return [_sighting(issue) for issue in untouched if _is_told(issue, rule)]

    def _record(
        self, rule: Rule, row: AlertRow, log: EventLog, sighting: Sighting, *, now: float
    ) -> AlertRow | None:
        incident = self._incident(rule, sighting, now=now)
        changed = replace(row, data=log.to_data())
        return self._store.save_alert(AlertChange(row=changed, incident=incident), at=now)

    def _incident(self, rule: Rule, sighting: Sighting, *, now: float) -> Incident:
        labels = [("issue", sighting.labels["issue"])]
        if sighting.id < 0:
            labels.append(("return", str(-sighting.id)))
        return Incident(
            service=self._scope.service,
            environment=self._scope.environment,
            rule=rule.name,
            group=write_labels(tuple(labels)),
            severity=rule.severity,
            state="event",
            started_at=sighting.at,
            fired_at=now,
            reason="new issue" if sighting.id > 0 else "issue came back",
            data={
                "labels": dict(sighting.labels),
                "summary": sighting.summary,
                "issue": int(sighting.labels["issue"]),
            },
        )

    def _tell(self, rule: Rule, row: AlertRow, log: EventLog, *, now: float) -> None:
        stored = {
            incident.group: incident.id
            for incident in self._store.incidents(
                service=self._scope.service,
                environment=self._scope.environment,
                states=("event",),
                since=min(one.at for one in log.waiting),
                limit=MAX_READ,
            )
            if incident.rule == rule.name
        }
        incidents = []
        for one in log.waiting:
            incident = self._incident(rule, one, now=now)
            incidents.append(replace(incident, id=stored.get(incident.group, 0)))
        kind = Kind.FIRING if len(incidents) == 1 else Kind.DIGEST
        message = Message(
            kind=kind,
            name=rule.name,
            rule=rule,
            incidents=incidents,
            severity=rule.severity,
            sequence=log.sequence,
            more=log.more,
            summary=digest_summary(rule, [one.summary for one in log.waiting], more=log.more),
        )
        payload = self._payloads.of(message)
        outgoing = [
            Outgoing(
                kind=kind.value,
                sequence=log.sequence,
                channel=channel,
                payload=payload,
                due_at=now,
                priority=priority(rule.severity),
            )
            for channel in self._audience.channels(rule, rule.severity)
        ]
        changed = replace(row, data=log.told(at=now).to_data())
        self._store.save_alert(AlertChange(row=changed, outgoing=outgoing), at=now)


def _sighting(issue: Issue) -> Sighting:
    """Make the sighting of a new issue; those of returns have negative ids, of their entries."""
    return Sighting(
        id=issue.id,
        at=issue.first_at,
        labels={"issue": str(issue.id), "type": issue.type, "culprit": issue.culprit},
        summary=issue.title or issue.type,
    )


def _is_told(issue: Issue, rule: Rule) -> bool:
    quiet = issue.state in (IssueState.MUTED, IssueState.IGNORED)
    return not quiet and rule.is_reached_by(issue.level)
