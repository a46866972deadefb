"""The JSON API: the same view models as the pages, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from math import isfinite
from typing import Any

from watchkeeper.dashboard.status import Status
from watchkeeper.dashboard.views import Overview


def overview_json(view: Overview) -> dict[str, Any]:
    """Return the overview without its charts' points, which series.json has."""
    content: dict[str, Any] = plain(asdict(replace(view, points=())))
    del content["points"]
    return content


def trouble_json(status: Status) -> dict[str, Any]:
    """Return what can be said while the store does not answer: never that all is well."""
    return {"status": plain(asdict(status)), "error": status.sentence}


def plain(value: Any) -> Any:
    """Return a value that JSON can hold: what is not a finite number becomes null."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(content) for key, content in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(one) for one in value]
    return value
