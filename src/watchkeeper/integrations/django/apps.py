"""What Django loads for the entry in INSTALLED_APPS."""

from typing import Any

from django.apps import AppConfig  # type: ignore[import-untyped]
from django.core import checks  # type: ignore[import-untyped]

from watchkeeper.integrations.django.switch import switch_on

MIDDLEWARE = "watchkeeper.integrations.django.Middleware"


class WatchkeeperConfig(AppConfig):  # type: ignore[misc]
    """Watches Django's handlers from the moment on that the project is set up."""

    name = "watchkeeper.integrations.django"
    label = "watchkeeper"
    verbose_name = "Watchkeeper"

    def ready(self) -> None:
        """Hook the handlers, or leave them alone in a process that serves nobody."""
        checks.register(check_middleware)
        switch_on()


def check_middleware(app_configs: Any, **more: Any) -> list[Any]:
    """Find the second of the two lines missing: without it no request has a route."""
    from django.conf import settings  # type: ignore[import-untyped]

    if MIDDLEWARE in settings.MIDDLEWARE:
        return []
    return [
        checks.Warning(
            "Watchkeeper does not know the routes of requests.",
            hint=f'Write MIDDLEWARE = ["{MIDDLEWARE}", *MIDDLEWARE] in the settings.',
            id="watchkeeper.W001",
        )
    ]
