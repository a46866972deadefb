"""The rules of a health document, as draft-inadarei-api-health-check-06 has them."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

STATES = ("pass", "warn", "fail")
TEXTS = ("version", "releaseId", "output", "serviceId", "description")
TYPES = ("component", "datastore", "system")
FIELDS = (*TEXTS, "status", "notes", "checks", "links")
# RFC 3339, which is stricter than what Python reads.
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def problems(status: int, media_type: str, document: Any) -> list[str]:
    """List what is wrong with an answer; nothing if it keeps to the draft."""
    found = []
    if media_type != "application/health+json":
        found.append(f"media type {media_type}")
    if not isinstance(document, Mapping):
        return [*found, "no object"]
    if (document.get("status") == "fail") is not (400 <= status <= 599):
        found.append(f"{status} for {document.get('status')}")
    return [*found, *_of_document(document)]


def _of_document(document: Mapping[str, Any]) -> Iterator[str]:
    if document.get("status") not in STATES:
        yield f"status {document.get('status')}"
    yield from (f"unknown field {name}" for name in document if name not in FIELDS)
    for name in TEXTS:
        if name in document and not (isinstance(document[name], str) and document[name]):
            yield f"{name} is no text"
    if "output" in document and document.get("status") == "pass":
        yield "output of what passes"
    notes = document.get("notes", [])
    if not (isinstance(notes, list) and all(isinstance(note, str) for note in notes)):
        yield "notes are no array of texts"
    checks = document.get("checks", {})
    yield from _of_checks(checks) if isinstance(checks, Mapping) else ["checks are no object"]


def _of_checks(checks: Mapping[str, Any]) -> Iterator[str]:
    for key, details in checks.items():
        parts = key.split(":")
        if len(parts) != 2 or not all(parts):
            yield f"{key!r} is not component:measurement"
        if not (isinstance(details, list) and details):
            yield f"{key} is no array"
            continue
        for one in details:
            yield from (f"{key}: {problem}" for problem in _of_check(one))


def _of_check(one: Any) -> Iterator[str]:
    if not isinstance(one, Mapping):
        yield "no object"
        return
    if one.get("status") not in STATES:
        yield f"status {one.get('status')}"
    for name in ("componentId", "componentType", "observedUnit", "output"):
        if name in one and not (isinstance(one[name], str) and one[name]):
            yield f"{name} is no text"
    if "componentType" in one and one["componentType"] not in TYPES:
        yield f"componentType {one['componentType']}"
    if ("observedValue" in one) is not ("observedUnit" in one):
        yield "observedValue without observedUnit, or the other way round"
    if "time" in one:
        if not TIME.fullmatch(str(one["time"])):
            yield f"time {one['time']}"
        else:
            datetime.fromisoformat(one["time"])
    if one.get("status") == "pass" and {"output", "affectedEndpoints"} & one.keys():
        yield "output of what passes"
