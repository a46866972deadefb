"""The health probes: /livez, /readyz and /health, answered from memory."""

from datetime import UTC, datetime
from typing import Any, Final

from watchkeeper.core.health import CheckState, overall
from watchkeeper.dashboard.http import Response, json_response
from watchkeeper.runtime.health import Health, Report, Verdict

MEDIA_TYPE: Final = "application/health+json"
NEVER_RAN: Final = "has not run yet"
SILENT: Final = "no result for a while"


def probe(health: Health, path: str, *, now: float, detailed: bool) -> Response | None:
    """Answer the probe at `path`, or return None if it is none.

    Never waits for a check. 503 for fail, 200 for pass and warn. Details, for those signed in,
    are why a probe says no, and every check.
    Source: draft-inadarei-api-health-check-06.
    """
    if path == "/livez":
        return _verdict(health.live(), detailed=detailed)
    if path == "/readyz":
        return _verdict(health.ready(now), detailed=detailed)
    if path == "/health":
        return _health(health, now=now, detailed=detailed)
    return None


def _verdict(verdict: Verdict, *, detailed: bool) -> Response:
    status = CheckState.PASS if verdict else CheckState.FAIL
    content: dict[str, Any] = {"status": status.value}
    if detailed and not verdict:
        content["output"] = verdict.reason.value
    return _answer(content)


def _health(health: Health, *, now: float, detailed: bool) -> Response:
    """Answer for the whole: a critical check that fails fails it, what is unknown is a warning."""
    reports = health.report(now)
    state = overall([(report.state, report.critical) for report in reports])
    content: dict[str, Any] = {"status": (state if health.live() else CheckState.FAIL).value}
    if detailed:
        content["checks"] = {f"{report.name}:responseTime": [_check(report)] for report in reports}
    return _answer(content)


def _check(report: Report) -> dict[str, Any]:
    """Describe one check; the draft has no word for unknown, so that is a warning that says so."""
    unknown = report.state is CheckState.UNKNOWN
    content: dict[str, Any] = {
        "componentType": report.component,
        "status": (CheckState.WARN if unknown else report.state).value,
        "critical": report.critical,
    }
    if report.at is not None:
        content["time"] = _rfc3339(report.at)
        content["observedValue"] = round(report.duration_s * 1000, 1)
        content["observedUnit"] = "ms"
    if unknown:
        since = NEVER_RAN if report.at is None else SILENT
        content["output"] = " · ".join(
            part for part in (f"unknown: {since}", report.output) if part
        )
    elif report.output:
        content["output"] = report.output
    return content


def _rfc3339(at: float) -> str:
    moment = datetime.fromtimestamp(at, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _answer(content: dict[str, Any]) -> Response:
    failed = content["status"] == CheckState.FAIL.value
    return json_response(content, status=503 if failed else 200, media_type=MEDIA_TYPE)
