"""The body of a Microsoft Teams message: an Adaptive Card of text that no Markdown acts upon."""

from datetime import UTC, tzinfo
from typing import Any, Final

from watchkeeper.notify.notifier import Notification
from watchkeeper.notify.texts import Message, compose

VERSION: Final = "1.4"  # of Adaptive Cards; what Teams shows everywhere
MAX_ITEMS: Final = 10  # alerts named, so that a card stays below the 28 kB that Teams takes
MAX_TEXT: Final = 200  # characters of one alert, fact or step


def body(notification: Notification, *, zone: tzinfo = UTC) -> dict[str, Any]:
    """Return the message as JSON values, for a workflow that starts with a webhook.

    Texts are `TextRun`s: unlike a `TextBlock`, they know no Markdown, so that nothing in them
    becomes a link, and a mention needs an entity, of which there are none.
    """
    message = compose(notification, zone=zone)
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": VERSION,
        "msteams": {"width": "Full"},
        "body": _blocks(message),
        "actions": [
            {"type": "Action.OpenUrl", "title": one.name, "url": one.url} for one in message.links
        ],
    }
    content = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "summary": message.title, "attachments": [content]}


def _blocks(message: Message) -> list[dict[str, Any]]:
    blocks = [
        _text(message.title, size="Large", weight="Bolder", color=_tone(message)),
        _text(message.lead),
    ]
    blocks += [_text(f"• {one.text[:MAX_TEXT]}") for one in message.items[:MAX_ITEMS]]
    more = message.more + len(message.items[MAX_ITEMS:])
    if more:
        blocks.append(_text(f"… and {more} more."))
    blocks += [_fact(one.name, one.text[:MAX_TEXT]) for one in message.facts]
    if message.meaning:
        blocks.append(_text(message.meaning))
    if message.steps:
        blocks.append(_text("What to do next", weight="Bolder"))
        blocks += [_text(f"• {step[:MAX_TEXT]}") for step in message.steps]
    blocks.append(_text(message.footer, size="Small", isSubtle=True))
    return [block for block in blocks if block["inlines"][0]["text"]]


def _text(text: str, **look: Any) -> dict[str, Any]:
    return _runs({"text": text, **look})


def _fact(name: str, text: str) -> dict[str, Any]:
    return {**_runs({"text": f"{name}: ", "isSubtle": True}, {"text": text}), "spacing": "None"}


def _runs(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", **run} for run in runs]}


def _tone(message: Message) -> str:
    if message.resolved:
        return "Good"
    return {"critical": "Attention", "warning": "Warning"}.get(message.severity, "Default")
