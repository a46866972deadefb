"""What the links of a message lead to: what it told of, acknowledged or silenced, not signed in.

Mail readers and previews follow links, so GET and HEAD only show; the form's POST acts. The token
is in the form, not in a cookie: no other site can send it, for none can know it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from watchkeeper.core.metrics import Scope
from watchkeeper.core.silences import MAX_GLOB, MAX_KEYS, RULE_KEY, SEVERITY_KEY
from watchkeeper.dashboard import pages, texts
from watchkeeper.dashboard.http import Request, Response
from watchkeeper.dashboard.login import read_form
from watchkeeper.dashboard.pages import ActForm, Shell
from watchkeeper.dashboard.queries import incident_row
from watchkeeper.dashboard.responses import html
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime import silences
from watchkeeper.runtime.acknowledging import Outcome, acknowledge
from watchkeeper.runtime.signed_links import Purpose, read, signing_key
from watchkeeper.storage.store import Incident, Silence, Store

MAX_NAME: Final = 100  # characters
MAX_NOTE: Final = 2_000
MAX_NAMED: Final = 3  # groups
ACTOR: Final = "link"
SPANS_S: Final = {"1h": 3_600.0, "4h": 4 * 3_600.0, "24h": 24 * 3_600.0}
MAX_SPAN_S: Final = 7 * 86_400.0  # as long as a link is valid: mails are passed on
UNTIL: Final = "until"
BY_RULE, BY_GROUP = "rule", "group"
_PURPOSES: Final = {f"/{purpose}": purpose for purpose in Purpose}
_NO_LINK: Final = "This link does not work."
_WHY: Final = (
    "It is older than seven days, was cut off, or belongs to an incident that is gone.",
    "Take the link of a newer message, or look at the dashboard.",
)
_STOPS: Final = "Reminders stop and nobody else is called. You are told when it is over."
_NAME: Final = "Write your name, so that others know who to ask."


class MessageLinks:
    """Answers /ack and /silence."""

    def __init__(self, scope: Scope, secret_key: str) -> None:
        """Take whose incidents they are, and the setting that links are signed with, if set."""
        self._scope = scope
        self._secret_key = secret_key

    def answer(
        self,
        request: Request,
        shell: Shell,
        store: Store,
        query: Mapping[str, str],
        *,
        now: float,
    ) -> Response | None:
        """Answer a request, or return None if its path is no such link. Raises StorageError."""
        purpose = _PURPOSES.get(request.path)
        if purpose is None:
            return None
        acts = request.method == "POST"
        form = read_form(request) if acts else query
        token = form.get("t", "")
        numbers = read(signing_key(store, self._secret_key), token, purpose, now=now)
        found = [store.incident(number) for number in numbers]
        incidents = [
            one
            for one in found
            if one is not None and (one.service, one.environment) == self._scope.place
        ]
        if not incidents:
            return html(pages.message_page(shell, _NO_LINK, lines=_WHY), status=403)
        if not acts:
            form = {"t": token}  # a link fills in nothing else
        show: Callable[..., Response] = (
            self._acknowledge if purpose is Purpose.ACKNOWLEDGE else self._silence
        )
        return show(shell, store, incidents, form, acts=acts, now=now)

    def _acknowledge(
        self,
        shell: Shell,
        store: Store,
        incidents: Sequence[Incident],
        form: Mapping[str, str],
        *,
        acts: bool,
        now: float,
    ) -> Response:
        free = [one for one in incidents if one.state == "firing" and one.taken_at is None]
        firing = [one for one in incidents if one.state == "firing"]
        incident = next(iter(free or firing or incidents))
        name, note = _written(form, "name", MAX_NAME), _written(form, "note", MAX_NOTE)
        asked = ActForm(
            action=Purpose.ACKNOWLEDGE, token=form["t"], button="I have it", name=name, note=note
        )
        heading = f"Acknowledge: {incident.rule}"
        lines: tuple[str, ...]
        if incident.taken_at is not None:
            return _page(shell, f"Acknowledged: {incident.rule}", incident, now=now)
        if incident.state != "firing":
            lines = ("There is nothing to acknowledge any more.",)
            return _page(shell, heading, incident, lines=lines, now=now)
        if not acts:
            lines = (_STOPS, *_further(len(free)))
            return _page(shell, heading, incident, lines=lines, form=asked, now=now)
        if not name:
            wrong = replace(asked, problem=_NAME)
            return _page(shell, heading, incident, form=wrong, status=400, now=now)
        done = [
            acknowledge(
                store, self._scope, one.id, by=name, note=note, actor=f"{ACTOR} {name}", at=now
            )
            for one in free
        ]
        after = done[0].incident or incident
        taken = sum(one.outcome is Outcome.ACKNOWLEDGED for one in done)
        if taken:
            heading = f"It is yours: {incident.rule}"
            lines = (
                "Reminders have stopped. You are told when it is over.",
                *_further(taken),
            )
            return _page(shell, heading, after, lines=lines, now=now)
        return _page(shell, f"Acknowledged: {incident.rule}", after, now=now)

    def _silence(
        self,
        shell: Shell,
        store: Store,
        incidents: Sequence[Incident],
        form: Mapping[str, str],
        *,
        acts: bool,
        now: float,
    ) -> Response:
        incident = incidents[0]
        asked = ActForm(
            action=Purpose.SILENCE,
            token=form["t"],
            button="Silence",
            name=_written(form, "name", MAX_NAME),
            note=_written(form, "note", MAX_NOTE),
            spans=tuple(SPANS_S),
            span=form.get("for", "1h"),
            until=_written(form, UNTIL, MAX_NAME),
            group=_groups(incidents),
            whole_rule=form.get("what", BY_GROUP) == BY_RULE,
        )
        heading = f"Silence: {incident.rule}"
        if not acts:
            lines = ("Nobody is told for a while. If it still fires then, you are told.",)
            return _page(shell, heading, incident, lines=lines, form=asked, now=now)
        try:
            if not asked.name:
                raise ConfigurationError(_NAME)
            ends_at = _end(asked, now=now)
            matchers = _joined(incidents, whole_rule=asked.whole_rule)
            found = self._same(store, matchers, ends_at, now=now)
            if found is None:
                wanted = silences.Request(
                    match=matchers, author=asked.name, comment=asked.note, until=ends_at
                )
                actor = f"{ACTOR} {asked.name}"
                found = silences.add(store, self._scope, wanted, actor=actor, at=now)
        except ConfigurationError as error:
            wrong = replace(asked, problem=str(error))
            return _page(shell, heading, incident, form=wrong, status=400, now=now)
        what = "this rule" if asked.whole_rule or not asked.group else asked.group
        until = texts.exact(found.ends_at) if found.ends_at is not None else "it is ended"
        said = (
            f"Nobody is told of {what} until {until}.",
            f"To end it sooner: watchkeeper silence end {found.id}",
        )
        return _page(shell, f"Silenced: {incident.rule}", incident, lines=said, now=now)

    def _same(
        self, store: Store, matchers: Mapping[str, Any], ends_at: float, *, now: float
    ) -> Silence | None:
        """Find a silence that says the same for as long: sending a form twice sets one."""
        wanted = {key: _listed(value) for key, value in matchers.items()}
        for one in silences.listed(store, self._scope, at=now):
            ends = one.ends_at if one.ended_at is None else now
            same = {key: _listed(value) for key, value in one.matchers.items()} == wanted
            if same and not one.schedule and one.starts_at <= now and (ends or 0) >= ends_at - 60:
                return one
        return None


def _page(
    shell: Shell,
    heading: str,
    incident: Incident,
    *,
    now: float,
    lines: tuple[str, ...] = (),
    form: ActForm | None = None,
    status: int = 200,
) -> Response:
    body = pages.act_page(shell, heading, facts=_facts(incident, now=now), lines=lines, form=form)
    return html(body, status=status)


def _facts(incident: Incident, *, now: float) -> list[tuple[str, str]]:
    """Say what the incident is, in pairs of a word and a text."""
    row = incident_row(incident, now=now)
    lasted = texts.span(row.lasted_s)
    facts = [
        ("What", row.summary),
        ("Where", row.group),
        ("Severity", row.severity),
        ("Since", f"{texts.exact(row.since)}, {lasted} ago"),
    ]
    if incident.resolved_at is not None:
        facts[-1] = ("Was", f"from {texts.exact(row.since)}, for {lasted}")
        facts.append(("Over", texts.exact(incident.resolved_at)))
    if incident.taken_at is not None:
        facts.append(("Taken by", f"{incident.acked_by}, {texts.exact(incident.taken_at)}"))
        facts.append(("Note", incident.ack_note))
    return [(word, text) for word, text in facts if text]


def _further(number: int) -> tuple[str, ...]:
    """Say of how many alerts of the message it is meant, if of several."""
    return (f"This is about {number} alerts of the message.",) if number > 1 else ()


def _groups(incidents: Sequence[Incident]) -> str:
    """Name the groups of a message's incidents; "" if one is of the whole rule."""
    groups = list(dict.fromkeys(one.group for one in incidents))
    if not all(groups):
        return ""
    named = ", ".join(groups[:MAX_NAMED])
    return named if len(groups) <= MAX_NAMED else f"{named} and {len(groups) - MAX_NAMED} more"


def _joined(incidents: Sequence[Incident], *, whole_rule: bool) -> dict[str, list[str]]:
    """Return what a silence of all groups of a message is about.

    Of groups of several labels it is about their combinations, too: one silence, easily ended.
    """
    every = [_matchers(one, whole_rule=whole_rule or not _groups(incidents)) for one in incidents]
    keys = [key for key in every[0] if all(key in one for one in every)]
    return {key: list(dict.fromkeys(one[key] for one in every)) for key in keys}


def _matchers(incident: Incident, *, whole_rule: bool) -> dict[str, str]:
    """Return what a silence is about: the rule, or it with the incident's group.

    Raises ConfigurationError if a silence cannot say so much.
    """
    matchers = {RULE_KEY: _literal(incident.rule)}
    labels = incident.data.get("labels", {})
    if whole_rule or not incident.group or not isinstance(labels, Mapping):
        return matchers
    own = {str(key): _literal(str(value)) for key, value in labels.items()}
    matchers = {**own, **matchers}
    matchers.pop(SEVERITY_KEY, None)  # of the alert, not of a label
    if len(matchers) > MAX_KEYS or any(len(key) > MAX_GLOB for key in matchers):
        raise ConfigurationError("It has too many labels for a silence: choose the whole rule.")
    return matchers


def _literal(value: str) -> str:
    """Return the glob that is nearest to a text: it has no way to write a star of its own."""
    glob = value.replace("*", "?")
    return glob if len(glob) <= MAX_GLOB else f"{glob[: MAX_GLOB - 1]}*"


def _end(asked: ActForm, *, now: float) -> float:
    """Return when a silence ends that was asked for; raises ConfigurationError."""
    if asked.span in SPANS_S:
        return now + SPANS_S[asked.span]
    if asked.span != UNTIL:
        raise ConfigurationError("Choose for how long.")
    try:
        moment = datetime.fromisoformat(asked.until)
    except ValueError:
        raise ConfigurationError("Write until when: a date and a time (UTC).") from None
    ends_at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if ends_at <= now:
        raise ConfigurationError("That moment is over: write a later one (UTC).")
    if ends_at > now + MAX_SPAN_S:
        raise ConfigurationError(
            "Without signing in at most 7 days; for longer: watchkeeper silence add"
        )
    return ends_at


def _written(form: Mapping[str, str], name: str, most: int) -> str:
    """Return what somebody wrote into a field, on one line and cut."""
    return " ".join(form.get(name, "").split())[:most]


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
