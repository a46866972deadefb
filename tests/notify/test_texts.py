"""What messages say: the words of every kind of message, and that hostile texts stay texts."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from watchkeeper.notify import Notification
from watchkeeper.notify.harmless import line, link, without_mentions
from watchkeeper.notify.layout import html, plain
from watchkeeper.notify.texts import MAX_LISTED, MAX_TITLE, compose

Told = Callable[..., Notification]
NOW = 1_795_874_530.0  # 28 November 2026, 14:02:10 UTC


@pytest.mark.parametrize(
    ("kind", "payload", "title"),
    [
        ("firing", {}, "Critical: High error rate, /checkout, 12.4 %"),
        ("firing", {"severity": "warning"}, "Warning: High error rate, /checkout, 12.4 %"),
        ("firing", {"severity": ""}, "Firing: High error rate, /checkout, 12.4 %"),
        ("worse", {}, "Worse, now critical: High error rate, /checkout, 12.4 %"),
        (
            "reminder",
            {"started_at": NOW - 4 * 3600},
            "Still firing after 4 h: High error rate, /checkout, 12.4 %",
        ),
        (
            "escalated",
            {"started_at": NOW - 1_860},
            "Nobody has reacted for 31 min: High error rate, /checkout, 12.4 %",
        ),
        ("again", {}, "Again: High error rate, /checkout, 12.4 %"),
        ("flapping", {}, "Flapping: High error rate, /checkout, 12.4 %"),
        ("changed", {}, "Rule changed while firing: High error rate, /checkout, 12.4 %"),
        (
            "resolved",
            {"status": "resolved", "ended_at": NOW - 5},
            "Resolved: High error rate, /checkout, after 2 min 5 s",
        ),
        (
            "resolved",
            {"status": "resolved", "ended_at": NOW - 5, "late": True},
            "Resolved, told late: High error rate, /checkout, after 2 min 5 s",
        ),
        ("firing", {"more": 16}, "Critical: High error rate, 17 groups"),
        (
            "digest",
            {"rule": "", "summary": "High error rate, Slow responses", "more": 2},
            "3 alerts: High error rate, Slow responses",
        ),
        (
            "digest",
            {"summary": "New issue: 3 of them, the first ValueError"},
            "New issue: 3 of them, the first ValueError",
        ),
        ("test", {}, "Test: this channel works, shop (production)"),
    ],
)
def test_the_title_says_state_rule_group_and_value(
    told: Told, kind: str, payload: dict[str, Any], title: str
):
    """What matters most comes first, for a lock screen cuts the rest."""
    assert title == compose(told(kind, **payload)).title


@pytest.mark.parametrize(
    ("kind", "payload", "lead"),
    [
        ("firing", {}, "12.4 % (31 of 250 in 1 min), threshold 5 %. Since 14:00:00 UTC."),
        (
            "firing",
            {"late": True, "started_at": NOW - 90_000},
            "12.4 % (31 of 250 in 1 min), threshold 5 %. "
            "Since 27 Nov 13:02:10 UTC, delivered late.",
        ),
        (
            "resolved",
            {
                "status": "resolved",
                "ended_at": NOW - 5,
                "summary": "High error rate (route /checkout): resolved after 2 min 5 s, "
                "because the rule was changed",
            },
            "Resolved after 2 min 5 s, because the rule was changed. 14:00:00–14:02:05 UTC.",
        ),
        (
            "resolved",
            {
                "status": "resolved",
                "late": True,
                "started_at": NOW - 7_330,
                "ended_at": NOW - 7_090,
                "summary": "High error rate: resolved after 4 min",
            },
            "Resolved after 4 min. 12:00:00–12:04:00 UTC, delivered late.",
        ),
        (
            "escalated",
            {},
            "The channels before this one were told, and nobody has acknowledged it. "
            "12.4 % (31 of 250 in 1 min), threshold 5 %. Since 14:00:00 UTC.",
        ),
        ("test", {}, "Nothing is wrong. Somebody asked Watchkeeper to send this message."),
    ],
)
def test_the_lead_says_the_figures_and_since_when(
    told: Told, kind: str, payload: dict[str, Any], lead: str
):
    """The first line has the value with its counts, the threshold and the time with its zone."""
    assert lead == compose(told(kind, **payload)).lead


@pytest.mark.parametrize(
    ("alert", "title", "lead"),
    [
        (
            {
                "summary": "Slow (route /a): p95 1.98 s (300 of 2000 slower in 5 min) > 1 s",
                "value_text": "2.4 s",
                "threshold_text": "1 s",
                "bad": 410.0,
                "total": 2100.0,
                "window_s": 300,
            },
            "Critical: Slow, /a, p95 2.4 s",
            "p95 2.4 s (410 of 2100 slower in 5 min), threshold 1 s. Since 14:00:00 UTC.",
        ),
        (
            {
                "summary": "Slow (route /a): 91 % (over 10 min) > 90 %",
                "value_text": "92 %",
                "threshold_text": "90 %",
                "bad": 3.0,
                "total": 60.0,
                "window_s": 600,
            },
            "Critical: Slow, /a, 92 %",
            "92 % (over 10 min), threshold 90 %. Since 14:00:00 UTC.",
        ),
    ],
)
def test_the_figures_are_those_of_now_and_counts_only_what_counts(
    told: Told, alert: dict[str, Any], title: str, lead: str
):
    """What was measured last is shown, in the words of the summary of when it began."""
    message = compose(told(rule="Slow", alert={"labels": {"route": "/a"}, **alert}))

    assert (title, lead) == (message.title, message.lead)


def test_the_facts_name_peak_group_release_and_service(told: Told):
    """The table holds what one looks for next."""
    assert [
        ("Peak", "18.2 %"),
        ("Route", "/checkout"),
        ("Since", "28 Nov 2026 14:00:00 UTC"),
        ("Release", "started 40 s after release v42"),
        ("Severity", "critical"),
        ("Service", "shop (production)"),
    ] == [(fact.name, fact.text) for fact in compose(told()).facts]


def test_a_release_that_is_back_is_told_as_such(told: Told):
    """Whoever went back looks at something else than whoever went on."""
    back = {"name": "v41", "at": 100.0, "after_s": 90.0, "kind": "return"}

    facts = {fact.name: fact.text for fact in compose(told(release=back)).facts}

    assert "started 1 min 30 s after the return of release v41" == facts["Release"]


def test_what_follows_on_a_health_check_is_its_output(told: Told):
    """A check has no value to show: its summary says what is wrong."""
    message = compose(
        told(
            rule="Health check failing",
            summary="Health check failing: db has failed 3 times in a row",
            alert={"labels": {"check": "db"}, "value_text": "", "bad": 3, "total": 0},
        )
    )

    assert "Critical: Health check failing, db" == message.title
    assert "db has failed 3 times in a row. Since 14:00:00 UTC." == message.lead


def test_a_new_issue_is_an_event_and_not_a_state(told: Told):
    """An issue was seen at a moment; it does not fire since then."""
    message = compose(
        told(
            rule="New issue",
            severity="warning",
            summary="New issue: ValueError: invalid literal",
            alert={"labels": {"issue": "7", "type": "ValueError"}, "value_text": ""},
        )
    )

    assert "New issue: ValueError: invalid literal" == message.title
    assert "ValueError: invalid literal. Seen at 14:00:00 UTC." == message.lead


def test_several_alerts_are_listed_by_their_groups(told: Told):
    """A message about many groups names each in a line, and counts those it leaves out."""
    alerts = [
        {
            "labels": {"route": f"/{number}"},
            "summary": f"Slow (route /{number}): p95 2 s > 1 s",
            "incident": number,
            "link": f"https://shop.example/{number}",
        }
        for number in range(1, MAX_LISTED + 6)
    ]

    message = compose(told(rule="Slow", alerts=alerts, more=3))

    assert f"Critical: Slow, {MAX_LISTED + 8} groups" == message.title
    assert "The first: /1: p95 2 s > 1 s. Since 14:00:00 UTC." == message.lead
    assert MAX_LISTED == len(message.items)
    assert ("/1: p95 2 s > 1 s", "https://shop.example/1") == (
        message.items[0].text,
        message.items[0].url,
    )
    assert 8 == message.more
    assert "  … and 8 more." in plain(message)
    assert "… and 8 more." in html(message)


def test_an_alert_that_is_over_says_so_in_a_list(told: Told):
    """Nothing that is known to be over is listed as if it were not."""
    over = {"labels": {"route": "/a"}, "started_at": NOW - 60, "ended_at": NOW - 30}
    lasting = {"labels": {"route": "/b"}, "started_at": NOW - 60}

    message = compose(told("digest", rule="", alerts=[over, lasting]))

    assert ["/a (over: 14:01:10–14:01:40 UTC)", "/b"] == [one.text for one in message.items]


def test_what_is_over_offers_nothing_to_acknowledge(told: Told):
    """A resolved message links to the dashboard alone, and asks nobody to do anything."""
    message = compose(told("resolved", status="resolved", ended_at=NOW))

    assert ["Dashboard"] == [one.name for one in message.links]
    assert () == message.steps


def test_the_links_of_a_firing_message(told: Told):
    """Dashboard, runbook, acknowledge, silence: what somebody wants to click on."""
    runbook = "https://wiki.example/errors"
    message = compose(
        told(runbook=runbook, next_steps=[f"Follow the runbook: {runbook}", "Look at the issues."])
    )

    assert ("Look at the issues.",) == message.steps  # the runbook is a link already
    assert ["Dashboard", "Runbook", "Acknowledge", "Silence"] == [
        one.name for one in message.links
    ]


@pytest.mark.parametrize(
    ("of", "incidents"),
    [(" all 2", [1, 2]), (" all 50", [*range(50)]), (" the first 50", [0] * 51)],
)
def test_links_of_a_message_about_several_say_of_how_many_they_are(
    told: Told, of: str, incidents: list[int]
):
    """Whoever means to quiet one route does not quiet fifty unknowingly."""
    alerts = [{"labels": {"route": route}, "incident": 1} for route in ("/a", "/b")]

    message = compose(told(alerts=alerts, incidents=incidents))

    assert ["Dashboard", f"Acknowledge{of}", f"Silence{of}"] == [one.name for one in message.links]


@pytest.mark.parametrize(
    ("operator", "lead", "extreme"),
    [
        ("<", "0.5 (over 1 min), below 0.7.", "Lowest"),
        ("<=", "0.5 (over 1 min), at most 0.7.", "Lowest"),
        ("!=", "0.5 (over 1 min), not 0.7.", "Peak"),
        (">", "0.5 (over 1 min), threshold 0.7.", "Peak"),
        ("", "0.5 (over 1 min), threshold 0.7.", "Peak"),
    ],
)
def test_a_threshold_has_its_direction(told: Told, operator: str, lead: str, extreme: str):
    """What fires for small values is not "beyond" its threshold, and its worst is the lowest."""
    alert = {
        "summary": f"Apdex low: 0.5 (over 1 min) {operator} 0.7",
        "labels": {},
        "value_text": "0.5",
        "peak_text": "0.4",
        "threshold_text": "0.7",
        "operator": operator,
        "bad": 0.5,
        "total": 0.0,
    }

    message = compose(told(rule="Apdex low", alert=alert))

    assert f"{lead} Since 14:00:00 UTC." == message.lead
    assert (extreme, "0.4") == (message.facts[0].name, message.facts[0].text)


def test_counts_are_told_whatever_the_group_is_called(told: Told):
    """A route may hold what looks like a part of the sentence."""
    labels = {"route": "/a: (1 of 2)"}
    alert = {
        "labels": labels,
        "summary": f"Slow (route {labels['route']}): 100 % (30 of 30 in 1 min) > 5 %",
        "value_text": "100 %",
        "bad": 30.0,
        "total": 30.0,
    }

    assert compose(told(rule="Slow", alert=alert)).lead.startswith("100 % (30 of 30 in 1 min), ")


def test_what_a_failed_job_said_is_a_fact(told: Told):
    """The figures tell how often, the error tells why."""
    facts = compose(told(alert={"said": "ValueError: no rates for 2026"})).facts

    assert ("Said", "ValueError: no rates for 2026") in [(one.name, one.text) for one in facts]


def test_where_nobody_serves_the_title_says_so(told: Told):
    """The labels of everybody are no names; the moment is that of being noticed."""
    said = "no worker has written for 54.9 s"
    message = compose(
        told(
            rule="Worker missing",
            summary=f"Worker missing: {said}",
            noticed=True,
            alert={
                "labels": {"host": "(all)", "worker": "(all)"},
                "summary": f"Worker missing: {said}",
                "value_text": "",
                "threshold_text": "",
            },
        )
    )

    assert f"Critical: Worker missing, {said}" == message.title
    assert "No worker has written for 54.9 s. Noticed at 14:00:00 UTC." == message.lead
    assert not {"Host", "Worker", "Since"} & {one.name for one in message.facts}


def test_the_name_of_a_check_is_written_as_it_is(told: Told):
    """Names are no words: they do not begin large because a sentence does."""
    message = compose(
        told(
            "resolved",
            rule="Health check failing",
            status="resolved",
            ended_at=NOW,
            summary="Health check failing: search: resolved after 1 min 46 s",
            alert={"labels": {"check": "search"}, "value_text": "", "threshold_text": ""},
        )
    )

    assert message.lead.startswith("search: resolved after 1 min 46 s. ")
    assert ["Health"] == [one.name for one in message.links]


def test_a_list_has_no_links_to_the_page_that_the_message_leads_to(told: Told):
    """Twenty times the same address is noise; an issue has a page of its own."""
    page = "https://shop.example/watchkeeper"
    alerts = [
        {"labels": {"issue": "7"}, "link": f"{page}/errors/7"},
        {"labels": {"issue": "8"}, "link": f"{page}/?range=1h&end=8"},
    ]

    message = compose(told(rule="New issue", alerts=alerts, link=f"{page}/?range=1h&end=7"))

    assert [f"{page}/errors/7", ""] == [one.url for one in message.items]


def test_a_digest_of_several_rules_names_them(told: Told):
    """Of several rules each line says which."""
    summary = "Slow (route /a): p95 2 s > 1 s"
    one = {"rule": "Slow", "labels": {"route": "/a"}, "summary": summary}
    other = {"rule": "Busy", "summary": "Busy: 2000 > 1000"}

    message = compose(told("digest", rule="Digest", alerts=[one, other]))

    assert [summary, "Busy: 2000 > 1000"] == [item.text for item in message.items]


def test_a_digest_of_one_alert_says_what_it_is(told: Told):
    """One alert beyond the limit of messages keeps its figures."""
    message = compose(told("digest", rule="Digest", alert={"rule": "High error rate"}))

    assert "12.4 % (31 of 250 in 1 min), threshold 5 %. Since 14:00:00 UTC." == message.lead


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see www.evil.example now", "see www[.]evil.example now"),
        ("a@b.example", "a[@]b.example"),
        ("http://x.example", "http[:]//x.example"),
        ("/users/@me/www", "/users/@me/www"),
        ("f(www.) x @ y", "f(www.) x @ y"),
    ],
)
def test_no_text_becomes_an_address(text: str, shown: str):
    """Mail programs make links of what looks like one; ours alone are links."""
    assert shown == line(text, limit=80)


def test_a_peak_is_shown_if_it_is_another_value(told: Told):
    """What the lead says is not said again."""
    message = compose(told(alert={"peak_text": "12.4 %"}))

    assert "Peak" not in [fact.name for fact in message.facts]


def test_moments_are_shown_in_the_zone_and_with_the_day_if_it_is_another(told: Told):
    """The zone is named; across midnight, a change of the year and of the clocks."""
    berlin = ZoneInfo("Europe/Berlin")
    new_year = Notification(
        id="m",
        channel="c",
        kind="resolved",
        at=1_798_761_900.0,  # 1 January 2027, 00:05 UTC
        payload={
            "status": "resolved",
            "started_at": 1_798_761_300.0,
            "ended_at": 1_798_761_900.0,
        },
    )

    assert "31 Dec 2026 23:55:00–00:05:00 UTC." == compose(new_year).lead
    assert "00:55:00–01:05:00 CET." == compose(new_year, zone=berlin).lead


def test_a_message_without_anything_in_it_is_a_message():
    """Whatever is missing, something readable is sent."""
    message = compose(Notification(id="m", channel="c", kind="firing", at=NOW))

    assert ("Firing: Alert", "") == (message.title, message.lead)
    assert "-- \nWatchkeeper\n" == plain(message)
    assert "Firing: Alert" in html(message)


JSON = st.one_of(
    st.text(max_size=20),
    st.floats(),
    st.integers(),
    st.sampled_from(
        [None, True, "", [], {}, ["x", None, 7], {"name": 1, "after_s": "x"}, {"a": []}]
    ),
)
KEYS = (
    *("rule", "severity", "status", "service", "environment", "summary", "started_at"),
    *("ended_at", "link", "ack_link", "release", "description", "next_steps", "late", "more"),
)
ALERT_KEYS = ("labels", "summary", "value_text", "threshold_text", "bad", "total", "window_s")


@given(
    kind=st.sampled_from(["firing", "resolved", "digest", "again", "flapping", "worse"]),
    payload=st.dictionaries(st.sampled_from(KEYS), JSON),
    alerts=st.lists(st.dictionaries(st.sampled_from(ALERT_KEYS), JSON), max_size=3),
)
@example(kind="digest", payload={"summary": " ", "rule": "0"}, alerts=[])
def test_any_payload_makes_a_message(kind: str, payload: Any, alerts: Any):
    """No value of any key keeps a message from being written, on one line where it must be."""
    message = compose(
        Notification(id="m", channel="c", kind=kind, at=NOW, payload={**payload, "alerts": alerts})
    )

    shown = [message.title, message.lead, message.footer, *(fact.text for fact in message.facts)]
    assert all(text.isprintable() for text in shown)
    assert MAX_TITLE >= len(message.title) > 0
    assert plain(message)
    assert html(message)


class Tags(HTMLParser):
    """Collects the tags of a page, and the addresses it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]


OURS = set("html head meta title body div h1 h2 p a ul li table tr td".split())  # noqa: SIM905


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "'><a href='https://evil.example'>click</a>",
        "</title></div><iframe src=//evil.example>",
        "&lt;b&gt; &#60;script&#62;",
        "javascript:alert(1)",
        "https://evil.example/",
        "data:text/html,<script>1</script>",
    ],
)
def test_no_text_becomes_html(told: Told, hostile: str):
    """Whatever a label, a summary or a link holds, the page has our tags and links alone."""
    page = Tags()

    page.feed(
        html(
            compose(
                told(
                    rule=hostile,
                    service=hostile,
                    summary=hostile,
                    description=hostile,
                    next_steps=[hostile],
                    release={"name": hostile, "after_s": 1},
                    link=f"javascript:{hostile}",
                    ack_link=f"https://shop.example/{hostile}",
                    alert={"labels": {hostile: hostile}, "value_text": hostile},
                )
            )
        )
    )

    assert page.tags <= OURS
    assert page.attributes <= {"style", "href", "lang", "charset", "name", "content"}
    assert all(url.startswith("https://shop.example/") for url in page.links)


def test_the_page_asks_nothing_of_the_network(told: Told):
    """No picture, style sheet or script is loaded: a mail that is read tells nobody."""
    page = html(compose(told()))

    assert not re.search(r"(?i)<(img|script|link|iframe|style)|url\(|@import|src=", page)


def test_plain_text_is_72_columns_wide_and_parts_no_number_from_its_unit(told: Told):
    """Only addresses are longer than a line, and "5 %" stays on one."""
    text = plain(compose(told(description="5 % of it " * 20)))

    long = [row for row in text.splitlines() if len(row) > 72 and "https://" not in row]
    assert [] == long
    assert [] == [row for row in text.splitlines() if row.rstrip().endswith(" 5")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nb\tc", "a b c"),
        ("see https://evil.example", "see https[:]//evil.example"),
        ("\u202egnp.exe\u2066", "gnp.exe"),
        ("\x1b[31mred\x00", "[31mred"),
        (None, ""),
        (7, "7"),
        ("x" * 30, "x" * 19 + "…"),
    ],
)
def test_texts_of_the_application_are_made_harmless(text: object, shown: str):
    """One line, no control characters, no change of direction, no address that can be clicked."""
    assert shown == line(text, limit=20 + 8 * ("evil" in str(text)))


@pytest.mark.parametrize("mention", ["@everyone", "@here now", "<!channel>", "<@U123>", "<#C1>"])
def test_nobody_is_mentioned(mention: str):
    """A text that would call a whole team calls nobody."""
    shown = without_mentions(mention)

    assert mention == shown.replace("\u200b", "")
    assert mention not in shown


def test_an_address_of_mail_is_no_mention():
    """What cannot call anybody stays as it is."""
    assert "ann@example.org" == without_mentions("ann@example.org")


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://shop.example/x?a=b&c=d", True),
        ("http://localhost:8000/", True),
        ("javascript:alert(1)", False),
        ("//evil.example", False),
        ("https://a/ b", False),
        ("https://a/\r\nX: y", False),
        ('https://a/"onclick=', False),
        ("https://a/" + "x" * 700, False),
        (None, False),
    ],
)
def test_only_addresses_of_the_web_become_links(url: object, kept: bool):
    """What is no plain http or https address is left out."""
    assert (url if kept else "") == link(url)
