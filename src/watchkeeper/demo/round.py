"""One measured round of the demo: a shop watched, alerted, recovered and restarted."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any, Final

from watchkeeper.core.catalogue import HTTP_DISCONNECTS, HTTP_DURATION, SELF_FLUSH
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.rollup import merge_frames
from watchkeeper.core.slot import Value, slot_start
from watchkeeper.demo.crossing import SLOT_S, crossed_at
from watchkeeper.demo.pageview import OK, get, get_when_ready
from watchkeeper.demo.process import DemoError
from watchkeeper.demo.profiles import ALERTS, ENVIRONMENT, METRIC_RULES, SERVICE, Profile
from watchkeeper.demo.receiver import Receiver
from watchkeeper.demo.stage import Stage
from watchkeeper.demo.traffic import Seen, Traffic

RATE: Final = 60.0  # requests a second
CALM_S: Final = 5.0
INCIDENT_S: Final = 9.0  # at least
FIRE_WITHIN_S: Final = 20.0
RECOVER_WITHIN_S: Final = 25.0
SETTLE_WITHIN_S: Final = 20.0  # a busy machine writes late; only then is it waited
LOOK_EVERY_S: Final = 0.2
MAX_LAG_S: Final = 3.0
MAX_P95_ERROR: Final = 0.022  # twice the histogram's: 1.1 %
MIN_WINDOW_S: Final = 60  # the shortest range that the dashboard shows
ISSUES: Final = 2  # that the incident raises


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleMessages:
    """The messages of one rule, and its own lag."""

    firing: int
    resolved: int
    lag_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one round measured. None: it could not be told, for there was nothing to measure."""

    requests_sent: int
    requests_counted: int
    requests_counted_after_restart: int
    errors_sent: int
    errors_counted: int
    issues: int
    alert_lag_s: float | None
    firing_messages: int
    resolved_messages: int
    p95_true_s: float | None
    p95_shown_s: float | None
    dashboard_status: int
    flush_ms_p50: float | None
    database_bytes: int
    messages: Mapping[str, RuleMessages]

    def to_json(self) -> str:
        """Return one JSON object."""
        return json.dumps(asdict(self))

    def to_text(self) -> str:
        """Return the figures for people, one a line."""
        figures = asdict(self)
        messages = figures.pop("messages")
        lines = [f"{name:32}{_rounded(value)}" for name, value in figures.items()]
        for rule, told in messages.items():
            lines.append(
                f"{rule:32}{told['firing']} firing, {told['resolved']} resolved, "
                f"{_rounded(told['lag_s'])} s late"
            )
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """The time of the round: from its first slot to the end of its last, epoch seconds."""

    begin: int
    end: int

    @property
    def query(self) -> str:
        """The span as the dashboard's parameters; the shortest one shown may begin earlier."""
        return f"range={max(self.end - self.begin, MIN_WINDOW_S)}s&end={self.end}"


def violations(measured: Measured) -> list[str]:
    """Return what should not be, in sentences; empty after a good round."""
    found = []
    counts = (
        ("requests_counted", measured.requests_counted, measured.requests_sent),
        (
            "requests_counted_after_restart",
            measured.requests_counted_after_restart,
            measured.requests_sent,
        ),
        ("errors_counted", measured.errors_counted, measured.errors_sent),
        ("issues", measured.issues, ISSUES),
        ("dashboard_status", measured.dashboard_status, OK),
    )
    found += [f"{name} is {is_} instead of {ought}" for name, is_, ought in counts if is_ != ought]
    if not measured.requests_sent or not measured.errors_sent:
        found.append("the client saw no requests, or no errors")
    for rule, told in measured.messages.items():
        if (told.firing, told.resolved) != (1, 1):
            found.append(
                f'"{rule}" sent {told.firing} firing and {told.resolved} resolved messages '
                "instead of one each"
            )
        if told.lag_s is None or told.lag_s > MAX_LAG_S:
            found.append(f'"{rule}" came {told.lag_s} s late; {MAX_LAG_S:g} s are allowed')
    if not measured.p95_true_s or measured.p95_shown_s is None:
        found.append("there is no p95 to compare")
    elif abs(measured.p95_shown_s / measured.p95_true_s - 1) > MAX_P95_ERROR:
        found.append(
            f"p95_shown_s is {measured.p95_shown_s:.4f}, p95_true_s {measured.p95_true_s:.4f}: "
            f"more than {MAX_P95_ERROR:.1%} apart"
        )
    return found


def run_round(say: Callable[[str], None]) -> Measured:
    """Run one round, less than a minute long; `say` gets its progress. Raises DemoError."""
    with Stage(Profile.ROUND, say=say) as stage:
        # Start-up is over when the dashboard answers: until then imports slow everything down
        # before a request even reaches the application, which no part of it can see.
        get_when_ready(stage.shop.port, "/")
        begin = slot_start(time.time(), int(SLOT_S))
        traffic = Traffic(stage.shop.port, rate=RATE)
        traffic.rush = True
        try:
            _incident(stage, traffic, say)
        finally:
            traffic.stop()
        if traffic.broken:
            raise DemoError(f"{traffic.broken} requests got no complete answer")
        seen = list(traffic.seen)
        span = _Span(begin=begin, end=ceil(max(one.finished_at for one in seen)) + 1)
        return _measure(stage, seen, span, say)


def _incident(stage: Stage, traffic: Traffic, say: Callable[[str], None]) -> None:
    """Let it be calm, then go wrong until the alerts came, then recover until they are over."""
    traffic.start()
    say(f"{RATE:.0f} requests a second; all is well")
    time.sleep(CALM_S)
    stage.shop.switch_incident(on=True)
    say("incident: checkouts fail, the search is slow")
    until = time.monotonic() + INCIDENT_S
    stage.receiver.wait_for(METRIC_RULES, status="firing", timeout_s=FIRE_WITHIN_S)
    time.sleep(max(0.0, until - time.monotonic()))
    stage.shop.switch_incident(on=False)
    say("recovery")
    stage.receiver.wait_for(METRIC_RULES, status="resolved", timeout_s=RECOVER_WITHIN_S)


def _measure(stage: Stage, seen: list[Seen], span: _Span, say: Callable[[str], None]) -> Measured:
    """Compare what the client saw with what is stored and shown, before and after a restart."""
    _settle(stage, span, len(seen))
    shown = _overview(stage, span)
    counted = _requests(_stored(stage, span))
    _, p95_true_s = stage.shop.times()
    say("restarting the shop on the same database")
    stage.restart_shop()
    after = _overview(stage, span)
    messages = _messages(stage.receiver, seen)
    lags = [told.lag_s for told in messages.values() if told.lag_s is not None]
    flushes = _merged(_stored(stage, span), SELF_FLUSH.name)
    return Measured(
        requests_sent=len(seen),
        requests_counted=counted,
        requests_counted_after_restart=after["figures"]["requests"],
        errors_sent=sum(one.failed for one in seen),
        errors_counted=shown["figures"]["errors"],
        issues=_issues(stage, span),
        alert_lag_s=_first_lag(stage.receiver, messages) if lags else None,
        firing_messages=sum(told.firing for told in messages.values()),
        resolved_messages=sum(told.resolved for told in messages.values()),
        p95_true_s=p95_true_s,
        p95_shown_s=shown["figures"]["p95_s"],
        dashboard_status=get(stage.shop.port, "/")[0],
        flush_ms_p50=flushes.quantile(0.5) * 1000 if flushes.count else None,
        database_bytes=stage.store.size_bytes(),
        messages=messages,
    )


def _settle(stage: Stage, span: _Span, sent: int) -> None:
    """Wait until the last slot is written, and a little for what may still be missing."""
    time.sleep(max(0.0, span.end - time.time()))
    until = time.monotonic() + SETTLE_WITHIN_S
    while time.monotonic() < until and _requests(_stored(stage, span)) < sent:
        time.sleep(LOOK_EVERY_S)


def _stored(stage: Stage, span: _Span) -> Mapping[Any, Value]:
    """Add up the slots of the round as they are stored."""
    return merge_frames(
        stage.store.frames(
            int(SLOT_S),
            since=span.begin,
            until=span.end,
            service=SERVICE,
            environment=ENVIRONMENT,
            metrics=(HTTP_DURATION.name, HTTP_DISCONNECTS.name, SELF_FLUSH.name),
        )
    )


def _requests(values: Mapping[Any, Value]) -> int:
    left = sum(
        value
        for series, value in values.items()
        if series.metric == HTTP_DISCONNECTS.name and isinstance(value, int | float)
    )
    return _merged(values, HTTP_DURATION.name).count + int(left)


def _merged(values: Mapping[Any, Value], metric: str) -> Histogram:
    merged = Histogram()
    for series, value in values.items():
        if series.metric == metric and isinstance(value, Histogram):
            merged.merge(value)
    return merged


def _issues(stage: Stage, span: _Span) -> int:
    found = stage.store.issues(
        service=SERVICE,
        environment=ENVIRONMENT,
        seen_since=span.begin,
        first_seen_since=span.begin,
        limit=100,
    )
    return len(found)


def _messages(receiver: Receiver, seen: list[Seen]) -> dict[str, RuleMessages]:
    """Count the messages of each metric rule, and compare the first with the client's view."""
    told = {}
    for alert in ALERTS[Profile.ROUND]:
        firing = receiver.received(rule=alert.name, status="firing")
        true_at = crossed_at(alert, seen)
        told[alert.name] = RuleMessages(
            firing=len(firing),
            resolved=len(receiver.received(rule=alert.name, status="resolved")),
            lag_s=round(firing[0].at - true_at, 3) if firing and true_at is not None else None,
        )
    return told


def _first_lag(receiver: Receiver, messages: Mapping[str, RuleMessages]) -> float | None:
    """Return the lag of the rule whose firing message came first."""
    for message in receiver.received(status="firing"):
        if message.rule in messages:
            return messages[message.rule].lag_s
    return None


def _overview(stage: Stage, span: _Span) -> dict[str, Any]:
    """Ask the running dashboard for its figures of the round."""
    status, body = get_when_ready(stage.shop.port, f"/api/v1/overview.json?{span.query}")
    if status != OK:
        raise DemoError(f"the dashboard answered {status} to the question for its figures")
    overview: dict[str, Any] = json.loads(body)
    return overview


def _rounded(value: object) -> str:
    if value is None:
        return "unknown"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
