"""`watchkeeper config`: the settings in force, and what is wrong with them."""

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

import click

from watchkeeper.cli.terminal import echo, plain, show_table
from watchkeeper.cli.verbs import FINE, USAGE
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.channels import open_channel
from watchkeeper.runtime.configured import make_health
from watchkeeper.runtime.written_rules import written_rules
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
    loaded = load()
    rows = []
    for field in fields(Settings):
        value = masked(field.name, getattr(loaded.settings, field.name))
        rows.append((field.name, plain(value), loaded.origins[field.name].value))
    show_table(("SETTING", "VALUE", "FROM"), rows)
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
    """Return what is wrong with settings, rules, channels, checks: each names place and cure."""
    found = list(loaded.problems)
    settings = loaded.settings
    try:
        found.extend(written_rules(loaded).problems)
    except ConfigurationError as error:
        found.append(str(error))
    for name in settings.channels:
        try:
            open_channel(settings, name)
        except ConfigurationError as error:
            found.append(str(error))
    make_health(loaded, found)
    return found


def masked(name: str, value: Any) -> str:
    """Return a setting's value as text in which no secret is left."""
    if name in SECRETS and value:
        return MASK
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key} = {masked(str(key), item)}" for key, item in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list | tuple):
        inner = ", ".join(_address(item) if name == "urls" else _item(item) for item in value)
        return f"[{inner}]"
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
    if name in ("url", "heartbeat_url"):
        return _address(value)
    shown = _CREDENTIALS.sub(f"{MASK}@", value)
    return _IN_QUERY.sub(rf"\1{MASK}", shown)


def _address(value: object) -> str:
    """Mask a channel's address: of a web server's the host stays, of any other the scheme."""
    text = str(value)
    if text and not text.startswith(("http://", "https://")):
        scheme, found, _ = text.partition("://")
        return f"{scheme}://{MASK}" if found else MASK
    return _PATH.sub(rf"\1/{MASK}", _CREDENTIALS.sub(f"{MASK}@", text))
