"""Scripts and workers: watched without an application, everything written at their end."""

import json
import time

import pytest

from run_scripts import HERE, opened, run
from watchkeeper.core.metrics import Scope
from watchkeeper.core.slot import Gauge
from watchkeeper.integrations import watch
from watchkeeper.runtime.triage import Triage
from watchkeeper.settings import Settings

SCRIPT = """
import watchkeeper

watchkeeper.watch(settings=watchkeeper.Settings(service="nightly"))
orders = watchkeeper.counter("orders_total", "Orders.")


@watchkeeper.job("import", every="24h")
def import_orders() -> None:
    with watchkeeper.span("download"):
        orders.inc(3)


@watchkeeper.job("report")
def report() -> None:
    watchkeeper.tag(paper="A4")
    raise ValueError("no paper")


import_orders()
try:
    report()
except ValueError:
    print("goes on")
"""


def test_a_short_script_loses_nothing(tmp_path):
    """A script that ends at once leaves its metrics, its jobs and its errors in the database."""
    done = run(tmp_path, SCRIPT)

    assert (0, "goes on\n", "") == (done.returncode, done.stdout, done.stderr)
    store = opened(tmp_path)
    found = {}
    for frame in store.frames(10, since=0, until=9e9, **HERE):
        for series, value in frame.values.items():
            job = series.label("job") + series.label("span")
            is_gauge = isinstance(value, Gauge)
            found[series.metric, job] = value.last if is_gauge else getattr(value, "count", value)
    (issue,) = store.issues(**HERE, seen_since=0, limit=10)
    (event,) = store.events(issue.id, limit=10)
    store.close()
    assert 3.0 == found["orders_total", ""]
    assert 1 == found["job_duration_seconds", "import"]
    assert 1 == found["job_duration_seconds", "report"]
    assert 1 == found["span_duration_seconds", "download"]
    assert 0.0 == found["job_lateness_seconds", "import"]
    assert ("job:report", {"job": "report"}, {"paper": "A4"}) == (
        event.route,
        event.data["context"],
        event.data["tags"],
    )


def test_a_script_that_fails_ends_as_it_would_without_us(tmp_path):
    """The traceback, the exit code and what was recorded until then are all there."""
    done = run(tmp_path, SCRIPT.replace("except ValueError", "except KeyError"))

    assert 1 == done.returncode
    assert done.stderr.endswith("ValueError: no paper\n")
    store = opened(tmp_path)
    assert ["ValueError: no paper"] == [
        issue.title for issue in store.issues(**HERE, seen_since=0, limit=10)
    ]
    store.close()


def test_switched_off_a_script_is_alone(tmp_path):
    """With WATCHKEEPER_ENABLED=0 the script runs, and there is no file beside it."""
    done = run(tmp_path, SCRIPT, WATCHKEEPER_ENABLED="0")

    assert (0, "goes on\n", "") == (done.returncode, done.stdout, done.stderr)
    assert ["nightly.py"] == [file.name for file in tmp_path.iterdir()]


def test_a_forked_worker_begins_with_its_first_job(tmp_path):
    """A worker that forks right after watch() records in the child, too, without a word."""
    script = """
import json, os
import watchkeeper

watched = watchkeeper.watch(settings=watchkeeper.Settings(service="nightly"))
child = os.fork()
if child:
    os.waitpid(child, 0)
else:
    with watchkeeper.job("import"):
        pass
    print(json.dumps(watched.started), flush=True)
    watched.stop()
    os._exit(0)
"""
    done = run(tmp_path, script)

    assert (True, "") == (json.loads(done.stdout), done.stderr)
    store = opened(tmp_path)
    jobs = [
        series.label("job")
        for frame in store.frames(10, since=0, until=9e9, **HERE)
        for series in frame.values
        if series.metric == "job_duration_seconds"
    ]
    store.close()
    assert ["import"] == jobs


def test_settings_in_the_place_of_the_application_are_refused():
    """The mistake is named with what to write instead."""
    with pytest.raises(TypeError, match=r"watchkeeper\.watch\(settings=Settings\("):
        watch(Settings(service="nightly"))


def test_a_short_script_stores_nothing_of_an_ignored_issue(tmp_path):
    """It has learnt of it before it writes for the first time; the counts go on."""
    for _ in range(2):
        run(tmp_path, SCRIPT)
    store = opened(tmp_path)
    (issue,) = store.issues(**HERE, seen_since=0, limit=10)
    Triage(store, Scope(**HERE), actor="cli ann", now=time.time()).ignore(issue.id)

    run(tmp_path, SCRIPT)

    (issue,) = store.issues(**HERE, seen_since=0, limit=10)
    found = store.events(issue.id, limit=10)
    store.close()
    assert (3, 2) == (issue.count, len(found))
