"""The health probes, livez, readyz and health: what is asked of them, and what memory says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from watchkeeper.core.health import CheckState, overall
from watchkeeper.dashboard.http import Request, Response
from watchkeeper.runtime.health import Health, ProbeReason, Report

LIVEZ: Final = "/livez"
READYZ: Final = "/readyz"
HEALTH: Final = "/health"
PROBES: Final = frozenset({LIVEZ, READYZ, HEALTH})
JSON: Final = "json"
TEXT: Final = "text"
HTML: Final = "html"
MAX_ACCEPT: Final = 500  # characters of a header that are looked at
MAX_QUERY: Final = 2_000
MAX_PARAMETERS: Final = 50

# Who sends one of these may be somebody who is let in; the probes of servers send neither.
CREDENTIALS: Final = ("cookie", "authorization")
SESSION: Final = "watchkeeper_session="
_MEDIA: Final[Mapping[str, str]] = {
    "text/html": HTML,
    "application/xhtml+xml": HTML,
    "text/plain": TEXT,
    "application/health+json": JSON,
    "application/json": JSON,
}
_GOOD: Final = (CheckState.PASS, CheckState.WARN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked of a probe, beyond its path."""

    media: str = JSON
    verbose: bool = False
    excluded: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a probe found: its state, why, and the checks that it looked at."""

    name: str  # livez | readyz | health
    state: CheckState
    process: str = ""  # what there is to say of this process; empty: it serves as usual
    reports: tuple[Report, ...] = ()
    unmatched: tuple[str, ...] = ()  # names to exclude that no check has

    @property
    def failed(self) -> bool:
        """Whether the answer is no."""
        return self.state is CheckState.FAIL


def asked(request: Request) -> Asked:
    """Read what a request wants: `verbose`, `exclude=NAME` (several), and by `Accept` how."""
    pairs: Sequence[tuple[str, str]] = ()
    if request.query and len(request.query) <= MAX_QUERY:
        try:
            pairs = parse_qsl(request.query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
        except ValueError:  # too many of them: as if there were none
            pairs = ()
    verbose = any(name == "verbose" for name, _ in pairs)
    media = accepted(request.headers.get("accept", "")) or (TEXT if verbose else JSON)
    if media == HTML and request.path != HEALTH:
        media = TEXT
    return Asked(
        media=media,
        verbose=verbose,
        excluded=frozenset(value for name, value in pairs if name == "exclude"),
    )


def accepted(accept: str) -> str:
    """Return which of html, text and json an Accept header names with most weight; else nothing.

    Whoever takes anything names none of them.
    """
    best, weight = "", 0.0
    for part in accept[:MAX_ACCEPT].split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        media = _MEDIA.get(kind.lower())
        if media is None:
            continue
        quality = _quality(parameters)
        if quality > weight:
            best, weight = media, quality
    return best


def needs_visitor(request: Request, wanted: Asked, *, has_auth: bool, is_open: bool) -> bool:
    """Tell whether it matters who asks, which may take the store or the host's own code.

    Never for livez, and never for whoever shows nothing to be known by: what decides over the
    life of a process depends on nothing else. Where all `is_open` everybody is known, and only
    the page has more to tell than memory.
    """
    if request.path == LIVEZ:
        return False
    if wanted.media == HTML:
        return True
    if is_open:
        return False
    if SESSION in request.headers.get("cookie", ""):
        return True
    return has_auth and (wanted.verbose or any(name in request.headers for name in CREDENTIALS))


def refused(request: Request) -> Response | None:
    """Refuse every method but GET and HEAD; None for these."""
    if request.method in ("GET", "HEAD"):
        return None
    return Response(
        status=405,
        headers=(
            ("allow", "GET, HEAD"),
            ("content-type", "text/plain; charset=utf-8"),
            ("cache-control", "no-store"),
        ),
        body=b"Method not allowed.",
    )


def look(
    health: Health, path: str, *, now: float, excluded: frozenset[str] = frozenset()
) -> Outcome:
    """Find the answer of the probe at `path` in memory; never waits for a check.

    livez: this process alone. readyz: started, not draining, and every check named for readiness
    passes or warns. health: a critical check that fails, here or in another worker that lives,
    fails the whole, whatever else does not pass is a warning, what is unknown too.
    """
    name = path.removeprefix("/")
    live = health.live()
    if not live:
        return Outcome(name=name, state=CheckState.FAIL, process=live.reason.value)
    if path == LIVEZ:
        return Outcome(name=name, state=CheckState.PASS)
    every = health.report(now, beside=path == HEALTH)
    reports = [report for report in every if report.name not in excluded]
    process = _process(health)
    if path == READYZ:
        reports = [report for report in reports if report.readiness]
        ready = not process and all(report.state in _GOOD for report in reports)
        state = CheckState.PASS if ready else CheckState.FAIL
    else:
        state = overall([(report.state, report.critical) for report in reports])
    return Outcome(
        name=name,
        state=state,
        process=process,
        reports=tuple(reports),
        unmatched=tuple(sorted(excluded - {report.name for report in every})),
    )


def _process(health: Health) -> str:
    """Say what keeps this process from serving as usual; nothing if it does."""
    if not health.started:
        return ProbeReason.NOT_STARTED.value
    return ProbeReason.DRAINING.value if health.draining else ""


def _quality(parameters: Sequence[str]) -> float:
    """Return the weight of a range: its parameter q, 1 without one, 0 if it cannot be read."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
