"""`watchkeeper health`: how each health check is and was, and the probe of a container."""

import json
from typing import Final

import click

from watchkeeper.cli.probing import NOBODY, PROBES, probe
from watchkeeper.cli.source import Source, with_source
from watchkeeper.cli.terminal import echo
from watchkeeper.cli.verbs import FINE

UNHEALTHY: Final = 1  # Docker knows 0 and 1; 2 is reserved


@click.command()
@click.argument("name", required=False)
@click.option("--probe", "probing", is_flag=True, help="Ask the process beside us, for Docker.")
@click.option("--ask", type=click.Choice(PROBES), help="Which probe: livez, readyz or health.")
@click.option("--url", metavar="URL", default="", help="Where that process serves its prefix.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_source
def command(
    source: Source, name: str | None, probing: bool, ask: str | None, url: str, as_json: bool
) -> int:
    """Show how each health check is, since when, and its uptime of 24 hours, 7 and 30 days.

    The exit code is 0 for pass, 1 for warn, 2 for fail, 3 for unknown: of the whole service, or of
    the check NAME. With --probe it is 0 for pass and warn, 1 for fail and if nothing answers. It
    asks every application with Watchkeeper in it: where there is more than one, say --url.
    """
    if probing or ask or url:
        if name:
            raise click.UsageError("--probe asks for a process as a whole; leave the name out")
        prefix = source.settings.dashboard_prefix
        return _probe(url, prefix=prefix, which=ask or "health", as_json=as_json)
    from watchkeeper.cli.health_shown import show  # not for a probe, which comes each 30 s

    return show(source, name, as_json=as_json)


def _probe(url: str, *, prefix: str, which: str, as_json: bool) -> int:
    found = probe(url, prefix=prefix, which=which)
    if as_json:
        echo(json.dumps({"status": found.state.value, "url": found.url or None}))
    else:
        echo(f"{found.state.value}   {found.url or NOBODY}")
    return FINE if found.works else UNHEALTHY
