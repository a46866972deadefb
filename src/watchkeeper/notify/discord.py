"""The body of a Discord message: one embed whose texts are escaped, and which mentions nobody."""

import re
from collections.abc import Iterator
from datetime import UTC, tzinfo
from typing import Any, Final

from watchkeeper.notify.harmless import without_mentions
from watchkeeper.notify.layout import colour
from watchkeeper.notify.notifier import Notification
from watchkeeper.notify.texts import Message, compose

MAX_TITLE: Final = 256  # characters; Discord's limit for the title of an embed
# Ours, so that title, description, fields and footer together stay below Discord's 6,000.
MAX_DESCRIPTION: Final = 3_000
MAX_LINKS: Final = 1_500  # of the description
MAX_LEAD: Final = 400
MAX_FIELD: Final = 100
MAX_FIELDS: Final = 12
MAX_ITEM: Final = 100
MAX_ITEMS: Final = 10

_MARKS: Final = re.compile(r"([\\`*_~|<>#\[\]()\-])")


def body(notification: Notification, *, zone: tzinfo = UTC) -> dict[str, Any]:
    """Return the message as JSON values, for a webhook of a channel.

    Marks of Markdown are escaped, and `allowed_mentions` makes sure that no one is called.
    """
    message = compose(notification, zone=zone)
    fields = [
        {
            "name": _escaped(one.name, limit=MAX_FIELD) or "–",
            "value": _escaped(one.text, limit=MAX_FIELD),
            "inline": len(one.text) < 40,
        }
        for one in message.facts[:MAX_FIELDS]
    ]
    embed = {
        "title": _escaped(message.title, limit=MAX_TITLE),
        "description": _description(message),
        "color": int(colour(message).removeprefix("#"), 16),
        "fields": fields,
        "footer": {"text": without_mentions(message.footer)[:MAX_TITLE]},
    }
    return {
        "username": "Watchkeeper",
        "allowed_mentions": {"parse": []},
        "embeds": [embed],
    }


def _description(message: Message) -> str:
    """Put together what fits: the links are never cut, what to do next is left out first."""
    links = ""
    for one in message.links:
        following = f"{' · ' if links else ''}[{one.name}]({_target(one.url)})"
        if len(links) + len(following) <= MAX_LINKS:
            links += following
    text = ""
    for part in _parts(message):
        if len(text) + len(part) + len(links) + 2 > MAX_DESCRIPTION:
            break
        text += part + "\n"
    return f"{text}{links}".strip()


def _parts(message: Message) -> Iterator[str]:
    yield _escaped(message.lead, limit=MAX_LEAD)
    for one in message.items[:MAX_ITEMS]:
        yield f"• {_escaped(one.text, limit=MAX_ITEM)}"
    more = message.more + len(message.items[MAX_ITEMS:])
    if more:
        yield f"… and {more} more."
    if message.meaning:
        yield _escaped(message.meaning)
    for step in message.steps:
        yield f"→ {_escaped(step)}"


def _target(url: str) -> str:
    return url.replace("(", "%28").replace(")", "%29")


def _escaped(text: str, *, limit: int = MAX_DESCRIPTION) -> str:
    """Return Markdown that shows the text as it is, at most `limit` characters long."""
    shown = without_mentions(_MARKS.sub(r"\\\1", text))
    return shown[:limit].rstrip("\\") if len(shown) > limit else shown
