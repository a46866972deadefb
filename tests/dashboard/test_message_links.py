"""The links of a message: an incident acknowledged or silenced without signing in."""

import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from dashboards import NOW, SCOPE, Browser, header, text, watched

from watchkeeper.dashboard.http import MAX_BODY_BYTES
from watchkeeper.runtime.signed_links import VALID_S, Purpose, sign, signing_key
from watchkeeper.runtime.silences import check
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.store import AlertChange, AlertRow, Incident

HERE = {"service": SCOPE.service, "environment": SCOPE.environment}
LABELS = {"route": "/checkout"}


@pytest.fixture
def store() -> Iterator[Store]:
    """A store with two firing incidents, one of a group, and one that is over."""
    opened = open_store("memory://")
    keep(opened, "Slow route", group='route="/checkout"', labels=LABELS)
    keep(opened, "High error rate")
    keep(opened, "Memory", state="resolved")
    yield opened
    opened.close()


def keep(
    store: Store,
    rule: str,
    *,
    group: str = "",
    labels: dict[str, str] | None = None,
    state: str = "firing",
    service: str = SCOPE.service,
) -> None:
    """Store an incident that began ten minutes ago."""
    here = {**HERE, "service": service}
    row = AlertRow(**here, rule=rule, group=group, state="firing", data={})
    incident = Incident(
        **here,
        rule=rule,
        group=group,
        severity="critical",
        state=state,
        started_at=NOW - 600,
        fired_at=NOW - 590,
        resolved_at=None if state == "firing" else NOW - 60,
        data={"summary": f"{rule}: 7.4 % (20 of 270 in 1 min) > 5 %", "labels": labels or {}},
    )
    store.save_alert(AlertChange(row=row, incident=incident), at=NOW - 590)


def browser(store: Store, *, now: float = NOW) -> Browser:
    """Somebody who reads mails and is not signed in."""
    return Browser(watched(store, now=now, password="obviously-made-up"))


def token(store: Store, incident: int, purpose: Purpose, *others: int, at: float = NOW) -> str:
    """Make the token of a message."""
    return sign(signing_key(store), incident, purpose, at=at, others=others)


def form(**fields: str) -> str:
    """Fill in a form."""
    return urlencode(fields)


def acks(store: Store) -> list[str]:
    """List who has which incident."""
    return [one.acked_by for number in (1, 2, 3) if (one := store.incident(number))]


def audited(store: Store) -> list[tuple[str, str, str]]:
    """List what was done, by whom, with what."""
    entries = store.audits(**HERE, since=0.0, until=1e12, limit=99)
    return [(one.actor, one.action, one.target) for one in entries]


def test_a_look_shows_and_changes_nothing(store: Store):
    """A mail reader that follows the links acknowledges and silences nothing."""
    who = browser(store)

    for purpose in Purpose:
        for method in ("GET", "HEAD"):
            answer = who.send(method, f"/{purpose}?t={token(store, 1, purpose)}&name=x&for=1h")
            assert 200 == answer.status
            assert (method == "HEAD") is (b"" == answer.body)
        page = text(who.get(f"/{purpose}?t={token(store, 1, purpose)}"))
        assert "Slow route" in page
        assert "7.4 % (20 of 270 in 1 min) &gt; 5 %" in page
        assert "2027-01-15 07:50:00 UTC, 10 min ago" in page

    assert ["", "", ""] == acks(store)
    assert [] == store.silences(**HERE, limit=9)
    assert [] == audited(store)


def test_an_incident_is_acknowledged(store: Store):
    """The form writes down who has it and what they say; the audit names the link."""
    who = browser(store)

    answer = who.post(
        "/ack", form(t=token(store, 2, Purpose.ACKNOWLEDGE), name=" ada  l ", note="on it")
    )
    again = who.get(f"/ack?t={token(store, 2, Purpose.ACKNOWLEDGE)}")

    incident = store.incident(2)
    assert incident is not None
    assert ("ada l", "on it", NOW) == (incident.acked_by, incident.ack_note, incident.acked_at)
    assert "It is yours: High error rate" in text(answer)
    assert "Taken by</dt><dd>ada l, 2027-01-15 08:00:00 UTC" in text(again)
    assert "<form" not in text(again)
    assert [("link ada l", "incident.acknowledge", "2")] == audited(store)


def test_all_incidents_of_a_message_are_acknowledged(store: Store):
    """Those that fire and that nobody has: of no other is anybody reminded by that message."""
    keep(store, "Slow route", group='route="/cart"', labels={"route": "/cart"})
    keep(store, "Slow route", group='route="/pay"', labels={"route": "/pay"})
    browser(store).post("/ack", form(t=token(store, 4, Purpose.ACKNOWLEDGE), name="bob"))
    link = token(store, 3, Purpose.ACKNOWLEDGE, 1, 4, 5, 99)

    shown = text(browser(store).get(f"/ack?t={link}"))
    done = text(browser(store).post("/ack", form(t=link, name="ada")))

    assert "This is about 2 alerts of the message." in shown
    assert "It is yours: Slow route" in done
    found = [store.incident(number) for number in (1, 3, 4, 5)]
    assert ["ada", "", "bob", "ada"] == [one.acked_by for one in found if one]
    assert "Taken by</dt><dd>ada" in text(browser(store).get(f"/ack?t={link}"))


def test_what_comes_again_is_taken_on_again(store: Store):
    """Who had it before it was over has it no more."""
    first = browser(store)
    first.post("/ack", form(t=token(store, 2, Purpose.ACKNOWLEDGE), name="ada"))
    incident = store.incident(2)
    assert incident is not None
    row = next(row for row in store.alerts(**HERE) if row.incident == 2)
    again = replace(incident, data={**incident.data, "again_at": NOW + 60})
    store.save_alert(AlertChange(row=row, incident=again), at=NOW + 60)
    second = browser(store, now=NOW + 120)

    shown = text(second.get(f"/ack?t={token(store, 2, Purpose.ACKNOWLEDGE)}"))
    second.post("/ack", form(t=token(store, 2, Purpose.ACKNOWLEDGE), name="bob"))

    assert "Taken by" not in shown
    assert ["", "bob", ""] == acks(store)


def test_all_groups_of_a_message_are_silenced(store: Store):
    """By one silence; sent twice, it is the same one."""
    keep(store, "Slow route", group='route="/cart"', labels={"route": "/cart"})
    link = token(store, 1, Purpose.SILENCE, 4)

    answers = [browser(store).post("/silence", form(t=link, name="ada")) for _ in range(2)]

    (silence,) = store.silences(**HERE, limit=9)
    assert {"rule": ["Slow route"], "route": ["/checkout", "/cart"]} == silence.matchers
    assert "route=&#34;/checkout&#34;, route=&#34;/cart&#34;" in text(answers[0])


def test_a_message_that_is_also_about_the_whole_rule_silences_that(store: Store):
    """There is no group to choose; of many groups the first are named."""
    keep(store, "Slow route")
    for number in range(4):
        labels = {"route": f"/{number}"}
        keep(store, "Slow route", group=f'route="/{number}"', labels=labels)
    whole = token(store, 1, Purpose.SILENCE, 4)
    many = token(store, 1, Purpose.SILENCE, 5, 6, 7, 8)

    browser(store).post("/silence", form(t=whole, name="ada"))

    assert [{"rule": ["Slow route"]}] == [one.matchers for one in store.silences(**HERE, limit=9)]
    assert "and 2 more" in text(browser(store).get(f"/silence?t={many}"))


def test_the_first_one_has_it(store: Store):
    """Whoever comes second is told who has it."""
    link = token(store, 2, Purpose.ACKNOWLEDGE)

    browser(store).post("/ack", form(t=link, name="ada"))
    answer = browser(store).post("/ack", form(t=link, name="bob"))

    assert 200 == answer.status
    assert "Taken by</dt><dd>ada" in text(answer)
    assert ["", "ada", ""] == acks(store)


def test_a_name_is_needed(store: Store):
    """Without a name the form comes back with what was written."""
    answer = browser(store).post(
        "/ack", form(t=token(store, 2, Purpose.ACKNOWLEDGE), name=" ", note="soon <b>")
    )

    assert 400 == answer.status
    assert "Write your name" in text(answer)
    assert "soon &lt;b&gt;</textarea>" in text(answer)
    assert ["", "", ""] == acks(store)


def test_what_is_over_is_not_acknowledged(store: Store):
    """An incident that has ended says so, before the form and after it."""
    link = token(store, 3, Purpose.ACKNOWLEDGE)
    who = browser(store)

    for answer in (who.get(f"/ack?t={link}"), who.post("/ack", form(t=link, name="ada"))):
        assert "There is nothing to acknowledge any more." in text(answer)
        assert "Over</dt><dd>2027-01-15 07:59:00 UTC" in text(answer)
    assert ["", "", ""] == acks(store)


@pytest.mark.parametrize(
    ("fields", "matchers", "hours"),
    [
        ({}, {"rule": ["Slow route"], "route": ["/checkout"]}, 1.0),
        ({"for": "4h", "what": "rule"}, {"rule": ["Slow route"]}, 4.0),
        ({"for": "24h", "what": "group"}, {"rule": ["Slow route"], "route": ["/checkout"]}, 24.0),
        (
            {"for": "until", "until": "2027-01-15T10:30"},
            {"rule": ["Slow route"], "route": ["/checkout"]},
            2.5,
        ),
    ],
)
def test_an_incident_is_silenced(
    store: Store, fields: dict[str, str], matchers: dict[str, list[str]], hours: float
):
    """For how long and for what is chosen; the audit names the link."""
    link = token(store, 1, Purpose.SILENCE)

    answer = browser(store).post("/silence", form(t=link, name="ada", note="deploy", **fields))

    (silence,) = store.silences(**HERE, limit=9)
    assert 200 == answer.status
    assert matchers == silence.matchers
    assert (NOW, NOW + hours * 3_600) == (silence.starts_at, silence.ends_at)
    assert ("ada", "deploy") == (silence.author, silence.comment)
    assert f"watchkeeper silence end {silence.id}" in text(answer)
    assert [("link ada", "silence.add", str(silence.id))] == audited(store)


@pytest.mark.parametrize(
    ("rule", "labels", "other_rule", "other_labels"),
    [
        ("Slow *", {"route": "/files/*"}, "Slow *", {"route": "/files/a/b"}),
        ("Slow *", {"route": "/files/*"}, "Slow checkout", {"route": "/files/*"}),
        ("Error", {"type": "x" * 300}, "Error", {"type": "y" * 300}),
    ],
)
def test_a_silence_holds_its_incident_and_no_other(
    store: Store,
    rule: str,
    labels: dict[str, str],
    other_rule: str,
    other_labels: dict[str, str],
):
    """What names contain is no pattern, and a long one is held as well."""
    keep(store, rule, group="some", labels=labels)
    link = token(store, 4, Purpose.SILENCE)

    browser(store).post("/silence", form(t=link, name="ada"))

    def held(name: str, labels: dict[str, str]) -> bool:
        facts = {"rule": name, "severity": "critical", "labels": labels}
        return check(store, SCOPE, **facts, at=NOW + 1) is not None

    assert held(rule, labels)
    assert not held(other_rule, other_labels)


def test_more_labels_than_a_silence_may_have_are_said(store: Store):
    """It would hold back more than the page says."""
    keep(store, "Error", group="some", labels={f"label_{number}": "x" for number in range(12)})
    link = token(store, 4, Purpose.SILENCE)

    answer = browser(store).post("/silence", form(t=link, name="ada"))

    assert 400 == answer.status
    assert "choose the whole rule" in text(answer)


def test_a_form_sent_twice_sets_one_silence(store: Store):
    """Whoever reloads the page silences nothing twice; a longer one is another one."""
    link = token(store, 1, Purpose.SILENCE)

    for _ in range(3):
        browser(store).post("/silence", form(t=link, name="ada"))
    browser(store).post("/silence", form(t=link, name="ada", **{"for": "4h"}))

    assert 2 == len(store.silences(**HERE, limit=9))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "Write your name"),
        ({"for": "ever"}, "Choose for how long."),
        ({"for": "until", "until": "soon"}, "Write until when"),
        ({"for": "until", "until": "2027-01-15T07:00"}, "That moment is over"),
        (
            {"for": "until", "until": "2031-01-15T07:00"},
            "at most 7 days; for longer: watchkeeper silence add",
        ),
    ],
)
def test_a_wrong_form_says_what_is_wrong(store: Store, fields: dict[str, str], said: str):
    """Nothing is silenced by a form that makes no sense."""
    filled = {"t": token(store, 1, Purpose.SILENCE), "name": "ada", **fields}

    answer = browser(store).post("/silence", form(**filled))

    assert 400 == answer.status
    assert said in text(answer)
    assert [] == store.silences(**HERE, limit=9)


def test_links_that_are_none_say_so(store: Store):
    """Forged, old, of another purpose, of another service, or gone: one sentence, no details."""
    keep(store, "Foreign", service="other")
    who = browser(store)
    good = token(store, 1, Purpose.ACKNOWLEDGE)
    bad = (
        "",
        "x",
        good[:-4] + "AAAA",
        token(store, 1, Purpose.SILENCE),
        token(store, 1, Purpose.ACKNOWLEDGE, at=NOW - VALID_S - 1),
        token(store, 99, Purpose.ACKNOWLEDGE),
        token(store, 4, Purpose.ACKNOWLEDGE),
    )

    for link in bad:
        for answer in (who.get(f"/ack?t={link}"), who.post("/ack", form(t=link, name="ada"))):
            assert 403 == answer.status
            assert "This link does not work." in text(answer)
            assert "Slow route" not in text(answer)
    assert ["", "", ""] == acks(store)


def test_a_form_must_hold_the_token_itself(store: Store):
    """A token in the address acts on nothing, nor does a form that is too large."""
    good = token(store, 1, Purpose.ACKNOWLEDGE)
    who = browser(store)

    answers = (
        who.post(f"/ack?t={good}", form(name="ada")),
        who.post("/ack", form(t=good, name="ada", note="x" * MAX_BODY_BYTES)),
    )

    assert [403, 403] == [answer.status for answer in answers]
    assert ["", "", ""] == acks(store)


def test_hostile_texts_are_shown_as_texts(store: Store):
    """What an incident or a person says is no markup."""
    keep(store, "<script>alert(1)</script>", group='route="<img src=x>"')
    link = token(store, 4, Purpose.SILENCE)

    page = text(browser(store).post("/silence", form(t=link, name='"><script>')))

    assert "<script" not in page
    assert "<img src=x" not in page


def test_pages_are_strict_and_need_no_script(store: Store):
    """The policy is that of the other pages; no script is loaded, no cookie set."""
    answer = browser(store).get(f"/silence?t={token(store, 1, Purpose.SILENCE)}")

    assert "default-src 'none'" in header(answer, "content-security-policy")
    assert "no-store" == header(answer, "cache-control")
    assert "" == header(answer, "set-cookie")
    assert not re.search(r"<script|style=|onclick", text(answer))
    assert "no-referrer" == header(answer, "referrer-policy")
