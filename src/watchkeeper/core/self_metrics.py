"""The part of the catalogue that tells whether Watchkeeper itself does its work."""

from typing import Final

from watchkeeper.core.metrics import Across, Kind, Metric

SELF_FAILED_FLUSHES: Final = Metric(
    name="watchkeeper_failed_flushes",
    kind=Kind.GAUGE,
    help="Attempts in a row to write to the database that failed; 0 once one succeeded.",
    across=Across.MAX,
)
SELF_EVALUATION_AGE: Final = Metric(
    name="watchkeeper_evaluation_age_seconds",
    kind=Kind.GAUGE,
    help="How long nobody had evaluated the rules when a worker looked, at most since its start.",
    across=Across.MAX,
)
SELF_OUTBOX_AGE: Final = Metric(
    name="watchkeeper_outbox_oldest_seconds",
    kind=Kind.GAUGE,
    help="Age of the oldest notification that is due and neither sent nor given up; 0: none.",
    across=Across.MAX,
)
SELF_RULE_ERRORS: Final = Metric(
    name="watchkeeper_rule_errors_total",
    kind=Kind.COUNTER,
    help="Evaluations of a rule that failed; its state was kept.",
    labels=("rule",),
)
SELF_HEARTBEAT_FAILURES: Final = Metric(
    name="watchkeeper_heartbeat_failures_total",
    kind=Kind.COUNTER,
    help="Calls of `heartbeat_url` that were not answered with success.",
)
SELF_UNREADABLE_RULES: Final = Metric(
    name="watchkeeper_unreadable_rules",
    kind=Kind.GAUGE,
    help="Rules of the file or the database that cannot be read, or name what there is not.",
    across=Across.MAX,
)
SELF_FULL_IN: Final = Metric(
    name="watchkeeper_storage_full_in_seconds",
    kind=Kind.GAUGE,
    help="Time until `storage_budget`, or the disk, is used up at the trend of a week; absent on "
    "the first day and while nothing grows.",
    across=Across.LAST,
)
SELF_CLOCK_SKEW: Final = Metric(
    name="watchkeeper_clock_skew_seconds",
    kind=Kind.GAUGE,
    help="How far the host's clock is ahead of the database server's; below 0: behind.",
    labels=("host",),
    across=Across.LAST,
)

SELF_WATCH: Final = (
    SELF_FAILED_FLUSHES,
    SELF_EVALUATION_AGE,
    SELF_OUTBOX_AGE,
    SELF_RULE_ERRORS,
    SELF_HEARTBEAT_FAILURES,
    SELF_UNREADABLE_RULES,
    SELF_FULL_IN,
    SELF_CLOCK_SKEW,
)
