"""Who runs a verb, and on which deployment, for the audit."""

import getpass

from watchkeeper.core.metrics import Scope
from watchkeeper.settings import Settings


def actor() -> str:
    """Name the user of the machine who runs the command: "cli alice"."""
    try:
        return f"cli {getpass.getuser()}"
    except (OSError, KeyError, ImportError):  # a container may have no name for its user
        return "cli"


def scope_of(settings: Settings) -> Scope:
    """Return the deployment that settings are of."""
    return Scope(
        service=settings.service, environment=settings.environment, release=settings.release
    )
