"""`watchkeeper export`: what is stored, as CSV or JSON lines."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, TextIO

import click

from watchkeeper.cli.exported import EXPORTS, Asked
from watchkeeper.cli.formats import FORMATS
from watchkeeper.cli.source import find_source, open_existing, source_options
from watchkeeper.cli.terminal import echo, harmless
from watchkeeper.cli.upkeep import pause, progress
from watchkeeper.cli.verbs import FAILED, FINE
from watchkeeper.core.units import parse_duration
from watchkeeper.exceptions import WatchkeeperError

STEPS: Final = 1_000  # of the bar


@click.command()
@source_options
@click.argument("kind", type=click.Choice(list(EXPORTS)))
@click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), default="csv", show_default=True
)
@click.option("--since", metavar="AGE", help="From how long ago on, such as 7d; all if not given.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file; else to the screen."
)
def command(
    db: str | None,
    app: str | None,
    service: str | None,
    environment: str | None,
    kind: str,
    form: str,
    since: str | None,
    output: Path | None,
) -> int:
    """Write rows of one kind, of one service, as CSV or as one JSON object a line.

    requests: figures per route and hour. hours: every metric per hour. issues, events, samples,
    incidents: as they are stored.
    """
    now = time.time()
    begin = 0.0 if since is None else now - parse_duration(since, where="--since")
    source = find_source(db=db, app=app, service=service, environment=environment)
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
    with progress(f"exporting {kind}", STEPS) as went:
        for done, page in exported.pages(asked):
            file.writelines(text(row) for row in page)
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
        # What a text cannot hold in UTF-8, half a character, is written as \\udXXX.
        yield open(  # noqa: SIM115  # standard output stays open
            sys.stdout.fileno(),
            "w",
            encoding="utf-8",
            errors="backslashreplace",
            newline="",
            closefd=False,
        )
        return
    handle, beside = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    try:
        with open(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            yield file
            file.flush()
            os.fsync(handle)
        os.replace(beside, output)
    except BaseException:
        os.unlink(beside)
        raise
