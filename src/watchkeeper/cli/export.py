"""`watchkeeper export`: what is stored, as CSV or JSON lines."""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final, TextIO

import click

from watchkeeper.cli.exported import EXPORTS, Asked
from watchkeeper.cli.formats import FORMATS
from watchkeeper.cli.source import Source, open_existing, with_source
from watchkeeper.cli.terminal import echo, harmless
from watchkeeper.cli.upkeep import pause, progress
from watchkeeper.cli.verbs import FAILED, FINE
from watchkeeper.core.units import parse_duration
from watchkeeper.exceptions import WatchkeeperError

STEPS: Final = 1_000  # of the bar


@click.command()
@with_source
@click.argument("kind", type=click.Choice(list(EXPORTS)))
@click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), default="csv", show_default=True
)
@click.option("--since", metavar="AGE", help="From how long ago on, such as 7d; all if not given.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file; standard output if not given.",
)
def command(
    source: Source,
    kind: str,
    form: str,
    since: str | None,
    output: Path | None,
) -> int:
    """Write rows of one kind, of one service, as CSV or as one JSON object a line.

    requests: figures per route and hour. hours: every metric per hour. issues, events, samples,
    incidents: as they are stored.
    """
    _end_gently()
    now = time.time()
    begin = 0.0 if since is None else now - parse_duration(since, where="--since")
    settings = source.settings
    store = open_existing(settings)
    described = store.description()
    asked = Asked(
        store=store,
        service=settings.service,
        environment=settings.environment,
        since=begin,
        now=now,
    )
    try:
        with _written(output) as file:
            rows = _write(asked, kind, form, file)
    except BrokenPipeError:
        # Whoever reads has enough; nothing more can be said there, not even at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        place = output or "standard output"
        raise WatchkeeperError(f"cannot write {place} ({error.strerror})") from error
    finally:
        store.close()
    echo(f"{rows:,} {'row' if rows == 1 else 'rows'} of {kind} from {described}", err=True)
    return FINE


def _write(asked: Asked, kind: str, form: str, file: TextIO) -> int:
    """Write one kind of rows page by page; return how many there were."""
    exported, rows, shown = EXPORTS[kind], 0, 0
    text = FORMATS[form](exported.columns)
    safe = partial(harmless, but="\r\n\t") if file.isatty() else str
    file.write(safe(text(None)))
    # Rows on the terminal are progress enough.
    with progress(f"exporting {kind}", 0 if file.isatty() else STEPS) as went:
        for done, page in exported.pages(asked):
            file.writelines(safe(text(row)) for row in page)
            rows += len(page)
            went(max(0, int(done * STEPS) - shown))
            shown = max(shown, int(done * STEPS))
            pause()
        went(STEPS - shown)
    file.flush()
    return rows


@contextmanager
def _written(output: Path | None) -> Iterator[TextIO]:
    """Open where to write: standard output, or a file that is there when it is whole."""
    if output is None:
        yield _opened(sys.stdout.fileno(), closefd=False)
        return
    target = output.resolve()
    if target.exists() and not target.is_file():  # a pipe, a terminal: nothing to put in its place
        with _opened(target) as file:
            yield file
        return
    handle, beside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with _opened(handle) as file:
            yield file
            file.flush()
            os.fsync(handle)
        os.replace(beside, target)
    finally:
        with suppress(FileNotFoundError):  # it is in its place
            os.unlink(beside)


def _opened(target: Path | int, *, closefd: bool = True) -> TextIO:
    """Open a file to write text; half a character, which UTF-8 cannot hold, becomes \\udXXX."""
    return open(  # the caller closes it
        target, "w", encoding="utf-8", errors="backslashreplace", newline="", closefd=closefd
    )


def _end_gently() -> None:
    """Let SIGTERM end the export as Ctrl-C does: nothing is left beside the file."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
