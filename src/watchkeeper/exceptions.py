"""The exceptions that Watchkeeper raises to its users; captured ones are called issues."""


class WatchkeeperError(Exception):
    """Something in Watchkeeper failed."""

    def __init__(self, message: str | None = None) -> None:
        """Use the class's docstring as the message unless one is given."""
        super().__init__(message or (type(self).__doc__ or "").strip())


class ConfigurationError(WatchkeeperError):
    """A setting, rule or declaration is wrong; the message names the key and the cure."""


class StorageError(WatchkeeperError):
    """The database did not take or give what was asked."""


class StorageUnavailableError(StorageError):
    """The database cannot be reached or is busy now; the same call may work later."""


class CollisionError(StorageUnavailableError):
    """Another transaction was in the way and went first; the same call may work at once."""


class SchemaError(StorageError):
    """The tables are of a schema that this version does not know; upgrade this process."""


class UpgradeNeededError(StorageUnavailableError):
    """The tables are older than this version, and bringing them up to date is a person's task."""


class RuleChangedError(WatchkeeperError):
    """Somebody else changed this rule meanwhile; look at it and try again."""


class TriageError(WatchkeeperError):
    """What was asked of an issue cannot be done; the message says why, and what can."""
