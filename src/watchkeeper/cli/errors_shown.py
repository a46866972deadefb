"""Issues on a terminal: the list, and one of them."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

import click

from watchkeeper.cli.terminal import harmless, plain, sparkline
from watchkeeper.dashboard import texts
from watchkeeper.dashboard.issue_text import (
    Role,
    event_lines,
    head_lines,
    mark_text,
    more_lines,
)
from watchkeeper.dashboard.views_issues import IssueSummary, IssuesView, IssueView, Trend

WIDE: Final = 100  # columns from which on an issue's figures have columns of their own
BARS: Final = 12
STYLES: Final[dict[Role, dict[str, Any]]] = {
    Role.PLAIN: {},
    Role.TITLE: {"bold": True},
    Role.HEADING: {"fg": "cyan", "bold": True},
    Role.DIM: {"dim": True},
    Role.HIT: {"fg": "red", "bold": True},
    Role.FRAME: {"fg": "yellow"},
}
COLOURS: Final = {"new": "red", "rising": "red", "came back": "red", "open": "yellow"}


def list_lines(view: IssuesView, *, width: int | None) -> Iterator[str]:
    """Yield the lines of a list: a table, narrow terminals two lines per issue.

    With no `width`, for what is no terminal, each issue is one line and nothing is cut.
    """
    if not view.issues:
        return
    ids = max(2, *(len(str(one.id)) for one in view.issues))
    states = max(5, *(len(_state(one)) for one in view.issues))
    if width is not None and width < WIDE:
        yield click.style(f"{'ID':>{ids}}  {'STATE':<{states}}  ERROR", bold=True)
        for one in view.issues:
            yield from _two_lines(one, view.at, ids=ids, states=states, width=width)
        return
    counts = max(5, *(len(f"{one.count:,}") for one in view.issues))
    users = max(5, *(len(f"{one.users:,}") for one in view.issues))
    seen = max(9, *(len(texts.ago(one.last_at, view.at)) for one in view.issues))
    yield click.style(
        f"{'ID':>{ids}}  {'STATE':<{states}}  {'COUNT':>{counts}}  {'USERS':>{users}}  "
        f"{'LAST SEEN':<{seen}}  {'24 H':<{BARS}}  ERROR",
        bold=True,
    )
    for one in view.issues:
        before = (
            f"{one.count:>{counts},}  {_users(one):>{users}}  "
            f"{texts.ago(one.last_at, view.at):<{seen}}  {sparkline(one.hours, width=BARS)}"
        )
        left = None if width is None else width - ids - states - len(before) - 6
        yield f"{one.id:>{ids}}  {_styled_state(one, states)}  {before}  {_error(one, left)}"


def show_lines(view: IssueView) -> Iterator[str]:
    """Yield the lines of one issue."""
    yield from (_styled(*line) for line in head_lines(view))
    yield from _trends(view)
    for role, text in chain(event_lines(view, source=True), more_lines(view)):
        yield _styled(role, text)


def _two_lines(
    one: IssueSummary, now: float, *, ids: int, states: int, width: int
) -> Iterator[str]:
    indent = ids + states + 4
    title = plain(one.title or one.type, width=max(width - indent, 20))
    yield f"{one.id:>{ids}}  {_styled_state(one, states)}  {title}"
    users = f"  {one.users:,} users" if one.users else ""
    figures = f"×{one.count:,}{users}  {texts.ago(one.last_at, now)}"
    drawn = sparkline(one.hours, width=BARS)
    room = width - indent - len(figures) - len(drawn) - 4
    culprit = plain(one.culprit, width=room) if one.culprit and room >= 8 else ""
    yield f"{'':{indent}}{figures}  {drawn}  {click.style(culprit, dim=True)}".rstrip()


def _error(one: IssueSummary, width: int | None) -> str:
    """Return title and culprit, the culprit only where there is room for it."""
    if width is None:
        return f"{plain(one.title or one.type, width=300)}  {plain(one.culprit)}".rstrip()
    title = plain(one.title or one.type, width=max(width, 20))
    room = width - len(title) - 2
    culprit = plain(one.culprit, width=room) if one.culprit and room >= 12 else ""
    return f"{title}  {click.style(culprit, dim=True)}" if culprit else title


def _trends(view: IssueView) -> Iterator[str]:
    for name, trend in (("24 h", view.day), ("7 d", view.week), ("30 d", view.month)):
        yield f"{name:>4}  {_drawn(trend)}  {sum(trend.counts):,}"


def _drawn(trend: Trend) -> str:
    return sparkline(trend.counts, width=len(trend.counts))


def _state(one: IssueSummary) -> str:
    """Return the word that tells most of an issue's state."""
    if one.state == "open" and (mark := mark_text(one)):
        return mark
    return texts.STATES.get(one.state, one.state)


def _styled_state(one: IssueSummary, width: int) -> str:
    word = _state(one)
    colour = COLOURS.get(word.partition(" ×")[0])
    return click.style(f"{word:<{width}}", fg=colour, dim=colour is None)


def _users(one: IssueSummary) -> str:
    return f"{one.users:,}" if one.users else texts.NOTHING


def _styled(role: Role, text: str) -> str:
    shown = harmless(text)
    style = STYLES[role]
    return click.style(shown, **style) if style and shown else shown
