"""What is written to a terminal: colour where it is wanted, and no text that acts by itself."""

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

import click

BARS: Final = "▁▂▃▄▅▆▇█"
GAP: Final = " "


def echo(text: str, *, err: bool = False) -> None:
    """Write a line; colour goes to terminals only, and nowhere if NO_COLOR is set."""
    click.echo(text, err=err, color=False if os.environ.get("NO_COLOR") else None)


def columns() -> int | None:
    """Return how wide the terminal is; None where lines go elsewhere and are not to be cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def plain(text: str, *, width: int = 200) -> str:
    """Return a stored text without control characters, which could steer a terminal."""
    shown = harmless(text)
    return shown if len(shown) <= width else f"{shown[: width - 1]}…"


def harmless(text: str, *, but: str = "") -> str:
    """Return a text with a mark in place of each control character, `but` for some."""
    return "".join(
        char if char.isprintable() or char in but else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def show_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table: cells fold to fit a terminal, and stay whole where lines go elsewhere."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in titles:
            table.add_column(title, overflow="fold")
        for row in rows:
            table.add_row(*row)
        Console(highlight=False, markup=False).print(table)
        return
    lines = [titles, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = [
            cell + " " * (width - len(cell)) for cell, width in zip(line, widths, strict=True)
        ]
        echo("  ".join(padded).rstrip())


def sparkline(values: Sequence[float | None], *, width: int) -> str:
    """Draw values as at most `width` bars from 0 to the largest; what is unknown is a gap."""
    columns = [_mean(part) for part in _parts(values, width)]
    highest = max((value for value in columns if value is not None), default=0.0)
    return "".join(_bar(value, highest) for value in columns)


def _parts(values: Sequence[float | None], width: int) -> list[Sequence[float | None]]:
    count = min(width, len(values))
    edges = [round(index * len(values) / count) for index in range(count + 1)] if count else []
    return [values[start:end] for start, end in pairwise(edges)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _bar(value: float | None, highest: float) -> str:
    if value is None:
        return GAP
    if highest <= 0:
        return BARS[0]
    return BARS[min(int(value / highest * len(BARS)), len(BARS) - 1)]
