"""What this process masks: every text of the host's goes through here before it is written."""

import logging
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from watchkeeper.core.metrics import Series
from watchkeeper.core.rollup import merge_time
from watchkeeper.core.scrub import (
    DEFAULT_RULES,
    MASK,
    MAX_TEXT_CHARS,
    Rules,
    scrub,
    scrub_source,
    scrub_text,
)
from watchkeeper.core.slot import Value
from watchkeeper.runtime.guard import guard

MAX_NAME_CHARS: Final = 200
MAX_REMEMBERED: Final = 4_096  # names, and series, whose scrubbed form is known
MAX_LOG_CHARS: Final = 8_000  # of a line of our own log with its traceback
UNREADABLE: Final = "(could not be scrubbed)"

_SCRUBBING: Final = guard("scrubbing")
_SCOPE: Final = frozenset({"service", "environment", "release"})  # as set, for others look by them
_RULES: Final[deque[Rules]] = deque([DEFAULT_RULES], maxlen=1)  # of this process' Watchkeeper
_log = logging.getLogger("watchkeeper")


def use(rules: Rules) -> None:
    """Scrub by these rules from now on, our own log too."""
    _RULES.append(rules)
    name.cache_clear()
    _series.cache_clear()
    _log.addFilter(_scrub_record)


def text(raw: str, *, limit: int = MAX_TEXT_CHARS) -> str:
    """Return a text without secrets, cut to `limit` characters; never the raw one."""
    with _SCRUBBING:
        return scrub_text(raw, limit=limit, rules=_RULES[0])
    return UNREADABLE


@lru_cache(maxsize=MAX_REMEMBERED)
def name(raw: str) -> str:
    """Return a name (of a function, a route, a job) without secrets, cut to MAX_NAME_CHARS."""
    return text(raw, limit=MAX_NAME_CHARS)


def value(raw: object) -> Any:
    """Return a JSON-like value without secrets; never the raw one."""
    with _SCRUBBING:
        return scrub(raw, rules=_RULES[0])
    return UNREADABLE


def mapping(raw: Mapping[str, Any], *, limit: int = MAX_TEXT_CHARS) -> dict[str, Any]:
    """Return a mapping without secrets, its texts cut to `limit` characters."""
    scrubbed = value(dict(raw))
    if not isinstance(scrubbed, dict):
        return {"": UNREADABLE}
    return {
        key: inner[: limit - 1] + "…" if isinstance(inner, str) and len(inner) > limit else inner
        for key, inner in scrubbed.items()
    }


def source(raw: str) -> str | None:
    """Return lines of source without the secrets written in them; None if that failed."""
    with _SCRUBBING:
        return scrub_source(raw, rules=_RULES[0])
    return None


def values(raw: Mapping[Series, Value]) -> dict[Series, Value]:
    """Return what was recorded under labels without secrets; what became the same is merged."""
    scrubbed: dict[Series, Value] = {}
    for series, recorded in raw.items():
        shown = _series(series)
        if shown in scrubbed:
            recorded = merge_time([{shown: scrubbed[shown]}, {shown: recorded}])[shown]
        scrubbed[shown] = recorded
    return scrubbed


@lru_cache(maxsize=MAX_REMEMBERED)
def _series(series: Series) -> Series:
    """Return a series whose label values hold no secret: the same one, mostly."""
    labels = tuple((label, _label(label, shown)) for label, shown in series.labels)
    if labels == series.labels:
        return series
    return Series(series.metric, series.kind, labels, series.across)


def _label(label: str, shown: str) -> str:
    if label in _SCOPE:
        return shown
    return MASK if _RULES[0].keys.is_sensitive(label) else name(shown)


def _scrub_record(record: logging.LogRecord) -> bool:
    """Take the secrets out of a line of our own log: it may quote the host's."""
    told = trace = UNREADABLE
    with _SCRUBBING:  # a value's own text may raise
        told = record.getMessage()
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
    record.msg, record.args = text(told, limit=MAX_LOG_CHARS), ()
    record.exc_info, record.exc_text = None, text(trace, limit=MAX_LOG_CHARS)
    return True
