"""Messages for Slack, Teams and Discord: their forms, their limits, and that nobody is pinged."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from receivers import Receiver

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.notify import Notification, Notifier, open_notifier, shown_address

Told = Callable[..., Notification]
CHATS = ("slack", "teams", "discord")
HOSTILE = "@everyone <!channel> <@U1> [click](https://evil.example) **b** <https://evil.example|x>"


def channel(kind: str, url: str, **options: Any) -> Notifier:
    return open_notifier("team", {"type": kind, "url": url, **options}, where="channels.team")


def sent(kind: str, notification: Notification) -> Any:
    """Send a notification by a short form, and return what arrived."""
    with Receiver() as receiver:
        channel(kind, receiver.url).send(notification)
        return receiver.received[0].json()


def everything(value: Any) -> Iterator[Any]:
    """Yield each object and each text of a JSON value."""
    yield value
    inner = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        for one in inner:
            yield from everything(one)


def texts(value: Any) -> list[str]:
    return [one for one in everything(value) if isinstance(one, str)]


def hostile(told: Told) -> Notification:
    """A message whose texts try to call everybody and to make links."""
    return told(rule=HOSTILE, description=HOSTILE, alert={"labels": {"a": HOSTILE}})


def large(told: Told, letter: str = "w") -> Notification:
    """A message with more of everything than fits."""
    alerts = [
        {
            "labels": {f"label{n}": letter * 300 for n in range(9)},
            "summary": f"s{letter}" * 300,
            "incident": number,
        }
        for number in range(60)
    ]
    return told(
        rule="r_" * 300,
        summary="s" * 900,
        description=f"d{letter}" * 900,
        next_steps=[f"n{letter}" * 400] * 9,
        alerts=alerts,
        release={"name": "v" * 400, "after_s": 1},
        ack_link="https://shop.example/" + "a" * 600,
    )


@pytest.mark.parametrize("kind", CHATS)
def test_a_chat_shows_title_figures_steps_and_links(told: Told, kind: str):
    """Each chat gets the same words, and the links to act by."""
    shown = "\n".join(texts(sent(kind, told()))).replace("\\", "")

    assert "Critical: High error rate, /checkout, 12.4 %" in shown
    assert "12.4 % (31 of 250 in 1 min), threshold 5 %. Since 14:00:00 UTC." in shown
    assert "started 40 s after release v42" in shown
    assert "Look at the issues that began at that time." in shown
    assert "https://shop.example/watchkeeper/incidents/417" in shown
    assert "https://shop.example/watchkeeper/ack?t=made-up" in shown
    assert "https://shop.example/watchkeeper/silence?t=made-up" in shown


@pytest.mark.parametrize("kind", CHATS)
def test_the_long_form_is_a_webhook_with_a_body(told: Told, kind: str):
    """`type = "webhook", body = "slack"` says the same, and takes a secret."""
    with Receiver() as receiver:
        channel("webhook", receiver.url, body=kind, secret="x", signature="github").send(told())
        request = receiver.received[0]

    assert sent(kind, told()) == request.json()
    assert "x-hub-signature-256" in request.headers


@pytest.mark.parametrize("letter", ["w", "*", "支", "😀"])
@pytest.mark.parametrize(
    ("kind", "most"), [("slack", 40_000), ("teams", 28_000), ("discord", 30_000)]
)
def test_a_message_is_below_what_the_receiver_takes(told: Told, kind: str, most: int, letter: str):
    """However much there is to tell, in whatever letters, no receiver refuses it for its size."""
    body = sent(kind, large(told, letter))

    assert most > len(json.dumps(body, ensure_ascii=False).encode())
    assert any("more." in text for text in texts(body))


def test_slack_shows_texts_letter_by_letter(told: Told):
    """What comes from the application is plain text; only our links are marked up."""
    body = sent("slack", hostile(told))

    marked = [
        one for one in everything(body) if isinstance(one, dict) and one.get("type") == "mrkdwn"
    ]
    assert [True] == [one["verbatim"] for one in marked]
    assert marked[0]["text"].startswith(
        "<https://shop.example/watchkeeper/incidents/417|Dashboard>"
    )
    assert "evil" not in marked[0]["text"]
    assert "&lt;!channel&gt;" in body["text"]
    assert ("none", False) == (body["parse"], body["link_names"])


def test_slack_takes_no_longer_texts_than_it_says(told: Told):
    """Sections of 3,000, ten fields of 2,000, fifty blocks; and no empty text."""
    attachment = sent("slack", large(told))["attachments"][0]

    assert 50 >= len(attachment["blocks"])
    for block in attachment["blocks"]:
        assert 10 >= len(block.get("fields", []))
        for one in everything(block):
            if isinstance(one, dict) and "text" in one and isinstance(one["text"], str):
                assert 0 < len(one["text"]) <= 3_000


def test_teams_gets_a_card_without_markdown_and_mentions(told: Told):
    """Texts are runs, which know no Markdown; links are buttons; nobody is an entity."""
    body = sent("teams", hostile(told))

    attachment = body["attachments"][0]
    card = attachment["content"]
    assert "application/vnd.microsoft.card.adaptive" == attachment["contentType"]
    assert ("message", "AdaptiveCard", "1.4") == (body["type"], card["type"], card["version"])
    assert {"RichTextBlock"} == {block["type"] for block in card["body"]}
    assert ["Dashboard", "Acknowledge", "Silence"] == [one["title"] for one in card["actions"]]
    assert all(one["url"].startswith("https://shop.example/") for one in card["actions"])
    assert "entities" not in card["msteams"]
    assert "Attention" == card["body"][0]["inlines"][0]["color"]


def test_discord_mentions_nobody_and_shows_marks_as_letters(told: Told):
    """`allowed_mentions` is empty, marks of Markdown are escaped, the links are ours."""
    body = sent("discord", hostile(told))

    assert {"parse": []} == body["allowed_mentions"]
    shown = texts(body["embeds"])
    assert [] == [text for text in shown if "@everyone" in text or "](https://evil" in text]
    assert [] == [text for text in shown if "**" in text]
    assert "[Dashboard](https://shop.example/watchkeeper/incidents/417)" in "\n".join(shown)


def test_discord_takes_no_longer_texts_than_it_says(told: Told):
    """Title 256, description 4,096, 25 fields of 256 and 1,024, all together 6,000."""
    embed = sent("discord", large(told))["embeds"][0]

    assert 256 >= len(embed["title"])
    assert 4_096 >= len(embed["description"])
    assert 25 >= len(embed["fields"])
    assert all(256 >= len(one["name"]) > 0 for one in embed["fields"])
    assert all(1_024 >= len(one["value"]) > 0 for one in embed["fields"])
    counted = [embed["title"], embed["description"], embed["footer"]["text"]]
    counted += [text for one in embed["fields"] for text in (one["name"], one["value"])]
    assert 6_000 >= sum(len(text) for text in counted)
    assert "[Acknowledge the first 50]" in embed["description"]


@pytest.mark.parametrize("kind", CHATS)
def test_what_is_over_is_green(told: Told, kind: str):
    """The colour tells from afar."""
    body = sent(kind, told("resolved", status="resolved", ended_at=1_795_874_525.0))

    colours = {"slack": "#2e7d32", "teams": "Good", "discord": 0x2E7D32}
    assert colours[kind] in list(everything(body))


@pytest.mark.parametrize("kind", CHATS)
def test_times_are_shown_in_the_zone_asked_for(told: Told, kind: str):
    """A team reads its own time."""
    with Receiver() as receiver:
        channel(kind, receiver.url, time_zone="Europe/Berlin").send(told())
        shown = "\n".join(texts(receiver.received[0].json()))

    assert "15:00:00 CET" in shown


@pytest.mark.parametrize("kind", ["webhook", *CHATS])
def test_a_list_shows_the_host_but_not_the_secret(kind: str):
    """The path of a hook is a password: it is masked, and so are user and query."""
    opened = channel(kind, "https://me:hush@hooks.example:8443/services/T0/hush?key=hush")

    assert "https://hooks.example:8443/***" == shown_address(opened)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"type": "slack"}, r"channels\.team\.url: missing"),
        ({"type": "slack", "url": "https://a/", "secret": "x"}, r"\.secret: unknown key"),
        ({"type": "webhook", "url": "https://a/", "body": "irc"}, r"\.body: 'irc' is unknown"),
    ],
)
def test_wrong_settings_name_the_key(options: dict[str, Any], message: str):
    """A wrong setting is refused when the channel is opened."""
    with pytest.raises(ConfigurationError, match=message):
        open_notifier("team", options, where="channels.team")
