"""`watchkeeper open`: a link that signs one browser in."""

import time
from typing import Final

import click

from watchkeeper.cli.actor import actor, scope_of
from watchkeeper.cli.probing import places
from watchkeeper.cli.source import Source, open_existing, with_source
from watchkeeper.cli.terminal import echo
from watchkeeper.dashboard.access import LINK_S, make_login_token, mention
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.audit import Action, write_down
from watchkeeper.settings import Settings

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
    base, remark = _address(settings)
    echo(f"{base}{settings.dashboard_prefix}/login?token={token}")
    echo(
        f"works once, for {LINK_S // 60} min; {described} (from {source.database_from})", err=True
    )
    if remark:
        echo(remark, err=True)


def _address(settings: Settings) -> tuple[str, str]:
    """Return where the application answers, and what is to be said of that."""
    if settings.public_url:
        return settings.public_url.rstrip("/"), ""
    found = [str(place) for place in places("", watched_only=True)]
    if len(found) == 1:
        return found[0], ""
    guessed = found[0] if found else DEFAULT_ADDRESS
    among = f" among {', '.join(found)}" if found else ""
    return guessed, (
        f"public_url is not set, so {guessed} is a guess{among}: "
        "if the application answers elsewhere, set WATCHKEEPER_PUBLIC_URL"
    )
