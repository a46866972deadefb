"""What the verbs that look after the database share: pauses, progress, consent."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import click

from watchkeeper.exceptions import ConfigurationError

PAUSE_S: Final = 0.005  # between transactions, so that the application's flushes get their turn


def pause() -> None:
    """Let others have their turn at the database."""
    time.sleep(PAUSE_S)


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error while a block runs; nothing where that is no terminal.

    Gives the function that moves it on by some of the `length`.
    """
    if not length or not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield bar.update


def consent(question: str, *, given: bool, or_look: str = "--dry-run to look") -> None:
    """Go on if `--yes` was given or a person at a terminal says so.

    Raises ConfigurationError where nobody can be asked, Abort for a "no".
    """
    if given:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(f"nobody can be asked here: add --yes to go on, {or_look}")
    click.confirm(question, abort=True, err=True)


def read_moment(text: str, option: str) -> float:
    """Read a moment that somebody wrote, UTC unless it says otherwise."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{option}: {text!r} is no moment; write 2026-12-01 or 2026-12-01T08:30 (UTC)"
        ) from None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


def moment(at: float | None) -> str:
    """Show a moment to the minute, in UTC; – if there is none."""
    return "–" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
