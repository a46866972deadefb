"""Telling people: after each evaluation, what they believe is brought in line with what is so.

Who sends a message changes the alert's row with it, by compare-and-set and in one transaction: of
any number of workers one does. Whatever was not sent, because a worker was killed or somebody
else was faster, is due at the next evaluation.
"""

from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

from watchkeeper.core.inhibition import Firing, inhibited
from watchkeeper.core.instance import State
from watchkeeper.core.metrics import Scope
from watchkeeper.core.pack import PACK, SELF
from watchkeeper.core.queue import priority
from watchkeeper.core.rule import Rule
from watchkeeper.core.silences import rank, silenced_by
from watchkeeper.core.telling import Facts, Kind, Manners, comes_again, decide
from watchkeeper.exceptions import StorageError
from watchkeeper.runtime.audience import Audience, Silences
from watchkeeper.runtime.believed import GROUPS_KEY, Believed, believed
from watchkeeper.runtime.decided import Case
from watchkeeper.runtime.deliveries import Deliveries, is_outdone, rest_of
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.last_said import last_said
from watchkeeper.runtime.payloads import Message, Payloads
from watchkeeper.storage.store import AlertChange, AlertRow, Outgoing, Store

T = TypeVar("T")

MAX_ATTEMPTS: Final = 2  # somebody else was faster: read what is so now, and decide once more
MAX_AWAY: Final = 2  # messages that the store did not take: it is away, the rest waits
SENDING_S: Final = 120.0  # how long the end of an alert waits for its beginning to be sent

_TOGETHER: Final = frozenset(rule.name for rule in PACK) - SELF

_ALERT: Final = guard("telling of an alert")
_MESSAGE: Final = guard("message of an alert")

Rows = MutableMapping[tuple[str, str], AlertRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Surroundings:
    """What else is so while one alert is looked at; by rule and group."""

    rows: Mapping[tuple[str, str], AlertRow]
    silenced: Mapping[tuple[str, str], str]
    causes: Mapping[tuple[str, str], str]


class Telling:
    """Sends what is due of one scope. Used by one thread; any number may work on one store."""

    def __init__(
        self, store: Store, *, scope: Scope, audience: Audience, payloads: Payloads
    ) -> None:
        """Take where alerts and messages are kept, whom to tell, and what writes messages."""
        self._store = store
        self._scope = scope
        self._audience = audience
        self.failed = 0  # alerts and messages that something was wrong with at the last `follow`
        self._payloads = payloads
        self._silences = Silences(store, scope=scope, planned=audience.silences)

    def follow(self, rows: Rows, rules: Collection[Rule], *, now: float) -> int:
        """Send what is due by now; return how many messages were put into the outbox.

        `rows` are the alerts of the scope as they are in the store; they are kept up to date.
        What is wrong with one alert or message counts as `failed`. Raises StorageError.
        """
        self.failed = 0
        named = {rule.name: rule for rule in rules}
        put, away = 0, list[StorageError]()
        for _ in range(MAX_ATTEMPTS):
            lost = False
            for batch in self._batches(rows, named, now=now):
                saved = self._save_apart(batch, rows, away, now=now)
                lost = lost or saved is None
                put += saved or 0
            if not lost:
                break
            rows.clear()
            rows.update(
                ((row.rule, row.group), row)
                for row in self._store.alerts(
                    service=self._scope.service, environment=self._scope.environment
                )
            )
        if away:
            raise away[0]
        return put

    def _save_apart(
        self, batch: Sequence[Case], rows: Rows, away: list[StorageError], *, now: float
    ) -> int | None:
        """Save a batch; what is wrong with one message does not keep others from being sent."""
        saved: int | None = 0
        self.failed += 1
        with _MESSAGE:
            try:
                saved = self._save(batch, rows, now=now)
            except StorageError as error:
                away.append(error)
            self.failed -= 1
        if len(away) >= MAX_AWAY:
            raise away[0]
        return saved

    def _batches(
        self, rows: Rows, rules: Mapping[str, Rule], *, now: float
    ) -> Iterable[list[Case]]:
        """Return what is to be stored: alerts of one message together, others one by one."""
        deliveries = Deliveries(self._store)
        messages: dict[object, list[Case]] = {}
        for case in self._cases(rows, rules, deliveries, now=now):
            if case.step.kind is not None:
                messages.setdefault(case.message, []).append(case)
            elif case.step.told != case.before:
                messages[case.row.rule, case.row.group, "held"] = [case]
        return messages.values()

    def _cases(
        self, rows: Rows, rules: Mapping[str, Rule], deliveries: Deliveries, *, now: float
    ) -> Iterator[Case]:
        found = [one for one in self._read(rows, rules) if one.is_of_interest]
        if not found:
            return
        of_rules = {name: self._audience.manners(rule) for name, rule in rules.items()}
        silenced = self._silenced(found, now=now)
        causes = self._causes(found, silenced, rules, now=now)
        around = _Surroundings(rows=rows, silenced=silenced, causes=causes)
        drafts = []
        for one in found:
            if not one.is_ours(now=now):
                continue  # a worker with other rules evaluates it, or its end comes soon
            manners = of_rules.get(one.row.rule) or Manners.of(None)
            draft = self._apart(partial(self._case, one, manners, around, now=now))
            drafts += [(*draft, manners)] if draft is not None else []
        numbers = {facts.incident for _, facts, _ in drafts}
        incidents = {one.id: one for one in self._store.incidents_by_id(numbers)}
        for case, facts, manners in drafts:
            case = replace(case, incident=incidents.get(facts.incident))
            looked_up = self._apart(
                partial(self._looked_up, case, facts, manners, deliveries, now=now)
            )
            if looked_up is not None:
                yield looked_up

    def _apart(self, work: Callable[[], T]) -> T | None:
        """Return what `work` does about one alert; None, and counted, if that failed.

        Raises StorageError.
        """
        done, away = None, None
        self.failed += 1
        with _ALERT:
            try:
                done = work()
            except StorageError as error:
                away = error
            self.failed -= 1
        if away is not None:
            raise away
        return done

    def _read(self, rows: Rows, rules: Mapping[str, Rule]) -> Iterator[Believed]:
        """Read the rows; one that cannot be read is left out, logged and counted."""
        for row in rows.values():
            one = None
            with _ALERT:
                one = believed(row, rules.get(row.rule))
            if one is None:
                self.failed += 1
            else:
                yield one

    def _case(
        self,
        one: Believed,
        manners: Manners,
        around: _Surroundings,
        *,
        now: float,
    ) -> tuple[Case, Facts] | None:
        """Decide about one alert, by what; None if all is as it was."""
        facts = self._facts(one, around, now=now)
        step = decide(one.told, facts, manners, now=now)
        if step.kind is None and step.told == one.told:
            return None
        case = Case(row=one.row, rule=one.rule, severity=one.severity, before=one.told, step=step)
        return case, facts

    def _facts(self, one: Believed, around: _Surroundings, *, now: float) -> Facts:
        row, told, severity = one.row, one.told, one.severity
        firing = one.fires and row.incident is not None
        return Facts(
            incident=row.incident if firing and row.incident else told.incident,
            firing=firing,
            recovering=row.state == State.RECOVERING,
            severity=severity,
            ended_at=one.ended_at,
            flapping=one.flapping if firing else comes_again(one.flaps, now=now),
            routed=self._audience.channels(one.rule, severity) if one.rule else (),
            silenced_by=around.silenced.get(one.key, "") if firing else "",
            inhibited_by=around.causes.get(one.key, ""),
            group_at=_group_at(around.rows, row, firing=firing),
            quiet_hours=self._audience.waits(severity if firing else told.severity, at=now),
        )

    def _silenced(self, found: Iterable[Believed], *, now: float) -> dict[tuple[str, str], str]:
        """Return which alerts a silence holds back, and which one."""
        known = self._silences.known(now=now)
        holding = {
            one.key: silenced_by(
                known, rule=one.row.rule, severity=one.severity, labels=one.labels, at=now
            )
            for one in found
            if known and one.fires
        }
        return {key: silence.name for key, silence in holding.items() if silence is not None}

    def _causes(
        self,
        found: Iterable[Believed],
        silenced: Collection[tuple[str, str]],
        rules: Mapping[str, Rule],
        *,
        now: float,
    ) -> dict[tuple[str, str], str]:
        """Return which alerts another one explains: one that people are told of."""
        firing = [
            Firing(
                rule=one.row.rule, group=one.row.group, severity=one.severity, labels=one.labels
            )
            for one in found
            if one.fires and (_is_known(one) or self._goes_out(one, silenced, now=now))
        ]
        quiet_while = {rule.name: rule.quiet_while for rule in rules.values()}
        return inhibited(firing, quiet_while=quiet_while, together=_TOGETHER)

    def _goes_out(
        self, one: Believed, silenced: Collection[tuple[str, str]], *, now: float
    ) -> bool:
        """Tell whether people are told of an alert, unless another one explains it."""
        if one.rule is None or one.rule.shadow or one.key in silenced:
            return False
        is_held = self._audience.waits(one.severity, at=now)
        return not is_held and bool(self._audience.channels(one.rule, one.severity))

    def _looked_up(
        self, case: Case, facts: Facts, manners: Manners, deliveries: Deliveries, *, now: float
    ) -> Case:
        """Return the case decided once more by what its incident says, and its messages."""
        incident = case.incident
        step, delivered = case.step, None
        if incident is not None and incident.taken_at is not None:
            facts = replace(facts, acknowledged=True)
            step = decide(case.before, facts, manners, now=now)
        if step.kind is not None and case.before.filed:
            delivered = deliveries.about(facts.incident, filed=case.before.filed)
        if step.kind is Kind.RESOLVED and delivered and delivered.in_flight:
            in_flight = now - facts.ended_at < SENDING_S
            step = decide(case.before, replace(facts, in_flight=in_flight), manners, now=now)
        return replace(case, step=step, delivered=delivered)

    def _save(self, batch: Sequence[Case], rows: Rows, *, now: float) -> int | None:
        """Store what was decided, and the message with it; None if somebody else was faster."""
        batch = sorted(batch, key=lambda case: case.incident.started_at if case.incident else 0.0)
        lead = batch[0]
        outgoing, withdraw = self._messages(batch, now=now)
        changed = {(row.rule, row.group): row for row in (one.after(lead) for one in batch)}
        self._note_sent(changed, lead, rows, now=now)
        first, *also = changed.values()
        change = AlertChange(
            row=first,
            also=also,
            incidents=[case.noted() for case in batch if case.incident is not None],
            outgoing=outgoing,
            withdraw=withdraw,
        )
        saved = self._store.save_alert(change, at=now)
        if saved is None:
            return None
        rows[saved.rule, saved.group] = saved
        for row in also:
            rows[row.rule, row.group] = replace(row, version=row.version + 1)
        return len(outgoing)

    def _messages(self, batch: Sequence[Case], *, now: float) -> tuple[list[Outgoing], list[int]]:
        """Return the messages of a batch, one per channel, and which ones they stand for."""
        lead = batch[0]
        kind = lead.step.kind
        incidents = [case.incident for case in batch if case.incident is not None]
        if kind is None or not incidents:
            return [], []
        told_anew = [one.id for one in incidents]
        stale = {
            row.id: row
            for case in batch
            if case.delivered
            for row in case.delivered.waiting
            if is_outdone(row, kind, lead.channels)
        }
        severity = max((case.worst for case in batch), key=rank)
        message = Message(
            kind=kind,
            name=lead.row.rule,
            rule=lead.rule,
            incidents=incidents,
            severity=severity,
            sequence=lead.before.sequence(kind) if not lead.is_new else 0,
            said={} if kind is Kind.RESOLVED else last_said(self._store, self._scope, lead.rule),
        )
        outgoing = [self._outgoing(lead, message, channel, now=now) for channel in lead.channels]
        return [*outgoing, *rest_of(stale.values(), told_anew, now=now)], list(stale)

    def _outgoing(self, lead: Case, message: Message, channel: str, *, now: float) -> Outgoing:
        message = replace(message, late=channel in lead.late)
        thread = lead.delivered.threads.get(channel, "") if lead.delivered else ""
        return Outgoing(
            kind=message.kind.value,
            sequence=message.sequence,
            channel=channel,
            payload=self._payloads.of(message, thread=thread),
            due_at=now,
            incident=message.incidents[0].id,
            priority=priority(message.severity, is_end=message.kind is Kind.RESOLVED),
        )

    def _note_sent(
        self,
        changed: dict[tuple[str, str], AlertRow],
        lead: Case,
        rows: Rows,
        *,
        now: float,
    ) -> None:
        """Write the moment of this message into the rule's own row, if others may follow it.

        That row may be one of those changed by the message itself.
        """
        sort, own = lead.sort, (lead.row.rule, "")
        if sort is None or not any(group for _, group in changed):
            return
        row = (
            changed.get(own)
            or rows.get(own)
            or AlertRow(
                service=self._scope.service,
                environment=self._scope.environment,
                rule=lead.row.rule,
                group="",
                state=State.OK.value,
                data={},
            )
        )
        groups = {**row.data.get(GROUPS_KEY, {}), sort: now}
        changed[own] = replace(row, data={**row.data, GROUPS_KEY: groups})


def _is_known(one: Believed) -> bool:
    """Tell whether people have been told of what fires now."""
    return bool(one.told.channels) and one.told.incident == one.row.incident


def _group_at(rows: Mapping[tuple[str, str], AlertRow], row: AlertRow, *, firing: bool) -> float:
    own = rows.get((row.rule, "")) if row.group else None
    groups = own.data.get(GROUPS_KEY, {}) if own is not None else {}
    return float(groups.get("new" if firing else "over", 0.0))
