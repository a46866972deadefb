"""The error of a watch() that comes after the application's start, the same for each framework."""

from watchkeeper.exceptions import ConfigurationError


def too_late() -> ConfigurationError:
    """Return the error that says what to do instead."""
    return ConfigurationError(
        "watchkeeper.watch(app): the application has started already; "
        "call watch(app) where the application is made, before its first request"
    )
