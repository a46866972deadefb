"""The probes for whoever may be signed in: with details, and health as a page."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import floor
from typing import Final

from watchkeeper.core.health import CheckState
from watchkeeper.dashboard import pages, texts
from watchkeeper.dashboard.access import Access, Visitor, Way
from watchkeeper.dashboard.http import Request, Response
from watchkeeper.dashboard.pages import Shell
from watchkeeper.dashboard.probe_formats import answer, told
from watchkeeper.dashboard.probes import HTML, Outcome, asked, look
from watchkeeper.dashboard.responses import html
from watchkeeper.dashboard.status import Level
from watchkeeper.dashboard.sums import Query
from watchkeeper.dashboard.uptime import Past
from watchkeeper.dashboard.views_health import UptimeFigures
from watchkeeper.dashboard.views_health_page import HealthPage, HealthRow
from watchkeeper.dashboard.visit import Watched
from watchkeeper.exceptions import StorageError
from watchkeeper.runtime.health import Report
from watchkeeper.storage.turns import give_way

DAY_S: Final = 86_400.0
SPANS: Final[Mapping[str, float]] = {"24h": DAY_S, "7d": 7 * DAY_S, "30d": 30 * DAY_S}
FINE_FROM: Final = 0.99  # from here on an uptime is told to a thousandth of a percent
NEARLY_ALL: Final = 0.99  # of a span; of less that is known it is said how much
NO_UPTIME: Final = "Uptimes are not known: the monitoring database does not answer."
_LEVELS: Final = {
    CheckState.PASS: Level.OK,
    CheckState.WARN: Level.WARNING,
    CheckState.FAIL: Level.CRITICAL,
    CheckState.UNKNOWN: Level.UNKNOWN,
}
_SENTENCES: Final = {
    CheckState.PASS: "Every health check passes.",
    CheckState.WARN: "The service works; not every health check passes.",
    CheckState.FAIL: "A critical health check fails.",
}


def probed(wk: Watched, access: Access, request: Request) -> Response:
    """Answer a probe to somebody who may be signed in; who cannot be known is a stranger.

    What it says of the checks is from memory all the same; uptimes, on the page, are the store's.
    """
    now, wanted = wk.clock(), asked(request)
    form_token = ""
    try:
        visitor = access.visitor(request, wk.store)
        if visitor.session and wk.store is not None:
            form_token, _ = access.form_token(request, wk.store, session=visitor.session)
    except StorageError:
        visitor = Visitor(way=Way.CLOSED)
    excluded = wanted.excluded if visitor.is_in else frozenset[str]()
    outcome = look(wk.health, request.path, now=now, excluded=excluded)
    notes = [wk.failure] if wk.failure else []
    if wanted.media != HTML:
        return answer(outcome, wanted, scope=wk.scope, detailed=visitor.is_in, notes=notes)
    shell = Shell(root=request.root, page="health", is_in=visitor.is_in, notice=wk.failure)
    page = HealthPage(at=now, level=_LEVELS[outcome.state], sentence=_sentence(outcome))
    if outcome.state is CheckState.WARN and _unknown(outcome):
        page = replace(page, level=Level.UNKNOWN)
    if visitor.is_in:
        shell = replace(
            shell,
            service=wk.scope.service,
            environment=wk.scope.environment,
            form_token=form_token,
        )
        page = _detailed(wk, outcome, page)
    else:
        shell = replace(shell, notice="")
        page = replace(page, sentence="")
    body = pages.health_page(shell, page)
    return html(body, status=503 if outcome.failed else 200)


def _sentence(outcome: Outcome) -> str:
    unknown = _unknown(outcome)
    if not outcome.process and outcome.state is CheckState.WARN and unknown:
        have = "check has" if unknown == 1 else "checks have"
        return f"Nobody knows whether the service works: {unknown} critical {have} no result."
    return outcome.process or _SENTENCES[outcome.state]


def _unknown(outcome: Outcome) -> int:
    """Count the critical checks of which nobody knows how they are."""
    return sum(one.critical and one.state is CheckState.UNKNOWN for one in outcome.reports)


def uptime_text(one: UptimeFigures) -> str:
    """Write an uptime in percent, rounded down, so that 100 % is never said of less.

    Where little of its span is known, with how much is: "100 % of 3 min".
    """
    if one.share is None:
        return "unknown"
    decimals = 3 if one.share >= FINE_FROM else 1
    rounded = floor(one.share * 100 * 10**decimals) / 10**decimals
    percent = "100 %" if one.share >= 1 else f"{rounded:.{decimals}f} %"
    known_s = one.pass_s + one.warn_s + one.fail_s
    if known_s >= NEARLY_ALL * (one.end - one.start):
        return percent
    return f"{percent} of {texts.span(known_s)}"


def _detailed(wk: Watched, outcome: Outcome, page: HealthPage) -> HealthPage:
    past = _past(wk, page.at)
    starts = [page.at - span_s for span_s in SPANS.values()]
    rows = tuple(_row(report, past, starts, page.at) for report in outcome.reports)
    if past is None:
        return replace(page, rows=rows, notes=(NO_UPTIME,))
    return replace(
        page,
        columns=tuple(SPANS),
        uptimes=tuple(uptime_text(past.service(start, page.at)) for start in starts),
        rows=rows,
    )


def _past(wk: Watched, now: float) -> Past | None:
    if wk.store is None:
        return None
    query = Query(
        store=wk.store,
        service=wk.scope.service,
        environment=wk.scope.environment,
        start=now - max(SPANS.values()),
        end=now,
        now=now,
        slot_s=wk.settings.slot_s,
        pause=give_way,
    )
    try:
        return Past(query)
    except StorageError:
        return None


def _row(report: Report, past: Past | None, starts: Sequence[float], now: float) -> HealthRow:
    return HealthRow(
        name=report.name,
        level=_LEVELS[report.state],
        state=report.state.value,
        critical=report.critical,
        at=report.at,
        duration_s=report.duration_s,
        output=told(report),
        uptimes=()
        if past is None
        else tuple(uptime_text(past.uptime(report.name, start, now)) for start in starts),
    )
