"""A message laid out: as plain text, and as HTML that asks nothing of the network."""

import re
import textwrap
from collections.abc import Iterator
from html import escape
from typing import Final

from watchkeeper.notify.texts import Link, Message

WIDTH: Final = 72  # columns of plain text; addresses are never broken
FAINT: Final = "opacity:.75"  # of the less important: right on white and on black
_NUMBER: Final = re.compile(r"(?<=\d) (?=%|[a-zA-Zµ]{1,4}\b)")  # "5 %", "1 min": not to be parted
COLOURS: Final = {"critical": "#c62828", "warning": "#b26a00", "info": "#1565c0"}
RESOLVED_COLOUR: Final = "#2e7d32"
OTHER_COLOUR: Final = "#5b6470"


def colour(message: Message) -> str:
    """Return the colour of a message's state, as #rrggbb."""
    return RESOLVED_COLOUR if message.resolved else COLOURS.get(message.severity, OTHER_COLOUR)


def plain(message: Message, *, heading: bool = False) -> str:
    """Return plain text, wrapped at 72 columns; `heading` puts the title on top."""
    blocks = [[message.title]] if heading else []
    blocks += [
        _wrapped(message.lead, WIDTH),
        _facts(message),
        _items(message),
        _section("What it means", message.meaning),
        _steps(message),
        [f"{one.name + ':':<{_widest(message.links) + 2}}{one.url}" for one in message.links],
        ["-- ", message.footer],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def html(message: Message) -> str:
    """Return a whole HTML page: no script, no picture, nothing that is loaded from elsewhere."""
    body = "\n".join(_parts(message))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        '<meta name="color-scheme" content="light dark">'
        '<meta name="supported-color-schemes" content="light dark">'
        f"<title>{_escaped(message.title)}</title></head>\n"
        '<body style="margin:0;padding:0">\n'
        '<div style="display:none;max-height:0;overflow:hidden">'
        f"{_escaped(message.lead)}</div>\n"
        '<div style="max-width:600px;margin:0 auto;padding:16px;'
        "font:15px/1.5 -apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif;"
        f'overflow-wrap:anywhere">\n{body}\n</div>\n</body></html>\n'
    )


def _parts(message: Message) -> Iterator[str]:
    tint = colour(message)
    yield (
        f'<h1 style="margin:0 0 8px;padding-left:12px;border-left:5px solid {tint};'
        f'font-size:19px;line-height:1.35">{_escaped(message.title)}</h1>'
    )
    yield f'<p style="margin:0 0 16px">{_escaped(message.lead)}</p>'
    if message.links:
        yield f'<p style="margin:0 0 16px">{"".join(_buttons(message.links, tint))}</p>'
    if message.items:
        rows = "".join(_item(one.text, one.url) for one in message.items)
        yield f'<ul style="margin:0 0 16px;padding-left:20px">{rows}</ul>'
    if message.more:
        yield f'<p style="margin:0 0 16px">… and {message.more} more.</p>'
    if message.facts:
        rows = "".join(
            f'<tr><td style="padding:3px 16px 3px 0;{FAINT};vertical-align:top;'
            f'white-space:nowrap">{_escaped(one.name)}</td>'
            f'<td style="padding:3px 0;vertical-align:top">{_escaped(one.text)}</td></tr>'
            for one in message.facts
        )
        yield f'<table style="border-collapse:collapse;margin:0 0 16px">{rows}</table>'
    if message.meaning:
        yield _heading("What it means")
        yield f'<p style="margin:0 0 16px">{_escaped(message.meaning)}</p>'
    if message.steps:
        yield _heading("What to do next")
        rows = "".join(f"<li>{_escaped(step)}</li>" for step in message.steps)
        yield f'<ul style="margin:0 0 16px;padding-left:20px">{rows}</ul>'
    yield f'<p style="margin:0;{FAINT};font-size:13px">{_escaped(message.footer)}</p>'


def _heading(text: str) -> str:
    return f'<h2 style="margin:0 0 4px;font-size:15px">{_escaped(text)}</h2>'


def _item(text: str, url: str) -> str:
    shown = _escaped(text)
    return f'<li><a href="{escape(url)}">{shown}</a></li>' if url else f"<li>{shown}</li>"


def _buttons(links: tuple[Link, ...], tint: str) -> Iterator[str]:
    """Yield the links: the first as a filled button, the others as outlines."""
    for number, one in enumerate(links):
        look = f"background:{tint};color:#ffffff" if number == 0 else "color:inherit"
        yield (
            f'<a href="{escape(one.url)}" style="display:inline-block;margin:0 8px 8px 0;'
            f"padding:7px 14px;border:1px solid {tint};border-radius:5px;{look};"
            f'text-decoration:none">{_escaped(one.name)}</a>'
        )


def _escaped(text: str) -> str:
    """Return text as HTML, in which no number is parted from its unit."""
    return escape(_unparted(text))


def _unparted(text: str) -> str:
    return _NUMBER.sub("\N{NO-BREAK SPACE}", text)


def _facts(message: Message) -> list[str]:
    name_width = max((len(one.name) for one in message.facts), default=0) + 2
    lines: list[str] = []
    for one in message.facts:
        first, *rest = _wrapped(one.text, WIDTH - name_width - 2) or [""]
        lines.append(f"  {one.name:<{name_width}}{first}")
        lines += [f"  {'':<{name_width}}{more}" for more in rest]
    return lines


def _items(message: Message) -> list[str]:
    lines: list[str] = []
    for one in message.items:
        lines += _bullet(one.text)
        if one.url:
            lines.append(f"    {one.url}")
    if message.more:
        lines.append(f"  … and {message.more} more.")
    return lines


def _section(title: str, text: str) -> list[str]:
    return (
        [f"{title}:", *_wrapped(text, WIDTH - 2, initial_indent="  ", subsequent_indent="  ")]
        if text
        else []
    )


def _steps(message: Message) -> list[str]:
    if not message.steps:
        return []
    return ["What to do next:", *(row for step in message.steps for row in _bullet(step))]


def _bullet(text: str) -> list[str]:
    return _wrapped(text, WIDTH, initial_indent="  - ", subsequent_indent="    ")


def _widest(links: tuple[Link, ...]) -> int:
    return max((len(one.name) for one in links), default=0)


def _wrapped(
    text: str, width: int, *, initial_indent: str = "", subsequent_indent: str = ""
) -> list[str]:
    """Break a text into lines, but no number from its unit."""
    lines = textwrap.wrap(
        _unparted(text),
        width,
        initial_indent=initial_indent,
        subsequent_indent=subsequent_indent,
        break_on_hyphens=False,
    )
    return [one.replace("\N{NO-BREAK SPACE}", " ") for one in lines]
