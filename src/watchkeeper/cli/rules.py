"""`watchkeeper rules`: what the rules would do."""

import click

from watchkeeper.cli import rules_test


@click.group()
def command() -> None:
    """Try rules on what is stored."""


command.add_command(rules_test.command, "test")
