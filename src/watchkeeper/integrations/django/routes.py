"""The routes of Django's requests: the whole URL pattern as a template that people can read."""

import re
from typing import Any, Final

from watchkeeper.integrations.outcomes import Route

MAX_REMEMBERED: Final = 10_000  # patterns; a project that makes more of them starts over
UNNAMED: Final = "<var>"  # stands for what a regular expression matches without naming it

_LANGUAGE: Final = "<language>/"  # stands for the prefix that i18n_patterns() adds
_SYNTAX: Final = re.compile(r"[\\^$(\[]")  # of a regular expression; path() takes none of it
_PIECE: Final = re.compile(
    r"""
      (?P<converted><[^<>]*>)                   # the <type:name> of a path(), left as it is
    | (?P<named>\(\?P<(?P<name>\w+)>)
    | \(\?[aiLmsux]+\)                          # mere flags
    | (?P<quiet>\(\?[aiLmsux-]*:)               # a group that captures nothing
    | (?P<condition>\(\?<?[=!])
    | (?P<unnamed>\()
    | (?P<close>\))
    | \\[AbBZ] | [\^$]                          # where to stand
    | [*+?]\?? | \{\d*,?\d*\}\??                # how often
    | (?P<some>\\[dDsSwW] | \[\^?\]?(?:\\.|[^\]\\])*\] | \.(?=[*+?{]))
    | \\(?P<literal>.)
    """,
    re.VERBOSE,
)


class Routes:
    """Finds the route of a request that Django has resolved."""

    def __init__(self) -> None:
        """Start with none; the project's patterns bound how many there will be."""
        self._routes: dict[str, Route] = {}

    def of(self, request: Any) -> Route | None:
        """Return the route of a request; None if no pattern took it (yet)."""
        match = request.resolver_match
        if match is None or match.route is None:
            return None
        pattern = _open_language(match.route, request)
        route = self._routes.get(pattern)
        if route is None:
            if len(self._routes) >= MAX_REMEMBERED:
                self._routes.clear()
            route = Route(template(pattern), endpoint=match.func)
            self._routes[pattern] = route
        return route


def resolved(path: str) -> str | None:
    """Name the pattern of the project that a path leads to; None if there is none."""
    from django.urls import Resolver404, resolve  # type: ignore[import-untyped]

    try:
        return str(resolve(path).route)
    except Resolver404:
        return None


def template(pattern: str) -> str:
    r"""Turn a URL pattern as Django joins it, of path() or re_path(), into a template.

    >>> template("shop/orders/<int:key>/")
    '/shop/orders/<int:key>/'
    >>> template(r"shop/orders/(?P<key>[0-9]+)\.json$")
    '/shop/orders/<key>.json'
    """
    if _SYNTAX.search(pattern) is not None:
        pattern = _read(pattern, 0)[0].replace(UNNAMED + UNNAMED, UNNAMED)
    return "/" + pattern.removeprefix("/")


def _read(pattern: str, at: int) -> tuple[str, int]:
    """Read from `at` to the end of the group: what remains without the syntax, and the end."""
    parts: list[str] = []
    while at < len(pattern):
        piece = _PIECE.match(pattern, at)
        if piece is None:
            parts.append(pattern[at])
            at += 1
            continue
        at = piece.end()
        kind = piece.lastgroup
        if kind == "close":
            break
        if kind in ("named", "unnamed", "quiet", "condition"):
            inside, at = _read(pattern, at)
            parts.append(_group(piece, inside))
        elif kind == "some":
            parts.append(UNNAMED)
        else:
            parts.append(piece["converted"] or piece["literal"] or "")
    return "".join(parts), at


def _group(piece: re.Match[str], inside: str) -> str:
    """Name a group, or show what is inside if it has neither name nor number."""
    if piece["name"]:
        return f"<{piece['name']}>"
    if piece["unnamed"]:
        return UNNAMED
    if piece["condition"]:
        return ""
    return f"({inside})" if "|" in inside else inside


def _open_language(pattern: str, request: Any) -> str:
    """Let all languages of i18n_patterns() count as one route."""
    language = getattr(request, "LANGUAGE_CODE", None)  # of the LocaleMiddleware
    if language is None or not pattern.startswith(f"{language}/"):
        return pattern
    from django.conf import settings  # type: ignore[import-untyped]
    from django.conf.urls.i18n import is_language_prefix_patterns_used  # type: ignore[import-untyped]

    urlconf = getattr(request, "urlconf", settings.ROOT_URLCONF)
    if not is_language_prefix_patterns_used(urlconf)[0]:
        return pattern
    return _LANGUAGE + pattern.removeprefix(f"{language}/")
