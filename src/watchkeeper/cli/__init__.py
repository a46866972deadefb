"""The command line: `watchkeeper VERB`, each verb in a module that is imported when called.

Exit codes fit cron and probes: 0 fine, 1 warning, 2 critical, 3 unknown, 64 wrong usage.
"""

from watchkeeper.cli.verbs import watchkeeper


def main() -> None:
    """Run the command line and exit."""
    watchkeeper.main(prog_name="watchkeeper")


__all__ = ["main", "watchkeeper"]
