"""The body of a webhook message: Alertmanager's webhook form, version 4, plus one key of ours."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from watchkeeper.notify.notifier import Notification

MAX_BYTES: Final = 19_000  # receivers expect less than 20 kB (Standard Webhooks)
MAX_ALERTS: Final = (30, 10, 3, 1)  # named in one message: the first number that fits
MAX_INCIDENTS: Final = 200  # named by number, also of alerts that are not listed
MAX_TEXT: Final = 600  # characters of one text inside
MAX_LABELS: Final = 12
MAX_LABEL: Final = 200
SEVERITY: Final = "severity"
_GROUP: Final[tuple[str, ...]] = ("alertname", "environment", "service")
NEVER: Final = "0001-01-01T00:00:00Z"  # what Alertmanager sends as the end of what still fires


def body(notification: Notification) -> dict[str, Any]:
    """Return the message as JSON values.

    `watchkeeper` holds what Alertmanager's form has no room for: the kind of message, the release
    before it, the links to act by and, of the first alert, incident, value, threshold, window and
    counts; `incidents` names all of them. Whole messages are below 20 kB.
    Source: Alertmanager's documentation, webhook_config, data version 4.
    """
    for most in MAX_ALERTS:
        made = _body(notification, most=most)
        if len(json.dumps(made, ensure_ascii=False).encode("utf-8", "replace")) <= MAX_BYTES:
            break
    return made


def _body(notification: Notification, *, most: int) -> dict[str, Any]:
    payload = notification.payload
    given = list(payload.get("alerts") or [{}])
    every = [_labels(alert, payload) for alert in given]
    common = {
        key: every[0][key]
        for key in (*_GROUP, SEVERITY)
        if all(one[key] == every[0][key] for one in every)
    }
    scope = {
        "alertname": _text(payload.get("rule")),  # of a digest its own name, for receivers' titles
        "environment": _text(payload.get("environment")),
        "service": _text(payload.get("service")),
    }
    annotations = {"summary": _text(payload.get("summary"))}
    if payload.get("description"):
        annotations["description"] = _text(payload["description"])
    link = _text(payload.get("link"))
    return {
        "version": "4",
        "groupKey": _group_key(scope),
        "truncatedAlerts": max(0, len(given) - most) + _count(payload.get("more")),
        "status": _status(payload),
        "receiver": notification.channel,
        "groupLabels": scope,
        "commonLabels": common,
        "commonAnnotations": annotations,
        "externalURL": link.partition("?")[0].rstrip("/"),
        "alerts": [
            _alert(alert, payload=payload, labels=labels, annotations=annotations)
            for alert, labels in zip(given[:most], every, strict=False)
        ],
        "watchkeeper": {
            "kind": notification.kind,
            "sequence": payload.get("sequence", 0),
            "late": bool(payload.get("late")),
            "release": payload.get("release"),
            **_figures(given[0]),
            "incidents": _incidents(payload, given),
            "links": {
                "dashboard": link,
                "acknowledge": _text(payload.get("ack_link")),
                "silence": _text(payload.get("silence_link")),
            },
        },
    }


def rfc3339(at: float | None) -> str:
    """Write a moment as Alertmanager does; None is the moment that never came."""
    if at is None:
        return NEVER
    moment = datetime.fromtimestamp(at, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _alert(
    alert: Mapping[str, Any],
    *,
    payload: Mapping[str, Any],
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
) -> dict[str, Any]:
    if alert.get("summary"):
        annotations = {**annotations, "summary": _text(alert["summary"])}
    ended_at = alert.get("ended_at", payload.get("ended_at"))
    # What is told once and never as over ends by itself, as Alertmanager's alerts do.
    until = payload.get("holds_until") if ended_at is None else ended_at
    return {
        "status": "resolved" if ended_at is not None else _status(payload),
        "labels": dict(labels),
        "annotations": dict(annotations),
        "startsAt": rfc3339(alert.get("started_at", payload.get("started_at"))),
        "endsAt": rfc3339(until),
        "generatorURL": _text(alert.get("link") or payload.get("link")),
        "fingerprint": _fingerprint(labels),
    }


def _figures(alert: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "incident": alert.get("incident"),
        "value": _finite(alert.get("value")),
        "threshold": _finite(alert.get("threshold")),
        "window_s": _finite(alert.get("window_s")),
        "counts": {"bad": _finite(alert.get("bad")), "total": _finite(alert.get("total"))},
    }


def _incidents(payload: Mapping[str, Any], given: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return the numbers of all incidents of a message, those of alerts left out too."""
    told = payload.get("incidents")
    numbers = told if isinstance(told, list) else [alert.get("incident") for alert in given]
    return numbers[:MAX_INCIDENTS]


def _labels(alert: Mapping[str, Any], payload: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of an alert: in whichever message it comes, it is the same alert."""
    given = list(dict(alert.get("labels") or {}).items())
    whole = alert if alert.get("rule") else payload  # an alert of a digest is of its own rule
    own = {str(key): _text(value)[:MAX_LABEL] for key, value in given[:MAX_LABELS]}
    return {
        **own,
        "alertname": _text(whole.get("rule")),
        "environment": _text(payload.get("environment")),
        "service": _text(payload.get("service")),
        SEVERITY: _text(whole.get("severity")),
    }


def _group_key(labels: Mapping[str, str]) -> str:
    inner = ", ".join(
        f'{key}="{value}"' for key, value in sorted((k, _quoted(v)) for k, v in labels.items())
    )
    return "{}:{" + inner + "}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _fingerprint(labels: Mapping[str, str]) -> str:
    """Return 16 hex digits that are the same for the same labels, however bad it is.

    An alert that got worse is the same one: its end must meet what a receiver keeps of it.
    """
    digest = hashlib.blake2b(digest_size=8)
    for key, value in sorted(labels.items()):
        if key == SEVERITY:
            continue
        digest.update(f"{key}\xff{value}\xff".encode(errors="replace"))
    return digest.hexdigest()


def _status(payload: Mapping[str, Any]) -> str:
    return "resolved" if payload.get("status") == "resolved" else "firing"


def _text(value: object) -> str:
    return "" if value is None else str(value)[:MAX_TEXT]


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _finite(value: Any) -> Any:
    """Return the number, or None for what JSON cannot write."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
