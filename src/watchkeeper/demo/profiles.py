"""The settings that the demo shop is watched with: short times, so that there is much to see."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from watchkeeper.core.rule import Alert
from watchkeeper.settings import Settings

SERVICE: Final = "tea-shop"
ENVIRONMENT: Final = "demo"
RELEASE: Final = "2.4.0"
PREFIX: Final = "/watchkeeper"
CHANNEL: Final = "receiver"
ERRORS_RULE: Final = "High error rate"
SLOW_RULE: Final = "Slow responses"
METRIC_RULES: Final = (ERRORS_RULE, SLOW_RULE)


class Profile(StrEnum):
    """What the times are chosen for."""

    ROUND = "round"  # one measured round in less than a minute
    SHOW = "show"  # somebody watches


SLOTS: Final[Mapping[Profile, str]] = {Profile.ROUND: "1s", Profile.SHOW: "5s"}

ALERTS: Final[Mapping[Profile, tuple[Alert, ...]]] = {
    Profile.ROUND: (
        Alert(
            ERRORS_RULE,
            when="error_rate > 5%",
            clear="error_rate < 3%",
            over="10s",
            keep="3s",
            cooldown="0s",
            severity="critical",
        ),
        Alert(
            SLOW_RULE,
            when="p95 > 500ms",
            clear="p95 < 400ms",
            over="10s",
            hold="1s",
            warmup="0s",  # the round is over before workers are warm
            keep="3s",
            cooldown="0s",
            severity="warning",
        ),
    ),
    Profile.SHOW: (
        Alert(
            ERRORS_RULE,
            when="error_rate > 5%",
            clear="error_rate < 3%",
            over="30s",
            keep="15s",
            cooldown="0s",
            severity="critical",
        ),
        Alert(
            SLOW_RULE,
            when="p95 > 500ms",
            clear="p95 < 400ms",
            over="30s",
            hold="5s",
            keep="15s",
            cooldown="0s",
            severity="warning",
        ),
    ),
}


def demo_settings(
    profile: Profile,
    *,
    database: Path,
    shop_database: Path,
    webhook: str,
    secret: str,
    public_url: str,
) -> Settings:
    """Return what the shop passes to `watch`.

    The dashboard has no door: the demo listens on loopback only and its data are made.
    """
    return Settings(
        enabled=True,
        database_url=f"sqlite:///{database}",
        service=SERVICE,
        environment=ENVIRONMENT,
        release=RELEASE,
        public_url=public_url,
        open_access=True,
        dashboard_prefix=PREFIX,
        slot=SLOTS[profile],
        alerts=ALERTS[profile],
        channels={CHANNEL: {"type": "webhook", "url": webhook, "secret": secret}},
        routing={},
        health_checks={"shop database": {"type": "database", "url": f"sqlite:///{shop_database}"}},
    )
