"""`watchkeeper demo`: a shop to try everything with."""

import signal
from contextlib import suppress
from types import FrameType

import click

from watchkeeper.cli.terminal import echo, plain
from watchkeeper.cli.verbs import FAILED, FINE


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="The shop's port.")
@click.option("--once", is_flag=True, help="Run one measured round of less than a minute.")
@click.option("--json", "as_json", is_flag=True, help="With --once: print one JSON object.")
def command(port: int, once: bool, as_json: bool) -> int:
    """Watch a made shop under real load, with real incidents.

    A FastAPI shop with its own database, an hour of made history, visitors, an incident every few
    minutes and a receiver for the alerts: everything on loopback and in a temporary folder, which
    is removed at the end. Ctrl-C ends it.
    """
    if as_json and not once:
        raise click.UsageError("--json needs --once: without it the demo has no end")
    if port and once:
        raise click.UsageError("--port is not for --once, which finds a port by itself")
    _end_gently()
    return _once(as_json=as_json) if once else _show(port)


def _show(port: int) -> int:
    from watchkeeper.demo.show import run_show

    with suppress(KeyboardInterrupt):
        run_show(lambda line: echo(plain(line)), port=port)
    return FINE


def _once(*, as_json: bool) -> int:
    """Run a round; the figures go to standard output, everything else to standard error."""
    from watchkeeper.demo.round import run_round, violations

    measured = run_round(lambda line: echo(line, err=True))
    echo(measured.to_json() if as_json else measured.to_text())
    wrong = violations(measured)
    for sentence in wrong:
        echo(f"watchkeeper: {sentence}", err=True)
    return FAILED if wrong else FINE


def _end_gently() -> None:
    """Let the first Ctrl-C or SIGTERM end the demo, and none disturb its tidying up."""

    def end(number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, end)
