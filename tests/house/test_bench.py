"""The benchmark runs and prints what the page about costs is made of; no figure is judged here."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "what-it-costs.md"

CPU = [
    "bare_us",
    "added_us",
    "added_in_request_us",
    "added_in_background_us",
    "peer_added_us",
    "ratio_to_bare",
    "ratio_to_peer",
]


def bench(*arguments: str, program: str = "recording.py") -> str:
    """Run a benchmark; what it prints."""
    done = subprocess.run(
        [sys.executable, ROOT / "bench" / program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def test_the_benchmark_prints_every_figure_as_json():
    """CPU against bare and peer for both frameworks, memory, and the longest pauses.

    Who works on the CPU need not wait for the rest: a part can be measured alone.
    """
    cpu = json.loads(bench("--tiny", "--only", "cpu"))
    rest = json.loads(bench("--tiny", "--only", "memory", "--only", "stall"))

    assert ["date", "python", "machine", "slot", "cpu"] == list(cpu)
    assert ["date", "python", "machine", "slot", "memory", "stall"] == list(rest)
    found = cpu | rest
    for framework in ("fastapi", "flask"):
        assert CPU == list(found["cpu"][framework])
        assert all(isinstance(figure, float) for figure in found["cpu"][framework].values())
    assert 1_000 == found["memory"]["requests"]
    assert {"added_by_recording_mb", "added_with_libraries_mb"} <= found["memory"].keys()
    assert {"bare_max_ms", "watched_max_ms", "own_thread_max_ms"} <= found["stall"].keys()


def test_who_waits_for_the_upkeep_can_be_measured():
    """The script fills a database, looks after it while a process writes, and tells both."""
    tiny = ["--workers", "1", "--hours", "2", "--series", "5"]
    done = subprocess.run(
        [sys.executable, ROOT / "bench" / "retention.py", *tiny],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert 0 == done.returncode, done.stderr
    found = json.loads(done.stdout)
    assert 720 == found["frames"]
    assert found["write_alone"]["count"] > 0
    assert found["write_meanwhile"]["count"] > 0
    assert {"roll_up", "seal", "prune"} <= set(found["transactions"])


def test_every_hostile_text_is_scrubbed_and_timed():
    """The script has a line for each, and says what is above the goal."""
    done = subprocess.run(
        [sys.executable, ROOT / "bench" / "scrubbing.py", "--tiny"],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert 0 == done.returncode, done.stderr
    assert "goal 5 ms" in done.stdout
    assert len(done.stdout.splitlines()) > 45


def test_every_figure_of_storing_has_its_goal_beside_it():
    """Whoever reads the JSON sees what was to be reached, and whether it was."""
    found = json.loads(bench("--tiny", "--database", "sqlite", program="storage.py"))

    flush, room = found["flush"]["sqlite"], found["room"]["sqlite"]
    with_goals = [
        flush["alone"]["transaction_ms"],
        flush["alone"]["cpu_ms"],
        flush["together"]["errors"],
        flush["together"]["p99_ms"],
        room["frame_bytes"],
        room["year_of_hour_rows_mb"],
        room["fortnight_of_chunks_mb"],
        room["share_of_row_per_request"],
        found["curves"]["sqlite"]["ten_times_the_traffic"],
        found["reads"]["sqlite"]["week_overview_wall_ms"],
        found["reads"]["sqlite"]["day_chart_of_top_routes_wall_ms"],
        found["month"]["sqlite"]["overview_cpu_ms"],
        found["host"]["p99_ratio"],
    ]
    for figure in with_goals:
        assert figure["reached"] is (figure["value"] <= figure["goal"])
    assert {"of": 13, "reached": sum(one["reached"] for one in with_goals)} == found["goals"]
    assert [333, 1_000, 3_333, 10_000, 33_330] == [
        one["requests_per_slot"] for one in found["curves"]["sqlite"]["over_requests"]
    ]
    assert room["row_per_request_bytes"] > room["row_per_series_and_slot_bytes"] > 0


def test_every_figure_of_errors_has_its_goal_beside_it():
    """Cost, storms and arrival: what was to be reached, and whether it was."""
    parts = ("capture", "storm", "beside", "many", "scrubbing", "arrivals")
    asked = [word for part in parts for word in ("--only", part)]
    found = json.loads(bench("--tiny", "--database", "sqlite", *asked, program="errors.py"))

    at_least = [
        found["beside"]["storm"]["kept"],
        found["many"]["counted"],
    ]
    at_most = [
        found["capture"]["frames_10"]["next_occurrence_us"],
        found["storm"]["share_of_a_core"],
        found["many"]["grown_mb"],
        found["scrubbing"]["worst_ms"],
        found["arrivals"]["sqlite"]["longest_s"],
    ]
    for figure in at_least:
        assert figure["reached"] is (figure["value"] >= figure["goal"])
    for figure in at_most:
        assert figure["reached"] is (figure["value"] <= figure["goal"])
    assert {"of": 7, "reached": sum(one["reached"] for one in at_least + at_most)} == found[
        "goals"
    ]
    assert found["scrubbing"]["kinds"] > 45
    assert 1_000 == found["many"]["counted"]["value"]


def test_the_corpus_of_errors_is_large_enough():
    """At least 40 bugs, each of them in at least 15 circumstances; the goals are beside it."""
    found = json.loads(bench("--tiny", "--only", "grouping", program="errors.py"))

    grouping = found["grouping"]
    assert grouping["bugs"] >= 40
    assert grouping["fewest_per_bug"] >= 15
    assert ["rule", "frame", "message"] == list(grouping["rules"])
    at_least = [grouping["rules"]["rule"][name] for name in ("precision", "f1")]
    for figure in at_least:
        assert figure["reached"] is (figure["value"] >= figure["goal"])
    assert {"of": 2, "reached": sum(one["reached"] for one in at_least)} == found["goals"]


def test_every_figure_of_alerts_has_its_goal_beside_it():
    """Lag, cost and false alarms: what was to be reached, and whether it was."""
    asked = ["--only", "lag", "--only", "judging", "--database", "sqlite"]
    found = json.loads(bench("--tiny", *asked, program="alerts.py"))

    lag = found["lag"]["sqlite"]["1"]
    judging = found["judging"]
    with_goals = [
        *(lag[name] for name in ("median_s", "worst_s", "sure_median_s", "sure_worst_s")),
        lag["copies"],
        judging["evaluation"]["cpu_ms"],
        *judging["healthy"]["false_alarms_a_day"].values(),
    ]
    for figure in with_goals:
        assert figure["reached"] is (figure["value"] <= figure["goal"])
    assert {"of": 12, "reached": sum(one["reached"] for one in with_goals)} == found["goals"]
    assert ["3", "10", "30", "100", "300", "3000"] == list(
        judging["healthy"]["false_alarms_a_day"]
    )


def test_what_becomes_of_messages_in_an_outage_is_measured(tmp_path):
    """A receiver that is away, and comes back: the message arrives."""
    found = json.loads(
        bench(f"sqlite:///{tmp_path}/w.db", "away", "refused", "1", program="outages.py")
    )

    assert ["back_s"] == list(found)
    assert found["back_s"] >= 0


def test_what_looking_at_resources_costs_is_measured():
    """The sample and the looks at the event loop, together beside their goal."""
    found = json.loads(bench("--tiny", program="resources.py"))["resources"]

    assert found["sample_ms"] > 0
    for name in ("idle_share", "asked_share"):
        assert 0.001 == found[name]["goal"]
        assert found[name]["reached"] is (found[name]["value"] <= found[name]["goal"])


def test_every_kind_of_release_is_simulated():
    """Three kinds of minutes, two rates and shares of errors, with and without a change."""
    found = json.loads(bench("--tiny", program="verdict.py"))

    assert 12 == len(found["kinds"])
    assert {"errors", "p95", "left"} == set(found["kinds"]["calm 10 0.2%"]["power"])
    assert {"1.5", "2.0", "3.0", "10.0"} == set(found["kinds"]["lasting 40 2.0%"]["power"]["p95"])
    assert 2 == found["goals"]["of"]
