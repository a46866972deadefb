"""The answers of the health probes as JSON and as text, with details or without."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from watchkeeper.core.health import CheckState
from watchkeeper.core.metrics import Scope
from watchkeeper.dashboard.http import Response, json_response
from watchkeeper.dashboard.probes import TEXT, Asked, Outcome
from watchkeeper.runtime.health import Report

MEDIA_TYPE: Final = "application/health+json"
NEVER_RAN: Final = "has not run yet"
SILENT: Final = "not enough recent results"
_MARKS: Final = {
    CheckState.PASS: "[+]",
    CheckState.WARN: "[!]",
    CheckState.FAIL: "[-]",
    CheckState.UNKNOWN: "[?]",
}
_WORDS: Final = {
    CheckState.PASS: "ok",
    CheckState.WARN: "warning",
    CheckState.FAIL: "failed",
    CheckState.UNKNOWN: "unknown",
}


def answer(
    outcome: Outcome, wanted: Asked, *, scope: Scope, detailed: bool, notes: Sequence[str] = ()
) -> Response:
    """Write what a probe found; strangers get one word. 503 for fail, 200 for pass and warn."""
    status = 503 if outcome.failed else 200
    if wanted.media == TEXT:
        verbose = detailed and (wanted.verbose or outcome.failed)
        return Response(
            status=status,
            headers=(
                ("content-type", "text/plain; charset=utf-8"),
                ("cache-control", "no-store"),
                ("x-content-type-options", "nosniff"),
            ),
            body=as_text(outcome, verbose=verbose).encode("utf-8", "replace"),
        )
    content = as_json(outcome, scope=scope, notes=notes) if detailed else _state(outcome)
    return json_response(content, status=status, media_type=MEDIA_TYPE)


def as_json(outcome: Outcome, *, scope: Scope, notes: Sequence[str] = ()) -> dict[str, Any]:
    """Describe all that a probe found as a health document.

    Source: draft-inadarei-api-health-check-06. It has no word for unknown: that is a warning that
    says so. What a check that passes has to tell is its `detail`, for `output` is of the others.
    """
    content: dict[str, Any] = {
        **_state(outcome),
        "serviceId": scope.service,
        "description": f"{outcome.name} of {scope.service} ({scope.environment})",
    }
    if scope.release:
        content["releaseId"] = scope.release
    every_note = [*([outcome.process] if outcome.process else []), *notes, *_unmatched(outcome)]
    if every_note:
        content["notes"] = every_note
    why = outcome.process if outcome.failed else ""
    bad = [one.name for one in outcome.reports if one.state is not CheckState.PASS]
    if outcome.state is not CheckState.PASS:
        content["output"] = why or f"does not pass: {', '.join(bad)}"
    checks: dict[str, Any] = {}
    for report in outcome.reports:
        checks |= check_json(report)
    if checks:
        content["checks"] = checks
    return content


def check_json(report: Report) -> dict[str, list[dict[str, Any]]]:
    """Describe one check, under what was measured: how long it took, and its own figure."""
    common: dict[str, Any] = {
        "componentType": report.component,
        "status": _worded(report.state),
        "critical": report.critical,
    }
    if report.at is not None:
        common["time"] = _rfc3339(report.at)
    words = told(report)
    if report.state is CheckState.UNKNOWN:
        words = f"unknown: {words}"
    if words:
        common["detail" if report.state is CheckState.PASS else "output"] = words
    if report.at is None:
        return {f"{report.name}:responseTime": [common]}
    took = {"observedValue": round(report.duration_s * 1000, 1), "observedUnit": "ms"}
    found = {f"{report.name}:responseTime": [{**common, **took}]}
    value, unit = report.value, report.unit
    if value is not None:
        figure = {"observedValue": value, "observedUnit": unit or "1"}
        found[f"{report.name}:value"] = [{**common, **figure}]
    return found


def as_text(outcome: Outcome, *, verbose: bool) -> str:
    """Write one line for each check as Kubernetes does, and a last one for the whole."""
    return "\n".join([*(_lines(outcome) if verbose else ()), _summary(outcome)]) + "\n"


def _lines(outcome: Outcome) -> Iterator[str]:
    if outcome.process:
        mark = "[-]" if outcome.failed else "[!]"
        yield f"{mark}process {_plain(outcome.process)}"
    else:
        yield "[+]process ok"
    for report in outcome.reports:
        words = told(report)
        line = f"{_MARKS[report.state]}{_plain(report.name)} {_WORDS[report.state]}"
        yield f"{line}: {_plain(words)}" if words else line
    for note in _unmatched(outcome):
        yield f"warn: {_plain(note)}"


def _summary(outcome: Outcome) -> str:
    if outcome.failed:
        return f"{outcome.name} check failed"
    warned = " with warnings" if outcome.state is CheckState.WARN else ""
    return f"{outcome.name} check passed{warned}"


def _state(outcome: Outcome) -> dict[str, Any]:
    return {"status": _worded(outcome.state)}


def _worded(state: CheckState) -> str:
    return (CheckState.WARN if state is CheckState.UNKNOWN else state).value


def told(report: Report) -> str:
    """Return what there is to tell of a check, of an unknown one why it is so."""
    if report.state is not CheckState.UNKNOWN:
        return report.output
    since = NEVER_RAN if report.at is None else SILENT
    return " · ".join(part for part in (since, report.output) if part)


def _unmatched(outcome: Outcome) -> list[str]:
    return [
        f"nothing is excluded by {name!r}: no check has this name" for name in outcome.unmatched
    ]


def _plain(text: str) -> str:
    """Return a text as one line without control characters: it may not look like another line."""
    return "".join(char if char.isprintable() else " " for char in text)


def _rfc3339(at: float) -> str:
    moment = datetime.fromtimestamp(at, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
