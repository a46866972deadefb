"""`watchkeeper open`: a link that signs one browser in."""

import time
from typing import Final

import click

from watchkeeper.cli.actor import actor, scope_of
from watchkeeper.cli.source import Source, open_existing, with_source
from watchkeeper.cli.terminal import echo
from watchkeeper.dashboard.access import LINK_S, make_login_token, mention
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.audit import Action, write_down

DEFAULT_ADDRESS: Final = "http://127.0.0.1:8000"


@click.command()
@with_source
def command(source: Source) -> None:
    """Print a one-time link to the dashboard.

    It signs one browser in for twelve hours, and has to be used within five minutes.
    """
    settings = source.settings
    if not settings.dashboard:
        raise ConfigurationError("dashboard: it is switched off; set dashboard = true")
    store = open_existing(settings)
    try:
        now = time.time()
        token = make_login_token(store, now=now)
        write_down(
            store,
            scope_of(settings),
            Action.LINK_MAKE,
            actor=actor(),
            at=now,
            target=f"link {mention(token)}",
        )
        described = store.description()
    finally:
        store.close()
    base = settings.public_url.rstrip("/") or DEFAULT_ADDRESS
    echo(f"{base}{settings.dashboard_prefix}/login?token={token}")
    echo(
        f"works once, for {LINK_S // 60} min; {described} (from {source.database_from})", err=True
    )
    if not settings.public_url:
        echo(
            f"public_url is not set, so {DEFAULT_ADDRESS} is a guess: "
            "if the application answers elsewhere, set WATCHKEEPER_PUBLIC_URL",
            err=True,
        )
