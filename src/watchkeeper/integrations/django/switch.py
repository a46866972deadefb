"""Whether and with which settings Django is watched in this process."""

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from watchkeeper.app import current, obtain
from watchkeeper.core.rule import Alert
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.integrations.hooks import hook
from watchkeeper.integrations.instruments import instrument
from watchkeeper.settings import Settings
from watchkeeper.settings.commands import SERVER, management_command, own_command

if TYPE_CHECKING:
    from watchkeeper.integrations.django.hooks import Hooks

_hooks: "Hooks | None" = None


def switch_on() -> bool:
    """Watch Django in this process, once; False if nothing is to be watched here.

    Raises ConfigurationError for what WATCHKEEPER in the project's settings says wrongly.
    """
    global _hooks  # Django's handlers are classes: hooked once per process
    if _is_reloader():
        return False
    if _hooks is not None and _hooks.watchkeeper is current():
        return True
    watchkeeper = obtain(project_settings())
    if not watchkeeper.enabled or (watchkeeper.settings.enabled is None and _is_tested()):
        return False
    from watchkeeper.integrations.django.hooks import Hooks

    switch_off()
    instrument(watchkeeper)
    hook(watchkeeper)
    if own_command(sys.argv) and watchkeeper.hooks is not None:
        watchkeeper.hooks.install()  # an error starts the rest; one that does well needs none
    _hooks = Hooks(watchkeeper)
    _hooks.install()
    return True


def switch_off() -> None:
    """Take the hooks out of Django again."""
    global _hooks
    if _hooks is not None:
        _hooks.uninstall()
        _hooks = None


def project_settings() -> Settings | None:
    """Read WATCHKEEPER from the project's settings, a dict or Settings; None if there is none.

    Raises ConfigurationError for an unknown setting or a value that cannot be.
    """
    from django.conf import settings  # type: ignore[import-untyped]

    given: Any = getattr(settings, "WATCHKEEPER", None)
    if given is None or isinstance(given, Settings):
        return given
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"WATCHKEEPER: {given!r} is neither a dict nor watchkeeper.Settings; "
            'write WATCHKEEPER = {"service": "shop"}'
        )
    values = dict(given)
    if "alerts" in values:
        from watchkeeper.core.rules import alert_from_mapping  # with all that reads rules

        values["alerts"] = tuple(
            alert
            if isinstance(alert, Alert)
            else alert_from_mapping(alert, where=f'WATCHKEEPER["alerts"][{number}]')
            for number, alert in enumerate(values["alerts"])
        )
    try:
        return Settings(**values)
    except ConfigurationError as error:
        raise ConfigurationError(f"WATCHKEEPER in Django's settings: {error}") from None


def _is_reloader() -> bool:
    """Tell whether this process is the parent in `runserver`, which only starts the real one."""
    return (
        management_command(sys.argv) == SERVER
        and "--noreload" not in sys.argv
        and os.environ.get("RUN_MAIN") != "true"
    )


def _is_tested() -> bool:
    """Tell whether pytest runs; Django is set up before it names its first test."""
    return bool(os.environ.get("PYTEST_VERSION"))
