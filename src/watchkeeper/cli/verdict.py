"""`watchkeeper verdict`: is a release worse than the one before it, and than last week?"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from typing import Any, Final, TypeVar

import click

from watchkeeper.cli.source import Source, open_existing, slot_length, with_source
from watchkeeper.cli.terminal import echo, plain
from watchkeeper.cli.verbs import CRITICAL, FINE, UNAVAILABLE, UNKNOWN, WARNING
from watchkeeper.core.looks import Look, looks
from watchkeeper.core.release_verdict import (
    ALPHA,
    Against,
    Comparison,
    Outcome,
    Reason,
    RouteVerdict,
)
from watchkeeper.core.route_minutes import Measure
from watchkeeper.core.units import format_duration, parse_duration
from watchkeeper.dashboard import texts
from watchkeeper.dashboard.reading import SETTLING_S
from watchkeeper.dashboard.verdict import Asked, Missing, Verdict, marks_of, reach
from watchkeeper.exceptions import StorageError

Found = TypeVar("Found")

ASK_EVERY_S: Final = 1.0
RETRY_S: Final = 30.0  # at least, of a database that was there and does not answer
MAX_LINES: Final = 20  # routes shown in each group; --json has all
WARM_UP: Final = "1m"
NEVER_SERVED: Final = 4  # not 3, which pipelines let pass: a crash loop is no lack of data

CODES: Final = {
    Outcome.BETTER: FINE,
    Outcome.SAME: FINE,
    Outcome.DOUBTFUL: WARNING,
    Outcome.WORSE: CRITICAL,
    Outcome.TOO_LITTLE: UNKNOWN,
}
WORDS: Final = {
    Outcome.BETTER: "better",
    Outcome.SAME: "same",
    Outcome.DOUBTFUL: "doubtful",
    Outcome.WORSE: "worse",
    Outcome.TOO_LITTLE: "too little data",
}
NAMES: Final = {
    Measure.ERRORS: "errors",
    Measure.P95: "p95",
    Measure.LEFT: "left by the client",
}
_ORDER: Final = (
    Outcome.WORSE,
    Outcome.DOUBTFUL,
    Outcome.BETTER,
    Outcome.SAME,
    Outcome.TOO_LITTLE,
)


@click.command()
@click.option("--release", default="", metavar="NAME", help="The release to judge.")
@click.option("--against", default="", metavar="NAME", help="Judge beside this release.")
@click.option("--wait", default="0s", metavar="TIME", help="Judge when it has been live so long.")
@click.option("--warm-up", default=WARM_UP, metavar="TIME", help="Leave out this long after it.")
@click.option("--route", "routes", multiple=True, metavar="ROUTE", help="This route only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_source
def command(
    release: str,
    against: str,
    wait: str,
    warm_up: str,
    routes: tuple[str, ...],
    as_json: bool,
    source: Source,
) -> int:
    """Judge a release by its requests: errors, p95 and clients that left, of each route.

    Beside the release before it, and beside the same time last week. The exit code is 0 if it is
    the same or better, 1 if that is doubtful (one of the two was as bad, or a route is gone), 2 if
    a route is worse, 3 if there is too little data, 4 if nobody ran it or it answered nothing for
    the whole --wait, 69 if the database cannot be asked.
    """
    release = release.strip() or source.settings.release
    if not release:
        raise click.UsageError("which release? --release v2.31, or the variable that names it")
    if against.strip() == release:
        raise click.UsageError(f"{release} beside itself is the same")
    plan = looks(parse_duration(wait, where="--wait"), ALPHA)
    waited = plan[-1].after_s > 0
    warm_up_s = parse_duration(warm_up, where="--warm-up")
    try:
        with closing(open_existing(source.settings)) as store:
            asked = Asked(
                store=store,
                service=source.settings.service,
                environment=source.settings.environment,
                slot_s=slot_length(store, source.settings, now=time.time()),
                release=release,
                against=against.strip(),
                routes=routes,
                warm_up_s=warm_up_s,
            )
            found = _wait(asked, plan)
    except StorageError as error:  # not 3: pipelines let pass what has too little data
        click.echo(f"watchkeeper: {error}", err=True)
        return UNAVAILABLE
    if as_json:
        echo(json.dumps(to_json(found, release, waited=waited)))
    else:
        for line in lines(found, release):
            echo(line)
    return code(found, waited=waited)


def code(found: Verdict, *, waited: bool) -> int:
    """Return the exit code of a verdict; a release that was `waited` for should have served."""
    if waited and found.missing in (Missing.NOT_SEEN, Missing.NOT_SERVED):
        return NEVER_SERVED
    return UNKNOWN if found.verdict is None else CODES[found.verdict.outcome]


def to_json(found: Verdict, release: str, *, waited: bool) -> dict[str, Any]:
    """Return a verdict as plain values; None is unknown."""
    verdict = found.verdict
    return {
        "at": found.at,
        "release": release,
        "outcome": Outcome.TOO_LITTLE if verdict is None else verdict.outcome,
        "code": code(found, waited=waited),
        "missing": found.missing,
        "compared": None if found.compared is None else asdict(found.compared),
        "covered": None if verdict is None else verdict.covered,
        "routes": [] if verdict is None else [asdict(one) for one in verdict.routes],
    }


def lines(found: Verdict, release: str) -> Iterator[str]:
    """Write a verdict for people, what is worse first."""
    if found.compared is None or found.verdict is None:
        yield f"{WORDS[Outcome.TOO_LITTLE].upper()}   no worker has run {plain(release)} yet"
        return
    compared, verdict = found.compared, found.verdict
    live_s = found.at - compared.marked_at
    names = [_name(one, compared.previous) for one in compared.beside]
    beside = f", beside {' and '.join(names)}" if names else ""
    yield (
        f"{WORDS[verdict.outcome].upper()}   {plain(release)}, live for "
        f"{format_duration(max(round(live_s), 0))}{beside}"
    )
    if found.missing is Missing.NOT_SERVED:
        yield "  no worker that names it has answered a request"
    if found.missing is Missing.WARMING_UP:
        yield "  all that it has answered so far was while it warmed up, which does not count"
    if found.missing is Missing.NO_OTHER:
        yield "  nothing to compare with: no earlier release, and nothing of last week"
    yield from _groups(verdict.routes, compared.previous)
    if verdict.routes:
        yield f"  judged          {texts.share(verdict.covered)} of its requests"


def _groups(routes: Sequence[RouteVerdict], previous: str | None) -> Iterator[str]:
    for outcome in _ORDER:
        some = [one for one in routes if one.outcome is outcome]
        if outcome in (Outcome.SAME, Outcome.TOO_LITTLE):
            few = [one for one in some if not _is_new(one)]
            if few:
                yield f"  {WORDS[outcome]:<16}{_counted(few)}"
            continue
        for one in some[:MAX_LINES]:
            yield from _route_lines(one, previous)
        if len(some) > MAX_LINES:
            yield f"  {WORDS[outcome]:<16}{len(some) - MAX_LINES} more routes: --json has all"
    new = [one for one in routes if _is_new(one)]
    for one in new[:MAX_LINES]:
        yield f"  {'new':<16}{plain(f'{one.method} {one.route}')}: {_shown(one.comparisons[0])}"
    if len(new) > MAX_LINES:
        yield f"  {'new':<16}{len(new) - MAX_LINES} more routes: --json has all"


def _name(against: Against, previous: str | None) -> str:
    return "last week" if against is Against.LAST_WEEK else f"release {plain(previous or '')}"


def _is_new(one: RouteVerdict) -> bool:
    """Say whether there was no such route in any reference."""
    return all(part.reason is Reason.NEW for part in one.comparisons) and bool(one.comparisons)


def _route_lines(one: RouteVerdict, previous: str | None) -> Iterator[str]:
    yield f"  {WORDS[one.outcome]:<16}{plain(f'{one.method} {one.route}')}"
    for part in one.comparisons:
        name = _name(part.against, previous).removeprefix("release ")
        if part.reason is Reason.CERTAIN:
            yield f"{'':18}{_shown(part)} ({name}: {_value(part, part.before)})"
        if part.reason is Reason.GONE:
            now = (
                f"none of {part.requests:,} requests answered"
                if part.requests
                else "no request any more"
            )
            yield f"{'':18}{now} ({name}: {part.requests_before:,})"


def _shown(part: Comparison) -> str:
    bounds = f" [{texts.seconds(part.low)} – {texts.seconds(part.high)}]" if part.low else ""
    return (
        f"{NAMES[part.measure]} {_value(part, part.value)}{bounds} of {part.requests:,} requests"
    )


def _value(part: Comparison, value: float | None) -> str:
    return texts.seconds(value) if part.measure is Measure.P95 else texts.share(value)


def _counted(some: list[RouteVerdict]) -> str:
    names = ", ".join(plain(f"{one.method} {one.route}", width=40) for one in some[:3])
    return names if len(some) <= 3 else f"{len(some)} routes: {names}, …"


def _wait(asked: Asked, plan: tuple[Look, ...]) -> Verdict:
    """Look as planned; what is surely worse before the end needs no more waiting.

    A release that no worker has run yet is waited for, as long as it would be judged; and so is
    a database that does not answer for a while.
    """
    began = time.time()
    whole_s = plan[-1].after_s
    for look in plan:
        while True:
            mark, _ = _patiently(partial(marks_of, asked), began=began, whole_s=whole_s)
            now = time.time()
            if mark is None and now - began >= whole_s:
                return reach(asked, now=now)
            settling_s = SETTLING_S + asked.slot_s if look.after_s else 0.0
            due = None if mark is None else mark.at + look.after_s + settling_s
            if due is not None and due <= now:
                break
            _tell(mark.at + whole_s - now if mark else None, asked.release)
            time.sleep(min(ASK_EVERY_S, max(due - now, 0.05)) if due else ASK_EVERY_S)
        found = _patiently(partial(reach, asked, alpha=look.alpha), began=began, whole_s=whole_s)
        if look is plan[-1] or (found.verdict and found.verdict.outcome is Outcome.WORSE):
            break
    _tell(None, "")
    return found


def _patiently(ask: Callable[..., Found], *, began: float, whole_s: float) -> Found:
    """Ask of now, and again while the database does not answer and there is time to wait.

    Raises StorageError after that, and at once where nothing is waited for.
    """
    ends = max(began + whole_s, time.time() + RETRY_S) if whole_s else 0.0
    while True:
        try:
            return ask(now=time.time())
        except StorageError:
            if time.time() >= ends:
                raise
        time.sleep(ASK_EVERY_S)


def _tell(left_s: float | None, release: str) -> None:
    """Show on a terminal how long there is to wait; nothing where lines are kept."""
    if not sys.stderr.isatty():
        return
    text = ""
    if release:
        rest = "no worker runs it yet" if left_s is None else f"{max(round(left_s), 0)} s left"
        text = f"waiting for {plain(release, width=40)}: {rest}"
    click.echo(f"\r\x1b[K{text}", nl=False, err=True)
