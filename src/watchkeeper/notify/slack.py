"""The body of a Slack message: blocks of plain text, in which nothing of ours can be marked up."""

from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Any, Final

from watchkeeper.notify.layout import colour
from watchkeeper.notify.notifier import Notification
from watchkeeper.notify.texts import Item, Link, Message, compose

MAX_SECTION: Final = 3_000  # characters; these are Slack's limits, as its reference has them
MAX_FIELDS: Final = 10
MAX_ITEMS: Final = 10  # ours, so that all of them fit into one section
MAX_ITEM: Final = 200

_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def body(notification: Notification, *, zone: tzinfo = UTC) -> dict[str, Any]:
    """Return the message as JSON values, for an incoming webhook.

    What comes from the application is in `plain_text` objects, where "<!channel>", "@here" and
    links are letters like others; only our own links are marked up. The title is the message's
    text, for that is what a notification shows; it would be shown twice as a header.
    """
    message = compose(notification, zone=zone)
    blocks: list[dict[str, Any]] = [_section(text) for text in _texts(message)]
    if message.facts:
        fields = [_plain(f"{one.name}\n{one.text}") for one in message.facts[:MAX_FIELDS]]
        blocks.append({"type": "section", "fields": fields})
    if message.links:
        links = " · ".join(_link(one) for one in message.links)
        blocks.append(
            {"type": "section", "text": {"type": "mrkdwn", "text": links, "verbatim": True}}
        )
    blocks.append({"type": "context", "elements": [_plain(message.footer)]})
    return {
        "text": _escaped(message.title),
        "mrkdwn": False,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "attachments": [{"color": colour(message), "blocks": blocks}],
    }


def _texts(message: Message) -> list[str]:
    items = [_item(one) for one in message.items[:MAX_ITEMS]]
    more = message.more + len(message.items[MAX_ITEMS:])
    if more:
        items.append(f"… and {more} more.")
    steps = [f"• {step}" for step in message.steps]
    found = [
        message.lead,
        "\n".join(items),
        message.meaning,
        "\n".join(["What to do next:", *steps]) if steps else "",
    ]
    return [text for text in found if text]


def _item(item: Item) -> str:
    return f"• {item.text[:MAX_ITEM]}"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _plain(text)}


def _plain(text: str) -> Mapping[str, Any]:
    """Return a text object that is shown letter by letter; Slack refuses an empty one."""
    return {"type": "plain_text", "text": text[:MAX_SECTION] or "–", "emoji": False}


def _link(link: Link) -> str:
    url = _escaped(link.url).replace("|", "%7C")
    return f"<{url}|{link.name}>"


def _escaped(text: str) -> str:
    return "".join(_ENTITIES.get(char, char) for char in text)
