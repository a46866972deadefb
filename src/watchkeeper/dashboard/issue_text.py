"""An issue as text: to be copied into a ticket, and, with more of it, for a terminal."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from watchkeeper.core.issues import State
from watchkeeper.dashboard import texts
from watchkeeper.dashboard.stacks import FrameGroup, Stack, StackFrame, Trace, read_stack
from watchkeeper.dashboard.views_issues import (
    EventView,
    HistoryRow,
    IssueSummary,
    IssueView,
    Share,
)

MAX_SHARES: Final = 5
MAX_HISTORY: Final = 10
MAX_LINKS: Final = 5

_RELATIONS: Final = {"": "", "cause": "Caused by ", "member": "Member: "}
_SHOWN_ALREADY: Final = frozenset({"method", "route", "status", "request_id"})


class Role(StrEnum):
    """What a line is, for who can show it in another way."""

    PLAIN = "plain"
    TITLE = "title"
    HEADING = "heading"
    DIM = "dim"
    HIT = "hit"  # the line of source that failed
    FRAME = "frame"  # one of the application's


Line = tuple[Role, str]


def as_text(view: IssueView) -> str:
    """Return an issue to be copied: type, message, stack, request, releases and counts."""
    return "\n".join(text for _, text in (*head_lines(view), *event_lines(view, source=False)))


def head_lines(view: IssueView) -> Iterator[Line]:
    """Tell which issue it is, how often it happened, and what was made of it."""
    issue = view.issue
    yield Role.TITLE, f"#{issue.id}  {issue.title or issue.type}"
    if issue.culprit:
        yield Role.DIM, f"in {issue.culprit}"
    yield Role.PLAIN, ""
    times = "time" if issue.count == 1 else "times"
    users = f", {issue.users:,} {'user' if issue.users == 1 else 'users'}" if issue.users else ""
    yield Role.PLAIN, f"{state_text(issue)}; {issue.count:,} {times}{users}"
    yield (
        Role.PLAIN,
        f"first {texts.exact(issue.first_at)}, last {texts.exact(issue.last_at)}"
        f" ({texts.ago(issue.last_at, view.at)})",
    )
    if issue.first_release or issue.last_release:
        same = issue.first_release == issue.last_release
        shown = issue.last_release if same else f"{issue.first_release} to {issue.last_release}"
        yield Role.PLAIN, f"release {shown}"


def event_lines(view: IssueView, *, source: bool) -> Iterator[Line]:
    """Tell of the occurrence: its stack, request and context; frames of libraries are folded."""
    event = view.event
    yield Role.PLAIN, ""
    if event is None:
        yield Role.DIM, "No occurrence is stored any more; the counts are exact all the same."
        return
    stack = read_stack(event.data)
    yield Role.HEADING, _event_heading(event)
    for trace in stack.traces:
        yield from _trace_lines(trace, source=source)
    yield from _pair_lines(event, stack)


def more_lines(view: IssueView) -> Iterator[Line]:
    """Tell where it happens, what people did, what belongs to it, and why it is grouped so."""
    yield from _share_lines("Routes", view.routes)
    yield from _share_lines("Releases", view.releases)
    if len(view.paths) > 1:
        yield from _share_lines(f"{len(view.paths)} call paths", view.paths)
    if view.history:
        yield from _section("History")
        for entry in view.history[:MAX_HISTORY]:
            yield Role.PLAIN, f"  {history_text(entry, now=view.at)}"
    links = [
        *(
            f"  incident {one.id}  {texts.clock(one.since, view.at)} UTC  {one.rule}"
            for one in view.incidents[:MAX_LINKS]
        ),
        *(
            f"  request {one.id}  {texts.clock(one.at, view.at)} UTC  "
            f"{one.method} {one.route} → {one.status}, {texts.seconds(one.duration_s)}"
            for one in view.samples[:MAX_LINKS]
        ),
    ]
    if links:
        yield from _section("Belongs to it")
        yield from ((Role.PLAIN, line) for line in links)
    shown = view.event.event.fingerprint if view.event is not None else view.issue.fingerprint
    yield from _section(f"Why grouped here: {shown}")
    why = read_stack(view.event.data).why if view.event is not None else ()
    for part in why or ("(its parts were not stored)",):
        yield Role.DIM, f"  {part}"
    others = [one for one in view.fingerprints if one != shown]
    if others:
        yield Role.DIM, f"  here as well: {', '.join(others)}"


def state_text(issue: IssueSummary) -> str:
    """Tell an issue's state, with its conditions and what is to be noticed: "open, new"."""
    text = made_text(
        issue.state, by=issue.state_by, until=issue.until, next_release=issue.next_release
    )
    return ", ".join(part for part in (text, mark_text(issue)) if part)


def made_text(
    state: str, *, by: str | None, until: Mapping[str, Any] | None, next_release: bool
) -> str:
    """Tell what was made of an issue: "muted by cli alice until 100 times in all"."""
    text = texts.STATES.get(state, state)
    if next_release:
        text += " in the next release"
    if by:
        text += f" by {by}"
    return f"{text} {until_text(until)}" if state == State.MUTED else text


def mark_text(issue: IssueSummary) -> str:
    """Return what is to be noticed of an issue: "new", "rising ×6", or nothing."""
    if issue.rising is not None:
        return f"rising ×{texts.number(issue.rising)}"
    return "new" if issue.is_new else ""


def until_text(until: Mapping[str, Any] | None) -> str:
    """Tell what ends a mute, the first of it that comes."""
    if not until:
        return "for good"
    parts = []
    if isinstance(at := until.get("at"), int | float):
        parts.append(texts.exact(at))
    if isinstance(events := until.get("events"), int):
        parts.append(f"{events:,} times in all")
    if isinstance(count := until.get("per_count"), int):
        parts.append(f"{count:,} times in {texts.seconds(until.get('per_s'))}")
    if isinstance(users := until.get("users"), int):
        parts.append(f"{users:,} users")
    return "until " + " or ".join(parts)


def history_text(entry: HistoryRow, *, now: float) -> str:
    """Tell one line of history: when, who, from what to what, and what was said."""
    who = entry.actor or "what happened"
    done = _done(entry)
    text = f"{texts.clock(entry.at, now)} UTC  {who}" + (f"  {done}" if done else "")
    return f"{text}: {entry.comment}" if entry.comment else text


def _done(entry: HistoryRow) -> str:
    """Tell what a line of history did; nothing for a comment."""
    if entry.reason is None:
        return ""
    if entry.reason == "merged":
        return f"merged {entry.data.get('from')} into it"
    if entry.reason == "split":
        return _split_text(entry.data)
    before, after = (texts.STATES.get(one, one) for one in (entry.before, entry.after))
    text = f"{before} → {after}" if before != after else f"{after} again"
    if entry.reason != "asked":  # the data are those of the state that ended
        release = entry.data.get("last_release")
        return f"{text}{f' in {release}' if release else ''} ({entry.reason.replace('_', ' ')})"
    if entry.after == "muted":
        until = entry.data.get("until")
        text += f" {until_text(until if isinstance(until, Mapping) else None)}"
    return text + (" in the next release" if entry.data.get("release") == "next" else "")


def _split_text(data: Mapping[str, Any]) -> str:
    """Tell what was split off, into which issue or from which one, as far as that is known."""
    path, fingerprint = data.get("path"), data.get("fingerprint")
    what = f" call path {path}" if path else f" {fingerprint}" if fingerprint else ""
    ways = (f" {way} {data[way]}" for way in ("from", "to") if data.get(way))
    return f"split{what}{''.join(ways)}"


def _event_heading(event: EventView) -> str:
    one = event.event
    request = f"{one.method} {one.route}".strip()
    parts = [
        f"Occurrence {event.number} of {event.kept} stored",
        texts.exact(one.at),
        f"{request} → {one.status}" if request and one.status else request,
        f"release {one.release}" if one.release else "",
    ]
    return "  ".join(part for part in parts if part)


def _trace_lines(trace: Trace, *, source: bool) -> Iterator[Line]:
    before = _RELATIONS.get(trace.relation, "While handling ")
    yield Role.PLAIN, ""
    first, *rest = (f"{before}{trace.type}: {trace.message}".rstrip(": ")).split("\n")
    yield Role.TITLE, first
    yield from ((Role.PLAIN, f"  {line}") for line in rest)
    for note in trace.notes:
        yield from ((Role.PLAIN, f"  | {line}") for line in note.split("\n"))
    for group in trace.groups:
        yield from _group_lines(group, source=source)


def _group_lines(group: FrameGroup, *, source: bool) -> Iterator[Line]:
    if group.left_out:
        yield Role.DIM, f"  … {group.left_out} frames left out …"
    if not group.is_app:
        number = len(group.frames)
        yield Role.DIM, f"  … {number} {'frame' if number == 1 else 'frames'} in {group.packages}"
        return
    for frame in group.frames:
        yield from _frame_lines(frame, source=source)


def _frame_lines(frame: StackFrame, *, source: bool) -> Iterator[Line]:
    line = f":{frame.line}" if frame.line else ""
    yield Role.FRAME, f"  {frame.file or frame.module}{line} in {frame.function}"
    for number, text in frame.source:
        hit = number == frame.line
        if hit and not source:
            yield Role.PLAIN, f"      {text.strip()}"
        elif source and (hit or frame.opened):
            mark = "►" if hit else " "
            yield (Role.HIT if hit else Role.DIM), f"    {mark} {number:>4} │ {text}".rstrip()


def _pair_lines(event: EventView, stack: Stack) -> Iterator[Line]:
    request = [(name, value) for name, value in stack.request if name not in _SHOWN_ALREADY]
    if event.event.request_id:
        request.insert(0, ("request id", event.event.request_id))
    for heading, pairs in (("Request", request), ("Context", stack.context)):
        if pairs:
            yield from _section(heading)
            yield from ((Role.PLAIN, f"  {name}: {value}") for name, value in pairs)


def _share_lines(heading: str, shares: Sequence[Share]) -> Iterator[Line]:
    if not shares:
        return
    yield from _section(heading)
    width = max(len(f"{one.count:,}") for one in shares)
    for one in shares[:MAX_SHARES]:
        yield Role.PLAIN, f"  {one.count:>{width},}  {one.value}"
    if len(shares) > MAX_SHARES:
        yield Role.DIM, f"  and {len(shares) - MAX_SHARES} more"


def _section(heading: str) -> Iterable[Line]:
    return (Role.PLAIN, ""), (Role.HEADING, heading)
