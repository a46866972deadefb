"""The tables of figures in the pages of docs/ about costs and errors."""

from pathlib import Path
from typing import Any, Final

from watchkeeper.core.statistics import wilson_lower

DOCS: Final = Path(__file__).parents[1] / "docs"
PAGE: Final = DOCS / "what-it-costs.md"
BEGIN: Final = "<!-- figures: written by `make bench ARGS=--markdown` -->\n"
STORAGE_PAGE: Final = DOCS / "what-storing-costs.md"
STORAGE_BEGIN: Final = "<!-- figures: written by `make bench-storage ARGS=--markdown` -->\n"
ERRORS_PAGE: Final = DOCS / "errors.md"
ERRORS_BEGIN: Final = "<!-- figures: written by `make bench-errors ARGS=--markdown` -->\n"
ALERTS_PAGE: Final = DOCS / "how-fast-alerts-are.md"
ALERTS_BEGIN: Final = "<!-- figures: written by `make bench-alerts ARGS=--markdown` -->\n"
VERDICT_PAGE: Final = DOCS / "deploys.md"
VERDICT_BEGIN: Final = "<!-- figures: written by `make bench-verdict ARGS=--markdown` -->\n"
END: Final = "<!-- end of figures -->\n"


def write(found: dict[str, Any]) -> None:
    """Put the figures of recording into their page."""
    _put(PAGE, BEGIN, table(found))


def write_storage(found: dict[str, Any]) -> None:
    """Put the figures of storing into their page."""
    _put(STORAGE_PAGE, STORAGE_BEGIN, storage_tables(found))


def write_errors(found: dict[str, Any]) -> None:
    """Put the figures of errors into their page."""
    _put(ERRORS_PAGE, ERRORS_BEGIN, errors_tables(found))


def write_alerts(found: dict[str, Any]) -> None:
    """Put the figures of alerts into their page."""
    _put(ALERTS_PAGE, ALERTS_BEGIN, alerts_tables(found))


def write_verdict(found: dict[str, Any]) -> None:
    """Put the figures of verdicts on releases into their page."""
    _put(VERDICT_PAGE, VERDICT_BEGIN, verdict_table(found))


def _put(page: Path, begin: str, figures: str) -> None:
    """Write figures in the place of those before."""
    before, _, rest = page.read_text("utf-8").partition(begin)
    _, _, after = rest.partition(END)
    page.write_text(before + begin + figures + END + after, "utf-8")


def table(found: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    fastapi, flask = found["cpu"]["fastapi"], found["cpu"]["flask"]
    memory, stall = found["memory"], found["stall"]
    return f"""
{_measured(found)}

| CPU per request, in µs | FastAPI | Flask |
|---|--:|--:|
| the application alone | {fastapi["bare_us"]} | {flask["bare_us"]} |
| **added by Watchkeeper** | **{fastapi["added_us"]}** | **{flask["added_us"]}** |
| of it in the request | {fastapi["added_in_request_us"]} | {flask["added_in_request_us"]} |
| of it in the background | {_both("added_in_background_us", fastapi, flask)} |
| added by the Prometheus client for that framework | {_both("peer_added_us", fastapi, flask)} |
| ratio to the application | {_both("ratio_to_bare", fastapi, flask)} |
| **ratio to the Prometheus client** | {_both("ratio_to_peer", fastapi, flask)} |

| Memory after {memory["requests"]:,} requests | MB |
|---|--:|
| **added by recording** | **{memory["added_by_recording_mb"]}** |
| added in all, with the database's packages | {memory["added_with_libraries_mb"]} |

| Pauses at {stall["requests_per_s"]:,} requests/s, in ms | bare | watched |
|---|--:|--:|
| longest in {stall["seconds"]:.0f} s | {stall["bare_max_ms"]} | {stall["watched_max_ms"]} |
| 99.99 % are shorter than | {stall["bare_p9999_ms"]} | {stall["watched_p9999_ms"]} |
| **the most that Watchkeeper's thread took of one** | – | **{stall["own_thread_max_ms"]}** |

"""


def storage_tables(found: dict[str, Any]) -> str:
    """Return the figures of storing as Markdown."""
    host, month = found["host"], found["month"]["sqlite"]
    return f"""
{_measured(found)} Goals are in brackets; ✗ marks one that was missed.

{_by_database(found["flush"], "A flush, in ms", _FLUSH)}

{_by_database(found["room"], "Room", _ROOM)}

{_by_database(found["reads"], "Reading a page of 100 routes, in ms", _READS)}

| With 1,000 routes, on SQLite | ms |
|---|--:|
| overview of {month["days"]} days, CPU | {_shown(month["overview_cpu_ms"])} |
| the same, until it is there | {_shown(month["overview_wall_ms"])} |

| The application's own transactions in a SQLite file of its own, in ms | without | with |
|---|--:|--:|
| median | {host["bare_p50_ms"]} | {host["watched_p50_ms"]} |
| 99 % are shorter than | {host["bare_p99_ms"]} | {host["watched_p99_ms"]} |
| **ratio, the median of {host["rounds"]} pairs** | – | {_shown(host["p99_ratio"])} |

{_curve(found["curves"]["sqlite"]["over_requests"], "requests_per_slot", "Requests in a slot")}

{_curve(found["curves"]["sqlite"]["over_series"], "series", "Series")}

Ten times the traffic on the same routes takes \
{_shown(found["curves"]["sqlite"]["ten_times_the_traffic"])} times the room.

"""


def errors_tables(found: dict[str, Any]) -> str:
    """Return the figures of errors as Markdown."""
    groups, rules = found["grouping"], found["grouping"]["rules"]
    ten, fifty = found["capture"]["frames_10"], found["capture"]["frames_50"]
    storm, many, beside = found["storm"], found["many"], found["beside"]
    scrubbing = found["scrubbing"]
    fails = beside["every_second_fails"]["uvicorn"]
    where = f"with Python {found['python']} on {found['machine']}"
    arrivals = found["arrivals"]
    return f"""
Measured on {found["date"]} {where}. Goals are in brackets; ✗ marks one that was missed.

| Grouping of {groups["occurrences"]:,} errors: {groups["bugs"]} bugs, each in \
{groups["fewest_per_bug"]} to {groups["circumstances"]} circumstances \
| precision | recall | F1 |
|---|--:|--:|--:|
| **Watchkeeper** | {_scores(rules["rule"])} |
| by type and innermost frame of the application | {_scores(rules["frame"])} |
| by type and message, without its values | {_scores(rules["message"])} |

| CPU of one error, in µs | 10 frames | 50 frames |
|---|--:|--:|
| raising and catching it, without Watchkeeper | {_two("raise_and_catch_us", ten, fifty)} |
| **added for one that is known** | {_two("next_occurrence_us", ten, fifty)} |
| added the first time | {_two("first_occurrence_us", ten, fifty)} |

| In a storm | |
|---|--:|
| share of a core that {storm["errors_per_s"]:,} errors a second of one bug take | \
{_shown(storm["share_of_a_core"])} |
| throughput that good requests keep beside {beside["storm"]["errors_per_s"]:,} errors a second | \
{_shown(beside["storm"]["kept"])} |
| throughput that a watched server keeps where every second request fails | \
{fails["kept"]} |
| the same where none fails | {fails["kept_without_errors"]} |
| counted of {many["bugs"]:,} different bugs | {_shown(many["counted"])} |
| memory that the second half of them leaves behind, in MB | {_shown(many["grown_mb"])} |
| CPU of each of them, in µs | {many["us_each"]} |

| Scrubbing | CPU, in ms |
|---|--:|
| 64 kB of hostile text, the worst of {scrubbing["kinds"]} kinds \
| {_shown(scrubbing["worst_ms"])} |

{_by_database(arrivals, "From raised to seen in the database, in s", _ARRIVALS)}

"""


def alerts_tables(found: dict[str, Any]) -> str:
    """Return the figures of alerts as Markdown."""
    judging = found["judging"]
    evaluation, healthy = judging["evaluation"], judging["healthy"]
    lag = "\n\n".join(_lags(name, figures) for name, figures in found["lag"].items())
    false_alarms = "\n".join(
        f"| {each} | {_shown(figure)} |" for each, figure in healthy["false_alarms_a_day"].items()
    )
    return f"""
{_measured(found)} Goals are in brackets; ✗ marks one that was missed.

{lag}

{_by_database(found["outages"], "When something is away", _OUTAGES)}

| A service with {healthy["error_rate"]:.0%} of errors, {healthy["days"]} simulated days: \
requests a minute | false alarms a day |
|--:|--:|
{false_alarms}

One evaluation of {evaluation["rules"]} rules on {evaluation["routes"]} routes, each of which had \
requests: {_shown(evaluation["cpu_ms"])} ms of CPU.

"""


def verdict_table(found: dict[str, Any]) -> str:
    """Return the figures of verdicts on releases as Markdown."""
    releases, changed = found["releases"], found["changed"]
    kinds = found["kinds"]
    power = next(iter(kinds.values()))["power"]
    head = "".join(
        f" | {name} ×{factor:g}" for name in power for factor in map(float, power[name])
    )
    rows = "\n".join(
        f"| {name.replace(' ', ' | ')} | {one['wrong']} of {releases} "
        + "".join(f"| {n / changed:.0%} " for some in one["power"].values() for n in some.values())
        + "|"
        for name, one in kinds.items()
    )
    wrong = "; ".join(
        f"{noise} minutes {_shown(found[noise])}, {between(some['wrong'], some['of'])}"
        for noise, some in found["false_alarms"].items()
    )
    shares = ", ".join(
        f"{share:.0%} is {between(round(share * changed), changed)}" for share in (0.1, 0.5, 0.9)
    )
    return f"""
Simulated on {found["date"]}. False alarms, worse or doubtful, of all verdicts on releases that \
changed nothing: {wrong} (95 % intervals). \
Goals are in brackets; ✗ marks one that was missed.

| minutes | requests a minute | errors before | false alarms{head} |
|---|--:|--:|--:{"|--:" * sum(map(len, power.values()))}|
{rows}

The shares found are of {changed} releases each, and no surer than that: {shares}.

"""


def between(number: int, total: int) -> str:
    """Return the interval of a share (Wilson, 95 %)."""
    low = wilson_lower(number, total, z=1.96)
    high = 1 - wilson_lower(total - number, total, z=1.96)
    return f"{100 * low:.1f} – {100 * high:.1f} %"


def _lags(database: str, figures: dict[str, Any]) -> str:
    head = (
        f"| Lag on {_NAMES[database]}, in s: workers | median | worst "
        "| median, when sure | worst, when sure | copies |"
    )
    keys = ("median_s", "worst_s", "sure_median_s", "sure_worst_s", "copies")
    rows = [
        f"| {workers} | {' | '.join(_shown(one[key]) for key in keys)} |"
        for workers, one in figures.items()
    ]
    return "\n".join([head, "|---|--:|--:|--:|--:|--:|", *rows])


def _scores(scores: dict[str, Any]) -> str:
    return " | ".join(_shown(scores[name]) for name in ("precision", "recall", "f1"))


def _two(name: str, *several: dict[str, Any]) -> str:
    return " | ".join(_shown(one[name]) for one in several)


_ARRIVALS: Final = (("median_s", "median"), ("longest_s", "longest"))
_OUTAGES: Final = (
    ("back.refused", "delivered so many s after a receiver that refused connections is back"),
    ("back.503", "the same, where it answered 503"),
    ("back.hanging", "the same, where it did not answer at all"),
    ("back.400", "the same, where it answered 400"),
    ("inside.messages", "messages about an incident that began and ended meanwhile"),
    ("inside.with_start_and_end", "of these, with start and end"),
    ("inside.firing_though_over", "of these, that say firing"),
    ("killed.1", "copies more after `kill -9` and restart while firing, 1 worker"),
    ("killed.4", "the same with 4 workers"),
    ("pending.hold_s", "seconds that a rule holds, with a restart meanwhile"),
    ("pending.away_s", "seconds that the restart took"),
    ("pending.fired_after_s", "fired so many s after the crossing"),
)
_FLUSH: Final = (
    ("alone.close_ms", "closing a slot of 200 series"),
    ("alone.write_ms", "packing and writing it"),
    ("alone.transaction_ms", "of that in the database"),
    ("alone.cpu_ms", "CPU of both"),
    ("together.p50_ms", "8 workers in the same moment: median"),
    ("together.p99_ms", "the same: 99 % are shorter than"),
    ("together.errors", "the same: errors"),
)
_ROOM: Final = (
    ("frame_bytes", "a series and slot, in bytes"),
    ("row_per_series_and_slot_bytes", "with a row for each series and slot"),
    ("row_per_request_bytes", "with a row for each request"),
    ("day_of_frames_mb", "a day of slots of one worker, in MB"),
    ("fortnight_of_chunks_mb", "14 days of minutes, in MB"),
    ("year_of_hour_rows_mb", "a year of hours, in MB"),
    ("per_million_requests_mb", "a million requests, of all that is kept for 14 days, in MB"),
    ("per_million_requests_first_day_mb", "a million requests of the last day, in MB"),
    ("row_per_request_per_million_mb", "a million requests with a row for each, in MB"),
    ("share_of_row_per_request", "what is kept for 14 days, as a share of that"),
)
_READS: Final = (
    ("week_overview_wall_ms", "overview of 7 days"),
    ("day_overview_wall_ms", "overview of 24 hours"),
    ("day_chart_of_top_routes_wall_ms", "p95 by hour of the top 10 routes, 24 hours"),
)
_NAMES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}


def _by_database(found: dict[str, Any], title: str, lines: tuple[tuple[str, str], ...]) -> str:
    head = f"| {title} | {' | '.join(_NAMES[name] for name in found)} |"
    rule = "|---|" + "--:|" * len(found)
    rows = [
        f"| {text} | {' | '.join(_shown(_at(figures, path)) for figures in found.values())} |"
        for path, text in lines
    ]
    return "\n".join([head, rule, *rows])


def _curve(points: list[dict[str, Any]], key: str, title: str) -> str:
    rows = [
        f"| {one[key]:,} | {one['active_series']:g} | {one['bytes_per_minute']:,} "
        f"| {one['write_cpu_ms']} |"
        for one in points
    ]
    head = f"| {title} | active series | bytes a minute | CPU of a write, in ms |"
    return "\n".join([head, "|--:|--:|--:|--:|", *rows])


def _at(figures: dict[str, Any], path: str) -> Any:
    for name in path.split("."):
        figures = figures[name]
    return figures


def _shown(figure: Any) -> str:
    if not isinstance(figure, dict):
        return f"{figure:,}"
    sign = "≥" if figure.get("least") else "≤"
    goal = f"**{figure['value']:,}** ({sign} {figure['goal']:g})"
    return goal if figure["reached"] else f"{goal} ✗"


def _both(key: str, fastapi: dict[str, Any], flask: dict[str, Any]) -> str:
    return " | ".join("–" if each[key] is None else str(each[key]) for each in (fastapi, flask))


def _measured(found: dict[str, Any]) -> str:
    where = f"with Python {found['python']} on {found['machine']}"
    return f"Measured on {found['date']} {where}; slots of {found.get('slot', '10s')}."
