"""The default rules are what was decided, and fit every deployment."""

from collections.abc import Mapping

import pytest

from watchkeeper.core.alerts import evaluate
from watchkeeper.core.catalogue import CATALOGUE
from watchkeeper.core.conditions import comparisons
from watchkeeper.core.instance import Instance, Reason, State
from watchkeeper.core.metrics import Kind, Series
from watchkeeper.core.pack import ALERTS, OUTAGE, PACK, default_pack
from watchkeeper.core.rule import NoData, Rule
from watchkeeper.core.rules import describe, wrong_references
from watchkeeper.core.slot import Gauge
from watchkeeper.core.tallies import Tally, Window
from watchkeeper.settings.settings import _SLOTS_S


def test_the_pack_says_in_plain_words_what_it_does() -> None:
    """Each rule can be explained in one sentence."""
    assert [
        "High error rate: error_rate > 5%, over 1 min or 5 min, if statistically sure, critical.",
        "Slow responses: p95 > 1s, over 5 min, if statistically sure, for 2 min, warning.",
        "Health check failing: check failing, critical.",
        "New issue: on issue.new, warning.",
        "Issue came back: on issue.came_back, warning.",
        "Everything fails: error_rate > 50%, over 1 min, if statistically sure, critical.",
        "Errors on a quiet service: errors >= 3 and requests < 30, over 15 min, warning.",
        "Error spike: errors > 3x same_time_last_week, over 15 min, warning.",
        "No traffic: requests == 0, over 10 min, critical.",
        "Worker missing: worker missing, warning.",
        'Job failed: share(job_duration_seconds{outcome="failed"}) >= 20% and '
        "increase(job_duration_seconds) >= 5 or "
        'share(job_duration_seconds{outcome="failed"}) >= 100%, over 1 h, for 2 min, warning.',
        "Job late: last(job_lateness_seconds) > 0s, over 5 min, warning.",
        "Memory: memory_used > 90%, over 5 min, for 5 min, warning.",
        "CPU: cpu_used > 90%, over 5 min, for 10 min, warning.",
        "Event-loop lag: p95(event_loop_lag_seconds) > 250ms, over 2 min, "
        "if statistically sure, warning.",
        "Disk: disk_used > 90% or last(host_disk_full_in_seconds) < 1d, over 5 min, warning.",
        "File descriptors: last(process_file_descriptor_utilization_ratio) > 85%, over 5 min, "
        "for 5 min, warning.",
        "Database pool: last(db_client_connection_utilization_ratio) > 90%, over 5 min, "
        "for 2 min, warning.",
        "Watchkeeper itself: max(watchkeeper_failed_flushes) >= 3 or "
        "increase(watchkeeper_dropped_total) > 0 or "
        "max(watchkeeper_evaluation_age_seconds) > 1m or "
        "max(watchkeeper_outbox_oldest_seconds) > 5m, over 5 min, warning.",
        "Rule cannot be read: last(watchkeeper_unreadable_rules) > 0, over 5 min, warning.",
        "Storage growth: last(watchkeeper_storage_used_ratio) > 80%, over 10 min, warning.",
    ] == [describe(rule) for rule in PACK]


@pytest.mark.parametrize("slot_s", _SLOTS_S)
def test_the_pack_fits_slots_of_every_length(slot_s: int) -> None:
    """Windows are as long as two slots at least; a deployment may choose long ones."""
    rules = default_pack(slot_s=slot_s)

    assert [alert.name for alert in ALERTS] == [rule.name for rule in rules]
    assert all(rule.over_s[0] >= 2 * slot_s for rule in rules if rule.over_s)


@pytest.mark.parametrize("rule", PACK, ids=lambda rule: rule.name)
def test_every_metric_of_the_pack_is_recorded(rule: Rule) -> None:
    """A default rule looks at nothing that Watchkeeper does not measure by itself."""
    known = {metric.name: metric for metric in CATALOGUE}
    for one in comparisons(rule.when) if rule.when is not None else ():
        metric = known[one.selector.metric or "http_server_request_duration_seconds"]
        labels = {part.label for part in one.selector.filters} | set(rule.by)
        assert labels <= set(metric.labels)


def test_an_outage_hides_its_consequences() -> None:
    """While everything fails, nobody is told that some of it fails."""
    assert [
        "High error rate",
        "Slow responses",
        "Errors on a quiet service",
        "Error spike",
    ] == [rule.name for rule in PACK if OUTAGE in rule.quiet_while]
    assert [] == list(wrong_references(PACK, channels=[]))


def test_each_rule_says_what_it_means() -> None:
    """Messages carry a sentence for people who did not write the rule."""
    assert [] == [rule.name for rule in PACK if not rule.description]


def play(name: str, tallies: Mapping[int, Tally], *, until: int) -> list[tuple[int, str, str]]:
    """Return when a rule of the pack came into another state, in seconds, and why."""
    [rule] = [one for one in PACK if one.name == name]
    before, found = Instance(), []
    for end in range(10, until, 10):
        written = range(max(end - 3_700, 0), end, 10)
        window = Window(
            tallies={start: tallies[start] for start in written if start in tallies},
            written=written,
        )
        step = evaluate(rule, window, before, now=end + 9.9, slot_s=10, settled_until=end)
        if step.after.state is not before.state:
            found.append((end, str(step.after.state), str(step.reason)))
        before = step.after
    return found


def gauge(value: float) -> Tally:
    series = Series("process_memory_used_ratio", Kind.GAUGE, ())
    return Tally(gauges={(1, series): (0, Gauge(value, value, value))})


def runs(*, failed: int = 0, well: int = 0) -> Tally:
    return Tally(bad=failed, total=failed + well)


def test_memory_near_its_limit_is_told_within_a_minute() -> None:
    """At 92 % there is time; at 98 % the kernel is about to kill."""
    high = {start: gauge(0.92) for start in range(0, 900, 10)}
    full = {start: gauge(0.98) for start in range(0, 900, 10)}

    assert ("firing", 310) == next(
        (state, at) for at, state, _ in play("Memory", high, until=900) if state == "firing"
    )
    assert ("firing", 70) == next(
        (state, at) for at, state, _ in play("Memory", full, until=900) if state == "firing"
    )


def test_a_host_that_is_gone_fires_no_longer() -> None:
    """A container that was replaced is not full of memory for ever."""
    gone = {start: gauge(0.95) for start in range(0, 600, 10)}

    *_, last = play("Memory", gone, until=4_000)

    assert (State.OK, Reason.NO_DATA) == last[1:]
    assert 600 + 900 <= last[0] <= 600 + 1_300


def test_what_is_told_apart_by_something_that_may_go_ends_with_it() -> None:
    """No rule about one host, worker, pool, mount or job waits for its data for ever."""
    apart = {rule.name: rule.no_data for rule in PACK if rule.by and comparisons(rule.when)}

    assert len(apart) == 8
    assert {NoData.OK} == set(apart.values())


MINUTELY = {start: runs(well=1) for start in range(660, 4_000, 60)}


@pytest.mark.parametrize(
    ("expected", "history"),
    [
        # A nightly run fails, and is told of until one goes well.
        (["pending", "firing"], {600: runs(failed=1)}),
        (
            ["pending", "firing", "recovering", "ok"],
            {600: runs(failed=1), 9_000: runs(well=1)},
        ),
        # One of five, and one of twelve.
        (
            ["pending", "firing", "recovering", "ok"],
            {600: runs(failed=1, well=4), 900: runs(well=9)},
        ),
        ([], {600: runs(failed=1, well=11)}),
        # Of a run each minute the first is all of them, and one of the first five a fifth.
        (["pending", "ok", "pending", "ok"], {600: runs(failed=1)} | MINUTELY),
    ],
)
def test_a_job_that_seldom_runs_is_told_of_when_it_fails(
    expected: list[str], history: dict[int, Tally]
) -> None:
    """A fifth of many runs, or all of the few within an hour."""
    assert expected == [
        state for _, state, _ in play("Job failed", history, until=max(history) + 1_500)
    ]
