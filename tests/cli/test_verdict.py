"""`watchkeeper verdict` on a real SQLite file."""

import json
import os
import re
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from kept import http, run_on_terminal
from stored import SHOP, frame

from watchkeeper.cli import verdict as verb
from watchkeeper.cli import watchkeeper
from watchkeeper.core.catalogue import HTTP_DISCONNECTS
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Series
from watchkeeper.core.slot import Value, slot_start
from watchkeeper.exceptions import StorageError
from watchkeeper.storage import open_store
from watchkeeper.storage.store import Release


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shop whose release v2 began 70 minutes ago and fails more often."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "shop.db"
    store = open_store(str(path))
    store.migrate()
    now = time.time()
    for release, at in (("v1", now - 9_000), ("v2", now - 4_200), ("v3", now - 600)):
        store.mark_release(Release(scope=replace(SHOP, release=release), at=at))
    minute = slot_start(now, 60)
    frames = [served(minute - ago, "v1", errors=1) for ago in range(4_260, 7_800, 60)]
    frames += [served(minute - ago, "v2", errors=9) for ago in range(660, 4_200, 60)]
    frames += [served(minute - ago, "v3", errors=9) for ago in range(60, 600, 60)]
    store.add_frames(frames)
    store.close()
    return path


def served(at: int, release: str, *, errors: int, route: str = "/pay"):
    """Make a minute of one route."""
    scope = replace(SHOP, release=release)
    return frame(
        at,
        len(route),
        resolution=60,
        values={
            http(scope, method="GET", route=route, status="200"): Histogram([0.1] * 91),
            http(scope, method="GET", route=route, status="500"): Histogram([0.1] * errors),
        },
    )


def left(at: int, release: str, route: str, *, answered: int = 0, count: int = 50):
    """Make a minute of one route of whose clients some left."""
    scope = replace(SHOP, release=release)
    labels = {"method": "GET", "route": route}
    series = replace(
        http(scope, **labels), metric=HTTP_DISCONNECTS.name, kind=HTTP_DISCONNECTS.kind
    )
    values: dict[Series, Value] = {series: count}
    if answered:
        values[http(scope, status="200", **labels)] = Histogram([0.1] * answered)
    return frame(at, len(route) + 10, resolution=60, values=values)


def verdict(file: Path, *arguments: str):
    """Run the verb on the shop."""
    options = ["--db", str(file), "--service", "shop", "--environment", "production"]
    return CliRunner().invoke(watchkeeper, ["verdict", *options, *arguments])


def test_a_worse_release_is_told_with_its_route(file: Path):
    """What is worse, by how much, beside what; exit code 2."""
    result = verdict(file, "--release", "v2")

    assert 2 == result.exit_code
    first, second, third, *_ = result.stdout.splitlines()
    assert "WORSE   v2, live for 1 h 10 min, beside release v1" == first
    assert "  worse           GET /pay" == second
    assert third.strip().startswith("errors 9 % of ")
    assert third.endswith("(v1: 1.1 %)")


def test_last_week_is_named_where_there_is_something_of_it(file: Path):
    """Nothing is said to be compared that was not."""
    week = 7 * 86_400
    store = open_store(str(file))
    minute = slot_start(time.time(), 60) - week
    store.add_frames([served(minute - ago, "v0", errors=1) for ago in range(0, 4_200, 60)])
    store.close()

    result = verdict(file, "--release", "v2")

    assert result.stdout.startswith(
        "WORSE   v2, live for 1 h 10 min, beside release v1 and last week\n"
    )


def test_the_errors_of_a_new_route_are_told(file: Path):
    """And that a route has no request any more."""
    store = open_store(str(file))
    minute = slot_start(time.time(), 60)
    store.add_frames(
        [served(minute - ago, "v3", errors=30, route="/newer") for ago in range(60, 600, 60)]
        + [served(minute - ago, "v2", errors=1, route="/gone") for ago in range(660, 4_200, 60)]
    )
    store.close()

    result = verdict(file, "--release", "v3")

    assert (1, 1) == (result.exit_code, result.stdout.count("DOUBTFUL"))
    assert "  new             GET /newer: errors 25 % of " in result.stdout
    assert "no request any more (v2: " in result.stdout


def test_a_database_that_cannot_be_asked_is_no_lack_of_data(file: Path):
    """Exit code 69: a pipeline that lets pass what has too little data does not let this pass."""
    result = CliRunner().invoke(
        watchkeeper, ["verdict", "--db", "postgresql://nobody@127.0.0.1:9/x", "--release", "v2"]
    )

    assert 69 == result.exit_code


def test_a_wait_outlasts_a_database_that_is_away(file: Path, monkeypatch: pytest.MonkeyPatch):
    """The file cannot be opened for a moment, and then it can."""
    monkeypatch.setattr(verb, "ASK_EVERY_S", 0.01)
    answers = iter([StorageError("away"), StorageError("away"), 7])

    def ask(*, now: float) -> int:
        answer = next(answers)
        if isinstance(answer, StorageError):
            raise answer
        return answer

    assert 7 == verb._patiently(ask, began=time.time(), whole_s=60.0)
    answers = iter([StorageError("away")])
    with pytest.raises(StorageError):
        verb._patiently(ask, began=time.time(), whole_s=0.0)


def test_a_defect_is_neither_a_warning_nor_an_alarm(file: Path, monkeypatch: pytest.MonkeyPatch):
    """Exit code 70, where Python has 1, which is a verdict."""

    def broken(*_: object, **__: object):
        raise ZeroDivisionError

    monkeypatch.setattr(verb, "reach", broken)

    result = verdict(file, "--release", "v2")

    assert 70 == result.exit_code
    assert "ZeroDivisionError" in result.stderr


def test_the_next_one_that_is_alike_is_the_same(file: Path):
    """Exit code 0."""
    result = verdict(file, "--release", "v3")

    assert 0 == result.exit_code
    assert "  same            GET /pay" in result.stdout


def test_the_object_says_all(file: Path):
    """Plain values, also of what is not certain."""
    result = verdict(file, "--release", "v2", "--against", "v1", "--json")

    found = json.loads(result.stdout)
    assert (2, "worse", 2, "nothing") == (
        result.exit_code,
        found["outcome"],
        found["code"],
        found["missing"],
    )
    assert ("v1", "workers") == (found["compared"]["previous"], found["compared"]["basis"])
    assert ["previous_release"] == found["compared"]["beside"]
    assert {"errors", "p95", "left"} == {
        one["measure"] for route in found["routes"] for one in route["comparisons"]
    }


def test_an_unknown_release_has_no_verdict(file: Path):
    """Exit code 3; after a wait 4, also as an object: a crash loop is no lack of data."""
    shown = verdict(file, "--release", "v9")
    told = verdict(file, "--release", "v9", "--wait", "1s", "--json")

    assert (3, 4, 4) == (shown.exit_code, told.exit_code, json.loads(told.stdout)["code"])
    assert "no worker has run v9 yet" in shown.stdout
    assert ("too_little_data", "not_seen", None) == tuple(
        json.loads(told.stdout)[name] for name in ("outcome", "missing", "compared")
    )


def test_a_release_that_answers_nothing_does_not_pass(file: Path):
    """Its workers mark it, and no request reaches them: 4 after the wait, 3 until then."""
    store = open_store(str(file))
    at = time.time() - 120
    store.mark_release(Release(scope=replace(SHOP, release="v4"), at=at))
    store.close()

    early = verdict(file, "--release", "v4")
    late = verdict(file, "--release", "v4", "--wait", "1m")

    assert (3, 4) == (early.exit_code, late.exit_code)
    assert "no worker that names it has answered a request" in late.stdout


def test_a_route_that_hangs_is_told(file: Path):
    """Half of its clients leave before they are answered, and of another route all do."""
    store = open_store(str(file))
    store.mark_release(Release(scope=replace(SHOP, release="v4"), at=time.time() - 600))
    minute = slot_start(time.time(), 60)
    store.add_frames(
        [served(minute - ago, "v3", errors=9, route="/hung") for ago in range(660, 4_200, 60)]
        + [served(minute - ago, "v3", errors=9, route="/nothing") for ago in range(660, 4_200, 60)]
        + [left(minute - ago, "v4", "/hung", answered=50) for ago in range(60, 600, 60)]
        + [left(minute - 60, "v4", "/nothing", count=5)]
    )
    store.close()

    result = verdict(file, "--release", "v4", "--against", "v3")

    assert 2 == result.exit_code
    assert "left by the client 50 % of 900 requests (v3: 0 %)" in result.stdout
    assert "none of 5 requests answered (v3: 5," in result.stdout


def test_a_first_release_says_what_is_missing(file: Path):
    """There is nothing to compare with."""
    result = verdict(file, "--release", "v1")

    assert 3 == result.exit_code
    assert "nothing to compare with" in result.stdout


def test_a_wait_that_is_over_is_judged_at_once(file: Path):
    """v2 has been live for longer: the first look finds it worse, and no other one is needed."""
    result = verdict(file, "--release", "v2", "--wait", "10m")

    assert 2 == result.exit_code


def test_a_wait_asks_once_a_second_to_its_end(file: Path, monkeypatch: pytest.MonkeyPatch):
    """Also in the last seconds, in which only the workers' last slots are waited for."""
    asked: list[float] = []
    began = time.time()

    def sleep(seconds: float) -> None:
        asked.append(seconds)

    clock = SimpleNamespace(time=lambda: began + sum(asked), sleep=sleep)
    monkeypatch.setattr(verb, "time", clock)

    result = verdict(file, "--release", "v3", "--wait", "610s")

    assert 0 == result.exit_code
    assert sum(asked) == pytest.approx(72, abs=2)  # ten seconds, and a slot of a minute
    assert len(asked) < 80


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "which release?"),
        (("--release", "v2", "--against", "v2"), "beside itself"),
        (("--release", "v2", "--wait", "soon"), "--wait: 'soon' is not a duration"),
    ],
)
def test_mistakes_are_told(file: Path, arguments: tuple[str, ...], problem: str):
    """Exit code 64, and how it is done."""
    result = verdict(file, *arguments)

    assert 64 == result.exit_code
    assert problem in result.stderr


def test_a_terminal_shows_what_is_waited_for(file: Path):
    """Whoever looks on knows that it goes on."""
    options = ["--db", str(file), "--service", "shop", "--environment", "production"]

    code, shown = run_on_terminal(
        "verdict", *options, "--release", "v9", "--wait", "1s", folder=file.parent
    )

    assert 4 == code
    assert "waiting for v9: no worker runs it yet" in shown


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (1, 0), (2, 2), (3, 0), (4, 4), (69, 69)])
def test_the_documented_pipeline_step_fails_for_what_it_should(
    tmp_path: Path, code: int, expected: int
):
    """The step of docs/deploys.md, as a runner starts it, with a verdict of each kind."""
    page = (Path(__file__).parents[2] / "docs" / "deploys.md").read_text("utf-8")
    (script,) = re.findall(r"  run: \|\n((?:    .*\n)+)", page)
    command = tmp_path / "watchkeeper"
    command.write_text(f"#!/bin/sh\nexit {code}\n")
    command.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"

    done = subprocess.run(
        ["bash", "-e", "-c", dedent(script)],
        env={"PATH": path, "GITHUB_SHA": "v2", "DATABASE_URL": "shop.db"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert expected == done.returncode
    assert ("::warning::" in done.stdout) is (code in (1, 3))
