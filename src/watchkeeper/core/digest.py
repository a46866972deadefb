"""One message that stands for many: those beyond the brake, and those that did not arrive."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from zlib import crc32

MAX_LISTED: Final = 200  # incidents in one digest; the rest is counted in it
MAX_NAMED: Final = 5  # rules in the sentence about them
REPORT_EVERY_S: Final = 3_600.0  # per channel that fails
SEQUENCES: Final = 2**31
_ACTING: Final = ("ack_link", "silence_link", "incidents")
_STEP: Final = (
    "See which one began first: others may follow from it. watchkeeper alerts lists them with "
    "their numbers, watchkeeper ack NUMBER takes one on, watchkeeper silence add quiets a rule."
)
_SEVERITIES: Final = ("critical", "warning")


def digest(payloads: Sequence[Mapping[str, Any]], *, now: float) -> dict[str, Any]:
    """Return the payload of a message that lists every incident of others, oldest first.

    Of several messages of one incident the last counts. At most MAX_LISTED are listed, those that
    are not over first; `more` counts the rest, and what the messages themselves did not list.
    """
    alerts, unlisted, firing = _incidents(payloads, now=now)
    listed = sorted(alerts, key=lambda one: one.get("ended_at") is not None)[:MAX_LISTED]
    starts = [one["started_at"] for one in alerts if one.get("started_at") is not None]
    first = payloads[0] if payloads else {}
    links = [str(payload.get("link", "")) for payload in payloads]
    return {
        "rule": "Digest",
        "severity": _worst(payload.get("severity") for payload in payloads),
        "status": "firing" if firing else "resolved",
        "service": first.get("service", ""),
        "environment": first.get("environment", ""),
        "summary": _sentence(alerts, unlisted=unlisted, firing=firing),
        "started_at": min(starts, default=now),
        "ended_at": None if firing else now,
        # A page of one issue or of the checks does not show the others; the dashboard has a query.
        "link": next((one for one in links if "?" in one), links[0] if links else ""),
        # Links act on the incidents of the message that they were made for.
        **({key: first.get(key, "") for key in _ACTING} if len(payloads) == 1 else {}),
        "next_steps": [] if len(payloads) == 1 or not firing else [_STEP],
        "alerts": listed,
        "more": len(alerts) - len(listed) + unlisted,
    }


def undelivered(
    channel: str, *, count: int, error: str, service: str, environment: str, now: float
) -> dict[str, Any]:
    """Return the payload of a message, for other channels, that a channel lost some."""
    messages = "1 message" if count == 1 else f"{count} messages"
    summary = f"channel {channel}: {messages} not delivered: {error}"
    return {
        "rule": "Messages not delivered",
        "severity": "critical",
        "status": "firing",
        "service": service,
        "environment": environment,
        "summary": summary,
        "started_at": now,
        "ended_at": None,
        "holds_until": now + REPORT_EVERY_S,  # then it is told again, if more was lost
        "link": "",
        "alerts": [{"labels": {"channel": channel}, "summary": summary, "started_at": now}],
    }


def report_sequence(channel: str, *, now: float) -> int:
    """Return the sequence of the report about a channel: one an hour, whoever tells it."""
    return (crc32(channel.encode()) + int(now // REPORT_EVERY_S)) % SEQUENCES


def report_due(*, reported_at: float, now: float) -> bool:
    """Tell whether a channel that lost messages is told of now."""
    return not 0 <= now - reported_at < REPORT_EVERY_S


def _incidents(
    payloads: Sequence[Mapping[str, Any]], *, now: float
) -> tuple[list[dict[str, Any]], int, int]:
    """Return what messages list, how many incidents they do not list, and how many fire of all."""
    listed: dict[object, dict[str, Any]] = {}
    fires: dict[object, bool] = {}  # each incident, as the last message of it says
    nameless = nameless_firing = 0  # those that a message only counts
    for number, payload in enumerate(payloads):
        named, alerts = payload.get("incidents") or (), _alerts(payload)
        fires_on = payload.get("ended_at") is None
        fires.update(dict.fromkeys(named, fires_on))
        for alert in alerts:
            name = alert.get("incident") or f"message {number}"
            listed[name], fires[name] = alert, alert.get("ended_at") is None
        counted = max(0, payload.get("more", 0) - max(0, len(named) - len(alerts)))
        nameless += counted
        nameless_firing += counted if fires_on else 0
    for name, alert in listed.items():
        if not fires[name] and alert.get("ended_at") is None:
            listed[name] = {**alert, "ended_at": now}
    unlisted = len(fires.keys() - listed.keys()) + nameless
    return list(listed.values()), unlisted, sum(fires.values()) + nameless_firing


def _alerts(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a message lists, each with what the whole message says of it."""
    whole = {
        "summary": payload.get("summary", ""),
        "severity": payload.get("severity", ""),
        "rule": payload.get("rule", ""),
        "link": payload.get("link", ""),
        "started_at": payload.get("started_at"),
        "ended_at": payload.get("ended_at"),
    }
    found = []
    for alert in payload.get("alerts") or ([] if payload.get("incidents") else [{}]):
        own = {key: value for key, value in alert.items() if value not in (None, "")}
        found.append({**alert, **whole, **own})
    return found


def _worst(severities: Iterable[object]) -> str:
    found = [str(one) for one in severities if one]
    return next((one for one in _SEVERITIES if one in found), found[0] if found else "warning")


def _sentence(alerts: Sequence[Mapping[str, Any]], *, unlisted: int, firing: int) -> str:
    rules = Counter(str(one.get("rule", "")) for one in alerts)
    named = [
        f"{rule} ({count})" if count > 1 else rule for rule, count in rules.most_common(MAX_NAMED)
    ]
    if len(rules) > MAX_NAMED:
        named.append(f"{len(rules) - MAX_NAMED} more rules")
    count = len(alerts) + unlisted
    incidents = "1 incident" if count == 1 else f"{count} incidents"
    return f"{incidents} beyond the limit of messages, {firing} still firing: {', '.join(named)}"
