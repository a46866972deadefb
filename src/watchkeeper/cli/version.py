"""`watchkeeper version`."""

import platform
from importlib.metadata import version

import click


@click.command()
def command() -> None:
    """Show which version this is."""
    click.echo(f"watchkeeper {version('watchkeeper')} (Python {platform.python_version()})")
