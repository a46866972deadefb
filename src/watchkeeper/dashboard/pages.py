"""From view models to HTML. Everything shown is hostile input: escaping is on everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from watchkeeper.dashboard import texts
from watchkeeper.dashboard.assets import assets
from watchkeeper.dashboard.charts import CHARTS, Chart, summary
from watchkeeper.dashboard.issue_text import made_text
from watchkeeper.dashboard.issues import is_next_release, until_of
from watchkeeper.dashboard.stacks import read_stack
from watchkeeper.dashboard.status import Level, silent_after_s
from watchkeeper.dashboard.views import NO_FIGURES, IssuePage, Overview
from watchkeeper.dashboard.views_health_page import HealthPage
from watchkeeper.dashboard.windows import PRESET_NAMES, Window
from watchkeeper.storage.turns import give_way

if TYPE_CHECKING:
    from jinja2 import Environment

PIECES: Final = 40  # parts of a page put together before the host's threads get their turn
MAX_TITLE: Final = 200
# Shown by the page itself; the event's request holds them as well.
_REQUEST_KEYS: Final = frozenset({"method", "route", "status", "request_id"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """What every page has around its content."""

    root: str
    service: str = ""
    environment: str = ""
    page: str = ""
    is_in: bool = False
    form_token: str = ""  # set if there is a session that can be ended
    notice: str = ""  # why this process stores nothing

    def asset(self, name: str) -> str:
        """Return the address of a static file."""
        return self.root + assets()[name].path


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginForm:
    """A form that signs in: with a one-time token, or where it is empty with the password."""

    csrf: str
    next: str = "/"
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActForm:
    """A form that acts on an incident: what it does, what was written already, what was wrong."""

    action: str  # "ack" or "silence"
    token: str
    button: str
    name: str = ""
    note: str = ""
    problem: str = ""
    spans: tuple[str, ...] = ()  # to be silenced for; none: nothing to choose
    span: str = ""
    until: str = ""  # as a browser writes a date and time, UTC
    group: str = ""  # the incident's group, if there is one to choose
    whole_rule: bool = False


def overview_page(
    shell: Shell,
    view: Overview,
    window: Window,
    *,
    slot_s: int,
    refresh_s: float,
    notes: Sequence[str] = (),
    whole: bool = True,
) -> bytes:
    """Draw the overview; with `whole` false only the parts that refreshing swaps."""
    before = view.before or NO_FIGURES
    now = view.figures
    return _render(
        "overview.html" if whole else "fragment.html",
        shell=shell,
        view=view,
        window=window,
        earlier=window.moved(-window.span_s, now=view.at),
        later=window.moved(window.span_s, now=view.at),
        latest=window.at_now(now=view.at),
        presets=PRESET_NAMES,
        title=f"{texts.SYMBOLS[view.status.level]} {view.status.level} · {view.service}",
        versus=f"vs previous {texts.span(window.span_s)}",
        rate_delta=texts.relative(now.requests_per_s, before.requests_per_s),
        errors_delta=texts.points(now.error_rate, before.error_rate),
        p95_delta=texts.relative(now.p95_s, before.p95_s, more_is_worse=True),
        cpu_delta=texts.points(now.host_cpu, before.host_cpu),
        charts=CHARTS,
        summaries={one.id: summary(one, view) for one in CHARTS},
        notes=notes,
        slot_s=slot_s,
        stale_s=silent_after_s(slot_s),
        seen="" if view.data_age_s is None else texts.exact(view.at - view.data_age_s),
        refresh_s=refresh_s,
    )


def chart_page(shell: Shell, chart: Chart, view: Overview, window: Window) -> bytes:
    """Draw the table of one chart's numbers, newest first."""
    return _render(
        "chart.html",
        shell=shell,
        chart=chart,
        view=view,
        window=window,
        summary=summary(chart, view),
    )


def issue_page(shell: Shell, page: IssuePage) -> bytes:
    """Draw an issue with the stack trace of its newest event."""
    return _render(
        "issue.html",
        shell=shell,
        issue=page.issue,
        state=made_text(
            page.issue.state,
            by=page.issue.state_by,
            until=until_of(page.issue),
            next_release=is_next_release(page.issue),
        ),
        event=page.event,
        stack=None if page.event is None else read_stack(page.event.data),
        trend=page.trend,
        now=page.at,
        shown_already=_REQUEST_KEYS,
    )


def health_page(shell: Shell, page: HealthPage) -> bytes:
    """Draw the state of the service and of every health check, with uptimes."""
    return _render("health.html", shell=shell, page=page)


def message_page(
    shell: Shell,
    heading: str,
    *,
    lines: Sequence[str] = (),
    help_lines: Sequence[str] = (),
    level: Level | None = None,
    form: LoginForm | None = None,
    back: bool = False,
) -> bytes:
    """Draw a page that says one thing: closed, not found, no answer."""
    return _render(
        "message.html",
        shell=shell,
        heading=heading,
        lines=lines,
        help=help_lines,
        level=level,
        form=form,
        back=back,
    )


def act_page(
    shell: Shell,
    heading: str,
    *,
    facts: Sequence[tuple[str, str]],
    lines: Sequence[str] = (),
    form: ActForm | None = None,
) -> bytes:
    """Draw what a message's link leads to: an incident in pairs, and the form that acts on it."""
    return _render("act.html", shell=shell, heading=heading, facts=facts, lines=lines, form=form)


def _render(name: str, **context: Any) -> bytes:
    pieces = _environment().get_template(name).stream(**context)
    pieces.enable_buffering(PIECES)
    page = []
    for piece in pieces:
        page.append(piece)
        give_way()  # drawing is Python-busy, and a request of the host's may be waiting
    # What no UTF-8 can hold (a lone surrogate in a message) is shown as a question mark.
    return "".join(page).encode("utf-8", "replace")


@cache
def _environment() -> "Environment":
    # Imported at the first page: a host that nobody looks at never loads it.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("watchkeeper.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        words=lambda state: texts.STATES.get(state, state),
        number=texts.number,
        share=texts.share,
        seconds=texts.seconds,
        span=texts.span,
        ago=texts.ago,
        clock=texts.clock,
        exact=texts.exact,
        iso=texts.iso,
        bars=texts.bars,
        symbol=lambda level: texts.SYMBOLS[level],
        bare=lambda text: text.lstrip("▲▼± "),
    )
    return environment
