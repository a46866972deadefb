"""The verbs: their names, one line of help each, and what their errors look like."""

import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Final, NoReturn

import click

from watchkeeper.cli.terminal import plain
from watchkeeper.exceptions import ConfigurationError, StorageError, WatchkeeperError

FINE: Final = 0
WARNING: Final = 1
CRITICAL: Final = 2
UNKNOWN: Final = 3
USAGE: Final = 64
UNAVAILABLE: Final = 69  # as sysexits.h has it: what is needed to answer cannot be reached
CRASHED: Final = 70  # as sysexits.h has it: a defect of ours
FAILED: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One verb: the module that holds it as `command`, and its line in `watchkeeper --help`."""

    module: str
    help: str


VERBS: Final[Mapping[str, Verb]] = {
    "demo": Verb(module="demo", help="Watch a made shop under real load, with real incidents."),
    "status": Verb(module="status", help="Show how the application is; the exit code tells too."),
    "health": Verb(module="health", help="Show health checks and uptime; probe a container."),
    "check": Verb(module="check", help="Judge from outside; with --alert evaluate and deliver."),
    "errors": Verb(module="errors", help="List and show issues; resolve, mute, merge them."),
    "alerts": Verb(module="alerts", help="Show what fires, and who was told of it."),
    "ack": Verb(module="ack", help="Say that somebody has an incident."),
    "silence": Verb(module="silence", help="Silence alerts for a while, or at planned times."),
    "rules": Verb(module="rules", help="List, check, try, explain and change the alert rules."),
    "jobs": Verb(module="jobs", help="Show how jobs do, and which are late."),
    "ping": Verb(module="ping", help="Give jobs outside of Python an address to call."),
    "open": Verb(module="open", help="Print a one-time link to the dashboard."),
    "size": Verb(module="size", help="Show how large the tables are, and how they grow."),
    "deploy": Verb(module="deploy", help="Mark that a release is live from now on."),
    "verdict": Verb(module="verdict", help="Judge a release beside the one before it."),
    "notify": Verb(module="notify", help="List the channels; send a test message."),
    "config": Verb(module="config", help="Show or check the settings, each with its origin."),
    "migrate": Verb(module="migrate", help="Bring the tables up to date, or print the SQL."),
    "prune": Verb(module="prune", help="Delete what is past its time now."),
    "export": Verb(module="export", help="Write what is stored as CSV or JSON lines."),
    "erase": Verb(module="erase", help="Delete what is kept about one user."),
    "uninstall": Verb(module="uninstall", help="Drop Watchkeeper's tables, and no others."),
    "version": Verb(module="version", help="Show which version this is."),
}


class Verbs(click.Group):
    """A group that imports a verb when it is called, and tells errors in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the verbs in the order of the help page."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb's module and return its command."""
        verb = VERBS.get(cmd_name)
        if verb is None:
            return None
        command: click.Command = import_module(f"watchkeeper.cli.{verb.module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs without importing any of them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, verb.help) for name, verb in VERBS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb that was typed; of one that is none, say which may have been meant."""
        near = get_close_matches(args[0], VERBS, n=1) if args[0] not in VERBS else []
        if near:
            ctx.fail(f"No such command '{plain(args[0])}'. Did you mean '{near[0]}'?")
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run, and exit with the verb's code; an error is one line and never a traceback."""
        kwargs["standalone_mode"] = False
        sys.exit(self._run(*args, **kwargs))

    def _run(self, *args: Any, **kwargs: Any) -> int:
        try:
            code = super().main(*args, **kwargs)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.ctx.get_help())
            return FINE
        except click.UsageError as error:
            return _tell(_usage(error), USAGE)
        except click.ClickException as error:
            error.show()
            return FAILED
        except click.Abort:
            return FAILED
        except ConfigurationError as error:
            return _tell(error, USAGE)
        except StorageError as error:
            return _tell(error, UNKNOWN)
        except WatchkeeperError as error:
            return _tell(error, FAILED)
        except Exception as error:  # 1, which Python gives, means a warning here
            traceback.print_exc()
            raise SystemExit(CRASHED) from error
        return code if isinstance(code, int) else FINE


def _show_version(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        ctx.exit(import_module("watchkeeper.cli.version").command.main([], standalone_mode=False))


@click.command(cls=Verbs, no_args_is_help=True)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show which version this is.",
)
def watchkeeper() -> None:
    """Production monitoring inside your web application, in your own database."""


def _usage(error: click.UsageError) -> str:
    """Say in one line what was not understood, and where to read on."""
    message = " ".join(error.format_message().split())
    return f"{message} See: {error.ctx.command_path} --help" if error.ctx else message


def _tell(error: WatchkeeperError | str, code: int) -> int:
    click.echo(f"watchkeeper: {error}", err=True)
    return code
