"""`watchkeeper config`: the settings in force, and what is wrong with them."""

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

import click

from watchkeeper.cli.terminal import echo, plain
from watchkeeper.cli.verbs import FINE, USAGE
from watchkeeper.core.rules import compile_alert
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.notify import open_notifier
from watchkeeper.settings import Loaded, Settings, load

MASK: Final = "***"
SECRETS: Final = ("password", "secret_key")
_SECRET_WORDS: Final = re.compile(r"secret|token|password|key|auth", re.IGNORECASE)
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/?#]*@")
_PATH: Final = re.compile(r"(://[^/?#]+)[/?#].+")
_IN_QUERY: Final = re.compile(
    r"([?&][^=&]*(?:password|secret|key|token)[^=&]*=)[^&]*", re.IGNORECASE
)


@click.group()
def command() -> None:
    """Show or check the settings, each with its origin."""


@command.command()
def show() -> int:
    """Show every setting with where it came from; secrets are masked."""
    from rich.console import Console
    from rich.table import Table

    loaded = load()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("SETTING", "VALUE", "FROM"):
        table.add_column(title, overflow="fold")
    for field in fields(Settings):
        value = masked(field.name, getattr(loaded.settings, field.name))
        table.add_row(field.name, plain(value), loaded.origins[field.name].value)
    Console(highlight=False, markup=False).print(table)
    if loaded.file is not None:
        echo(f"file: {loaded.file}", err=True)
    return FINE


@command.command()
def check() -> int:
    """Check the environment and the file; exit 64 if anything is wrong."""
    loaded = load()
    wrong = problems(loaded)
    for problem in wrong:
        echo(f"✘ {plain(problem)}", err=True)
    if wrong:
        return USAGE
    echo(f"✔ the settings are right ({loaded.file or 'no file; environment and defaults'})")
    return FINE


def problems(loaded: Loaded) -> list[str]:
    """Return what is wrong with settings, rules and channels: each names a place and a cure."""
    found = list(loaded.problems)
    settings = loaded.settings
    for number, alert in enumerate(settings.alerts):
        try:
            compile_alert(
                alert,
                where=f"alerts[{number}]",
                origin=loaded.origins["alerts"].value,
                slot_s=settings.slot_s,
            )
        except ConfigurationError as error:
            found.append(str(error))
    for name, channel in settings.channels.items():
        try:
            open_notifier(name, channel, where=f"channels.{name}")
        except ConfigurationError as error:
            found.append(str(error))
    return found


def masked(name: str, value: Any) -> str:
    """Return a setting's value as text in which no secret is left."""
    if name in SECRETS and value:
        return MASK
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key} = {masked(str(key), item)}" for key, item in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_item(item) for item in value) + "]"
    if isinstance(value, str):
        if _SECRET_WORDS.search(name) and value:
            return MASK
        return _without_credentials(name, value)
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _item(item: Any) -> str:
    return str(getattr(item, "name", item))


def _without_credentials(name: str, value: str) -> str:
    """Mask what an address holds: user and password, and the path of a channel's hook."""
    shown = _CREDENTIALS.sub(f"{MASK}@", value)
    if name in ("url", "heartbeat_url"):
        shown = _PATH.sub(rf"\1/{MASK}", shown)
    return _IN_QUERY.sub(rf"\1{MASK}", shown)
