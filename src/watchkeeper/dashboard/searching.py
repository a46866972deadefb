"""What issues are searched by, as an address or a command line says it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from watchkeeper.core.issues import State
from watchkeeper.core.units import parse_duration
from watchkeeper.dashboard.issues import NEW_S
from watchkeeper.dashboard.parameters import ParameterError, parse_choice
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.storage.issues import Search, Sort

NEW: Final = "new"
RISING: Final = "rising"
WORDS: Final = (*(state.value for state in State), NEW, RISING)
_EXACT: Final = ("type", "route", "release", "user", "request_id", "level")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A search of issues; with `rising`, of those only that are rising now."""

    search: Search
    rising: bool


def parse_search(query: Mapping[str, str], *, now: float) -> Asked:
    """Read `state`, `search`, `type`, `route`, `release`, `user`, `request_id`, `level`, `since`
    and `sort`; what is not there does not narrow. Raises ParameterError.

    `state` is one or several words between commas: states, of which an issue has one, and "new"
    and "rising", each of which narrows further. The search is of no scope yet.
    """
    words = [word.strip() for word in (query.get("state") or "").split(",") if word.strip()]
    for word in words:
        if word not in WORDS:
            raise ParameterError(f"state: {word!r} is none of {', '.join(WORDS)}")
    exact: dict[str, Any] = {name: parse_choice(query, name) or "" for name in _EXACT}
    return Asked(
        search=Search(
            service="",
            environment="",
            states=[State(word) for word in words if word not in (NEW, RISING)],
            text=parse_choice(query, "search") or "",
            seen_since=_since(query, now=now),
            first_seen_since=now - NEW_S if NEW in words else 0.0,
            sort=_sort(query),
            **exact,
        ),
        rising=RISING in words,
    )


def _since(query: Mapping[str, str], *, now: float) -> float:
    text = query.get("since")
    if not text:
        return 0.0
    try:
        return now - parse_duration(text, where="since")
    except ConfigurationError as error:
        raise ParameterError(str(error)) from None


def _sort(query: Mapping[str, str]) -> Sort:
    text = query.get("sort") or Sort.LAST_SEEN
    try:
        return Sort(text)
    except ValueError:
        raise ParameterError(f"sort: {text!r} is none of {', '.join(Sort)}") from None
