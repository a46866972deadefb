"""Texts of the application made harmless before people read them: they are hostile input."""

import re
from typing import Final

MAX_URL: Final = 700  # characters: four of them fit into one section of a Slack message

# What mail programs make a link of without being asked: "www.x", and the @ of "a@b.c".
_ADDRESS: Final = re.compile(r"(?<=\bwww)\.(?=\w)|(?<=[\w.+-])@(?=[\w-]+\.\w)", re.IGNORECASE)
_MENTION: Final = re.compile(r"(?<!\w)@(?=\w)|<(?=[@!#&/])")


def line(text: object, *, limit: int) -> str:
    """Return one line of at most `limit` characters that no mail or chat program acts upon.

    No control characters, none that turn the direction of writing, and nothing that programs take
    for an address: "https://x" is written "https[:]//x", "www.x" "www[.]x", "a@b.c" "a[@]b.c".
    """
    shown = "" if text is None else str(text)[: 2 * limit + 100]
    shown = "".join(char if char.isprintable() else " " for char in shown)
    shown = " ".join(shown.split()).replace("://", "[:]//")
    shown = _ADDRESS.sub(r"[\g<0>]", shown)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def without_mentions(text: str) -> str:
    """Return a text in which "@everyone" or "<!channel>" calls nobody, and looks as before."""
    return _MENTION.sub(lambda found: f"{found.group()}\N{ZERO WIDTH SPACE}", text)


def link(url: object) -> str:
    """Return an address if it can be a link, else ""."""
    text = url if isinstance(url, str) else ""
    is_web = text.startswith(("https://", "http://")) and len(text) <= MAX_URL
    is_plain = text.isascii() and not any(char <= " " or char in "\x7f\"'<>|\\`" for char in text)
    return text if is_web and is_plain else ""
