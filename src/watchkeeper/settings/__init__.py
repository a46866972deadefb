"""What a user can set, and where each value came from."""

from watchkeeper.settings.check_tables import placed_check
from watchkeeper.settings.settings import Settings
from watchkeeper.settings.sources import UNREADABLE_FILE, Loaded, Origin, load

__all__ = ["UNREADABLE_FILE", "Loaded", "Origin", "Settings", "load", "placed_check"]
