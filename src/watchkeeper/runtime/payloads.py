"""What a message carries: JSON values about one or several incidents of one rule."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from watchkeeper.core.conditions import Comparison, WorkerMissing, comparisons, terms
from watchkeeper.core.messages import several_summary, threshold_text
from watchkeeper.core.metrics import Scope
from watchkeeper.core.next_steps import next_steps
from watchkeeper.core.rule import Rule
from watchkeeper.core.silences import rank
from watchkeeper.core.telling import Kind
from watchkeeper.runtime.audience import Links
from watchkeeper.storage.store import Incident

MAX_LISTED: Final = 30  # alerts of one message; the rest is counted in it

_STATUS: Final = {Kind.RESOLVED: "resolved"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message before it is written down for each of its channels."""

    kind: Kind
    name: str  # of the rule
    rule: Rule | None  # None: it is gone
    incidents: Sequence[Incident]  # the first one begins first
    severity: str
    late: bool = False  # it tells of the end what nobody was told the beginning of
    sequence: int = 0
    more: int = 0  # further ones that are not even among the incidents
    summary: str = ""  # empty: made of the incidents' own
    # By a label of one: what a health check, or the last run of a job, said. It holds no secret.
    said: Mapping[tuple[str, str], str] = field(default_factory=dict)


class Payloads:
    """Writes messages of one scope down."""

    def __init__(self, scope: Scope, links: Callable[[Sequence[Incident]], Links]) -> None:
        """Take the scope, and what gives the incidents of a message their addresses."""
        self._scope = scope
        self._links = links

    def of(self, message: Message, *, thread: str = "") -> dict[str, Any]:
        """Return what a notification carries; docs/who-is-told.md describes each key.

        `thread` is the id of the first message about the same incident on the same channel.
        """
        first = message.incidents[0]
        listed = message.incidents[:MAX_LISTED]
        links = self._links(message.incidents)
        release = first.data.get("release")
        ended = [one.resolved_at for one in message.incidents if one.resolved_at is not None]
        over = len(ended) == len(message.incidents)
        rule = message.rule
        return {
            "rule": message.name,
            "severity": message.severity,
            "status": _STATUS.get(message.kind, "firing"),
            "kind": message.kind.value,
            "service": self._scope.service,
            "environment": self._scope.environment,
            "summary": message.summary or _summary(message),
            "started_at": min(one.started_at for one in message.incidents),
            "noticed": _is_noticed(message),
            "ended_at": max(ended) if over else None,
            "link": links.page,
            "ack_link": links.acknowledge,
            "silence_link": links.silence,
            "thread": thread,
            "sequence": message.sequence,
            "release": release,
            "description": rule.description if rule else "",
            "runbook": rule.runbook if rule else "",
            "next_steps": list(next_steps(rule, release=(release or {}).get("name", "")))
            if rule and message.kind is not Kind.RESOLVED
            else [],
            "late": message.late,
            "more": message.more + len(message.incidents) - len(listed),
            "incidents": [one.id for one in message.incidents],
            "alerts": [self._alert(one, message) for one in listed],
        }

    def _alert(self, one: Incident, message: Message) -> dict[str, Any]:
        decided = _decided(one, message.rule)
        return {
            "labels": dict(one.data.get("labels", {})),
            "summary": _said(one, message),
            "said": _heard(one, message),
            "value": one.value,
            "value_text": one.data.get("value_text", ""),
            "threshold": one.data.get("threshold"),
            "threshold_text": one.data.get("threshold_text", ""),
            "operator": decided.operator.value if decided is not None else "",
            "peak_text": one.data.get("peak_text", ""),
            "bad": one.data.get("bad"),
            "total": one.data.get("total"),
            "window_s": one.data.get("window_s"),
            "started_at": one.started_at,
            "ended_at": one.resolved_at,
            "incident": one.id,
            "link": self._links((one,)).page,
            "severity": one.severity,
        }


def without(payload: dict[str, Any], gone: Sequence[int]) -> dict[str, Any] | None:
    """Return a payload that tells of these incidents no more; None if it tells of no other."""
    left = [one for one in told_of(payload) if one not in gone]
    if not left:
        return None
    alerts = [one for one in payload["alerts"] if one.get("incident") in left]
    severities = [str(one.get("severity", "")) for one in alerts]
    return {
        **payload,
        "severity": max(severities, key=rank, default=payload["severity"]),
        "summary": several_summary(
            payload["rule"],
            [str(one.get("summary", "")) for one in alerts],
            more=len(left) - len(alerts),
        ),
        "started_at": min((one["started_at"] for one in alerts), default=payload["started_at"]),
        "incidents": left,
        "more": len(left) - len(alerts),
        "alerts": alerts,
    }


def told_of(payload: dict[str, Any]) -> list[int]:
    """Return the incidents that a message tells of; earlier versions wrote no list of them."""
    listed = payload.get("incidents")
    if isinstance(listed, list):
        return listed
    return [one["incident"] for one in payload.get("alerts", ()) if one.get("incident")]


def _said(one: Incident, message: Message) -> str:
    """Return what a message says of one incident: with what its check or job said, if it fires."""
    if message.kind is Kind.RESOLVED and one.data.get("resolved_summary"):
        return str(one.data["resolved_summary"])
    summary, said = str(one.data.get("summary", "")), _heard(one, message)
    return f"{summary}: {said}" if said else summary


def _heard(one: Incident, message: Message) -> str:
    """Return what the check or job of an incident said, while that fires."""
    if one.resolved_at is not None:
        return ""
    labels = one.data.get("labels", {})
    return next((message.said[pair] for pair in labels.items() if pair in message.said), "")


def _summary(message: Message) -> str:
    said = [_said(one, message) for one in message.incidents]
    return several_summary(message.name, said, more=message.more)


def _is_noticed(message: Message) -> bool:
    """Tell whether it began before it was noticed: silence is seen when it has lasted."""
    when = message.rule.when if message.rule is not None else None
    if when is None or message.kind is Kind.RESOLVED:
        return False
    found = terms(when)
    if any(isinstance(term, WorkerMissing) for term in found):
        return True
    return message.incidents[0].value is None


def _decided(one: Incident, rule: Rule | None) -> Comparison | None:
    """Return the comparison that an incident's threshold is of, if the rule still has it."""
    if rule is None or rule.when is None:
        return None
    conditions = [rule.when, *([rule.worse.when] if rule.worse is not None else [])]
    threshold, text = one.data.get("threshold"), one.data.get("threshold_text")
    return next(
        (
            term
            for condition in conditions
            for term in comparisons(condition)
            if term.threshold == threshold and threshold_text(term) == text
        ),
        None,
    )
