"""The default rules, on without any configuration; each is changed or switched off by its name.

Their figures are those of the page "Default rules", which is made from here.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Final

from watchkeeper.core.rules import MIN_WINDOW_SLOTS, Alert, Origin, Rule, compile_alert
from watchkeeper.core.units import parse_duration, write_duration

UNREADABLE: Final = "Rule cannot be read"  # the rule that tells of other rules
OUTAGE: Final = "Everything fails"
SELF: Final = frozenset(("Watchkeeper itself", "Storage growth", UNREADABLE))
"""Rules about the monitoring: nothing in the application explains what they tell."""
GONE_AFTER: Final = "15m"
"""A host, a worker or a pool without data for so long is gone: "Worker missing" tells."""

ALERTS: Final = (
    Alert(
        "High error rate",
        when="error_rate > 5%",
        clear="error_rate < 3%",
        over=("1m", "5m"),
        severity="critical",
        quiet_while=OUTAGE,
        description="More requests fail than users put up with.",
    ),
    Alert(
        "Slow responses",
        when="p95 > 1s",
        clear="p95 < 800ms",
        over="5m",
        hold="2m",
        severity="warning",
        worse={"when": "p95 > 3s", "severity": "critical"},
        quiet_while=OUTAGE,
        description="One of twenty requests waits too long, and not just after a deploy.",
    ),
    Alert(
        "Health check failing",
        when="check failing",
        by="check",
        after=3,
        no_data="alert",
        severity="critical",
        description="Something that the application needs does not answer.",
    ),
    Alert(
        "New issue",
        on="issue.new",
        level="error",
        digest="5m",
        quiet="10m",
        severity="warning",
        description="An error that was never seen before.",
    ),
    Alert(
        "Issue came back",
        on="issue.came_back",
        level="error",
        digest="5m",
        severity="warning",
        description="An error that was marked resolved happened again.",
    ),
    Alert(
        OUTAGE,
        when="error_rate > 50%",
        over="1m",
        at_least=5,
        severity="critical",
        description="Most requests fail: an outage, not a partial fault.",
    ),
    Alert(
        "Errors on a quiet service",
        when="errors >= 3 and requests < 30",
        clear="errors < 2 or requests >= 40",
        over="15m",
        severity="warning",
        quiet_while=OUTAGE,
        description="A few of very few requests failed; a rate says nothing on so few.",
    ),
    Alert(
        "Error spike",
        when="errors > 3x same_time_last_week",
        at_least=20,
        over="15m",
        severity="warning",
        quiet_while=OUTAGE,
        description="Far more errors than at this hour of the week before.",
    ),
    Alert(
        "No traffic",
        when="requests == 0",
        over="10m",
        only_if="requests{same_time_last_week} > 50",
        severity="critical",
        description="Nobody comes any more, at an hour at which people usually do.",
    ),
    Alert(
        "Worker missing",
        when="worker missing",
        severity="warning",
        description="A process fell silent without having been stopped: it crashed or hangs.",
    ),
    Alert(
        "Job failed",
        # Of a nightly job there is one run, hence the second half.
        when='share(job_duration_seconds{outcome="failed"}) >= 20% '
        "and increase(job_duration_seconds) >= 5"
        ' or share(job_duration_seconds{outcome="failed"}) >= 100%',
        clear='share(job_duration_seconds{outcome="failed"}) < 10%',
        over="1h",
        hold="2m",  # the first of many runs is not all of them for long
        by="job",
        sure=False,
        no_data="ok",
        no_data_after="2d",  # until then it may run again, and well
        severity="warning",
        description="A fifth of a job's runs fail, or all of the few that there are.",
    ),
    Alert(
        "Job late",
        when="last(job_lateness_seconds) > 0s",
        over="5m",
        by="job",
        no_data="ok",
        no_data_after=GONE_AFTER,
        severity="warning",
        description="A job has not run although its time and its grace are over.",
    ),
    Alert(
        "Memory",
        when="memory_used > 90%",
        clear="memory_used < 85%",
        hold="5m",
        by="host",
        no_data="ok",
        no_data_after=GONE_AFTER,
        severity="warning",
        worse={"when": "memory_used > 97%", "severity": "critical", "hold": "1m"},
        description="Memory runs out; at its limit the kernel kills processes.",
    ),
    Alert(
        "CPU",
        when="cpu_used > 90%",
        hold="10m",
        by="host",
        no_data="ok",
        no_data_after=GONE_AFTER,
        severity="warning",
        description="The processor is busy for longer than a burst.",
    ),
    Alert(
        "Event-loop lag",
        when="p95(event_loop_lag_seconds) > 250ms",
        over="2m",
        by=("host", "worker"),  # one that is blocked among many would not show
        no_data="ok",
        no_data_after=GONE_AFTER,
        severity="warning",
        description="Something blocks the event loop, and every request with it.",
    ),
    Alert(
        "Disk",
        when="disk_used > 90% or last(host_disk_full_in_seconds) < 1d",
        clear="disk_used < 88% and last(host_disk_full_in_seconds) > 36h",
        over="5m",
        by=("host", "mount"),
        no_data="ok",
        no_data_after=GONE_AFTER,
        severity="warning",
        description="A disk is nearly full, or will be within a day.",
    ),
    Alert(
        "File descriptors",
        when="last(process_file_descriptor_utilization_ratio) > 85%",
        hold="5m",
        by="host",
        no_data="ok",
        no_data_after=GONE_AFTER,
        severity="warning",
        description="A process has nearly as many files and sockets open as it may.",
    ),
    Alert(
        "Database pool",
        when="last(db_client_connection_utilization_ratio) > 90%",
        hold="2m",
        by="pool",
        no_data="ok",
        no_data_after=GONE_AFTER,
        severity="warning",
        description="Nearly all connections are in use; soon requests wait for one.",
    ),
    Alert(
        "Watchkeeper itself",
        when="max(watchkeeper_failed_flushes) >= 3"
        " or increase(watchkeeper_dropped_total) > 0"
        " or max(watchkeeper_evaluation_age_seconds) > 60s"
        " or max(watchkeeper_outbox_oldest_seconds) > 5m",
        clear="max(watchkeeper_failed_flushes) < 3"
        " and increase(watchkeeper_dropped_total) == 0"
        " and max(watchkeeper_evaluation_age_seconds) < 60s"
        " and max(watchkeeper_outbox_oldest_seconds) < 5m",
        over="5m",
        severity="warning",
        description="The monitoring did not do all of its work in the last minutes; "
        "while it cannot write, it cannot tell.",
    ),
    Alert(
        UNREADABLE,
        when="last(watchkeeper_unreadable_rules) > 0",
        over="5m",
        severity="warning",
        description="A rule of the file or the database is not in force as it is written.",
    ),
    Alert(
        "Storage growth",
        when="last(watchkeeper_storage_used_ratio) > 80%",
        clear="last(watchkeeper_storage_used_ratio) < 75%",
        over="10m",  # measured once a minute, by one of the workers
        severity="warning",
        description="The stored data near their limit; the finest will go first.",
    ),
)


@lru_cache(maxsize=4)  # a start does not wait for it twice
def default_pack(*, slot_s: float = 10.0) -> tuple[Rule, ...]:
    """Compile the pack; windows are widened where slots are too long for them."""
    rules = []
    for alert in ALERTS:
        windows = (alert.over,) if isinstance(alert.over, str) else alert.over
        over = windows and tuple(
            write_duration(max(parse_duration(window), MIN_WINDOW_SLOTS * slot_s))
            for window in windows
        )
        where = f"alert '{alert.name}'"
        fitting = replace(alert, over=over)
        rules.append(compile_alert(fitting, where=where, origin=Origin.PACK, slot_s=slot_s))
    return tuple(rules)


PACK: Final = default_pack()
