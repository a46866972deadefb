"""A rule is explained in sentences that need no manual."""

import pytest
from hypothesis import given
from tests.rules_made import ALERTS

from watchkeeper.core.explaining import explain
from watchkeeper.core.pack import PACK
from watchkeeper.core.rules import Alert, compile_alert


def said(alert: Alert, channels: tuple[str, ...] = ("team",)) -> list[str]:
    return explain(compile_alert(alert, where="a", origin="code", slot_s=10), channels=channels)


@pytest.mark.parametrize(
    ("sentences", "alert"),
    [
        (
            [
                "Fires when the share of failed requests is above 5 % in the last 1 min or 5 min, "
                "once that is statistically certain, from 3 on (critical).",
                "Ends when the share of failed requests is below 4 % for 2 min.",
                "Tells team, again every 4 h.",
            ],
            Alert("A", when="error_rate > 5%", severity="critical"),
        ),
        (
            [
                "Fires when p95 of the response time where route is like /api/* is above 1 s "
                "in the last 5 min, for 2 min of data (1 slot may miss); judged apart for each "
                "route, 100 of them at most (warning).",
                "Ends when p95 of the response time where route is like /api/* is below 800 ms "
                "for 2 min.",
                "Becomes critical when p95 of the response time where route is like /api/* "
                "is above 3 s.",
                "Leaves out what has a route like /reports/* or /health*.",
                "Tells team, again every 4 h.",
                "Not acknowledged for 15 min, it tells boss.",
                "Nobody is told while Everything fails fires.",
            ],
            Alert(
                "A",
                when="p95{route=~'/api/*'} > 1s",
                over="5m",
                hold="2m",
                by="route",
                sure=False,
                skip={"route": ["/reports/*", "/health*"]},
                worse={"when": "p95 > 3s", "severity": "critical"},
                escalate_after="15m",
                escalate_to="boss",
                quiet_while="Everything fails",
            ),
        ),
        (
            [
                "Fires when the number of requests is exactly 0 in the last 10 min (warning).",
                "Ends when the number of requests is anything but 0 for 2 min.",
                "Judged only while the number of requests of the same time in weeks before "
                "is above 50.",
                "With no data for 5 min it fires.",
                "Nobody is told: it is being tried (shadow).",
            ],
            Alert(
                "A",
                when="requests == 0",
                over="10m",
                only_if="requests{same_time_last_week} > 50",
                no_data="alert",
                shadow=True,
            ),
        ),
        (
            [
                "It is switched off.",
                "Fires when the number of failed requests is above 3 times that of the same time "
                "in weeks before in the last 15 min, from 20 on (warning).",
                "Ends when the number of failed requests is below 2.4 times that of the same "
                "time in weeks before.",
                "With no data for 1 h it ends.",
                "Tells boss.",
            ],
            Alert(
                "A",
                when="errors > 3x same_time_last_week",
                over="15m",
                keep="0s",
                no_data="ok",
                no_data_after="1h",
                channels="boss",
                repeat="0s",
                enabled=False,
            ),
        ),
        (
            [
                "Fires when the share of reads where hit is not (empty) is above 50 % and the "
                "increase of reads is at least 20, "
                "or the highest value of queue is at most 3 in the last 1 h and also in the "
                "last 6 h, for 1 min of data (warning).",
                "Ends when the share of reads where hit is not (empty) is below 40 % and the "
                "highest value of queue is above 3.75 for 2 min.",
                "Nobody is told: there is no channel for it.",
            ],
            Alert(
                "A",
                when="share(reads{hit!=''}) > 50% and increase(reads) >= 20 or max(queue) <= 3",
                over=("1h", "6h"),
                every_window=True,
                sure=False,
                hold="1m",
                tolerate=0,
            ),
        ),
        (
            [
                "Fires when a health check fails where check is db 3 times in a row; judged apart "
                "for each check, 100 of them at most (warning).",
                "Ends when the check has passed twice in a row.",
                "Tells team, again every 4 h.",
            ],
            Alert("A", when="check{check='db'} failing"),
        ),
        (
            [
                "Fires when a worker falls silent while others live; judged apart for each host "
                "and worker, 100 of them at most (warning).",
                "Ends when the worker is back or replaced.",
                "Tells team, again every 4 h.",
            ],
            Alert("A", when="worker missing"),
        ),
        (
            [
                "Tells when an error that was marked resolved happens again or an error appears "
                "that was never seen before, of level error or above (warning).",
                "Silent for 10 min after the first installation.",
                "Tells team.",
                "What follows within 5 min comes in one message.",
            ],
            Alert("A", on=["issue.new", "issue.came_back"], quiet="10m"),
        ),
    ],
)
def test_a_rule_is_explained(sentences: list[str], alert: Alert) -> None:
    """Windows, certainty, times, and who is told are all there."""
    assert sentences == said(alert, () if "share" in str(alert.when) else ("team",))


def test_the_pack_is_explained() -> None:
    """Each default rule says when it fires or tells."""
    assert all(
        explain(rule, channels=[])[0].startswith(("Fires when", "Tells when")) for rule in PACK
    )


@given(ALERTS)
def test_every_rule_can_be_explained(alert: Alert) -> None:
    """Whatever can be written can be said."""
    assert all(sentence.endswith(".") for sentence in said(alert))
